//! Training: ten steps against PyTorch, the schedule, the optimizer's rules, and runs that stop and go on.
//!
//! Book: [training](../../book/src/training.md)

mod run;

use crate::common::{Reference, assert_close, reference_path};
use crate::model::CHECKPOINTS;
use ndarray::Array2;
use ossia::checkpoint;
use ossia::config::ModelConfig;
use ossia::data::{Batches, Example, IGNORE, Packed, Windows};
use ossia::error::Error;
use ossia::layers::Layer;
use ossia::model::Transformer;
use ossia::parameter::{Parameter, Role};
use ossia::tensor::{Gradients, Tensor, array, slice};
use ossia::train::RunSettings;
use ossia::train::adamw::{Hyperparameters, decays};
use ossia::train::metrics::Logged;
use ossia::train::run::RunDirectory;
use ossia::train::{Evaluation, EvaluationSet, Method, Metrics, Optimizer, Schedule, evaluate, metrics};
use ossia::train::{Monitor, Outcome, Recorder, Settings, Trainer};
use std::path::Path;

fn hyperparameters() -> Hyperparameters {
    Hyperparameters { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weight_decay: 0.1, clip: 1.0 }
}

#[test]
fn training_ten_losses_in_a_row_equal_pytorchs() {
    for name in CHECKPOINTS {
        let mut model = checkpoint::load_trainable(reference_path(&format!("checkpoints/{name}"))).unwrap();
        let reference = Reference::open(&format!("checkpoints/{name}/reference"));
        let batches = Array2::from_shape_vec((20, 13), reference.ids("batches")).unwrap();
        let mut optimizer = Optimizer::new(Method::AdamW, hyperparameters(), &model.parameters());
        let (mut losses, mut norms) = (Vec::new(), Vec::new());
        for step in 0..10 {
            let batch = batches.slice(ndarray::s![2 * step..2 * step + 2, ..]);
            let inputs = batch.slice(ndarray::s![.., ..12]).to_owned();
            let targets: Vec<u32> = batch.slice(ndarray::s![.., 1..]).iter().copied().collect();
            let loss = model.loss(&model.forward(inputs.view(), None), &targets);
            losses.push(loss.cross_entropy);
            let gradients = loss.total.backward();
            norms.push(optimizer.step(model.parameters_mut(), &gradients, 5e-3).unwrap() as f32);
        }
        let expected = reference.array("losses");
        for (step, (loss, expected)) in losses.iter().zip(slice(&expected)).enumerate() {
            assert!((loss - expected).abs() < 1e-4, "{name}: loss {step} is {loss}; PyTorch's is {expected}");
        }
        assert!(losses[9] != losses[0], "{name}: the model moves");
        assert_close(&format!("{name}: gradient norms"), &norms, slice(&reference.array("norms")), 1e-3);
    }
}

#[test]
fn training_decays_matrices_only() {
    let model = Transformer::random(&small(), 0);
    let parameters = model.parameters();
    let kept: Vec<&str> = parameters.iter().filter(|p| !decays(p.role())).map(|p| p.name()).collect();
    for name in &kept {
        assert!(name.ends_with("bias") || name.contains("norm") || name.ends_with("sinks"), "{name} should decay");
    }
    let count = |part: &str| kept.iter().filter(|name| name.contains(part)).count();
    // Two norms a layer and one at the end; four biases of attention, one of the router, two of the experts.
    assert_eq!((count("norm"), count("sinks"), count("bias")), (5, 2, 14));
}

#[test]
fn training_schedule_warms_up_and_comes_down() {
    let rate = |schedule: Schedule, step| schedule.learning_rate(step, 100, 10, 1.0);
    assert_close("warm-up", &[rate(Schedule::Cosine, 1) as f32, rate(Schedule::Cosine, 5) as f32], &[0.1, 0.5], 1e-6);
    assert_eq!(rate(Schedule::Cosine, 10), 1.0);
    assert!((rate(Schedule::Cosine, 55) - 0.55).abs() < 1e-9, "half way between 1 and 0.1");
    assert!((rate(Schedule::Cosine, 100) - 0.1).abs() < 1e-9);
    assert!((rate(Schedule::Cosine, 200) - 0.1).abs() < 1e-9, "beyond the end it stays");
    assert_eq!(rate(Schedule::Constant, 100), 1.0);
    assert!((2..=100).all(|s| s <= 10 || rate(Schedule::Cosine, s) <= rate(Schedule::Cosine, s - 1)));
}

#[test]
fn training_refuses_a_gradient_that_is_not_finite_and_moves_nothing() {
    let weight = Tensor::parameter(array(&[2], vec![1.0, 2.0]));
    let bad = ossia::ops::reduce::sum(&ossia::ops::elementwise::scale(&weight, f32::NAN)).backward();
    let mut weight = Parameter::new("layers.0.router.weight", Role::Router, weight);
    let mut optimizer = Optimizer::new(Method::AdamW, hyperparameters(), &[&weight]);
    let error = optimizer.step(vec![&mut weight], &bad, 0.1).unwrap_err();
    assert!(error.to_string().starts_with("step 1: the gradient of layers.0.router.weight is not finite"), "{error}");
    assert_eq!(weight.tensor().data(), [1.0, 2.0]);
    assert_eq!(optimizer.steps(), 0);
}

#[test]
fn training_leaves_a_parameter_without_gradient_alone() {
    let mut weight = Parameter::new("a.weight", Role::Matrix, Tensor::parameter(array(&[2], vec![1.0, 2.0])));
    let mut optimizer = Optimizer::new(Method::AdamW, hyperparameters(), &[&weight]);
    optimizer.step(vec![&mut weight], &Gradients::default(), 0.1).unwrap();
    assert_eq!(weight.tensor().data(), [1.0, 2.0]);
}

pub fn small() -> ModelConfig {
    ModelConfig {
        layers: 2,
        windows: vec![Some(5), None],
        hidden_size: 16,
        heads: 2,
        kv_heads: 1,
        head_dim: 8,
        vocab_size: 40,
        experts: 4,
        intermediate_size: 12,
        context: 12,
        ..ModelConfig::nano()
    }
}

pub fn settings(steps: u64, accumulate: usize, batch_size: usize) -> Settings {
    Settings {
        steps,
        batch_size,
        accumulate,
        context: 12,
        learning_rate: 1e-2,
        warmup: 3,
        schedule: Schedule::Cosine,
        optimizer: Method::AdamW,
        adamw: hyperparameters(),
        qat: None,
        mtp_weight: None,
        seed: 5,
        log_every: 1,
        eval_every: 4,
        save_every: 3,
    }
}

pub fn documents() -> Vec<Vec<u32>> {
    (0..30_u32).map(|d| (0..7 + d % 9).map(|i| 1 + (d * 7 + i * 3) % 39).collect()).collect()
}

pub fn windows() -> Windows {
    Windows::new(&documents(), 0, 12).unwrap()
}

/// Sequences of which all tokens are learned, or a third, or a fifth, packed into windows of 16 tokens.
pub fn packed() -> Windows {
    let example = |(d, ids): (usize, Vec<u32>)| {
        let learned = |i: usize| (i + d).is_multiple_of(1 + 2 * (d % 3));
        let targets = ids[1..].iter().enumerate().map(|(i, &id)| if learned(i) { id } else { IGNORE }).collect();
        Example { inputs: ids[..ids.len() - 1].to_vec(), targets }
    };
    let examples = documents().into_iter().enumerate().map(example).collect();
    Windows::packed(Packed::new(examples, 16, 0).unwrap())
}

fn trainer(settings: Settings) -> Trainer {
    let batches = Batches::new(windows(), settings.batch_size, settings.seed).unwrap();
    let set = EvaluationSet { windows: windows(), entropy_floor: Some(0.5), bytes: 1000 };
    Trainer::new(Transformer::random(&small(), 1), settings, batches, Some(set))
}

#[test]
fn training_accumulates_two_half_batches_to_one_whole() {
    is_one_large_batch(windows(), 2, 4);
}

/// Windows with few and with many targets: the mean of means is not the mean.
#[test]
fn training_accumulates_packed_micro_batches_to_one_whole() {
    let mut batches = Batches::new(packed(), 1, 5).unwrap();
    let counted: Vec<usize> = (0..8).map(|_| batches.next_batch().counted()).collect();
    assert!(counted.iter().any(|&n| n < 4) && counted.iter().any(|&n| n > 8), "{counted:?}");
    is_one_large_batch(packed(), 8, 1);
}

/// Three steps over `accumulate` micro-batches, with the load-balancing loss, equal three steps over one large batch.
fn is_one_large_batch(windows: Windows, accumulate: usize, batch_size: usize) {
    let mut both = [(1, accumulate * batch_size), (accumulate, batch_size)].map(|(accumulate, batch_size)| {
        let mut trainer = trainer(settings(3, accumulate, batch_size));
        trainer.model.config.router_aux_loss_coef = 0.5;
        trainer.batches = Batches::new(windows.clone(), batch_size, 5).unwrap();
        trainer
    });
    for _ in 0..3 {
        let [a, b] = both.each_mut().map(|trainer| trainer.step().unwrap());
        assert!((a.loss - b.loss).abs() < 1e-5, "{} {}", a.loss, b.loss);
        assert!((a.load_balancing - b.load_balancing).abs() < 1e-5, "{} {}", a.load_balancing, b.load_balancing);
        assert!((a.grad_norm - b.grad_norm).abs() < 1e-4 * a.grad_norm, "{} {}", a.grad_norm, b.grad_norm);
        assert_eq!(a.expert_load, b.expert_load);
    }
    let [whole, parts] = &both;
    for (a, b) in whole.model.parameters().into_iter().zip(parts.model.parameters()) {
        assert_close(a.name(), a.tensor().data(), b.tensor().data(), 2e-3);
    }
}

#[test]
fn training_that_checkpoints_activations_has_the_same_gradients_bit_for_bit() {
    let config = ModelConfig {
        layers: 3,
        windows: vec![Some(5), None, Some(5)],
        dense_layers: vec![1],
        dense_intermediate_size: 10,
        ..small()
    };
    let tokens = ndarray::Array2::from_shape_fn((4, 12), |(b, t)| ((b * 12 + t) * 7 % 40) as u32);
    let targets: Vec<u32> = (0..48).map(|i| i * 11 % 40).collect();
    for router_aux_loss_coef in [0.0, 0.5] {
        let mut model = Transformer::random(&ModelConfig { router_aux_loss_coef, ..config.clone() }, 7);
        let [kept, recomputed] = [false, true].map(|checkpoint_activations| {
            model.checkpoint_activations = checkpoint_activations;
            let loss = model.loss(&model.forward(tokens.view(), None), &targets);
            (loss.total.item().to_bits(), loss.total.backward())
        });
        assert_eq!(kept.0, recomputed.0);
        for parameter in model.parameters() {
            let name = parameter.name();
            let [kept, recomputed] = [&kept.1, &recomputed.1].map(|gradients| gradients.get(parameter.tensor()));
            assert!(kept.is_some_and(|gradient| gradient.iter().any(|&x| x != 0.0)), "{name} has a gradient");
            assert_eq!(kept, recomputed, "{name}");
        }
    }
}

/// Notes down what happens, and interrupts after some steps.
struct Notes {
    stop_after: u64,
    losses: Vec<u32>,
    evaluations: Vec<(u64, f64)>,
}

impl Notes {
    fn new(stop_after: u64) -> Self {
        Self { stop_after, losses: Vec::new(), evaluations: Vec::new() }
    }
}

impl Monitor for Notes {
    fn stepped(&mut self, trainer: &Trainer, loss: f32, metrics: Option<&Metrics>) {
        self.losses.push(loss.to_bits());
        assert_eq!(metrics.unwrap().step, trainer.step_count());
    }
    fn evaluated(&mut self, trainer: &Trainer, evaluation: &Evaluation, _: bool) {
        self.evaluations.push((trainer.step_count(), evaluation.loss));
    }
    fn interrupted(&self) -> bool {
        self.losses.len() as u64 >= self.stop_after
    }
}

fn recorder(run: &RunDirectory) -> Recorder {
    Recorder::new(run.clone(), None)
}

fn run_settings(settings: Settings) -> RunSettings {
    RunSettings { preset: "test".into(), validation_fraction: 0.1, stories: 10, settings, ..RunSettings::default() }
}

fn go_on(run: &RunDirectory, settings: Settings) -> Trainer {
    let saved = run.resume(&run_settings(settings.clone())).unwrap();
    assert_eq!(saved.position.fingerprint, windows().fingerprint());
    Trainer::resume(saved, settings, windows(), trainer(self::settings(1, 1, 4)).evaluation).unwrap()
}

#[test]
fn training_that_stops_and_resumes_is_the_same_run_bit_for_bit() {
    for optimizer in [Method::AdamW, Method::Muon] {
        stops_and_resumes(Settings { optimizer, ..settings(20, 2, 4) });
    }
}

fn stops_and_resumes(settings: Settings) {
    let mut uninterrupted = trainer(settings.clone());
    let mut whole = Notes::new(u64::MAX);
    assert_eq!(uninterrupted.run(None, &mut whole).unwrap(), Outcome::Finished);
    assert_eq!(whole.evaluations.iter().map(|e| e.0).collect::<Vec<_>>(), [4, 8, 12, 16, 20]);
    assert!(whole.evaluations[4].1 < whole.evaluations[0].1, "it learns");

    let directory = tempfile::tempdir().unwrap();
    let run = RunDirectory::new(directory.path().join("run"));
    run.create(&run_settings(settings.clone()), &small(), None).unwrap();
    let mut losses = Vec::new();
    let mut part = trainer(settings.clone());
    for stop_after in [7, 6, u64::MAX] {
        let mut notes = Notes::new(stop_after);
        let outcome = part.run(Some(&recorder(&run)), &mut notes).unwrap();
        losses.extend(notes.losses);
        if outcome == Outcome::Interrupted {
            part = go_on(&run, settings.clone());
        }
    }
    assert_eq!(losses, whole.losses);
    assert_eq!(part.best_loss, uninterrupted.best_loss);
    for (a, b) in part.model.parameters().into_iter().zip(uninterrupted.model.parameters()) {
        assert_eq!(a.tensor().data(), b.tensor().data(), "{}", a.name());
    }
    // What the directory holds is a model with the same weights.
    let opened = checkpoint::load_trainable(run.path()).unwrap();
    assert_eq!(opened.parameters()[3].tensor().data(), part.model.parameters()[3].tensor().data());
    assert_eq!(run.read_settings().unwrap(), run_settings(settings));
}

#[test]
fn training_stops_at_a_loss_that_is_not_finite_and_keeps_what_was_saved() {
    let directory = tempfile::tempdir().unwrap();
    let run = RunDirectory::new(directory.path().join("run"));
    run.create(&run_settings(settings(9, 1, 4)), &small(), None).unwrap();
    let mut part = trainer(settings(9, 1, 4));
    part.run(Some(&recorder(&run)), &mut Notes::new(3)).unwrap();
    let kept = std::fs::read(run.file("state.safetensors")).unwrap();
    for parameter in part.model.parameters_mut() {
        if parameter.name() == "norm.weight" {
            parameter.tensor_mut().data_mut().fill(f32::INFINITY);
        }
    }
    let error = part.run(Some(&recorder(&run)), &mut Notes::new(u64::MAX)).unwrap_err();
    assert!(matches!(&error, Error::NotFinite { step: 4, tensor } if tensor == "the loss"), "{error}");
    assert_eq!(std::fs::read(run.file("state.safetensors")).unwrap(), kept);
}

#[test]
fn training_metrics_survive_half_a_line_and_are_cut_for_a_resumed_run() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("metrics.jsonl");
    let one = |step| Metrics {
        step,
        tokens: 10 * step,
        loss: 0.1 + step as f32,
        lr: 1e-3,
        grad_norm: 1.0,
        tokens_per_second: 5.0,
        load_balancing: 2.0,
        draft_loss: None,
        expert_load: vec![0.5, 0.25, 0.25],
        eval_loss: None,
        entropy_floor: None,
    };
    (1..=5).for_each(|step| one(step).append(&path).unwrap());
    std::fs::write(&path, std::fs::read_to_string(&path).unwrap() + "{\"step\": 6, \"to").unwrap();
    assert_eq!(metrics::read(&path, 10).unwrap().len(), 5);
    metrics::truncate::<Metrics>(&path, 3).unwrap();
    assert_eq!(metrics::read(&path, 10).unwrap(), [one(1), one(2), one(3)]);
    assert!((one(1).imbalance() - 1.5).abs() < 1e-6);
    std::fs::write(&path, "nonsense\n{}\n").unwrap();
    assert!(metrics::read(&path, 10).unwrap_err().to_string().contains("line 1"));
    assert!(metrics::read(Path::new("/nowhere/metrics.jsonl"), 1).unwrap().is_empty());
}

#[test]
fn training_evaluation_is_the_mean_over_every_token_whatever_the_batch() {
    let model = Transformer::random(&small(), 3);
    let set = trainer(settings(1, 1, 4)).evaluation.unwrap();
    let results: Vec<Evaluation> = [1, 3, 100].iter().map(|&batch| evaluate(&model, &set, batch)).collect();
    assert_eq!(results[0].tokens, windows().tokens());
    for result in &results {
        assert!((result.loss - results[0].loss).abs() < 1e-6);
        let bits = result.loss * result.tokens as f64 / std::f64::consts::LN_2 / 1000.0;
        assert!((result.bits_per_byte - bits).abs() < 1e-9);
        assert!((result.perplexity() - result.loss.exp()).abs() < 1e-9);
    }
}
