//! Training: batches in, a better model out.
//!
//! [`Trainer`] owns the model, the optimizer and the data, and takes one step at a time. [`Session`] prepares a run from its
//! settings, or resumes one; a [`Recorder`] keeps its directory, so that a run that was stopped continues as if nothing had
//! happened. Nothing here prints: a [`Monitor`] displays the progress.
//!
//! Book: [training](../../../book/training.html)

pub mod schedule;
pub mod optimizer;
pub mod adamw;
pub mod muon;
pub mod settings;
mod pace;
pub mod trainer;
mod buckets;
mod pieces;
mod shares;
mod together;
mod distributed;
pub mod evaluate;
pub mod metrics;
pub mod start;
pub mod run;
pub mod paths;
pub mod note;
pub mod memory;
pub mod cost;
pub mod texts;
pub mod chats;
pub mod prepared;
pub mod material;
#[cfg(feature = "plots")]
pub mod chart;
pub mod recorder;
pub mod card;
pub mod job;
pub mod session;
pub mod rl;

pub use card::{CARD, Card};
pub use evaluate::{Deviation, Evaluation, EvaluationSet, deviation, evaluate, evaluate_with};
pub use job::Job;
pub use material::Material;
pub use metrics::Metrics;
pub use note::{Note, Notes};
pub use optimizer::{Method, Optimizer};
pub use pace::Pace;
pub use paths::DataPath;
pub use recorder::Recorder;
pub use run::RunDirectory;
pub use schedule::Schedule;
pub use session::Session;
pub use settings::{RunSettings, Settings, Suited};
pub use trainer::{Monitor, Outcome, Trainer};
