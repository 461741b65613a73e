"""Writes a GGUF of random numbers in the shapes of a model directory's config.json, for llama.cpp's llama-bench.

usage: synthetic_gguf.py DIRECTORY bf16|q8 OUT.gguf
Experts are MXFP4; dense weights are bf16, or Q8_0. Needs: pip install gguf numpy
"""

import json
import pathlib
import sys

import numpy
from gguf import GGMLQuantizationType as Type
from gguf import GGUFWriter, RopeScalingType

directory, dense, out = sys.argv[1:]
config = json.loads((pathlib.Path(directory) / "config.json").read_text())
random = numpy.random.default_rng(0)
hidden, inner, vocabulary = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
layers, experts = config["num_hidden_layers"], config["num_local_experts"]
queries = config["num_attention_heads"] * config["head_dim"]
keys = config["num_key_value_heads"] * config["head_dim"]

writer = GGUFWriter(out, "gpt-oss")
writer.add_name("random numbers")
writer.add_context_length(config["max_position_embeddings"])
writer.add_embedding_length(hidden)
writer.add_block_count(layers)
writer.add_feed_forward_length(inner)
writer.add_expert_feed_forward_length(inner)
writer.add_head_count(config["num_attention_heads"])
writer.add_head_count_kv(config["num_key_value_heads"])
writer.add_key_length(config["head_dim"])
writer.add_value_length(config["head_dim"])
writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
writer.add_rope_freq_base(150_000.0)
writer.add_rope_scaling_type(RopeScalingType.YARN)
writer.add_rope_scaling_factor(32.0)
writer.add_rope_scaling_orig_ctx_len(4_096)
writer.add_expert_count(experts)
writer.add_expert_used_count(config["num_experts_per_tok"])
writer.add_sliding_window(config["sliding_window"])
writer.add_vocab_size(vocabulary)
writer.add_tokenizer_model("gpt2")
writer.add_tokenizer_pre("gpt-4o")
writer.add_token_list([f"word{i}" for i in range(vocabulary)])
writer.add_token_types([1] * vocabulary)
writer.add_token_merges(["w o"])
writer.add_eos_token_id(0)


def bytes_of(*shape, low=0, high=256):
    return random.integers(low, high, shape, dtype=numpy.uint8)


def add_dense(name, rows, columns):
    if dense == "bf16":
        halves = bytes_of(rows, columns, 2)
        halves[..., 1] = 0x3C | halves[..., 1] & 0x80  # an exponent near 2^-7, either sign
        writer.add_tensor(name, halves.reshape(rows, 2 * columns), raw_dtype=Type.BF16)
    else:
        blocks = bytes_of(rows, columns // 32, 34)
        blocks[..., :2] = numpy.frombuffer(numpy.float16(1e-4).tobytes(), numpy.uint8)
        writer.add_tensor(name, blocks.reshape(rows, columns // 32 * 34), raw_dtype=Type.Q8_0)


def add_experts(name, rows, columns):
    blocks = bytes_of(experts, rows, columns // 32, 17)
    blocks[..., 0] = bytes_of(experts, rows, columns // 32, low=119, high=122)
    writer.add_tensor(f"{name}.weight", blocks.reshape(experts, rows, columns // 32 * 17), raw_dtype=Type.MXFP4)
    writer.add_tensor(f"{name}.bias", numpy.zeros((experts, rows), numpy.float32))


def add_vector(name, *shape, value=0.0):
    writer.add_tensor(name, numpy.full(shape, value, numpy.float32))


add_dense("token_embd.weight", vocabulary, hidden)
add_dense("output.weight", vocabulary, hidden)
add_vector("output_norm.weight", hidden, value=1.0)
for layer in range(layers):
    block = f"blk.{layer}."
    add_vector(block + "attn_norm.weight", hidden, value=1.0)
    add_vector(block + "post_attention_norm.weight", hidden, value=1.0)
    add_vector(block + "attn_sinks.weight", config["num_attention_heads"])
    for part, rows, columns in (
        ("q", queries, hidden), ("k", keys, hidden), ("v", keys, hidden), ("output", hidden, queries)
    ):
        add_dense(f"{block}attn_{part}.weight", rows, columns)
        add_vector(f"{block}attn_{part}.bias", rows)
    router = random.standard_normal((experts, hidden)).astype(numpy.float32) * 0.02
    writer.add_tensor(block + "ffn_gate_inp.weight", router)
    add_vector(block + "ffn_gate_inp.bias", experts)
    add_experts(block + "ffn_gate_exps", inner, hidden)
    add_experts(block + "ffn_up_exps", inner, hidden)
    add_experts(block + "ffn_down_exps", hidden, inner)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
