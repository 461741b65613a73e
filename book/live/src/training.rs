//! Training: a very small model learns built-in stories, with or without a fault.

use crate::Live;
use crate::number::Typed;
use ossia::config::ModelConfig;
use ossia::data::{Batches, Example, Packed, Windows};
use ossia::error::{Error, Result};
use ossia::generate::Sampling;
use ossia::layers::Layer;
use ossia::model::Transformer;
use ossia::parameter::Role;
use ossia::tokenizer::{self, END_OF_TEXT, Tokenizer};
use ossia::train::material::windows;
use ossia::train::texts::{UNSEEN_SEED, stories};
use ossia::train::{EvaluationSet, Schedule, Settings, Trainer, evaluate};
use serde::{Deserialize, Serialize};

const VOCABULARY: usize = 384;
const CONTEXT: usize = 128;
const BATCH: usize = 4;
/// The stories to learn from, those to learn from if they are too few, and those to measure on.
const STORIES: usize = 2_000;
const FEW_STORIES: usize = 6;
const UNSEEN: usize = 12;
/// The steps in which the learning rate rises.
const WARMUP: u64 = 20;
/// The factor of a learning rate that is too high.
const TOO_HIGH: f64 = 30.0;
/// The most steps per question.
const MOST_STEPS: usize = 50;

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Question {
    /// Makes the tokenizer and a model with random numbers.
    Start { fault: Fault, seed: u64 },
    /// Takes steps with a learning rate.
    Step { steps: usize, learning_rate: Typed },
    /// Measures the model on stories that it does not learn from, and lets it tell one.
    Measure,
}

/// Something that is wrong with a run.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    None,
    /// The learning rate is 30 times as high as it should be.
    HighLearningRate,
    /// The targets are the inputs.
    Unshifted,
    /// The targets of a window are those of the next one.
    Mismatched,
    /// There are too few stories.
    FewStories,
    /// The embedding keeps its random numbers.
    FrozenEmbedding,
}

#[derive(Serialize)]
#[serde(untagged)]
pub enum Answer {
    Started {
        parameters: usize,
        vocabulary: usize,
        tokens_per_step: usize,
        /// The lowest loss that is possible on the unseen stories, in nats per token.
        floor: Option<f64>,
        /// The loss of a model that gives all tokens the same probability.
        uniform: f64,
    },
    Stepped {
        /// The number of steps taken so far, of which the last ones have these losses.
        step: u64,
        losses: Vec<f32>,
        learning_rate: f64,
        grad_norm: f64,
    },
    Measured {
        step: u64,
        loss: f64,
        sample: String,
    },
}

/// A run.
pub struct Training {
    trainer: Trainer,
    tokenizer: Tokenizer,
    unseen: EvaluationSet,
    fault: Fault,
}

pub fn answer(live: &mut Live, question: Question) -> Result<Answer> {
    if let Question::Start { fault, seed } = question {
        let training = Training::start(fault, seed)?;
        let answer = training.started();
        live.training = Some(training);
        return Ok(answer);
    }
    let training = live.training.as_mut().ok_or_else(|| Error::argument("no training has started"))?;
    match question {
        Question::Step { steps, learning_rate } => training.step(steps, learning_rate),
        _ => training.measure(),
    }
}

impl Training {
    fn start(fault: Fault, seed: u64) -> Result<Self> {
        let documents = stories(STORIES, 0)?.documents;
        let tokenizer = tokenizer::train(&documents, VOCABULARY, &[END_OF_TEXT])?;
        let learned = if fault == Fault::FewStories { &documents[..FEW_STORIES] } else { &documents };
        let windows = with_fault(windows(learned, &tokenizer, CONTEXT)?, fault)?;
        let unseen = EvaluationSet::of_stories(&stories(UNSEEN, UNSEEN_SEED)?.documents, &tokenizer, CONTEXT)?;
        let mut model = Transformer::random(&config(&tokenizer), seed);
        if fault == Fault::FrozenEmbedding {
            let embedding = |role| role == Role::Embedding;
            model.parameters_mut().into_iter().filter(|one| embedding(one.role())).for_each(|one| one.detach());
        }
        let settings = Settings {
            warmup: WARMUP,
            schedule: Schedule::Constant,
            seed,
            ..Settings::new(u64::MAX, BATCH, CONTEXT, 0.0)
        };
        let batches = Batches::new(windows, BATCH, seed)?;
        Ok(Self { trainer: Trainer::new(model, settings, batches, None), tokenizer, unseen, fault })
    }

    fn started(&self) -> Answer {
        let parameters = self.trainer.model.parameters();
        Answer::Started {
            parameters: parameters.iter().map(|parameter| parameter.value().count()).sum(),
            vocabulary: self.tokenizer.vocab_size(),
            tokens_per_step: self.trainer.tokens_per_step(),
            floor: self.unseen.entropy_floor,
            uniform: (self.tokenizer.vocab_size() as f64).ln(),
        }
    }

    fn step(&mut self, steps: usize, learning_rate: Typed) -> Result<Answer> {
        if !(1..=MOST_STEPS).contains(&steps) {
            return Err(Error::argument(format!("{steps} steps: expected 1 to {MOST_STEPS}")));
        }
        let factor = if self.fault == Fault::HighLearningRate { TOO_HIGH } else { 1.0 };
        self.trainer.settings.learning_rate = factor * learning_rate.between("learning rate", 1e-6, 1.0)?;
        let (mut losses, mut last) = (Vec::new(), None);
        for _ in 0..steps {
            let report = self.trainer.step().map_err(|error| match error {
                Error::NotFinite { step, tensor } => {
                    Error::argument(format!("step {step}: {tensor} is not finite, so the step was not taken"))
                }
                error => error,
            })?;
            losses.push(report.loss);
            last = Some(report);
        }
        let (learning_rate, grad_norm) = last.map_or((0.0, 0.0), |report| (report.lr, report.grad_norm));
        Ok(Answer::Stepped { step: self.trainer.step_count(), losses, learning_rate, grad_norm })
    }

    fn measure(&self) -> Result<Answer> {
        let (model, step) = (&self.trainer.model, self.trainer.step_count());
        let loss = evaluate(model, &self.unseen, BATCH).loss;
        let sampling = Sampling { temperature: 0.8, seed: step, ..Sampling::default() };
        let sample = model.continue_text(&self.tokenizer, "", CONTEXT - 1, sampling)?;
        Ok(Answer::Measured { step, loss, sample })
    }
}

/// Returns the configuration of a model that is smaller than all presets.
fn config(tokenizer: &Tokenizer) -> ModelConfig {
    ModelConfig {
        vocab_size: tokenizer.vocab_size(),
        hidden_size: 64,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 16,
        experts: 4,
        experts_per_token: 2,
        intermediate_size: 64,
        windows: vec![Some(32), None],
        context: CONTEXT,
        ..ModelConfig::nano()
    }
}

/// Returns windows in which the targets are wrong, if this is the fault.
fn with_fault(windows: Windows, fault: Fault) -> Result<Windows> {
    if !matches!(fault, Fault::Unshifted | Fault::Mismatched) {
        return Ok(windows);
    }
    let mut examples: Vec<_> = windows
        .evaluation(1)
        .map(|batch| Example {
            inputs: batch.inputs.into_iter().collect(),
            targets: batch.targets.into_iter().collect(),
        })
        .collect();
    let first = examples[0].targets.clone();
    for i in 0..examples.len() {
        examples[i].targets = match fault {
            Fault::Unshifted => examples[i].inputs.clone(),
            _ => examples.get(i + 1).map_or_else(|| first.clone(), |next| next.targets.clone()),
        };
    }
    let filler = examples[0].inputs[0];
    Ok(Windows::packed(Packed::new(examples, CONTEXT, filler)?))
}
