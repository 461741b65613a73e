//! The whole model against transformers: activations, logits, every gradient, ten steps of AdamW.
//!
//! Book: [model](../../book/src/model.md)

use crate::common::{Reference, TOLERANCE, assert_close, difference, reference_path};
use ndarray::Array2;
use ossia::checkpoint;
use ossia::config::ModelConfig;
use ossia::data::IGNORE;
use ossia::layers::Layer;
use ossia::model::Transformer;
use ossia::ops::attention::Sequences;
use ossia::tensor::{Gradients, slice};

pub const CHECKPOINTS: [&str; 4] = ["plain", "tied", "yarn", "wide_window"];

fn open(name: &str) -> (Transformer, Reference) {
    let model =
        checkpoint::load_trainable(reference_path(&format!("checkpoints/{name}"))).unwrap_or_else(|e| panic!("{e}"));
    (model, Reference::open(&format!("checkpoints/{name}/reference")))
}

#[test]
fn model_loss_and_every_gradient_match_transformers() {
    for name in CHECKPOINTS {
        let (model, reference) = open(name);
        let tokens = reference.ids("tokens");
        let inputs = Array2::from_shape_vec((1, tokens.len() - 1), tokens[..tokens.len() - 1].to_vec()).unwrap();
        let mut without_balance = model.clone();
        without_balance.config.router_aux_loss_coef = 0.0;
        let loss = without_balance.loss(&model.forward(inputs.view(), None), &tokens[1..]);
        let expected = reference.array("loss");
        assert!((loss.cross_entropy - slice(&expected)[0]).abs() < 1e-5, "{name}: loss {}", loss.cross_entropy);
        let gradients = loss.total.backward();
        for parameter in model.parameters() {
            let (name_of, tensor) = (parameter.name(), parameter.tensor());
            let file_name = checkpoint::file_name(name_of);
            let expected = reference.array(&format!("grad.{file_name}"));
            assert_eq!(expected.shape(), tensor.shape(), "{file_name}");
            let actual = slice(gradients.get(tensor).unwrap_or_else(|| panic!("{name_of} has no gradient")));
            if let Some(message) = difference(&format!("{name}: {file_name}"), actual, slice(&expected), TOLERANCE) {
                panic!("{message}");
            }
        }
    }
}

#[test]
fn model_activations_match_transformers_layer_by_layer() {
    for name in CHECKPOINTS {
        let (model, reference) = open(name);
        assert_activations(name, &model, &reference);
        // The same weights, multiplied as they lie in the file.
        let frozen = checkpoint::load(reference_path(&format!("checkpoints/{name}"))).unwrap();
        assert!(frozen.parameters().iter().all(|parameter| !parameter.is_trainable()));
        assert_activations(name, &frozen, &reference);
    }
}

fn assert_activations(name: &str, model: &Transformer, reference: &Reference) {
    let tokens = reference.ids("tokens");
    let inputs = Array2::from_shape_vec((1, tokens.len()), tokens).unwrap();
    let mut seen = 0;
    let output = model.forward_observed(inputs.view(), &mut [], &mut |activation, actual| {
        let tensor = activation.to_string();
        seen += 1;
        let expected = reference.array(&tensor);
        if let Some(message) = difference(&format!("{name}: {tensor}"), actual.data(), slice(&expected), TOLERANCE) {
            panic!("{message}");
        }
    });
    assert_eq!(seen, 2 + 4 * model.config.layers);
    let logits = model.logits(&output.hidden);
    crate::common::assert_close("logits", logits.data(), slice(&reference.array("logits")), TOLERANCE);
}

/// Packed sequences see nothing of each other: their hidden states are those of each alone, bit for bit, and the gradients agree.
#[test]
fn model_on_packed_sequences_is_the_model_on_each() {
    let config = ModelConfig { layers: 2, windows: vec![Some(4), None], hidden_size: 32, ..ModelConfig::nano() };
    let model = Transformer::random(&config, 4);
    let lengths = [7, 1, 20, 4];
    let sequences = Sequences::of_lengths(lengths);
    let ids: Vec<u32> = (0..32).map(|i| i * 37 % 400).collect();
    let targets: Vec<u32> = (0..32).map(|i| if i % 3 == 0 { IGNORE } else { i * 11 % 400 }).collect();
    let packed = model.forward_packed(&ids, &sequences);
    let totals = model.totals(&packed, &targets);
    let gradients = model.partial_loss(&packed, &targets, &totals).total.backward();
    let mut sums = Gradients::default();
    for rows in sequences.iter() {
        let alone = Array2::from_shape_vec((1, rows.len()), ids[rows.clone()].to_vec()).unwrap();
        let output = model.forward(alone.view(), None);
        let width = config.hidden_size;
        assert!(output.hidden.data() == &packed.hidden.data()[rows.start * width..rows.end * width], "{rows:?}");
        sums.accumulate(model.partial_loss(&output, &targets[rows], &totals).total.backward());
    }
    for parameter in model.parameters() {
        let [packed, sum] = [&gradients, &sums].map(|g| g.get(parameter.tensor()).map(|g| slice(g).to_vec()));
        assert_close(parameter.name(), &packed.unwrap(), &sum.unwrap(), 1e-5);
    }
}
