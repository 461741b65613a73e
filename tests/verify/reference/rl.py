"""The objectives of reinforcement learning: the gradient of each with respect to the log-probability of every token.

needs: pip install torch
usage: python3 rl.py        writes rl.json beside this file

The losses are written as in the papers, with clamps and minima, and differentiated by PyTorch.
"""
import json
from pathlib import Path

import torch

torch.manual_seed(0)
LENGTHS = [3, 7, 1, 12, 5, 2]
SPREAD = 0.4  # so that some ratios are beyond the clips
tokens, rollouts = sum(LENGTHS), len(LENGTHS)
advantages = torch.randn(rollouts)
old = [-3 * torch.rand(n) for n in LENGTHS]
start = [o + SPREAD * torch.randn(len(o)) for o in old]
now = [(o + SPREAD * torch.randn(len(o)) + 0.3 * torch.randn(1)).requires_grad_() for o in old]


def reinforce():
    return -sum(a * n.sum() for a, n in zip(advantages, now)) / tokens


def cispo(clip):
    terms = (torch.clamp((n - o).exp(), max=1 + clip).detach() * a * n for a, n, o in zip(advantages, now, old))
    return -sum(term.sum() for term in terms) / tokens


def gspo(clip):
    total = 0
    for a, n, o in zip(advantages, now, old):
        s = (n - o).mean().exp()
        total = total + torch.minimum(s * a, torch.clamp(s, 1 - clip, 1 + clip) * a)
    return -total / rollouts


def with_kl(loss, beta):
    terms = ((s - n).exp() - (s - n) - 1 for s, n in zip(start, now))
    return loss + beta * sum(term.sum() for term in terms) / tokens


cases = {}
for name, loss in {
    "reinforce": reinforce(),
    "cispo 0.2": cispo(0.2),
    "gspo 0.2": gspo(0.2),
    "gspo 0.02": gspo(0.02),
    "reinforce kl 0.5": with_kl(reinforce(), 0.5),
    "cispo 0.2 kl 0.1": with_kl(cispo(0.2), 0.1),
}.items():
    cases[name] = [g.tolist() for g in torch.autograd.grad(loss, now)]
lists = {key: [t.tolist() for t in value] for key, value in {"old": old, "start": start, "now": now}.items()}
out = {"advantages": advantages.tolist(), **lists, "gradients": cases}
Path(__file__).with_name("rl.json").write_text(json.dumps(out) + "\n")
