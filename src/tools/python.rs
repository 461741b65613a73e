//! Runs Python programs for a model, in a session that keeps its state, inside a sandbox.

#[cfg(target_os = "linux")]
use super::bubblewrap;
use super::interpreter::{Interpreter, ProgramEnd};
use super::launch;
use super::scratch::Scratch;
use super::watch::{Excess, Quota, Usage, Watch};
use crate::error::{Error, Result};
use serde::Deserialize;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The settings of a Python session.
#[derive(Debug, Clone)]
pub struct PythonSettings {
    /// The interpreter: a path, or a name that is searched for in `PATH`.
    pub interpreter: PathBuf,
    /// The program that closes inherited files, enters the sandbox and becomes the interpreter, which is ossia itself.
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
    /// The space that all files of the session may take, in bytes. With `work`, the space that they may take in addition
    /// to the files that exist at the start.
    pub disk: u64,
    /// The number of files, directories and links that the session may have, counted as for `disk`.
    pub files: u64,
    /// The number of threads.
    pub threads: u64,
}

impl PythonSettings {
    /// Returns the default settings: `python3`, two minutes, 32 KiB of output, 4 GiB of memory, 512 MiB in 10,000 files,
    /// 512 threads.
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
            disk: 512 << 20,
            files: 10_000,
            threads: 512,
        }
    }
}

/// The argument that makes ossia enter the sandbox. The next argument is the
/// [`Confinement`](super::sandbox::Confinement) as JSON.
pub const ENTER: &str = "enter-sandbox";

/// The largest size of a single file, in bytes.
const FILE_SIZE: u64 = 256 << 20;

/// A session of Python.
pub struct Python {
    // These two come first because fields are dropped in this order: the interpreter has to end before its directory is
    // removed, and is watched until then.
    interpreter: Option<Interpreter>,
    watch: Option<Watch>,
    settings: PythonSettings,
    work: PathBuf,
    /// The directory of the session, if it has its own. It is removed with the session.
    own: Option<Scratch>,
    /// The files that the directory had when the session started, except without a sandbox.
    before: Option<Usage>,
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
maps = {line.split(None, 5)[5].strip() for line in open("/proc/self/maps") if "/" in line} if sys.platform == "linux" else set()
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
        let (own, work) = match &settings.work {
            Some(work) => (None, work.canonicalize().map_err(|e| Error::io(work, "open", e))?),
            None => own_directory()?,
        };
        let mut python = Self { watch: None, interpreter: None, before: None, settings, work, own };
        python.start()?;
        Ok(python)
    }

    /// Runs a program and returns its output, including errors, as text for the model.
    pub fn run(&mut self, program: &str) -> String {
        if self.interpreter.is_none()
            && let Err(error) = self.start()
        {
            return format!("[{error}]");
        }
        let (timeout, most) = (self.settings.timeout, self.settings.output);
        let Some(running) = &mut self.interpreter else { return String::new() };
        let (text, end) = running.run(program, timeout, most);
        let note = match end {
            ProgramEnd::Finished if text.is_empty() => "[no output; print shows something]".into(),
            ProgramEnd::Finished => return text,
            ProgramEnd::TimedOut | ProgramEnd::Exited => self.end(end),
        };
        let line = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        format!("{text}{line}{note}")
    }

    /// Ends the interpreter, and returns the reason as a note for the model. The next program starts a new one.
    fn end(&mut self, end: ProgramEnd) -> String {
        let excess = self.watch.as_ref().and_then(Watch::exceeded).cloned();
        self.interpreter = None;
        self.watch = None;
        // The last measurement may have been before the last file.
        let excess = excess.or_else(|| self.excess().ok().flatten());
        let is_of_files = excess.as_ref().is_some_and(|excess| !matches!(excess, Excess::Threads(_)));
        let new = match (is_of_files, &self.settings.work) {
            (false, _) => "a new session was started, all names are lost".into(),
            (true, Some(work)) => {
                format!("all names are lost, and Python runs again when files in {} are removed", work.display())
            }
            (true, None) => match own_directory() {
                Ok((own, work)) => {
                    (self.own, self.work) = (own, work);
                    "a new session was started in an empty directory, all names and files are lost".into()
                }
                Err(error) => format!("{error}"),
            },
        };
        match (excess, end) {
            (Some(excess), _) => format!("[stopped: {excess}; {new}]"),
            (None, ProgramEnd::TimedOut) => format!("[stopped after {:?}; {new}]", self.settings.timeout),
            (None, _) => format!("[the interpreter exited; {new}]"),
        }
    }

    /// Starts an interpreter that waits for programs.
    fn start(&mut self) -> Result<()> {
        if let Some(excess) = self.excess()? {
            return Err(Error::file(
                &self.work,
                format!("there are {excess}; Python runs again when some are removed"),
            ));
        }
        let info = self.info()?;
        // The worker has a copy of the built-in functions, so that a program that changes them does not change it.
        let start = "import builtins, sys; exec(sys.argv.pop(), {'__builtins__': dict(vars(builtins))})";
        let worker = ["-I", "-B", "-u", "-X", "utf8", "-c", start, include_str!("worker.py")].map(String::from);
        let mut command = match self.settings.unsandboxed {
            true => {
                let mut command = launch::command(&self.settings.helper, &info.executable);
                command.args(worker);
                command
            }
            false => self.confined(&info, worker.into())?,
        };
        command.current_dir(&self.work).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env_clear().env("HOME", &self.work).env("TMPDIR", &self.work).env("LANG", "C.UTF-8");
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0); // Ctrl-C is for the chat
        let interpreter = Interpreter::start(command)?;
        if let Some(before) = self.before {
            let child = interpreter.child().clone();
            let watch = Watch::start(child.id(), &self.work, before, self.quota(), move || child.kill());
            self.watch = Some(watch.map_err(|e| Error::argument(format!("no sandbox: limits of files: {e}")))?);
        }
        self.interpreter = Some(interpreter);
        Ok(())
    }

    fn quota(&self) -> Quota {
        let PythonSettings { disk: bytes, files, threads, .. } = self.settings;
        Quota { bytes, files, threads, file_size: FILE_SIZE }
    }

    /// Returns the limit that the files of the session exceed, if there is a sandbox. The first call measures the files
    /// that exist before the session.
    fn excess(&mut self) -> Result<Option<Excess>> {
        if self.settings.unsandboxed {
            return Ok(None);
        }
        let quota = self.quota();
        let most = self.before.map_or(u64::MAX, |before| before.files.saturating_add(quota.files));
        let usage = Usage::below(&self.work, most).map_err(|e| Error::io(&self.work, "read", e))?;
        let before = self.before.get_or_insert(usage);
        Ok(usage.excess(before, &quota))
    }

    /// Runs the interpreter to find the paths that it needs.
    fn info(&self) -> Result<InterpreterInfo> {
        let PythonSettings { interpreter, helper, .. } = &self.settings;
        let mut command = launch::command(helper, interpreter);
        command.args(["-I", "-c", INFO_PROGRAM]).stdin(Stdio::null());
        let output = command.output().map_err(|e| Error::io(helper, "run", e))?;
        serde_json::from_slice(&output.stdout).map_err(|_| {
            let errors = String::from_utf8_lossy(&output.stderr);
            match errors.lines().last().and_then(|line| line.strip_prefix("error: ")) {
                Some(of_helper) => Error::argument(of_helper),
                None => Error::file(interpreter, "is not a working Python 3"),
            }
        })
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
            file_size: FILE_SIZE,
            cpu_seconds: 3_600,
        };
        let json = serde_json::to_string(&confinement).map_err(Error::unusable)?;
        let helper = &self.settings.helper;
        let bubblewrap = self.settings.bubblewrap.then(|| bubblewrap::find(helper)).flatten();
        let mut command = match bubblewrap {
            Some(bubblewrap) => bubblewrap::around(&bubblewrap, &confinement, helper),
            None => launch::command(helper, helper),
        };
        command.arg(ENTER).arg(json);
        Ok(command)
    }

    #[cfg(not(target_os = "linux"))]
    fn confined(&self, _: &InterpreterInfo, _: Vec<String>) -> Result<Command> {
        Err(Error::argument("there is a sandbox on Linux only; --dangerously-unsandboxed runs without one"))
    }
}

/// Makes a directory for a session, and returns it with its path.
fn own_directory() -> Result<(Option<Scratch>, PathBuf)> {
    let own = Scratch::new().map_err(|e| Error::io("the work directory", "make", e))?;
    let work = own.path().canonicalize().map_err(|e| Error::io(own.path(), "open", e))?;
    Ok((Some(own), work))
}
