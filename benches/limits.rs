//! The limits of this machine: floating-point operations and bytes read per second, on all threads.

use ossia::kernels::{self, Isa, parallel};
use std::hint::black_box;
use std::time::Instant;

/// Runs `work` a few times on every thread at once; the best rate, in `amount` of one thread's run a second.
fn best_rate(amount: f64, work: impl Fn(usize) + Sync + Send) -> f64 {
    let threads = parallel::threads();
    let once = || {
        let start = Instant::now();
        parallel::map(threads, &work);
        threads as f64 * amount / start.elapsed().as_secs_f64()
    };
    (0..7).map(|_| once()).fold(0.0, f64::max)
}

/// GB/s that all threads together read from memory: the sum of a gigabyte.
pub fn read_bandwidth() -> f64 {
    const NUMBERS: usize = 1 << 28;
    let numbers = vec![1.0_f32; NUMBERS];
    let share = NUMBERS / parallel::threads();
    best_rate(share as f64 * 4.0 / 1e9, |thread| {
        for piece in numbers[thread * share..][..share].chunks(1 << 14) {
            black_box(kernels::sum(piece));
        }
    })
}

/// GFLOP/s of fused multiply-adds on registers of the selected instruction set.
pub fn peak_flops() -> f64 {
    const ROUNDS: usize = 20_000_000;
    let lanes = if is_avx512() { 16 } else { 8 };
    best_rate(2.0 * (lanes * CHAINS * ROUNDS) as f64 / 1e9, |_| {
        black_box(fma_chains(black_box(0.999), ROUNDS));
    })
}

fn is_avx512() -> bool {
    matches!(kernels::selected(), Ok(Isa::Avx512 | Isa::Avx512Vnni))
}

/// Independent chains: a fused multiply-add takes four or five cycles, and two start in each.
const CHAINS: usize = 10;

fn fma_chains(x: f32, rounds: usize) -> f32 {
    #[cfg(target_arch = "x86_64")]
    if is_avx512() {
        // SAFETY: an instruction set is selected only where the processor has it.
        return unsafe { fma_chains_avx512(x, rounds) };
    }
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the processor has both.
        return unsafe { fma_chains_avx2(x, rounds) };
    }
    let mut acc = [[1.0_f32; 8]; CHAINS];
    for _ in 0..rounds {
        acc.iter_mut().flatten().for_each(|lane| *lane = lane.mul_add(x, 1e-3));
    }
    acc.iter().flatten().sum()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn fma_chains_avx2(x: f32, rounds: usize) -> f32 {
    use std::arch::x86_64::{_mm256_add_ps, _mm256_cvtss_f32, _mm256_fmadd_ps, _mm256_set1_ps};
    let (x, step) = (_mm256_set1_ps(x), _mm256_set1_ps(1e-3));
    let mut acc = [_mm256_set1_ps(1.0); CHAINS];
    for _ in 0..rounds {
        for chain in &mut acc {
            *chain = _mm256_fmadd_ps(*chain, x, step);
        }
    }
    _mm256_cvtss_f32(acc.into_iter().fold(step, |sum, chain| _mm256_add_ps(sum, chain)))
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn fma_chains_avx512(x: f32, rounds: usize) -> f32 {
    use std::arch::x86_64::{_mm512_fmadd_ps, _mm512_reduce_add_ps, _mm512_set1_ps};
    let (x, step) = (_mm512_set1_ps(x), _mm512_set1_ps(1e-3));
    let mut acc = [_mm512_set1_ps(1.0); CHAINS];
    for _ in 0..rounds {
        for chain in &mut acc {
            *chain = _mm512_fmadd_ps(*chain, x, step);
        }
    }
    acc.into_iter().map(|chain| _mm512_reduce_add_ps(chain)).sum()
}
