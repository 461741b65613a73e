//! A way to write each layer: plain loops, in the order of the formulas.

pub mod adamw;
pub mod attention;
pub mod cross_entropy;
pub mod embedding;
pub mod mxfp4;
pub mod rms_norm;
pub mod rope;
pub mod swiglu;
pub mod top_k;
