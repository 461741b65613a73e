//! The cost model of the chapter on scaling: its bytes are those that ranks send.
//!
//! Book: [scaling](../../book/src/scaling.md)

use ossia::collective::{Collective, Messages, run_threads};
use ossia::config::ModelConfig;
use ossia::data::{Batches, Windows};
use ossia::error::{Error, Result};
use ossia::layers::Layer;
use ossia::model::Transformer;
use ossia::parameter::Role;
use ossia::train::cost::{Capacity, Counts, Division, step};
use ossia::train::{Settings, Trainer};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A rank that counts the bytes that it sends to others.
struct Counting {
    ranks: Arc<dyn Collective>,
    sent: Arc<AtomicUsize>,
}

impl Collective for Counting {
    fn rank(&self) -> usize {
        self.ranks.rank()
    }
    fn size(&self) -> usize {
        self.ranks.size()
    }
    fn begin(&self, messages: Messages) {
        let others = messages.iter().enumerate().filter(|(rank, _)| *rank != self.rank());
        self.sent.fetch_add(others.map(|(_, message)| message.len()).sum(), Relaxed);
        self.ranks.begin(messages);
    }
    fn finish(&self) -> Result<Messages> {
        self.ranks.finish()
    }
    fn give_up(&self, error: &Error) {
        self.ranks.give_up(error);
    }
}

const CONTEXT: usize = 64;
const CAPACITY: Capacity = Capacity { flops: 1e9, memory: 1e10, latency: 1e-4, wire: 1e-8, copying: 1e-9 };

/// A step with micro-batches of two windows of 64 tokens.
fn division(ranks: usize, group: usize, micro_batches: usize) -> Division {
    Division { ranks, group, micro_batches, tokens: 2 * CONTEXT, in_order: true, busiest: 1.0 }
}

/// A model whose tokens all visit the same experts. Then the part (X − 1)/X of the visits of all ranks leaves its rank.
fn model(config: &ModelConfig) -> Transformer {
    let mut model = Transformer::random(config, 1);
    for parameter in model.parameters_mut() {
        if parameter.role() == Role::Bias && parameter.name().contains("router") {
            [0, 5].into_iter().for_each(|expert| parameter.tensor_mut().data_mut()[expert] = 50.0);
        }
    }
    model
}

/// Returns the bytes that all ranks of a job send in a step.
fn sent(config: &ModelConfig, division: &Division) -> f64 {
    let document: Vec<u32> = (0..2_000).map(|i| 1 + i * i % 2_011 % 2_000).collect();
    let windows = Windows::new(&[document], 0, CONTEXT).unwrap();
    let steps = |count: u64| -> usize {
        let sent = Arc::new(AtomicUsize::new(0));
        run_threads(division.ranks, |rank| {
            let settings =
                Settings { accumulate: division.ranks * division.micro_batches, ..Settings::new(9, 2, CONTEXT, 1e-3) };
            let batches = Batches::new(windows.clone(), 2, 0).unwrap();
            let mut trainer = Trainer::new(model(config), settings, batches, None);
            let ranks = Counting { ranks: Arc::new(rank), sent: sent.clone() };
            trainer.join(Arc::new(ranks), division.group).unwrap();
            (0..count).for_each(|_| drop(trainer.step().unwrap()));
        });
        sent.load(Relaxed)
    };
    let started = steps(0); // the weights and moments of the start
    (steps(1) - started) as f64
}

#[test]
fn scaling_the_cost_model_counts_the_bytes_that_ranks_send() {
    let config = ModelConfig::nano();
    let counts = Counts::new(&config, CONTEXT);
    for (ranks, group, micro_batches) in
        [(1, 1, 3), (2, 1, 1), (2, 1, 2), (4, 1, 1), (2, 2, 2), (4, 2, 1), (4, 4, 1), (4, 4, 2)]
    {
        let division = division(ranks, group, micro_batches);
        let (counted, predicted) =
            (sent(&config, &division), ranks as f64 * step(&counts, &division, &CAPACITY).sent());
        // The model counts neither losses nor headers, nor the numbers of a piece of the gradient's norm that two ranks share.
        assert!(
            (counted - predicted).abs() <= 0.02 * predicted,
            "{division:?}: {counted} bytes, predicted {predicted}"
        );
    }
}

#[test]
fn scaling_spread_experts_send_less_for_few_tokens() {
    // T* = 3EI/(2A) tokens per rank: nano has 3 · 8 · 128 / (2 · 2) = 768.
    let counts = Counts::new(&ModelConfig::nano(), 256);
    let sent =
        |group: usize, tokens: usize| step(&counts, &Division { tokens, ..division(8, group, 1) }, &CAPACITY).sent();
    assert!(sent(8, 700) < sent(1, 700));
    assert!(sent(8, 840) > sent(1, 840));
}

#[test]
fn scaling_the_cost_model_never_promises_more_than_the_number_of_ranks() {
    for (config, context) in [(ModelConfig::nano(), 256), (ModelConfig::small(), 512)] {
        let counts = Counts::new(&config, context);
        let cost = |ranks: usize, group: usize, in_order: bool| {
            let division = Division { tokens: (1 << 20) / ranks, in_order, ..division(ranks, group, 1) };
            step(&counts, &division, &CAPACITY)
        };
        let alone = cost(1, 1, true);
        assert_eq!((alone.sent(), alone.waiting, alone.copying), (0.0, 0.0, 0.0));
        for (ranks, group) in [(2, 1), (8, 1), (8, 8), (64, 1), (64, 8)] {
            let exact = cost(ranks, group, true);
            assert!(exact.seconds() * ranks as f64 > alone.seconds(), "{ranks} ranks, groups of {group}");
            assert!(cost(ranks, group, false).sent() <= exact.sent());
            assert!(cost(2 * ranks, group, true).passes < exact.passes);
        }
    }
}

#[test]
fn scaling_the_cost_model_hides_gradients_behind_the_backward_pass() {
    let counts = Counts::new(&ModelConfig::nano(), 256);
    let waiting = |tokens: usize| {
        let cost = step(&counts, &Division { tokens, ..division(4, 1, 1) }, &Capacity { latency: 0.0, ..CAPACITY });
        cost.waiting - cost.weights * CAPACITY.wire
    };
    // A long backward pass leaves the last bucket, which contains the embedding: 2,048 · 128 numbers of 4 bytes, of which three
    // of four ranks get a part. After a short one, nearly all gradients are waited for.
    let last = 4.0 * 2_048.0 * 128.0 * 0.75 * CAPACITY.wire;
    assert!((waiting(1 << 20) - last).abs() < 1e-9);
    assert!(waiting(1) > 7.0 * last);
}

#[test]
fn scaling_a_dense_model_needs_no_pass_for_counting() {
    let passes = |config: &ModelConfig, micro_batches: usize| {
        step(&Counts::new(config, 256), &division(1, 1, micro_batches), &CAPACITY).passes
    };
    let sparse = ModelConfig::nano();
    let dense = ModelConfig { dense_layers: vec![0, 1, 2, 3], dense_intermediate_size: 128, ..ModelConfig::nano() };
    assert_eq!(passes(&dense, 2), 2.0 * passes(&dense, 1));
    assert!(passes(&sparse, 2) > 2.1 * passes(&sparse, 1));
}
