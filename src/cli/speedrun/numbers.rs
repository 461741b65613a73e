//! The numbers of the stages that train, all in one place.

/// The numbers of a stage.
pub struct Numbers {
    /// The default number of steps.
    pub steps: u64,
    /// The arguments that every speedrun has.
    pub arguments: &'static [&'static str],
}

/// Pretraining on stories.
pub const PRETRAINING: Numbers = Numbers { steps: 650, arguments: &["--data", "builtin"] };

/// Fine-tuning on conversations. The learning rate is the one with which the task is learned from scratch.
pub const FINE_TUNING: Numbers = Numbers {
    steps: 1_500,
    arguments: &["--task", "arithmetic", "--mix-efforts", "0.5", "--batch-size", "16", "--learning-rate", "0.002"],
};

/// Reinforcement learning. A token has a price at low effort, and none at medium and high effort.
pub const REINFORCEMENT: Numbers =
    Numbers { steps: 60, arguments: &["--rl", "arithmetic", "--longest", "160", "--price", "0.015,0,0"] };
