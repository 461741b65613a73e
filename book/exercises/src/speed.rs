//! The arithmetic of speed: limits, and comparisons. The chapter: speed.md.

/// The limits of a machine.
#[derive(Clone, Copy)]
pub struct Limits {
    /// Operations per second.
    pub operations: f64,
    /// Bytes per second that are read from the memory.
    pub bytes: f64,
}

/// Returns the least time, in seconds, that a computation can take. It does `operations` operations and reads `bytes` bytes. A
/// machine computes and reads at the same time.
pub fn least_seconds(operations: f64, bytes: f64, limits: Limits) -> f64 {
    todo!("{operations} of {} operations and {bytes} of {} bytes per second", limits.operations, limits.bytes)
}

/// Returns the mean number of different experts of a layer that `tokens` tokens choose. Each token chooses `active` different
/// ones of `experts` experts. All choices are equally probable, and the tokens choose independently of each other.
pub fn experts_read(experts: usize, active: usize, tokens: usize) -> f64 {
    todo!("{tokens} tokens choose {active} of {experts} experts each")
}

/// Returns how many times as fast a program becomes if a part of it becomes `factor` times as fast. Before, the part took a
/// `share` of the time, from 0 to 1. `factor` may be infinite.
pub fn speedup(share: f64, factor: f64) -> f64 {
    todo!("a part that took {share} of the time becomes {factor} times as fast")
}

/// Compares two programs that ran in alternation. Each pair contains the time of the old program and that of the new one. The
/// ratio of a pair is old / new. Returns the median of the ratios, the smallest ratio, and the largest one. The median of an even
/// number of ratios is the mean of the two in the middle. There is at least one pair.
pub fn compare(pairs: &[(f64, f64)]) -> (f64, f64, f64) {
    todo!("the ratios of {} pairs", pairs.len())
}
