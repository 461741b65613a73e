//! Load-balancing loss.   E · Σₐ Σₑ fₐₑ · Pₑ
//!
//! logits (T, E) of each layer → one number.  fₐₑ is the share of tokens whose choice a is expert e, Pₑ the mean
//! router probability of e (softmax over all experts); both over the tokens that count, of all layers together. The loss is
//! A if the load is even, and grows if a few experts take most of it. f is a count, so only P has a gradient:
//! with cₑ = Σₐ fₐₑ,  dlogits = dy·E/T · p∘(c − ⟨p, c⟩).
//!
//! c and T may be those of a whole step, whose micro-batches are computed one after another: P is a sum over tokens, so the
//! parts of the micro-batches add up to the loss of one large batch.
//! Fedus et al. 2021, <https://arxiv.org/abs/2101.03961>; the form that transformers uses
//! (`load_balancing_loss_func`), which sums over the A choices.
//!
//! Book: [routing](../../../../book/routing.html)

use super::cross_entropy::{IGNORE, count};
use super::dispatch::Dispatch;
use crate::tensor::{Tensor, array, slice};

/// The load of the experts: which of them the tokens that count have chosen, in all layers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExpertLoad {
    /// Visits per expert. (E,)
    pub visits: Vec<usize>,
    /// The number of tokens, each counted once per layer.
    pub tokens: usize,
}

impl ExpertLoad {
    /// Adds the visits of one layer. A token counts if its target in `targets` (T,) is not [`IGNORE`].
    pub fn add_layer(&mut self, dispatch: &Dispatch, targets: &[u32]) {
        self.visits.resize(dispatch.experts(), 0);
        for (expert, visits) in self.visits.iter_mut().enumerate() {
            *visits += dispatch.visitors(expert).iter().filter(|&&token| targets[token as usize] != IGNORE).count();
        }
        self.tokens += count(targets);
    }

    /// Adds the load of another micro-batch of the same step.
    pub fn add(&mut self, other: &ExpertLoad) {
        self.visits.resize(other.visits.len().max(self.visits.len()), 0);
        self.visits.iter_mut().zip(&other.visits).for_each(|(sum, visits)| *sum += visits);
        self.tokens += other.tokens;
    }
}

/// Computes the softmax of each row, in place.
fn softmax_rows(x: &mut [f32], columns: usize) {
    for row in x.chunks_exact_mut(columns) {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        row.iter_mut().for_each(|x| *x = (*x - largest).exp());
        let total: f32 = row.iter().sum();
        row.iter_mut().for_each(|x| *x /= total);
    }
}

// ANCHOR: loss
/// Returns the loss, the probabilities (T, E) and c (E,), from the logits (T, E) of all layers. Tokens whose target is
/// [`IGNORE`] do not count: their probabilities are 0. `targets` (T,) are those of one layer and repeat for each.
pub fn forward(logits: &[f32], targets: &[u32], load: &ExpertLoad) -> (f32, Vec<f32>, Vec<f32>) {
    let experts = load.visits.len();
    let tokens = load.tokens.max(1) as f32;
    let mut p = logits.to_vec();
    softmax_rows(&mut p, experts);
    let rows = p.chunks_exact_mut(experts).zip(targets.iter().cycle());
    rows.filter(|(_, target)| **target == IGNORE).for_each(|(row, _)| row.fill(0.0));
    let c: Vec<f32> = load.visits.iter().map(|&n| n as f32 / tokens).collect();
    let mut mean = vec![0.0_f64; experts];
    p.chunks_exact(experts).for_each(|row| mean.iter_mut().zip(row).for_each(|(m, &p)| *m += f64::from(p)));
    let loss: f64 = mean.iter().zip(&c).map(|(m, &c)| m / f64::from(tokens) * f64::from(c)).sum();
    ((experts as f64 * loss) as f32, p, c)
}

/// dlogits (T, E), where `tokens` is [`ExpertLoad::tokens`].
pub fn backward(dy: f32, p: &[f32], c: &[f32], tokens: usize) -> Vec<f32> {
    let experts = c.len();
    let factor = dy * experts as f32 / tokens.max(1) as f32;
    let mut dlogits = Vec::with_capacity(p.len());
    for p in p.chunks_exact(experts) {
        let mean: f32 = p.iter().zip(c).map(|(p, c)| p * c).sum();
        dlogits.extend(p.iter().zip(c).map(|(p, c)| factor * p * (c - mean)));
    }
    dlogits
}
// ANCHOR_END: loss

/// The loss over the router logits of all layers, each (T, E), for the tokens that count by `targets` (T,). `load` is the
/// load of these tokens, or of all micro-batches of a step; then the result is the part of this micro-batch.
pub fn load_balancing(logits: &[&Tensor], targets: &[u32], load: &ExpertLoad) -> Tensor {
    let all: Vec<f32> = logits.iter().flat_map(|layer| layer.data()).copied().collect();
    let (loss, p, c) = forward(&all, targets, load);
    let tokens = load.tokens;
    let shapes: Vec<Vec<usize>> = logits.iter().map(|layer| layer.shape().to_vec()).collect();
    Tensor::from_op(array(&[1], vec![loss]), logits, || {
        Box::new(move |dy| {
            let dlogits = backward(slice(&dy)[0], &p, &c, tokens);
            let mut rest = dlogits.as_slice();
            let part = |shape: Vec<usize>| {
                let (part, after) = rest.split_at(shape.iter().product());
                rest = after;
                Some(array(&shape, part.to_vec()))
            };
            shapes.into_iter().map(part).collect()
        })
    })
}
