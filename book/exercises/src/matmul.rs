//! A matrix product that uses a cache well. The chapter: matmul.md.

use crate::machine::{Machine, Matrix};

/// C ← A·B, one number of C after the other: cᵢⱼ = Σₖ aᵢₖ·bₖⱼ.  A (m, k), B (k, n), C (m, n).  `machine.load(a, i, k)` returns
/// a number, and `machine.store(c, i, j, x)` writes one. A variable of your function is a register and costs nothing.
pub fn three_loops(machine: &mut Machine, a: Matrix, b: Matrix, c: Matrix) {
    todo!("{c:?} from {a:?} and {b:?}, with {} accesses so far", machine.accesses)
}

/// C ← A·B in tiles of 4 × 4 numbers of C, whose sums stay in an array of your function while k runs. For each k, load four
/// numbers of A and four of B, and use each of them four times. Tiles at the right and at the lower border of C may be smaller.
/// The order of the tiles decides how often a line of A and of B is fetched again: the cache of the machine holds 256 lines of
/// 16 numbers.
pub fn in_tiles(machine: &mut Machine, a: Matrix, b: Matrix, c: Matrix) {
    todo!("{c:?} from {a:?} and {b:?}, with {} accesses so far", machine.accesses)
}
