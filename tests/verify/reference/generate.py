"""Writes the numbers that ossia is held against: what Hugging Face's transformers and PyTorch compute.

usage: python generate.py [job …]    (writes beside itself; the same numbers on every run)
needs: pip install torch transformers

One file a layer (inputs, outputs, gradients for a fixed random dy), and small checkpoints in every form of
config.json, each with all activations, the loss, every gradient, and ten losses in a row under AdamW.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import GptOssConfig, GptOssForCausalLM
from transformers.masking_utils import create_causal_mask, create_sliding_window_causal_mask
from transformers.models.gpt_oss import modeling_gpt_oss as hf

HERE = Path(__file__).parent
torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)


def write(name, tensors):
    tensors = {key: value.detach().contiguous().float().clone() for key, value in tensors.items()}
    save_file(tensors, HERE / f"{name}.safetensors")


def leaf(*shape, scale=1.0):
    return (torch.randn(*shape) * scale).requires_grad_()


def with_gradients(inputs, output):
    """The inputs, the output, a random dy, and the gradient of each input."""
    dy = torch.randn_like(output)
    output.backward(dy)
    result = dict(inputs, y=output, dy=dy)
    result.update({f"d{name}": x.grad for name, x in inputs.items() if x.grad is not None})
    return result


def config(**changes):
    numbers = dict(
        num_hidden_layers=2, hidden_size=32, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
        num_local_experts=4, num_experts_per_tok=2, intermediate_size=16, vocab_size=64, sliding_window=4,
        max_position_embeddings=64, tie_word_embeddings=False, router_aux_loss_coef=0.02,
        rope_parameters=dict(rope_type="default", rope_theta=150000.0),
    )
    numbers.update(changes)
    made = GptOssConfig(**numbers)
    made._attn_implementation = "eager"
    made._experts_implementation = "eager"
    return made


# One file a layer ----------------------------------------------------------------------------------------------


def rms_norm():
    layer = hf.GptOssRMSNorm(33, eps=1e-5)
    layer.weight.data.normal_(1.0, 0.3)
    x = leaf(7, 33, scale=3.0)
    write("rms_norm", with_gradients(dict(x=x, w=layer.weight), layer(x)))


def rotary_config(head_dim, yarn):
    rope = dict(rope_type="default", rope_theta=150000.0)
    if yarn:
        rope = dict(rope_type="yarn", rope_theta=150000.0, factor=32.0, beta_fast=32.0, beta_slow=1.0,
                    original_max_position_embeddings=4096, truncate=False)
    return config(head_dim=head_dim, rope_parameters=rope, max_position_embeddings=131072)


def rope():
    tensors = {}
    for name, yarn in (("plain", False), ("yarn", True)):
        rotary = hf.GptOssRotaryEmbedding(rotary_config(64, yarn))
        tensors[f"{name}.inverse_frequencies"] = rotary.inv_freq
        for start in (0, 5000, 100000):
            cos, sin = rotary(torch.zeros(1), torch.arange(start, start + 3)[None])
            tensors[f"{name}.cos.{start}"], tensors[f"{name}.sin.{start}"] = cos[0], sin[0]
    # Rotation of a batch of 2 texts of 5 tokens with 3 heads, and its way back.
    rotary = hf.GptOssRotaryEmbedding(rotary_config(8, True))
    x = leaf(2, 5, 3, 8)
    cos, sin = rotary(x, torch.arange(5)[None])
    y = hf._apply_rotary_emb(x, cos.unsqueeze(2), sin.unsqueeze(2))
    tensors.update(with_gradients(dict(x=x), y))
    write("rope", tensors)


def attention():
    tensors = {}
    # name: batch, tokens, heads, kv heads, head dim, window
    cases = {
        "full": (2, 21, 4, 2, 8, None),
        "window_shorter": (2, 21, 4, 2, 8, 5),
        "window_of_one": (1, 6, 2, 1, 4, 1),
        "window_equal": (1, 9, 2, 2, 4, 9),
        "window_longer": (1, 9, 6, 2, 4, 128),
        "several_tiles": (1, 150, 2, 1, 8, 70),
        "one_token": (3, 1, 4, 4, 6, 4),
    }
    for name, (batch, tokens, heads, kv_heads, dim, window) in cases.items():
        made = config(num_attention_heads=heads, num_key_value_heads=kv_heads, head_dim=dim, sliding_window=window or 4)
        module = hf.GptOssAttention(made, 0)
        module.sinks.data.normal_()
        q, k, v = leaf(batch, tokens, heads * dim), leaf(batch, tokens, kv_heads * dim), leaf(batch, tokens, kv_heads * dim)
        split = lambda x: x.view(batch, tokens, -1, dim).transpose(1, 2)
        mask = create_causal_mask if window is None else create_sliding_window_causal_mask
        mask = mask(config=made, inputs_embeds=torch.zeros(batch, tokens, 1), attention_mask=None, past_key_values=None)
        y, _ = hf.eager_attention_forward(module, split(q), split(k), split(v), mask, module.scaling)
        y = y.reshape(batch, tokens, heads * dim)
        case = with_gradients(dict(q=q, k=k, v=v, sinks=module.sinks), y)
        tensors.update({f"{name}.{key}": value for key, value in case.items()})
        tensors[f"{name}.shape"] = torch.tensor([batch, tokens, heads, kv_heads, dim, window or 0])
    write("attention", tensors)


def top_k():
    router = hf.GptOssTopKRouter(config(num_local_experts=8, num_experts_per_tok=3))
    router.weight.data = torch.eye(8, 32)  # the logits are the first eight inputs
    logits = leaf(9, 8)
    # No equal logits: of those, PyTorch 2.15 takes 6, 5, 4 of eight, ossia the lowest indices.
    _, weights, indices = router(F.pad(logits, (0, 24)))
    write("top_k", dict(with_gradients(dict(logits=logits), weights), indices=indices))


def swiglu():
    experts = hf.GptOssExperts(config())
    gate_up = leaf(5, 38, scale=6.0)
    with torch.no_grad():
        gate_up[0, :8] = torch.tensor([7.0, 7.0, -7.0, -7.0, 7.1, 7.1, -7.1, -7.1])
        gate_up[1, :4] = torch.tensor([50.0, 50.0, -50.0, -50.0])
    write("swiglu", with_gradients(dict(gate_up=gate_up), experts._apply_gate(gate_up)))


def experts():
    made = config(num_local_experts=5, num_experts_per_tok=2, hidden_size=12, intermediate_size=7)
    layer = hf.GptOssExperts(made)
    for parameter in layer.parameters():
        parameter.data.normal_(0.0, 0.5)
    x, logits = leaf(11, 12), torch.randn(11, 5)
    logits[:, 3] = -9.0  # an expert that nobody visits
    top, indices = torch.topk(logits, 2)
    weights = F.softmax(top, dim=1).requires_grad_()
    inputs = dict(x=x, weights=weights, **dict(layer.named_parameters()))
    write("experts", dict(with_gradients(inputs, layer(x, indices, weights)), indices=indices))


def cross_entropy():
    h, w = leaf(13, 10), leaf(29, 10)
    targets = torch.randint(0, 29, (13,))
    targets[[2, 7]] = -100
    loss = F.cross_entropy(h @ w.T, targets, ignore_index=-100)
    losses = F.cross_entropy(h @ w.T, targets, ignore_index=-100, reduction="none")
    write("cross_entropy", dict(with_gradients(dict(h=h, w=w), loss.reshape(1)), targets=targets, losses=losses))


def load_balancing():
    a, b = leaf(6, 5, scale=2.0), leaf(6, 5, scale=2.0)
    loss = hf.load_balancing_loss_func((a, b), 5, 2)
    write("load_balancing", with_gradients(dict(a=a, b=b), loss.reshape(1)))


def load_balancing_masked():
    a, b = leaf(6, 5, scale=2.0), leaf(6, 5, scale=2.0)
    mask = torch.tensor([[1, 0, 1], [1, 1, 0]])
    loss = hf.load_balancing_loss_func((a, b), 5, 2, mask)
    write("load_balancing_masked", dict(with_gradients(dict(a=a, b=b), loss.reshape(1)), mask=mask.reshape(-1)))


def linear():
    x, w, b = leaf(9, 11), leaf(6, 11), leaf(6)
    write("linear", with_gradients(dict(x=x, w=w, b=b), F.linear(x, w, b)))


def embedding():
    w = leaf(10, 6)
    ids = torch.tensor([3, 0, 3, 9, 3])
    write("embedding", dict(with_gradients(dict(w=w), F.embedding(ids, w)), ids=ids))


# Whole models --------------------------------------------------------------------------------------------------


def activations(model, tokens):
    """Everything that `ossia trace --gradients` writes, under the same names."""
    seen = {}

    def keep(name, pick=lambda out: out):
        return lambda module, inputs, out: seen.__setitem__(name, pick(out).detach().reshape(-1, pick(out).shape[-1]).clone())

    hooks = [model.model.embed_tokens.register_forward_hook(keep("embed")), model.model.norm.register_forward_hook(keep("norm"))]
    first = lambda out: out[0] if isinstance(out, tuple) else out
    for i, layer in enumerate(model.model.layers):
        hooks.append(layer.self_attn.register_forward_hook(keep(f"layers.{i}.attention", first)))
        hooks.append(layer.mlp.router.register_forward_hook(keep(f"layers.{i}.router_logits", first)))
        hooks.append(layer.mlp.register_forward_hook(keep(f"layers.{i}.moe", first)))
        hooks.append(layer.register_forward_hook(keep(f"layers.{i}.output", first)))
    logits = model(input_ids=tokens[None], use_cache=False).logits[0]
    loss = F.cross_entropy(logits[:-1], tokens[1:])
    model.zero_grad()
    loss.backward()
    for hook in hooks:
        hook.remove()
    seen.update(logits=logits, loss=loss.reshape(1))
    seen.update({f"grad.{name}": p.grad.clone() for name, p in model.named_parameters()})
    return seen


def ten_losses(model, batches):
    """AdamW as ossia trains: decay on matrices only, gradients clipped to 1, the load-balancing loss added."""
    model.load_state_dict({k: v.clone() for k, v in model.state_dict().items()})
    kept = lambda name: name.endswith("bias") or "norm" in name or "sinks" in name
    groups = [
        dict(params=[p for n, p in model.named_parameters() if not kept(n)], weight_decay=0.1),
        dict(params=[p for n, p in model.named_parameters() if kept(n)], weight_decay=0.0),
    ]
    optimizer = torch.optim.AdamW(groups, lr=5e-3, betas=(0.9, 0.95), eps=1e-8)
    losses, norms = [], []
    made = model.config
    for batch in batches:
        out = model(input_ids=batch[:, :-1], output_router_logits=True, use_cache=False)
        loss = F.cross_entropy(out.logits.reshape(-1, made.vocab_size), batch[:, 1:].reshape(-1))
        balance = hf.load_balancing_loss_func(out.router_logits, made.num_local_experts, made.num_experts_per_tok)
        optimizer.zero_grad()
        (loss + made.router_aux_loss_coef * balance).backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0))
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses), torch.stack(norms)


def checkpoint(name, made, version_4=False):
    directory = HERE / "checkpoints" / name
    shutil.rmtree(directory, ignore_errors=True)
    model = GptOssForCausalLM(made).float().eval()
    for parameter_name, parameter in model.named_parameters():
        centre = 1.0 if "norm" in parameter_name else 0.0
        torch.nn.init.normal_(parameter, centre, 0.2)
    model.save_pretrained(directory)
    (directory / "generation_config.json").unlink(missing_ok=True)
    if version_4:
        path = directory / "config.json"
        text = json.loads(path.read_text())
        rope = text.pop("rope_parameters")
        text["rope_theta"] = rope.pop("rope_theta")
        text["rope_scaling"] = rope
        text["torch_dtype"] = text.pop("dtype")
        text["an_unknown_key"] = "is kept"
        path.write_text(json.dumps(text, indent=2) + "\n")
    tokens = torch.randint(0, made.vocab_size, (17,))
    batches = torch.randint(0, made.vocab_size, (10, 2, 13))
    tensors = activations(model, tokens)
    tensors["losses"], tensors["norms"] = ten_losses(model, batches)
    tensors.update(tokens=tokens, batches=batches)
    write(f"checkpoints/{name}/reference", tensors)


YARN = dict(rope_type="yarn", rope_theta=150000.0, factor=32.0, beta_fast=32.0, beta_slow=1.0,
            original_max_position_embeddings=4096, truncate=False)


def checkpoints():
    checkpoint("plain", config())
    checkpoint("tied", config(tie_word_embeddings=True, num_key_value_heads=1, num_experts_per_tok=1))
    checkpoint("yarn", config(rope_parameters=YARN, sliding_window=3, num_experts_per_tok=4), version_4=True)
    truncated = dict(YARN, truncate=True, original_max_position_embeddings=64, factor=4.0)
    checkpoint("wide_window", config(rope_parameters=truncated, sliding_window=128, tie_word_embeddings=True))


# Checkpoints whose weights are bf16 or MXFP4 --------------------------------------------------------------------


def to_mxfp4(weight):
    """(E, in, out) to the codes (E, out, in/32, 16) and scales (E, out, in/32) that OpenAI's checkpoints have."""
    numbers = weight.transpose(1, 2).reshape(weight.shape[0], weight.shape[2], -1, 32).double()
    exponent = torch.floor(torch.log2(numbers.abs().amax(-1, keepdim=True))) - 2
    values = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]).double()
    distance = ((numbers / 2**exponent).abs().unsqueeze(-1) - values).abs()
    codes = distance.argmin(-1) + 8 * (numbers < 0)
    return (codes[..., 0::2] + 16 * codes[..., 1::2]).to(torch.uint8), (exponent + 127).squeeze(-1).to(torch.uint8)


def quantize_experts(directory):
    """Rewrites a bf16 checkpoint as openai/gpt-oss-20b is published: experts in MXFP4, the rest as it was."""
    from safetensors.torch import load_file
    path = directory / "model.safetensors"
    tensors = {}
    for name, tensor in load_file(path).items():
        if name.endswith("experts.gate_up_proj") or name.endswith("experts.down_proj"):
            tensors[f"{name}_blocks"], tensors[f"{name}_scales"] = to_mxfp4(tensor)
        else:
            tensors[name] = tensor
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata=dict(format="pt"))
    config_path = directory / "config.json"
    text = json.loads(config_path.read_text())
    text["quantization_config"] = dict(quant_method="mxfp4", modules_to_not_convert=[
        "model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"])
    config_path.write_text(json.dumps(text, indent=2) + "\n")


def narrow_checkpoint(name, made, quantized=False, shards="1GB"):
    directory = HERE / "checkpoints" / name
    shutil.rmtree(directory, ignore_errors=True)
    model = GptOssForCausalLM(made).float()
    for parameter_name, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, 1.0 if "norm" in parameter_name else 0.0, 0.2)
    model.to(torch.bfloat16).save_pretrained(directory, max_shard_size=shards)
    (directory / "generation_config.json").unlink(missing_ok=True)
    if quantized:
        quantize_experts(directory)
    # As transformers opens it; the arithmetic then in f32, as ossia's is.
    model = GptOssForCausalLM.from_pretrained(directory, dtype=torch.bfloat16).float().eval()
    model.set_attn_implementation("eager")
    model.config._experts_implementation = "eager"
    return model


def narrow_checkpoints():
    numbers = dict(hidden_size=32, intermediate_size=32)  # whole blocks of 32
    kinds = {
        "bf16": dict(made=config(**numbers)),
        "bf16_sharded": dict(made=config(**numbers, tie_word_embeddings=True), shards="40KB"),
        "mxfp4": dict(made=config(**numbers), quantized=True),
        "mxfp4_yarn": dict(made=config(**numbers, rope_parameters=YARN, sliding_window=3, num_experts_per_tok=4), quantized=True),
    }
    for name, kind in kinds.items():
        model = narrow_checkpoint(name, **kind)
        tokens = torch.randint(0, 64, (17,))
        tensors = activations(model, tokens)
        # A quantized weight is frozen: it has no gradient to compare.
        if kind.get("quantized"):
            tensors = {key: value for key, value in tensors.items() if not key.endswith(("gate_up_proj", "down_proj"))}
        write(f"checkpoints/{name}/reference", dict(tensors, tokens=tokens))


def long_context():
    """Logits far behind the 4,096 positions that YaRN stretches."""
    made = config(head_dim=64, num_attention_heads=2, num_key_value_heads=1, rope_parameters=YARN, sliding_window=128,
                  max_position_embeddings=131072)
    model = narrow_checkpoint("long", made)
    at = torch.arange(8300)
    tokens = (at * at * 31 + at * 7) % 64
    positions = torch.tensor([0, 127, 128, 4095, 4096, 4200, 8191, 8192, 8299])
    with torch.no_grad():
        hidden = model.model(input_ids=tokens[None], use_cache=False).last_hidden_state[0, positions]
        logits = model.lm_head(hidden)
    write("checkpoints/long/reference", dict(positions=positions, logits=logits))


if __name__ == "__main__":
    jobs = [rms_norm, rope, attention, top_k, swiglu, experts, cross_entropy, load_balancing, linear, embedding, checkpoints,
            narrow_checkpoints, long_context, load_balancing_masked]
    for number, job in enumerate(jobs):
        if len(sys.argv) == 1 or job.__name__ in sys.argv[1:]:
            torch.manual_seed(number)
            job()
            print("wrote", job.__name__)
