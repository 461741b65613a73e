//! The KV cache: keys and values of the tokens so far.
//!
//! A full layer keeps all positions in one growing run. A sliding layer keeps a ring of W: position p is in slot p mod
//! W, where it overwrites position p − W, which is not visible to any later query. New tokens attend to the cache and
//! to themselves, and are added afterwards; so a prefill may be longer than the window.
//!
//! Tokens that were only drafted have to be removed again if the model rejects them. A ring with S spare slots still has the
//! positions that come into view again when up to S tokens are removed.
//!
//! Book: [kv_cache](../../../../book/kv_cache.html)

use crate::config::ModelConfig;
use crate::ops::attention::{Keys, KvNumbers};
use std::borrow::Cow;
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

    /// Creates an empty cache from which up to `spare` tokens can be removed at any time, whatever the windows are.
    pub fn with_spare(windows: &[Option<usize>], config: &ModelConfig, spare: usize) -> Self {
        let layer = |&window| LayerCache { spare, ..LayerCache::new(window, config.kv_heads, config.head_dim) };
        Self { layers: windows.iter().map(layer).collect() }
    }

    /// Removes all tokens from position `len` on, if the rings still have what comes into view again. Returns whether they have.
    pub fn truncate(&mut self, len: usize) -> bool {
        let possible = self.layers.iter().all(|layer| layer.can_truncate(len));
        if possible {
            self.layers.iter_mut().for_each(|layer| layer.seen = layer.seen.min(len));
        }
        possible
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
    spare: usize, // S
    seen: usize,
    slots: usize,
    k: KvNumbers<'static>, // (K, slots, D), of which min(seen, W + S) slots are in use; in the format of the first new keys
    v: KvNumbers<'static>,
}

impl LayerCache {
    /// Creates an empty cache for `heads` key/value heads of `dim` numbers.
    pub fn new(window: Option<usize>, heads: usize, dim: usize) -> Self {
        let empty = || KvNumbers::F32(Cow::Borrowed(&[]));
        Self { window, heads, dim, spare: 0, seen: 0, slots: 0, k: empty(), v: empty() }
    }

    /// Returns how many positions are visible.
    fn visible(&self) -> usize {
        self.window.map_or(self.seen, |window| self.seen.min(window))
    }

    /// Returns the number of slots of the ring, if the layer has one.
    fn ring(&self) -> Option<usize> {
        self.window.map(|window| window + self.spare)
    }

    /// Returns whether everything that is visible from position `len` is still there.
    fn can_truncate(&self, len: usize) -> bool {
        self.ring().is_none_or(|ring| self.seen <= ring.max(len + self.spare))
    }

    // ANCHOR: ring
    /// Returns the visible positions, oldest first: one run, or two if the ring has wrapped around.
    pub fn runs(&self) -> Vec<Keys<'_>> {
        let visible = self.visible();
        let oldest = self.seen - visible;
        // After the last slot, the ring continues at slot 0.
        let (first, before_end) = match self.ring() {
            Some(ring) => (oldest % ring, visible.min(ring - oldest % ring)),
            None => (0, visible),
        };
        let [k, v] = [&self.k, &self.v].map(|x| x.by_heads(self.heads, self.slots, self.dim));
        let run = |start, slots: Range<usize>| Keys { start, k: k.slice(slots.clone()), v: v.slice(slots) };
        let runs = [run(oldest, first..first + before_end), run(oldest + before_end, 0..visible - before_end)];
        runs.into_iter().filter(|run| !run.k.is_empty()).collect()
    }

    /// Appends the keys and values of the next tokens.
    ///
    /// # Panics
    /// If they have another format than those before them.
    pub fn append(&mut self, new: Keys) {
        debug_assert_eq!(new.start, self.seen, "new keys follow the others");
        let slots = self.slots_for(self.seen + new.k.len());
        let (seen, ring) = (self.seen, self.ring());
        for (kept, new) in [(&mut self.k, new.k), (&mut self.v, new.v)] {
            if self.slots == 0 {
                *kept = new.none();
            }
            kept.insert(new, slots, |t| ring.map_or(seen + t, |ring| (seen + t) % ring));
        }
        self.slots = slots;
        self.seen += new.k.len();
    }
    // ANCHOR_END: ring

    /// Returns how many slots `positions` positions, or the window, need. The room doubles, so that a long text moves each
    /// number only once or twice.
    fn slots_for(&self, positions: usize) -> usize {
        let needed = self.ring().map_or(positions, |ring| positions.min(ring));
        if needed <= self.slots {
            return self.slots;
        }
        let slots = needed.max(2 * self.slots);
        self.ring().map_or(slots, |ring| slots.min(ring))
    }

    /// Returns how many bytes the visible positions take.
    fn bytes(&self) -> usize {
        self.runs().iter().map(|run| run.k.bytes() + run.v.bytes()).sum()
    }

    /// Returns the position of the next token.
    pub fn seen(&self) -> usize {
        self.seen
    }
}
