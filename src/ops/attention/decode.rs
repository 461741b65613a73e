//! Attention of one query over a cache: parallel over key/value heads and over blocks of keys.
//!
//! Each part is a softmax by itself: its largest score m, the sum ℓ of e^(s − m), and the values weighted by these.
//! Two parts become one as two tiles do, by scaling down the one with the smaller m; the sink is a part without values.
//! Dao et al. 2023 (Flash-Decoding), <https://crfm.stanford.edu/2023/10/12/flashdecoding.html>

use super::{Keys, Shape};
use crate::kernels::{self, gemm, parallel};
use ndarray::{Array2, ArrayView2, s};

/// Keys of a block: enough to pay for handing it to a thread.
const BLOCK: usize = 1024;

/// What the heads of one group found in one block.
struct Part {
    /// (G,)
    m: Vec<f32>,
    /// (G,)
    l: Vec<f32>,
    /// (G, D)
    o: Array2<f32>,
}

/// o (N·D,) and lse (N,) of the query q (N·D,) at `position`. `keys` are runs that together hold every position that it
/// sees.
pub fn forward(q: &[f32], position: usize, keys: &[Keys], sinks: &[f32], shape: Shape) -> (Vec<f32>, Vec<f32>) {
    let (group, dim) = (shape.group(), shape.head_dim);
    let blocks: Vec<Keys> = keys.iter().flat_map(|run| visible_blocks(*run, position, shape)).collect();
    let parts = parallel::map(shape.kv_heads * blocks.len(), |i| {
        let (kv, block) = (i / blocks.len(), blocks[i % blocks.len()]);
        part(&q[kv * group * dim..][..group * dim], block, kv, shape)
    });
    let (mut o, mut lse) = (vec![0.0; q.len()], vec![0.0; shape.heads]);
    for (h, o) in o.chunks_exact_mut(dim).enumerate() {
        let (mut m, mut l) = (sinks[h], 1.0);
        for part in &parts[h / group * blocks.len()..][..blocks.len()] {
            let (part_m, part_l) = (part.m[h % group], part.l[h % group]);
            let m_new = part_m.max(m);
            let (shrink, grow) = ((m - m_new).exp(), (part_m - m_new).exp());
            kernels::scale(shrink, o);
            kernels::axpy(grow, part.o.row(h % group).to_slice().expect("row-major"), o);
            (m, l) = (m_new, l * shrink + part_l * grow);
        }
        kernels::scale(1.0 / l, o);
        lse[h] = m + l.ln();
    }
    (o, lse)
}

/// A run without the keys that the query does not see, in blocks.
fn visible_blocks<'a>(run: Keys<'a>, position: usize, shape: Shape) -> impl Iterator<Item = Keys<'a>> {
    let width = shape.kv_width();
    let end = (position + 1).min(run.start + run.k.len() / width);
    let first = shape.first_visible(position).max(run.start);
    (first..end).step_by(BLOCK).map(move |start| {
        let rows = (start - run.start) * width..(end.min(start + BLOCK) - run.start) * width;
        Keys { start, k: &run.k[rows.clone()], v: &run.v[rows] }
    })
}

fn part(q: &[f32], block: Keys, kv: usize, shape: Shape) -> Part {
    let (group, dim, width) = (shape.group(), shape.head_dim, shape.kv_width());
    let count = block.k.len() / width;
    let head = |x| {
        let rows = ArrayView2::from_shape((count, width), x).expect("whole rows");
        rows.slice_move(s![.., kv * dim..(kv + 1) * dim])
    };
    let q = ArrayView2::from_shape((group, dim), q).expect("a group of heads");
    let mut scores = Array2::zeros((group, count));
    gemm(shape.scale(), q, head(block.k).t(), 0.0, scores.view_mut());
    let (mut m, mut l) = (Vec::with_capacity(group), Vec::with_capacity(group));
    for mut scores in scores.rows_mut() {
        let scores = scores.as_slice_mut().expect("row-major");
        m.push(kernels::max(scores));
        l.push(kernels::exp_sum(scores, m[m.len() - 1]));
    }
    let mut o = Array2::zeros((group, dim));
    gemm(1.0, scores.view(), head(block.v), 0.0, o.view_mut());
    Part { m, l, o }
}
