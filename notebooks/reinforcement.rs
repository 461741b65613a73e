//! # Reinforcement learning step by step
//!
//! This notebook shows a step of reinforcement learning in its parts: rollouts, rewards, advantages, weights, and an update.
//! Then it takes forty steps, and the reward rises. The model is tiny and has random parameters, so it cannot answer any
//! question. But it can learn one thing without a single solution: each token costs something, so it should write less. The
//! chapter [Reinforcement learning with effort](reinforcement.md) explains the formulas.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // %% [markdown]
    // ## Rollouts
    //
    // The policy is a model with two layers. Its tokenizer is that of the sums in the chapter [How long to
    // think](effort.md). Eight rollouts of the same question are a group. They are drawn at temperature 1, and each has at
    // most 24 tokens.
    // %%
    use notebook::{Axes, Curve, bars, chart, line};
    use ossia::config::ModelConfig;
    use ossia::harmony::Harmony;
    use ossia::layers::Layer;
    use ossia::model::Transformer;
    use ossia::tasks::{Problem, Rollout, Rollouts, Task, Tools, arithmetic};
    use ossia::tokenizer::Tokenizer;
    use ossia::train::rl::objective::{Counts, Written};
    use ossia::train::rl::policy::{PackedRollouts, gradients, log_probabilities};
    use ossia::train::rl::reward::total;
    use ossia::train::rl::{Learner, Mismatch, Objective, Price, Reinforcement, advantages, mismatch};
    use ossia::train::{Method, Optimizer, Settings};

    /// No tool answers a call.
    fn no_tools() -> Tools {
        Box::new(|_| None)
    }

    /// Draws rollouts of one problem.
    fn draw(
        policy: &Transformer,
        tokenizer: &Tokenizer,
        problem: &Problem,
        seed: u64,
    ) -> ossia::error::Result<Vec<Rollout>> {
        let harmony = Harmony::new(tokenizer)?;
        let rollouts = Rollouts { harmony, longest: 24, temperature: 1.0, tools: &no_tools, record_routing: true };
        Ok(rollouts.draw(policy, std::slice::from_ref(problem), 8, seed)?.concat())
    }

    let tokenizer: Tokenizer = arithmetic::tokenizer(320)?;
    let config: ModelConfig = ModelConfig {
        layers: 2,
        windows: vec![Some(16), None],
        hidden_size: 32,
        heads: 2,
        kv_heads: 1,
        head_dim: 16,
        vocab_size: tokenizer.vocab_size(),
        experts: 4,
        experts_per_token: 2,
        intermediate_size: 32,
        context: 256,
        router_aux_loss_coef: 0.0,
        ..ModelConfig::nano()
    };
    let problem: Problem = Task::Arithmetic.problem(3, 1, false);
    println!("{}", problem.messages[1].text());

    let group: Vec<Rollout> = draw(&Transformer::random(&config, 1), &tokenizer, &problem, 7)?;
    for (i, rollout) in group.iter().enumerate() {
        let ln: f32 = rollout.own_log_probabilities().iter().sum();
        println!("rollout {i}: {:2} tokens, ln π = {ln:6.1}", rollout.length());
    }
    // %% [markdown]
    // The parameters are random, so each of the tokens has about the same probability. Most rollouts reach the limit. Some
    // end earlier, because a token that ends a reply was drawn by chance.
    //
    // ## Rewards and advantages
    //
    // No answer is right, so the reward is the price: −0.1 per token. The advantage is the reward minus the mean of the
    // group. The advantages add up to 0.
    // %%
    let price: Price = Price { low: 0.1, medium: 0.1, high: 0.1 };
    let rl: Reinforcement = Reinforcement { price, longest: 24, samples: 8, ..Reinforcement::default() };
    let mut earned: Vec<f32> = Vec::new();
    for rollout in &group {
        earned.push(total(&rl.rewards(), &problem, rollout)?);
    }
    let of_group: Vec<f32> = advantages(&earned).ok_or("all rewards are equal")?;
    let names: Vec<String> = (0..8).map(|i| format!("{i}: {} tokens", group[i].length())).collect();
    let shown: Vec<f64> = of_group.iter().map(|&advantage| f64::from(advantage)).collect();
    bars(&names, &shown, "advantage").show();
    println!("rewards    {earned:.1?}\nadvantages {of_group:.2?}");
    assert!(of_group.iter().sum::<f32>().abs() < 1e-4);
    // %% [markdown]
    // ## Weights
    //
    // Each token gets a weight: the advantage of its rollout, divided by the number of tokens of all rollouts. The other
    // objectives need the probability that the policy gives the token now, and the one with which it was written. Before the
    // first update they are equal, so CISPO gives the same weights as REINFORCE. GSPO gives a rollout the same weight
    // whatever its length, so the tokens of short rollouts weigh more.
    // %%
    fn weights_of(group: &[Rollout], advantages: &[f32], objective: Objective) -> Vec<Vec<f32>> {
        let of = Counts { tokens: group.iter().map(Rollout::length).sum(), rollouts: group.len() };
        let one = |(rollout, &advantage): (&Rollout, &f32)| {
            let old = rollout.own_log_probabilities();
            objective.weights(Written { advantage, old: &old, now: &old, start: None }, 0.0, of)
        };
        group.iter().zip(advantages).map(one).collect()
    }

    let weights: Vec<Vec<f32>> = weights_of(&group, &of_group, Objective::Reinforce);
    let of_gspo: Vec<Vec<f32>> = weights_of(&group, &of_group, Objective::Gspo { clip: 0.2 });
    for (i, (reinforce, gspo)) in weights.iter().zip(&of_gspo).enumerate() {
        println!("rollout {i}: weight per token {:+.5}, with GSPO {:+.5}", reinforce[0], gspo[0]);
    }
    assert_eq!(weights, weights_of(&group, &of_group, Objective::Cispo { clip: 0.2 }));
    // %% [markdown]
    // ## One update
    //
    // The loss is $\sum_t w_t\,(-\ln \pi(o_t))$. One step of the optimizer in the direction of its negative gradient makes
    // rollouts with a positive advantage more probable, and the others less.
    // %%
    let mut changes: Vec<f64> = Vec::new();
    {
        let mut policy = Transformer::random(&config, 1);
        let all: Vec<&Rollout> = group.iter().collect();
        let batches = PackedRollouts::all(&all, &policy, false);
        let before = log_probabilities(&policy, &batches);
        let (loss, gradient) = gradients(&policy, &batches, &weights);
        let settings = Settings::new(1, 1, 160, 1e-3);
        let mut optimizer = Optimizer::new(Method::AdamW, settings.adamw, &policy.parameters());
        optimizer.step(policy.parameters_mut(), &gradient, 1e-3)?;
        let after = log_probabilities(&policy, &batches);
        for (before, after) in before.iter().zip(&after) {
            let change = after.iter().sum::<f32>() - before.iter().sum::<f32>();
            changes.push(f64::from(change) / before.len() as f64);
        }
        println!("loss {loss:+.4}");
    }
    bars(&names, &changes, "change of ln π per token").show();
    let gain: f64 = changes.iter().zip(&shown).map(|(change, advantage)| change * advantage).sum();
    assert!(gain > 0.0);
    // %% [markdown]
    // ## Forty steps
    //
    // `Learner` does all of this in each step, for three questions, one at each effort.
    // %%
    let mut steps: Vec<[f64; 2]> = Vec::new();
    {
        let settings = Settings { optimizer: Method::AdamW, ..Settings::new(40, 3, 160, 3e-3) };
        let model = Transformer::random(&config, 1);
        let optimizer = Optimizer::new(Method::AdamW, settings.adamw.clone(), &model.parameters());
        let mut learner = Learner {
            model,
            optimizer,
            settings,
            rl: rl.clone(),
            task: Task::Arithmetic,
            tokenizer: &tokenizer,
            start: None,
            tools: &no_tools,
            step: 0,
        };
        for _ in 0..40 {
            let rollouts = learner.take_step()?.rollouts.total();
            steps.push([rollouts.mean_reward(), rollouts.length()]);
        }
    }
    let rewards: Curve = line("reward", steps.iter().enumerate().map(|(i, step)| (i as f64 + 1.0, step[0])));
    chart("step", "mean reward per rollout", Axes::Linear, &[rewards]).show();
    fn mean(part: &[[f64; 2]], i: usize) -> f64 {
        part.iter().map(|step| step[i]).sum::<f64>() / part.len() as f64
    }
    println!(
        "tokens per rollout: {:.1} in the first five steps, {:.1} in the last five",
        mean(&steps[..5], 1),
        mean(&steps[35..], 1)
    );
    assert!(mean(&steps[35..], 0) > mean(&steps[..5], 0) + 0.5);
    // %% [markdown]
    // The model has learned to end its reply early, although nobody showed it a short reply.
    //
    // ## The sampler and the trainer
    //
    // All of this assumes that the trainer gives each token the probability with which the sampler drew it. In ossia, both
    // are the same program. With weights rounded to int8, the sampler is another policy: its probabilities differ, and some
    // tokens visit other experts.
    // %%
    let mut found: Vec<Mismatch> = Vec::new();
    for fast in [false, true] {
        let policy = Transformer::random(&config, 1);
        let mut sampler = policy.frozen();
        if fast {
            sampler.parameters_mut().into_iter().for_each(|parameter| parameter.make_fast());
        }
        let drawn = draw(&sampler, &tokenizer, &problem, 7)?;
        let all: Vec<&Rollout> = drawn.iter().collect();
        found.push(mismatch(&policy, &PackedRollouts::all(&all, &policy, false)));
    }
    for (name, mismatch) in ["exact", "int8"].iter().zip(&found) {
        println!("{name}: mean difference of ln π {:.1e}, other experts {:.3?}", mismatch.mean, mismatch.other_experts);
    }
    assert!(found[0].mean < 1e-5 && found[1].mean > found[0].mean);
    Ok(())
}
