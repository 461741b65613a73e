//! Signals: which of them this process was started to ignore.

/// Returns whether a signal is ignored. `nohup` starts a program with SIGHUP ignored, and a shell without job control starts
/// a background command with SIGINT ignored. A program that sets a handler nevertheless would undo this.
#[cfg(unix)]
pub fn is_ignored(signal: i32) -> bool {
    // SAFETY: `sigaction` is plain data for which zeros are a valid value. Without a new action the call only writes the
    // current one to `action`, which lives until it returns. For an unknown signal it returns an error and writes nothing.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &mut action) == 0 && action.sa_sigaction == libc::SIG_IGN
    }
}

/// Returns whether a signal is ignored: never, because only Unix has this.
#[cfg(not(unix))]
pub fn is_ignored(_: i32) -> bool {
    false
}
