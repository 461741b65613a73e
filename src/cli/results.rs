//! `ossia eval --json`: the results as a file.

use crate::error::{Error, Result};
use crate::files::{read_text, write_atomically};
use crate::tasks::arithmetic::Score;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The results of `ossia eval`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Results {
    /// The loss on a text.
    Text(TextResults),
    /// Right answers to the questions of `--task arithmetic`.
    Arithmetic(ArithmeticResults),
}

/// The loss on a text and, if the text is the built-in one, the quality of generated stories.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextResults {
    /// The number of tokens of the text.
    pub tokens: usize,
    /// Nats per token.
    pub loss: f64,
    /// Bits per byte of the text.
    pub bits_per_byte: f64,
    /// The lowest loss that any model can reach, if it is known.
    pub entropy_floor: Option<f64>,
    /// Generated stories, at each temperature.
    pub stories: Vec<StoryResults>,
}

/// Stories that a model has told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoryResults {
    /// The temperature.
    pub temperature: f32,
    /// The number of stories.
    pub told: usize,
    /// Those that are well-formed and consistent.
    pub well_formed: usize,
}

/// Right answers and tokens of analysis.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ArithmeticResults {
    /// Sums.
    pub sums: Scores,
    /// Products, for which the model has Python.
    pub products: Scores,
}

/// The scores of the efforts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// At low effort.
    pub low: Score,
    /// At medium effort.
    pub medium: Score,
    /// At high effort.
    pub high: Score,
}

impl Scores {
    /// Returns the scores, from low to high effort.
    pub fn all(&self) -> [Score; 3] {
        [self.low, self.medium, self.high]
    }
}

impl From<[Score; 3]> for Scores {
    fn from([low, medium, high]: [Score; 3]) -> Self {
        Self { low, medium, high }
    }
}

impl Results {
    /// Writes the results.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn save(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).expect("plain numbers");
        write_atomically(path, format!("{text}\n").as_bytes())
    }

    /// Reads results.
    ///
    /// # Errors
    /// If the file is missing or malformed.
    pub fn load(path: &Path) -> Result<Self> {
        serde_json::from_str(&read_text(path)?).map_err(|e| Error::invalid(path, e))
    }
}
