//! # Train a storyteller
//!
//! In about two minutes, this notebook trains a model that tells stories. It shows the data, the lowest loss that can be
//! expected, the vocabulary, the training, and how a grammar checks the stories of the model. The chapters are [Data with
//! a floor](data.md) and [Training](training.md).

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // %% [markdown]
    // ## The data
    //
    // A grammar generates the stories. It can also read a story and compute its probability.
    // %%
    use notebook::{Axes, Curve, chart, line};
    use ossia::data::{Batches, Corpus, story};

    let train = Corpus::builtin(6_000, 0).documents;
    let unseen = Corpus::builtin(200, 99).documents;
    println!("{}\n", train[0]);
    println!("probability: e^{:.1}", story::log_probability(&train[0]).unwrap_or(f64::NAN));
    assert!(train.iter().take(100).all(|text| story::well_formed(text)));
    // %% [markdown]
    // If you put another name into the second sentence, the text is no longer a story of this grammar. The reader reports
    // where the text departs from it.
    // %%
    let name: String =
        train[0].split("named ").nth(1).unwrap_or_default().chars().take_while(|c| c.is_alphabetic()).collect();
    let broken = train[0].replacen(&format!(". {name} "), ". Zebra ", 1);
    match story::parse(&broken) {
        Ok(_) => println!("still a story"),
        Err(departure) => println!("{departure}"),
    }
    assert!(!story::well_formed(&broken));
    // %% [markdown]
    // ## The vocabulary
    //
    // The tokenizer learns its vocabulary from the stories, by [byte-pair encoding](tokens.md).
    // %%
    use ossia::tokenizer::{self, END_OF_TEXT, Tokenizer};

    let tokenizer: Tokenizer = tokenizer::train(train.iter().map(String::as_str), 2_048, &[END_OF_TEXT])?;
    let ids = tokenizer.encode("Once upon a time, there was a girl named Mia.");
    let pieces: Vec<String> = ids.iter().map(|&id| tokenizer.decode(&[id]).unwrap_or_default()).collect();
    println!("{pieces:?}");
    assert_eq!(pieces.concat(), "Once upon a time, there was a girl named Mia.");
    // %% [markdown]
    // ## The floor
    //
    // Each story contains random choices, which no model can predict. The *entropy floor* is $-\ln p$ divided by the
    // number of tokens, where $p$ is the probability of all unseen stories together. No model can be expected to have a
    // lower loss on these stories.
    // %%
    let surprise: f64 = unseen.iter().filter_map(|text| story::log_probability(text)).map(|p| -p).sum();
    let counted: usize = unseen.iter().map(|text| tokenizer.encode(text).len() + 1).sum();
    let floor = surprise / counted as f64;
    println!("{counted} tokens, {floor:.4} nats each");
    assert!(floor > 0.1 && floor < 0.5);
    // %% [markdown]
    // ## Training
    //
    // The preset `nano` has two million parameters: four layers with eight experts, of which each token uses two. The
    // next cell takes 400 steps, each on eight windows of 256 tokens. After the steps 10, 50 and 400, it prints the
    // beginning of a story of the model.
    // %%
    use ossia::config::ModelConfig;
    use ossia::generate::Sampling;
    use ossia::model::Transformer;
    use ossia::train::material::windows;
    use ossia::train::{EvaluationSet, Settings, Trainer};

    /// Lets the model tell a story from nothing.
    fn told(model: &Transformer, tokenizer: &Tokenizer, seed: u64) -> ossia::error::Result<String> {
        model.continue_text(tokenizer, "", 250, Sampling { temperature: 0.7, seed, ..Sampling::default() })
    }

    let settings = Settings::new(400, 8, 256, 2e-3);
    let evaluation = EvaluationSet::of_stories(&unseen, &tokenizer, settings.context)?;
    let windows = windows(&train, &tokenizer, settings.context)?;
    let batches = Batches::new(windows, settings.batch_size, settings.seed)?;
    let model = Transformer::random(&ModelConfig::nano(), 0);
    let mut trainer = Trainer::new(model, settings, batches, Some(evaluation));
    let mut losses: Vec<(f64, f64)> = Vec::new();
    let mut validation: Vec<(f64, f64)> = Vec::new();
    for step in 1..=400_u32 {
        losses.push((f64::from(step), f64::from(trainer.step()?.loss)));
        if step == 1 || step.is_multiple_of(50) {
            validation.push((f64::from(step), trainer.evaluate(&mut |_, _| {}).map_or(f64::NAN, |e| e.loss)));
        }
        if [10, 50, 400].contains(&step) {
            let text = told(&trainer.model, &tokenizer, 1)?;
            println!("step {step}: {}\n", text.chars().take(300).collect::<String>());
        }
    }
    let reached = validation.last().map_or(f64::NAN, |point| point.1);
    println!("validation {reached:.4}, floor {floor:.4}");
    assert!(reached > floor && reached < floor * 1.5);
    // %% [markdown]
    // ## The loss
    //
    // The model first learns how frequent the tokens are, then which words follow each other, and last which name and
    // which thing belong into the story. After 400 steps, the validation loss is 0.03 nats per token above the floor.
    // %%
    let curves: [Curve; 3] = [
        line("training", losses.clone()),
        line("validation", validation.clone()),
        line("entropy floor", [(1.0, floor), (400.0, floor)]),
    ];
    chart("step", "nats per token", Axes::LogY, &curves).show();
    // %% [markdown]
    // ## Are these stories?
    //
    // The grammar reads 20 stories of the model from the first byte to the last. It accepts a story only if every name,
    // pronoun and thing is right. After these 400 steps of AdamW, 10 of 20 are right. After [the default run](training.md#numbers),
    // which sees more stories and uses Muon, 488 of 500 are. The last cell prints story 3, which is not among the 10.
    // %%
    let mut good = 0;
    for seed in 0..20 {
        let text = told(&trainer.model, &tokenizer, seed)?;
        good += i32::from(story::well_formed(&text));
        if let (true, Err(departure)) = (seed < 5, story::parse(&text)) {
            println!("story {seed}: {departure}");
        }
    }
    println!("{good} of 20 are well-formed and consistent");
    assert!(good >= 3);
    // %%
    println!("{}", told(&trainer.model, &tokenizer, 3)?);
    Ok(())
}
