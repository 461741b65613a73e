"""Writes small checkpoints in OpenAI's original layout, and what OpenAI's own torch model computes from them.

usage: python generate_openai.py [NAME…]     (writes checkpoints/NAME; the same numbers on every run)

original: MXFP4 experts and bf16, as it is published. original_f32: the parameters of their module as they are, whose
first expert matrix is square, so that only the layout can say which of its sides is which.
needs: pip install torch safetensors; pip install gpt-oss --no-deps (Python 3.12, or its unpacked wheel on PYTHONPATH)
"""

import json
import shutil
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from gpt_oss.torch.model import ModelConfig, Transformer
from safetensors.torch import save_file

HERE = Path(__file__).parent / "checkpoints"
NUMBERS = dict(
    num_hidden_layers=2, num_experts=4, experts_per_token=2, vocab_size=64, hidden_size=32, intermediate_size=32,
    swiglu_limit=7.0, head_dim=16, num_attention_heads=4, num_key_value_heads=2, sliding_window=4,
    initial_context_length=4096, rope_theta=150000, rope_scaling_factor=32.0, rope_ntk_alpha=1, rope_ntk_beta=32,
)


def tensors(numbers, dtype):
    """Random parameters under the names of a download's `original/model.safetensors`."""
    made = {}
    for name, parameter in Transformer(ModelConfig(**numbers), device=torch.device("cpu")).named_parameters():
        if name.endswith(("mlp1_weight", "mlp2_weight")) and dtype == torch.bfloat16:
            shape = (*parameter.shape[:-1], parameter.shape[-1] // 32)
            made[f"{name}.blocks"] = torch.randint(0, 256, (*shape, 16), dtype=torch.uint8)
            made[f"{name}.scales"] = torch.randint(121, 125, shape, dtype=torch.uint8)
        else:
            centre = 1.0 if name.endswith("scale") else 0.0
            made[name] = (centre + 0.2 * torch.randn(parameter.shape)).to(dtype)
    return made


def trace(model, tokens):
    """The tensors of `ossia trace`. OpenAI's blocks add the residual themselves, so it is taken off again."""
    seen = {}
    keep = lambda name, value: seen.__setitem__(name, value.detach().clone())
    hooks = [model.embedding.register_forward_hook(lambda m, i, o: keep("embed", o)),
             model.norm.register_forward_hook(lambda m, i, o: keep("norm", o))]
    for n, block in enumerate(model.block):
        hooks += [
            block.attn.register_forward_hook(lambda m, i, o, n=n: keep(f"layers.{n}.attention", o - i[0])),
            block.mlp.gate.register_forward_hook(lambda m, i, o, n=n: keep(f"layers.{n}.router_logits", o)),
            block.mlp.register_forward_hook(lambda m, i, o, n=n: keep(f"layers.{n}.moe", o - i[0])),
            block.register_forward_hook(lambda m, i, o, n=n: keep(f"layers.{n}.output", o)),
        ]
    with torch.no_grad():
        logits = model(tokens)
    seen.update(logits=logits, loss=F.cross_entropy(logits[:-1], tokens[1:]).reshape(1))
    return seen


def generate(name, numbers, dtype):
    torch.manual_seed(0)
    path = HERE / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps(numbers) + "\n")
    made = tensors(numbers, dtype)
    save_file(made, path / "model.safetensors")
    if dtype == torch.bfloat16:
        model = Transformer.from_checkpoint(str(path), device="cpu").float()
    else:  # their loader knows experts in MXFP4 only
        model = Transformer(ModelConfig(**numbers), device=torch.device("cpu")).float()
        model.load_state_dict(made)
    tokens = torch.randint(0, numbers["vocab_size"], (17,))
    reference = dict(trace(model, tokens), tokens=tokens)
    reference = {name: value.float().contiguous() for name, value in reference.items()}
    # Only now: OpenAI's loader takes every safetensors file of the directory.
    save_file(reference, path / "reference.safetensors")
    print("wrote", path)


JOBS = {
    "original": (NUMBERS, torch.bfloat16),
    "original_f32": (dict(NUMBERS, intermediate_size=16), torch.float32),
}

if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[1:] or JOBS:
        generate(name, *JOBS[name])
