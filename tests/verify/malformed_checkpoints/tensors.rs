//! Faults of a tensor, quantized or not.

use super::{Broken, CODES, Case, NORM, ONE, SCALES, case, find};
use serde_json::json;

pub fn tensors() -> Vec<Case> {
    vec![
        case!(
            "a tensor missing",
            "bf16",
            |b| b.tensors(ONE, |t| t.retain(|(name, ..)| name != NORM)),
            ONE,
            NORM,
            "missing"
        ),
        case!("all tensors missing", "bf16", |b| b.tensors(ONE, Vec::clear), ONE, "embed_tokens", "missing"),
        case!(
            "a tensor nobody needs",
            "bf16",
            |b| b.tensors(ONE, |t| t.push(("extra".into(), json!("U8"), json!([3]), vec![0; 3]))),
            ONE,
            "extra"
        ),
        case!(
            "a tensor of a layer too many",
            "bf16",
            |b| b.tensors(ONE, |t| {
                let mut extra = find(t, "model.layers.0.input_layernorm.weight").clone();
                extra.0 = "model.layers.2.input_layernorm.weight".into();
                t.push(extra)
            }),
            ONE,
            "model.layers.2.input_layernorm.weight"
        ),
        case!("another shape", "bf16", |b| b.tensors(ONE, |t| find(t, NORM).2 = json!([16, 2])), ONE, NORM, "[16, 2]"),
        case!(
            "turned around",
            "bf16",
            |b| b.tensors(ONE, |t| find(t, "model.layers.0.self_attn.k_proj.weight").2 = json!([32, 32, 1])),
            ONE,
            "k_proj"
        ),
        case!(
            "whole numbers",
            "bf16",
            |b| b.tensors(ONE, |t| find(t, "lm_head.weight").1 = json!("I16")),
            ONE,
            "lm_head.weight",
            "I16"
        ),
        case!(
            "double precision",
            "plain",
            |b| b.tensors(ONE, |t| {
                let norm = find(t, NORM);
                (norm.1, norm.3) = (json!("F64"), norm.3.repeat(2));
            }),
            ONE,
            NORM,
            "F64"
        ),
    ]
}

pub fn quantized() -> Vec<Case> {
    vec![
        case!(
            "blocks without scales",
            "mxfp4",
            |b| b.tensors(ONE, |t| t.retain(|(name, ..)| name != SCALES)),
            ONE,
            SCALES,
            "missing"
        ),
        case!(
            "scales without blocks",
            "mxfp4",
            |b| b.tensors(ONE, |t| t.retain(|(name, ..)| name != CODES)),
            ONE,
            CODES,
            "missing"
        ),
        case!(
            "neither",
            "mxfp4",
            |b| b.tensors(ONE, |t| t.retain(|(name, ..)| !name.contains("layers.0.mlp.experts.gate_up_proj_"))),
            ONE,
            "gate_up_proj",
            "missing"
        ),
        case!(
            "blocks of another size",
            "mxfp4",
            |b| b.tensors(ONE, |t| find(t, CODES).2 = json!([4, 64, 2, 8])),
            ONE,
            CODES,
            "[4, 64, 2, 8]"
        ),
        case!(
            "scales of another shape",
            "mxfp4",
            |b| b.tensors(ONE, |t| find(t, SCALES).2 = json!([4, 32])),
            ONE,
            SCALES,
            "[4, 32]"
        ),
        case!("blocks with a sign", "mxfp4", |b| b.tensors(ONE, |t| find(t, CODES).1 = json!("I8")), ONE, CODES, "I8"),
        case!(
            "scales as floats of 8 bits",
            "mxfp4",
            |b| b.tensors(ONE, |t| find(t, SCALES).1 = json!("F8_E4M3")),
            ONE,
            SCALES,
            "F8_E4M3"
        ),
        case!(
            "both blocks and weights",
            "mxfp4",
            |b| b.tensors(ONE, |t| t.push((
                "model.layers.0.mlp.experts.gate_up_proj".into(),
                json!("U8"),
                json!([1]),
                vec![0]
            ))),
            ONE,
            "gate_up_proj"
        ),
        case!(
            "another quantization",
            "mxfp4",
            |b| b.json("config.json", |c| c["quantization_config"]["quant_method"] = json!("fp8")),
            "config.json",
            "fp8"
        ),
        case!(
            "a quantization without a name",
            "mxfp4",
            |b| b.json("config.json", |c| c["quantization_config"] = json!({})),
            "config.json",
            "quant_method"
        ),
        case!(
            "rows that are not whole blocks",
            "mxfp4",
            |b| b.json("config.json", |c| c["intermediate_size"] = json!(20)),
            ONE,
            "gate_up_proj"
        ),
    ]
}
