//! A way to write each exercise: plain loops, in the order of the formulas.

pub mod adamw;
pub mod attention;
pub mod block;
pub mod bpe;
pub mod cross_entropy;
pub mod data;
pub mod dispatch;
pub mod effort;
pub mod embedding;
pub mod grad_check;
pub mod harmony;
pub mod kv_cache;
pub mod matmul;
pub mod muon;
pub mod mxfp4;
pub mod rms_norm;
pub mod rope;
pub mod sampler;
pub mod scalar_autograd;
pub mod simd;
pub mod speed;
pub mod structured_output;
pub mod swiglu;
pub mod tools;
pub mod top_k;
pub mod training_loop;
