//! Tasks that a tiny model can learn in minutes, and how well it does them.
//!
//! Book: [effort](../../../book/effort.html)

pub mod answer;
pub mod arithmetic;
pub mod chats;
mod lines;
pub mod problem;
pub mod questions;
pub mod rollout;
pub mod stories;
pub mod task;

pub use answer::Answer;
pub use problem::Problem;
pub use rollout::{Rollout, Rollouts, Tools};
pub use task::Task;
