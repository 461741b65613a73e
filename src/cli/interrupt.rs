//! Ctrl-C, and the other signals that ask a program to end.

use crate::error::{Error, Result};
use crate::kernels::signals::is_ignored;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The exit code of a program that was interrupted: 128 + SIGINT, as shells have it.
pub const INTERRUPTED: u8 = 130;

/// Signals that ask a program to end: Ctrl-C, `kill`, and the end of its terminal.
#[cfg(unix)]
const SIGNALS: [i32; 3] = [SIGINT, SIGTERM, signal_hook::consts::SIGHUP];
#[cfg(not(unix))]
const SIGNALS: [i32; 2] = [SIGINT, SIGTERM];

/// Returns a flag that the first such signal sets. A second one, while the flag is set, ends the program at once. A signal
/// that the program was started to ignore, by `nohup` or in the background of a script, stays ignored.
///
/// # Errors
/// If the system does not allow a handler.
pub fn flag() -> Result<Arc<AtomicBool>> {
    let asked = Arc::new(AtomicBool::new(false));
    for signal in SIGNALS.into_iter().filter(|&signal| !is_ignored(signal)) {
        flag::register_conditional_shutdown(signal, INTERRUPTED.into(), asked.clone())
            .and_then(|_| flag::register(signal, asked.clone()))
            .map_err(Error::unusable)?;
    }
    Ok(asked)
}
