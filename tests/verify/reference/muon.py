"""Writes what torch.optim.Muon does to matrices in three steps.

usage: python muon.py     (writes muon.safetensors; the same numbers on every run)

w0: the matrix, g: the three gradients, w: the matrix after them. torch rounds the iteration to bf16; `w` is what the same code
gives in float32, and `w_bf16` what it gives as it is. `stack` is three matrices, each with an optimizer of its own.
needs: pip install torch safetensors
"""

import inspect
from pathlib import Path

import torch
import torch.optim._muon as muon
from safetensors.torch import save_file

SHAPES = {"square": (16, 16), "wide": (12, 40), "tall": (40, 12), "row": (1, 8), "stack": (3, 8, 20)}
SETTINGS = dict(lr=0.02, weight_decay=0.1, momentum=0.95, nesterov=True, adjust_lr_fn="match_rms_adamw")
BF16 = muon._zeropower_via_newtonschulz


def in_float32():
    """Their iteration, without the rounding."""
    source = inspect.getsource(BF16).replace("torch.bfloat16", "torch.float32")
    names = dict(vars(muon))
    exec(source, names)
    return names["_zeropower_via_newtonschulz"]


def train(w0, gradients, iteration):
    muon._zeropower_via_newtonschulz = iteration
    matrices = [torch.nn.Parameter(w.clone()) for w in (w0 if w0.dim() == 3 else w0[None])]
    optimizers = [torch.optim.Muon([matrix], **SETTINGS) for matrix in matrices]
    for g in gradients:
        for matrix, part, optimizer in zip(matrices, g if g.dim() == 3 else g[None], optimizers):
            matrix.grad = part.clone()
            optimizer.step()
    return torch.stack([matrix.detach() for matrix in matrices]).reshape(w0.shape)


torch.manual_seed(0)
tensors = {}
for name, shape in SHAPES.items():
    w0 = torch.randn(shape)
    # A few directions are much larger than the others, as in a gradient.
    scale = torch.logspace(0, -2, shape[-1])
    g = torch.randn(3, *shape) * scale
    tensors |= {f"{name}.w0": w0, f"{name}.g": g}
    tensors[f"{name}.w"] = train(w0, g, in_float32())
    tensors[f"{name}.w_bf16"] = train(w0, g, BF16)
save_file(tensors, Path(__file__).parent / "muon.safetensors")
