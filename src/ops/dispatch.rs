//! Dispatch: sends tokens to their experts, and combines what comes back.
//!
//! Each of T tokens goes to A experts. [`Dispatch`] lists the T·A visits sorted by expert, so that the tokens of an expert
//! are contiguous and its work is one matrix product. No token is dropped, and nothing is padded.
//! [`gather`] copies rows, x (T, H) → (T·A, H); its backward pass adds the A gradients of each token.
//! [`combine`] sums them, y_t = Σₐ wₜₐ·rowₜₐ; its backward pass: drowₜₐ = wₜₐ·dyₜ, dwₜₐ = ⟨dyₜ, rowₜₐ⟩.
//!
//! Book: [experts](../../../../book/experts.html)

use crate::kernels::{axpy, dot, parallel};
use crate::profile;
use crate::tensor::{Tensor, array, slice};
use std::sync::Arc;

/// The visits of tokens to experts.
#[derive(Debug, PartialEq)]
pub struct Dispatch {
    /// The token of each visit, in the order of the experts. (T·A,)
    pub tokens: Vec<u32>,
    /// The position of visit a of token t in that order. (T, A)
    pub rows: Vec<u32>,
    /// The visits of expert e are at `offsets[e] .. offsets[e + 1]`. (E + 1,)
    pub offsets: Vec<usize>,
    /// A, the experts per token.
    pub active: usize,
}

impl Dispatch {
    // ANCHOR: sort
    /// Sorts `indices` (T, A), the experts that each token chose, by counting. The tokens of an expert keep their order.
    pub fn new(indices: &[u32], experts: usize, active: usize) -> Self {
        let mut offsets = vec![0; experts + 1];
        indices.iter().for_each(|&e| offsets[e as usize + 1] += 1);
        (0..experts).for_each(|e| offsets[e + 1] += offsets[e]);
        let mut next = offsets.clone();
        let (mut tokens, mut rows) = (vec![0; indices.len()], vec![0; indices.len()]);
        for (visit, &expert) in indices.iter().enumerate() {
            let row = next[expert as usize];
            next[expert as usize] += 1;
            tokens[row] = (visit / active) as u32;
            rows[visit] = row as u32;
        }
        Self { tokens, rows, offsets, active }
    }
    // ANCHOR_END: sort

    /// Returns how many visits each expert has. (E,)
    pub fn load(&self) -> Vec<usize> {
        self.offsets.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    /// Returns E, the number of experts.
    pub fn experts(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Returns the tokens that visit an expert.
    pub fn visitors(&self, expert: usize) -> &[u32] {
        &self.tokens[self.offsets[expert]..self.offsets[expert + 1]]
    }
}

/// Tokens that one thread processes at a time.
const TOKENS: usize = 64;

/// Per number of a row: reads it, and writes it.
const COPY: profile::Op = profile::Op::per_number("visits", 0, 8);

/// Starts the timer of a sum of `visits` rows into `tokens` rows.
fn sum_timer(visits: usize, tokens: usize, hidden: usize) -> profile::Timer {
    profile::op("sum of visits", 2 * visits * hidden, 4 * (visits + tokens) * hidden)
}

// ANCHOR: add_visits
/// Adds α·(row `rows[t, a]` of `x`) to row t of a (T, H) result, for every a.
fn add_visits(x: &[f32], hidden: usize, dispatch: &Dispatch, alpha: impl Fn(usize) -> f32 + Sync + Send) -> Vec<f32> {
    let active = dispatch.active;
    let tokens = dispatch.rows.len() / active;
    let _timer = sum_timer(dispatch.rows.len(), tokens, hidden);
    parallel::build(tokens * hidden, TOKENS * hidden, |piece, y| {
        for (t, y) in y.chunks_exact_mut(hidden).enumerate() {
            let visits = (piece * TOKENS + t) * active..(piece * TOKENS + t + 1) * active;
            visits.for_each(|v| axpy(alpha(v), &x[dispatch.rows[v] as usize * hidden..][..hidden], y));
        }
    })
}
// ANCHOR_END: add_visits

/// Computes a result (T·A, H): `copy` fills row r from token `tokens[r]`.
fn copy_tokens(dispatch: &Dispatch, hidden: usize, copy: impl Fn(usize, usize, &mut [f32]) + Sync + Send) -> Vec<f32> {
    let _timer = COPY.start(dispatch.tokens.len() * hidden);
    parallel::build(dispatch.tokens.len() * hidden, TOKENS * hidden, |piece, rows| {
        for (r, row) in rows.chunks_exact_mut(hidden).enumerate() {
            let r = piece * TOKENS + r;
            copy(r, dispatch.tokens[r] as usize, row);
        }
    })
}

/// Copies the rows of `x` (T, H) in the order of the experts: (T·A, H).
pub fn gather(x: &Tensor, dispatch: &Arc<Dispatch>) -> Tensor {
    let [tokens, hidden] = *x.shape() else { panic!("gather: x is (T, H), not {:?}", x.shape()) };
    assert_eq!(tokens * dispatch.active, dispatch.rows.len(), "gather: another number of tokens was dispatched");
    let from = x.data();
    let y = copy_tokens(dispatch, hidden, |_, t, row| row.copy_from_slice(&from[t * hidden..][..hidden]));
    Tensor::from_op(array(&[dispatch.tokens.len(), hidden], y), &[x], || {
        let dispatch = dispatch.clone();
        Box::new(move |dy| vec![Some(array(&[tokens, hidden], add_visits(slice(&dy), hidden, &dispatch, |_| 1.0)))])
    })
}

/// Sums the `rows` of the experts (T·A, H), weighted by `weights` (T, A), per token: (T, H).
pub fn combine(rows: &Tensor, weights: &Tensor, dispatch: &Arc<Dispatch>) -> Tensor {
    let hidden = *rows.shape().last().expect("rows is a matrix");
    let [tokens, active] = *weights.shape() else { panic!("combine: weights are (T, A)") };
    let w = weights.data();
    let y = add_visits(rows.data(), hidden, dispatch, |visit| w[visit]);
    Tensor::from_op(array(&[tokens, hidden], y), &[rows, weights], || {
        let (x, weights, dispatch) = (rows.value().clone(), weights.value().clone(), dispatch.clone());
        Box::new(move |dy| {
            let (dy, x, w) = (slice(&dy), slice(&x), slice(&weights));
            let mut visit_of_row = vec![0; dispatch.rows.len()];
            dispatch.rows.iter().enumerate().for_each(|(visit, &row)| visit_of_row[row as usize] = visit);
            let drows = copy_tokens(&dispatch, hidden, |r, t, drow| {
                axpy(w[visit_of_row[r]], &dy[t * hidden..][..hidden], drow)
            });
            let mut dw = vec![0.0; tokens * active];
            parallel::for_chunks(&mut dw, active, |t, dw| {
                for (dw, &r) in dw.iter_mut().zip(&dispatch.rows[t * active..]) {
                    *dw = dot(&dy[t * hidden..][..hidden], &x[r as usize * hidden..][..hidden]);
                }
            });
            vec![Some(array(&[dispatch.tokens.len(), hidden], drows)), Some(array(&[tokens, active], dw))]
        })
    })
}
