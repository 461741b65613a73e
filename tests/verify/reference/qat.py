"""Quantization-aware training of the checkpoint checkpoints/bf16: the loss, every gradient, and the losses of four steps of SGD.

needs: pip install torch transformers
usage: python3 qat.py        writes qat.safetensors beside this file

The experts of transformers compute with their values in MXFP4, and gradients pass straight through. The rounding follows the
specification of the OCP (Microscaling Formats v1.0) and is written here once more, in NumPy.
"""
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch.nn.utils import parametrize
from transformers import GptOssForCausalLM

HERE = Path(__file__).parent
VALUES = np.array([0.0, 1.0, 2.0, 4.0, 0.5, 1.5, 3.0, 6.0])  # the even codes 0, 2, 4, 6 first: argmin takes them in a tie
RATE, STEPS = 0.2, 4
torch.set_num_threads(1)


def rounded(w):
    """w (E, in, out): blocks of 32 along the inputs."""
    experts, inputs, outputs = w.shape
    blocks = w.astype(np.float64).transpose(0, 2, 1).reshape(-1, 32)
    largest = np.abs(blocks).max(axis=1, keepdims=True)
    scale = 2.0 ** (np.floor(np.log2(np.where(largest > 0, largest, 1))) - 2)
    nearest = np.abs(np.abs(blocks / scale)[:, :, None] - VALUES).argmin(axis=2)
    y = np.copysign(VALUES[nearest] * scale, blocks)
    return y.reshape(experts, outputs, inputs).transpose(0, 2, 1).astype(np.float32)


class StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx, w):
        return torch.from_numpy(rounded(w.detach().numpy()))

    @staticmethod
    def backward(ctx, gradient):
        return gradient


class Rounded(torch.nn.Module):
    def forward(self, w):
        return StraightThrough.apply(w)


model = GptOssForCausalLM.from_pretrained(HERE / "checkpoints/bf16", dtype=torch.float32, attn_implementation="eager")
for layer in model.model.layers:
    for name in ("gate_up_proj", "down_proj"):
        parametrize.register_parametrization(layer.mlp.experts, name, Rounded())
ids = torch.arange(1, 25).mul(7).remainder(model.config.vocab_size)[None]
written, losses = {}, []
for step in range(STEPS):
    model.zero_grad()
    loss = F.cross_entropy(model(ids).logits[0, :-1], ids[0, 1:])
    loss.backward()
    losses.append(loss.item())
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if step == 0:
                name = name.replace("parametrizations.", "").replace(".original", "")
                written["grad." + name] = parameter.grad.clone().contiguous()
            parameter -= RATE * parameter.grad
print(losses)
save_file({"ids": ids[0].float(), "losses": torch.tensor(losses), **written}, HERE / "qat.safetensors")
