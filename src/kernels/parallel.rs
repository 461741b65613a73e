//! Parallel loops over pieces of work, with results that do not depend on the number of threads.
//!
//! Each piece writes its own part of the result, and nothing is summed across pieces in the order in which they happen to
//! finish: 1, 2 or 16 threads give the same bits. Without the feature `parallel`, or if there is only one piece, the
//! calling thread does everything.

use super::memory;
#[cfg(feature = "parallel")]
use rayon::prelude::*;

/// Returns the number of threads that share the pieces.
pub fn threads() -> usize {
    #[cfg(feature = "parallel")]
    return rayon::current_num_threads();
    #[cfg(not(feature = "parallel"))]
    1
}

/// The number of threads cannot be set.
#[derive(Debug, thiserror::Error)]
pub enum ThreadsError {
    /// The thread pool already exists, or the system cannot create the threads.
    #[cfg(feature = "parallel")]
    #[error(transparent)]
    Pool(#[from] rayon::ThreadPoolBuildError),
    /// More than one thread was requested from a build that has only one.
    #[cfg(not(feature = "parallel"))]
    #[error("this build has one thread (feature `parallel` is off)")]
    SingleThreaded,
}

/// Sets the number of threads for the rest of the program.
///
/// # Errors
/// If a parallel loop has already run, or if more than one thread is requested without the feature `parallel`.
pub fn set_threads(threads: usize) -> Result<(), ThreadsError> {
    #[cfg(feature = "parallel")]
    return Ok(rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?);
    #[cfg(not(feature = "parallel"))]
    if threads == 1 { Ok(()) } else { Err(ThreadsError::SingleThreaded) }
}

/// Calls `f` on one of the threads that share the pieces, so that it computes pieces itself. Otherwise a parallel loop begins
/// with waking up one of them, while its own thread goes to sleep.
pub fn inside<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    #[cfg(feature = "parallel")]
    return rayon::scope(|_| f());
    #[cfg(not(feature = "parallel"))]
    f()
}

/// Calls `f(i, piece i)` for every piece of `size` elements of `data`. The last piece may be shorter.
pub fn for_chunks<T: Send>(data: &mut [T], size: usize, f: impl Fn(usize, &mut [T]) + Sync + Send) {
    let size = size.max(1);
    #[cfg(feature = "parallel")]
    if data.len() > size {
        return data.par_chunks_mut(size).enumerate().for_each(|(i, piece)| f(i, piece));
    }
    data.chunks_mut(size).enumerate().for_each(|(i, piece)| f(i, piece));
}

/// Calls `f(i, piece i of a, piece i of b)`, with pieces of `a_size` and `b_size` elements.
///
/// # Panics
/// If `a` and `b` do not have the same number of pieces.
pub fn for_chunks2<A: Send, B: Send>(
    a: &mut [A],
    a_size: usize,
    b: &mut [B],
    b_size: usize,
    f: impl Fn(usize, &mut [A], &mut [B]) + Sync + Send,
) {
    let (a_size, b_size) = (a_size.max(1), b_size.max(1));
    assert_eq!(
        a.len().div_ceil(a_size),
        b.len().div_ceil(b_size),
        "for_chunks2: the slices have different numbers of pieces"
    );
    #[cfg(feature = "parallel")]
    if a.len() > a_size {
        let pairs = a.par_chunks_mut(a_size).zip(b.par_chunks_mut(b_size)).enumerate();
        return pairs.for_each(|(i, (a, b))| f(i, a, b));
    }
    a.chunks_mut(a_size).zip(b.chunks_mut(b_size)).enumerate().for_each(|(i, (a, b))| f(i, a, b));
}

// ANCHOR: build
/// Returns `len` numbers. `f(i, piece i)` fills every piece of `size` numbers, which is 0 before. The last piece may be shorter.
///
/// The thread that fills a piece also sets it to 0, right before. So these zeros are written to its cache, and not by one
/// thread to the memory, from where another one would have to fetch them.
pub fn build(len: usize, size: usize, f: impl Fn(usize, &mut [f32]) + Sync + Send) -> Vec<f32> {
    let write = |numbers: &mut [_]| for_chunks(numbers, size, |i, piece| f(i, memory::zeroed(piece)));
    // SAFETY: the pieces are all of the numbers, and each is set to 0.
    unsafe { memory::written(len, write) }
}
// ANCHOR_END: build

/// Returns as many numbers as `runs` has in all. `f(i, run i)` fills run i, which is 0 before; see [`build`].
pub fn build_runs(runs: &[usize], f: impl Fn(usize, &mut [f32]) + Sync + Send) -> Vec<f32> {
    let write = |mut rest: &mut [_]| {
        let cut = |&length| rest.split_off_mut(..length).expect("the runs have all numbers");
        let pieces = runs.iter().map(cut).enumerate().collect();
        for_each(pieces, |(i, piece)| f(i, memory::zeroed(piece)));
    };
    // SAFETY: the runs are all of the numbers, and each is set to 0.
    unsafe { memory::written(runs.iter().sum(), write) }
}

/// Returns two lists of numbers, of the lengths and in the pieces `(length, size)`, that `f(i, piece i of a, piece i of b)`
/// fills; see [`build`].
///
/// # Panics
/// If the two do not have the same number of pieces.
pub fn build2(
    a: (usize, usize),
    b: (usize, usize),
    f: impl Fn(usize, &mut [f32], &mut [f32]) + Sync + Send,
) -> (Vec<f32>, Vec<f32>) {
    let mut second = vec![0.0; b.0];
    let write = |numbers: &mut [_]| for_chunks2(numbers, a.1, &mut second, b.1, |i, a, b| f(i, memory::zeroed(a), b));
    // SAFETY: the pieces are all of the numbers, and each is set to 0.
    let first = unsafe { memory::written(a.0, write) };
    (first, second)
}

/// Returns f(0), f(1), … f(n − 1), in this order.
pub fn map<R: Send>(n: usize, f: impl Fn(usize) -> R + Sync + Send) -> Vec<R> {
    #[cfg(feature = "parallel")]
    if n > 1 {
        return (0..n).into_par_iter().map(f).collect();
    }
    (0..n).map(f).collect()
}

/// The fewest multiply-adds that pay for handing a piece of work to another thread, which takes several microseconds.
pub const WORTH: usize = 1 << 17;

/// Returns the same as [`map`], on the calling thread if all pieces together are too few multiply-adds to be shared.
pub fn map_work<R: Send>(n: usize, multiply_adds: usize, f: impl Fn(usize) -> R + Sync + Send) -> Vec<R> {
    if multiply_adds < 2 * WORTH { (0..n).map(f).collect() } else { map(n, f) }
}

/// Calls `f` on every item of a list.
pub fn for_each<T: Send>(items: Vec<T>, f: impl Fn(T) + Sync + Send) {
    #[cfg(feature = "parallel")]
    if items.len() > 1 {
        return items.into_par_iter().for_each(f);
    }
    items.into_iter().for_each(f);
}
