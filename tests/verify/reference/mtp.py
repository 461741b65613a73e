"""Multi-token prediction on the checkpoint checkpoints/bf16: both cross-entropies, and every gradient of their weighted sum.

needs: pip install torch transformers
usage: python3 mtp.py        writes mtp.safetensors and mtp_gradients.safetensors beside this file

The module of DeepSeek-V3 (https://arxiv.org/abs/2412.19437, section 2.2), made of a layer with full attention and norms of
transformers. mtp.safetensors is what a checkpoint has beside its model.safetensors. Each sequence is computed by itself.

The second case ignores some targets. Of its gradients, the file has the sums over the last dimension.
"""
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import GptOssForCausalLM
from transformers.models.gpt_oss.modeling_gpt_oss import GptOssDecoderLayer, GptOssRMSNorm

HERE = Path(__file__).parent
WEIGHT, IGNORE = 0.3, -100
NAMES = [
    ("input_layernorm.", "attention_norm."),
    ("post_attention_layernorm.", "mlp_norm."),
    ("self_attn.sinks", "attention.sinks"),
    ("self_attn.q_proj.", "attention.q."),
    ("self_attn.k_proj.", "attention.k."),
    ("self_attn.v_proj.", "attention.v."),
    ("self_attn.o_proj.", "attention.o."),
    ("mlp.router.", "router."),
    ("mlp.experts.gate_up_proj_bias", "experts.gate_up.bias"),
    ("mlp.experts.gate_up_proj", "experts.gate_up.weight"),
    ("mlp.experts.down_proj_bias", "experts.down.bias"),
    ("mlp.experts.down_proj", "experts.down.weight"),
]
torch.manual_seed(11)
torch.set_num_threads(1)


class Mtp(torch.nn.Module):
    def __init__(self, config):
        super().__init__()
        self.hidden_norm = GptOssRMSNorm(config.hidden_size, config.rms_norm_eps)
        self.token_norm = GptOssRMSNorm(config.hidden_size, config.rms_norm_eps)
        self.projection = torch.nn.Linear(2 * config.hidden_size, config.hidden_size, bias=False)
        self.block = GptOssDecoderLayer(config, config.layer_types.index("full_attention"))
        self.norm = GptOssRMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, hidden, next_rows, rotary):
        length = hidden.shape[1]
        x = self.projection(torch.cat([self.hidden_norm(hidden), self.token_norm(next_rows)], dim=-1))
        mask = torch.full((length, length), torch.finfo(torch.float32).min).triu(1)[None, None]
        positions = torch.arange(length)[None]
        x = self.block(x, attention_mask=mask, position_ids=positions, position_embeddings=rotary(x, positions))
        return self.norm(x)


def ossia_name(name):
    for theirs, ours in NAMES:
        name = name.replace("block." + theirs, "block." + ours)
    return "mtp." + name


model = GptOssForCausalLM.from_pretrained(HERE / "checkpoints/bf16", dtype=torch.float32, attn_implementation="eager")
mtp = Mtp(model.config)
with torch.no_grad():
    for name, parameter in mtp.named_parameters():
        numbers = torch.randn_like(parameter) * (1 if "sinks" in name else 0.3)
        parameter.copy_((numbers + ("norm" in name)).bfloat16())
modules = {ossia_name(name): parameter for name, parameter in mtp.named_parameters()}
save_file({name: p.detach().bfloat16().contiguous() for name, p in modules.items()}, HERE / "mtp.safetensors")

sequences = [torch.arange(1, 16).mul(7).remainder(64), torch.arange(3, 12).mul(11).remainder(64)]
written = {"ids": torch.cat(sequences).float()}
for case in ("all", "masked"):
    model.zero_grad()
    mtp.zero_grad()
    logits, targets = [[], []], [[], []]
    for ids in sequences:
        hidden = model.model(ids[None]).last_hidden_state
        following = torch.cat([ids[1:], torch.tensor([IGNORE])])
        if case == "masked":
            following[[0, 1, 2, 5]] = IGNORE
        # The last token of a sequence is followed by none. Its row has no target.
        next_rows = model.model.embed_tokens(torch.cat([ids[1:], torch.tensor([0])]))[None]
        drafts = mtp(hidden, next_rows, model.model.rotary_emb)
        for i, rows in enumerate([hidden, drafts]):
            logits[i].append(model.lm_head(rows[0]))
        targets[0].append(following)
        targets[1].append(torch.cat([following[1:], torch.tensor([IGNORE])]))
    main, draft = [F.cross_entropy(torch.cat(z), torch.cat(t), ignore_index=IGNORE) for z, t in zip(logits, targets)]
    (main + WEIGHT * draft).backward()
    print(case, main.item(), draft.item())
    written[f"{case}.losses"] = torch.tensor([main.item(), draft.item()])
    written[f"{case}.targets"] = torch.cat(targets[0]).float()
    for name, parameter in [*model.named_parameters(), *modules.items()]:
        gradient = parameter.grad
        if case == "masked" and gradient.dim() > 1:
            gradient = gradient.sum(-1)
        written[f"{case}.grad.{name}"] = gradient.clone().contiguous()
save_file(written, HERE / "mtp_gradients.safetensors")
