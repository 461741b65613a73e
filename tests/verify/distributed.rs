//! Training on several ranks: the same files as one process that computes all micro-batches, bit for bit.
//!
//! Book: [many_machines](../../book/src/many_machines.md)

use crate::training::{packed, settings, small, windows};
use ossia::collective::{Collective, run_threads};
use ossia::config::ModelConfig;
use ossia::data::{Batches, Windows};
use ossia::error::{Error, Result};
use ossia::layers::Layer;
use ossia::model::Transformer;
use ossia::parameter::Role;
use ossia::train::trainer::StepReport;
use ossia::train::{EvaluationSet, Method, Metrics, Monitor, Outcome, Recorder, RunDirectory, RunSettings};
use ossia::train::{Job, Session, Settings, Trainer};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A model whose embedding is large enough to be divided.
fn config() -> ModelConfig {
    ModelConfig { vocab_size: 3_000, router_aux_loss_coef: 0.5, ..small() }
}

fn trainer(settings: &Settings, windows: &Windows) -> Trainer {
    let batches = Batches::new(windows.clone(), settings.batch_size, settings.seed).unwrap();
    let set = EvaluationSet { windows: self::windows(), entropy_floor: Some(0.5), bytes: 1000 };
    Trainer::new(Transformer::random(&config(), 1), settings.clone(), batches, Some(set))
}

/// The results of a run: losses and validation losses as bits, and the files.
#[derive(Debug, PartialEq)]
struct Left {
    outcome: Outcome,
    losses: Vec<u32>,
    evaluations: Vec<u64>,
    files: Vec<Vec<u8>>,
}

/// Notes down what happens, and interrupts after some steps.
#[derive(Default)]
struct Notes {
    stop_after: Option<usize>,
    losses: Vec<u32>,
    evaluations: Vec<u64>,
}

impl Monitor for Notes {
    fn stepped(&mut self, _: &Trainer, loss: f32, metrics: Option<&Metrics>) {
        self.losses.push(loss.to_bits());
        self.evaluations.extend(metrics.and_then(|metrics| metrics.eval_loss).map(f64::to_bits));
    }
    fn interrupted(&self) -> bool {
        self.stop_after.is_some_and(|steps| self.losses.len() >= steps)
    }
}

fn run_settings(settings: &Settings) -> RunSettings {
    RunSettings { preset: "test".into(), settings: settings.clone(), ..RunSettings::default() }
}

/// Runs a rank to the end, in `run` if it is the first one.
fn run_rank(
    mut trainer: Trainer,
    ranks: Arc<dyn Collective>,
    group: usize,
    run: &RunDirectory,
    stop_after: Option<usize>,
) -> Left {
    let first = ranks.rank() == 0;
    trainer.join(ranks, group).unwrap();
    let recorder = first.then(|| Recorder::new(run.clone(), None));
    let mut notes = Notes { stop_after, ..Notes::default() };
    let outcome = trainer.run(recorder.as_ref(), &mut notes).unwrap();
    let read = |name: &str| std::fs::read(run.file(name)).unwrap();
    let files = if first { ["model.safetensors", "state.safetensors"].map(read).to_vec() } else { Vec::new() };
    Left { outcome, losses: notes.losses, evaluations: notes.evaluations, files }
}

/// Runs a job of `size` ranks, of which `group` hold the experts together, from the start, or from what `run` holds. Only the
/// given rank interrupts.
fn job(
    (size, group): (usize, usize),
    settings: &Settings,
    windows: &Windows,
    run: &RunDirectory,
    stop: Option<(usize, usize)>,
) -> Vec<Left> {
    let begun = run.has_state();
    if !begun {
        run.create(&run_settings(settings), &config(), None).unwrap();
    }
    run_threads(size, |rank| {
        let trainer = match begun {
            false => trainer(settings, windows),
            true => {
                let (saved, own) = (run.resume(&run_settings(settings)).unwrap(), trainer(settings, windows));
                Trainer::resume(saved, settings.clone(), windows.clone(), own.evaluation).unwrap()
            }
        };
        let ranks: Arc<dyn Collective> = Arc::new(rank);
        ranks.barrier().unwrap(); // all have read the state before one writes
        let stop = stop.and_then(|(rank, steps)| (rank == ranks.rank()).then_some(steps));
        run_rank(trainer, ranks, group, run, stop)
    })
}

fn directory() -> (tempfile::TempDir, RunDirectory) {
    let directory = tempfile::tempdir().unwrap();
    let run = RunDirectory::new(directory.path().join("run"));
    (directory, run)
}

/// Compares jobs of several sizes with one process that computes all micro-batches.
fn is_one_process(settings: &Settings, windows: &Windows, sizes: &[(usize, usize)]) {
    let (_kept, run) = directory();
    let alone = job((1, 1), settings, windows, &run, None).pop().unwrap();
    assert!(alone.evaluations.len() >= 2 && alone.files.iter().all(|file| file.len() > 100_000));
    for &size in sizes {
        let (_kept, run) = directory();
        for (rank, left) in job(size, settings, windows, &run, None).into_iter().enumerate() {
            assert_eq!(left.losses, alone.losses, "rank {rank} of {size:?}");
            assert_eq!(left.evaluations, alone.evaluations, "rank {rank} of {size:?}");
            assert!(rank > 0 || left.files == alone.files, "the files of {size:?} ranks");
        }
    }
}

#[test]
fn distributed_ranks_train_as_one_process_does() {
    for optimizer in [Method::AdamW, Method::Muon] {
        let of = |accumulate| Settings { optimizer, ..settings(5, accumulate, 2) };
        is_one_process(&of(8), &windows(), &[(2, 1), (4, 1), (8, 1)]);
        is_one_process(&of(5), &windows(), &[(2, 1), (3, 1)]); // the last round has fewer micro-batches than ranks
    }
}

/// With experts on several ranks, alone or in several groups, and more than one round. The validation batches cannot be divided
/// evenly.
#[test]
fn distributed_experts_train_as_on_one_rank() {
    for optimizer in [Method::AdamW, Method::Muon] {
        let of = |accumulate| Settings { optimizer, ..settings(5, accumulate, 2) };
        is_one_process(&of(4), &windows(), &[(2, 2), (4, 2), (4, 4)]);
        is_one_process(&of(8), &windows(), &[(4, 2), (8, 2), (8, 4)]);
    }
}

/// Windows with few and with many targets.
#[test]
fn distributed_ranks_divide_packed_windows() {
    is_one_process(&settings(5, 4, 1), &packed(), &[(2, 1), (3, 1), (4, 1), (4, 2)]);
}

#[test]
fn distributed_runs_resume_with_any_number_of_ranks() {
    let settings = Settings { optimizer: Method::Muon, ..settings(6, 4, 1) };
    let (_kept, run) = directory();
    let alone = job((1, 1), &settings, &windows(), &run, None).pop().unwrap();
    let (_kept, run) = directory();
    // Any rank may be the one that is interrupted. All of them stop then.
    for (size, stop) in [((4, 4), (2, 2)), ((1, 1), (0, 1)), ((4, 2), (0, 1)), ((2, 1), (1, 1))] {
        let left = job(size, &settings, &windows(), &run, Some(stop));
        assert!(left.iter().all(|left| left.outcome == Outcome::Interrupted), "{size:?} ranks");
    }
    let end = job((3, 1), &settings, &windows(), &run, None);
    assert_eq!(end[0].files, alone.files);
    assert_eq!(end[0].losses, alone.losses[5..]);
}

/// Takes three steps alone and on ranks, with the same reports and the same weights. Returns the reports.
fn takes_the_same_steps(start: impl Fn() -> Trainer + Sync, sizes: &[usize]) -> Vec<StepReport> {
    let steps = |trainer: &mut Trainer| (0..3).map(|_| trainer.step().unwrap()).collect::<Vec<_>>();
    let mut alone = start();
    let expected = steps(&mut alone);
    for &size in sizes {
        let trainers = run_threads(size, |rank| {
            let mut trainer = start();
            trainer.join(Arc::new(rank), 1).unwrap();
            assert_eq!(steps(&mut trainer), expected);
            trainer
        });
        for trainer in trainers {
            for (a, b) in trainer.model.parameters().into_iter().zip(alone.model.parameters()) {
                assert_eq!(a.tensor().data(), b.tensor().data(), "{}", a.name());
            }
        }
    }
    expected
}

/// All tokens visit the same two experts, so the others have no tokens on any rank.
#[test]
fn distributed_ranks_train_with_idle_experts() {
    let biased = || {
        let mut trainer = trainer(&settings(3, 4, 1), &windows());
        for parameter in trainer.model.parameters_mut() {
            if parameter.role() == Role::Bias && parameter.name().contains("router") {
                parameter.tensor_mut().data_mut()[..2].fill(50.0);
            }
        }
        trainer
    };
    let reports = takes_the_same_steps(biased, &[2, 4]);
    assert!(reports[0].expert_load[2..].iter().all(|&visits| visits == 0), "{reports:?}");
}

/// Each rank keeps the moments of its share. The shares are whole matrices with Muon, and together they are everything.
#[test]
fn distributed_ranks_divide_the_moments() {
    for optimizer in [Method::AdamW, Method::Muon] {
        let settings = Settings { optimizer, ..settings(1, 4, 1) };
        let count = |trainer: &Trainer| -> Vec<usize> {
            trainer.optimizer.moments().iter().map(|moments| moments.m.len()).collect()
        };
        let whole = count(&trainer(&settings, &windows()));
        let parts = run_threads(4, |rank| {
            let mut trainer = trainer(&settings, &windows());
            trainer.join(Arc::new(rank), 1).unwrap();
            count(&trainer)
        });
        let total: usize = whole.iter().sum();
        let one = trainer(&settings, &windows());
        for (i, parameter) in one.model.parameters().into_iter().enumerate() {
            let unit = one.optimizer.unit(parameter);
            let divided = optimizer == Method::Muon && matches!(parameter.role(), Role::Matrix | Role::Expert);
            assert!(!divided || parts.iter().all(|part| part[i].is_multiple_of(unit)), "{}", parameter.name());
        }
        for (i, whole) in whole.iter().enumerate() {
            assert_eq!(parts.iter().map(|part| part[i]).sum::<usize>(), *whole);
        }
        for part in &parts {
            let part: usize = part.iter().sum();
            assert!(part.abs_diff(total / 4) <= 16_384, "{part} of {total}");
        }
    }
}

/// A model without experts, whose embedding is frozen.
#[test]
fn distributed_ranks_train_dense_models_with_frozen_parameters() {
    let settings = settings(3, 4, 1);
    let config = ModelConfig { dense_layers: vec![0, 1], dense_intermediate_size: 10, ..config() };
    let dense = || {
        let mut model = Transformer::random(&config, 1);
        model.parameters_mut().into_iter().filter(|p| p.role() == Role::Embedding).for_each(|p| p.detach());
        let batches = Batches::new(windows(), settings.batch_size, settings.seed).unwrap();
        Trainer::new(model, settings.clone(), batches, None)
    };
    takes_the_same_steps(dense, &[2, 4]);
}

/// An output projection that is large enough to be sent while the backward pass goes on.
#[test]
fn distributed_ranks_send_gradients_early() {
    let settings = settings(3, 5, 1);
    let config = ModelConfig { vocab_size: 17_000, tied: false, ..config() };
    let large = |checkpoint_activations| {
        let mut model = Transformer::random(&config, 1);
        model.checkpoint_activations = checkpoint_activations;
        let batches = Batches::new(windows(), settings.batch_size, settings.seed).unwrap();
        Trainer::new(model, settings.clone(), batches, None)
    };
    takes_the_same_steps(|| large(false), &[2, 3, 5]);
    takes_the_same_steps(|| large(true), &[3]);
}

#[test]
fn distributed_ranks_stop_together_at_a_loss_that_is_not_finite() {
    let errors = run_threads(3, |rank| {
        let mut trainer = trainer(&settings(3, 3, 1), &windows());
        let broken = rank.rank() == 1;
        trainer.join(Arc::new(rank), 1).unwrap();
        for parameter in trainer.model.parameters_mut() {
            if broken && parameter.name() == "norm.weight" {
                parameter.tensor_mut().data_mut().fill(f32::INFINITY);
            }
        }
        trainer.step().map(drop).unwrap_err().to_string()
    });
    for error in errors {
        assert!(error.starts_with("step 1: the loss is not finite"), "{error}");
    }
}

#[test]
fn distributed_ranks_say_who_is_gone() {
    let results: Vec<Result<()>> = run_threads(3, |rank| {
        let mut trainer = trainer(&settings(50, 3, 1), &windows());
        let last = rank.rank() == 2;
        trainer.join(Arc::new(rank), 1).unwrap();
        let steps = if last { 4 } else { 50 };
        (0..steps).try_for_each(|_| trainer.step().map(drop))
    });
    assert!(results[2].is_ok());
    for result in &results[..2] {
        assert!(matches!(result, Err(Error::Rank { .. })), "{result:?}");
    }
    assert!(
        results.iter().flat_map(|result| result.as_ref().err()).any(|error| error.to_string().starts_with("rank 2"))
    );
}

/// No rank waits for one that has panicked.
#[test]
fn distributed_ranks_end_if_the_first_one_panics() {
    struct Panics;
    impl Monitor for Panics {
        fn stepped(&mut self, _: &Trainer, _: f32, _: Option<&Metrics>) {
            panic!("a monitor panics");
        }
    }
    for (ranks, group) in [(3, 1), (4, 2)] {
        let (_kept, run) = directory();
        let settings = Settings { accumulate: ranks, ..Settings::new(5, 1, 32, 1e-3) };
        let settings = RunSettings { stories: 50, settings, ..RunSettings::default() };
        let mut session = Session::start(Job::alone(), config(), settings, None, run, &mut |_| {}).unwrap();
        session.divide(ranks, group).unwrap();
        let outcome = catch_unwind(AssertUnwindSafe(|| session.run(&mut Panics).map(drop)));
        assert_eq!(outcome.unwrap_err().downcast_ref(), Some(&"a monitor panics"));
    }
}

#[test]
fn distributed_ranks_are_at_most_as_many_as_micro_batches() {
    let errors =
        run_threads(3, |rank| trainer(&settings(1, 2, 1), &windows()).join(Arc::new(rank), 1).unwrap_err().to_string());
    assert!(errors.iter().all(|error| error.starts_with("3 ranks: expected 1 to 2")), "{errors:?}");
}
