use crate::machine::{Machine, Matrix};

pub fn three_loops(machine: &mut Machine, a: Matrix, b: Matrix, c: Matrix) {
    for i in 0..c.rows {
        for j in 0..c.columns {
            let mut sum = 0.0;
            for k in 0..a.columns {
                sum += machine.load(a, i, k) * machine.load(b, k, j);
            }
            machine.store(c, i, j, sum);
        }
    }
}

pub fn in_tiles(machine: &mut Machine, a: Matrix, b: Matrix, c: Matrix) {
    // The four tiles side by side read the same lines of B, which hold sixteen columns; so they follow one another.
    for strip in (0..c.columns).step_by(16) {
        for top in (0..c.rows).step_by(4) {
            for left in (strip..c.columns.min(strip + 16)).step_by(4) {
                tile(machine, a, b, c, (top, left));
            }
        }
    }
}

pub fn tile(machine: &mut Machine, a: Matrix, b: Matrix, c: Matrix, (top, left): (usize, usize)) {
    let (rows, columns) = (4.min(c.rows - top), 4.min(c.columns - left));
    let mut sums = [[0.0; 4]; 4];
    for k in 0..a.columns {
        let mut b_row = [0.0; 4];
        for (j, number) in b_row[..columns].iter_mut().enumerate() {
            *number = machine.load(b, k, left + j);
        }
        for (i, sums) in sums[..rows].iter_mut().enumerate() {
            let a = machine.load(a, top + i, k);
            sums.iter_mut().zip(b_row).for_each(|(sum, b)| *sum += a * b);
        }
    }
    for (i, sums) in sums[..rows].iter().enumerate() {
        for (j, &sum) in sums[..columns].iter().enumerate() {
            machine.store(c, top + i, left + j, sum);
        }
    }
}
