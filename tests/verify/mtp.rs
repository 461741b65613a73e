//! Multi-token prediction: the losses and the gradients of PyTorch, and drafts with a cache.
//!
//! Book: [drafts](../../book/src/drafts.md)

use crate::common::{Reference, TOLERANCE, assert_close, random, reference_path};
use ndarray::ArrayView2;
use ossia::checkpoint::{self, load_trainable};
use ossia::config::ModelConfig;
use ossia::data::IGNORE;
use ossia::layers::Layer;
use ossia::model::Transformer;
use ossia::ops::attention::Sequences;
use ossia::tensor::{Array, slice};
use std::fs;

/// The lengths of the sequences of the reference.
const LENGTHS: [usize; 2] = [15, 9];

/// The checkpoint `bf16` with the module of the reference.
fn model() -> Transformer {
    let (directory, bf16) = (tempfile::tempdir().unwrap(), reference_path("checkpoints/bf16"));
    let config = fs::read_to_string(bf16.join("config.json")).unwrap();
    let config = config.replacen('{', "{\n  \"num_nextn_predict_layers\": 1,", 1);
    fs::write(directory.path().join("config.json"), config).unwrap();
    fs::copy(bf16.join("model.safetensors"), directory.path().join("model.safetensors")).unwrap();
    fs::copy(reference_path("mtp.safetensors"), directory.path().join("mtp.safetensors")).unwrap();
    let mut model = load_trainable(directory.path()).unwrap();
    model.config.router_aux_loss_coef = 0.0;
    model
}

/// The targets of the reference, which writes −100 for those that do not count.
fn targets(reference: &Reference) -> Vec<u32> {
    let target = |&id: &f32| if id < 0.0 { IGNORE } else { id as u32 };
    slice(&reference.array("targets")).iter().map(target).collect()
}

/// The sums over the last dimension.
fn summed(gradient: &Array) -> Vec<f32> {
    slice(gradient).chunks(*gradient.shape().last().unwrap()).map(|row| row.iter().sum()).collect()
}

#[test]
fn mtp_has_the_losses_and_the_gradients_of_pytorch() {
    let (model, sequences) = (model(), Sequences::of_lengths(LENGTHS));
    let ids = Reference::open("mtp_gradients").ids("ids");
    for case in ["all", "masked"] {
        let reference = Reference::open("mtp_gradients").with_prefix(case);
        let targets = targets(&reference);
        assert_eq!(targets.iter().filter(|t| **t == IGNORE).count(), if case == "all" { 2 } else { 10 });
        let output = model.with_draft(model.forward_packed(&ids, &sequences), &ids, &sequences, 0.3);
        let loss = model.loss(&output, &targets);
        let both = [loss.cross_entropy, loss.draft.unwrap()];
        assert_close("losses", &both, slice(&reference.array("losses")), TOLERANCE);
        let gradients = loss.total.backward();
        for parameter in model.parameters() {
            let name = checkpoint::file_name(parameter.name());
            let gradient = gradients.get(parameter.tensor()).unwrap_or_else(|| panic!("{name} has no gradient"));
            let expected = reference.array(&format!("grad.{name}"));
            let found = match case {
                "masked" if gradient.ndim() > 1 => summed(gradient),
                _ => slice(gradient).to_vec(),
            };
            assert_close(&format!("{case}: {name}"), &found, slice(&expected), TOLERANCE);
        }
    }
}

/// Row i predicts the token after the next, which must be of the same sequence.
#[test]
fn mtp_targets_stay_in_their_sequence() {
    let (model, sequences) = (model(), Sequences::of_lengths([3, 1, 2]));
    let ids = [1, 2, 3, 4, 5, 6];
    let output = model.with_draft(model.forward_packed(&ids, &sequences), &ids, &sequences, 0.3);
    let draft = output.draft.unwrap();
    assert_eq!(draft.targets(&[10, 11, 12, 13, 14, 15]), [11, 12, IGNORE, IGNORE, 15, IGNORE]);
    assert_eq!(draft.targets(&[10, IGNORE, 12, 13, 14, IGNORE]), [IGNORE, 12, IGNORE, IGNORE, IGNORE, IGNORE]);
}

/// A sequence beside others has the predictions that it has alone.
#[test]
fn mtp_sequences_do_not_see_each_other() {
    let (model, ids) = (model(), Reference::open("mtp_gradients").ids("ids"));
    let drafts = |ids: &[u32], lengths: &[usize]| {
        let sequences = Sequences::of_lengths(lengths.iter().copied());
        let output = model.with_draft(model.forward_packed(ids, &sequences), ids, &sequences, 0.3);
        output.draft.unwrap().hidden.data().to_vec()
    };
    let [first, second] = LENGTHS;
    let alone = [drafts(&ids[..first], &[first]), drafts(&ids[first..], &[second])].concat();
    assert_close("drafts", &drafts(&ids, &LENGTHS), &alone, 1e-5);
}

#[test]
fn mtp_drafts_with_a_cache_are_those_without() {
    let of_reference = (model(), Reference::open("mtp_gradients").ids("ids")[..15].to_vec());
    // Dense, with tied embeddings, and windows that the module does not have.
    let config = ModelConfig {
        layers: 2,
        windows: vec![Some(2), Some(4)],
        dense_layers: vec![1],
        dense_intermediate_size: 24,
        hidden_size: 16,
        heads: 2,
        kv_heads: 1,
        head_dim: 8,
        vocab_size: 32,
        context: 64,
        mtp_layers: 1,
        tied: true,
        ..ModelConfig::nano()
    };
    let dense = (Transformer::random(&config, 3), (0..20).map(|i| i * 5 % 32).collect());
    for (model, ids) in [of_reference, dense] {
        let (model, length, width) = (model.frozen(), ids.len(), model.config.hidden_size);
        let output = model.forward(ArrayView2::from_shape((1, length), &ids).unwrap(), None);
        let hidden = output.hidden.data().to_vec();
        let next = [&ids[1..], &[0]].concat();
        let expected = model.with_draft(output, &ids, &Sequences::equal(1, length), 0.3).draft.unwrap().hidden;
        for pieces in [vec![length], vec![1; length], vec![4, 1, 6, 1, length - 12]] {
            let (mut cache, mut found) = (model.draft_cache(), Vec::new());
            for piece in pieces {
                let rows = cache.len()..cache.len() + piece;
                let hidden = &hidden[rows.start * width..rows.end * width];
                found.extend(model.draft(hidden, &next[rows], &mut cache).data().to_vec());
            }
            assert_eq!(cache.len(), length);
            assert_close("drafts", &found, expected.data(), 1e-5);
        }
        // A pair that was removed can be replaced.
        let mut cache = model.draft_cache();
        let chain = random(&[2, width], 5);
        drop(model.draft(&hidden[..4 * width], &next[..4], &mut cache));
        drop(model.draft(slice(&chain), &[7, 8], &mut cache));
        assert!(cache.truncate(4));
        let again = model.draft(&hidden[4 * width..], &next[4..], &mut cache);
        assert_close("drafts", again.data(), &expected.data()[4 * width..], 1e-5);
    }
}
