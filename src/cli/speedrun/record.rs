//! `speedrun.json`: what a speedrun is, and how far it has come.

use super::choices::Choices;
use crate::error::{Error, Result};
use crate::files::{Lock, create_directory, is_left_over, read_text, remove_left_overs, write_atomically};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const RECORD: &str = "speedrun.json";
const LOCK: &str = "lock";
/// The version of the file.
const VERSION: u32 = 1;

/// The content of `speedrun.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    version: u32,
    /// The choices with which the speedrun was started.
    pub choices: Choices,
    stages: BTreeMap<String, Progress>,
}

/// How far a stage has come.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// The time that it took, without sessions that were killed.
    pub seconds: f64,
    /// How often it was started or resumed.
    begun: u32,
    /// How often this ended so that the time is known.
    ended: u32,
    finished: bool,
}

impl Progress {
    /// Returns whether the time is that of all sessions.
    pub fn is_whole(&self) -> bool {
        self.begun == self.ended
    }
}

impl Record {
    /// Returns the progress of a stage that is finished.
    pub fn finished(&self, stage: &str) -> Option<Progress> {
        self.stages.get(stage).copied().filter(|progress| progress.finished)
    }

    fn stage(&mut self, stage: &str) -> &mut Progress {
        self.stages.entry(stage.into()).or_default()
    }

    /// Notes that a stage is started or resumed.
    pub fn begin(&mut self, stage: &str) {
        self.stage(stage).begun += 1;
    }

    /// Notes how long this session of a stage took.
    pub fn end(&mut self, stage: &str, seconds: f64) {
        let progress = self.stage(stage);
        progress.seconds += seconds;
        progress.ended += 1;
    }

    /// Notes that a stage is finished.
    pub fn finish(&mut self, stage: &str) {
        self.stage(stage).finished = true;
    }
}

/// The directory of a speedrun.
pub struct SpeedrunDirectory {
    path: PathBuf,
}

impl SpeedrunDirectory {
    /// Creates a handle for the speedrun at `path`, which does not have to exist.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_path_buf() }
    }

    /// Returns the path of the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of a file or directory in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Opens the speedrun, and keeps other processes from working on it; `None` if the directory is empty or does not exist.
    ///
    /// # Errors
    /// If the directory has something else, another process works in it, or `speedrun.json` is malformed.
    pub fn open(&self) -> Result<Option<(Record, Lock)>> {
        let path = self.file(RECORD);
        if !path.exists() {
            let mut entries = std::fs::read_dir(&self.path).into_iter().flatten().flatten().map(|entry| entry.path());
            return match entries.all(|path| path == self.file(LOCK) || is_left_over(&path)) {
                true => Ok(None),
                false => {
                    let message = "already holds something that is not a speedrun; choose another --out";
                    Err(Error::file(&self.path, message))
                }
            };
        }
        let lock = self.lock()?;
        let record: Record = serde_json::from_str(&read_text(&path)?).map_err(|e| Error::invalid(&path, e))?;
        match record.version {
            VERSION => Ok(Some((record, lock))),
            version => Err(Error::file(&path, format!("version {version}: expected {VERSION}"))),
        }
    }

    /// Starts a speedrun: creates the directory, and keeps other processes from working in it.
    ///
    /// # Errors
    /// Those of the operating system, and if another process was faster.
    pub fn create(&self, choices: Choices) -> Result<(Record, Lock)> {
        create_directory(&self.path)?;
        let lock = self.lock()?;
        let record = Record { version: VERSION, choices, stages: BTreeMap::new() };
        self.save(&record)?;
        Ok((record, lock))
    }

    fn lock(&self) -> Result<Lock> {
        let lock = Lock::acquire(&self.file(LOCK))?;
        let lock = lock.ok_or_else(|| Error::file(&self.path, "another ossia speedrun works in this directory"))?;
        remove_left_overs(&self.path)?;
        Ok(lock)
    }

    /// Writes `speedrun.json`.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn save(&self, record: &Record) -> Result<()> {
        let text = serde_json::to_string_pretty(record).expect("plain values");
        write_atomically(&self.file(RECORD), format!("{text}\n").as_bytes())
    }
}
