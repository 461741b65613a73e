//! The first step of every process that a tool starts: it loses what it has inherited, and it ends with ossia.
//!
//! A process inherits every open file and connection of its parent that is not marked close-on-exec, and a file that is
//! open already needs no permission. So ossia does not start another program directly. It starts itself as a helper,
//! which closes everything except standard input, output and error, asks the kernel to end it when its parent ends, and
//! then becomes the other program.

use crate::error::{Error, Result};
use nix::unistd::{Pid, close, getppid};
use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// The argument that makes ossia become another program. The next arguments are the process id of the parent, and the
/// program with its arguments.
pub const LAUNCH: &str = "launch-tool";

/// Makes a command that starts `program` with standard input, output and error only. It is `helper`, which is ossia,
/// that starts and becomes the program.
///
/// On Linux the program is killed when the *thread* that spawns the command ends.
pub fn command(helper: &Path, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(helper);
    command.arg(LAUNCH).arg(std::process::id().to_string()).arg("--").arg(program);
    command
}

// ANCHOR: become
/// Closes all inherited descriptors and becomes the program. The function returns only if it fails.
///
/// # Errors
/// If the descriptors cannot be listed, the parent has ended already, or the program cannot be run.
pub fn become_program(parent: u32, program: &OsStr, arguments: &[OsString]) -> Result<Infallible> {
    close_inherited().map_err(|e| Error::io(OPEN_FILES, "read", e))?;
    end_with_parent()?;
    // The parent may have ended before this process asked to end with it.
    if Ok(getppid()) != i32::try_from(parent).map(Pid::from_raw) {
        return Err(Error::argument("the process that started this one has ended"));
    }
    Err(Error::io(program, "run", Command::new(program).args(arguments).exec()))
}
// ANCHOR_END: become

/// The directory that lists the descriptors of a process.
const OPEN_FILES: &str = if cfg!(target_os = "linux") { "/proc/self/fd" } else { "/dev/fd" };

/// Closes all descriptors except standard input, output and error.
fn close_inherited() -> io::Result<()> {
    let mut open: Vec<RawFd> = Vec::new();
    for entry in std::fs::read_dir(OPEN_FILES)? {
        open.extend(entry?.file_name().to_str().and_then(|name| name.parse::<RawFd>().ok()));
    }
    for descriptor in open.into_iter().filter(|&descriptor| descriptor > 2) {
        // The list includes the descriptor that it was read with, which is closed by now. Every other error of `close`
        // leaves the descriptor closed, too.
        _ = close(descriptor);
    }
    Ok(())
}

/// Asks the kernel to kill this process when its parent ends.
#[cfg(target_os = "linux")]
fn end_with_parent() -> Result<()> {
    use nix::sys::{prctl::set_pdeathsig, signal::Signal};
    set_pdeathsig(Signal::SIGKILL).map_err(|e| Error::argument(format!("cannot end with the parent process: {e}")))
}

/// Other systems have no such request. There the interpreter ends when its standard input ends and its program is done.
#[cfg(not(target_os = "linux"))]
fn end_with_parent() -> Result<()> {
    Ok(())
}
