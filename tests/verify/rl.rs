//! Reinforcement learning: objectives as in PyTorch, rollouts that the trainer sees as the sampler does, and rewards that rise.
//!
//! Book: [reinforcement](../../book/src/reinforcement.md)

mod learning;
mod tasks;

use crate::common::{assert_close, random, reference_path};
use ndarray::ArrayView2;
use ossia::config::ModelConfig;
use ossia::data::{Batches, IGNORE};
use ossia::harmony::{Effort, Harmony, Message, MessageRole};
use ossia::layers::{Adapter, Layer, Target, lora};
use ossia::model::Transformer;
use ossia::ops::cross_entropy::{cross_entropy, weighted_cross_entropy};
use ossia::ops::elementwise::{add, ln, mul, scale};
use ossia::ops::reduce::sum;
use ossia::parameter::{Parameter, Random};
use ossia::tasks::arithmetic;
use ossia::tasks::{Answer, Problem, Rollout, Rollouts, Task, Tools};
use ossia::tensor::{Gradients, Tensor, array, slice};
use ossia::tokenizer::Tokenizer;
use ossia::train::chats::windows;
use ossia::train::rl::objective::{Counts, Written};
use ossia::train::rl::policy::{PackedRollouts, gradients, log_probabilities};
use ossia::train::rl::{Objective, advantages, mismatch};
use ossia::train::{Method, Settings, Trainer};
use proptest::prelude::*;
use serde_json::Value;
use std::sync::LazyLock;

static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(|| arithmetic::tokenizer(320).unwrap());

fn config() -> ModelConfig {
    ModelConfig {
        layers: 2,
        windows: vec![Some(16), None],
        hidden_size: 32,
        heads: 2,
        kv_heads: 1,
        head_dim: 16,
        vocab_size: TOKENIZER.vocab_size(),
        experts: 4,
        experts_per_token: 2,
        intermediate_size: 32,
        context: 256,
        router_aux_loss_coef: 0.0,
        ..ModelConfig::nano()
    }
}

fn no_tools() -> Tools {
    Box::new(|_| None)
}

fn rollouts(temperature: f32) -> Rollouts<'static> {
    Rollouts {
        harmony: Harmony::new(&TOKENIZER).unwrap(),
        longest: 24,
        temperature,
        tools: &no_tools,
        record_routing: true,
    }
}

fn problems(count: u64) -> Vec<Problem> {
    (0..count).map(|i| Task::Arithmetic.problem(3, i, false)).collect()
}

#[test]
fn rl_objectives_have_the_gradients_of_pytorch() {
    let text = std::fs::read_to_string(reference_path("rl.json")).unwrap();
    let reference: Value = serde_json::from_str(&text).unwrap();
    let numbers = |value: &Value| -> Vec<f32> { serde_json::from_value(value.clone()).unwrap() };
    let lists = |key: &str| -> Vec<Vec<f32>> { reference[key].as_array().unwrap().iter().map(numbers).collect() };
    let [old, now, start] = ["old", "now", "start"].map(lists);
    let of = Counts { tokens: old.concat().len(), rollouts: old.len() };
    for (name, objective, kl) in [
        ("reinforce", Objective::Reinforce, 0.0),
        ("cispo 0.2", Objective::Cispo { clip: 0.2 }, 0.0),
        ("gspo 0.2", Objective::Gspo { clip: 0.2 }, 0.0),
        ("gspo 0.02", Objective::Gspo { clip: 0.02 }, 0.0),
        ("reinforce kl 0.5", Objective::Reinforce, 0.5),
        ("cispo 0.2 kl 0.1", Objective::Cispo { clip: 0.2 }, 0.1),
    ] {
        for (i, advantage) in numbers(&reference["advantages"]).into_iter().enumerate() {
            let start = (kl > 0.0).then_some(&start[i][..]);
            let written = Written { advantage, old: &old[i], now: &now[i], start };
            // The weights are those of −ln π.
            let gradient: Vec<f32> = objective.weights(written, kl, of).iter().map(|w| -w).collect();
            assert_close(&format!("{name} {i}"), &gradient, &numbers(&reference["gradients"][name][i]), 1e-5);
        }
    }
    let zeros =
        |name: &str| reference["gradients"][name].as_array().unwrap().iter().flat_map(numbers).any(|g| g == 0.0);
    assert!(zeros("gspo 0.02") && !zeros("cispo 0.2"), "the clip of GSPO leaves rollouts out; that of CISPO none");
}

/// On the policy that wrote the rollouts, all ratios are 1, and CISPO is REINFORCE, bit for bit.
#[test]
fn rl_cispo_on_policy_is_reinforce() {
    let old = [-0.5, -1.5, -0.25];
    let written = Written { advantage: 0.75, old: &old, now: &old, start: Some(&old) };
    let of = Counts { tokens: 9, rollouts: 2 };
    let expected = Objective::Reinforce.weights(written, 0.0, of);
    assert_eq!(Objective::Cispo { clip: 0.2 }.weights(written, 0.3, of), expected);
    assert_eq!(expected, [0.75 / 9.0; 3]);
}

proptest! {
    #[test]
    fn rl_advantages_of_a_group_sum_to_zero(rewards in proptest::collection::vec(-10.0_f32..10.0, 2..20)) {
        match advantages(&rewards) {
            None => assert!(rewards.iter().all(|reward| *reward == rewards[0])),
            Some(advantages) => {
                let scale = rewards.iter().fold(1.0_f32, |a, b| a.max(b.abs()));
                assert!(advantages.iter().sum::<f32>().abs() < 1e-4 * scale);
                // Each lies as far below its reward as the mean is above 0, up to rounding of the largest number.
                let mean = rewards.iter().sum::<f32>() / rewards.len() as f32;
                assert!(rewards.iter().zip(&advantages).all(|(r, a)| (r - a - mean).abs() < 1e-5 * scale));
            }
        }
        assert!(advantages(&vec![rewards[0]; rewards.len()]).is_none(), "equal rewards teach nothing");
    }
}

/// The weighted cross-entropy equals Σ w · (−ln softmax), made of elementary operations; and with equal weights it is the mean, bit for
/// bit.
#[test]
fn rl_weighted_cross_entropy_has_the_gradients_of_its_parts() {
    let targets = [3, IGNORE, 0, 6, 2];
    let weights = [0.5, 9.0, -0.25, 0.0, 0.125];
    let [h, w, u, b] = [[5, 4], [7, 4], [5, 2], [7, 2]].map(|shape| Tensor::parameter(random(&shape, shape[0] as u64)));
    let naive = |h: &Tensor| {
        let logits = add(&ossia::ops::linear::linear(h, &w, None), &ossia::ops::linear::linear(&u, &b, None));
        let mut total = Tensor::constant(array(&[1], vec![0.0]));
        for (row, (&target, weight)) in targets.iter().zip(weights).enumerate().filter(|(_, (t, _))| **t != IGNORE) {
            let pick = |column: usize| {
                let mut mask = vec![0.0; 35];
                mask[7 * row + column] = 1.0;
                Tensor::constant(array(&[5, 7], mask))
            };
            let exps = ossia::ops::elementwise::exp(&logits);
            let mut of_row = vec![0.0; 35];
            of_row[7 * row..][..7].fill(1.0);
            let normalizer = ln(&sum(&mul(&exps, &Tensor::constant(array(&[5, 7], of_row)))));
            let z = sum(&mul(&logits, &pick(target as usize)));
            total = add(&total, &scale(&add(&normalizer, &scale(&z, -1.0)), weight));
        }
        total
    };
    let fused = weighted_cross_entropy(&h, &w, Some((&u, &b)), &targets, &weights);
    let composed = naive(&h);
    assert_close("loss", &[fused.item()], &[composed.item()], 1e-5);
    let (fused, composed) = (fused.backward(), composed.backward());
    for (name, parameter) in [("h", &h), ("w", &w), ("u", &u), ("b", &b)] {
        let [fused, composed] = [&fused, &composed].map(|g| slice(g.get(parameter).unwrap()).to_vec());
        assert_close(name, &fused, &composed, 1e-4);
    }
    let [mean, equal] = [
        cross_entropy(&h, &w, &targets).backward(),
        weighted_cross_entropy(&h, &w, None, &targets, &[0.25; 5]).backward(),
    ];
    assert!([&h, &w].iter().all(|p| slice(mean.get(p).unwrap()) == slice(equal.get(p).unwrap())));
}

fn gradient_of<'g>(gradients: &'g Gradients, parameter: &Parameter) -> &'g [f32] {
    gradients.get(parameter.tensor()).map_or(&[], |gradient| slice(gradient))
}

/// The gradient over micro-batches is that of Σ w · (−ln π), one rollout at a time; tokens of the prompt have no weight. With an adapter
/// on the output projection, too.
#[test]
fn rl_gradients_are_those_of_each_rollout_alone() {
    let untied = ModelConfig { tied: false, ..config() };
    for (config, with_adapter) in [(config(), false), (untied.clone(), false), (untied, true)] {
        let mut model = Transformer::random(&config, 5);
        if with_adapter {
            let adapter = Adapter { rank: 2, alpha: 4.0, targets: vec![Target::Head], base: "base".into() };
            let is_head = |weight: &Parameter| Target::of(weight) == Target::Head;
            lora::attach(&mut model, &adapter, &is_head, &mut Random::new(3)).unwrap();
            model.parameters_mut().into_iter().filter(|p| p.name().contains("lora")).for_each(|p| {
                *p.tensor_mut() = Tensor::parameter(random(p.tensor().shape(), 8));
            });
        }
        let drawn = rollouts(1.0).draw(&model, &problems(4), 2, 1).unwrap().concat();
        let all: Vec<&Rollout> = drawn.iter().collect();
        let weights: Vec<Vec<f32>> = all
            .iter()
            .enumerate()
            .map(|(i, r)| (0..r.length()).map(|t| (i as f32 - 3.0) * (1 + t % 3) as f32).collect())
            .collect();
        let batches = [&all[..3], &all[3..]].map(|part| PackedRollouts::new(part.to_vec(), &model, false));
        let (loss, together) = gradients(&model, &batches, &weights);
        let (mut sums, mut expected) = (Gradients::default(), 0.0);
        for (rollout, weights) in all.iter().zip(&weights) {
            let (ids, first) = (&rollout.tokens[..rollout.tokens.len() - 1], rollout.prompt - 1);
            let output = model.forward(ArrayView2::from_shape((1, ids.len()), ids).unwrap(), None);
            let targets = [&vec![IGNORE; first][..], &rollout.tokens[rollout.prompt..]].concat();
            let weights = [&vec![f32::NAN; first][..], weights].concat(); // never used
            let loss = model.policy_loss(
                &output,
                &targets,
                &weights.iter().map(|w| if w.is_nan() { 0.0 } else { *w }).collect::<Vec<_>>(),
                &model.totals(&output, &targets),
            );
            expected += loss.cross_entropy;
            sums.accumulate(loss.total.backward());
        }
        assert_close("loss", &[loss], &[expected], 1e-4);
        for parameter in model.parameters().into_iter().filter(|p| p.is_trainable()) {
            assert_close(parameter.name(), gradient_of(&together, parameter), gradient_of(&sums, parameter), 1e-3);
        }
    }
}

/// On the same weights, the trainer gives every token the log-probability and the experts that the sampler gave it.
#[test]
fn rl_trainer_sees_rollouts_as_the_sampler_does() {
    let model = Transformer::random(&config(), 5);
    let drawn = rollouts(1.0).draw(&model.frozen(), &problems(6), 4, 9).unwrap().concat();
    let all: Vec<&Rollout> = drawn.iter().collect();
    assert!(all.iter().all(|rollout| rollout.tokens.len() == rollout.prompt + rollout.own.len()));
    let batches = PackedRollouts::all(&all, &model, false);
    for (rollout, now) in all.iter().zip(log_probabilities(&model, &batches)) {
        let old = rollout.own_log_probabilities();
        assert!(old.iter().zip(&now).all(|(old, now)| (old - now).abs() < 1e-4), "{old:?} {now:?}");
    }
    let found = mismatch(&model, &batches);
    assert!(found.mean < 1e-5 && found.divergence < 1e-8, "{found:?}");
    assert_eq!(found.other_experts, [0.0, 0.0], "the chosen experts are the same");
    assert_eq!(found.tokens, all.iter().map(|rollout| rollout.length()).sum::<usize>());

    // A sampler that rounds to int8 is another policy. Replay gives the trainer its experts back.
    let mut fast = model.frozen();
    fast.parameters_mut().into_iter().for_each(|parameter| parameter.make_fast());
    let drawn = rollouts(1.0).draw(&fast, &problems(30), 2, 9).unwrap().concat();
    let all: Vec<&Rollout> = drawn.iter().collect();
    let [without, with] = [false, true].map(|replay| mismatch(&model, &PackedRollouts::all(&all, &model, replay)));
    assert!(without.mean > 1e-4 && without.other_experts.iter().any(|share| *share > 0.0), "{without:?}");
    assert_eq!(with.other_experts, [0.0, 0.0]);
    assert!(with.divergence < without.divergence, "{with:?} {without:?}");
}

/// Replayed experts are visited with weights that the trainer computes: its own choice replayed changes no bit, another one does.
#[test]
fn rl_replayed_experts_are_visited() {
    let mut model = Transformer::random(&config(), 5);
    let drawn = rollouts(1.0).draw(&model, &problems(2), 2, 9).unwrap().concat();
    let all: Vec<&Rollout> = drawn.iter().collect();
    let output = |model: &Transformer, rollouts: &[&Rollout], replay| {
        PackedRollouts::new(rollouts.to_vec(), model, replay).forward(model).hidden.data().to_vec()
    };
    assert!(output(&model, &all, false) == output(&model, &all, true));
    let mut others = drawn.clone();
    for rollout in &mut others {
        rollout.routing = vec![[3, 1, 0, 2].into(); rollout.routing.len()];
    }
    let others: Vec<&Rollout> = others.iter().collect();
    let packed = PackedRollouts::new(others.clone(), &model, true);
    let routing = packed.forward(&model).routing;
    assert!(
        routing[0].chosen.chunks(2).all(|chosen| chosen == [3, 1]) && routing[1].chosen.chunks(2).all(|c| c == [0, 2])
    );
    let weights = slice(routing[0].weights.value());
    assert!(weights.chunks(2).all(|w| (w[0] + w[1] - 1.0).abs() < 1e-6));
    assert!(output(&model, &all, false) != output(&model, &others, true));
    let kept = output(&model, &others, true);
    model.checkpoint_activations = true;
    assert!(kept == output(&model, &others, true), "also when activations are recomputed");
}

/// A model that has learned one conversation by heart: a call of Python, and the answer.
fn by_heart(problem: &Problem, replies: Vec<Message>) -> Transformer {
    use ossia::harmony::ChatMessage;
    let prompt = problem.messages.iter().map(|message| ChatMessage { message: message.clone(), learned: false });
    let replies =
        replies.into_iter().map(|message| ChatMessage { learned: message.role == MessageRole::Assistant, message });
    let chat: Vec<ChatMessage> = prompt.chain(replies).collect();
    let windows = windows(&[chat.clone(), chat], &TOKENIZER, 256, &mut |_| {}).unwrap();
    let settings =
        Settings { optimizer: Method::AdamW, eval_every: 0, save_every: 0, ..Settings::new(80, 1, 256, 1e-2) };
    let batches = Batches::new(windows, 1, 0).unwrap();
    let mut trainer = Trainer::new(Transformer::random(&config(), 1), settings, batches, None);
    trainer.run(None, &mut ()).unwrap();
    trainer.model
}

#[test]
fn rl_results_of_tools_are_appended_and_not_learned() {
    let messages = arithmetic::conversation("What is 12 * 13?".into(), Effort::Medium, true);
    let problem = Problem { messages, effort: Effort::Medium, answer: Answer::Number(156.0) };
    let assistant = |text: &str| Message::new(MessageRole::Assistant, text);
    let call = assistant("print(12*13)").on("analysis").to("python").of_type("code");
    let result = Message::from_tool("python", "156\n").on("analysis");
    let model = by_heart(&problem, vec![call, result, assistant("156").on("final")]);

    let python =
        || -> Tools { Box::new(|call| (call.text() == "print(12*13)").then(|| Message::answering(call, "156\n"))) };
    let with_python = Rollouts { longest: 60, tools: &python, ..rollouts(0.0) };
    let drawn = with_python.draw(&model, std::slice::from_ref(&problem), 2, 0).unwrap().concat();
    for rollout in &drawn {
        assert_eq!(rollout.answer(), "156", "{:?}", TOKENIZER.decode(&rollout.tokens));
        assert!(rollout.well_formed && problem.answer.accepts(&rollout.answer()));
        assert_eq!(
            rollout.messages.iter().map(|m| m.role).collect::<Vec<_>>(),
            [MessageRole::Assistant, MessageRole::Tool, MessageRole::Assistant]
        );
        let reply = rollout.tokens[rollout.prompt..].iter().zip(&rollout.own);
        let text = |own: bool| {
            TOKENIZER.decode(&reply.clone().filter(|(_, o)| **o == own).map(|(id, _)| *id).collect::<Vec<_>>()).unwrap()
        };
        assert_eq!(
            text(false),
            "<|start|>python to=assistant<|channel|>analysis<|message|>156\n<|end|><|start|>assistant"
        );
        assert!(text(true).ends_with("final<|message|>156<|return|>"), "{}", text(true));
        assert!(rollout.log_probabilities.iter().zip(&rollout.own).all(|(p, own)| *own || *p == 0.0));
    }
    let all: Vec<&Rollout> = drawn.iter().collect();
    let learned = log_probabilities(&model, &[PackedRollouts::new(all.clone(), &model, false)]);
    assert!(learned.iter().zip(&all).all(|(learned, rollout)| learned.len() == rollout.length()));
    assert!(mismatch(&model, &PackedRollouts::all(&all, &model, false)).mean < 1e-4, "the tokens after a result, too");

    // Without the tool, the rollout ends at the call.
    let drawn = Rollouts { longest: 60, ..rollouts(0.0) }.draw(&model, &[problem], 1, 0).unwrap().concat();
    assert_eq!((drawn[0].answer().as_str(), drawn[0].well_formed), ("", false));
}

#[test]
fn rl_rollouts_end_at_their_limits() {
    let model = Transformer::random(&config(), 5);
    let all = Rollouts { longest: 5, ..rollouts(1.0) }.draw(&model, &problems(3), 3, 2).unwrap();
    assert_eq!((all.len(), all[0].len()), (3, 3));
    assert!(all.concat().iter().all(|rollout| (1..=5).contains(&rollout.length())));
    let short = Transformer::random(&ModelConfig { context: all[0][0].prompt + 2, ..config() }, 5);
    let drawn = rollouts(1.0).draw(&short, &problems(1), 2, 2).unwrap().concat();
    assert!(drawn.iter().all(|rollout| rollout.length() <= 3), "the context is full");
    let full = Transformer::random(&ModelConfig { context: 8, ..config() }, 5);
    assert!(
        rollouts(1.0).draw(&full, &problems(1), 2, 2).unwrap_err().to_string().contains("this model's context is 8")
    );
    assert!(rollouts(1.0).draw(&model, &[], 2, 2).unwrap().is_empty());
}
