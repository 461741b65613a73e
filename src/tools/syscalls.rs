//! The system calls of a process in the sandbox, as filters for the kernel (seccomp).

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};
use std::collections::BTreeMap;

/// The rules for each allowed system call: a call must satisfy one of them. A call without rules is allowed with any
/// arguments.
type SyscallRules = BTreeMap<i64, Vec<SeccompRule>>;

type Built<T> = Result<T, BackendError>;

/// Returns two filters, both of which a call must pass. The first one reports `clone3` as missing, so that the C
/// library creates threads with `clone`, whose flags a filter can inspect. The second one allows the listed calls.
pub fn filters() -> Built<[BpfProgram; 2]> {
    let arch: TargetArch = std::env::consts::ARCH.try_into()?;
    let compile = |rules: SyscallRules, others, these| -> Built<BpfProgram> {
        SeccompFilter::new(rules, others, these, arch)?.try_into()
    };
    let missing = SeccompAction::Errno(libc::ENOSYS as u32);
    let denied = SeccompAction::Errno(libc::EPERM as u32);
    let clone3 = SyscallRules::from([(libc::SYS_clone3, Vec::new())]);
    Ok([compile(clone3, SeccompAction::Allow, missing)?, compile(allowed()?, denied, SeccompAction::Allow)?])
}

/// Requires that a 32-bit argument has one of the values. Arguments are counted from 0.
fn one_of(argument: u8, values: &[libc::c_int]) -> Built<Vec<SeccompRule>> {
    values.iter().map(|&value| SeccompRule::new(vec![equals(argument, value)?])).collect()
}

/// Requires that a 32-bit argument has the value.
fn equals(argument: u8, value: libc::c_int) -> Built<SeccompCondition> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, u64::from(value as u32))
}

/// Requires that the bits of a 32-bit argument are exactly `set`. Bits in `free` may have any value.
fn bits(argument: u8, set: libc::c_int, free: libc::c_int) -> Built<SeccompCondition> {
    let checked = SeccompCmpOp::MaskedEq(u64::from(!free as u32));
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, checked, u64::from(set as u32))
}

/// Requires that none of the bits in `refused` is set in a 32-bit argument.
fn without(argument: u8, refused: libc::c_int) -> Built<SeccompCondition> {
    bits(argument, 0, !refused)
}

/// Requires that a pointer is null.
fn null(argument: u8) -> Built<SeccompCondition> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)
}

// ANCHOR: allowed
/// Returns the system calls that a program needs for computations and files.
fn allowed() -> Built<SyscallRules> {
    let mut rules: SyscallRules = ALLOWED.iter().chain(OLDER).map(|&call| (call, Vec::new())).collect();
    let rule = |conditions: Vec<SeccompCondition>| SeccompRule::new(conditions);
    // Threads only, in no new namespace: exactly the flags of a POSIX thread.
    let thread = libc::CLONE_VM | libc::CLONE_FS | libc::CLONE_FILES | libc::CLONE_SIGHAND | libc::CLONE_THREAD;
    let optional = libc::CLONE_SYSVSEM | libc::CLONE_SETTLS | libc::CLONE_PARENT_SETTID | libc::CLONE_CHILD_SETTID;
    let optional = optional | libc::CLONE_CHILD_CLEARTID | libc::CLONE_DETACHED;
    rules.insert(libc::SYS_clone, vec![rule(vec![bits(0, thread, optional)?])?]);
    // Signals to threads of this process. Its id does not change when it becomes the program.
    rules.insert(libc::SYS_tgkill, one_of(0, &[std::process::id() as libc::c_int])?);
    // No file may get the right to run as its owner or group.
    let set_id = (libc::S_ISUID | libc::S_ISGID) as libc::c_int;
    rules.insert(libc::SYS_openat, vec![rule(vec![without(3, set_id)?])?]);
    // All threads share one table of descriptors, so that all open files can be counted.
    rules.insert(libc::SYS_close_range, one_of(2, &[0, libc::CLOSE_RANGE_CLOEXEC as libc::c_int])?);
    // A descriptor may not be made to send signals: F_SETOWN and F_SETSIG choose a process and a signal.
    let mut control = one_of(1, FCNTL)?;
    control.push(rule(vec![equals(1, libc::F_SETFL)?, without(2, libc::O_ASYNC)?])?);
    rules.insert(libc::SYS_fcntl, control);
    rules.insert(libc::SYS_ioctl, one_of(1, IOCTL)?);
    // Limits may be read but not set, because root could raise them.
    rules.insert(libc::SYS_prlimit64, vec![rule(vec![null(2)?])?]);
    rules.insert(libc::SYS_prctl, one_of(0, &[libc::PR_SET_NAME, libc::PR_GET_NAME, libc::PR_SET_VMA])?);
    rules.extend(socket_pairs()?);
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_open, vec![rule(vec![without(2, set_id)?])?]);
    Ok(rules)
}
// ANCHOR_END: allowed

/// Returns the calls for pairs of sockets that are connected with each other, as asyncio uses one. No name or address is
/// allowed, so a socket reaches its other end only. `sendmsg` is refused because it can send descriptors; out-of-band
/// data is refused because nobody needs it and the kernel had a bug there (CVE-2025-38236).
fn socket_pairs() -> Built<SyscallRules> {
    let kinds = [libc::SOCK_STREAM, libc::SOCK_DGRAM, libc::SOCK_SEQPACKET].map(|kind| {
        let options = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        SeccompRule::new(vec![equals(0, libc::AF_UNIX)?, bits(1, kind, options)?, equals(2, 0)?])
    });
    let transfer = |flags| SeccompRule::new(vec![null(4)?, bits(3, 0, flags)?]);
    let option = |option| SeccompRule::new(vec![equals(1, libc::SOL_SOCKET)?, equals(2, option)?]);
    let options = [libc::SO_TYPE, libc::SO_ERROR, libc::SO_DOMAIN, libc::SO_PROTOCOL].map(option);
    let buffers = [libc::SO_SNDBUF, libc::SO_RCVBUF].map(option);
    Ok([
        (libc::SYS_socketpair, kinds.into_iter().collect::<Built<_>>()?),
        (libc::SYS_sendto, vec![transfer(libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT)?]),
        (libc::SYS_recvfrom, vec![transfer(libc::MSG_PEEK | libc::MSG_DONTWAIT | libc::MSG_WAITALL)?]),
        (libc::SYS_getsockopt, options.into_iter().collect::<Built<_>>()?),
        (libc::SYS_setsockopt, buffers.into_iter().collect::<Built<_>>()?),
    ]
    .into())
}

/// The operations of `fcntl` that are allowed with any argument: copies of a descriptor, its flags, locks of files.
const FCNTL: &[libc::c_int] = &[
    libc::F_DUPFD,
    libc::F_DUPFD_CLOEXEC,
    libc::F_GETFD,
    libc::F_SETFD,
    libc::F_GETFL,
    libc::F_GETLK,
    libc::F_SETLK,
    libc::F_SETLKW,
    libc::F_OFD_GETLK,
    libc::F_OFD_SETLK,
    libc::F_OFD_SETLKW,
    libc::F_GETPIPE_SZ,
];

/// The requests of `ioctl` that are allowed: questions, and flags of a descriptor.
const IOCTL: &[libc::c_int] = &[
    libc::TCGETS as libc::c_int,
    libc::TIOCGWINSZ as libc::c_int,
    libc::FIOCLEX as libc::c_int,
    libc::FIONCLEX as libc::c_int,
    libc::FIONREAD as libc::c_int,
    libc::FIONBIO as libc::c_int,
];

/// System calls that are allowed with any arguments, sorted by purpose. `fallocate` is not among them because it fills a
/// disk faster than anybody can measure.
#[rustfmt::skip]
const ALLOWED: &[i64] = &[
    // files
    libc::SYS_read, libc::SYS_write, libc::SYS_readv, libc::SYS_writev, libc::SYS_pread64, libc::SYS_pwrite64,
    libc::SYS_preadv, libc::SYS_pwritev, libc::SYS_close, libc::SYS_lseek,
    libc::SYS_fstat, libc::SYS_newfstatat, libc::SYS_statx, libc::SYS_statfs, libc::SYS_fstatfs, libc::SYS_faccessat,
    libc::SYS_faccessat2, libc::SYS_getdents64, libc::SYS_getcwd, libc::SYS_chdir, libc::SYS_fchdir,
    libc::SYS_readlinkat, libc::SYS_mkdirat, libc::SYS_unlinkat, libc::SYS_renameat2, libc::SYS_linkat,
    libc::SYS_symlinkat, libc::SYS_truncate, libc::SYS_ftruncate, libc::SYS_fsync,
    libc::SYS_fdatasync, libc::SYS_flock, libc::SYS_dup, libc::SYS_dup3, libc::SYS_pipe2,
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
    libc::SYS_sigaltstack, libc::SYS_setitimer, libc::SYS_getitimer, libc::SYS_set_robust_list,
    libc::SYS_set_tid_address, libc::SYS_rseq, libc::SYS_clone3, libc::SYS_sched_yield, libc::SYS_sched_getaffinity,
    libc::SYS_exit, libc::SYS_exit_group,
    // the end of a pair of sockets
    libc::SYS_shutdown, libc::SYS_getsockname, libc::SYS_getpeername,
    // execution, which Landlock limits to the interpreter and its loader
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
    libc::SYS_stat, libc::SYS_lstat, libc::SYS_access, libc::SYS_readlink, libc::SYS_mkdir, libc::SYS_rmdir,
    libc::SYS_unlink, libc::SYS_rename, libc::SYS_renameat, libc::SYS_link, libc::SYS_symlink, libc::SYS_dup2, libc::SYS_pipe,
    libc::SYS_poll, libc::SYS_select, libc::SYS_epoll_wait, libc::SYS_arch_prctl, libc::SYS_time, libc::SYS_getpgrp,
    libc::SYS_getrlimit, libc::SYS_alarm, libc::SYS_pause,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[i64] = &[];
