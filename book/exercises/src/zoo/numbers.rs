//! Gradient checking, data with a floor, lanes and the exponential, and the arithmetic of speed.

use crate::data::{IGNORE, Piece};
use crate::proofs::{Data, Exercise, GradCheck, Mutant, Simd, Speed};
use crate::solutions::{data as right_data, grad_check as right_check, simd as right_simd, speed as right_speed};

pub fn grad_check() -> Vec<Mutant<GradCheck>> {
    vec![
        Mutant {
            says: "the difference is one-sided: (f(x + h) − f(x)) / h",
            layer: GradCheck {
                slope: |f, x, index, h| {
                    let mut moved = x.to_vec();
                    moved[index] += h;
                    (f(&moved) - f(x)) / h
                },
                ..GradCheck::solution()
            },
            caught_by: "the_slope_is_two_sided",
        },
        Mutant {
            says: "each difference is divided by its own derivative instead of the largest one",
            layer: GradCheck {
                worst: |derived, measured| {
                    let mut worst = (0, 0.0);
                    for (index, (derived, measured)) in derived.iter().zip(measured).enumerate() {
                        let error = (derived - measured).abs() / derived.abs().max(measured.abs()).max(1e-3);
                        if error.is_nan() || error > worst.1 {
                            worst = (index, error);
                        }
                    }
                    worst
                },
                ..GradCheck::solution()
            },
            caught_by: "finds_the_worst_place",
        },
        Mutant {
            says: "the search for the worst place compares with NaN, and every comparison is false",
            layer: GradCheck {
                worst: |derived, measured| {
                    let largest = derived.iter().chain(measured).fold(1e-3_f32, |largest, x| largest.max(x.abs()));
                    let mut worst = (0, 0.0);
                    for (index, (derived, measured)) in derived.iter().zip(measured).enumerate() {
                        let error = (derived - measured).abs() / largest;
                        if error > worst.1 {
                            worst = (index, error);
                        }
                    }
                    worst
                },
                ..GradCheck::solution()
            },
            caught_by: "nan_is_the_worst_of_all",
        },
        Mutant {
            says: "the loss is the plain sum of the outputs, without the weights dy",
            layer: GradCheck {
                check: |layer, x, dy, derived, h| right_check::check(layer, x, &vec![1.0; dy.len()], derived, h),
                ..GradCheck::solution()
            },
            caught_by: "a_layer_has_weights_for_its_outputs",
        },
    ]
}

pub fn data() -> Vec<Mutant<Data>> {
    /// Adds the logarithms of all choices, whether they are always reached or not.
    fn all_choices(pieces: &[Piece]) -> f64 {
        let of = |piece: &Piece| match piece {
            Piece::Text(_) => 0.0,
            Piece::Choice(options) => {
                (options.len() as f64).ln() + options.iter().map(|option| all_choices(option)).sum::<f64>()
            }
        };
        pieces.iter().map(of).sum()
    }
    vec![
        Mutant {
            says: "a choice within an option counts in full, although it is not always reached",
            layer: Data { entropy: all_choices, ..Data::solution() },
            caught_by: "the_entropy_equals_the_walk_of_the_engine",
        },
        Mutant {
            says: "the end token of each story is not in the number of tokens: the floor is too high",
            layer: Data {
                floor: |nats, tokens| nats.iter().sum::<f64>() / tokens.iter().sum::<usize>() as f64,
                ..Data::solution()
            },
            caught_by: "the_floor_is_per_predicted_token",
        },
        Mutant {
            says: "the stream is cut every T tokens, so that windows begin in the middle of a story",
            layer: Data {
                starts: |lengths, context| {
                    let last: usize = lengths.iter().map(|length| length + 1).sum();
                    (0..last).step_by(context).collect()
                },
                ..Data::solution()
            },
            caught_by: "a_document_that_is_cut_off_begins_the_next_window",
        },
        Mutant {
            says: "the targets are the inputs themselves, not the tokens after them",
            layer: Data {
                windows: |documents, starts, end, context| {
                    let mut windows = right_data::windows(documents, starts, end, context);
                    for (inputs, targets) in &mut windows {
                        let pairs = targets.iter_mut().zip(inputs);
                        pairs.filter(|(target, _)| **target != IGNORE).for_each(|(target, input)| *target = *input);
                    }
                    windows
                },
                ..Data::solution()
            },
            caught_by: "each_token_is_a_target_once",
        },
        Mutant {
            says: "all targets count, so a token that is in two windows counts twice",
            layer: Data {
                windows: |documents, starts, end, context| {
                    // A window alone does not know that another one follows.
                    let alone = |start| right_data::windows(documents, &[start], end, context).remove(0);
                    starts.iter().map(|&start| alone(start)).collect()
                },
                ..Data::solution()
            },
            caught_by: "each_token_is_a_target_once",
        },
    ]
}

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
            says: "the sums of the times are compared, so the slowest pair counts most",
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
