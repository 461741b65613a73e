//! Fast arithmetic: what it changes, what it leaves alone, and that a token is the same alone and among many.
//!
//! Book: [mxfp4](../../book/src/mxfp4.md)

use crate::common::assert_close;
use ndarray::Array2;
use ossia::checkpoint::{Arithmetic, Form, Layout, SaveOptions, load, load_with, save_as, save_weights};
use ossia::config::ModelConfig;
use ossia::data::Windows;
use ossia::layers::{KvCache, KvFormat, Layer};
use ossia::model::Transformer;
use ossia::stored::Precision;
use ossia::train::{EvaluationSet, deviation, evaluate};
use std::path::Path;
use tempfile::TempDir;

const FAST: Arithmetic = Arithmetic { precision: Precision::Fast, dense_int8: true, kv_format: KvFormat::F32 };

/// A model that was never trained, with experts in MXFP4.
fn quantized(config: &ModelConfig) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let model = Transformer::random(config, 7);
    let written = SaveOptions { form: Form::Mxfp4, layout: Layout::HuggingFace, shard_bytes: None };
    save_as(&model, directory.path(), written).unwrap();
    directory
}

/// All experts work on every token: of a router that was never trained, a rounding may change the choice.
fn all_experts() -> ModelConfig {
    ModelConfig { experts_per_token: 8, ..ModelConfig::nano() }
}

fn formats(model: &Transformer) -> Vec<(&str, &'static str)> {
    let stored = model.parameters().into_iter().filter(|parameter| parameter.value().stored().is_some());
    stored.map(|parameter| (parameter.name(), parameter.value().format())).collect()
}

fn logits(model: &Transformer, tokens: &[u32], cache: Option<&mut KvCache>) -> Vec<f32> {
    let tokens = Array2::from_shape_vec((1, tokens.len()), tokens.to_vec()).unwrap();
    model.logits(&model.forward(tokens.view(), cache).hidden).data().to_vec()
}

#[test]
fn precision_rounds_the_dense_weights_that_a_token_reads_whole() {
    for tied in [true, false] {
        let directory = quantized(&ModelConfig { tied, layers: 1, windows: vec![None], ..ModelConfig::nano() });
        let model = load_with(directory.path(), FAST).unwrap();
        for (name, format) in formats(&model) {
            let expected = match name {
                "layers.0.router.weight" => "bf16",
                "embedding.weight" if !tied => "bf16",
                name if name.contains("experts") => "mxfp4",
                _ => "int8",
            };
            assert_eq!(format, expected, "{name}, tied {tied}");
        }
    }
}

#[test]
fn precision_fast_is_near_exact_and_not_exact() {
    let directory = quantized(&all_experts());
    let tokens: Vec<u32> = (0..40).map(|i| i * 37 % 2_048).collect();
    let exact = logits(&load(directory.path()).unwrap(), &tokens, None);
    for (precision, dense_int8) in [(Precision::Fast, false), (Precision::Exact, true), (Precision::Fast, true)] {
        let model = load_with(directory.path(), Arithmetic { precision, dense_int8, ..Default::default() }).unwrap();
        let other = logits(&model, &tokens, None);
        let scale = exact.iter().fold(0.0_f32, |scale, x| scale.max(x.abs()));
        let error = exact.iter().zip(&other).fold(0.0_f32, |error, (a, b)| error.max((a - b).abs())) / scale;
        assert!(error > 1e-6 && error < 0.03, "{precision:?}, int8 {dense_int8}: {error}");
    }
}

#[test]
fn precision_fast_gives_a_token_the_same_logits_alone_and_among_many() {
    let directory = quantized(&ModelConfig::nano());
    let model = load_with(directory.path(), FAST).unwrap();
    let tokens: Vec<u32> = (0..12).map(|i| i * 131 % 2_048).collect();
    let together = logits(&model, &tokens, None);
    let mut cache = KvCache::new(&model.config);
    let alone: Vec<f32> = tokens.iter().flat_map(|&token| logits(&model, &[token], Some(&mut cache))).collect();
    // A sum that differs in its last bit may be rounded to another int8: hundredths of a logit, not millionths.
    assert_close("logits", &alone, &together, 5e-3);
}

fn set(context: usize) -> EvaluationSet {
    let text: Vec<u32> = (0..300_u32).map(|i| i * i % 2_048).collect();
    EvaluationSet { windows: Windows::new(&[text], 0, context).unwrap(), entropy_floor: None, bytes: 1 }
}

#[test]
fn precision_is_measured_as_a_divergence() {
    let directory = quantized(&all_experts());
    let (exact, fast) = (load(directory.path()).unwrap(), load_with(directory.path(), FAST).unwrap());
    let (none, some) = (deviation(&exact, &exact, &set(64), 2), deviation(&exact, &fast, &set(64), 2));
    assert_eq!((none.divergence, none.same_choice), (0.0, 1.0));
    let loss = evaluate(&exact, &set(64), 2).loss;
    assert!((some.exact_loss - loss).abs() < 1e-5 * loss, "{some:?}; expected {loss}");
    assert_eq!((none.tokens, some.tokens), (301, 301));
    assert!(some.divergence > 0.0 && some.divergence < 1e-2, "{some:?}");
    assert!(some.same_choice > 0.8, "{some:?}");
    // By hand, from all logits at once.
    let other = Transformer::random(&ModelConfig::nano(), 8);
    let measured = deviation(&exact, &other, &set(64), 3);
    let ln_softmax = |z: &[f32]| {
        let total = z.iter().map(|&z| f64::from(z).exp()).sum::<f64>().ln();
        z.iter().map(|&z| f64::from(z) - total).collect::<Vec<f64>>()
    };
    let mut expected = 0.0;
    for batch in set(64).windows.evaluation(1) {
        let of = |model: &Transformer| model.logits(&model.forward(batch.inputs.view(), None).hidden);
        let (p, q) = (of(&exact), of(&other));
        let rows = p.matrix().nrows();
        for t in (0..rows).filter(|&t| batch.targets[[0, t]] != ossia::data::IGNORE) {
            let (p, q) = (ln_softmax(&p.matrix().row(t).to_vec()), ln_softmax(&q.matrix().row(t).to_vec()));
            expected += p.iter().zip(q).map(|(p, q)| p.exp() * (p - q)).sum::<f64>() / 301.0;
        }
    }
    assert!((measured.divergence - expected).abs() < 1e-4 * expected, "{measured:?}; expected {expected}");
}

#[test]
fn precision_refuses_rows_that_are_not_whole_blocks() {
    let directory = tempfile::tempdir().unwrap();
    let config = ModelConfig { hidden_size: 48, ..ModelConfig::nano() };
    save_weights(&Transformer::random(&config, 1), directory.path()).unwrap();
    let fast = |path: &Path| load_with(path, FAST).map(|_| ()).unwrap_err().to_string();
    let message = fast(directory.path());
    assert!(message.contains("rows of 48 are not whole blocks of 32"), "{message}");
    load_with(directory.path(), Arithmetic { precision: Precision::Fast, ..Default::default() }).unwrap();
}
