//! Load-balancing loss.   E · Σₐ Σₑ fₐₑ · Pₑ
//!
//! logits (T, E) of each layer → one number.  fₐₑ is the share of tokens whose choice a is expert e, Pₑ the mean
//! router probability of e (softmax over all experts); both over the tokens of all layers together. The loss is A if the
//! load is even, and grows if a few experts take most of it. f is a count, so only P has a gradient:
//! with cₑ = Σₐ fₐₑ,  dlogits = dy·E/T · p∘(c − ⟨p, c⟩).
//! Fedus et al. 2021, <https://arxiv.org/abs/2101.03961>; the form that transformers uses
//! (`load_balancing_loss_func`), which sums over the A choices.
//!
//! Book: [routing](../../../../book/routing.html)

use crate::tensor::{Tensor, array, slice};

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
/// Returns the loss, the probabilities (T, E) and c (E,), from the logits (T, E) of all layers and the number of visits (E,).
pub fn forward(logits: &[f32], visits: &[usize]) -> (f32, Vec<f32>, Vec<f32>) {
    let experts = visits.len();
    let tokens = (logits.len() / experts) as f32;
    let mut p = logits.to_vec();
    softmax_rows(&mut p, experts);
    let c: Vec<f32> = visits.iter().map(|&n| n as f32 / tokens).collect();
    let mut mean = vec![0.0_f64; experts];
    p.chunks_exact(experts).for_each(|row| mean.iter_mut().zip(row).for_each(|(m, &p)| *m += f64::from(p)));
    let loss: f64 = mean.iter().zip(&c).map(|(m, &c)| m / f64::from(tokens) * f64::from(c)).sum();
    ((experts as f64 * loss) as f32, p, c)
}

/// dlogits (T, E)
pub fn backward(dy: f32, p: &[f32], c: &[f32]) -> Vec<f32> {
    let experts = c.len();
    let factor = dy * experts as f32 / (p.len() / experts) as f32;
    let mut dlogits = Vec::with_capacity(p.len());
    for p in p.chunks_exact(experts) {
        let mean: f32 = p.iter().zip(c).map(|(p, c)| p * c).sum();
        dlogits.extend(p.iter().zip(c).map(|(p, c)| factor * p * (c - mean)));
    }
    dlogits
}
// ANCHOR_END: loss

/// The loss over the router logits of all layers, each (T, E). `visits` (E,) counts the visits in all layers together.
pub fn load_balancing(logits: &[&Tensor], visits: &[usize]) -> Tensor {
    let all: Vec<f32> = logits.iter().flat_map(|layer| layer.data()).copied().collect();
    let (loss, p, c) = forward(&all, visits);
    let shapes: Vec<Vec<usize>> = logits.iter().map(|layer| layer.shape().to_vec()).collect();
    Tensor::from_op(array(&[1], vec![loss]), logits, || {
        Box::new(move |dy| {
            let dlogits = backward(slice(&dy)[0], &p, &c);
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
