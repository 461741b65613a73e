"""Trains a dense GPT-2 with transformers and torch on the texts, tokens and windows of ossia, and measures bits per byte.

usage: python gpt2_train.py RUN TRAIN.jsonl VALID.jsonl [--steps N | --seconds S] [--learning-rate X] [--threads N]
needs: pip install torch transformers

RUN is a directory that `ossia train` has written: its config.json gives the width, the layers and the vocabulary, and its
tokenizer.json the tokens. The rest is as ossia does it: 16 windows of 256 tokens, a twentieth of the steps to warm up and then
a linear schedule down to 0, AdamW with (0.9, 0.95), a weight decay of 0.1 for matrices and clipping at 1. With `--seconds` it
only measures the median step. Prints one line of JSON for each evaluation.
"""

import argparse
import json
import math
import pathlib
import statistics
import time

import torch
from tokenizers import Tokenizer
from transformers import GPT2Config, GPT2LMHeadModel

parser = argparse.ArgumentParser()
parser.add_argument("run", type=pathlib.Path)
parser.add_argument("train")
parser.add_argument("valid")
parser.add_argument("--steps", type=int, default=1000)
parser.add_argument("--seconds", type=float)
parser.add_argument("--learning-rate", type=float, default=1e-3)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.set_num_threads(args.threads)
torch.manual_seed(args.seed)

ours = json.loads((args.run / "config.json").read_text())
tokenizer = Tokenizer.from_file(str(args.run / "tokenizer.json"))
end, context, batch = ours["eos_token_id"], 256, 16


def read(path):
    texts = [json.loads(line)["text"] for line in open(path, encoding="utf-8")]
    ids = [id for text in texts for id in tokenizer.encode(text, add_special_tokens=False).ids + [end]]
    return torch.tensor(ids), sum(len(text.encode()) for text in texts)


(train, _), (valid, valid_bytes) = read(args.train), read(args.valid)
model = GPT2LMHeadModel(
    GPT2Config(
        vocab_size=ours["vocab_size"],
        n_positions=context,
        n_embd=ours["hidden_size"],
        n_layer=ours["num_hidden_layers"],
        n_head=ours["num_attention_heads"],
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=end,
        eos_token_id=end,
        use_cache=False,
    )
).train()
matrices = [p for p in model.parameters() if p.dim() > 1]
others = [p for p in model.parameters() if p.dim() < 2]
groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
optimizer = torch.optim.AdamW(groups, lr=args.learning_rate, betas=(0.9, 0.95), fused=True)
run = torch.compile(model)


def loss_of(windows):
    logits = run(input_ids=windows[:, :-1]).logits
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten(), reduction="sum")


def evaluate(step):
    # Each token is predicted once, from those before it in its window.
    nats, predicted = 0.0, 0
    with torch.no_grad():
        for start in range(0, len(valid) - 1, context):
            window = valid[start : start + context + 1]
            nats += loss_of(window[None]).item() if len(window) > 1 else 0.0
            predicted += len(window) - 1
    bits = nats / math.log(2) / valid_bytes
    report = {"step": step, "nats_per_token": nats / predicted, "bits_per_byte": bits}
    print(json.dumps(report | {"parameters": model.num_parameters()}), flush=True)


def windows():
    while True:  # an epoch: all windows once, in random order, from a random first token
        offset = torch.randint(0, context, (1,)).item()
        starts = torch.arange(offset, len(train) - context, context)
        starts = starts[torch.randperm(len(starts))]
        for chunk in starts[: len(starts) // batch * batch].split(batch):
            yield torch.stack([train[start : start + context + 1] for start in chunk])


def train_step(step, window):
    warmup = max(args.steps // 20, 1)
    share = step / warmup if step <= warmup else (args.steps - step) / (args.steps - warmup)
    for group in optimizer.param_groups:
        group["lr"] = args.learning_rate * share
    start = time.perf_counter()
    (loss_of(window) / window[:, 1:].numel()).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    return time.perf_counter() - start


source = windows()
if args.seconds:
    train_step(1, next(source)), train_step(1, next(source))
    steps, stop = [], time.perf_counter() + args.seconds
    while time.perf_counter() < stop:
        steps.append(train_step(1, next(source)))
    print(json.dumps({"seconds_per_step": statistics.median(steps), "parameters": model.num_parameters()}))
else:
    for step in range(1, args.steps + 1):
        train_step(step, next(source))
        if step == args.steps or step % max(args.steps // 5, 1) == 0:
            evaluate(step)
