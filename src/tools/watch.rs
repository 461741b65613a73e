//! Limits that the kernel does not have: the sum of all files of a session, their number, and the number of threads.
//!
//! While an interpreter runs, a thread of ossia measures these every 20 ms, and kills the interpreter when one
//! exceeds its limit. So a program can exceed a limit by as much as it does in one interval, and in the time that a
//! measurement takes.

use cap_std::ambient_authority;
use cap_std::fs::{Dir, MetadataExt};
use std::collections::HashSet;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// The time between two measurements. It is longer if a measurement takes more than a quarter of it: measurements take a
/// fifth of the time at most.
const INTERVAL: Duration = Duration::from_millis(20);

/// The number of measurements that may fail one after another.
const FAILURES: u32 = 50;

/// The levels of directories that are measured. Deeper ones count as unreadable.
const DEEPEST: usize = 64;

/// The limits of a session.
#[derive(Debug, Clone, Copy)]
pub struct Quota {
    /// The space that all files may take together, in bytes.
    pub bytes: u64,
    /// The number of files, directories and links.
    pub files: u64,
    /// The number of threads.
    pub threads: u64,
    /// The size that a single file may have, in bytes.
    pub file_size: u64,
}

/// The files below a directory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// The space that the files take, in bytes.
    pub bytes: u64,
    /// The number of files, directories and links.
    pub files: u64,
    /// The number of directories that cannot be read, for example because they are too deep.
    pub unreadable: u64,
}

impl Usage {
    /// Measures the files below a directory. Stops when there are more than `most` files.
    ///
    /// # Errors
    /// If the directory itself cannot be opened or read.
    pub fn below(directory: &Path, most: u64) -> Result<Self> {
        let mut usage = Self::default();
        let mut open = vec![Dir::open_ambient_dir(directory, ambient_authority())?.entries()?];
        while let Some(entries) = open.last_mut() {
            let Some(entry) = entries.next() else {
                open.pop();
                continue;
            };
            let Ok(entry) = entry else {
                usage.unreadable += 1;
                open.pop();
                continue;
            };
            let Ok(found) = entry.metadata() else { continue }; // it has been removed meanwhile
            usage.bytes = usage.bytes.saturating_add(found.blocks().saturating_mul(512));
            usage.files += 1;
            if usage.files > most {
                return Ok(usage);
            }
            if found.is_dir() {
                let inner = if open.len() < DEEPEST { entry.open_dir() } else { Err(ErrorKind::Other.into()) };
                match inner.and_then(|inner| inner.entries()) {
                    Ok(inner) => open.push(inner),
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(_) => usage.unreadable += 1,
                }
            }
        }
        Ok(usage)
    }

    /// Returns the limit that the growth since `start` exceeds.
    pub fn excess(&self, start: &Self, quota: &Quota) -> Option<Excess> {
        if self.unreadable > start.unreadable {
            Some(Excess::Unreadable)
        } else if self.files > start.files.saturating_add(quota.files) {
            Some(Excess::Files(quota.files))
        } else if self.bytes > start.bytes.saturating_add(quota.bytes) {
            Some(Excess::Bytes(quota.bytes >> 20))
        } else {
            None
        }
    }
}

/// A limit that was exceeded, in words for the model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Excess {
    /// The space of all files, in MiB.
    #[error("more than {0} MiB of new files")]
    Bytes(u64),
    /// The number of files.
    #[error("more than {0} new files")]
    Files(u64),
    /// Files that cannot be measured.
    #[error("new directories that cannot be read, or are nested more than {DEEPEST} deep")]
    Unreadable,
    /// The number of threads.
    #[error("more than {0} threads")]
    Threads(u64),
}

/// A thread that watches an interpreter. It ends when this is dropped.
pub struct Watch {
    exceeded: Arc<OnceLock<Excess>>,
    _stop: Sender<()>,
}

impl Watch {
    /// Watches the process `spawned`, or the last of its only descendants, and its work directory, which had the usage
    /// `start` when the session started. Calls `kill` when it exceeds its quota.
    ///
    /// # Errors
    /// If the process cannot be measured.
    pub fn start(
        spawned: u32,
        work: &Path,
        start: Usage,
        quota: Quota,
        kill: impl Fn() + Send + 'static,
    ) -> Result<Self> {
        let process = Process::innermost(spawned)?;
        process.status()?;
        let pinned = process.removed_files(quota.file_size)?; // by an update of the interpreter while it runs
        let watched = Watched { process, work: work.to_path_buf(), start, pinned, quota };
        let (stop, stopped) = channel::<()>();
        let exceeded = Arc::new(OnceLock::new());
        let result = Arc::clone(&exceeded);
        std::thread::spawn(move || {
            let (mut wait, mut last, mut failures) = (INTERVAL, None, 0);
            while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                let begin = Instant::now();
                let status = watched.process.status();
                if status.as_ref().is_ok_and(|status| status.ended) || status.as_ref().is_err_and(has_ended) {
                    kill(); // if this still has an effect, only the first thread of the process has ended
                    break;
                }
                // A process that has not computed anything has not changed anything.
                let ticks = status.as_ref().ok().map(|status| status.ticks);
                if std::mem::replace(&mut last, ticks) == ticks && ticks.is_some() && failures == 0 {
                    continue;
                }
                let excess = match status.and_then(|status| watched.excess(&status)) {
                    Ok(excess) => excess,
                    // A process that is about to end cannot be measured. One that lives on can.
                    Err(_) if failures < FAILURES => {
                        failures += 1;
                        continue;
                    }
                    Err(_) => Some(Excess::Unreadable),
                };
                if let Some(excess) = excess {
                    _ = result.set(excess);
                    kill();
                    break;
                }
                failures = 0;
                wait = INTERVAL.max(4 * begin.elapsed());
            }
        });
        Ok(Self { exceeded, _stop: stop })
    }

    /// Returns the limit that the process has exceeded. It has been killed then.
    pub fn exceeded(&self) -> Option<&Excess> {
        self.exceeded.get()
    }
}

struct Watched {
    process: Process,
    work: PathBuf,
    start: Usage,
    pinned: u64,
    quota: Quota,
}

impl Watched {
    fn excess(&self, status: &Status) -> Result<Option<Excess>> {
        if status.threads > self.quota.threads {
            return Ok(Some(Excess::Threads(self.quota.threads)));
        }
        let mut usage = Usage::below(&self.work, self.start.files.saturating_add(self.quota.files))?;
        let removed = self.process.removed_files(self.quota.file_size)?;
        usage.bytes = usage.bytes.saturating_add(removed.saturating_sub(self.pinned));
        Ok(usage.excess(&self.start, &self.quota))
    }
}

/// Returns whether a process has an entry in `/proc` no longer.
fn has_ended(error: &Error) -> bool {
    const ESRCH: i32 = 3; // it ended while the entry was read
    error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(ESRCH)
}

/// A process, as `/proc` shows it.
struct Process(PathBuf);

/// The counters of a process.
struct Status {
    /// The CPU time, in ticks of the clock.
    ticks: u64,
    threads: u64,
    /// Whether the process has ended, or at least its first thread.
    ended: bool,
}

impl Process {
    fn at(id: u32) -> Self {
        Self(format!("/proc/{id}").into())
    }

    /// Follows the children of a process while there is exactly one. Bubblewrap starts a process that starts the
    /// interpreter. The interpreter itself cannot start any.
    fn innermost(id: u32) -> Result<Self> {
        let mut parents = Vec::new();
        for entry in std::fs::read_dir("/proc")? {
            let Some(process) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            // Processes that have ended meanwhile are left out.
            if let Ok(fields) = Self::at(process).fields() {
                parents.push((fields[1].parse().unwrap_or(0u32), process));
            }
        }
        let mut innermost = id;
        while let [child] = parents.iter().filter(|(parent, _)| *parent == innermost).collect::<Vec<_>>()[..] {
            innermost = child.1;
        }
        Ok(Self::at(innermost))
    }

    fn status(&self) -> Result<Status> {
        let fields = self.fields()?;
        let number = |index: usize| fields[index].parse().unwrap_or(0u64);
        Ok(Status { ticks: number(11) + number(12), threads: number(17), ended: ["Z", "X"].contains(&&*fields[0]) })
    }

    /// Returns the fields of `stat` after the name: the state, the parent, and so on.
    fn fields(&self) -> Result<Vec<String>> {
        let stat = std::fs::read_to_string(self.0.join("stat"))?;
        let (_, fields) = stat.rsplit_once(')').ok_or(ErrorKind::InvalidData)?;
        let fields: Vec<String> = fields.split_whitespace().map(String::from).collect();
        if fields.len() < 18 { Err(ErrorKind::InvalidData.into()) } else { Ok(fields) }
    }

    /// Returns the space of the files that have no name any more but are still open or mapped. The size of a file that
    /// is only mapped is not known, so it counts as `file_size`, the size that a file may have.
    fn removed_files(&self, file_size: u64) -> Result<u64> {
        use std::os::unix::fs::MetadataExt;
        let (mut bytes, mut seen) = (0u64, HashSet::new());
        for entry in std::fs::read_dir(self.0.join("fd"))? {
            let Ok(entry) = entry else { continue };
            // This follows the link to the file itself. A descriptor that is closed meanwhile is left out.
            let Ok(file) = std::fs::metadata(entry.path()) else { continue };
            if file.is_file() && file.nlink() == 0 && seen.insert(file.ino()) {
                bytes = bytes.saturating_add(file.blocks().saturating_mul(512));
            }
        }
        // 7f5c2a000000-7f5c2a001000 rw-s 00000000 fe:01 1234    /path/of/the/file (deleted)
        for line in std::fs::read_to_string(self.0.join("maps"))?.lines().filter(|line| line.ends_with(" (deleted)")) {
            let inode = line.split_whitespace().nth(4).and_then(|field| field.parse().ok());
            let is_memory = line.contains(" /dev/zero (deleted)");
            if let Some(inode) = inode
                && !is_memory
                && seen.insert(inode)
            {
                bytes = bytes.saturating_add(file_size);
            }
        }
        Ok(bytes)
    }
}
