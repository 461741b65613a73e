//! Experts that are spread over ranks: the same outputs and gradients as on one rank, bit for bit.
//!
//! Book: [many_machines](../../book/src/many_machines.md)

use crate::training::small;
use ndarray::Array2;
use ossia::collective::{Collective, caught, part, run_threads};
use ossia::config::ModelConfig;
use ossia::error::Error;
use ossia::generate::{Generator, Sampling};
use ossia::layers::Layer;
use ossia::model::Transformer;
use ossia::parameter::{Parameter, Role};
use ossia::tensor::{Gradients, slice};
use std::sync::Arc;

/// The number of ranks, each with a micro-batch.
const SIZES: [usize; 4] = [1, 2, 4, 8];

fn config() -> ModelConfig {
    ModelConfig { experts: 8, experts_per_token: 2, router_aux_loss_coef: 0.5, ..small() }
}

/// A model in which a bias adds to the logits of some experts.
fn model(favored: &[usize]) -> Transformer {
    let mut model = Transformer::random(&config(), 3);
    for parameter in model.parameters_mut() {
        if parameter.role() == Role::Bias && parameter.name().contains("router") {
            favored.iter().for_each(|&expert| parameter.tensor_mut().data_mut()[expert] = 50.0);
        }
    }
    model
}

/// The tokens of a micro-batch, which are fewer for some ranks.
fn tokens(rank: usize) -> Array2<u32> {
    Array2::from_shape_fn((2, 5 + rank % 3), |(i, t)| ((rank * 31 + i * 7 + t * 13) % small().vocab_size) as u32)
}

/// The loss and the gradients of a micro-batch.
fn gradients(model: &Transformer, rank: usize) -> (f32, Gradients) {
    let tokens = tokens(rank);
    let output = model.forward(tokens.view(), None);
    let targets: Vec<u32> = tokens.iter().map(|token| (token + 1) % small().vocab_size as u32).collect();
    let loss = model.loss(&output, &targets).total;
    (loss.item(), loss.backward())
}

/// The gradient with respect to a parameter, as bits.
fn bits(gradients: &Gradients, parameter: &Parameter) -> Vec<u32> {
    let gradient = gradients.get(parameter.tensor()).expect("every parameter has a gradient");
    slice(gradient).iter().map(|number| number.to_bits()).collect()
}

fn is_of_experts(parameter: &Parameter) -> bool {
    parameter.role() == Role::Expert || parameter.name().contains("experts.")
}

/// Compares losses and gradients with those that each micro-batch has alone.
fn is_the_same_as_alone(size: usize, favored: &[usize], recompute: bool) {
    let alone = model(favored);
    let expected: Vec<(f32, Gradients)> = (0..size).map(|rank| gradients(&alone, rank)).collect();
    run_threads(size, |rank| {
        let (me, ranks): (usize, Arc<dyn Collective>) = (rank.rank(), Arc::new(rank));
        let mut spread = model(favored);
        spread.spread(&ranks).unwrap();
        spread.checkpoint_activations = recompute;
        let (loss, gradients) = gradients(&spread, me);
        assert_eq!(loss.to_bits(), expected[me].0.to_bits(), "the loss of rank {me} of {size}");
        for (own, whole) in spread.parameters().into_iter().zip(alone.parameters()) {
            let gradient = bits(&gradients, own);
            if !is_of_experts(own) {
                assert_eq!(gradient, bits(&expected[me].1, whole), "{}, rank {me} of {size}", own.name());
                continue;
            }
            assert_eq!(own.value().count() * size, whole.value().count(), "{}", own.name());
            let held = part(whole.value().count(), me, size);
            for (sender, (_, expected)) in expected.iter().enumerate() {
                let of_sender = &gradient[sender * held.len()..(sender + 1) * held.len()];
                let name = own.name();
                assert_eq!(of_sender, &bits(expected, whole)[held.clone()], "{name}, from {sender} to {me} of {size}");
            }
        }
    });
}

#[test]
fn expert_parallel_has_the_gradients_of_one_rank() {
    SIZES.into_iter().for_each(|size| is_the_same_as_alone(size, &[], false));
    is_the_same_as_alone(4, &[], true);
}

/// All tokens visit the same two experts, so that some ranks have no tokens for theirs.
#[test]
fn expert_parallel_ranks_may_have_no_tokens() {
    is_the_same_as_alone(4, &[0, 7], false);
    is_the_same_as_alone(8, &[3, 4], false); // of two ranks
    is_the_same_as_alone(2, &[0, 1], false); // of one
}

/// Rank 0 leads: it generates, and the others have no tokens of their own.
#[test]
fn expert_parallel_generates_the_same_text() {
    let generate = |model: &Transformer| {
        let sampling = Sampling { temperature: 1.0, seed: 5, ..Sampling::default() };
        let mut generator = Generator::new(model, &[1, 2, 3], sampling).unwrap();
        generator.generate(8, &[]).map(Result::unwrap).collect::<Vec<u32>>()
    };
    let expected = generate(&model(&[]));
    for size in SIZES {
        let texts = run_threads(size, |rank| {
            let (me, ranks): (usize, Arc<dyn Collective>) = (rank.rank(), Arc::new(rank));
            let mut model = model(&[]).detached();
            model.lead(&ranks).unwrap();
            if me > 0 {
                model.serve().unwrap();
                return Vec::new();
            }
            let text = generate(&model);
            model.dismiss().unwrap();
            text
        });
        assert_eq!(texts[0], expected, "{size} ranks");
    }
}

#[test]
fn expert_parallel_names_a_rank_that_is_gone() {
    let errors = run_threads(4, |rank| {
        let (me, ranks): (usize, Arc<dyn Collective>) = (rank.rank(), Arc::new(rank));
        let mut model = model(&[]);
        model.lead(&ranks).unwrap();
        match me {
            0 => ranks.attempt(|| {
                caught(|| {
                    (0..100).try_for_each(|_| {
                        model.forward(tokens(0).view(), None);
                        Ok(())
                    })
                })
            }),
            3 => ranks.attempt(|| Err(Error::argument("no more memory"))),
            _ => ranks.attempt(|| model.serve()),
        }
        .unwrap_err()
        .to_string()
    });
    assert_eq!(
        errors,
        ["rank 3: no more memory", "rank 3: no more memory", "rank 3: no more memory", "no more memory"]
    );
}

#[test]
fn expert_parallel_needs_experts_for_every_rank() {
    let errors = run_threads(3, |rank| {
        let ranks: Arc<dyn Collective> = Arc::new(rank);
        model(&[]).spread(&ranks).unwrap_err().to_string()
    });
    assert!(errors.iter().all(|error| error == "8 experts cannot be spread evenly over 3 ranks"), "{errors:?}");
    let errors = run_threads(2, |rank| {
        let ranks: Arc<dyn Collective> = Arc::new(rank);
        let dense = ModelConfig { dense_layers: vec![0, 1], dense_intermediate_size: 10, ..config() };
        Transformer::random(&dense, 0).spread(&ranks).unwrap_err().to_string()
    });
    assert!(errors.iter().all(|error| error.contains("has no experts")), "{errors:?}");
}
