//! Embedding, routing, loss, optimizer, MXFP4.

use super::{EDGES, REFERENCE};
use crate::proofs::{AdamW, CrossEntropy, Embedding, Layer, Mutant, Mxfp4, TopK};
use crate::solutions::{adamw as right_adamw, mxfp4 as right_mxfp4, top_k as right_top_k};
use ossia::train::adamw::Hyperparameters;

pub fn embedding() -> Vec<Mutant<Embedding>> {
    vec![Mutant {
        says: "of a token that stands in the text twice, the last gradient overwrites the first",
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
        caught_by: REFERENCE,
    }]
}

pub fn top_k() -> Vec<Mutant<TopK>> {
    vec![
        Mutant {
            says: "the softmax is taken over all experts and then cut: the weights do not sum to one",
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
            caught_by: REFERENCE,
        },
        Mutant {
            says: "of equal logits the higher index wins",
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
            says: "dz is the probabilities; the 1 at the target is not subtracted",
            layer: CrossEntropy {
                backward: |dloss, z, targets| {
                    let mut dz = crate::solutions::cross_entropy::backward(dloss, z, targets);
                    let columns = z.len() / targets.len().max(1);
                    targets.iter().zip(dloss).enumerate().for_each(|(t, (&v, d))| dz[t * columns + v as usize] += d);
                    dz
                },
                ..CrossEntropy::solution()
            },
            caught_by: REFERENCE,
        },
    ]
}

pub fn adamw() -> Vec<Mutant<AdamW>> {
    vec![
        Mutant {
            says: "the bias corrections are missing: the first step is 0.45 lr long, and with β₂ = 0.999 it would be 3.2 lr",
            layer: AdamW {
                step: |settings, _, lr, gradient, w, m, v| {
                    right_adamw::step(settings, 1_000_000, lr, gradient, w, m, v);
                },
            },
            caught_by: EDGES,
        },
        Mutant {
            says: "the decay is added to the gradient, as in Adam with L2: it is divided by √v with it",
            layer: AdamW {
                step: |settings, t, lr, gradient, w, m, v| {
                    let decay = settings.weight_decay as f32;
                    let gradient: Vec<f32> = gradient.iter().zip(&*w).map(|(g, w)| g + decay * w).collect();
                    let settings = Hyperparameters { weight_decay: 0.0, ..settings.clone() };
                    right_adamw::step(&settings, t, lr, &gradient, w, m, v);
                },
            },
            caught_by: EDGES,
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
            caught_by: EDGES,
        },
        Mutant {
            says: "numbers halfway between two values are rounded away from zero, not to the even code",
            layer: Mxfp4 {
                encode: |numbers| right_mxfp4::encode(&numbers.map(|x| x * (1.0 + 1e-6))),
                ..Mxfp4::solution()
            },
            caught_by: EDGES,
        },
    ]
}
