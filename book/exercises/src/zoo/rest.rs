//! Embedding, routing, loss, optimizer, MXFP4, matrix product.

use crate::proofs::{
    AdamW, CrossEntropy, EDGES, Embedding, Exercise, FORWARD, GRADIENT, Matmul, Muon, Mutant, Mxfp4, TopK,
};
use crate::solutions::{
    adamw as right_adamw, matmul as right_matmul, muon as right_muon, mxfp4 as right_mxfp4, top_k as right_top_k,
};
use ossia::train::adamw::Hyperparameters;

pub fn embedding() -> Vec<Mutant<Embedding>> {
    vec![Mutant {
        says: "a token occurs twice in the text, and its last gradient overwrites the first",
        layer: Embedding {
            backward: |dy, ids, vocabulary, hidden| {
                let mut dw = vec![0.0; vocabulary * hidden];
                for (&id, dy) in ids.iter().zip(dy.chunks_exact(hidden)) {
                    dw[id as usize * hidden..][..hidden].copy_from_slice(dy);
                }
                dw
            },
            ..Embedding::solution()
        },
        caught_by: GRADIENT,
    }]
}

pub fn top_k() -> Vec<Mutant<TopK>> {
    vec![
        Mutant {
            says: "softmax is computed over all experts before the choice: the weights do not sum to 1",
            layer: TopK {
                forward: |logits, experts, active| {
                    let (indices, _) = right_top_k::forward(logits, experts, active);
                    let (order, all) = right_top_k::forward(logits, experts, experts);
                    let weights = indices.chunks_exact(active).enumerate().flat_map(|(t, chosen)| {
                        let row = t * experts..(t + 1) * experts;
                        let place = |i: &u32| order[row.clone()].iter().position(|e| e == i).unwrap_or(0);
                        chosen.iter().map(|i| all[row.start + place(i)]).collect::<Vec<_>>()
                    });
                    (indices.clone(), weights.collect())
                },
                ..TopK::solution()
            },
            caught_by: FORWARD,
        },
        Mutant {
            says: "the higher index wins of two equal logits",
            layer: TopK {
                forward: |logits, experts, active| {
                    let turned: Vec<f32> =
                        logits.chunks_exact(experts).flat_map(|row| row.iter().rev().copied()).collect();
                    let (indices, weights) = right_top_k::forward(&turned, experts, active);
                    (indices.iter().map(|i| experts as u32 - 1 - i).collect(), weights)
                },
                ..TopK::solution()
            },
            caught_by: EDGES,
        },
    ]
}

pub fn cross_entropy() -> Vec<Mutant<CrossEntropy>> {
    vec![
        Mutant {
            says: "the largest logit is not subtracted before e^z: large logits overflow",
            layer: CrossEntropy {
                forward: |z, targets| {
                    let rows = z.chunks_exact((z.len() / targets.len().max(1)).max(1)).zip(targets);
                    rows.map(|(z, &t)| z.iter().map(|z| z.exp()).sum::<f32>().ln() - z[t as usize]).collect()
                },
                ..CrossEntropy::solution()
            },
            caught_by: EDGES,
        },
        Mutant {
            says: "dz is the probabilities, without the 1 that is subtracted at the target",
            layer: CrossEntropy {
                backward: |dloss, z, targets| {
                    let mut dz = crate::solutions::cross_entropy::backward(dloss, z, targets);
                    let columns = z.len() / targets.len().max(1);
                    targets.iter().zip(dloss).enumerate().for_each(|(t, (&v, d))| dz[t * columns + v as usize] += d);
                    dz
                },
                ..CrossEntropy::solution()
            },
            caught_by: GRADIENT,
        },
    ]
}

pub fn adamw() -> Vec<Mutant<AdamW>> {
    vec![
        Mutant {
            says: "the bias corrections are missing: the first step is 0.45 lr long (with β₂ = 0.999 it would be 3.2 lr)",
            layer: AdamW {
                step: |settings, _, lr, gradient, w, m, v| {
                    right_adamw::step(settings, 1_000_000, lr, gradient, w, m, v);
                },
            },
            caught_by: "the_first_step_is_right",
        },
        Mutant {
            says: "the decay is added to the gradient, as in Adam with L2 regularization: then it is divided by √v, too",
            layer: AdamW {
                step: |settings, t, lr, gradient, w, m, v| {
                    let decay = settings.weight_decay as f32;
                    let gradient: Vec<f32> = gradient.iter().zip(&*w).map(|(g, w)| g + decay * w).collect();
                    let settings = Hyperparameters { weight_decay: 0.0, ..settings.clone() };
                    right_adamw::step(&settings, t, lr, &gradient, w, m, v);
                },
            },
            caught_by: "the_first_step_is_right",
        },
    ]
}

pub fn muon() -> Vec<Mutant<Muon>> {
    vec![
        Mutant {
            says: "the matrix is divided by its largest number instead of its norm: a singular value above 1 grows without limit",
            layer: Muon {
                orthogonalize: |g, rows, columns| {
                    let largest = g.iter().fold(0.0, |largest: f32, x| largest.max(x.abs()));
                    let norm = g.iter().map(|x| x * x).sum::<f32>().sqrt();
                    right_muon::unnormed(&g.iter().map(|x| x / largest.min(norm)).collect::<Vec<_>>(), rows, columns)
                },
                ..Muon::solution()
            },
            caught_by: "the_polynomial_acts_on_each_singular_value",
        },
        Mutant {
            says: "the step is scaled by the square root of the rows only: matrices with more columns learn too slowly",
            layer: Muon {
                step: |lr, g, (rows, columns), w, m| {
                    let too_long = (rows.max(columns) as f32 / rows as f32).sqrt();
                    right_muon::step(lr / too_long, g, (rows, columns), w, m);
                },
                ..Muon::solution()
            },
            caught_by: "three_steps_equal_those_of_the_engine",
        },
        Mutant {
            says: "the gradient does not count once more beside its running mean: a new gradient has half of its weight",
            layer: Muon {
                step: |lr, g, (rows, columns), w, m| {
                    m.iter_mut().zip(g).for_each(|(m, g)| *m = 0.95 * *m + 0.05 * g);
                    let length = lr * 0.2 * (rows.max(columns) as f32).sqrt();
                    let direction = right_muon::orthogonalize(m, rows, columns);
                    w.iter_mut().zip(direction).for_each(|(w, direction)| *w -= length * direction);
                },
                ..Muon::solution()
            },
            caught_by: "three_steps_equal_those_of_the_engine",
        },
    ]
}

pub fn mxfp4() -> Vec<Mutant<Mxfp4>> {
    vec![
        Mutant {
            says: "the first number of a byte is taken from its high half",
            layer: Mxfp4 {
                decode: |codes, scale| right_mxfp4::decode(&codes.map(|byte| byte.rotate_left(4)), scale),
                encode: |numbers| {
                    let (codes, scale) = right_mxfp4::encode(numbers);
                    (codes.map(|byte| byte.rotate_left(4)), scale)
                },
            },
            caught_by: "decodes_the_examples",
        },
        Mutant {
            says: "numbers halfway between two values are rounded away from zero instead of to the even code",
            layer: Mxfp4 {
                encode: |numbers| right_mxfp4::encode(&numbers.map(|x| x * (1.0 + 1e-6))),
                ..Mxfp4::solution()
            },
            caught_by: "encodes_the_examples",
        },
    ]
}

pub fn matmul() -> Vec<Mutant<Matmul>> {
    vec![
        Mutant {
            says: "the sums begin with the old numbers of C",
            layer: Matmul {
                in_tiles: |machine, a, b, c| {
                    let old = machine.numbers(c).to_vec();
                    right_matmul::in_tiles(machine, a, b, c);
                    for (i, old) in old.iter().enumerate() {
                        let (row, column) = (i / c.columns, i % c.columns);
                        let sum = machine.load(c, row, column);
                        machine.store(c, row, column, old + sum);
                    }
                },
                ..Matmul::solution()
            },
            caught_by: "tiles_compute_the_product",
        },
        Mutant {
            says: "only whole tiles are computed: the border of C keeps its old numbers",
            layer: Matmul {
                in_tiles: |machine, a, b, c| {
                    for top in (0..c.rows / 4).map(|i| 4 * i) {
                        for left in (0..c.columns / 4).map(|i| 4 * i) {
                            right_matmul::tile(machine, a, b, c, (top, left));
                        }
                    }
                },
                ..Matmul::solution()
            },
            caught_by: "tiles_at_the_border_are_right",
        },
        Mutant {
            says: "the tiles follow one another along the rows of C: all lines of B are fetched again for every four rows",
            layer: Matmul {
                in_tiles: |machine, a, b, c| {
                    for top in (0..c.rows).step_by(4) {
                        for left in (0..c.columns).step_by(4) {
                            right_matmul::tile(machine, a, b, c, (top, left));
                        }
                    }
                },
                ..Matmul::solution()
            },
            caught_by: "a_line_in_the_cache_is_used_many_times",
        },
    ]
}
