//! Attention.

use crate::proofs::{Attention, Exercise, FORWARD, GRADIENT, Mutant};
use crate::solutions::attention as right;
use ossia::ops::attention::Shape;

/// Returns the queries, multiplied by a factor.
fn scaled(q: &[f32], by: f32) -> Vec<f32> {
    q.iter().map(|q| q * by).collect()
}

/// Returns K or V with one head per query head: query head h gets the head with the number that `choose` returns.
fn with_heads(x: &[f32], shape: Shape, choose: fn(usize, Shape) -> usize) -> Vec<f32> {
    let rows = x.chunks_exact(shape.kv_width());
    let heads = |row: &[f32]| -> Vec<f32> {
        (0..shape.heads).flat_map(|h| row[choose(h, shape) * shape.head_dim..][..shape.head_dim].to_vec()).collect()
    };
    rows.flat_map(heads).collect()
}

pub fn attention() -> Vec<Mutant<Attention>> {
    let forward = |forward| Attention { forward, ..Attention::solution() };
    vec![
        Mutant {
            says: "the window holds W + 1 keys: W before the query, and its own (129 instead of 128)",
            layer: forward(|q, k, v, sinks, shape| {
                right::forward(q, k, v, sinks, Shape { window: shape.window.map(|w| w + 1), ..shape })
            }),
            caught_by: "without_sinks_each_query_averages_its_values",
        },
        Mutant {
            says: "the window is forgotten: every layer sees everything",
            layer: forward(|q, k, v, sinks, shape| right::forward(q, k, v, sinks, Shape { window: None, ..shape })),
            caught_by: "without_sinks_each_query_averages_its_values",
        },
        Mutant {
            says: "the sink is added to all scores: softmax ignores a constant, so there is no sink at all",
            layer: forward(|q, k, v, sinks, shape| {
                right::forward(q, k, v, &vec![f32::NEG_INFINITY; sinks.len()], shape)
            }),
            caught_by: "the_sink_takes_its_share",
        },
        Mutant {
            says: "the scores are not divided by √D",
            layer: forward(|q, k, v, sinks, shape| right::forward(&scaled(q, 1.0 / shape.scale()), k, v, sinks, shape)),
            caught_by: "without_sinks_each_query_averages_its_values",
        },
        Mutant {
            says: "query head h uses the key head h mod K instead of h · K / N: neighbouring heads should share one",
            layer: forward(|q, k, v, sinks, shape| {
                let choose = |h: usize, shape: Shape| h % shape.kv_heads;
                let (k, v) = (with_heads(k, shape, choose), with_heads(v, shape, choose));
                right::forward(q, &k, &v, sinks, Shape { kv_heads: shape.heads, ..shape })
            }),
            caught_by: FORWARD,
        },
        Mutant {
            says: "the sink gets no gradient, so that it never learns",
            layer: Attention {
                backward: |d_o, q, k, v, sinks, shape| {
                    let [dq, dk, dv, _] = right::backward(d_o, q, k, v, sinks, shape);
                    [dq, dk, dv, vec![0.0; sinks.len()]]
                },
                ..Attention::solution()
            },
            caught_by: GRADIENT,
        },
    ]
}
