//! Lanes and the exponential, and the arithmetic of speed.

use crate::proofs::{Exercise, Mutant, Simd, Speed};
use crate::solutions::{simd as right_simd, speed as right_speed};

pub fn simd() -> Vec<Mutant<Simd>> {
    vec![
        Mutant {
            says: "the numbers after the last whole group are forgotten",
            layer: Simd {
                accumulate: |x, y| {
                    let whole = x.len() / 8 * 8;
                    right_simd::accumulate(&x[..whole], &y[..whole])
                },
                ..Simd::solution()
            },
            caught_by: "no_length_loses_a_number",
        },
        Mutant {
            says: "all groups are added to one register",
            layer: Simd {
                accumulate: |x, y| {
                    let mut sum = [0.0; 8];
                    for (x, y) in x.chunks(8).zip(y.chunks(8)) {
                        sum.iter_mut().zip(x.iter().zip(y)).for_each(|(sum, (x, y))| *sum = x.mul_add(*y, *sum));
                    }
                    [sum, [0.0; 8], [0.0; 8], [0.0; 8]]
                },
                ..Simd::solution()
            },
            caught_by: "groups_go_to_the_registers_in_turn",
        },
        Mutant {
            says: "the lanes are added one after the other",
            layer: Simd {
                sum_of_lanes: |[a, b, c, d]| (0..8).map(|i| (a[i] + b[i]) + (c[i] + d[i])).sum(),
                ..Simd::solution()
            },
            caught_by: "lanes_are_added_in_halves",
        },
        Mutant {
            says: "ln 2 is subtracted in one part, so r inherits its rounding error n times",
            layer: Simd {
                reduce: |x| {
                    let n = (x * std::f32::consts::LOG2_E).round();
                    (n as i32, n.mul_add(-std::f32::consts::LN_2, x))
                },
                ..Simd::solution()
            },
            caught_by: "the_rest_is_accurate",
        },
        Mutant {
            says: "2ⁿ is made from the bits of n + 127 for every n, also where it is negative",
            layer: Simd {
                exp: |x| match x {
                    x if x < -87.0 => {
                        let n = (x.max(-1000.0) * std::f32::consts::LOG2_E).round() as i32;
                        f32::from_bits(((n + 127) as u32) << 23)
                    }
                    x => right_simd::exp(x),
                },
                ..Simd::solution()
            },
            caught_by: "the_exponential_is_within_two_ulp",
        },
    ]
}

pub fn speed() -> Vec<Mutant<Speed>> {
    vec![
        Mutant {
            says: "the two times are added, although a machine computes and reads at the same time",
            layer: Speed {
                least_seconds: |operations, bytes, limits| operations / limits.operations + bytes / limits.bytes,
                ..Speed::solution()
            },
            caught_by: "the_slower_limit_decides",
        },
        Mutant {
            says: "an expert that several tokens choose is counted several times",
            layer: Speed {
                experts_read: |experts, active, tokens| (active * tokens).min(experts) as f64,
                ..Speed::solution()
            },
            caught_by: "experts_are_counted_once",
        },
        Mutant {
            says: "the choices of a token are independent of each other, so that it may choose an expert twice",
            layer: Speed {
                experts_read: |experts, active, tokens| right_speed::experts_read(experts, 1, active * tokens),
                ..Speed::solution()
            },
            caught_by: "experts_are_counted_once",
        },
        Mutant {
            says: "the whole program becomes faster, and not only the part",
            layer: Speed { speedup: |share, factor| 1.0 + share * (factor - 1.0), ..Speed::solution() },
            caught_by: "the_rest_of_the_program_stays",
        },
        Mutant {
            says: "the sums of the times are compared, so the pair that met a busy machine counts most",
            layer: Speed {
                compare: |pairs| {
                    let (_, least, most) = right_speed::compare(pairs);
                    let sum = |time: fn(&(f64, f64)) -> f64| pairs.iter().map(time).sum::<f64>();
                    (sum(|pair| pair.0) / sum(|pair| pair.1), least, most)
                },
                ..Speed::solution()
            },
            caught_by: "pairs_are_compared_one_by_one",
        },
    ]
}
