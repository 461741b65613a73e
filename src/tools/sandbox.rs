//! A sandbox for a process that can use its work directory and nothing else.
//!
//! A process enters the sandbox and then becomes the program. It limits its resources (`setrlimit`), the files that it
//! may open (Landlock, <https://docs.kernel.org/userspace-api/landlock.html>), and the system calls that it may make
//! (seccomp, <https://docs.kernel.org/userspace-api/seccomp_filter.html>). Only those system calls are allowed that a
//! program needs for computations and files: it cannot reach the network or create other processes, send signals to
//! other processes, or gain privileges. If a restriction cannot be enforced completely, that is an error, and nothing
//! runs. The kernel has no limit for the sum of several files; see [`watch`](super::watch).
//!
//! The restrictions bind the process, not the language. A program can run machine code of its own, for example with
//! `ctypes` or by starting a file of its work directory through the dynamic loader, and the same restrictions hold for
//! it. Without bubblewrap a program can also look up names, sizes and dates of files outside (`stat`), because Landlock
//! does not restrict this.

use super::syscalls::filters;
use crate::error::{Error, Result};
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus, Scope,
};
use serde::{Deserialize, Serialize};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The rights of a process in the sandbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Confinement {
    /// The program.
    pub program: PathBuf,
    /// The arguments.
    pub arguments: Vec<String>,
    /// The files that the process may execute.
    pub execute: Vec<PathBuf>,
    /// The files, and the directories with everything below them, that the process may read.
    pub read: Vec<PathBuf>,
    /// The directory in which the process may read, write, create and remove files.
    pub work: PathBuf,
    /// The largest memory, in bytes.
    pub memory: u64,
    /// The largest size of a file, in bytes.
    pub file_size: u64,
    /// The largest total CPU time, in seconds.
    pub cpu_seconds: u64,
}

impl Confinement {
    // ANCHOR: enter
    /// Gives up all other rights and becomes the program. The function returns only if it fails.
    ///
    /// # Errors
    /// If the kernel lacks a feature or refuses a restriction.
    pub fn enter(&self) -> Result<std::convert::Infallible> {
        let failed = |layer: &str, e: &dyn std::fmt::Display| {
            Err(Error::argument(format!("no sandbox: {layer}: {e}; --dangerously-unsandboxed runs without one")))
        };
        if let Err(e) = self.limit() {
            return failed("limits", &e);
        }
        if let Err(e) = self.close_files() {
            return failed("Landlock", &e);
        }
        let filters = filters().map_err(seccompiler::Error::Backend);
        if let Err(e) = filters.and_then(|filters| filters.iter().try_for_each(|f| seccompiler::apply_filter(f))) {
            return failed("seccomp", &e);
        }
        Err(Error::io(&self.program, "run", Command::new(&self.program).args(&self.arguments).exec()))
    }
    // ANCHOR_END: enter

    /// Limits memory, CPU time, files and core dumps.
    fn limit(&self) -> std::io::Result<()> {
        use rlimit::Resource;
        let limits = [
            (Resource::AS, self.memory),
            (Resource::FSIZE, self.file_size),
            (Resource::CPU, self.cpu_seconds),
            (Resource::CORE, 0),
            (Resource::NOFILE, 128),
            (Resource::STACK, 8 << 20), // of each thread, so that memory limits their number, too
        ];
        limits.into_iter().try_for_each(|(resource, most)| {
            let most = most.min(resource.get_hard()?); // a lower limit of the user stays
            resource.set(most, most)
        })
    }

    // ANCHOR: close_files
    /// Restricts the file system to the paths of the confinement.
    fn close_files(&self) -> std::result::Result<(), Box<dyn std::error::Error>> {
        // ABI version 3 includes truncation, without which the process could empty files outside.
        let all = AccessFs::from_all(ABI::V3);
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        let unneeded =
            AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::MakeSock | AccessFs::MakeFifo;
        let rules = Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(all)?
            // seccomp already forbids sockets and signals. If the kernel supports these rules, they forbid them a
            // second time.
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessNet::from_all(ABI::V4))?
            .scope(Scope::from_all(ABI::V6))?
            .create()?;
        let allow = |path: &Path, access: BitFlags<AccessFs>| -> std::result::Result<_, Box<dyn std::error::Error>> {
            // A rule for a file may contain only the rights that apply to files.
            let access = if path.is_dir() { access } else { access & AccessFs::from_file(ABI::V3) };
            Ok(PathBeneath::new(PathFd::new(path)?, access))
        };
        let mut rules = rules.add_rule(allow(&self.work, all & !unneeded)?)?;
        for path in &self.execute {
            rules = rules.add_rule(allow(path, AccessFs::Execute | AccessFs::ReadFile)?)?;
        }
        for path in &self.read {
            rules = rules.add_rule(allow(path, read)?)?;
        }
        rules = rules.add_rule(allow(Path::new("/dev/null"), AccessFs::ReadFile | AccessFs::WriteFile)?)?;
        rules = rules.add_rule(allow(Path::new("/dev/urandom"), AccessFs::ReadFile.into())?)?;
        match rules.restrict_self()?.ruleset {
            RulesetStatus::NotEnforced => Err("this kernel does not enforce it".into()),
            _ => Ok(()),
        }
    }
    // ANCHOR_END: close_files
}
