//! Recording: writes the files of a run directory while a model trains.
//!
//! Book: [training](../../../../book/training.html)

use super::metrics::Metrics;
use super::run::{RunDirectory, State};
use crate::checkpoint;
use crate::error::Result;
use crate::files::append_line;
use crate::model::Transformer;

/// Shows what a model can do after a step, as text.
pub type Sample = Box<dyn Fn(&Transformer, u64) -> Result<String>>;

/// Writes `metrics.jsonl`, `samples.txt`, `loss.svg` (with the feature `plots`), the model with the lowest validation loss
/// in `best/`, and the state from which a run can resume.
pub struct Recorder {
    directory: RunDirectory,
    sample: Option<Sample>,
}

impl Recorder {
    /// Creates a recorder for a run directory that exists. Without `sample` it writes no samples.
    pub fn new(directory: RunDirectory, sample: Option<Sample>) -> Self {
        Self { directory, sample }
    }

    /// Returns the run directory.
    pub fn directory(&self) -> &RunDirectory {
        &self.directory
    }

    pub(super) fn logged(&self, metrics: &Metrics) -> Result<()> {
        metrics.append(&self.directory.metrics())
    }

    /// Records an evaluation. Returns the sample.
    pub(super) fn evaluated(&self, model: &Transformer, step: u64, best: bool) -> Result<Option<String>> {
        let sample = self.sample.as_ref().map(|sample| sample(model, step)).transpose()?;
        if let Some(sample) = &sample {
            append_line(&self.directory.file("samples.txt"), &format!("=== step {step}\n{}\n", sample.trim()))?;
        }
        if best {
            let best = self.directory.file("best");
            checkpoint::save_weights(model, &best)?;
            checkpoint::copy_tokenizer(self.directory.path(), &best)?;
        }
        #[cfg(feature = "plots")]
        super::chart::draw(&super::metrics::read(&self.directory.metrics(), step)?, &self.directory.file("loss.svg"))?;
        Ok(sample)
    }

    pub(super) fn save(&self, state: &State) -> Result<()> {
        self.directory.save(state)
    }
}
