"""Steps of training transformers' GptOssForCausalLM in f32: forward, backward, clipping, fused AdamW.

usage: python torch_train.py CONFIG.json BATCH CONTEXT eager|grouped_mm|compile SECONDS THREADS
needs: pip install torch transformers

Prints one line of JSON: the median step in seconds, and the most memory that the process had, in MB.
"""

import json
import statistics
import sys
import time

import torch
from transformers import GptOssConfig, GptOssForCausalLM

path, batch, context, mode, seconds, threads = sys.argv[1:]
batch, context, seconds = int(batch), int(context), float(seconds)
torch.set_num_threads(int(threads))
torch.manual_seed(0)

config = GptOssConfig.from_json_file(path)
config._attn_implementation = "eager"  # the one that has sinks on a CPU
config._experts_implementation = "grouped_mm" if mode == "grouped_mm" else "eager"
config.use_cache = False
model = GptOssForCausalLM(config).float().train()
with torch.no_grad():
    for parameter in model.parameters():  # experts and sinks come uninitialized
        if parameter.dim() > 1 or not parameter.isfinite().all():
            parameter.normal_(0, 0.02)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
run = torch.compile(model) if mode == "compile" else model
tokens = torch.randint(0, config.vocab_size, (batch, context))


def step():
    start = time.perf_counter()
    run(input_ids=tokens, labels=tokens).loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    return time.perf_counter() - start


step(), step()
steps, end = [], time.perf_counter() + seconds
while time.perf_counter() < end or len(steps) < 3:
    steps.append(step())
# Not ru_maxrss: that of the program that started this one counts there.
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
peak = int(status["VmHWM"].split()[0]) * 1.024e-3
print(json.dumps({"seconds": statistics.median(steps), "peak_mb": peak}))
