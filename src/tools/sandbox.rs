//! A process that can reach its work directory and nothing else.
//!
//! It is entered by a process that then becomes the program: limits on what it may use (`setrlimit`), on the files it may
//! open (Landlock, <https://docs.kernel.org/userspace-api/landlock.html>), and on what it may ask the kernel for (seccomp,
//! <https://docs.kernel.org/userspace-api/seccomp_filter.html>). Of system calls only those are allowed that a program needs
//! which computes and uses files: there are no sockets, no other processes, no signals to them, and no way to get more
//! rights. What is not enforced in full is an error, and then nothing runs.

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

/// What a process may do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Confinement {
    /// What it becomes, and its arguments.
    pub program: PathBuf,
    /// The arguments.
    pub arguments: Vec<String>,
    /// Files that it may execute.
    pub execute: Vec<PathBuf>,
    /// Files, and directories with all below them, that it may read.
    pub read: Vec<PathBuf>,
    /// The directory where it may read, write, make and remove files.
    pub work: PathBuf,
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes of a file.
    pub file_size: u64,
    /// Seconds of computation in its whole life.
    pub cpu_seconds: u64,
}

impl Confinement {
    // ANCHOR: enter
    /// Gives up all other rights and becomes the program. Returns only if it could not.
    ///
    /// # Errors
    /// What the kernel lacks, or refuses.
    pub fn enter(&self) -> Result<std::convert::Infallible> {
        let failed = |what: &str, e: &dyn std::fmt::Display| {
            Err(Error::argument(format!("no sandbox: {what}: {e}; --dangerously-unsandboxed runs without one")))
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
    fn close_files(&self) -> std::result::Result<(), Box<dyn std::error::Error>> {
        // The third version knows truncation, without which files outside could be emptied.
        let all = AccessFs::from_all(ABI::V3);
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        let no_place =
            AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::MakeSock | AccessFs::MakeFifo;
        let rules = Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(all)?
            // seccomp forbids sockets and signals; where the kernel knows these, they are forbidden twice.
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessNet::from_all(ABI::V4))?
            .scope(Scope::from_all(ABI::V6))?
            .create()?;
        let allow = |path: &Path, access: BitFlags<AccessFs>| -> std::result::Result<_, Box<dyn std::error::Error>> {
            // Of rights to a directory, a file takes those that files have.
            let access = if path.is_dir() { access } else { access & AccessFs::from_file(ABI::V3) };
            Ok(PathBeneath::new(PathFd::new(path)?, access))
        };
        let mut rules = rules.add_rule(allow(&self.work, all & !no_place)?)?;
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

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Two filters, of which a call has to pass both: the first tells the C library that there is no `clone3`, so that it
/// makes threads by `clone`, whose flags a filter can see; the second allows what is listed.
fn filters() -> std::result::Result<[BpfProgram; 2], Box<dyn std::error::Error>> {
    let arch: TargetArch = std::env::consts::ARCH.try_into()?;
    let compile = |rules: Rules, others, these| -> std::result::Result<BpfProgram, Box<dyn std::error::Error>> {
        Ok(SeccompFilter::new(rules, others, these, arch)?.try_into()?)
    };
    let missing = SeccompAction::Errno(libc::ENOSYS as u32);
    let denied = SeccompAction::Errno(libc::EPERM as u32);
    let clone3 = Rules::from([(libc::SYS_clone3, Vec::new())]);
    Ok([compile(clone3, SeccompAction::Allow, missing)?, compile(allowed()?, denied, SeccompAction::Allow)?])
}

/// An argument of a system call, and what it has to be.
fn only(
    argument: u8,
    operator: SeccompCmpOp,
    value: u64,
) -> std::result::Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)?])
}

// ANCHOR: allowed
/// The calls of a program that computes and uses files.
fn allowed() -> std::result::Result<Rules, Box<dyn std::error::Error>> {
    let mut rules: Rules = ALLOWED.iter().chain(OLDER).map(|&call| (call, Vec::new())).collect();
    let own = u64::from(std::process::id()); // which stays the same when this process becomes the program
    let thread = libc::CLONE_THREAD as u64;
    rules.insert(libc::SYS_clone, vec![only(0, SeccompCmpOp::MaskedEq(thread), thread)?]);
    rules.insert(libc::SYS_tgkill, vec![only(0, SeccompCmpOp::Eq, own)?]);
    // Limits may be read, not set: to root a limit is none.
    let no_new = SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)?;
    rules.insert(libc::SYS_prlimit64, vec![SeccompRule::new(vec![no_new])?]);
    let names = [libc::PR_SET_NAME, libc::PR_GET_NAME, libc::PR_SET_VMA].map(|option| option as u64);
    let names =
        names.into_iter().map(|option| only(0, SeccompCmpOp::Eq, option)).collect::<std::result::Result<_, _>>()?;
    rules.insert(libc::SYS_prctl, names);
    let terminal = [libc::TCGETS, libc::TIOCGWINSZ, libc::FIOCLEX, libc::FIONCLEX, libc::FIONREAD, libc::FIONBIO];
    let terminal = terminal.into_iter().map(|request| only(1, SeccompCmpOp::Eq, request));
    rules.insert(libc::SYS_ioctl, terminal.collect::<std::result::Result<_, _>>()?);
    Ok(rules)
}
// ANCHOR_END: allowed

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
    // signals to itself, threads, the end; clone3 only so far as the other filter lets it
    libc::SYS_rt_sigaction, libc::SYS_rt_sigprocmask, libc::SYS_rt_sigreturn, libc::SYS_rt_sigtimedwait,
    libc::SYS_sigaltstack, libc::SYS_setitimer, libc::SYS_getitimer, libc::SYS_set_robust_list, libc::SYS_get_robust_list,
    libc::SYS_set_tid_address, libc::SYS_rseq, libc::SYS_clone3, libc::SYS_sched_yield, libc::SYS_sched_getaffinity,
    libc::SYS_exit, libc::SYS_exit_group,
    // Landlock decides what can be executed: the interpreter.
    libc::SYS_execve,
    // facts
    libc::SYS_clock_gettime, libc::SYS_clock_getres, libc::SYS_gettimeofday, libc::SYS_getrandom, libc::SYS_getpid,
    libc::SYS_getppid, libc::SYS_gettid, libc::SYS_getuid, libc::SYS_geteuid, libc::SYS_getgid, libc::SYS_getegid,
    libc::SYS_getgroups, libc::SYS_getpgid, libc::SYS_getsid, libc::SYS_getresuid, libc::SYS_getresgid, libc::SYS_uname,
    libc::SYS_sysinfo, libc::SYS_getrusage, libc::SYS_times, libc::SYS_getcpu, libc::SYS_getpriority,
];

/// Calls that newer processors no longer have.
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
