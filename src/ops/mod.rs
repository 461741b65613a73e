//! Differentiable operations, one per file, each with a hand-derived backward pass.
//!
//! A file starts with the maths and the shapes. Then come `forward` and `backward` on plain numbers, and the operation
//! itself on [`Tensor`](crate::tensor::Tensor)s, which records a node that runs `backward`. Where a gradient is often not
//! needed, because a weight is frozen, there is a function per gradient instead. The elementary operations
//! ([`elementwise`], [`reduce`], [`shape`], [`linear`]) are enough to write every other one naively; the tests do so, and
//! compare.
//!
//! Book: [tensor](../../../book/tensor.html)

pub mod elementwise;
pub mod reduce;
pub mod shape;
pub mod linear;
pub mod embedding;
pub mod rms_norm;
pub mod rope;
pub mod attention;
pub mod top_k;
pub mod swiglu;
pub mod dispatch;
pub mod grouped_matmul;
pub mod fake_quantize;
pub mod exchange;
pub mod load_balancing;
pub mod cross_entropy;
