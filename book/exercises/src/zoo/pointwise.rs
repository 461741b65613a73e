//! RMSNorm, RoPE and SwiGLU.

use crate::proofs::{EDGES, Exercise, FORWARD, GRADIENT, Mutant, RmsNorm, Rope, Swiglu};
use crate::solutions::{rms_norm as right_norm, rope as right_rope, swiglu as right_swiglu};

pub fn rms_norm() -> Vec<Mutant<RmsNorm>> {
    let forward = |forward| RmsNorm { forward, ..RmsNorm::solution() };
    let backward = |backward| RmsNorm { backward, ..RmsNorm::solution() };
    vec![
        Mutant {
            says: "ε is added to the root instead of to the mean under the root",
            layer: forward(|x, w, eps| {
                let (_, r) = right_norm::forward(x, w, 0.0);
                let r: Vec<f32> = r.iter().map(|r| 1.0 / (1.0 / r + eps)).collect();
                let rows = x.chunks_exact(w.len()).zip(&r);
                (rows.flat_map(|(x, r)| x.iter().zip(w).map(move |(x, w)| x * r * w)).collect(), r)
            }),
            caught_by: EDGES,
        },
        Mutant {
            says: "the mean of the row is subtracted first: this is LayerNorm",
            layer: forward(|x, w, eps| {
                let centred = x.chunks_exact(w.len()).flat_map(|row| {
                    let mean = row.iter().sum::<f32>() / row.len() as f32;
                    row.iter().map(move |x| x - mean)
                });
                right_norm::forward(&centred.collect::<Vec<_>>(), w, eps)
            }),
            caught_by: FORWARD,
        },
        Mutant {
            says: "the path from x through r is forgotten: dx is r·dy·w and nothing else",
            layer: backward(|dy, x, w, r| {
                let rows = dy.chunks_exact(w.len()).zip(r);
                let dx = rows.flat_map(|(dy, r)| dy.iter().zip(w).map(move |(dy, w)| r * dy * w)).collect();
                (dx, right_norm::backward(dy, x, w, r).1)
            }),
            caught_by: GRADIENT,
        },
        Mutant {
            says: "in dx the sum over the row is not divided by H",
            layer: backward(|dy, x, w, r| {
                let (correct, dw) = right_norm::backward(dy, x, w, r);
                let first = |i: usize| r[i / w.len()] * dy[i] * w[i % w.len()];
                let dx = (0..x.len()).map(|i| first(i) + w.len() as f32 * (correct[i] - first(i))).collect();
                (dx, dw)
            }),
            caught_by: GRADIENT,
        },
    ]
}

/// Reorders the neighbours of a head, 0 1 2 3 …, to the halves that gpt-oss pairs, 0 2 … 1 3 …; or back.
fn regrouped(x: &[f32], half: usize, back: bool) -> Vec<f32> {
    let place = |i: usize| if i < half { 2 * i } else { 2 * (i - half) + 1 };
    let mut y = x.to_vec();
    for (from, to) in x.chunks_exact(2 * half).zip(y.chunks_exact_mut(2 * half)) {
        (0..2 * half).for_each(|i| if back { to[place(i)] = from[i] } else { to[i] = from[place(i)] });
    }
    y
}

pub fn rope() -> Vec<Mutant<Rope>> {
    vec![
        Mutant {
            says: "neighbours are paired (0 with 1, 2 with 3), as in other models: gpt-oss pairs the halves of a head",
            layer: Rope {
                forward: |x, width, cos, sin, half, direction| {
                    let turned = right_rope::forward(&regrouped(x, half, false), width, cos, sin, half, direction);
                    regrouped(&turned, half, true)
                },
                backward: |dy, width, cos, sin, half| {
                    let turned = right_rope::backward(&regrouped(dy, half, false), width, cos, sin, half);
                    regrouped(&turned, half, true)
                },
            },
            caught_by: FORWARD,
        },
        Mutant {
            says: "the rotation goes in the wrong direction: distances stay right, but no checkpoint fits any more",
            layer: Rope {
                forward: |x, width, cos, sin, half, direction| {
                    right_rope::forward(x, width, cos, sin, half, -direction)
                },
                backward: |dy, width, cos, sin, half| right_rope::forward(dy, width, cos, sin, half, 1.0),
            },
            caught_by: FORWARD,
        },
        Mutant {
            says: "the backward pass rotates forward again instead of back",
            layer: Rope {
                backward: |dy, width, cos, sin, half| right_rope::forward(dy, width, cos, sin, half, 1.0),
                ..Rope::solution()
            },
            caught_by: GRADIENT,
        },
    ]
}

pub fn swiglu() -> Vec<Mutant<Swiglu>> {
    let forward = |forward| Swiglu { forward, ..Swiglu::solution() };
    vec![
        Mutant {
            says: "the + 1 is missing",
            layer: forward(|gate_up, alpha, limit| {
                let one = |pair: &[f32]| {
                    let (gate, up) = (pair[0].min(limit), pair[1].clamp(-limit, limit));
                    up * gate / (1.0 + (-alpha * gate).exp())
                };
                gate_up.chunks_exact(2).map(one).collect()
            }),
            caught_by: FORWARD,
        },
        Mutant {
            says: "the gate is clamped from below as well: only the up is clamped on both sides",
            layer: forward(|gate_up, alpha, limit| {
                let clamped: Vec<f32> = gate_up.iter().map(|x| x.max(-limit)).collect();
                right_swiglu::forward(&clamped, alpha, limit)
            }),
            caught_by: EDGES,
        },
        Mutant {
            says: "the first half of a row is taken for the gates and the second half for the ups: they alternate",
            layer: forward(|gate_up, alpha, limit| {
                // Rows of the reference: 19 gates and ups.
                let inner = if gate_up.len().is_multiple_of(38) { 19 } else { gate_up.len() / 2 };
                let turns =
                    gate_up.chunks_exact(2 * inner).flat_map(|row| (0..inner).flat_map(|i| [row[i], row[inner + i]]));
                right_swiglu::forward(&turns.collect::<Vec<_>>(), alpha, limit)
            }),
            caught_by: FORWARD,
        },
        Mutant {
            says: "α is left out: σ(g) instead of σ(1.702 · g)",
            layer: forward(|gate_up, _, limit| right_swiglu::forward(gate_up, 1.0, limit)),
            caught_by: FORWARD,
        },
        Mutant {
            says: "the gradient passes through the clamps as if they were not there",
            layer: Swiglu {
                backward: |dy, gate_up, alpha, limit| {
                    let inside: Vec<f32> = gate_up
                        .chunks_exact(2)
                        .flat_map(|p| [p[0].min(0.999_999 * limit), p[1].clamp(-0.999_999 * limit, 0.999_999 * limit)])
                        .collect();
                    right_swiglu::backward(dy, &inside, alpha, limit)
                },
                ..Swiglu::solution()
            },
            caught_by: GRADIENT,
        },
    ]
}
