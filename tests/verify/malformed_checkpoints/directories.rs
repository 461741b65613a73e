//! Faults between files: shards and their index, tensors and the configuration.

use super::{Broken, Case, INDEX, NORM, ONE, SHARD, case, find};
use serde_json::{Value, json};
use std::fs;

pub fn sharded() -> Vec<Case> {
    vec![
        case!("a shard missing", "bf16_sharded", |b| fs::remove_file(b.path(SHARD)).unwrap(), SHARD, "read"),
        case!("a shard cut short", "bf16_sharded", |b| b.bytes(SHARD, |c| c.truncate(c.len() - 9)), SHARD, "cut short"),
        case!("a shard empty", "bf16_sharded", |b| b.bytes(SHARD, Vec::clear), SHARD),
        case!("index empty", "bf16_sharded", |b| b.bytes(INDEX, Vec::clear), INDEX, "not JSON"),
        case!(
            "index without a map",
            "bf16_sharded",
            |b| b.json(INDEX, |i| _ = i.remove("weight_map")),
            INDEX,
            "weight_map"
        ),
        case!(
            "index with a list for a map",
            "bf16_sharded",
            |b| b.json(INDEX, |i| i["weight_map"] = json!([])),
            INDEX,
            "weight_map"
        ),
        case!(
            "an index of nothing",
            "bf16_sharded",
            |b| b.json(INDEX, |i| i["weight_map"] = json!({})),
            "embed_tokens",
            "missing"
        ),
        case!(
            "a path upwards",
            "bf16_sharded",
            |b| b.json(INDEX, |i| i["weight_map"][NORM] = json!("../model.safetensors")),
            INDEX,
            NORM,
            ".."
        ),
        case!(
            "an absolute path",
            "bf16_sharded",
            |b| b.json(INDEX, |i| i["weight_map"][NORM] = json!("/etc/passwd")),
            INDEX,
            NORM,
            "/etc/passwd"
        ),
        case!(
            "a path into a directory",
            "bf16_sharded",
            |b| b.json(INDEX, |i| i["weight_map"][NORM] = json!("a/b.safetensors")),
            INDEX,
            NORM
        ),
        case!(
            "a file that is a number",
            "bf16_sharded",
            |b| b.json(INDEX, |i| i["weight_map"][NORM] = json!(1)),
            INDEX,
            NORM
        ),
        case!(
            "a file without a name",
            "bf16_sharded",
            |b| b.json(INDEX, |i| i["weight_map"][NORM] = json!("")),
            INDEX,
            NORM
        ),
        case!(
            "a tensor that no shard has",
            "bf16_sharded",
            |b| b.json(INDEX, |i| i["weight_map"]["model.extra"] = json!(SHARD)),
            INDEX,
            "model.extra",
            "which does not have it"
        ),
    ]
}

pub fn configured() -> Vec<Case> {
    fn set(broken: &Broken, key: &str, value: Value) {
        broken.json("config.json", |c| _ = c.insert(key.into(), value));
    }
    vec![
        case!(
            "a layer more than there is",
            "bf16",
            |b| b.json("config.json", |c| {
                (c["num_hidden_layers"], c["layer_types"]) =
                    (json!(3), json!(["full_attention", "full_attention", "full_attention"]))
            }),
            ONE,
            "model.layers.2.",
            "missing"
        ),
        case!("another width", "bf16", |b| set(b, "hidden_size", json!(64)), ONE, "embed_tokens", "[64, 32]"),
        case!("another vocabulary", "bf16", |b| set(b, "vocab_size", json!(65)), ONE, "embed_tokens"),
        case!("more experts", "bf16", |b| set(b, "num_local_experts", json!(5)), ONE, "router"),
        case!("tied, with a head", "bf16", |b| set(b, "tie_word_embeddings", json!(true)), ONE, "lm_head.weight"),
        case!(
            "not tied, without a head",
            "bf16_sharded",
            |b| set(b, "tie_word_embeddings", json!(false)),
            "lm_head.weight",
            "missing"
        ),
        case!("a vocabulary of 2⁶²", "bf16", |b| set(b, "vocab_size", json!(1_u64 << 62)), "config.json", "vocab_size"),
        case!("four million experts", "bf16", |b| set(b, "num_local_experts", json!(1 << 22)), ONE, "router"),
    ]
}

pub fn original() -> Vec<Case> {
    vec![
        case!(
            "original: q, k and v too short",
            "original",
            |b| b.tensors(ONE, |t| {
                let qkv = find(t, "block.0.attn.qkv.weight");
                (qkv.2, qkv.3) = (json!([127, 32]), qkv.3[..127 * 64].to_vec());
            }),
            ONE,
            "block.0.attn.qkv.weight",
            "[127, 32]"
        ),
        case!(
            "original: a tensor missing",
            "original",
            |b| b.tensors(ONE, |t| t.retain(|(name, ..)| name != "block.1.mlp.gate.bias")),
            ONE,
            "block.1.mlp.gate.bias",
            "missing"
        ),
        case!(
            "original: blocks without scales",
            "original",
            |b| b.tensors(ONE, |t| t.retain(|(name, ..)| name != "block.0.mlp.mlp1_weight.scales")),
            ONE,
            "mlp1_weight.scales",
            "missing"
        ),
        case!(
            "original: no experts in the configuration",
            "original",
            |b| b.json("config.json", |c| _ = c.remove("num_experts")),
            "config.json",
            "num_experts"
        ),
        case!(
            "original: an absurd window",
            "original",
            |b| b.json("config.json", |c| c["sliding_window"] = json!("wide")),
            "config.json",
            "sliding_window"
        ),
        case!(
            "original: more layers than memory",
            "original",
            |b| b.json("config.json", |c| c["num_hidden_layers"] = json!(1_u64 << 40)),
            "config.json",
            "num_hidden_layers"
        ),
    ]
}
