//! Signals: which of them this process was started to ignore, and what it says when a mapped file is truncated.

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

/// Makes this process end with a message and exit code 2 if a mapped file becomes shorter than the map. Without this, the
/// system ends it with SIGBUS and no word. Only a program should call this, at its start; on systems other than Linux it does
/// nothing.
pub fn explain_truncated_files() {
    #[cfg(target_os = "linux")]
    {
        extern "C" fn explain(_: libc::c_int) {
            const LINE: &[u8] = b"error: a file of the model became shorter while it was in use; was it overwritten?\n";
            // SAFETY: a signal handler may call `write` and `_exit`, and `LINE` is static. The result of the write does not
            // matter: the process ends.
            unsafe {
                libc::write(2, LINE.as_ptr().cast(), LINE.len());
                libc::_exit(2);
            }
        }
        // SAFETY: `sigaction` is plain data for which zeros are a valid value (no flags, no blocked signals), and `explain` has
        // the signature of a handler without `SA_SIGINFO`.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = explain as *const () as usize;
            libc::sigaction(libc::SIGBUS, &action, std::ptr::null_mut());
        }
    }
}
