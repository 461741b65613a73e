//! Steps of learning: rewards rise, runs repeat, and what teaches nothing changes nothing.

use super::{TOKENIZER, config, no_tools, problems, rollouts};
use ossia::layers::Layer;
use ossia::model::Transformer;
use ossia::tasks::{Problem, Rollout, Task};
use ossia::train::rl::policy::PackedRollouts;
use ossia::train::rl::reward::total;
use ossia::train::rl::{Learner, Objective, Price, Reinforcement, Reward, mismatch};
use ossia::train::{Method, Optimizer, Settings};

fn learner<'t>(rl: Reinforcement, settings: Settings, seed: u64) -> Learner<'t> {
    let model = Transformer::random(&config(), seed);
    let optimizer = Optimizer::new(settings.optimizer, settings.adamw.clone(), &model.parameters());
    Learner {
        model,
        optimizer,
        settings,
        rl,
        task: Task::Arithmetic,
        tokenizer: &TOKENIZER,
        start: None,
        tools: &no_tools,
        step: 0,
    }
}

/// With a price per token, replies become shorter; the same seed gives the same steps.
#[test]
fn rl_price_per_token_shortens_replies() {
    let settings = Settings { optimizer: Method::AdamW, ..Settings::new(30, 3, 160, 3e-3) };
    let rl = Reinforcement {
        longest: 24,
        samples: 8,
        price: Price { low: 0.1, medium: 0.1, high: 0.1 },
        ..Reinforcement::default()
    };
    for objective in [Objective::Reinforce, Objective::Cispo { clip: 0.2 }, Objective::Gspo { clip: 0.2 }] {
        let rl =
            Reinforcement { objective, updates: if objective == Objective::Reinforce { 1 } else { 2 }, ..rl.clone() };
        let mut learner = learner(rl, settings.clone(), 1);
        let lengths: Vec<f64> = (0..30).map(|_| learner.take_step().unwrap().rollouts.total().length()).collect();
        let mean = |steps: &[f64]| steps.iter().sum::<f64>() / steps.len() as f64;
        assert!(mean(&lengths[25..]) < 0.6 * mean(&lengths[..3]), "{objective:?}: {lengths:?}");
    }
}

#[test]
fn rl_steps_are_the_same_for_the_same_seed() {
    let settings = Settings { optimizer: Method::AdamW, ..Settings::new(3, 3, 160, 3e-3) };
    let rl =
        Reinforcement { longest: 12, price: Price { low: 0.1, medium: 0.2, high: 0.3 }, ..Reinforcement::default() };
    let steps = |rl: &Reinforcement| {
        let mut learner = learner(rl.clone(), settings.clone(), 1);
        (0..3).map(|_| learner.take_step().unwrap()).collect::<Vec<_>>()
    };
    let first = steps(&rl);
    assert_eq!(first, steps(&rl));
    assert!(first.iter().all(|step| step.grad_norm > 0.0 && step.mismatch.is_none()));
    let fast = steps(&Reinforcement { fast_rollouts: true, replay: true, ..rl });
    assert!(fast.iter().all(|step| step.mismatch.as_ref().is_some_and(|found| found.mean > 0.0)));
}

/// The policy is pulled back to the model with which it started.
#[test]
fn rl_divergence_from_the_start_is_held_back() {
    let settings = Settings { optimizer: Method::AdamW, ..Settings::new(12, 3, 160, 3e-3) };
    let price = Price { low: 0.1, medium: 0.1, high: 0.1 };
    let rl = Reinforcement { longest: 12, price, ..Reinforcement::default() };
    let distance = |kl: f32| {
        let mut learner = learner(Reinforcement { kl, ..rl.clone() }, settings.clone(), 1);
        let start = learner.model.detached();
        learner.start = (kl > 0.0).then(|| start.clone());
        (0..12).for_each(|_| drop(learner.take_step().unwrap()));
        let drawn = rollouts(1.0).draw(&start, &problems(6), 4, 0).unwrap().concat();
        let all: Vec<&Rollout> = drawn.iter().collect();
        mismatch(&learner.model, &PackedRollouts::all(&all, &start, false)).divergence
    };
    assert!(distance(2.0) < 0.3 * distance(0.0), "{} {}", distance(2.0), distance(0.0));
}

/// Equal rewards teach nothing: the step is counted, and the model does not change.
#[test]
fn rl_groups_with_equal_rewards_are_skipped() {
    let settings = Settings { optimizer: Method::AdamW, ..Settings::new(3, 3, 160, 1e-2) };
    let mut learner = learner(Reinforcement { longest: 6, ..Reinforcement::default() }, settings, 1);
    let before: Vec<Vec<f32>> = learner.model.parameters().iter().map(|p| p.value().to_f32()).collect();
    let step = learner.take_step().unwrap();
    assert_eq!((step.skipped, step.grad_norm, learner.step, learner.optimizer.steps()), (3, 0.0, 1, 0));
    assert_eq!(step.rollouts.total().right, 0, "nobody guesses a sum in six tokens");
    let after: Vec<Vec<f32>> = learner.model.parameters().iter().map(|p| p.value().to_f32()).collect();
    assert!(before == after);
}

struct Broken(f32);

impl Reward for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }
    fn reward(&self, _: &Problem, _: &Rollout) -> f32 {
        self.0
    }
}

#[test]
fn rl_rewards_that_are_no_numbers_are_refused() {
    let model = Transformer::random(&config(), 5);
    let problem = problems(1).remove(0);
    let rollout = rollouts(1.0).draw(&model, std::slice::from_ref(&problem), 1, 0).unwrap().concat().remove(0);
    for value in [f32::NAN, f32::INFINITY] {
        let error = total(&[Box::new(Broken(value))], &problem, &rollout).unwrap_err().to_string();
        assert_eq!(error, format!("the reward \"broken\" is {value}; expected a finite number"));
    }
    assert_eq!(total(&[Box::new(Broken(0.25)), Box::new(Broken(0.5))], &problem, &rollout).unwrap(), 0.75);
}
