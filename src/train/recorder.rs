//! Recording: writes the files of a run directory while a model trains.
//!
//! Book: [training](../../../../book/training.html)

use super::metrics::{Logged, Metrics};
use super::run::{RunDirectory, RunState};
use crate::checkpoint;
use crate::error::{Error, Result};
use crate::files::{append_line, write_atomically};
use crate::model::Transformer;
use std::path::Path;

/// Receives the pieces of a sample as they are generated, and `None` at its end.
pub type ShowSample<'s> = &'s mut dyn FnMut(Option<&str>);

/// Generates a sample that shows what a model can do after a step. The function gets every piece of it.
pub type Sample = Box<dyn Fn(&Transformer, u64, &mut dyn FnMut(&str)) -> Result<String>>;

/// The line above a sample of `samples.txt`, before the number of the step.
const HEADING: &str = "=== step ";

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

    /// Records an evaluation of a model. `measured` is the model that was measured, which generates the sample.
    pub(super) fn evaluated(
        &self,
        model: &Transformer,
        measured: &Transformer,
        step: u64,
        best: bool,
        show: ShowSample,
    ) -> Result<()> {
        if best {
            let best = self.directory.file("best");
            checkpoint::save_weights(model, &best)?;
            checkpoint::copy_tokenizer(self.directory.path(), &best)?;
        }
        #[cfg(feature = "plots")]
        super::chart::draw(&super::metrics::read(&self.directory.metrics(), step)?, &self.directory.file("loss.svg"))?;
        if let Some(sample) = &self.sample {
            // A model whose context is too short for a sample may still be trained.
            let text = sample(measured, step, &mut |piece| show(Some(piece))).unwrap_or_else(|error| {
                let line = format!("no sample: {error}");
                show(Some(&line));
                line
            });
            show(None);
            // A line of the text that looks like a heading would be taken for one when the file is cut back.
            let indented = |line: &str| if line.starts_with(HEADING) { format!(" {line}") } else { line.to_string() };
            let text = text.trim().lines().map(indented).collect::<Vec<_>>().join("\n");
            append_line(&self.directory.samples(), &format!("{HEADING}{step}\n{text}\n"))?;
        }
        Ok(())
    }

    pub(super) fn save(&self, state: &RunState) -> Result<()> {
        self.directory.save(state)
    }
}

/// Drops the samples after step `last`, which a resumed run shows again.
///
/// # Errors
/// Those of the operating system.
pub fn truncate_samples(path: &Path, last: u64) -> Result<()> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::io(path, "read", e)),
    };
    let is_later = |line: &[u8]| {
        let step =
            str::from_utf8(line).ok().and_then(|line| line.trim_end().strip_prefix(HEADING)?.parse::<u64>().ok());
        step.is_some_and(|step| step > last)
    };
    let kept: usize =
        bytes.split_inclusive(|&byte| byte == b'\n').take_while(|line| !is_later(line)).map(<[u8]>::len).sum();
    if kept == bytes.len() { Ok(()) } else { write_atomically(path, &bytes[..kept]) }
}
