//! Clamped SwiGLU.   y = (u + 1) · g · σ(α·g),   g = min(gate, limit),   u = clamp(up, ±limit)
//!
//! In gate_up (T, 2I), gate and up outputs alternate: g₀ u₀ g₁ u₁ … → y (T, I).  gpt-oss: α = 1.702, limit = 7.
//! The backward pass, with s = σ(αg):  dgate = dy·(u + 1)·s·(1 + αg(1 − s)) where gate < limit,  dup = dy·g·s where
//! |up| < limit; a clamped number has gradient 0, and so has a number exactly at the limit, as in PyTorch 2.15.
//! <https://github.com/openai/gpt-oss> `gpt_oss/torch/model.py`, `swiglu`; Shazeer 2020, <https://arxiv.org/abs/2002.05202>
//!
//! Book: [swiglu](../../../../book/swiglu.html)

use crate::kernels::{self, parallel};
use crate::profile;
use crate::tensor::{Tensor, array, slice};

/// Numbers of y that one thread computes at a time.
const PIECE: usize = 1 << 13;

/// Per number of gate_up: reads it, and writes half a number of y. The exponentials are not counted as operations.
const FORWARD: profile::Op = profile::Op::per_number("swiglu", 0, 6);
/// Per number of gate_up: reads it and half a number of dy, and writes a number of dgate_up.
const BACKWARD: profile::Op = profile::Op::per_number("swiglu ′", 0, 10);

/// y, from gate_up.
pub fn forward(gate_up: &[f32], alpha: f32, limit: f32) -> Vec<f32> {
    let _timer = FORWARD.start(gate_up.len());
    parallel::build(gate_up.len() / 2, PIECE, |i, y| {
        kernels::swiglu(&gate_up[2 * i * PIECE..][..2 * y.len()], alpha, limit, y);
    })
}

/// dgate_up, from dy.
pub fn backward(dy: &[f32], gate_up: &[f32], alpha: f32, limit: f32) -> Vec<f32> {
    let _timer = BACKWARD.start(gate_up.len());
    parallel::build(gate_up.len(), 2 * PIECE, |i, dgate_up| {
        let (gate_up, dy) = (&gate_up[2 * i * PIECE..][..dgate_up.len()], &dy[i * PIECE..][..dgate_up.len() / 2]);
        kernels::swiglu_backward(gate_up, dy, alpha, limit, dgate_up);
    })
}

/// Clamped SwiGLU on tensors: the last dimension halves.
pub fn swiglu(gate_up: &Tensor, alpha: f32, limit: f32) -> Tensor {
    let mut shape = gate_up.shape().to_vec();
    let last = shape.last_mut().expect("gate_up has rows");
    assert_eq!(*last % 2, 0, "swiglu: gates and ups come in pairs, not {last}");
    *last /= 2;
    let y = array(&shape, forward(gate_up.data(), alpha, limit));
    Tensor::from_op(y, &[gate_up], || {
        let gate_up = gate_up.value().clone();
        Box::new(move |dy| vec![Some(array(gate_up.shape(), backward(slice(&dy), slice(&gate_up), alpha, limit)))])
    })
}
