//! A sandbox for a process that can use its work directory and nothing else.
//!
//! A process enters the sandbox and then becomes the program. It limits its resources (`setrlimit`), the files that it
//! may open (Landlock, <https://docs.kernel.org/userspace-api/landlock.html>), and the system calls that it may make
//! (seccomp, <https://docs.kernel.org/userspace-api/seccomp_filter.html>). Only those system calls are allowed that a
//! program needs for computations and files: it cannot create sockets or other processes, send signals to other
//! processes, or gain privileges. If a restriction cannot be enforced completely, that is an error, and nothing runs.

use crate::error::{Error, Result};
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus, Scope,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
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
        if let Err(e) = filters().and_then(|filters| filters.iter().try_for_each(|f| Ok(seccompiler::apply_filter(f)?)))
        {
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
        ];
        limits.into_iter().try_for_each(|(resource, most)| resource.set(most, most))
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

/// The rules for each allowed system call. A call without rules is allowed with any arguments.
type SyscallRules = BTreeMap<i64, Vec<SeccompRule>>;

/// Returns two filters, both of which a call must pass. The first one reports `clone3` as missing, so that the C
/// library creates threads with `clone`, whose flags a filter can inspect. The second one allows the listed calls.
fn filters() -> std::result::Result<[BpfProgram; 2], Box<dyn std::error::Error>> {
    let arch: TargetArch = std::env::consts::ARCH.try_into()?;
    let compile = |rules: SyscallRules, others, these| -> std::result::Result<BpfProgram, Box<dyn std::error::Error>> {
        Ok(SeccompFilter::new(rules, others, these, arch)?.try_into()?)
    };
    let missing = SeccompAction::Errno(libc::ENOSYS as u32);
    let denied = SeccompAction::Errno(libc::EPERM as u32);
    let clone3 = SyscallRules::from([(libc::SYS_clone3, Vec::new())]);
    Ok([compile(clone3, SeccompAction::Allow, missing)?, compile(allowed()?, denied, SeccompAction::Allow)?])
}

/// Returns a rule that an argument of a system call must satisfy.
fn require(
    argument: u8,
    operator: SeccompCmpOp,
    value: u64,
) -> std::result::Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)?])
}

// ANCHOR: allowed
/// Returns the system calls that a program needs for computations and files.
fn allowed() -> std::result::Result<SyscallRules, Box<dyn std::error::Error>> {
    let mut rules: SyscallRules = ALLOWED.iter().chain(OLDER).map(|&call| (call, Vec::new())).collect();
    let own = u64::from(std::process::id()); // the id does not change when this process becomes the program
    let thread = libc::CLONE_THREAD as u64;
    rules.insert(libc::SYS_clone, vec![require(0, SeccompCmpOp::MaskedEq(thread), thread)?]);
    rules.insert(libc::SYS_tgkill, vec![require(0, SeccompCmpOp::Eq, own)?]);
    // Limits may be read but not set, because root could raise them.
    let no_new_limit = SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)?;
    rules.insert(libc::SYS_prlimit64, vec![SeccompRule::new(vec![no_new_limit])?]);
    let names = [libc::PR_SET_NAME, libc::PR_GET_NAME, libc::PR_SET_VMA].map(|option| option as u64);
    let names =
        names.into_iter().map(|option| require(0, SeccompCmpOp::Eq, option)).collect::<std::result::Result<_, _>>()?;
    rules.insert(libc::SYS_prctl, names);
    let terminal = [libc::TCGETS, libc::TIOCGWINSZ, libc::FIOCLEX, libc::FIONCLEX, libc::FIONREAD, libc::FIONBIO];
    let terminal = terminal.into_iter().map(|request| require(1, SeccompCmpOp::Eq, request));
    rules.insert(libc::SYS_ioctl, terminal.collect::<std::result::Result<_, _>>()?);
    Ok(rules)
}
// ANCHOR_END: allowed

/// System calls that are allowed with any arguments, sorted by purpose.
#[rustfmt::skip]
const ALLOWED: &[i64] = &[
    // files
    libc::SYS_read, libc::SYS_write, libc::SYS_readv, libc::SYS_writev, libc::SYS_pread64, libc::SYS_pwrite64,
    libc::SYS_preadv, libc::SYS_pwritev, libc::SYS_openat, libc::SYS_close, libc::SYS_close_range, libc::SYS_lseek,
    libc::SYS_fstat, libc::SYS_newfstatat, libc::SYS_statx, libc::SYS_statfs, libc::SYS_fstatfs, libc::SYS_faccessat,
    libc::SYS_faccessat2, libc::SYS_getdents64, libc::SYS_getcwd, libc::SYS_chdir, libc::SYS_fchdir,
    libc::SYS_readlinkat, libc::SYS_mkdirat, libc::SYS_unlinkat, libc::SYS_renameat2, libc::SYS_linkat,
    libc::SYS_symlinkat, libc::SYS_truncate, libc::SYS_ftruncate, libc::SYS_fallocate, libc::SYS_fsync,
    libc::SYS_fdatasync, libc::SYS_flock, libc::SYS_fcntl, libc::SYS_dup, libc::SYS_dup3, libc::SYS_pipe2,
    libc::SYS_copy_file_range, libc::SYS_sendfile, libc::SYS_fadvise64, libc::SYS_umask,
    // waiting
    libc::SYS_ppoll, libc::SYS_pselect6, libc::SYS_epoll_create1, libc::SYS_epoll_ctl, libc::SYS_epoll_pwait,
    libc::SYS_eventfd2, libc::SYS_nanosleep, libc::SYS_clock_nanosleep, libc::SYS_futex, libc::SYS_restart_syscall,
    libc::SYS_wait4, libc::SYS_waitid,
    // memory
    libc::SYS_mmap, libc::SYS_munmap, libc::SYS_mprotect, libc::SYS_mremap, libc::SYS_madvise, libc::SYS_brk,
    libc::SYS_membarrier, libc::SYS_msync, libc::SYS_mincore,
    // signals to itself, threads, exit; clone3 is allowed here but reported as missing by the first filter
    libc::SYS_rt_sigaction, libc::SYS_rt_sigprocmask, libc::SYS_rt_sigreturn, libc::SYS_rt_sigtimedwait,
    libc::SYS_sigaltstack, libc::SYS_setitimer, libc::SYS_getitimer, libc::SYS_set_robust_list, libc::SYS_get_robust_list,
    libc::SYS_set_tid_address, libc::SYS_rseq, libc::SYS_clone3, libc::SYS_sched_yield, libc::SYS_sched_getaffinity,
    libc::SYS_exit, libc::SYS_exit_group,
    // execution, which Landlock limits to the interpreter
    libc::SYS_execve,
    // information
    libc::SYS_clock_gettime, libc::SYS_clock_getres, libc::SYS_gettimeofday, libc::SYS_getrandom, libc::SYS_getpid,
    libc::SYS_getppid, libc::SYS_gettid, libc::SYS_getuid, libc::SYS_geteuid, libc::SYS_getgid, libc::SYS_getegid,
    libc::SYS_getgroups, libc::SYS_getpgid, libc::SYS_getsid, libc::SYS_getresuid, libc::SYS_getresgid, libc::SYS_uname,
    libc::SYS_sysinfo, libc::SYS_getrusage, libc::SYS_times, libc::SYS_getcpu, libc::SYS_getpriority,
];

/// Older system calls that newer architectures do not have.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const OLDER: &[i64] = &[
    libc::SYS_open, libc::SYS_stat, libc::SYS_lstat, libc::SYS_access, libc::SYS_readlink, libc::SYS_mkdir, libc::SYS_rmdir,
    libc::SYS_unlink, libc::SYS_rename, libc::SYS_renameat, libc::SYS_link, libc::SYS_symlink, libc::SYS_dup2, libc::SYS_pipe,
    libc::SYS_poll, libc::SYS_select, libc::SYS_epoll_wait, libc::SYS_arch_prctl, libc::SYS_time, libc::SYS_getpgrp,
    libc::SYS_getrlimit, libc::SYS_alarm, libc::SYS_pause,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[i64] = &[];
