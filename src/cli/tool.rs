//! `ossia tool`

mod browser;

pub use self::browser::BrowserArguments;
use super::{print, standard_input};
use crate::error::{Error, Result};
use crate::tools::apply_patch::Workspace;
use crate::tools::launch::become_program;
use crate::tools::python::{Python, PythonSettings};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Run a tool by hand, as a model's call runs it
#[derive(clap::Subcommand)]
#[command(rename_all = "snake_case")]
pub enum Command {
    /// Run the program on standard input in a sandbox, and print the answer that a model would get
    Python(PythonArguments),
    /// Search and read pages: one call per line, such as `search {"query": "fox"}` or `open {"id": 0}`
    Browser(BrowserArguments),
    /// Apply the patch on standard input to the files of a directory, completely or not at all
    ///
    /// The patch has OpenAI's format, also as `apply_patch <<'EOF'`. A file that is moved replaces the file at its new
    /// path, if there is one. A file that is updated ends with a newline, even if it had none.
    ApplyPatch {
        /// The directory; nothing outside of it is read or changed
        #[arg(long, value_name = "DIR")]
        root: PathBuf,
    },
}

/// The confinement of Python.
#[derive(clap::Args, Clone)]
pub struct PythonArguments {
    /// The directory in which Python may read and write [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// The most seconds that a program may take
    #[arg(long, default_value_t = 120, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    tool_timeout: u64,
    /// Run Python without a sandbox, with all your rights. A model can then do whatever you can
    #[arg(long)]
    dangerously_unsandboxed: bool,
}

impl PythonArguments {
    /// Starts a session.
    ///
    /// # Errors
    /// If there is no interpreter, or no sandbox.
    pub fn start(&self) -> Result<Python> {
        let helper = std::env::current_exe().map_err(|e| Error::io("ossia", "find", e))?;
        let timeout = Duration::from_secs(self.tool_timeout);
        let unsandboxed = self.dangerously_unsandboxed;
        Python::new(PythonSettings { work: self.root.clone(), unsandboxed, timeout, ..PythonSettings::new(helper) })
    }
}

/// Starts a session for a rollout, in which a program may take ten seconds.
///
/// # Errors
/// Those of [`PythonArguments::start`].
pub fn python_of_rollout() -> Result<Python> {
    PythonArguments { root: None, tool_timeout: 10, dangerously_unsandboxed: false }.start()
}

pub fn run(command: Command) -> Result<()> {
    match command {
        Command::Python(arguments) => {
            let program = standard_input()?;
            let answer = arguments.start()?.run(&program);
            print(answer.trim_end_matches('\n'))?;
            print("\n")
        }
        Command::Browser(arguments) => arguments.run(),
        Command::ApplyPatch { root } => {
            let workspace = Workspace::open(&root)?;
            let answer = workspace.apply(&standard_input()?);
            print(&answer.map_err(|error| Error::argument(error.report()))?)
        }
    }
}

/// Closes inherited files, then replaces this process with a command.
pub fn launch(parent: u32, command: &[OsString]) -> Result<()> {
    let (program, arguments) = command.split_first().ok_or_else(|| Error::argument("no program to launch"))?;
    become_program(parent, program, arguments).map(drop)
}

/// Confines this process as `confinement` (JSON) says, then replaces the process with the program to run.
#[cfg(target_os = "linux")]
pub fn enter_sandbox(confinement: &str) -> Result<()> {
    let parsed: crate::tools::sandbox::Confinement =
        serde_json::from_str(confinement).map_err(|e| Error::argument(format!("no confinement: {e}")))?;
    parsed.enter().map(drop)
}
