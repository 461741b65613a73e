//! Reinforcement learning: rollouts, rewards, advantages, and a step in their direction.
//!
//! ```text
//! question ──G rollouts──▶ rewards ──minus their mean──▶ advantages ──weights of −ln π──▶ gradient ──▶ optimizer
//! ```
//!
//! Book: [reinforcement](../../../../book/reinforcement.html)

pub mod objective;
pub mod reward;
mod settings;
pub mod policy;
pub mod mismatch;
pub mod metrics;
mod learner;
mod session;
#[cfg(feature = "plots")]
mod chart;

pub use learner::Learner;
pub use mismatch::{Mismatch, mismatch};
pub use objective::{Objective, advantages};
pub use reward::{Format, Price, Reward, RightAnswer};
pub use session::{RlMonitor, RlSession};
pub use settings::Reinforcement;
