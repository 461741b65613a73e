//! Python for a model: a session that stays, in a sandbox.

use crate::error::{Error, Result};
use serde::Deserialize;
use std::hash::{BuildHasher, RandomState};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::time::{Duration, Instant};

/// Where programs run, and how far.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The interpreter: a path, or a name to be looked for.
    pub interpreter: PathBuf,
    /// The program that enters the sandbox and becomes the interpreter: ossia itself.
    pub helper: PathBuf,
    /// The directory in which programs may read and write. `None` for one of their own that is removed in the end.
    pub work: Option<PathBuf>,
    /// Run without any sandbox.
    pub unsandboxed: bool,
    /// Put bubblewrap around the sandbox, where it is installed and works: then what is outside is not even seen.
    pub bubblewrap: bool,
    /// How long a program may take.
    pub timeout: Duration,
    /// Bytes of its output that are kept.
    pub output: usize,
    /// Bytes of memory.
    pub memory: u64,
}

impl Settings {
    /// `python3`, two minutes, 32 KiB of output, 4 GiB of memory.
    pub fn new(helper: PathBuf) -> Self {
        Self {
            interpreter: "python3".into(),
            helper,
            work: None,
            unsandboxed: false,
            bubblewrap: true,
            timeout: Duration::from_secs(120),
            output: 32 << 10,
            memory: 4 << 30,
        }
    }
}

/// The argument that makes a helper enter the sandbox; what it is told follows as JSON.
pub const ENTER: &str = "enter-sandbox";

/// How long an interpreter may take to start.
const START: Duration = Duration::from_secs(60);

/// A session of Python.
pub struct Python {
    settings: Settings,
    work: PathBuf,
    _own: Option<tempfile::TempDir>, // removed with the session
    running: Option<Running>,
}

/// An interpreter that runs.
struct Running {
    child: Child,
    programs: Sender<String>,
    output: Receiver<Vec<u8>>,
    count: u64,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It is alone: in the sandbox a process can make no other.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// What an interpreter says of itself.
#[derive(Deserialize)]
struct About {
    executable: PathBuf,
    read: Vec<PathBuf>,
    loaders: Vec<PathBuf>,
}

/// Asked before there is a sandbox; the program is ours.
const ABOUT: &str = r#"
import json, math, os, sys, sysconfig
maps = {line.split(None, 5)[5].strip() for line in open("/proc/self/maps") if "/" in line}
libraries = {os.path.dirname(path) for path in maps if ".so" in os.path.basename(path)}
paths = set(sys.path) | {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), os.path.join(sys.prefix, "pyvenv.cfg"),
         "/etc/ld.so.cache"} | libraries
print(json.dumps({"executable": sys.executable, "read": sorted(path for path in paths if path and os.path.exists(path)),
      "loaders": sorted(path for path in maps if os.path.basename(path).startswith("ld-"))}))
"#;

impl Python {
    /// Starts a session.
    ///
    /// # Errors
    /// If there is no interpreter, or no sandbox.
    pub fn new(settings: Settings) -> Result<Self> {
        let own = match &settings.work {
            Some(_) => None,
            None => Some(tempfile::tempdir().map_err(|e| Error::io("the work directory", "make", e))?),
        };
        let work = match (&settings.work, &own) {
            (Some(work), _) => work.clone(),
            (None, Some(own)) => own.path().to_path_buf(),
            (None, None) => PathBuf::new(),
        };
        let work = work.canonicalize().map_err(|e| Error::io(&work, "open", e))?;
        let mut python = Self { settings, work, _own: own, running: None };
        python.running = Some(python.start()?);
        Ok(python)
    }

    /// Runs a program. What it wrote, and what went wrong, in words for the model.
    pub fn run(&mut self, program: &str) -> String {
        if self.running.is_none() {
            match self.start() {
                Ok(running) => self.running = Some(running),
                Err(error) => return format!("[{error}]"),
            }
        }
        let (timeout, most) = (self.settings.timeout, self.settings.output);
        let Some(running) = &mut self.running else { return String::new() };
        let (text, end) = running.run(program, timeout, most);
        let note = match end {
            End::Done if text.is_empty() => "[no output; print shows something]".into(),
            End::Done => return text,
            End::Timeout => format!("[stopped after {timeout:?}; the session was started anew, its names are gone]"),
            End::Gone => "[the interpreter ended; the session was started anew, its names are gone]".into(),
        };
        if !matches!(end, End::Done) {
            self.running = None;
        }
        let line = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        format!("{text}{line}{note}")
    }

    fn start(&self) -> Result<Running> {
        let about = self.about()?;
        let worker = ["-I", "-B", "-u", "-X", "utf8", "-c", include_str!("worker.py")].map(String::from);
        let mut command = match self.settings.unsandboxed {
            true => {
                let mut command = Command::new(&about.executable);
                command.args(worker);
                command
            }
            false => self.confined(&about, worker.into())?,
        };
        command.current_dir(&self.work).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env_clear().env("HOME", &self.work).env("TMPDIR", &self.work).env("LANG", "C.UTF-8");
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0); // Ctrl-C is for the chat
        let mut child = command.spawn().map_err(|e| Error::io(command.get_program(), "run", e))?;
        let (Some(mut to), Some(mut from)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::argument("the interpreter has no pipes"));
        };
        let (send, output) = sync_channel(16); // who writes faster than is read waits
        std::thread::spawn(move || {
            let mut chunk = [0; 8 << 10];
            while let Ok(n @ 1..) = from.read(&mut chunk) {
                if send.send(chunk[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        // An interpreter that does not read must not keep us from looking at the clock.
        let (programs, sent) = channel::<String>();
        std::thread::spawn(move || while sent.recv().is_ok_and(|program| to.write_all(program.as_bytes()).is_ok()) {});
        let mut running = Running { child, programs, output, count: 0 };
        match running.until(b"ready\n", START, 1 << 10).1 {
            End::Done => Ok(running),
            _ => {
                let mut said = String::new();
                _ = running.child.kill();
                if let Some(errors) = &mut running.child.stderr {
                    _ = errors.take(4 << 10).read_to_string(&mut said);
                }
                let line = said.lines().last().unwrap_or("it ended at once").trim_start_matches("error: ").to_string();
                Err(Error::argument(format!("python does not start: {line}")))
            }
        }
    }

    /// Asks the interpreter where it lives.
    fn about(&self) -> Result<About> {
        let interpreter = &self.settings.interpreter;
        let output = Command::new(interpreter).args(["-I", "-c", ABOUT]).stdin(Stdio::null()).output();
        let output = output.map_err(|e| Error::io(interpreter, "run", e))?;
        serde_json::from_slice(&output.stdout).map_err(|_| Error::file(interpreter, "is no Python 3 that works"))
    }

    #[cfg(target_os = "linux")]
    fn confined(&self, about: &About, arguments: Vec<String>) -> Result<Command> {
        let confinement = super::sandbox::Confinement {
            program: about.executable.clone(),
            arguments,
            execute: about.loaders.iter().chain([&about.executable]).cloned().collect(),
            read: about.read.clone(),
            work: self.work.clone(),
            memory: self.settings.memory,
            file_size: 256 << 20,
            cpu_seconds: 3_600,
        };
        let told = serde_json::to_string(&confinement).map_err(|e| Error::unusable(e))?;
        let mut command = match self.settings.bubblewrap && super::bubblewrap::works() {
            true => super::bubblewrap::around(&confinement, &self.settings.helper),
            false => Command::new(&self.settings.helper),
        };
        command.arg(ENTER).arg(told);
        Ok(command)
    }

    #[cfg(not(target_os = "linux"))]
    fn confined(&self, _: &About, _: Vec<String>) -> Result<Command> {
        Err(Error::argument("there is a sandbox on Linux only; --dangerously-unsandboxed runs without one"))
    }
}

/// How a program ended.
enum End {
    Done,
    Timeout,
    Gone,
}

impl Running {
    fn run(&mut self, program: &str, timeout: Duration, most: usize) -> (String, End) {
        self.count += 1;
        // A program could find the mark and write it; then its own output is cut, and that of the next begins with it.
        let mark = format!("\0{:016x}{:08x}\0", RandomState::new().hash_one(self.count), self.count);
        match self.programs.send(format!("{} {mark}\n{program}", program.len())) {
            Ok(()) => self.until(mark.as_bytes(), timeout, most),
            Err(_) => (String::new(), End::Gone),
        }
    }

    /// Reads up to a mark. Of more than `most` bytes the rest is dropped, and counted.
    fn until(&mut self, mark: &[u8], timeout: Duration, most: usize) -> (String, End) {
        let (mut kept, mut dropped, mut tail) = (Vec::new(), 0usize, Vec::new());
        let deadline = Instant::now() + timeout;
        let end = loop {
            match self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Err(RecvTimeoutError::Timeout) => break End::Timeout,
                Err(RecvTimeoutError::Disconnected) => break End::Gone,
                Ok(chunk) => tail.extend(chunk),
            }
            if tail.ends_with(mark) {
                tail.truncate(tail.len() - mark.len());
                break End::Done;
            }
            // All but what may be the beginning of the mark.
            let sure = tail.len().saturating_sub(mark.len());
            take(&mut kept, &mut dropped, tail.drain(..sure), most);
        };
        take(&mut kept, &mut dropped, tail.drain(..), most);
        let mut text = String::from_utf8_lossy(&kept).into_owned();
        if dropped > 0 {
            text += &format!("\n[{dropped} more bytes of output are left out]");
        }
        (text, end)
    }
}

fn take(kept: &mut Vec<u8>, dropped: &mut usize, bytes: impl ExactSizeIterator<Item = u8>, most: usize) {
    let room = most - kept.len();
    *dropped += bytes.len().saturating_sub(room);
    kept.extend(bytes.take(room));
}
