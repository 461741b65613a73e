//! Where the time goes: what each op took, how much it computed and how much it moved.
//!
//! Always compiled in. An op begins with `let _timer = profile::op(name, flops, bytes);`, which costs one flag and the
//! arithmetic of its arguments as long as nobody has called [`start`]. `flops` are the multiplications and additions that
//! the formula asks for; `bytes` are what has to be read and written at least, each number once. The kernels below may
//! do more of both, never less, so the rates say how far an op is from the limits of the machine.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

static ON: AtomicBool = AtomicBool::new(false);
static STARTED: Mutex<Option<Instant>> = Mutex::new(None);
static ROWS: Mutex<Vec<Row>> = Mutex::new(Vec::new());

/// What one op did, all calls together.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its name; `′` marks a way back.
    pub name: &'static str,
    /// How often it was called.
    pub calls: u64,
    /// How long it took.
    pub time: Duration,
    /// Operations on floats.
    pub flops: f64,
    /// Bytes read and written at least.
    pub bytes: f64,
}

/// Adds what passes until it is dropped to the row of its op.
#[must_use = "the time is measured until this is dropped"]
pub struct Timer(Option<(Instant, Row)>);

// ANCHOR: op
/// Measures one call of an op, if anybody asked for it. 0 stands for what is not counted.
pub fn op(name: &'static str, flops: usize, bytes: usize) -> Timer {
    Timer(ON.load(Relaxed).then(|| {
        let row = Row { name, calls: 1, time: Duration::ZERO, flops: flops as f64, bytes: bytes as f64 };
        (Instant::now(), row)
    }))
}
// ANCHOR_END: op

impl Drop for Timer {
    fn drop(&mut self) {
        let Some((start, mut call)) = self.0.take() else { return };
        call.time = start.elapsed();
        let mut rows = ROWS.lock().expect("no op panics while it is counted");
        match rows.iter_mut().find(|row| row.name == call.name) {
            Some(row) => {
                row.calls += call.calls;
                row.time += call.time;
                row.flops += call.flops;
                row.bytes += call.bytes;
            }
            None => rows.push(call),
        }
    }
}

/// Measures every op from now on, from zero.
pub fn start() {
    ROWS.lock().expect("no op panics while it is counted").clear();
    *STARTED.lock().expect("nothing panics here") = Some(Instant::now());
    ON.store(true, Relaxed);
}

/// What was measured since [`start`].
#[derive(Debug, Clone)]
pub struct Profile {
    /// The ops, slowest first.
    pub rows: Vec<Row>,
    /// Since the start. What no op accounts for went to everything between them.
    pub time: Duration,
}

/// Ends the measuring.
pub fn stop() -> Profile {
    ON.store(false, Relaxed);
    let started = STARTED.lock().expect("nothing panics here").take();
    let mut rows = std::mem::take(&mut *ROWS.lock().expect("no op panics while it is counted"));
    rows.sort_by_key(|row| std::cmp::Reverse(row.time));
    Profile { rows, time: started.map_or(Duration::ZERO, |started| started.elapsed()) }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let whole = self.time.as_secs_f64().max(1e-9);
        let rate = |amount: f64, seconds: f64| match amount {
            0.0 => "-".to_string(),
            amount => format!("{:.1}", amount / seconds.max(1e-9) / 1e9),
        };
        writeln!(
            f,
            "{:<18}{:>9}{:>12}{:>8}{:>10}{:>8}{:>11}",
            "op", "calls", "time", "share", "GFLOP/s", "GB/s", "GB"
        )?;
        for row in &self.rows {
            let seconds = row.time.as_secs_f64();
            // `′` is one column, which the width of a format counts right.
            writeln!(
                f,
                "{:<18}{:>9}{:>9.1} ms{:>6.1} %{:>10}{:>8}{:>11.3}",
                row.name,
                row.calls,
                seconds * 1e3,
                100.0 * seconds / whole,
                rate(row.flops, seconds),
                rate(row.bytes, seconds),
                row.bytes / 1e9
            )?;
        }
        let rest = whole - self.rows.iter().map(|row| row.time.as_secs_f64()).sum::<f64>();
        writeln!(f, "{:<18}{:>9}{:>9.1} ms{:>6.1} %", "between", "", rest * 1e3, 100.0 * rest / whole)?;
        let (flops, bytes) = self.rows.iter().fold((0.0, 0.0), |sum, row| (sum.0 + row.flops, sum.1 + row.bytes));
        write!(
            f,
            "{:<18}{:>9}{:>9.1} ms{:>8}{:>10}{:>8}{:>11.3}",
            "total",
            "",
            whole * 1e3,
            "100 %",
            rate(flops, whole),
            rate(bytes, whole),
            bytes / 1e9
        )
    }
}
