//! A matrix product in five versions, from three loops to the product of the engine, each measured on one thread.
//!
//! cargo run --release --example matmul [-- N]    (N: rows and columns of the matrices)
//!
//! Book: matmul.md

#[path = "../../benches/limits.rs"]
mod limits;

use ndarray::{ArrayView2, ArrayViewMut2, Axis};
use ossia::kernels::{self, parallel};
use std::hint::black_box;
use std::time::{Duration, Instant};

// ANCHOR: three_loops
/// C ← A·B, one number after the other.
fn three_loops(a: &[f32], b: &[f32], c: &mut [f32], n: usize) {
    for i in 0..n {
        for j in 0..n {
            let mut sum = 0.0;
            for k in 0..n {
                sum += a[i * n + k] * b[k * n + j];
            }
            c[i * n + j] = sum;
        }
    }
}
// ANCHOR_END: three_loops

// ANCHOR: rows
/// C ← A·B, one row of B after the other. The inner loop is over j, so its numbers are neighbours in memory.
fn by_rows(a: &[f32], b: &[f32], c: &mut [f32], n: usize) {
    c.fill(0.0);
    for i in 0..n {
        for k in 0..n {
            let (a, b) = (a[i * n + k], &b[k * n..][..n]);
            for (c, b) in c[i * n..][..n].iter_mut().zip(b) {
                *c += a * b;
            }
        }
    }
}
// ANCHOR_END: rows

/// The same with a kernel for the inner loop.
fn by_rows_with_kernel(a: &[f32], b: &[f32], c: &mut [f32], n: usize) {
    c.fill(0.0);
    for i in 0..n {
        for k in 0..n {
            kernels::axpy(a[i * n + k], &b[k * n..][..n], &mut c[i * n..][..n]);
        }
    }
}

// ANCHOR: panels
/// C ← A·B with sums in registers: B is packed into panels, and each panel is multiplied by all of A.
fn in_panels(a: &[f32], b: &[f32], c: &mut [f32], n: usize) {
    let width = kernels::panel_columns();
    let mut panel = vec![0.0; n * width];
    let (a, b) = (square(a, n), square(b, n));
    let mut c = ArrayViewMut2::from_shape((n, n), c).expect("n rows and columns");
    for (b, c) in b.axis_chunks_iter(Axis(1), width).zip(c.axis_chunks_iter_mut(Axis(1), width)) {
        kernels::pack_panel(b, &mut panel);
        kernels::multiply_panel(1.0, a, &panel, false, c);
    }
}
// ANCHOR_END: panels

/// C ← A·B with blocks of A and B that fit the caches: the engine's product.
fn in_blocks(a: &[f32], b: &[f32], c: &mut [f32], n: usize) {
    let c = ArrayViewMut2::from_shape((n, n), c).expect("n rows and columns");
    kernels::gemm(1.0, square(a, n), square(b, n), 0.0, c);
}

fn square(numbers: &[f32], n: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((n, n), numbers).expect("n rows and columns")
}

/// Runs `f` for half a second, at least three times, and returns the seconds of the fastest run.
fn fastest(mut f: impl FnMut()) -> f64 {
    let (start, mut best, mut runs) = (Instant::now(), f64::INFINITY, 0);
    while runs < 3 || start.elapsed() < Duration::from_millis(500) {
        let start = Instant::now();
        f();
        best = best.min(start.elapsed().as_secs_f64());
        runs += 1;
    }
    best
}

/// A program that computes C from A and B, which have n rows and columns.
type Product = fn(&[f32], &[f32], &mut [f32], usize);

fn main() {
    let n = std::env::args().nth(1).map_or(768, |n| n.parse().expect("N must be a number"));
    let versions: [(&str, Product); 5] = [
        ("three loops", three_loops),
        ("rows of B", by_rows),
        ("rows of B, with a kernel", by_rows_with_kernel),
        ("panels, sums in registers", in_panels),
        ("blocks that fit the caches", in_blocks),
    ];
    let numbers = |seed: usize| (0..n * n).map(|i| ((i * seed) % 1009) as f32 / 1009.0 - 0.5).collect::<Vec<f32>>();
    parallel::set_threads(1).expect("no parallel loop has run");
    let (a, b, mut expected, peak) = (numbers(31), numbers(57), Vec::new(), limits::peak_flops());
    let bandwidth = limits::read_bandwidth();
    println!("{n} rows and columns, one thread: at most {peak:.0} GFLOP/s and {bandwidth:.1} GB/s read");
    for (name, product) in versions {
        let mut c = vec![f32::NAN; n * n];
        let rate = 2e-9 * (n * n * n) as f64 / fastest(|| product(black_box(&a), black_box(&b), &mut c, n));
        if expected.is_empty() {
            expected.clone_from(&c);
        }
        let error = c.iter().zip(&expected).map(|(c, e)| (c - e).abs()).fold(0.0, f32::max);
        assert!(error < 1e-4, "{name} is wrong by {error}");
        println!("{name:<27}{rate:7.1} GFLOP/s {:4.0} % of the peak", 100.0 * rate / peak);
    }
}
