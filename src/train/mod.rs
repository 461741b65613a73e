//! Training: batches in, a better model out.       Book: training.md
//!
//! [`Trainer`] owns the model, the optimizer and the data, and takes one step at a time; [`run`] keeps all of it in a
//! directory, so that a run that was stopped goes on as if nothing had happened. Nothing here prints: a [`Monitor`]
//! is told what happens.

pub mod schedule;
pub mod adamw;
pub mod trainer;
pub mod evaluate;
pub mod metrics;
pub mod run;

pub use adamw::AdamW;
pub use evaluate::{Deviation, Evaluation, EvaluationSet, deviation, evaluate};
pub use metrics::Metrics;
pub use run::RunDirectory;
pub use schedule::Schedule;
pub use trainer::{Monitor, Settings, Trainer};
