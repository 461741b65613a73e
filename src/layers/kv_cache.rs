//! Keys and values of the tokens so far.       Book: chapter 17
//!
//! A full layer keeps all of them, in one growing run. A sliding layer keeps a ring of W: position p lies in slot
//! p mod W, where it overwrites position p − W, which no later query can see. New tokens attend to what is in the
//! cache and to themselves, and only then enter it; so a prefill may be longer than the window.

use crate::config::ModelConfig;
use crate::ops::attention::Keys;

/// The cache of a whole model: one text.
#[derive(Clone)]
pub struct KvCache {
    layers: Vec<LayerCache>,
}

impl KvCache {
    /// An empty one.
    pub fn new(config: &ModelConfig) -> Self {
        let width = config.kv_heads * config.head_dim;
        Self { layers: config.windows.iter().map(|&window| LayerCache::new(window, width)).collect() }
    }

    /// How many tokens it has seen: the position of the next one.
    pub fn len(&self) -> usize {
        self.layers.first().map_or(0, |layer| layer.seen)
    }

    /// Whether it has seen none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of the keys and values that it holds.
    pub fn bytes(&self) -> usize {
        self.layers.iter().map(|layer| 4 * (layer.k.len() + layer.v.len())).sum()
    }

    /// The part of one layer.
    pub fn layer_mut(&mut self, layer: usize) -> &mut LayerCache {
        &mut self.layers[layer]
    }
}

/// Keys and values of one layer.
#[derive(Clone)]
pub struct LayerCache {
    window: Option<usize>,
    width: usize, // K·D
    seen: usize,
    k: Vec<f32>, // (min(seen, W), K·D)
    v: Vec<f32>,
}

// ANCHOR: ring
impl LayerCache {
    /// An empty one, for keys of `width` numbers.
    pub fn new(window: Option<usize>, width: usize) -> Self {
        Self { window, width, seen: 0, k: Vec::new(), v: Vec::new() }
    }

    /// What is kept, oldest first: one run, or two where the ring has wrapped around.
    pub fn runs(&self) -> Vec<Keys<'_>> {
        let kept = self.k.len() / self.width;
        let oldest = self.seen - kept;
        // Slot 0 holds the newest multiple of W, or position 0.
        let split = self.window.map_or(0, |window| oldest % window);
        let run = |start, slots: std::ops::Range<usize>| {
            let numbers = slots.start * self.width..slots.end * self.width;
            Keys { start, k: &self.k[numbers.clone()], v: &self.v[numbers] }
        };
        let runs = [run(oldest, split..kept), run(oldest + kept - split, 0..split)];
        runs.into_iter().filter(|run| !run.k.is_empty()).collect()
    }

    /// Takes in the keys and values of the next tokens, (T, K·D) each.
    pub fn append(&mut self, k: &[f32], v: &[f32]) {
        for (k, v) in k.chunks_exact(self.width).zip(v.chunks_exact(self.width)) {
            match self.window.filter(|&window| self.seen >= window) {
                Some(window) => {
                    let slot = self.seen % window * self.width;
                    self.k[slot..slot + self.width].copy_from_slice(k);
                    self.v[slot..slot + self.width].copy_from_slice(v);
                }
                None => {
                    self.k.extend_from_slice(k);
                    self.v.extend_from_slice(v);
                }
            }
            self.seen += 1;
        }
    }
    // ANCHOR_END: ring

    /// The position of the next token.
    pub fn seen(&self) -> usize {
        self.seen
    }
}
