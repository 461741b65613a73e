//! Fine-tuning, LoRA, quantization-aware training, reinforcement learning, and drafts.

use crate::fine_tuning::IGNORE;
use crate::policy_gradient::Rollout;
use crate::proofs::{Acceptance, Check, Exercise, FineTuning, GRADIENT, Lora, Mutant, PolicyGradient, StraightThrough};
use crate::solutions::{
    acceptance as right_drafts, fine_tuning as right_tuning, lora as right_lora, policy_gradient as right_policy,
    straight_through as right,
};
use std::slice::from_ref;

pub fn fine_tuning() -> Vec<Mutant<FineTuning>> {
    /// Packs each sequence into the window that `choose` returns. It gets the room that each window has left, and a length.
    fn packed(lengths: &[usize], context: usize, choose: impl Fn(&[usize], usize) -> Option<usize>) -> Vec<Vec<usize>> {
        let (mut windows, mut rooms) = (Vec::new(), Vec::new());
        for (i, &length) in lengths.iter().enumerate() {
            let chosen = choose(&rooms, length);
            let window = chosen.unwrap_or(rooms.len());
            if chosen.is_none() {
                windows.push(Vec::new());
                rooms.push(context);
            }
            windows[window].push(i);
            rooms[window] -= length;
        }
        windows
    }
    vec![
        Mutant {
            says: "the targets are not shifted: the target at a position is the token that the model reads there",
            layer: FineTuning {
                examples_targets: |ids, written, ends| {
                    let (inputs, mut targets) = right_tuning::examples_targets(ids, written, ends);
                    targets.insert(0, IGNORE);
                    targets.pop();
                    (inputs, targets)
                },
                ..FineTuning::solution()
            },
            caught_by: "what_the_assistant_wrote_is_learned",
        },
        Mutant {
            says: "everything is learned, the questions of the user too",
            layer: FineTuning {
                examples_targets: |ids, _, ends| right_tuning::examples_targets(ids, from_ref(&(0..ids.len())), ends),
                ..FineTuning::solution()
            },
            caught_by: "what_the_assistant_wrote_is_learned",
        },
        Mutant {
            says: "the ranges select inputs instead of targets: the first token of a reply is not learned",
            layer: FineTuning {
                examples_targets: |ids, written, ends| {
                    let later: Vec<_> = written.iter().map(|range| range.start + 1..range.end + 1).collect();
                    right_tuning::examples_targets(ids, &later, ends)
                },
                ..FineTuning::solution()
            },
            caught_by: "what_the_assistant_wrote_is_learned",
        },
        Mutant {
            says: "only the last answer ends with <|return|>: from the earlier ones, the model learns to write <|end|> and go on",
            layer: FineTuning {
                examples_targets: |ids, written, ends| {
                    right_tuning::examples_targets(ids, written, &ends[ends.len().saturating_sub(1)..])
                },
                ..FineTuning::solution()
            },
            caught_by: "an_answer_ends_as_the_assistant_wrote_it",
        },
        Mutant {
            says: "the inputs have <|return|> as well, which no prompt has in its history",
            layer: FineTuning {
                examples_targets: |ids, written, ends| {
                    let mut ids = ids.to_vec();
                    ends.iter().for_each(|&(position, token)| ids[position] = token);
                    right_tuning::examples_targets(&ids, written, ends)
                },
                ..FineTuning::solution()
            },
            caught_by: "an_answer_ends_as_the_assistant_wrote_it",
        },
        Mutant {
            says: "only the newest window is tried (next fit)",
            layer: FineTuning {
                pack: |lengths, context| {
                    packed(lengths, context, |rooms, length| {
                        rooms.len().checked_sub(1).filter(|&newest| rooms[newest] >= length)
                    })
                },
                ..FineTuning::solution()
            },
            caught_by: "a_sequence_goes_into_the_fullest_window",
        },
        Mutant {
            says: "a sequence goes into the first window that has room for it (first fit)",
            layer: FineTuning {
                pack: |lengths, context| {
                    packed(lengths, context, |rooms, length| rooms.iter().position(|&room| room >= length))
                },
                ..FineTuning::solution()
            },
            caught_by: "a_sequence_goes_into_the_fullest_window",
        },
        Mutant {
            says: "the sequences of a window see each other",
            layer: FineTuning { sees: |_, query, key| key <= query, ..FineTuning::solution() },
            caught_by: "a_token_sees_only_its_own_sequence",
        },
        Mutant {
            says: "a token also sees the later tokens of its sequence, among them the one that it should predict",
            layer: FineTuning {
                sees: |lengths, query, key| right_tuning::sees(lengths, query.max(key), query.min(key)),
                ..FineTuning::solution()
            },
            caught_by: "a_token_sees_only_its_own_sequence",
        },
        Mutant {
            says: "the loss is the mean of the means of the micro-batches",
            layer: FineTuning {
                mean_loss: |micro_batches| {
                    let means = micro_batches.iter().map(|losses| right_tuning::mean_loss(from_ref(losses)));
                    means.sum::<f32>() / micro_batches.len() as f32
                },
                ..FineTuning::solution()
            },
            caught_by: "each_target_has_the_same_weight",
        },
        Mutant {
            says: "the sum of the losses is divided by the number of all targets, also of those that are not learned",
            layer: FineTuning {
                mean_loss: |micro_batches| {
                    let targets: usize = micro_batches.iter().map(Vec::len).sum();
                    let losses = micro_batches.iter().flatten().flatten();
                    losses.sum::<f32>() / targets as f32
                },
                ..FineTuning::solution()
            },
            caught_by: "each_target_has_the_same_weight",
        },
    ]
}

/// Returns the sum of the rows of a matrix, as for the gradient of a bias.
fn sum_of_rows(x: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).map(|j| x.iter().skip(j).step_by(columns).sum()).collect()
}

pub fn lora() -> Vec<Mutant<Lora>> {
    let backward = |backward| Lora { backward, ..Lora::solution() };
    let new_factors = |new_factors| Lora { new_factors, ..Lora::solution() };
    let merge = |merge| Lora { merge, ..Lora::solution() };
    const ADDED: &str = "the_correction_is_added_to_the_frozen_product";
    const BEGINS: &str = "the_factors_begin_with_random_numbers_and_zeros";
    const MERGED: &str = "the_merged_matrix_computes_the_same";
    vec![
        Mutant {
            says: "α is not divided by the rank: the higher the rank, the more the correction counts",
            layer: Lora {
                forward: |x, w, a, b, rank, scale| right_lora::forward(x, w, a, b, rank, rank as f32 * scale),
                backward: |dy, x, w, a, b, rank, scale| right_lora::backward(dy, x, w, a, b, rank, rank as f32 * scale),
                ..Lora::solution()
            },
            caught_by: ADDED,
        },
        Mutant {
            says: "the corrections of all tokens are summed, and the sum is added to each token, as a bias is",
            layer: Lora {
                forward: |x, w, a, b, rank, scale| {
                    let zeros = vec![0.0; w.len()];
                    let same = right_lora::forward(&sum_of_rows(x, a.len() / rank), &zeros, a, b, rank, scale);
                    let y = right_lora::forward(x, w, a, b, rank, 0.0);
                    y.chunks_exact(same.len()).flat_map(|y| y.iter().zip(&same).map(|(y, same)| y + same)).collect()
                },
                ..Lora::solution()
            },
            caught_by: ADDED,
        },
        Mutant {
            says: "B is read as (r, out), the layout of the experts' corrections",
            layer: Lora {
                forward: |x, w, a, b, rank, scale| {
                    right_lora::forward(x, w, a, &right_lora::transposed(b, b.len() / rank), rank, scale)
                },
                backward: |dy, x, w, a, b, rank, scale| {
                    let b = right_lora::transposed(b, b.len() / rank);
                    let (dx, da, db) = right_lora::backward(dy, x, w, a, &b, rank, scale);
                    (dx, da, right_lora::transposed(&db, rank))
                },
                ..Lora::solution()
            },
            caught_by: ADDED,
        },
        Mutant {
            says: "B begins with random numbers as well: a new correction changes what the model says",
            layer: new_factors(|inputs, outputs, rank, draw| {
                let (a, b) = right_lora::new_factors(inputs, outputs, rank, draw);
                let root = (rank as f32).sqrt();
                (a, b.iter().map(|_| draw() / root).collect())
            }),
            caught_by: "a_new_correction_changes_nothing",
        },
        Mutant {
            says: "both factors begin with zeros: both gradients are 0, and nothing is ever learned",
            layer: new_factors(|inputs, outputs, rank, _| (vec![0.0; rank * inputs], vec![0.0; outputs * rank])),
            caught_by: BEGINS,
        },
        Mutant {
            says: "A is divided by the root of the rank, instead of the root of the number of inputs",
            layer: new_factors(|inputs, outputs, rank, draw| {
                let root = (rank as f32).sqrt();
                ((0..rank * inputs).map(|_| draw() / root).collect(), vec![0.0; outputs * rank])
            }),
            caught_by: BEGINS,
        },
        Mutant {
            says: "the frozen matrix is counted as well, although only A and B are trained",
            layer: Lora {
                trained: |inputs, outputs, rank| inputs * outputs + rank * (inputs + outputs),
                ..Lora::solution()
            },
            caught_by: "only_the_factors_are_trained",
        },
        Mutant {
            says: "the path from x through A is forgotten: dx is dy·W and nothing else",
            layer: backward(|dy, x, w, a, b, rank, scale| {
                let (_, da, db) = right_lora::backward(dy, x, w, a, b, rank, scale);
                (right_lora::backward(dy, x, w, a, b, rank, 0.0).0, da, db)
            }),
            caught_by: GRADIENT,
        },
        Mutant {
            says: "the scale is forgotten in dA",
            layer: backward(|dy, x, w, a, b, rank, scale| {
                let (dx, _, db) = right_lora::backward(dy, x, w, a, b, rank, scale);
                (dx, right_lora::backward(dy, x, w, a, b, rank, 1.0).1, db)
            }),
            caught_by: GRADIENT,
        },
        Mutant {
            says: "the whole backward pass forgets the scale",
            layer: backward(|dy, x, w, a, b, rank, _| right_lora::backward(dy, x, w, a, b, rank, 1.0)),
            caught_by: GRADIENT,
        },
        Mutant {
            says: "dA and dB are products of sums over the tokens, instead of sums of the products of each token",
            layer: backward(|dy, x, w, a, b, rank, scale| {
                let dx = right_lora::backward(dy, x, w, a, b, rank, scale).0;
                let (dy, x) = (sum_of_rows(dy, b.len() / rank), sum_of_rows(x, a.len() / rank));
                let (_, da, db) = right_lora::backward(&dy, &x, w, a, b, rank, scale);
                (dx, da, db)
            }),
            caught_by: GRADIENT,
        },
        Mutant {
            says: "the merge returns the frozen matrix, without what was learned",
            layer: merge(|w, _, _, _, _| w.to_vec()),
            caught_by: MERGED,
        },
        Mutant {
            says: "the merge forgets the scale",
            layer: merge(|w, a, b, rank, _| right_lora::merge(w, a, b, rank, 1.0)),
            caught_by: MERGED,
        },
        Mutant {
            says: "the merge adds the transposed product: Aᵀ·Bᵀ, which is (in, out), instead of B·A",
            layer: merge(|w, a, b, rank, scale| {
                let product = right_lora::merge(&vec![0.0; w.len()], a, b, rank, scale);
                let transposed = right_lora::transposed(&product, a.len() / rank);
                w.iter().zip(transposed).map(|(w, product)| w + product).collect()
            }),
            caught_by: MERGED,
        },
    ]
}

pub fn straight_through() -> Vec<Mutant<StraightThrough>> {
    let round_block = |round_block| StraightThrough { round_block, ..StraightThrough::solution() };
    let fake_quantize = |fake_quantize| StraightThrough { fake_quantize, ..StraightThrough::solution() };
    let backward = |backward| StraightThrough { backward, ..StraightThrough::solution() };
    let step = |step| StraightThrough { step, ..StraightThrough::solution() };
    const EXAMPLES: &str = "a_block_takes_the_nearest_values";
    const BLOCKS: &str = "blocks_lie_along_the_inputs";
    const STRAIGHT: &str = "the_gradient_goes_straight_through";
    const STEPS: &str = "small_steps_add_up";
    vec![
        Mutant {
            says: "the largest number is divided by 6 before its exponent is taken: the scale is too small for most blocks",
            layer: round_block(|block| {
                let largest = block.iter().fold(f64::MIN_POSITIVE, |largest, &x| largest.max(f64::from(x).abs()));
                right::round_with((largest / 6.0).log2().floor().max(-127.0).exp2(), block)
            }),
            caught_by: EXAMPLES,
        },
        Mutant {
            says: "the exponent of the scale is rounded up, so that nothing is limited, and small numbers become 0",
            layer: round_block(|block| {
                let largest = block.iter().fold(f64::MIN_POSITIVE, |largest, &x| largest.max(f64::from(x).abs()));
                right::round_with((largest.log2().ceil() - 2.0).max(-127.0).exp2(), block)
            }),
            caught_by: EXAMPLES,
        },
        Mutant {
            says: "a number halfway between two values becomes the larger one",
            layer: round_block(|block| right::round_block(&block.map(|x| x * (1.0 + f32::EPSILON)))),
            caught_by: EXAMPLES,
        },
        Mutant {
            says: "blocks lie along the outputs: 32 neighbouring numbers of the slice share a scale",
            layer: fake_quantize(|w, _| w.as_chunks().0.iter().flat_map(right::round_block).collect()),
            caught_by: BLOCKS,
        },
        Mutant {
            says: "each column has a single scale, however many blocks it has",
            layer: fake_quantize(|w, outputs| {
                let mut rounded = right::fake_quantize(w, outputs);
                for output in 0..outputs {
                    let column = || w.iter().skip(output).step_by(outputs);
                    let largest = column().fold(f64::MIN_POSITIVE, |largest, &x| largest.max(f64::from(x).abs()));
                    let scale = (largest.log2().floor() - 2.0).exp2();
                    let values = column().map(|&x| right::round_with(scale, &[x; 32])[0]);
                    rounded.iter_mut().skip(output).step_by(outputs).zip(values).for_each(|(q, value)| *q = value);
                }
                rounded
            }),
            caught_by: BLOCKS,
        },
        Mutant {
            says: "the forward pass computes with the f32 weights, so the model never meets its rounded values",
            layer: StraightThrough { forward: right::linear, ..StraightThrough::solution() },
            caught_by: "the_layer_computes_with_rounded_weights",
        },
        Mutant {
            says: "dx is computed with the f32 weights, although y was computed with the rounded ones",
            layer: backward(right::linear_gradients),
            caught_by: GRADIENT,
        },
        Mutant {
            says: "dW is the derivative of the staircase: 0 everywhere, so that the experts never learn",
            layer: backward(|dy, x, w, outputs| {
                let (dx, _, db) = right::backward(dy, x, w, outputs);
                (dx, vec![0.0; w.len()], db)
            }),
            caught_by: STRAIGHT,
        },
        Mutant {
            says: "numbers beyond the largest value get no gradient: they can never come back below it",
            layer: backward(|dy, x, w, outputs| {
                let (dx, mut dw, db) = right::backward(dy, x, w, outputs);
                for i in 0..w.len() {
                    let (rows, output) = (i / outputs / 32 * 32, i % outputs);
                    let block = (0..32).map(|row| w[(rows + row) * outputs + output]);
                    let largest = block.fold(0.0, |largest: f32, w| largest.max(w.abs()));
                    // Six times the scale.
                    if w[i].abs() > 1.5 * largest.log2().floor().exp2() {
                        dw[i] = 0.0;
                    }
                }
                (dx, dw, db)
            }),
            caught_by: STRAIGHT,
        },
        Mutant {
            says: "the optimizer's result is rounded: a step of less than half the distance of two values is lost",
            layer: step(|dy, x, w, outputs, rate| right::fake_quantize(&right::step(dy, x, w, outputs, rate), outputs)),
            caught_by: STEPS,
        },
        Mutant {
            says: "the step begins at the rounded weights, so that each step forgets the earlier ones",
            layer: step(|dy, x, w, outputs, rate| right::step(dy, x, &right::fake_quantize(w, outputs), outputs, rate)),
            caught_by: STEPS,
        },
        Mutant {
            says: "the validation loss is measured with the f32 weights, which nobody will get",
            layer: StraightThrough {
                validation_loss: |x, w, b, targets| {
                    let y = right::linear(x, w, b);
                    y.iter().zip(targets).map(|(y, target)| (y - target).powi(2)).sum::<f32>() / y.len() as f32
                },
                ..StraightThrough::solution()
            },
            caught_by: "the_loss_is_that_of_the_file",
        },
    ]
}

pub fn policy_gradient() -> Vec<Mutant<PolicyGradient>> {
    let advantages = |advantages| PolicyGradient { advantages, ..PolicyGradient::solution() };
    let weights = |weights| PolicyGradient { weights, ..PolicyGradient::solution() };
    let cispo = |cispo| PolicyGradient { cispo, ..PolicyGradient::solution() };
    let gspo = |gspo| PolicyGradient { gspo, ..PolicyGradient::solution() };
    let loss = |loss| PolicyGradient { loss, ..PolicyGradient::solution() };
    /// The rollouts, with every token counted as the model's own.
    fn all_own(rollouts: &[Rollout]) -> Vec<Rollout> {
        rollouts.iter().map(|r| Rollout { own: vec![true; r.own.len()], ..r.clone() }).collect()
    }
    const ADVANTAGES: &str = "advantages_are_rewards_minus_their_mean";
    const COUNTS: &str = "every_written_token_counts_the_same";
    const TOOLS: &str = "tokens_of_tools_have_no_weight";
    const CISPO: &str = "cispo_limits_the_ratio_from_above";
    const GSPO: &str = "gspo_leaves_out_what_has_moved_far";
    const LOSS: &str = "the_loss_is_a_weighted_cross_entropy";
    vec![
        Mutant {
            says: "advantages are divided by the standard deviation of the group: questions that are nearly solved or nearly \
                impossible count most",
            layer: advantages(|rewards| {
                let advantages = right_policy::advantages(rewards)?;
                let squares: f32 = advantages.iter().map(|a| a * a).sum();
                let deviation = (squares / advantages.len() as f32).sqrt();
                Some(advantages.iter().map(|a| a / deviation).collect())
            }),
            caught_by: ADVANTAGES,
        },
        Mutant {
            says: "there is no baseline: the advantage is the reward, so that wrong answers, whose reward is 0, teach nothing",
            layer: advantages(|rewards| right_policy::advantages(rewards).map(|_| rewards.to_vec())),
            caught_by: ADVANTAGES,
        },
        Mutant {
            says: "the sign is wrong: the model learns to avoid rewards",
            layer: advantages(|rewards| {
                Some(right_policy::advantages(rewards)?.iter().map(|advantage| -advantage).collect())
            }),
            caught_by: ADVANTAGES,
        },
        Mutant {
            says: "a group with equal rewards is not skipped, and its tokens are counted in N",
            layer: advantages(|rewards| Some(right_policy::advantages(rewards).unwrap_or(vec![0.0; rewards.len()]))),
            caught_by: "a_group_with_equal_rewards_teaches_nothing",
        },
        Mutant {
            says: "each rollout is averaged by itself: a long wrong answer is punished less per token than a short one",
            layer: weights(|rollouts| {
                let count = rollouts.len() as f32;
                right_policy::masked(rollouts, |rollout, _| rollout.advantage / (right_policy::length(rollout) * count))
            }),
            caught_by: COUNTS,
        },
        Mutant {
            says: "the weights are not divided: the more tokens a batch has, the longer is its step",
            layer: weights(|rollouts| right_policy::masked(rollouts, |rollout, _| rollout.advantage)),
            caught_by: COUNTS,
        },
        Mutant {
            says: "tokens of tools count: the model learns to write the results itself",
            layer: weights(|rollouts| right_policy::weights(&all_own(rollouts))),
            caught_by: TOOLS,
        },
        Mutant {
            says: "tokens of tools are counted in N, although they have no weight",
            layer: weights(|rollouts| {
                let tokens = right_policy::written(&all_own(rollouts));
                right_policy::masked(rollouts, |rollout, _| rollout.advantage / tokens)
            }),
            caught_by: TOOLS,
        },
        Mutant {
            says: "a token whose ratio is beyond the limit no longer counts, as in PPO",
            layer: cispo(|rollouts, clip| {
                let tokens = right_policy::written(rollouts);
                right_policy::masked(rollouts, |rollout, t| match right_policy::ratio(rollout, t) {
                    ratio if ratio > 1.0 + clip => 0.0,
                    ratio => ratio * rollout.advantage / tokens,
                })
            }),
            caught_by: CISPO,
        },
        Mutant {
            says: "the ratio is limited from below, too",
            layer: cispo(|rollouts, clip| {
                let tokens = right_policy::written(rollouts);
                right_policy::masked(rollouts, |rollout, t| {
                    right_policy::ratio(rollout, t).clamp(1.0 - clip, 1.0 + clip) * rollout.advantage / tokens
                })
            }),
            caught_by: CISPO,
        },
        Mutant {
            says: "the ratio is π_old/π",
            layer: cispo(|rollouts, clip| {
                let swap = |r: &Rollout| Rollout { old: r.now.clone(), now: r.old.clone(), ..r.clone() };
                right_policy::cispo(&rollouts.iter().map(swap).collect::<Vec<_>>(), clip)
            }),
            caught_by: CISPO,
        },
        Mutant {
            says: "a rollout is left out on both sides, whatever the sign of its advantage: one that has become too probable by \
                accident can no longer be made less probable",
            layer: gspo(|rollouts, clip| {
                let mut weights = right_policy::gspo(rollouts, 1e9);
                for (rollout, weights) in rollouts.iter().zip(&mut weights) {
                    if (right_policy::sequence_ratio(rollout) - 1.0).abs() > clip {
                        weights.fill(0.0);
                    }
                }
                weights
            }),
            caught_by: GSPO,
        },
        Mutant {
            says: "the mean of ln ρ includes the results of tools",
            layer: gspo(|rollouts, clip| {
                // Each token moves as far as all of them do on average.
                let moved = |r: &Rollout| {
                    let mean = right_policy::sequence_ratio(&all_own(from_ref(r))[0]).ln();
                    Rollout { now: r.old.iter().map(|old| old + mean).collect(), ..r.clone() }
                };
                right_policy::gspo(&rollouts.iter().map(moved).collect::<Vec<_>>(), clip)
            }),
            caught_by: GSPO,
        },
        Mutant {
            says: "the weights multiply the loss, but not its gradient",
            layer: loss(|logits, targets, weights| {
                let ones = vec![1.0; weights.len()];
                (right_policy::loss(logits, targets, weights).0, right_policy::loss(logits, targets, &ones).1)
            }),
            caught_by: LOSS,
        },
        Mutant {
            says: "only tokens with a positive weight count: what earned less than the mean teaches nothing",
            layer: loss(|logits, targets, weights| {
                right_policy::loss(logits, targets, &weights.iter().map(|weight| weight.max(0.0)).collect::<Vec<_>>())
            }),
            caught_by: LOSS,
        },
    ]
}

pub fn acceptance() -> Vec<Mutant<Acceptance>> {
    let accepts = |accepts| Acceptance { accepts, ..Acceptance::solution() };
    let residual = |residual| Acceptance { residual, ..Acceptance::solution() };
    let rate = |rate| Acceptance { rate, ..Acceptance::solution() };
    let check = |check: Check| Acceptance { check, ..Acceptance::solution() };
    let tokens_per_pass = |tokens_per_pass| Acceptance { tokens_per_pass, ..Acceptance::solution() };
    const ACCEPTS: &str = "a_draft_is_accepted_as_often_as_it_should";
    const RESIDUAL: &str = "after_a_rejection_the_rest_of_p_is_drawn";
    const RATE: &str = "the_rate_is_what_both_distributions_share";
    const CHECKS: &str = "drafts_are_checked_until_one_is_rejected";
    const EVERY: &str = "every_token_has_the_distribution_of_the_model";
    const COUNTS: &str = "a_pass_adds_as_many_tokens_as_the_formula_says";
    vec![
        Mutant {
            says: "a draft is accepted with probability p, whatever q is: most good drafts are rejected, and the text changes",
            layer: accepts(|draft, _, p, uniform| uniform < p[draft]),
            caught_by: ACCEPTS,
        },
        Mutant {
            says: "a draft is accepted only if it is the most probable token: the text becomes less varied",
            layer: accepts(|draft, _, p, _| p.iter().all(|other| p[draft] >= *other)),
            caught_by: ACCEPTS,
        },
        Mutant {
            says: "every draft that is possible at all is accepted: the text is that of the drafter",
            layer: accepts(|draft, _, p, _| p[draft] > 0.0),
            caught_by: ACCEPTS,
        },
        Mutant {
            says: "the number may be equal to p/q: a draft that the model never says is accepted if the number is 0",
            layer: accepts(|draft, q, p, uniform| uniform <= p[draft] / q[draft]),
            caught_by: ACCEPTS,
        },
        Mutant {
            says: "after a rejection, the token is drawn from p: tokens that the drafter proposes too often stay too frequent",
            layer: residual(|_, p| p.to_vec()),
            caught_by: RESIDUAL,
        },
        Mutant {
            says: "after a rejection, the token is drawn from |p − q|, so that it may be the one that was rejected",
            layer: residual(|q, p| {
                let far: Vec<f64> = p.iter().zip(q).map(|(p, q)| (p - q).abs()).collect();
                far.iter().map(|x| x / far.iter().sum::<f64>()).collect()
            }),
            caught_by: RESIDUAL,
        },
        Mutant {
            says: "what is left of p is not divided by its sum, so that a draw that relies on a sum of 1 nearly always takes the \
                last token",
            layer: residual(|q, p| p.iter().zip(q).map(|(p, q)| (p - q).max(0.0)).collect()),
            caught_by: RESIDUAL,
        },
        Mutant {
            says: "the rate is the probability that two independent draws from p and q are equal",
            layer: rate(|q, p| p.iter().zip(q).map(|(p, q)| p * q).sum()),
            caught_by: RATE,
        },
        Mutant {
            says: "there is no extra token if all drafts are accepted: the last row of logits is thrown away",
            layer: check(|drafts, q, p, uniform| {
                let mut tokens = right_drafts::check(drafts, q, p, uniform);
                if tokens.len() > drafts.len() && !drafts.is_empty() {
                    tokens.pop();
                }
                tokens
            }),
            caught_by: CHECKS,
        },
        Mutant {
            says: "drafts after a rejected one are checked as well, although they follow a token that is not in the text",
            layer: check(|drafts, q, p, uniform| {
                let mut tokens = Vec::new();
                for (i, &draft) in drafts.iter().enumerate() {
                    let accepted = right_drafts::accepts(draft, &q[i], &p[i], uniform());
                    let instead = || right_drafts::residual(&q[i], &p[i]);
                    tokens.push(if accepted { draft } else { right_drafts::draw(&instead(), uniform()) });
                }
                tokens.push(right_drafts::draw(&p[drafts.len()], uniform()));
                tokens
            }),
            caught_by: CHECKS,
        },
        Mutant {
            says: "the first draft is never checked: the check begins at the row of the second one",
            layer: check(|drafts, q, p, uniform| match drafts {
                [] => right_drafts::check(drafts, q, p, uniform),
                [first, rest @ ..] => {
                    let mut tokens = vec![*first];
                    tokens.extend(right_drafts::check(rest, &q[1..], &p[1..], uniform));
                    tokens
                }
            }),
            caught_by: CHECKS,
        },
        Mutant {
            says: "the number that rejected a draft also draws its replacement: such a number is never small, so the first tokens \
                are too rare",
            layer: check(|drafts, q, p, uniform| {
                let mut last = None;
                let mut tokens = Vec::new();
                for (i, &draft) in drafts.iter().enumerate() {
                    let number = uniform();
                    if !right_drafts::accepts(draft, &q[i], &p[i], number) {
                        last = Some(right_drafts::draw(&right_drafts::residual(&q[i], &p[i]), number));
                        break;
                    }
                    tokens.push(draft);
                }
                tokens.push(last.unwrap_or_else(|| right_drafts::draw(&p[drafts.len()], uniform())));
                tokens
            }),
            caught_by: EVERY,
        },
        Mutant {
            says: "drafts after a rejected one are counted: 1 + K·rate is more than a pass adds",
            layer: tokens_per_pass(|rate, drafts| 1.0 + rate * drafts as f64),
            caught_by: COUNTS,
        },
        Mutant {
            says: "the sum is written as (1 − rate^(K+1)) / (1 − rate), which is 0/0 if every draft is accepted",
            layer: tokens_per_pass(|rate, drafts| (1.0 - rate.powi(drafts as i32 + 1)) / (1.0 - rate)),
            caught_by: COUNTS,
        },
    ]
}
