//! Profiling: the time, the arithmetic and the memory traffic of each op.
//!
//! The timers are always compiled in. While nobody has called [`start`], a timer costs one flag and the arithmetic of
//! its arguments. Each op states its cost model once, beside its code: how many floating-point operations the formula
//! needs, and how many bytes have to be read and written at least, counting each number once. Kernels may do more of
//! both, never less, so the rates say how far an op is from the limits of the machine.
//!
//! Book: [speed](../../../book/speed.html)

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use web_time::{Duration, Instant};

static ON: AtomicBool = AtomicBool::new(false);
static STARTED: Mutex<Option<Instant>> = Mutex::new(None);
static ROWS: Mutex<Vec<Row>> = Mutex::new(Vec::new());

/// The measurements of one op, summed over all calls.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The name of the op; `′` marks a backward pass.
    pub name: &'static str,
    /// The number format of the weights if they are stored in a file, such as `bf16`; otherwise empty.
    pub format: &'static str,
    /// The number of calls.
    pub calls: u64,
    /// The time that they took.
    pub time: Duration,
    /// Floating-point operations.
    pub flops: f64,
    /// Bytes read and written at least.
    pub bytes: f64,
}

/// Measures one call of an op: the time until the timer is dropped is added to the row of the op.
#[must_use = "the time is measured until this is dropped"]
pub struct Timer(Option<(Instant, Row)>);

// ANCHOR: op
/// An op whose cost grows with how many numbers it works on.
#[derive(Debug, Clone, Copy)]
pub struct Op {
    name: &'static str,
    flops: usize,
    bytes: usize,
}

impl Op {
    /// Describes an op that takes `flops` operations and moves `bytes` bytes per number. 0 flops: not counted.
    pub const fn per_number(name: &'static str, flops: usize, bytes: usize) -> Self {
        Self { name, flops, bytes }
    }

    /// Starts to measure one call on `numbers` numbers.
    pub fn start(self, numbers: usize) -> Timer {
        op(self.name, self.flops * numbers, self.bytes * numbers)
    }
}

/// Starts to measure one call of an op with the given cost.
pub fn op(name: &'static str, flops: usize, bytes: usize) -> Timer {
    timer(name, "", flops, bytes)
}

/// Starts to measure the product of `rows` rows with matrices (`inputs`, `outputs`) that take `weight_bytes` in
/// `format`. Each row takes 2·inputs·outputs operations; all numbers are moved once.
pub fn product(
    (name, format): (&'static str, &'static str),
    rows: usize,
    (inputs, outputs): (usize, usize),
    weight_bytes: usize,
) -> Timer {
    timer(name, format, 2 * rows * inputs * outputs, weight_bytes + 4 * rows * (inputs + outputs))
}
// ANCHOR_END: op

fn timer(name: &'static str, format: &'static str, flops: usize, bytes: usize) -> Timer {
    Timer(ON.load(Relaxed).then(|| {
        let row = Row { name, format, calls: 1, time: Duration::ZERO, flops: flops as f64, bytes: bytes as f64 };
        (Instant::now(), row)
    }))
}

impl Drop for Timer {
    fn drop(&mut self) {
        let Some((start, mut call)) = self.0.take() else { return };
        call.time = start.elapsed();
        let mut rows = ROWS.lock().expect("no op panics while it is counted");
        match rows.iter_mut().find(|row| (row.name, row.format) == (call.name, call.format)) {
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

/// Starts to measure every op, from zero.
pub fn start() {
    ROWS.lock().expect("no op panics while it is counted").clear();
    *STARTED.lock().expect("nothing panics here") = Some(Instant::now());
    ON.store(true, Relaxed);
}

/// The measurements since [`start`].
#[derive(Debug, Clone)]
pub struct Profile {
    /// The ops, slowest first.
    pub rows: Vec<Row>,
    /// The time since the start, including the time between the ops.
    pub time: Duration,
}

/// Stops measuring and returns the measurements.
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
            let name = [row.name, row.format].join(" ");
            writeln!(
                f,
                "{:<18}{:>9}{:>9.1} ms{:>6.1} %{:>10}{:>8}{:>11.3}",
                name.trim_end(),
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
