//! The KV cache: keys and values of the tokens so far.
//!
//! A full layer keeps all positions in one growing run. A sliding layer keeps a ring of W: position p is in slot p mod
//! W, where it overwrites position p − W, which is not visible to any later query. New tokens attend to the cache and
//! to themselves, and are added afterwards; so a prefill may be longer than the window.
//!
//! Book: [kv_cache](../../../../book/kv_cache.html)

use crate::config::ModelConfig;
use crate::ops::attention::Keys;
use ndarray::{ArrayView3, s};
use std::ops::Range;

/// The cache of a whole model, for one text.
#[derive(Clone)]
pub struct KvCache {
    layers: Vec<LayerCache>,
}

impl KvCache {
    /// Creates an empty cache.
    pub fn new(config: &ModelConfig) -> Self {
        let layer = |&window| LayerCache::new(window, config.kv_heads, config.head_dim);
        Self { layers: config.windows.iter().map(layer).collect() }
    }

    /// Returns how many tokens the cache has seen, which is the position of the next token.
    pub fn len(&self) -> usize {
        self.layers.first().map_or(0, |layer| layer.seen)
    }

    /// Returns whether the cache has seen no token.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many bytes the keys and values take.
    pub fn bytes(&self) -> usize {
        self.layers.iter().map(LayerCache::bytes).sum()
    }

    // ANCHOR: mark
    /// Returns a mark to which [`rewind`](Self::rewind) can return. It contains the rings of the sliding layers.
    pub fn mark(&self) -> Mark {
        let ring = |layer: &LayerCache| layer.window.is_some().then(|| layer.clone());
        Mark { len: self.len(), rings: self.layers.iter().map(ring).collect() }
    }

    /// Removes all tokens since the mark, which must be of the same text.
    pub fn rewind(&mut self, mark: &Mark) {
        for (layer, ring) in self.layers.iter_mut().zip(&mark.rings) {
            match ring {
                Some(ring) => layer.clone_from(ring),
                None => layer.seen = layer.seen.min(mark.len),
            }
        }
    }
    // ANCHOR_END: mark

    /// Returns the cache of one layer.
    pub fn layer_mut(&mut self, layer: usize) -> &mut LayerCache {
        &mut self.layers[layer]
    }
}

/// A position in a text to which its cache can return.
#[derive(Clone)]
pub struct Mark {
    len: usize,
    rings: Vec<Option<LayerCache>>,
}

impl Mark {
    /// Returns how many tokens the cache had seen.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether the cache had seen no token.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// The keys and values of one layer, head by head: the numbers that a query head reads are contiguous.
#[derive(Clone)]
pub struct LayerCache {
    window: Option<usize>,
    heads: usize, // K
    dim: usize,   // D
    seen: usize,
    slots: usize,
    k: Vec<f32>, // (K, slots, D), of which min(seen, W) slots are in use
    v: Vec<f32>,
}

impl LayerCache {
    /// Creates an empty cache for `heads` key/value heads of `dim` numbers.
    pub fn new(window: Option<usize>, heads: usize, dim: usize) -> Self {
        Self { window, heads, dim, seen: 0, slots: 0, k: Vec::new(), v: Vec::new() }
    }

    /// Returns how many positions are kept.
    fn kept(&self) -> usize {
        self.window.map_or(self.seen, |window| self.seen.min(window))
    }

    // ANCHOR: ring
    /// Returns the kept positions, oldest first: one run, or two if the ring has wrapped around.
    pub fn runs(&self) -> Vec<Keys<'_>> {
        let kept = self.kept();
        let oldest = self.seen - kept;
        // Slot 0 has the newest multiple of W, or position 0.
        let split = self.window.map_or(0, |window| oldest % window);
        let view = |x, slots| {
            let all = ArrayView3::from_shape((self.heads, self.slots, self.dim), x).expect("the sizes of this cache");
            all.permuted_axes([1, 0, 2]).slice_move(s![slots, .., ..])
        };
        let run = |start, slots: Range<usize>| Keys { start, k: view(&self.k, slots.clone()), v: view(&self.v, slots) };
        let runs = [run(oldest, split..kept), run(oldest + kept - split, 0..split)];
        runs.into_iter().filter(|run| !run.k.is_empty()).collect()
    }

    /// Appends the keys and values of the next tokens, (T, K·D) each.
    pub fn append(&mut self, k: &[f32], v: &[f32]) {
        let width = self.heads * self.dim;
        self.make_room(self.seen + k.len() / width);
        for (k, v) in k.chunks_exact(width).zip(v.chunks_exact(width)) {
            let slot = self.window.map_or(self.seen, |window| self.seen % window);
            for h in 0..self.heads {
                let (there, here) = ((h * self.slots + slot) * self.dim, h * self.dim);
                self.k[there..][..self.dim].copy_from_slice(&k[here..][..self.dim]);
                self.v[there..][..self.dim].copy_from_slice(&v[here..][..self.dim]);
            }
            self.seen += 1;
        }
    }
    // ANCHOR_END: ring

    /// Makes room for `positions` positions, or for the window. The room doubles, so that a long text moves each number
    /// only once or twice.
    fn make_room(&mut self, positions: usize) {
        let needed = self.window.map_or(positions, |window| positions.min(window));
        if needed <= self.slots {
            return;
        }
        let slots = needed.max(2 * self.slots);
        let slots = self.window.map_or(slots, |window| slots.min(window));
        for x in [&mut self.k, &mut self.v] {
            let mut larger = vec![0.0; self.heads * slots * self.dim];
            if self.slots > 0 {
                let heads = x.chunks_exact(self.slots * self.dim).zip(larger.chunks_exact_mut(slots * self.dim));
                heads.for_each(|(old, new)| new[..old.len()].copy_from_slice(old));
            }
            *x = larger;
        }
        self.slots = slots;
    }

    /// Returns how many bytes the kept positions take.
    fn bytes(&self) -> usize {
        2 * 4 * self.kept() * self.heads * self.dim
    }

    /// Returns the position of the next token.
    pub fn seen(&self) -> usize {
        self.seen
    }
}
