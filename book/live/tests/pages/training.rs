//! Training a very small model.

use super::{number, numbers};
use live::Live;
use ossia::data::story;
use ossia::error::Result;
use ossia::train::texts::{UNSEEN_SEED, stories};
use serde_json::{Value, json};

/// A run that is asked several questions.
struct Run {
    live: Live,
    started: Value,
}

impl Run {
    fn start(fault: &str) -> Self {
        let mut live = Live::default();
        let started = live.ask("training", &json!({"do": "start", "fault": fault, "seed": 1}).to_string()).unwrap();
        Self { live, started: serde_json::from_str(&started).unwrap() }
    }

    fn ask(&mut self, question: Value) -> Result<Value> {
        let answer = self.live.ask("training", &question.to_string())?;
        Ok(serde_json::from_str(&answer).unwrap())
    }

    /// Takes steps and returns their losses.
    fn step(&mut self, steps: usize, learning_rate: f64) -> Vec<f32> {
        let step = json!({"do": "step", "steps": steps, "learning_rate": learning_rate});
        numbers(&self.ask(step).unwrap()["losses"])
    }

    fn measure(&mut self) -> f32 {
        number(&self.ask(json!({"do": "measure"})).unwrap()["loss"])
    }
}

#[test]
fn a_small_model_learns_and_its_loss_begins_near_that_of_equal_probabilities() {
    let mut run = Run::start("none");
    let uniform = number(&run.started["uniform"]);
    assert!((run.measure() - uniform).abs() < 1.0);
    let losses = run.step(50, 3e-3);
    assert_eq!(losses.len(), 50);
    assert!(losses[49] < uniform - 1.5, "{losses:?}");
    assert!(run.measure() < uniform - 1.5);
    assert_eq!(Run::start("none").step(3, 3e-3), losses[..3], "the same seed gives the same run");
}

#[test]
fn the_floor_is_the_entropy_of_the_unseen_stories_per_token() {
    let started = Run::start("none").started;
    let unseen = stories(12, UNSEEN_SEED).unwrap().documents;
    let learned = stories(2_000, 0).unwrap().documents;
    let tokenizer = ossia::tokenizer::train(&learned, 384, &["<|endoftext|>"]).unwrap();
    let nats: f64 = unseen.iter().map(|text| -story::log_probability(text).unwrap()).sum();
    let tokens: usize = unseen.iter().map(|text| tokenizer.encode(text).len() + 1).sum();
    assert!((started["floor"].as_f64().unwrap() - nats / tokens as f64).abs() < 1e-9);
    assert_eq!(started["vocabulary"], json!(tokenizer.vocab_size()));
}

#[test]
fn targets_that_are_not_shifted_are_learned_and_help_nobody() {
    let mut run = Run::start("unshifted");
    let before = run.measure();
    let losses = [run.step(50, 3e-3), run.step(50, 3e-3)].concat();
    assert!(losses[99] < 0.1, "{losses:?}");
    assert!(run.measure() > before);
}

#[test]
fn a_frozen_embedding_keeps_its_numbers_and_the_rest_learns() {
    let losses = Run::start("frozen_embedding").step(50, 3e-3);
    assert!(losses[49] < losses[0]);
}

#[test]
fn a_learning_rate_that_is_far_too_high_is_no_panic() {
    let mut run = Run::start("high_learning_rate");
    for _ in 0..3 {
        _ = run.ask(json!({"do": "step", "steps": 10, "learning_rate": 1}));
        _ = run.ask(json!({"do": "measure"}));
    }
}

#[test]
fn bad_questions_about_training_are_errors() {
    let step = |steps: Value, rate: Value| json!({"do": "step", "steps": steps, "learning_rate": rate});
    let none = Live::default().ask("training", &step(json!(1), json!(0.1)).to_string()).unwrap_err();
    assert_eq!(none.to_string(), "no training has started");
    let mut run = Run::start("few_stories");
    for question in [
        step(json!(0), json!(0.1)),
        step(json!(1_000_000), json!(0.1)),
        step(json!(1), Value::Null),
        step(json!(1), json!(0)),
        step(json!(-1), json!(0.1)),
        json!({"do": "nothing"}),
        json!({"do": "start", "fault": "no such", "seed": 1}),
    ] {
        assert!(run.ask(question.clone()).is_err(), "{question}");
    }
}
