//! Traces: every intermediate tensor of one pass, under fixed names, to look inside and to compare implementations.
//!
//! The names are `embed`; for each layer `layers.{i}.attention`, `.router_logits`, `.moe`, `.output`; `norm`; `logits`;
//! `loss`, the mean cross-entropy of tokens 1 … T − 1 given the tokens before them; and with gradients, for every
//! trainable parameter, `grad.` and its name in the Hugging Face checkpoint.

use super::sequence::check_tokens;
use crate::checkpoint::{self, file_name};
use crate::error::{Error, Result};
use crate::layers::Layer;
use crate::model::Transformer;
use crate::ops::cross_entropy::IGNORE;
use crate::tensor::{Array, array};
use ndarray::ArrayView2;

/// Returns the tensors of one pass over `tokens`, in the order of computation.
///
/// # Errors
/// If there are fewer than two tokens or more than the context, if a token is not in the vocabulary, or if a weight is
/// damaged.
pub fn trace(model: &Transformer, tokens: &[u32], gradients: bool) -> Result<Vec<(String, Array)>> {
    if tokens.len() < 2 {
        return Err(Error::argument(format!("{} tokens to trace; expected at least 2, to have a loss", tokens.len())));
    }
    if tokens.len() > model.config.context {
        let (found, context) = (tokens.len(), model.config.context);
        return Err(Error::argument(format!("{found} tokens to trace; this model's context is {context}")));
    }
    check_tokens(tokens, model.config.vocab_size)?;
    checkpoint::check(model)?;
    // Only the cross-entropy is traced, as in the reference.
    let mut model = if gradients { model.clone() } else { model.detached() };
    model.config.router_aux_loss_coef = 0.0;
    pass(&model, tokens)
}

fn pass(model: &Transformer, tokens: &[u32]) -> Result<Vec<(String, Array)>> {
    let mut tensors = Vec::new();
    let row = ArrayView2::from_shape((1, tokens.len()), tokens).expect("one row");
    let output = model.forward_observed(row, &mut [], &mut |activation, tensor| {
        tensors.push((activation.to_string(), tensor.value().clone()))
    });
    tensors.push(("logits".into(), model.logits(&output.hidden).value().clone()));
    let targets: Vec<u32> = tokens[1..].iter().copied().chain([IGNORE]).collect();
    let loss = model.loss(&output, &targets).total;
    tensors.push(("loss".into(), array(&[1], vec![loss.item()])));
    if loss.needs_grad() {
        let gradients = loss.backward();
        for parameter in model.parameters().into_iter().filter(|parameter| parameter.is_trainable()) {
            if let Some(gradient) = gradients.get(parameter.tensor()) {
                tensors.push((format!("grad.{}", file_name(parameter.name())), gradient.clone()));
            }
        }
    }
    Ok(tensors)
}

/// A difference between two traces.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The first tensor that differs, in the order of `ours`.
    pub tensor: String,
    /// The difference.
    pub what: String,
}

/// Returns the first tensor of `ours` that `theirs` lacks, or whose numbers differ by more than `tolerance`, relative
/// to its largest.
pub fn first_difference(
    ours: &[(String, Array)],
    theirs: impl Fn(&str) -> Option<Array>,
    tolerance: f32,
) -> Option<Difference> {
    ours.iter().find_map(|(name, ours)| {
        let what = match theirs(name) {
            None => Some("missing on the other side".to_string()),
            Some(theirs) if theirs.shape() != ours.shape() => {
                Some(format!("shape {:?} here, {:?} there", ours.shape(), theirs.shape()))
            }
            Some(theirs) => worst(ours, &theirs, tolerance),
        };
        what.map(|what| Difference { tensor: name.clone(), what })
    })
}

fn worst(ours: &Array, theirs: &Array, tolerance: f32) -> Option<String> {
    let (ours, theirs) = (crate::tensor::slice(ours), crate::tensor::slice(theirs));
    let largest = theirs.iter().fold(1e-6_f32, |a, b| a.max(b.abs()));
    let distance = |i: usize| (ours[i] - theirs[i]).abs() / largest;
    let wrong = |&i: &usize| distance(i).is_nan() || distance(i) > tolerance;
    let index = (0..ours.len()).find(wrong)?;
    Some(format!(
        "number {index} is {} here, {} there (tolerance {tolerance} of {largest})",
        ours[index], theirs[index]
    ))
}
