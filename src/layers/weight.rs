//! A weight: trained in memory, or frozen in its file.       Book: mxfp4.md

use crate::ops::cross_entropy::{cross_entropy, cross_entropy_frozen};
use crate::ops::{embedding, frozen, grouped_matmul, matmul};
use crate::stored::Stored;
use crate::tensor::Tensor;
use std::sync::Arc;

/// The matrix of a linear layer or of an embedding, or the stacked matrices of experts.
#[derive(Clone)]
pub enum Weight {
    /// Numbers in memory, which an optimizer may move. Experts have a row per input.
    Trained(Tensor),
    /// As it lies in a file.
    Frozen(Arc<Stored>),
}

/// A parameter of a model.
pub enum Parameter<'p> {
    /// One that an optimizer may move.
    Trained(&'p mut Tensor),
    /// One that stays as it is.
    Frozen(&'p Arc<Stored>),
}

impl Weight {
    /// x (…, in) → x·Wᵀ + b (…, out)
    pub fn linear(&self, x: &Tensor, b: Option<&Tensor>) -> Tensor {
        match self {
            Weight::Trained(w) => matmul::linear(x, w, b),
            Weight::Frozen(w) => frozen::linear(x, w, b),
        }
    }

    /// x (R, in) sorted by expert → (R, out), each row by the matrix of its expert.
    pub fn grouped(&self, x: &Tensor, b: &Tensor, offsets: &[usize]) -> Tensor {
        match self {
            Weight::Trained(w) => grouped_matmul::grouped_matmul(x, w, b, offsets),
            Weight::Frozen(w) => frozen::grouped(x, w, b, offsets),
        }
    }

    /// ids (T,) → rows (T, H)
    pub fn embedding(&self, ids: &[u32]) -> Tensor {
        match self {
            Weight::Trained(w) => embedding::embedding(ids, w),
            Weight::Frozen(w) => frozen::embedding(ids, w),
        }
    }

    /// The mean cross-entropy of `targets` (T,) under the logits h·Wᵀ.
    pub fn cross_entropy(&self, h: &Tensor, targets: &[u32]) -> Tensor {
        match self {
            Weight::Trained(w) => cross_entropy(h, w, targets),
            Weight::Frozen(w) => cross_entropy_frozen(h, w, targets),
        }
    }

    /// To be counted, moved or saved.
    pub fn parameter(&mut self) -> Parameter<'_> {
        match self {
            Weight::Trained(w) => Parameter::Trained(w),
            Weight::Frozen(w) => Parameter::Frozen(w),
        }
    }
}
