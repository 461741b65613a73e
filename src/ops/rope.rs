//! Rotary position embedding.   (a, b) → (a·cos − b·sin, b·cos + a·sin)
//!
//! x (B·T, heads·D) → the same shape.  In each head, number i of the first half and number i of the second half are
//! the two coordinates of a point, which is rotated by the angle position·θᵢ (gpt-oss pairs halves, not neighbours).
//! cos and sin (positions, D/2) come from [`crate::layers::rotary`], which also implements YaRN.
//! The inverse of a rotation is its transpose, so the backward pass rotates dy by the opposite angle.
//! Su et al. 2021, <https://arxiv.org/abs/2104.09864>
//!
//! Book: [rotary](../../../../book/rotary.html)

use crate::kernels::parallel;
use crate::profile;
use crate::tensor::{Array, Tensor, array, slice};

/// Reads x, writes y.
const FORWARD: profile::Op = profile::Op::per_number("rope", 3, 8);
/// Reads dy, writes dx.
const BACKWARD: profile::Op = profile::Op::per_number("rope ′", 3, 8);

/// Rows that one thread rotates at a time.
const ROWS: usize = 32;

// ANCHOR: forward
/// Rotates every head of every row. Row t of `x` has the angles in row t mod `positions` of the tables; `direction` is 1
/// or −1.
pub fn forward(x: &[f32], width: usize, cos: &[f32], sin: &[f32], half: usize, direction: f32) -> Vec<f32> {
    let _timer = if direction > 0.0 { FORWARD } else { BACKWARD }.start(x.len());
    let positions = cos.len() / half;
    parallel::build(x.len(), ROWS * width, |piece, rows| {
        rows.copy_from_slice(&x[piece * ROWS * width..][..rows.len()]);
        for (t, row) in (piece * ROWS..).zip(rows.chunks_exact_mut(width)) {
            let at = t % positions * half;
            let (cos, sin) = (&cos[at..at + half], &sin[at..at + half]);
            for head in row.chunks_exact_mut(2 * half) {
                let (first, second) = head.split_at_mut(half);
                for ((a, b), (cos, sin)) in first.iter_mut().zip(second).zip(cos.iter().zip(sin)) {
                    let sin = direction * sin;
                    (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
                }
            }
        }
    })
}

/// dx, which is dy rotated by the opposite angles.
pub fn backward(dy: &[f32], width: usize, cos: &[f32], sin: &[f32], half: usize) -> Vec<f32> {
    forward(dy, width, cos, sin, half, -1.0)
}
// ANCHOR_END: forward

/// RoPE on tensors: `x` (B·T, heads·D), tables (T, D/2) for the T positions of each of the B sequences.
pub fn rope(x: &Tensor, cos: &Array, sin: &Array) -> Tensor {
    let width = *x.shape().last().expect("x has rows");
    let [positions, half] = *cos.shape() else { panic!("rope: cos is (T, D/2), not {:?}", cos.shape()) };
    assert_eq!(width % (2 * half), 0, "rope: {width} is not a number of heads of {}", 2 * half);
    assert_eq!(x.matrix().nrows() % positions, 0, "rope: x {:?}, cos {:?}", x.shape(), cos.shape());
    let y = forward(x.data(), width, slice(cos), slice(sin), half, 1.0);
    Tensor::from_op(array(x.shape(), y), &[x], || {
        let (cos, sin) = (cos.clone(), sin.clone());
        Box::new(move |dy| vec![Some(array(dy.shape(), backward(slice(&dy), width, slice(&cos), slice(&sin), half)))])
    })
}
