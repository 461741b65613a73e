//! The whole model: embedding, L blocks, a norm, and the projection back to the vocabulary.       Book: model.md
//!
//! Training, prefill, decoding and tracing run the same [`Transformer::forward`].

use crate::config::ModelConfig;
use crate::error::Result;
use crate::layers::router::Routing;
use crate::layers::{Block, Init, KvCache, Parameter, Random, RmsNorm, Rotary, Source, Visitor, Weight};
use crate::ops::elementwise::{add, scale};
use crate::ops::load_balancing::load_balancing;
use crate::tensor::Tensor;
use ndarray::ArrayView2;

/// A gpt-oss model. Cloning it copies no numbers.
#[derive(Clone)]
pub struct Transformer {
    /// Its numbers.
    pub config: ModelConfig,
    /// Whether training keeps only the input of each block, and computes the rest again on the way back: the same
    /// gradients in less memory and more time.
    pub checkpoint_activations: bool,
    embedding: Weight, // (V, H)
    blocks: Vec<Block>,
    norm: RmsNorm,
    head: Option<Weight>, // (V, H); None: the embedding serves
    rotary: Rotary,
}

/// What a forward pass computed.
pub struct Output {
    /// (B·T, H), after the last norm: what the output projection gets.
    pub hidden: Tensor,
    /// The routing of each layer that has experts.
    pub routing: Vec<Routing>,
}

/// The parts of a training loss.
pub struct Loss {
    /// What is minimized: cross-entropy + coefficient · load balancing.
    pub total: Tensor,
    /// Nats per token.
    pub cross_entropy: f32,
    /// A where the load is even, more where it is not.
    pub load_balancing: f32,
    /// Visits per expert, of all layers together. (E,)
    pub expert_load: Vec<usize>,
}

/// Receives intermediate tensors by name; see [`Transformer::forward_observed`].
pub type Observer<'o> = &'o mut dyn FnMut(String, &Tensor);

impl Transformer {
    /// A model that was never trained. The same seed gives the same numbers.
    pub fn random(config: &ModelConfig, seed: u64) -> Self {
        Self::new(config, &mut Random::new(seed)).expect("a random source has every parameter")
    }

    /// A model whose parameters come from `source`.
    ///
    /// # Errors
    /// Those of the source.
    pub fn new(config: &ModelConfig, source: &mut dyn Source) -> Result<Self> {
        let table = [config.vocab_size, config.hidden_size];
        let init = Init::Normal(config.embedding_std());
        let mut blocks = Vec::new();
        let embedding = source.weight("embedding.weight".into(), &table, init)?;
        for layer in 0..config.layers {
            blocks.push(Block::new(source, &format!("layers.{layer}"), config, layer)?);
        }
        Ok(Self {
            embedding,
            blocks,
            norm: RmsNorm::new(source, "norm", config.hidden_size, config.rms_norm_eps)?,
            head: if config.tied { None } else { Some(source.weight("head.weight".into(), &table, init)?) },
            rotary: Rotary::new(config),
            config: config.clone(),
            checkpoint_activations: false,
        })
    }

    /// tokens (B, T) → hidden states (B·T, H). With a cache, B is 1 and the tokens go on from what it has seen.
    ///
    /// Panics if a token is not below V; whoever takes tokens from outside checks them.
    pub fn forward(&self, tokens: ArrayView2<u32>, cache: Option<&mut KvCache>) -> Output {
        self.forward_observed(tokens, cache, &mut |_, _| {})
    }

    // ANCHOR: forward
    /// [`Transformer::forward`], showing every intermediate tensor on the way: `embed`, then for each layer
    /// `layers.{i}.attention`, `.router_logits`, `.moe` and `.output`, at last `norm`.
    pub fn forward_observed(
        &self,
        tokens: ArrayView2<u32>,
        mut cache: Option<&mut KvCache>,
        observe: Observer,
    ) -> Output {
        let (sequences, length) = tokens.dim();
        assert!(cache.is_none() || sequences == 1, "a cache holds one sequence, not {sequences}");
        let angles = self.rotary.tables(cache.as_ref().map_or(0, |cache| cache.len()), length);
        let ids: Vec<u32> = tokens.iter().copied().collect();
        let mut x = self.embedding.embedding(&ids);
        observe("embed".into(), &x);
        let mut routing = Vec::new();
        for (i, block) in self.blocks.iter().enumerate() {
            let out = match &mut cache {
                None if self.checkpoint_activations => block.forward_recomputed(&x, &angles, sequences),
                cache => block.forward(&x, &angles, sequences, cache.as_mut().map(|cache| cache.layer_mut(i))),
            };
            observe(format!("layers.{i}.attention"), &out.attention);
            if let Some(decision) = out.routing {
                observe(format!("layers.{i}.router_logits"), &decision.logits);
                routing.push(decision);
            }
            observe(format!("layers.{i}.moe"), &out.feed_forward);
            observe(format!("layers.{i}.output"), &out.hidden);
            x = out.hidden;
        }
        let hidden = self.norm.forward(&x);
        observe("norm".into(), &hidden);
        Output { hidden, routing }
    }
    // ANCHOR_END: forward

    /// The matrix that turns hidden states into logits. (V, H)
    fn output_projection(&self) -> &Weight {
        self.head.as_ref().unwrap_or(&self.embedding)
    }

    /// hidden (T, H) → logits (T, V)
    pub fn logits(&self, hidden: &Tensor) -> Tensor {
        self.output_projection().linear(hidden, None)
    }

    /// The mean cross-entropy of `targets` (B·T,) in nats, and the load-balancing loss where the configuration asks
    /// for it. Targets that are [`IGNORE`](crate::ops::cross_entropy::IGNORE) do not count.
    pub fn loss(&self, output: &Output, targets: &[u32]) -> Loss {
        let cross_entropy = self.output_projection().cross_entropy(&output.hidden, targets);
        let mut expert_load = vec![0; self.config.experts];
        for routing in &output.routing {
            routing.dispatch.load().into_iter().zip(&mut expert_load).for_each(|(visits, total)| *total += visits);
        }
        let nats = cross_entropy.item();
        if output.routing.is_empty() {
            return Loss { total: cross_entropy, cross_entropy: nats, load_balancing: 0.0, expert_load };
        }
        let logits: Vec<&Tensor> = output.routing.iter().map(|routing| &routing.logits).collect();
        let balance = load_balancing(&logits, &expert_load);
        let load_balancing = balance.item();
        let total = match self.config.router_aux_loss_coef {
            0.0 => cross_entropy,
            coefficient => add(&cross_entropy, &scale(&balance, coefficient)),
        };
        Loss { total, cross_entropy: nats, load_balancing, expert_load }
    }

    /// Every parameter by name: `embedding.weight`, `layers.{i}.…`, `norm.weight`, `head.weight`.
    pub fn visit<'p>(&'p mut self, visitor: Visitor<'_, 'p>) {
        visitor("embedding.weight".into(), self.embedding.parameter());
        for (i, block) in self.blocks.iter_mut().enumerate() {
            block.visit(&format!("layers.{i}"), visitor);
        }
        self.norm.visit("norm", visitor);
        if let Some(head) = &mut self.head {
            visitor("head.weight".into(), head.parameter());
        }
    }

    /// Every parameter that is not frozen, by name, to be changed.
    pub fn parameters_mut(&mut self) -> Vec<(String, &mut Tensor)> {
        let mut parameters = Vec::new();
        self.visit(&mut |name, parameter| {
            if let Parameter::Trained(tensor) = parameter {
                parameters.push((name, tensor));
            }
        });
        parameters
    }

    /// The same, to be read. The tensors share their numbers with the model.
    pub fn parameters(&self) -> Vec<(String, Tensor)> {
        self.clone().parameters_mut().into_iter().map(|(name, tensor)| (name, tensor.clone())).collect()
    }
}
