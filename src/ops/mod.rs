//! One differentiable operation a file, each with its derivative by hand.
//!
//! A file opens with the maths and the shapes, then gives three functions: `forward` on plain numbers, `backward`
//! on plain numbers, and the operation itself on [`Tensor`](crate::tensor::Tensor)s, which records a node whose way
//! back is that `backward`. The elementary operations ([`elementwise`], [`reduce`], [`shape`], [`matmul`]) are
//! enough to write every other one naively; the tests do so, and compare.

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
pub mod load_balancing;
pub mod cross_entropy;
