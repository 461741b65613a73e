//! Scalar autograd, BPE, a block, dispatch and combine, the KV cache, a sampler, a training loop.

use crate::proofs::{
    Block, Bpe, Dispatch, Exercise, FORWARD, GRADIENT, KvCache, Mutant, Sampler, ScalarAutograd, TrainingLoop,
};
use crate::scalar::Number;
use crate::solutions::{block as right_block, bpe as right_bpe, dispatch as right_dispatch, kv_cache as right_cache};
use crate::solutions::{sampler as right_sampler, training_loop as right_loop};

pub fn scalar_autograd() -> Vec<Mutant<ScalarAutograd>> {
    /// Hands on gradients along the inputs at once, whether they are complete or not.
    fn at_once(number: &Number) {
        for (input, slope) in number.inputs() {
            input.gradient().set(input.gradient().get() + number.gradient().get() * slope);
            at_once(input);
        }
    }
    /// Replaces the gradient instead of adding to it.
    fn replacing(number: &Number) {
        for (input, slope) in number.inputs() {
            input.gradient().set(number.gradient().get() * slope);
            replacing(input);
        }
    }
    vec![
        Mutant {
            says: "a second gradient replaces the first instead of being added to it",
            layer: ScalarAutograd {
                backward: |result| {
                    result.gradient().set(1.0);
                    replacing(result);
                },
                ..ScalarAutograd::solution()
            },
            caught_by: "the_gradients_are_right",
        },
        Mutant {
            says: "a number hands on its gradient before all numbers computed from it have added theirs",
            layer: ScalarAutograd {
                backward: |result| {
                    result.gradient().set(1.0);
                    at_once(result);
                },
                ..ScalarAutograd::solution()
            },
            caught_by: "the_gradients_are_right",
        },
        Mutant {
            says: "the slopes of a product are those of the other input: a for a, and b for b",
            layer: ScalarAutograd {
                mul: |a, b| {
                    Number::computed(a.value() * b.value(), vec![(a.clone(), a.value()), (b.clone(), b.value())])
                },
                ..ScalarAutograd::solution()
            },
            caught_by: "each_slope_is_right",
        },
    ]
}

pub fn bpe() -> Vec<Mutant<Bpe>> {
    vec![
        Mutant {
            says: "the longest token is taken first, whatever its rank",
            layer: Bpe {
                encode: |piece, merges| {
                    let mut spelled: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
                    for &(a, b) in merges {
                        spelled.push([spelled[a as usize].clone(), spelled[b as usize].clone()].concat());
                    }
                    let (mut rest, mut ids) = (piece, Vec::new());
                    while !rest.is_empty() {
                        let fits = (0..spelled.len()).filter(|&id| rest.starts_with(&spelled[id]));
                        let best =
                            fits.max_by_key(|&id| (spelled[id].len(), std::cmp::Reverse(id))).unwrap_or_default();
                        ids.push(best as u32);
                        rest = &rest[spelled[best].len()..];
                    }
                    ids
                },
                ..Bpe::solution()
            },
            caught_by: "encodes_the_examples",
        },
        Mutant {
            says: "of equal ranks the last pair is merged first",
            layer: Bpe {
                encode: |piece, merges| {
                    let mut ids: Vec<u32> = piece.iter().map(|&byte| byte.into()).collect();
                    let rank = |pair: &[u32]| merges.iter().position(|&merge| merge == (pair[0], pair[1]));
                    let lowest = |ids: &[u32]| {
                        let all = ids
                            .windows(2)
                            .enumerate()
                            .filter_map(|(i, pair)| Some((rank(pair)?, std::cmp::Reverse(i))));
                        all.min()
                    };
                    while let Some((rank, std::cmp::Reverse(i))) = lowest(&ids) {
                        ids.splice(i..i + 2, [256 + rank as u32]);
                    }
                    ids
                },
                ..Bpe::solution()
            },
            caught_by: "encodes_the_examples",
        },
        Mutant {
            says: "a piece counts once, however often it occurs",
            layer: Bpe {
                train: |pieces, wanted| {
                    let once: Vec<_> = pieces.iter().map(|(bytes, _)| (bytes.clone(), 1)).collect();
                    right_bpe::train(&once, wanted)
                },
                ..Bpe::solution()
            },
            caught_by: "trains_on_the_examples",
        },
    ]
}

pub fn block() -> Vec<Mutant<Block>> {
    vec![
        Mutant {
            says: "the experts get the input of the block instead of what attention has added to it",
            layer: Block {
                forward: |x, norms, attention, experts| {
                    let (h, _) = right_block::forward(x, norms, attention, experts);
                    let moe = experts.forward(&norms[1].forward(x));
                    (h.clone(), h.iter().zip(moe).map(|(h, m)| h + m).collect())
                },
                ..Block::solution()
            },
            caught_by: FORWARD,
        },
        Mutant {
            says: "the norm is taken of the residual stream itself, so that the stream is replaced (post-norm)",
            layer: Block {
                forward: |x, norms, attention, experts| {
                    let add = |a: &[f32], b: &[f32]| -> Vec<f32> { a.iter().zip(b).map(|(a, b)| a + b).collect() };
                    let h = norms[0].forward(&add(x, &attention.forward(x)));
                    let y = norms[1].forward(&add(&h, &experts.forward(&h)));
                    (h, y)
                },
                ..Block::solution()
            },
            caught_by: "parts_that_return_zero_change_nothing",
        },
        Mutant {
            says: "the gradient passes through the parts only, and not along the residual stream",
            layer: Block {
                backward: |dy, x, h, norms, attention, experts| {
                    let dh = norms[1].backward(h, &experts.backward(&norms[1].forward(h), dy));
                    norms[0].backward(x, &attention.backward(&norms[0].forward(x), &dh))
                },
                ..Block::solution()
            },
            caught_by: GRADIENT,
        },
    ]
}

pub fn dispatch() -> Vec<Mutant<Dispatch>> {
    vec![
        Mutant {
            says: "the visits of an expert are in the reverse order of the text",
            layer: Dispatch {
                sort: |indices, experts| {
                    let (mut order, counts) = right_dispatch::sort(indices, experts);
                    order.sort_by_key(|&visit| (indices[visit], std::cmp::Reverse(visit)));
                    (order, counts)
                },
                ..Dispatch::solution()
            },
            caught_by: "sorts_the_visits_by_expert",
        },
        Mutant {
            says: "a visit is taken for a token: the rows are not divided by the number of experts per token",
            layer: Dispatch {
                gather: |x, hidden, _, order| {
                    let tokens = x.len() / hidden;
                    order.iter().flat_map(|&visit| x[visit % tokens * hidden..][..hidden].to_vec()).collect()
                },
                ..Dispatch::solution()
            },
            caught_by: "gathers_a_row_for_each_visit",
        },
        Mutant {
            says: "the weight belongs to the place of a row in the order, not to its visit",
            layer: Dispatch {
                combine: |rows, hidden, active, order, weights| {
                    let mut moved = vec![0.0; weights.len()];
                    order.iter().zip(weights).for_each(|(&visit, &weight)| moved[visit] = weight);
                    right_dispatch::combine(rows, hidden, active, order, &moved)
                },
                ..Dispatch::solution()
            },
            caught_by: "combines_what_the_experts_return",
        },
        Mutant {
            says: "the weights get no gradient: the router never learns",
            layer: Dispatch {
                combine_backward: |dy, rows, hidden, active, order, weights| {
                    let (drows, _) = right_dispatch::combine_backward(dy, rows, hidden, active, order, weights);
                    (drows, vec![0.0; weights.len()])
                },
                ..Dispatch::solution()
            },
            caught_by: "has_the_right_gradient",
        },
    ]
}

pub fn kv_cache() -> Vec<Mutant<KvCache>> {
    vec![
        Mutant {
            says: "the rows come back in the order in which they lie in the ring",
            layer: KvCache { rows: |ring, _, _, _| ring.to_vec(), ..KvCache::solution() },
            caught_by: "rows_come_back_oldest_first",
        },
        Mutant {
            says: "the ring is never reused: it keeps all rows, and the first ones are read",
            layer: KvCache { push: |ring, row, _, _| ring.extend_from_slice(row), ..KvCache::solution() },
            caught_by: "a_row_takes_the_place_of_the_oldest",
        },
        Mutant {
            says: "the scores are not divided by √D",
            layer: KvCache {
                attend: |q, keys, values| {
                    let scaled: Vec<f32> = q.iter().map(|x| x * (q.len() as f32).sqrt()).collect();
                    right_cache::attend(&scaled, keys, values)
                },
                ..KvCache::solution()
            },
            caught_by: "token_by_token_equals_all_at_once",
        },
    ]
}

pub fn sampler() -> Vec<Mutant<Sampler>> {
    vec![
        Mutant {
            says: "the logits are multiplied by the temperature instead of being divided by it",
            layer: Sampler {
                probabilities: |logits, temperature| match temperature {
                    0.0 => right_sampler::probabilities(logits, 0.0),
                    t => right_sampler::probabilities(logits, 1.0 / t),
                },
                ..Sampler::solution()
            },
            caught_by: "the_temperature_is_right",
        },
        Mutant {
            says: "the token that reaches the sum is left out",
            layer: Sampler {
                top_p: |probabilities, p| {
                    let mut kept = right_sampler::top_p(probabilities, p);
                    let least = kept.iter().copied().filter(|&kept| kept > 0.0).fold(1.0, f32::min);
                    if kept.iter().filter(|&&kept| kept > 0.0).count() > 1 && p < 1.0 {
                        let last = kept.iter().rposition(|&p| p == least).unwrap_or_default();
                        kept[last] = 0.0;
                    }
                    let total: f32 = kept.iter().sum();
                    kept.iter().map(|kept| kept / total).collect()
                },
                ..Sampler::solution()
            },
            caught_by: "top_p_keeps_the_right_tokens",
        },
        Mutant {
            says: "the kept probabilities are not scaled to sum to 1",
            layer: Sampler {
                top_p: |probabilities, p| {
                    let kept = right_sampler::top_p(probabilities, p);
                    kept.iter()
                        .zip(probabilities)
                        .map(|(kept, before)| if *kept > 0.0 { *before } else { 0.0 })
                        .collect()
                },
                ..Sampler::solution()
            },
            caught_by: "top_p_keeps_the_right_tokens",
        },
    ]
}

pub fn training_loop() -> Vec<Mutant<TrainingLoop>> {
    vec![
        Mutant {
            says: "the mean of the means of the micro-batches is taken: a batch with one target counts as much as one with four",
            layer: TrainingLoop {
                accumulate: |batches| {
                    let counted: Vec<_> = batches.iter().filter(|batch| batch.targets > 0).collect();
                    let share = |batch: &crate::training_loop::MicroBatch| 1.0 / (batch.targets * counted.len()) as f32;
                    let loss = counted.iter().map(|batch| batch.loss_sum * share(batch)).sum();
                    let mut gradient = vec![0.0; batches[0].gradient.len()];
                    for batch in &counted {
                        gradient.iter_mut().zip(&batch.gradient).for_each(|(sum, g)| *sum += g * share(batch));
                    }
                    (loss, gradient)
                },
                ..TrainingLoop::solution()
            },
            caught_by: "micro_batches_equal_one_batch",
        },
        Mutant {
            says: "each number of the gradient is clipped by itself: the gradient changes its direction",
            layer: TrainingLoop {
                clip: |gradient, most| {
                    let norm = gradient.iter().map(|g| g * g).sum::<f32>().sqrt();
                    gradient.iter_mut().for_each(|g| *g = g.clamp(-most, most));
                    norm
                },
                ..TrainingLoop::solution()
            },
            caught_by: "clips_by_the_norm",
        },
        Mutant {
            says: "steps are counted from 0: the first step has the learning rate 0",
            layer: TrainingLoop {
                learning_rate: |step, steps, warmup, peak| right_loop::learning_rate(step - 1, steps, warmup, peak),
                ..TrainingLoop::solution()
            },
            caught_by: "the_schedule_equals_the_engine",
        },
    ]
}
