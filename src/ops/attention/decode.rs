//! Attention of one query over a cache, parallel over key/value heads and over blocks of keys.
//!
//! Each block is a softmax of its own: its largest score m, the sum ℓ of e^(s − m), and the weighted sum of values. Two blocks
//! are combined as two tiles are, by scaling down the one with the smaller m. The sink is a block without values.
//! Dao et al. 2023 (Flash-Decoding), <https://crfm.stanford.edu/2023/10/12/flashdecoding.html>
//!
//! Book: [tiles](../../../../../book/tiles.html)

use super::{Keys, Shape};
use crate::kernels::{self, parallel};

/// Keys per block: enough to pay for handing it to a thread.
const BLOCK: usize = 1024;

/// The result of one block for the heads of one group.
struct Partial {
    m: Vec<f32>, // (G,)
    l: Vec<f32>, // (G,)
    o: Vec<f32>, // (G·D,)
}

// ANCHOR: forward
/// Returns o (N·D,) and lse (N,) of the query q (N·D,) at `position`. `keys` are runs that together contain every visible
/// position.
pub fn forward(q: &[f32], position: usize, keys: &[Keys], sinks: &[f32], shape: Shape) -> (Vec<f32>, Vec<f32>) {
    let (group, dim) = (shape.group(), shape.head_dim);
    let blocks: Vec<Keys> = keys.iter().flat_map(|run| visible_blocks(*run, position, shape)).collect();
    let work = shape.flops(position..position + 1);
    let parts = parallel::map_work(shape.kv_heads * blocks.len(), work, |i| {
        let (kv, block) = (i / blocks.len(), blocks[i % blocks.len()]);
        partial(&q[kv * group * dim..][..group * dim], block, kv, shape)
    });
    let (mut o, mut lse) = (vec![0.0; q.len()], vec![0.0; shape.heads]);
    for (h, o) in o.chunks_exact_mut(dim).enumerate() {
        let (mut m, mut l) = (sinks[h], 1.0);
        for part in &parts[h / group * blocks.len()..][..blocks.len()] {
            let (part_m, part_l) = (part.m[h % group], part.l[h % group]);
            let m_new = part_m.max(m);
            let (shrink, grow) = ((m - m_new).exp(), (part_m - m_new).exp());
            kernels::scale(shrink, o);
            kernels::axpy(grow, &part.o[h % group * dim..][..dim], o);
            (m, l) = (m_new, l * shrink + part_l * grow);
        }
        kernels::scale(1.0 / l, o);
        lse[h] = m + l.ln();
    }
    (o, lse)
}
// ANCHOR_END: forward

/// Cuts the visible keys of a run into blocks.
fn visible_blocks<'a>(run: Keys<'a>, position: usize, shape: Shape) -> impl Iterator<Item = Keys<'a>> {
    let end = (position + 1).min(run.end());
    let first = shape.first_visible(position).max(run.start);
    (first..end).step_by(BLOCK).map(move |start| run.slice(start..end.min(start + BLOCK)))
}

/// Computes one group, q (G·D,), on the keys and values of its head: a chunk of T keys at a time, whose scores are a matrix
/// (G, T).
fn partial(q: &[f32], block: Keys, kv: usize, shape: Shape) -> Partial {
    let (dim, group, chunk) = (shape.head_dim, shape.group(), block.k.chunk());
    let positions = |i: usize, numbers: usize| i * chunk..i * chunk + numbers / group;
    let (mut p, mut widened) = (vec![0.0; group * block.k.len()], Vec::new());
    let mut part = Partial { m: vec![f32::NEG_INFINITY; group], l: vec![0.0; group], o: vec![0.0; q.len()] };
    for (i, s) in p.chunks_mut(group * chunk).enumerate() {
        let positions = positions(i, s.len());
        let keys = positions.len();
        kernels::head_scores(q, block.k.rows_of_head(kv, positions, &mut widened), dim, s);
        kernels::scale(shape.scale(), s);
        part.m.iter_mut().zip(s.chunks_exact(keys)).for_each(|(m, s)| *m = m.max(kernels::max(s)));
    }
    for (i, p) in p.chunks_mut(group * chunk).enumerate() {
        let positions = positions(i, p.len());
        let rows = p.chunks_exact_mut(positions.len());
        part.l.iter_mut().zip(&part.m).zip(rows).for_each(|((l, m), p)| *l += kernels::exp_sum(p, *m));
        kernels::head_values(p, block.v.rows_of_head(kv, positions, &mut widened), dim, &mut part.o);
    }
    part
}
