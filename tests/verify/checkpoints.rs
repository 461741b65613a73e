//! Checkpoints as they are published: bf16, MXFP4, sharded, OpenAI's own layout, texts past 4,096 and 8,192 tokens.

use crate::common::{Reference, TOLERANCE, assert_close, reference_path};
use ossia::checkpoint;
use ossia::generate::Generator;
use ossia::generate::Sampling;
use ossia::generate::trace::{first_difference, trace};
use ossia::layers::Parameter;
use ossia::model::Transformer;
use ossia::tensor::slice;

const NARROW: [&str; 5] = ["bf16", "bf16_sharded", "mxfp4", "mxfp4_yarn", "original"];

fn path(name: &str) -> std::path::PathBuf {
    reference_path(&format!("checkpoints/{name}"))
}

/// The formats of all frozen weights.
fn formats(model: &Transformer) -> Vec<&'static str> {
    let mut formats = Vec::new();
    model.clone().visit(&mut |_, parameter| {
        if let Parameter::Frozen(stored) = parameter {
            formats.push(stored.numbers().format());
        }
    });
    formats
}

#[test]
fn checkpoints_of_every_format_trace_like_the_reference() {
    for name in NARROW {
        let model = checkpoint::load(path(name)).unwrap_or_else(|e| panic!("{e}"));
        let quantized = !name.starts_with("bf16");
        assert_eq!(formats(&model).contains(&"mxfp4"), quantized, "{name}");
        assert!(formats(&model).contains(&"bf16"), "{name}: nothing was widened");
        let reference = Reference::open(&format!("checkpoints/{name}/reference"));
        let tensors = trace(&model, &reference.ids("tokens"), false).unwrap();
        assert_eq!(tensors.len(), 4 + 4 * model.config.layers);
        assert_eq!(first_difference(&tensors, |name| Some(reference.array(name)), TOLERANCE), None, "{name}");
    }
}

/// Gradients flow through frozen experts to everything below them.
#[test]
fn checkpoints_of_every_format_have_the_gradients_of_the_reference() {
    for name in ["bf16", "bf16_sharded", "mxfp4", "mxfp4_yarn"] {
        let model = checkpoint::load_trainable(path(name)).unwrap_or_else(|e| panic!("{e}"));
        let frozen = if name.starts_with("mxfp4") { 2 * model.config.layers } else { 0 };
        assert_eq!(formats(&model), vec!["mxfp4"; frozen]);
        let reference = Reference::open(&format!("checkpoints/{name}/reference"));
        let tensors = trace(&model, &reference.ids("tokens"), true).unwrap();
        assert_eq!(tensors.len(), 4 + 4 * model.config.layers + model.parameters().len());
        assert_eq!(first_difference(&tensors, |name| Some(reference.array(name)), TOLERANCE), None, "{name}");
    }
}

/// In one prefill and, from the cache, token by token behind 4,096 and behind 8,192.
#[test]
fn checkpoints_read_far_behind_the_original_context() {
    let model = checkpoint::load(path("long")).unwrap();
    let reference = Reference::open("checkpoints/long/reference");
    let expected = reference.array("logits");
    let tokens: Vec<u32> = (0..8_300_u64).map(|t| ((t * t * 31 + t * 7) % 64) as u32).collect();
    for (row, position) in reference.ids("positions").into_iter().enumerate() {
        let expected = &slice(&expected)[row * 64..(row + 1) * 64];
        let text = &tokens[..=position as usize];
        let prefilled = Generator::new(&model, text, Sampling::default()).unwrap();
        assert_close(&format!("position {position}"), prefilled.logits(), expected, TOLERANCE);
    }
}

#[test]
fn checkpoints_decode_behind_the_original_context_as_in_one_piece() {
    let model = checkpoint::load(path("long")).unwrap();
    let tokens: Vec<u32> = (0..8_300_u64).map(|t| ((t * t * 31 + t * 7) % 64) as u32).collect();
    for start in [100, 4_080, 8_180] {
        let mut generator = Generator::new(&model, &tokens[..start], Sampling::default()).unwrap();
        tokens[start..start + 40].iter().for_each(|&token| generator.push(token));
        let whole = Generator::new(&model, &tokens[..start + 40], Sampling::default()).unwrap();
        assert_close(&format!("after {start}"), generator.logits(), whole.logits(), TOLERANCE);
    }
}
