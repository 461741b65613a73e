//! The whole model: embedding, L blocks, a norm, and the output projection to the vocabulary.
//!
//! Training, prefill, decoding and tracing run the same [`Transformer::forward`].
//!
//! Book: [model](../../../book/model.html)

mod look;
mod mtp;

pub use mtp::{Draft, count_drafted};

use crate::collective::{Collective, caught, or_unwind};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::layers::router::Routing;
use crate::layers::{Adapter, Block, Component, KvCache, Layer, LayerCache, Mtp, RmsNorm, Rotary, Weight, children};
use crate::ops::attention::{KvFormat, Sequences};
use crate::ops::cross_entropy::{count, cross_entropy, token_losses, weighted_cross_entropy};
use crate::ops::elementwise::{add, scale};
use crate::ops::embedding::embedding;
use crate::ops::linear::linear;
use crate::ops::load_balancing::{ExpertLoad, load_balancing};
use crate::parameter::{Init, Parameter, Random, Role, Scope, Source};
use crate::tensor::Tensor;
use ndarray::ArrayView2;
use std::fmt;
use std::sync::Arc;

/// A gpt-oss model. Cloning it copies no numbers.
///
/// Its parameters are named `embedding.weight`, `layers.{i}.…`, `norm.weight` and `head.weight`; see [`Layer`].
#[derive(Clone)]
pub struct Transformer {
    /// The configuration.
    pub config: ModelConfig,
    /// Whether training uses gradient checkpointing: each block keeps only its input and computes the rest again during
    /// the backward pass. The gradients are the same; memory is smaller and a step takes longer.
    pub checkpoint_activations: bool,
    /// The adapter of the model, if it has one.
    pub adapter: Option<Adapter>,
    embedding: Parameter, // (V, H)
    blocks: Vec<Block>,
    norm: RmsNorm,
    head: Option<Weight>, // (V, H); `None`: the embedding is also the output projection
    mtp: Option<Mtp>,
    rotary: Rotary,
    led: Option<Arc<dyn Collective>>, // the ranks that hold the experts, if one of them leads
}

children!(Transformer: embedding, blocks, norm, head, mtp);

/// The results of a forward pass.
pub struct Output {
    /// The hidden states after the last norm: the input of the output projection. (B·T, H)
    pub hidden: Tensor,
    /// The routing of each layer that has experts.
    pub routing: Vec<Routing>,
    /// The predictions of the token after the next one; see [`Transformer::with_draft`].
    pub draft: Option<Draft>,
}

/// The terms of a training loss.
pub struct Loss {
    /// The number to minimize: cross-entropy + coefficient · load balancing.
    pub total: Tensor,
    /// Cross-entropy in nats per token.
    pub cross_entropy: f32,
    /// The load-balancing loss: A if the load is even, more if it is not.
    pub load_balancing: f32,
    /// The cross-entropy of the drafts, in nats per token, if there are some.
    pub draft: Option<f32>,
}

/// The divisors of the terms of a loss. If the totals are those of all micro-batches of a step, the losses of the
/// micro-batches add up to the loss of one large batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// The number of targets that count.
    pub targets: usize,
    /// The number of targets of drafts that count.
    pub drafted: usize,
    /// The load of the experts.
    pub load: ExpertLoad,
}

/// An intermediate tensor of the forward pass. It is displayed as the name that `ossia trace` gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Activation {
    /// `embed`: the embedded tokens. (B·T, H)
    Embedding,
    /// `layers.{i}.attention`: after the output projection of attention, before the residual connection. (B·T, H)
    Attention(usize),
    /// `layers.{i}.router_logits`, of layers with experts. (B·T, E)
    RouterLogits(usize),
    /// `layers.{i}.moe`: the output of the feed-forward layer, before the residual connection. (B·T, H)
    FeedForward(usize),
    /// `layers.{i}.output`: the input of the next layer. (B·T, H)
    Output(usize),
    /// `norm`: after the last norm. (B·T, H)
    Norm,
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Activation::Embedding => write!(f, "embed"),
            Activation::Attention(i) => write!(f, "layers.{i}.attention"),
            Activation::RouterLogits(i) => write!(f, "layers.{i}.router_logits"),
            Activation::FeedForward(i) => write!(f, "layers.{i}.moe"),
            Activation::Output(i) => write!(f, "layers.{i}.output"),
            Activation::Norm => write!(f, "norm"),
        }
    }
}

/// Receives the intermediate tensors; see [`Transformer::forward_observed`].
pub type Observer<'o> = &'o mut dyn FnMut(Activation, &Tensor);

/// A cache for each sequence, or none at all.
type Caches<'c, 'k> = &'c mut [&'k mut KvCache];

/// The experts that tokens visit, for each layer that has experts (T·A,); none if routers choose.
type Replay<'r> = &'r [Arc<[u32]>];

impl Transformer {
    /// Creates an untrained model. The same seed gives the same numbers.
    pub fn random(config: &ModelConfig, seed: u64) -> Self {
        Self::new(config, &mut Random::new(seed)).expect("a random source has every parameter")
    }

    /// Creates a model whose parameters come from `source`.
    ///
    /// # Errors
    /// Those of the source.
    pub fn new(config: &ModelConfig, source: &mut dyn Source) -> Result<Self> {
        let mut scope = Scope::new(source);
        let table = [config.vocab_size, config.hidden_size];
        let init = Init::Normal(config.embedding_std());
        let embedding = scope.child("embedding").take("weight", &table, Role::Embedding, init)?;
        let mut blocks = Vec::new();
        for layer in 0..config.layers {
            blocks.push(Block::new(&mut scope.child(&format!("layers.{layer}")), config, layer)?);
        }
        let norm = RmsNorm::new(&mut scope.child("norm"), config.hidden_size, config.rms_norm_eps)?;
        let head = match config.tied {
            true => None,
            false => Some(Weight::new(&mut scope.child("head"), &table, Role::Head, config.embedding_std())?),
        };
        let mtp = (config.mtp_layers > 0).then(|| Mtp::new(&mut scope.child("mtp"), config)).transpose()?;
        let rotary = Rotary::new(config);
        Ok(Self {
            config: config.clone(),
            checkpoint_activations: false,
            adapter: None,
            embedding,
            blocks,
            norm,
            head,
            mtp,
            rotary,
            led: None,
        })
    }

    /// Sets the format of KV caches. Attention rounds keys and values to it, with or without a cache. A model whose format is
    /// not f32 panics in a forward pass that would be recorded.
    ///
    /// # Errors
    /// If a head does not consist of whole blocks of 32 numbers, and the format is int8.
    pub fn set_kv_format(&mut self, format: KvFormat) -> Result<()> {
        self.blocks.iter_mut().try_for_each(|block| block.set_kv_format(format))
    }

    // ANCHOR: spread
    /// Spreads the experts over ranks. Each keeps its share of them, and computes forward passes at the same time as the others.
    ///
    /// # Errors
    /// If the model has no experts, or their number is no multiple of the number of ranks.
    pub fn spread(&mut self, ranks: &Arc<dyn Collective>) -> Result<()> {
        if self.config.dense_layers.len() == self.config.layers {
            return Err(Error::argument("this model has no experts that ranks could hold"));
        }
        self.blocks.iter_mut().try_for_each(|block| block.spread(ranks))
    }

    /// Like [`spread`](Self::spread), but rank 0 leads: it alone computes forward passes, and the others [`serve`](Self::serve).
    ///
    /// # Errors
    /// Those of [`spread`](Self::spread).
    pub fn lead(&mut self, ranks: &Arc<dyn Collective>) -> Result<()> {
        self.spread(ranks)?;
        self.led = Some(ranks.clone());
        Ok(())
    }

    /// Processes the tokens of rank 0 that visit experts of this rank, until rank 0 needs no more.
    ///
    /// # Errors
    /// If a rank is gone.
    pub fn serve(&self) -> Result<()> {
        let Some(ranks) = &self.led else { return Ok(()) };
        while ranks.broadcast(0, &[])? == [1] {
            caught(|| {
                self.serve_once();
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Takes part in a forward pass of other ranks, without tokens of its own.
    pub fn serve_once(&self) {
        self.blocks.iter().for_each(Block::serve);
    }

    /// Lets the ranks that serve this one go.
    ///
    /// # Errors
    /// If a rank is gone.
    pub fn dismiss(&self) -> Result<()> {
        self.led.as_ref().map_or(Ok(()), |ranks| ranks.broadcast(0, &[0]).map(drop))
    }
    // ANCHOR_END: spread

    /// tokens (B, T) → hidden states (B·T, H). With a cache, B is 1 and the tokens follow those in the cache.
    ///
    /// Panics if a token is not below V (code that takes tokens from outside checks them), or if a pass with a cache
    /// would be recorded: run it on a [`detached`](Layer::detached) model.
    pub fn forward(&self, tokens: ArrayView2<u32>, cache: Option<&mut KvCache>) -> Output {
        self.forward_cached(tokens, &mut cache.into_iter().collect::<Vec<_>>())
    }

    /// Like [`forward`](Self::forward), for B sequences with a cache each. Their tokens follow those in their caches.
    pub fn forward_cached(&self, tokens: ArrayView2<u32>, caches: &mut [&mut KvCache]) -> Output {
        self.forward_observed(tokens, caches, &mut |_, _| {})
    }

    /// Like [`forward`](Self::forward), for sequences of different lengths, one after the other: ids (T,) → hidden states (T, H).
    /// Panics if the sequences have another number of rows, and as [`forward`](Self::forward) does.
    pub fn forward_packed(&self, ids: &[u32], sequences: &Sequences) -> Output {
        self.pass(ids, sequences, &mut [], &[], &mut |_, _| {})
    }

    /// Like [`forward_packed`](Self::forward_packed), but tokens visit the experts that are given, for each layer that has experts
    /// (T·A,), instead of those that their routers would choose.
    pub fn forward_replayed(&self, ids: &[u32], sequences: &Sequences, experts: &[Arc<[u32]>]) -> Output {
        self.pass(ids, sequences, &mut [], experts, &mut |_, _| {})
    }

    /// Like [`forward_cached`](Self::forward_cached), and calls `observe` with every intermediate tensor, in the order of
    /// computation. There is one cache per sequence, or none at all.
    pub fn forward_observed(&self, tokens: ArrayView2<u32>, caches: &mut [&mut KvCache], observe: Observer) -> Output {
        let ids: Vec<u32> = tokens.iter().copied().collect();
        self.pass(&ids, &Sequences::equal(tokens.nrows(), tokens.ncols()), caches, &[], observe)
    }

    // ANCHOR: forward
    /// Computes every forward pass.
    fn pass(&self, ids: &[u32], sequences: &Sequences, caches: Caches, replay: Replay, observe: Observer) -> Output {
        assert_eq!(ids.len(), sequences.rows(), "the tokens of {} sequences", sequences.len());
        self.led.iter().for_each(|ranks| drop(or_unwind(ranks.broadcast(0, &[1]))));
        assert!([0, sequences.len()].contains(&caches.len()), "{} caches for {sequences:?}", caches.len());
        let starts: Vec<usize> = caches.iter().map(|cache| cache.len()).collect();
        let angles = match (&starts[..], sequences.equal_length()) {
            ([], Some(length)) => self.rotary.angles(0..length), // the same for every sequence
            ([], None) => self.rotary.angles(sequences.places().into_iter().map(|(_, position)| position)),
            _ => self.rotary.angles(sequences.places().into_iter().map(|(i, position)| starts[i] + position)),
        };
        let mut x = embedding(ids, &self.embedding);
        observe(Activation::Embedding, &x);
        let mut routing = Vec::new();
        for (i, block) in self.blocks.iter().enumerate() {
            let mut caches: Vec<&mut LayerCache> = caches.iter_mut().map(|cache| cache.layer_mut(i)).collect();
            let out = if self.checkpoint_activations && caches.is_empty() {
                block.forward_recomputed(&x, &angles, sequences, replay.get(routing.len()))
            } else {
                block.forward(&x, &angles, sequences, &mut caches, replay.get(routing.len()))
            };
            observe(Activation::Attention(i), &out.attention);
            if let Some(decisions) = out.routing {
                observe(Activation::RouterLogits(i), &decisions.logits);
                routing.push(decisions);
            }
            observe(Activation::FeedForward(i), &out.feed_forward);
            observe(Activation::Output(i), &out.hidden);
            x = out.hidden;
        }
        let hidden = self.norm.forward(&x);
        observe(Activation::Norm, &hidden);
        Output { hidden, routing, draft: None }
    }
    // ANCHOR_END: forward

    /// hidden (T, H) → logits (T, V)
    pub fn logits(&self, hidden: &Tensor) -> Tensor {
        match &self.head {
            Some(head) => head.forward(hidden, None),
            None => linear(hidden, &self.embedding, None),
        }
    }

    /// Returns −ln p(targetₜ) of each target (T,), without a gradient; 0 for those that do not count.
    pub fn token_losses(&self, hidden: &Tensor, targets: &[u32]) -> Vec<f32> {
        match &self.head {
            Some(head) => head.token_losses(hidden, targets),
            None => token_losses(hidden, &self.embedding, None, targets),
        }
    }

    /// Computes the mean cross-entropy of `targets` (B·T,) in nats, and the load-balancing loss if the configuration
    /// asks for it. Targets that are [`IGNORE`](crate::ops::cross_entropy::IGNORE) do not count.
    pub fn loss(&self, output: &Output, targets: &[u32]) -> Loss {
        self.partial_loss(output, targets, &self.totals(output, targets))
    }

    /// Counts what the loss of a batch is divided by.
    pub fn totals(&self, output: &Output, targets: &[u32]) -> Totals {
        let mut load = ExpertLoad { visits: vec![0; self.config.experts], tokens: 0 };
        output.routing.iter().for_each(|routing| load.add_layer(&routing.dispatch, targets));
        let drafted = output.draft.as_ref().map_or(0, |draft| count(&draft.targets(targets)));
        Totals { targets: count(targets), drafted, load }
    }

    // ANCHOR: loss
    /// Like [`loss`](Self::loss), for a micro-batch: divides by the totals of the whole step, so that the losses and the
    /// gradients of its micro-batches add up to those of one large batch.
    pub fn partial_loss(&self, output: &Output, targets: &[u32], step: &Totals) -> Loss {
        let cross_entropy = self.share_of_mean(&output.hidden, targets, step.targets);
        let nats = cross_entropy.item();
        let Some(draft) = &output.draft else {
            return self.with_balance(cross_entropy, nats, output, targets, step);
        };
        let of_draft = self.share_of_mean(&draft.hidden, &draft.targets(targets), step.drafted);
        let both = add(&cross_entropy, &scale(&of_draft, draft.weight));
        Loss { draft: Some(of_draft.item()), ..self.with_balance(both, nats, output, targets, step) }
    }
    // ANCHOR_END: loss

    /// Returns what a micro-batch contributes to the mean cross-entropy over `all` targets of a step.
    fn share_of_mean(&self, hidden: &Tensor, targets: &[u32], all: usize) -> Tensor {
        let mean = match &self.head {
            Some(head) => head.cross_entropy(hidden, targets),
            None => cross_entropy(hidden, &self.embedding, targets),
        };
        match count(targets) {
            some if some == all => mean,
            some => scale(&mean, some as f32 / all as f32),
        }
    }

    // ANCHOR: policy_loss
    /// Computes Σ wₜ · (−ln p(targetₜ)): the loss of reinforcement learning, whose gradient makes tokens with a positive weight more
    /// probable and those with a negative one less. Beside it, the load-balancing loss if the configuration asks for it.
    pub fn policy_loss(&self, output: &Output, targets: &[u32], weights: &[f32], step: &Totals) -> Loss {
        let sum = match &self.head {
            Some(head) => head.weighted_cross_entropy(&output.hidden, targets, weights),
            None => weighted_cross_entropy(&output.hidden, &self.embedding, None, targets, weights),
        };
        let value = sum.item();
        self.with_balance(sum, value, output, targets, step)
    }
    // ANCHOR_END: policy_loss

    /// Adds the load-balancing loss.
    fn with_balance(&self, cross_entropy: Tensor, nats: f32, output: &Output, targets: &[u32], step: &Totals) -> Loss {
        if output.routing.is_empty() {
            return Loss { total: cross_entropy, cross_entropy: nats, load_balancing: 0.0, draft: None };
        }
        let logits: Vec<&Tensor> = output.routing.iter().map(|routing| &routing.logits).collect();
        let balance = load_balancing(&logits, targets, &step.load);
        let load_balancing = balance.item();
        let total = match self.config.router_aux_loss_coef {
            0.0 => cross_entropy,
            coefficient => add(&cross_entropy, &scale(&balance, coefficient)),
        };
        Loss { total, cross_entropy: nats, load_balancing, draft: None }
    }

    /// Returns the layers of the model by what they are for, in the order of the parameters.
    pub fn components(&self) -> Vec<(Component, &dyn Layer)> {
        let mut components: Vec<(Component, &dyn Layer)> = vec![(Component::Embedding, &self.embedding)];
        components.extend(self.blocks.iter().flat_map(Block::components));
        components.push((Component::Norms, &self.norm));
        if let Some(head) = &self.head {
            components.push((Component::Head, head));
        }
        if let Some(mtp) = &self.mtp {
            components.push((Component::Mtp, mtp));
        }
        components
    }
}
