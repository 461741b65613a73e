//! Every layer, proved three ways: against the reference (numbers that Hugging Face's and OpenAI's code computed),
//! against itself (the derived backward equals autograd on the naive composition, and central differences), and
//! against its edges. One module a layer: `cargo test rms_norm` runs all that verifies RMSNorm.

mod common;

mod autograd;
mod kernels;
mod elementwise;
mod linear;
mod embedding;
mod precision;
mod rms_norm;
mod rope;
mod attention;
mod top_k;
mod swiglu;
mod mlp;
mod experts;
mod load_balancing;
mod lora;
mod qat;
mod mtp;
mod rl;
mod cross_entropy;
mod kv_cache;
mod model;
mod checkpoints;
mod malformed_checkpoints;
mod material;
mod prepared;
mod mxfp4;
mod stored;
mod config;
mod tokenizer;
mod story;
mod corpus;
mod packed;
mod adamw;
mod muon;
mod training;
mod collective;
mod distributed;
mod drafts;
mod expert_parallel;
mod scaling;
mod generation;
mod harmony;
mod chat_format;
mod chat_template;
mod chats;
mod schema;
#[cfg(feature = "tools")]
mod tools;
mod chat;
mod arithmetic;
mod command_line;
