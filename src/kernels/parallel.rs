//! Work over threads, in pieces that do not depend on how many threads there are.
//!
//! Every piece writes its own part of the result, and nothing is summed across pieces in the order in which they
//! happen to finish: the same bits with 1, 2 or 16 threads. Without the feature `parallel`, or where there is only
//! one piece, everything runs on the calling thread.

#[cfg(feature = "parallel")]
use rayon::prelude::*;

/// How many threads the pieces are spread over.
pub fn threads() -> usize {
    #[cfg(feature = "parallel")]
    return rayon::current_num_threads();
    #[cfg(not(feature = "parallel"))]
    1
}

/// Sets how many threads there are, for the rest of the program.
///
/// # Errors
/// If work was already spread, or more than one thread is asked for without the feature `parallel`.
pub fn set_threads(threads: usize) -> Result<(), String> {
    #[cfg(feature = "parallel")]
    return rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().map_err(|e| e.to_string());
    #[cfg(not(feature = "parallel"))]
    if threads == 1 { Ok(()) } else { Err("this build has one thread (feature `parallel` is off)".into()) }
}

/// `f(i, piece i)` for every run of `size` elements of `data` (the last may be shorter).
pub fn for_chunks<T: Send>(data: &mut [T], size: usize, f: impl Fn(usize, &mut [T]) + Sync + Send) {
    let size = size.max(1);
    #[cfg(feature = "parallel")]
    if data.len() > size {
        return data.par_chunks_mut(size).enumerate().for_each(|(i, piece)| f(i, piece));
    }
    data.chunks_mut(size).enumerate().for_each(|(i, piece)| f(i, piece));
}

/// `f(i, piece i of a, piece i of b)`: two results cut in step, `a` by `a_size`, `b` by `b_size`.
pub fn for_chunks2<A: Send, B: Send>(
    a: &mut [A],
    a_size: usize,
    b: &mut [B],
    b_size: usize,
    f: impl Fn(usize, &mut [A], &mut [B]) + Sync + Send,
) {
    let (a_size, b_size) = (a_size.max(1), b_size.max(1));
    assert_eq!(a.len().div_ceil(a_size), b.len().div_ceil(b_size), "for_chunks2: the two are cut differently");
    #[cfg(feature = "parallel")]
    if a.len() > a_size {
        let pairs = a.par_chunks_mut(a_size).zip(b.par_chunks_mut(b_size)).enumerate();
        return pairs.for_each(|(i, (a, b))| f(i, a, b));
    }
    a.chunks_mut(a_size).zip(b.chunks_mut(b_size)).enumerate().for_each(|(i, (a, b))| f(i, a, b));
}

/// f(0), f(1), … f(n − 1), in order.
pub fn map<R: Send>(n: usize, f: impl Fn(usize) -> R + Sync + Send) -> Vec<R> {
    #[cfg(feature = "parallel")]
    if n > 1 {
        return (0..n).into_par_iter().map(f).collect();
    }
    (0..n).map(f).collect()
}

/// `f` on every item of a list, each by itself.
pub fn for_each<T: Send>(items: Vec<T>, f: impl Fn(T) + Sync + Send) {
    #[cfg(feature = "parallel")]
    if items.len() > 1 {
        return items.into_par_iter().for_each(f);
    }
    items.into_iter().for_each(f);
}
