"""Adapters of PEFT on the checkpoint checkpoints/plain, with what they compute.

needs: pip install torch transformers peft
usage: python3 lora.py                writes lora/ beside this file
       python3 lora.py --check DIR    opens an adapter that ossia wrote: the tensors and the logits are those of the fixture

For each kind of target, and for all of them together, an adapter with random A and B; and the logits and the loss of the model with it.
"""
import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import GptOssForCausalLM

HERE = Path(__file__).parent
BASE = HERE / "checkpoints/plain"
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
EXPERTS = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]
ROUTER = ["mlp.router.weight"]
KINDS = {
    "attention": (ATTENTION, []),
    "experts": ([], EXPERTS),
    "router": ([], ROUTER),
    "head": (["lm_head"], []),
    "all": (ATTENTION + ["lm_head"], EXPERTS + ROUTER),
}
torch.set_num_threads(1)


def base():
    return GptOssForCausalLM.from_pretrained(BASE, dtype=torch.float32, attn_implementation="eager").eval()


def tokens(vocabulary):
    return torch.arange(1, 15).mul(7).remainder(vocabulary)[None]


def outputs(model):
    ids = tokens(model.config.vocab_size)
    logits = model(ids).logits[0]
    return ids[0], logits, F.cross_entropy(logits[:-1], ids[0, 1:])


def write(kind, modules, parameters):
    torch.manual_seed(len(kind))
    config = LoraConfig(r=3, lora_alpha=5, target_modules=modules, target_parameters=parameters, task_type="CAUSAL_LM")
    model = get_peft_model(base(), config)
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    for name, parameter in trained.items():
        parameter.data.normal_(0.0, 0.3)
    ids, logits, loss = outputs(model)
    loss.backward()
    place = HERE / "lora" / kind
    model.save_pretrained(place)
    (place / "README.md").unlink(missing_ok=True)
    config = json.loads((place / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "plain"
    (place / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    gradients = {name.replace(".default", "") + ".grad": p.grad.contiguous() for name, p in trained.items()}
    save_file({"ids": ids.float(), "logits": logits.detach().contiguous(), "loss": loss.detach().reshape(1), **gradients}, place / "reference.safetensors")


def check(directory):
    kind = Path(directory).name
    expected = load_file(HERE / "lora" / kind / "reference.safetensors")
    ours, theirs = (load_file(Path(d) / "adapter_model.safetensors") for d in (directory, HERE / "lora" / kind))
    assert ours.keys() == theirs.keys(), ours.keys() ^ theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    model = PeftModel.from_pretrained(base(), directory).eval()
    _, logits, _ = outputs(model)
    print(kind, "largest difference of a logit:", (logits - expected["logits"]).abs().max().item())
    assert torch.allclose(logits, expected["logits"], atol=1e-5)


if sys.argv[1:2] == ["--check"]:
    check(sys.argv[2])
else:
    for kind, (modules, parameters) in KINDS.items():
        write(kind, modules, parameters)
