//! # Train a storyteller
//!
//! From a grammar to a model that tells its stories, in two minutes: data, an exact floor for the loss, a vocabulary, training,
//! and stories that a grammar can check. The chapters: *Data with a floor*, *Training*.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // %% [markdown]
    // ## The data
    //
    // A grammar tells stories, as many as one likes. It also reads them, and knows the probability of each.
    // %%
    use notebook::{Axes, Curve, chart, line};
    use ossia::data::{Batches, Corpus, story};

    let train = Corpus::builtin(6_000, 0).documents;
    let unseen = Corpus::builtin(200, 99).documents;
    println!("{}\n", train[0]);
    println!("probability: e^{:.1}", story::log_probability(&train[0]).unwrap_or(f64::NAN));
    assert!(train.iter().take(100).all(|text| story::well_formed(text)));
    // %% [markdown]
    // Another name in the second sentence, and it is no story of this grammar any more. The reader says where it stops being one.
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
    // Byte-pair encoding, learned from the stories themselves.
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
    // What is left to chance in a story cannot be foreseen by anybody. The surprise of all unseen stories, $-\ln p$, over their tokens:
    // no model's loss on them can be expected to be lower.
    // %%
    let surprise: f64 = unseen.iter().filter_map(|text| story::log_probability(text)).map(|p| -p).sum();
    let counted: usize = unseen.iter().map(|text| tokenizer.encode(text).len() + 1).sum();
    let floor = surprise / counted as f64;
    println!("{counted} tokens, {floor:.4} nats each");
    assert!(floor > 0.1 && floor < 0.5);
    // %% [markdown]
    // ## Training
    //
    // `nano`: four layers, eight experts of which two work, two million parameters. 400 steps of eight windows of 256 tokens.
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
    // ## The curve
    //
    // First the frequencies of words are learned, then phrases, and at last which name belongs to whom. The floor is not far.
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
    // The grammar reads what the model tells, from first to last byte: every name, pronoun and object where it has to be.
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
