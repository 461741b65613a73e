//! Drafts: the text keeps its distribution, whatever is drafted, and training takes the same steps in every division.
//!
//! Book: [drafts](../../book/src/drafts.md)

use crate::common::assert_close;
use crate::training::{settings, windows};
use ndarray::ArrayView2;
use ossia::checkpoint;
use ossia::collective::run_threads;
use ossia::config::ModelConfig;
use ossia::data::Batches;
use ossia::error::Result;
use ossia::generate::generation::{Generation, Reader, Writer};
use ossia::generate::speculative::accept;
use ossia::generate::{Drafter, Generator, MtpDrafter, Plain, Sampler, Sampling, Speculative};
use ossia::layers::{KvCache, Layer};
use ossia::model::Transformer;
use ossia::tokenizer::TokenSet;
use ossia::train::{Settings, Trainer};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use std::sync::Arc;

/// A model with windows that the texts of the tests exceed, and a module for multi-token prediction.
fn model(vocab_size: usize, seed: u64) -> Transformer {
    let config = ModelConfig {
        layers: 3,
        windows: vec![Some(4), None, Some(7)],
        hidden_size: 16,
        heads: 2,
        kv_heads: 1,
        head_dim: 8,
        vocab_size,
        experts: 4,
        intermediate_size: 16,
        context: 40,
        mtp_layers: 1,
        ..ModelConfig::nano()
    };
    Transformer::random(&config, seed)
}

/// Drafts with another model, without a cache: simple, and surely right.
struct Simple(Transformer);

impl Drafter for Simple {
    fn logits(&mut self, text: &[u32], _: &[f32]) -> Result<Option<Vec<f32>>> {
        Ok(Some(Generator::new(&self.0, text, Sampling::default())?.logits()?.to_vec()))
    }
}

/// Drafts by a rule: always the same token, which may be a bad one.
struct Stubborn(usize, u32);

impl Drafter for Stubborn {
    fn logits(&mut self, _: &[u32], _: &[f32]) -> Result<Option<Vec<f32>>> {
        Ok(Some((0..self.0).map(|token| if token == self.1 as usize { 9.0 } else { 0.0 }).collect()))
    }
}

fn drafters(model: &Transformer) -> Vec<(&'static str, Box<dyn Drafter>)> {
    let vocab = model.config.vocab_size;
    vec![
        ("the model itself", Box::new(Simple(model.clone()))),
        ("another model", Box::new(Simple(self::model(vocab, 99)))),
        ("multi-token prediction", Box::new(MtpDrafter::new(model).unwrap())),
        ("always the same token", Box::new(Stubborn(vocab, 1))),
    ]
}

const PROMPT: [u32; 5] = [3, 1, 2, 0, 2];

#[test]
fn drafts_leave_greedy_texts_as_they_are() {
    let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
    for seed in 0..4 {
        let model = model(30, seed);
        let expected: Result<Vec<u32>> =
            Generator::new(&model, &PROMPT, greedy.clone()).unwrap().generate(99, &[]).collect();
        let expected = expected.unwrap();
        assert_eq!(expected.len(), 36, "the whole context, and a token more");
        for most in 1..6 {
            for (name, drafter) in drafters(&model) {
                let mut writer =
                    Speculative::new(&model, drafter, most, (&PROMPT, &mut |_, _| {}), greedy.clone()).unwrap();
                let text: Result<Vec<u32>> = Generation::new(&mut writer, Plain::new(99, &[])).collect();
                assert_eq!(text.unwrap(), expected, "{name}, {most} at once");
                let found = writer.statistics();
                // The logits of the first new token are known from the prompt.
                assert_eq!(found.passes + found.accepted, 35, "{name}: {found:?}");
                if name == "the model itself" {
                    assert_eq!(found.accepted, found.drafted, "a model agrees with itself");
                }
            }
        }
    }
}

/// The probabilities of all texts of `length` tokens after the prompt.
fn exact(model: &Transformer, sampling: &Sampling, allowed: Option<&TokenSet>, length: usize) -> Vec<f64> {
    let vocab = model.config.vocab_size;
    let mut all = vec![(PROMPT.to_vec(), 1.0)];
    for _ in 0..length {
        let continued = all.into_iter().flat_map(|(text, p)| {
            let mut logits = Generator::new(model, &text, Sampling::default()).unwrap().logits().unwrap().to_vec();
            allowed.iter().for_each(|allowed| allowed.mask(&mut logits));
            let mut sampler = Sampler::new(sampling.clone());
            sampler.restart(&text);
            let next = sampler.probabilities(&logits);
            (0..vocab as u32)
                .map(move |token| ([&text[..], &[token]].concat(), p * next[token as usize]))
                .collect::<Vec<_>>()
        });
        all = continued.collect();
    }
    all.into_iter().map(|(_, p)| p).collect()
}

/// Pearson's χ² of counts against probabilities, with the cells of fewer than 5 expected counts together, and the number of cells.
fn chi_square(counts: &[usize], p: &[f64]) -> (f64, usize) {
    let n = counts.iter().sum::<usize>() as f64;
    let (mut rest, mut cells) = ([0.0, 0.0], Vec::new());
    for (&count, &p) in counts.iter().zip(p) {
        if p == 0.0 {
            assert_eq!(count, 0, "an impossible text");
        } else if n * p < 5.0 {
            rest = [rest[0] + count as f64, rest[1] + n * p];
        } else {
            cells.push([count as f64, n * p]);
        }
    }
    cells.extend((rest[1] > 0.0).then_some(rest));
    (cells.iter().map(|[count, expected]| (count - expected).powi(2) / expected).sum(), cells.len())
}

/// The value that χ² with so many cells exceeds with a probability of 10⁻⁵ (Wilson and Hilferty).
fn limit(cells: usize) -> f64 {
    let freedom = (cells - 1) as f64;
    freedom * (1.0 - 2.0 / (9.0 * freedom) + 4.265 * (2.0 / (9.0 * freedom)).sqrt()).powi(3)
}

/// Draws texts of 3 tokens, and counts each of them.
fn drawn(
    model: &Transformer,
    drafter: &dyn Fn() -> Box<dyn Drafter>,
    sampling: &Sampling,
    allowed: Option<&TokenSet>,
) -> Vec<usize> {
    let vocab = model.config.vocab_size;
    let mut counts = vec![0; vocab.pow(3)];
    let mut writer = Speculative::new(model, drafter(), 3, (&PROMPT[..1], &mut |_, _| {}), sampling.clone()).unwrap();
    for _ in 0..6_000 {
        // The prompt is read again, so that the first of the new tokens is drafted as well.
        writer.go_to(&PROMPT[..4], &mut |_, _| {}).unwrap();
        writer.push(PROMPT[4]).unwrap();
        let mut cell = 0;
        for _ in 0..3 {
            let token = writer.choose(allowed).unwrap().unwrap();
            writer.push(token).unwrap();
            cell = cell * vocab + token as usize;
        }
        counts[cell] += 1;
    }
    assert!(writer.statistics().drafted > 10_000);
    counts
}

#[test]
fn drafts_leave_the_distribution_as_it_is() {
    let model = model(4, 3);
    let plain = Sampling { temperature: 0.7, ..Sampling::default() };
    let filtered = Sampling { top_p: 0.9, repetition_penalty: 1.3, ..plain.clone() };
    let mut some = TokenSet::new(4);
    [0, 2, 3].into_iter().for_each(|token| some.insert(token));
    for (sampling, allowed) in [(&plain, None), (&filtered, None), (&plain, Some(&some))] {
        let p = exact(&model, sampling, allowed, 3);
        for drafter in 0..4 {
            let name = drafters(&model)[drafter].0;
            let counts = drawn(&model, &|| drafters(&model).swap_remove(drafter).1, sampling, allowed);
            let (found, cells) = chi_square(&counts, &p);
            assert!(found < limit(cells), "{name}, {sampling:?}: χ² of {cells} cells is {found}");
        }
    }
    // The test tells distributions apart.
    let other = exact(&self::model(4, 99), &plain, None, 3);
    let counts = drawn(&model, &|| Box::new(Simple(self::model(4, 99))), &plain, None);
    let (found, cells) = chi_square(&counts, &other);
    assert!(found > 2.0 * limit(cells), "χ² against the distribution of the draft model is {found}");
}

#[test]
fn drafts_are_accepted_as_often_as_two_distributions_agree() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for case in 0..20 {
        let mut distribution = || {
            let weights: Vec<f64> = (0..6).map(|_| rng.random::<f64>().powi(1 + case % 5)).collect();
            let total: f64 = weights.iter().sum();
            weights.iter().map(|w| w / total).collect::<Vec<f64>>()
        };
        let (p, q) = (distribution(), distribution());
        let (mut counts, mut accepted, n) = ([0; 6], 0, 20_000);
        for _ in 0..n {
            let mut rest: f64 = rng.random();
            let below = |&i: &usize| {
                rest -= q[i];
                rest < 0.0
            };
            let draft = (0..5).find(below).unwrap_or(5) as u32;
            let token = accept(draft, &q, &p, &mut || rng.random());
            counts[token as usize] += 1;
            accepted += usize::from(token == draft);
        }
        let (found, cells) = chi_square(&counts, &p);
        assert!(found < limit(cells), "case {case}: {found}");
        let rate: f64 = p.iter().zip(&q).map(|(p, q)| p.min(*q)).sum();
        assert!(
            (accepted as f64 / f64::from(n) - rate).abs() < 0.02,
            "case {case}: {accepted} of {n}, expected {rate}"
        );
    }
}

/// Removing tokens leaves the cache of the tokens before them, also when a ring has wrapped around.
#[test]
fn drafts_that_are_rejected_leave_no_trace_in_the_cache() {
    let model = model(30, 5).detached();
    let windows = &model.config.windows;
    let tokens: Vec<u32> = (0..40).map(|i| (i * 37 + i * i) % 30).collect();
    let run = |cache: &mut KvCache, tokens: &[u32]| {
        let rows = ArrayView2::from_shape((1, tokens.len()), tokens).unwrap();
        model.logits(&model.forward(rows, Some(cache)).hidden).data().to_vec()
    };
    for spare in [0, 1, 3, 8] {
        for (before, removed) in (1..30).flat_map(|before| (0..=8).map(move |removed| (before, removed))) {
            let mut cache = KvCache::with_spare(windows, &model.config, spare);
            run(&mut cache, &tokens[..before]);
            if removed > 0 {
                run(&mut cache, &vec![29; removed]);
            }
            // A ring of W + S places that has not wrapped around has everything.
            let possible = removed <= spare || before + removed <= 4 + spare;
            assert_eq!(cache.truncate(before), possible, "{removed} after {before}, {spare} spare");
            if possible {
                let mut fresh = KvCache::new(&model.config);
                run(&mut fresh, &tokens[..before]);
                let [actual, expected] = [&mut cache, &mut fresh].map(|cache| run(cache, &tokens[before..before + 5]));
                assert_close(&format!("{removed} after {before}"), &actual, &expected, 1e-5);
            }
        }
    }
}

fn trainer(settings: &Settings, recompute: bool) -> Trainer {
    let config = ModelConfig { mtp_layers: 1, router_aux_loss_coef: 0.5, ..crate::training::small() };
    let mut model = Transformer::random(&config, 1);
    model.checkpoint_activations = recompute;
    Trainer::new(model, settings.clone(), Batches::new(windows(), settings.batch_size, 5).unwrap(), None)
}

/// Returns what two steps report, and the weights after them.
fn two_steps(mut trainer: Trainer) -> (Vec<[f32; 3]>, Vec<f32>) {
    let mut step = || {
        let report = trainer.step().unwrap();
        [report.loss, report.load_balancing, report.draft_loss.unwrap()]
    };
    let losses = vec![step(), step()];
    (losses, trainer.model.parameters().iter().flat_map(|parameter| parameter.tensor().data().to_vec()).collect())
}

#[test]
fn drafts_are_learned_in_the_same_steps_however_these_are_divided() {
    let one = two_steps(trainer(&settings(4, 1, 4), false));
    assert_eq!(two_steps(trainer(&settings(4, 1, 4), true)), one, "gradient checkpointing");
    let parts = two_steps(trainer(&settings(4, 4, 1), false));
    assert_close("losses", &parts.0.concat(), &one.0.concat(), 1e-4);
    assert_close("weights", &parts.1, &one.1, 1e-3);
    for size in [2, 4] {
        let of_ranks = run_threads(size, |ranks| {
            let mut trainer = trainer(&settings(4, 4, 1), false);
            trainer.join(Arc::new(ranks), 1).unwrap();
            two_steps(trainer)
        });
        for found in of_ranks {
            assert!(found == parts, "{size} ranks");
        }
    }
    // The module learns, and so does the model through it.
    let weighty = Settings { mtp_weight: Some(0.0), ..settings(4, 1, 4) };
    let without = two_steps(trainer(&weighty, false));
    assert!(without.0[1][2] > one.0[1][2], "the loss of drafts falls: {:?}, {:?}", without.0, one.0);
    assert!(without.1 != one.1);
}

#[test]
fn drafts_module_is_saved_beside_the_model() {
    let directory = tempfile::tempdir().unwrap();
    let model = model(30, 2);
    checkpoint::save_weights(&model, directory.path()).unwrap();
    let loaded = checkpoint::load_trainable(directory.path()).unwrap();
    for (saved, read) in model.parameters().into_iter().zip(loaded.parameters()) {
        assert_eq!(saved.name(), read.name());
        assert_eq!(saved.tensor().data(), read.tensor().data(), "{}", saved.name());
    }
    let main = checkpoint::TensorFile::open(directory.path().join("model.safetensors")).unwrap();
    assert!(
        main.names().all(|name| !name.contains("mtp")),
        "transformers finds the tensors that it knows, and no others"
    );
    std::fs::remove_file(directory.path().join("mtp.safetensors")).unwrap();
    let error = checkpoint::load(directory.path()).err().unwrap().to_string();
    assert!(error.contains("mtp.safetensors") && error.lines().count() == 1, "{error}");
}
