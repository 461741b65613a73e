//! Runs Python programs for a model, in a session that keeps its state, inside a sandbox.

use crate::error::{Error, Result};
use serde::Deserialize;
use std::hash::{BuildHasher, RandomState};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::time::{Duration, Instant};

/// The settings of a Python session.
#[derive(Debug, Clone)]
pub struct PythonSettings {
    /// The interpreter: a path, or a name that is searched for in `PATH`.
    pub interpreter: PathBuf,
    /// The program that enters the sandbox and becomes the interpreter, which is ossia itself.
    pub helper: PathBuf,
    /// The directory in which programs may read and write. With `None`, the session makes its own and removes it at the
    /// end.
    pub work: Option<PathBuf>,
    /// Whether to run without any sandbox.
    pub unsandboxed: bool,
    /// Whether to run the sandbox inside bubblewrap if that is installed and works, so that programs cannot even see
    /// other files.
    pub bubblewrap: bool,
    /// The longest time that a program may take.
    pub timeout: Duration,
    /// The number of bytes of output that are kept.
    pub output: usize,
    /// The largest memory, in bytes.
    pub memory: u64,
}

impl PythonSettings {
    /// Returns the default settings: `python3`, two minutes, 32 KiB of output, 4 GiB of memory.
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

/// The argument that makes ossia enter the sandbox. The next argument is the
/// [`Confinement`](super::sandbox::Confinement) as JSON.
pub const ENTER: &str = "enter-sandbox";

/// The longest time that an interpreter may take to start.
const START: Duration = Duration::from_secs(60);

/// A session of Python.
pub struct Python {
    settings: PythonSettings,
    work: PathBuf,
    _own: Option<tempfile::TempDir>, // the directory of the session, which is removed with it
    interpreter: Option<Interpreter>,
}

/// A running interpreter.
struct Interpreter {
    child: Child,
    programs: Sender<String>,
    output: Receiver<Vec<u8>>,
    count: u64,
}

impl Drop for Interpreter {
    fn drop(&mut self) {
        // There are no other processes to end, because a process in the sandbox cannot create any.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// The paths that an interpreter needs.
#[derive(Deserialize)]
struct InterpreterInfo {
    executable: PathBuf,
    read: Vec<PathBuf>,
    loaders: Vec<PathBuf>,
}

/// A program that prints [`InterpreterInfo`] as JSON. It runs outside of the sandbox, which is safe because it is part
/// of ossia.
const INFO_PROGRAM: &str = r#"
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
    /// If there is no interpreter or no sandbox.
    pub fn new(settings: PythonSettings) -> Result<Self> {
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
        let mut python = Self { settings, work, _own: own, interpreter: None };
        python.interpreter = Some(python.start()?);
        Ok(python)
    }

    /// Runs a program and returns its output, including errors, as text for the model.
    pub fn run(&mut self, program: &str) -> String {
        if self.interpreter.is_none() {
            match self.start() {
                Ok(running) => self.interpreter = Some(running),
                Err(error) => return format!("[{error}]"),
            }
        }
        let (timeout, most) = (self.settings.timeout, self.settings.output);
        let Some(running) = &mut self.interpreter else { return String::new() };
        let (text, end) = running.run(program, timeout, most);
        let note = match end {
            ProgramEnd::Finished if text.is_empty() => "[no output; print shows something]".into(),
            ProgramEnd::Finished => return text,
            ProgramEnd::TimedOut => {
                format!("[stopped after {timeout:?}; a new session was started, all names are lost]")
            }
            ProgramEnd::Exited => "[the interpreter exited; a new session was started, all names are lost]".into(),
        };
        if !matches!(end, ProgramEnd::Finished) {
            self.interpreter = None;
        }
        let line = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        format!("{text}{line}{note}")
    }

    /// Starts an interpreter that waits for programs.
    fn start(&self) -> Result<Interpreter> {
        let info = self.info()?;
        let worker = ["-I", "-B", "-u", "-X", "utf8", "-c", include_str!("worker.py")].map(String::from);
        let mut command = match self.settings.unsandboxed {
            true => {
                let mut command = Command::new(&info.executable);
                command.args(worker);
                command
            }
            false => self.confined(&info, worker.into())?,
        };
        command.current_dir(&self.work).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env_clear().env("HOME", &self.work).env("TMPDIR", &self.work).env("LANG", "C.UTF-8");
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0); // Ctrl-C is for the chat
        let mut child = command.spawn().map_err(|e| Error::io(command.get_program(), "run", e))?;
        let (Some(mut to), Some(mut from)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::argument("the interpreter has no pipes"));
        };
        let (send, output) = sync_channel(16); // bounded, so that a program cannot write faster than we read
        std::thread::spawn(move || {
            let mut chunk = [0; 8 << 10];
            while let Ok(n @ 1..) = from.read(&mut chunk) {
                if send.send(chunk[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        // A separate thread writes, so that an interpreter that does not read cannot delay the timeout.
        let (programs, sent) = channel::<String>();
        std::thread::spawn(move || while sent.recv().is_ok_and(|program| to.write_all(program.as_bytes()).is_ok()) {});
        let mut running = Interpreter { child, programs, output, count: 0 };
        match running.until(b"ready\n", START, 1 << 10).1 {
            ProgramEnd::Finished => Ok(running),
            _ => Err(running.startup_error()),
        }
    }

    /// Runs the interpreter to find the paths that it needs.
    fn info(&self) -> Result<InterpreterInfo> {
        let interpreter = &self.settings.interpreter;
        let output = Command::new(interpreter).args(["-I", "-c", INFO_PROGRAM]).stdin(Stdio::null()).output();
        let output = output.map_err(|e| Error::io(interpreter, "run", e))?;
        serde_json::from_slice(&output.stdout).map_err(|_| Error::file(interpreter, "is not a working Python 3"))
    }

    #[cfg(target_os = "linux")]
    fn confined(&self, info: &InterpreterInfo, arguments: Vec<String>) -> Result<Command> {
        let confinement = super::sandbox::Confinement {
            program: info.executable.clone(),
            arguments,
            execute: info.loaders.iter().chain([&info.executable]).cloned().collect(),
            read: info.read.clone(),
            work: self.work.clone(),
            memory: self.settings.memory,
            file_size: 256 << 20,
            cpu_seconds: 3_600,
        };
        let json = serde_json::to_string(&confinement).map_err(Error::unusable)?;
        let mut command = match self.settings.bubblewrap && super::bubblewrap::works() {
            true => super::bubblewrap::around(&confinement, &self.settings.helper),
            false => Command::new(&self.settings.helper),
        };
        command.arg(ENTER).arg(json);
        Ok(command)
    }

    #[cfg(not(target_os = "linux"))]
    fn confined(&self, _: &InterpreterInfo, _: Vec<String>) -> Result<Command> {
        Err(Error::argument("there is a sandbox on Linux only; --dangerously-unsandboxed runs without one"))
    }
}

/// The way in which a program ended.
enum ProgramEnd {
    /// The program has finished.
    Finished,
    /// The program took too long.
    TimedOut,
    /// The interpreter has exited.
    Exited,
}

impl Interpreter {
    /// Runs a program and returns its output.
    fn run(&mut self, program: &str, timeout: Duration, most: usize) -> (String, ProgramEnd) {
        self.count += 1;
        // If a program finds its mark and writes it, its output is cut there, and the rest appears at the start of the
        // output of the next program.
        let mark = format!("\0{:016x}{:08x}\0", RandomState::new().hash_one(self.count), self.count);
        match self.programs.send(format!("{} {mark}\n{program}", program.len())) {
            Ok(()) => self.until(mark.as_bytes(), timeout, most),
            Err(_) => (String::new(), ProgramEnd::Exited),
        }
    }

    /// Ends an interpreter that has not started, and returns the last line of its error output as an error.
    fn startup_error(&mut self) -> Error {
        let mut stderr = String::new();
        _ = self.child.kill();
        if let Some(errors) = &mut self.child.stderr {
            _ = errors.take(4 << 10).read_to_string(&mut stderr);
        }
        let line = stderr.lines().last().unwrap_or("it ended at once").trim_start_matches("error: ");
        Error::argument(format!("python does not start: {line}"))
    }

    /// Reads the output up to a mark. If there are more than `most` bytes, the rest is dropped and counted.
    fn until(&mut self, mark: &[u8], timeout: Duration, most: usize) -> (String, ProgramEnd) {
        let (mut kept, mut dropped, mut tail) = (Vec::new(), 0usize, Vec::new());
        let deadline = Instant::now() + timeout;
        let end = loop {
            match self.output.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Err(RecvTimeoutError::Timeout) => break ProgramEnd::TimedOut,
                Err(RecvTimeoutError::Disconnected) => break ProgramEnd::Exited,
                Ok(chunk) => tail.extend(chunk),
            }
            if tail.ends_with(mark) {
                tail.truncate(tail.len() - mark.len());
                break ProgramEnd::Finished;
            }
            // Keeps back only the bytes that may be the beginning of the mark.
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

/// Appends bytes to `kept` up to `most`, and counts the rest.
fn take(kept: &mut Vec<u8>, dropped: &mut usize, bytes: impl ExactSizeIterator<Item = u8>, most: usize) {
    let room = most - kept.len();
    *dropped += bytes.len().saturating_sub(room);
    kept.extend(bytes.take(room));
}
