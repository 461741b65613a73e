//! Evaluation: measures how well a model predicts text that it was not trained on.

use crate::data::{Batch, IGNORE, Windows};
use crate::kernels::{self, parallel};
use crate::layers::Layer;
use crate::model::{Output, Transformer};
use crate::ops::attention::Sequences;
use crate::tensor::Tensor;
use ndarray::Axis;

/// A text to measure on.
#[derive(Clone)]
pub struct EvaluationSet {
    /// The windows of the text; each token counts in exactly one of them.
    pub windows: Windows,
    /// The lowest loss that any model can reach, in nats per token; known for the built-in stories.
    pub entropy_floor: Option<f64>,
    /// The number of UTF-8 bytes of the text, for bits per byte.
    pub bytes: usize,
}

/// The result of an evaluation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// Cross-entropy in nats per token.
    pub loss: f64,
    /// The number of predicted tokens.
    pub tokens: usize,
    /// The entropy floor of the text.
    pub entropy_floor: Option<f64>,
    /// Cross-entropy in bits per byte, which is comparable between tokenizers.
    pub bits_per_byte: f64,
}

impl Evaluation {
    /// Returns the result for a text whose tokens have a cross-entropy of `nats` together.
    pub(super) fn of(set: &EvaluationSet, nats: f64, tokens: usize) -> Self {
        Self {
            loss: nats / tokens.max(1) as f64,
            tokens,
            entropy_floor: set.entropy_floor,
            bits_per_byte: nats / std::f64::consts::LN_2 / set.bytes.max(1) as f64,
        }
    }

    /// Returns e^loss, the perplexity: the number of equally probable tokens that would give the same loss.
    pub fn perplexity(&self) -> f64 {
        self.loss.exp()
    }
}

// ANCHOR: evaluate
/// Measures the mean cross-entropy over the whole text, `batch` windows at a time.
pub fn evaluate(model: &Transformer, set: &EvaluationSet, batch: usize) -> Evaluation {
    evaluate_with(model, set, batch, &mut |_, _| {})
}

/// Like [`evaluate`], and calls `progress` after each batch with the number of measured tokens and of all tokens.
pub fn evaluate_with(
    model: &Transformer,
    set: &EvaluationSet,
    batch: usize,
    progress: &mut dyn FnMut(usize, usize),
) -> Evaluation {
    // ANCHOR: measure
    let (model, all) = (model.detached(), set.windows.tokens());
    let (mut nats, mut tokens) = (0.0, 0);
    for batch in set.windows.evaluation(batch) {
        nats += nats_of(&model, &batch);
        tokens += batch.counted();
        progress(tokens, all);
    }
    Evaluation::of(set, nats, tokens)
    // ANCHOR_END: measure
}
// ANCHOR_END: evaluate

/// Returns the results of a model for a batch, and the targets.
pub(super) fn forward<'b>(model: &Transformer, batch: &'b Batch) -> (Output, &'b [u32]) {
    let (inputs, targets, sequences) = parts(batch);
    (model.forward_packed(inputs, &sequences), targets)
}

/// Like [`forward`], with the drafts of the model, whose loss counts with this weight; without drafts if there is none.
pub(super) fn forward_drafting<'b>(model: &Transformer, batch: &'b Batch, weight: Option<f32>) -> (Output, &'b [u32]) {
    let (inputs, targets, sequences) = parts(batch);
    let output = model.forward_packed(inputs, &sequences);
    match weight {
        Some(weight) => (model.with_draft(output, inputs, &sequences, weight), targets),
        None => (output, targets),
    }
}

/// Returns the inputs, the targets, and the sequences of a batch.
pub(super) fn parts(batch: &Batch) -> (&[u32], &[u32], Sequences) {
    let [inputs, targets] = [&batch.inputs, &batch.targets].map(|ids| ids.as_slice().expect("row-major"));
    (inputs, targets, Sequences::of_lengths(batch.lengths.iter().copied()))
}

/// Returns the cross-entropy of all tokens of a batch together, in nats.
pub(super) fn nats_of(model: &Transformer, batch: &Batch) -> f64 {
    let (output, targets) = forward(model, batch);
    f64::from(model.loss(&output, targets).cross_entropy) * batch.counted() as f64
}

/// The difference between the predictions of two models, token by token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Deviation {
    /// The cross-entropy of the exact model in nats per token.
    pub exact_loss: f64,
    /// The cross-entropy of the other model minus that of the exact one.
    pub excess_loss: f64,
    /// The Kullback–Leibler divergence Σ p·ln(p/q) in nats per token: the cost of predicting q if p is true.
    pub divergence: f64,
    /// The share of tokens for which both models have the same most probable token.
    pub same_choice: f64,
    /// The number of compared tokens.
    pub tokens: usize,
}

/// Measures how far `other` is from `exact` on a text, `batch` windows at a time.
pub fn deviation(exact: &Transformer, other: &Transformer, set: &EvaluationSet, batch: usize) -> Deviation {
    /// Tokens whose logits are in memory at one time; a token may have 201,088 of them.
    const BLOCK: usize = 32;
    let (mut loss, mut excess, mut divergence, mut same, mut tokens) = (0.0, 0.0, 0.0, 0, 0);
    let (exact, other) = (exact.detached(), other.detached());
    for batch in set.windows.evaluation(batch) {
        let [(exact_output, targets), (other_output, _)] = [&exact, &other].map(|model| forward(model, &batch));
        let hidden = [exact_output.hidden, other_output.hidden];
        let counted: Vec<usize> = (0..targets.len()).filter(|&t| targets[t] != IGNORE).collect();
        for rows in counted.chunks(BLOCK) {
            let of = |model: &Transformer, hidden: &Tensor| {
                let rows = hidden.matrix().select(Axis(0), rows);
                model.logits(&Tensor::constant(rows.into_dyn().into_shared()))
            };
            let (p, q) = (of(&exact, &hidden[0]), of(&other, &hidden[1]));
            let (p, q) = (p.matrix(), q.matrix());
            let compared = parallel::map(rows.len(), |t| {
                compare(&p.row(t).to_vec(), &q.row(t).to_vec(), targets[rows[t]] as usize)
            });
            for (nats, [more, apart], equal) in compared {
                loss += nats;
                excess += more;
                divergence += apart;
                same += usize::from(equal);
                tokens += 1;
            }
        }
    }
    let share = |total: f64| total / tokens.max(1) as f64;
    Deviation {
        exact_loss: share(loss),
        excess_loss: share(excess),
        divergence: share(divergence),
        same_choice: share(same as f64),
        tokens,
    }
}

/// Returns the loss of the first of two rows of logits, the additional loss of the second and their divergence, and
/// whether the largest logits of both are at the same index.
fn compare(p: &[f32], q: &[f32], target: usize) -> (f64, [f64; 2], bool) {
    let (best_p, best_q) = (kernels::max(p), kernels::max(q));
    let log_total = |z: &[f32], best: f32| z.iter().map(|z| f64::from(z - best).exp()).sum::<f64>().ln();
    let (total_p, total_q) = (log_total(p, best_p), log_total(q, best_q));
    let term = |(p, q): (&f32, &f32)| {
        let (ln_p, ln_q) = (f64::from(p - best_p) - total_p, f64::from(q - best_q) - total_q);
        ln_p.exp() * (ln_p - ln_q)
    };
    let place = |z: &[f32], best: f32| z.iter().position(|&z| z == best);
    let loss_p = total_p - f64::from(p[target] - best_p);
    let loss_q = total_q - f64::from(q[target] - best_q);
    (loss_p, [loss_q - loss_p, p.iter().zip(q).map(term).sum()], place(p, best_p) == place(q, best_q))
}
