//! # Watching experts specialise
//!
//! Eight experts in each layer, of which a token visits two. Nobody says what an expert is for. This notebook trains a model and
//! looks, again and again, at who goes where. The chapters: *Routing*, *Experts*.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // %% [markdown]
    // ## Stories, and how they are learned
    // %%
    use notebook::{Axes, Curve, chart, heat_map, line};
    use ossia::config::ModelConfig;
    use ossia::data::{Batches, Corpus};
    use ossia::layers::Layer;
    use ossia::model::Transformer;
    use ossia::tokenizer::{self, END_OF_TEXT, Tokenizer};
    use ossia::train::material::windows;
    use ossia::train::{Settings, Trainer};

    fn trainer(tokenizer: &Tokenizer, stories: &[String]) -> ossia::error::Result<Trainer> {
        let settings = Settings { warmup: 20, ..Settings::new(300, 8, 256, 2e-3) };
        let windows = windows(stories, tokenizer, settings.context)?;
        let batches = Batches::new(windows, settings.batch_size, settings.seed)?;
        Ok(Trainer::new(Transformer::random(&ModelConfig::nano(), 0), settings, batches, None))
    }

    let stories = Corpus::builtin(6_000, 0).documents;
    let tokenizer: Tokenizer = tokenizer::train(stories.iter().map(String::as_str), 2_048, &[END_OF_TEXT])?;
    let config = ModelConfig::nano();
    println!("{} layers of {} experts", config.layers, config.experts);
    // %% [markdown]
    // ## Who goes where
    //
    // For each layer, a table: how often each token id visited each expert, in stories that the model is not trained on.
    // %%
    const EXPERTS: usize = 8;

    /// Visits by layer, token id and expert.
    type Visits = Vec<Vec<[u32; EXPERTS]>>;

    fn visits(model: &Transformer, documents: &[Vec<u32>]) -> Visits {
        let mut visits = vec![vec![[0; EXPERTS]; model.config.vocab_size]; model.config.layers];
        for ids in documents {
            let rows = ndarray::ArrayView2::from_shape((1, ids.len()), ids).expect("one row");
            let output = model.detached().forward(rows, None);
            for (layer, routing) in output.routing.iter().enumerate() {
                for (expert, range) in routing.dispatch.offsets.windows(2).enumerate() {
                    for &token in &routing.dispatch.tokens[range[0]..range[1]] {
                        visits[layer][ids[token as usize] as usize][expert] += 1;
                    }
                }
            }
        }
        visits
    }

    fn entropy(counts: &[u32]) -> f64 {
        let all: u32 = counts.iter().sum();
        let share = counts.iter().filter(|&&n| n > 0).map(|&n| f64::from(n) / f64::from(all));
        share.map(|p| -p * p.ln()).sum()
    }

    /// How much knowing the token says about the expert, from 0 (nothing) to 1 (everything that one visit of it can say).
    fn specialisation(layer: &[[u32; EXPERTS]]) -> f64 {
        let total: [u32; EXPERTS] = std::array::from_fn(|e| layer.iter().map(|counts| counts[e]).sum());
        let all = f64::from(total.iter().sum::<u32>());
        let within: f64 =
            layer.iter().map(|counts| f64::from(counts.iter().sum::<u32>()) / all * entropy(counts)).sum();
        1.0 - within / entropy(&total)
    }

    let unseen: Vec<Vec<u32>> = Corpus::builtin(60, 99).documents.iter().map(|text| tokenizer.encode(text)).collect();
    let before: Visits = visits(&Transformer::random(&config, 0), &unseen);
    println!("{:.2?} by layer, before training", before.iter().map(|layer| specialisation(layer)).collect::<Vec<_>>());
    // %% [markdown]
    // Before training, the router already sends a token by what it is: in the first layer its input is little more than the
    // token's own row. Now 300 steps, with a look every 25.
    // %%
    let mut training = trainer(&tokenizer, &stories)?; // of a model that begins as the one above
    let layers = config.layers;
    let mut grown: Vec<Vec<(f64, f64)>> = vec![Vec::new(); layers];
    let mut load: Vec<Vec<(f64, f64)>> = vec![Vec::new(); EXPERTS];
    for step in 0..=300_u32 {
        if step.is_multiple_of(25) {
            for (layer, seen) in visits(&training.model, &unseen).iter().enumerate() {
                grown[layer].push((f64::from(step), specialisation(seen)));
            }
        }
        if step < 300 {
            let report = training.step()?;
            let all: usize = report.expert_load.iter().sum();
            for (expert, &n) in report.expert_load.iter().enumerate() {
                load[expert].push((f64::from(step), n as f64 / all as f64));
            }
        }
    }
    let curves: Vec<Curve> = (0..layers).map(|i| line(&format!("layer {i}"), grown[i].clone())).collect();
    chart("step", "what a token says about its expert", Axes::Linear, &curves).show();
    // %% [markdown]
    // For 25 steps it rises, and then it falls: the model learns to look around, and where a token stands begins to count beside
    // what it is. In deeper layers more so.
    //
    // ## Is anybody idle?
    //
    // With nothing against it, a few experts would get all the tokens: who is visited learns, and who has learned is visited. The
    // load-balancing loss keeps each near an eighth. The lines are the shares of the eight experts, all layers together.
    // %%
    let shares: Vec<Curve> = (0..EXPERTS).map(|e| line(&format!("{e}"), load[e].iter().copied().step_by(5))).collect();
    chart("step", "share of all visits", Axes::Linear, &shares).show();
    let last: Vec<f64> = load.iter().map(|points| points[299].1).collect();
    println!("{last:.3?}");
    assert!(last.iter().all(|&share| share > 0.04 && share < 0.25));
    // %% [markdown]
    // ## What are they for?
    //
    // The share of each word's visits that an expert of the first layer gets. Rows are words, columns experts. Most words have two
    // or three experts that they nearly always visit. It is not kinds of words that share them: the six names are spread over
    // all eight.
    // %%
    let words = [
        " Anna", " Lily", " Mia", " Ben", " Sam", " Tom", " the", " a", " was", " had", " said", ".", ",", " park",
        " forest",
    ];
    let after: Visits = visits(&training.model, &unseen);
    let mut rows: Vec<String> = Vec::new();
    let mut values: Vec<Vec<f32>> = Vec::new();
    for word in words {
        let ids = tokenizer.encode(word);
        let counts = after[0][ids[0] as usize];
        let all: u32 = counts.iter().sum();
        if ids.len() == 1 && all > 0 {
            rows.push(word.trim().into());
            values.push(counts.iter().map(|&n| n as f32 / all as f32).collect());
        }
    }
    let columns: Vec<String> = (0..EXPERTS).map(|e| format!("{e}")).collect();
    heat_map(&rows, &columns, &values).show();
    assert!(rows.len() >= 10 && values.iter().all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-4));
    // %% [markdown]
    // A token has two experts, so no share is above one half. In the last layer, where the model has looked around, the same word
    // goes to different experts in different places.
    // %%
    let (first, final_) = (specialisation(&after[0]), specialisation(&after[layers - 1]));
    println!("first layer {first:.2}, last layer {final_:.2}");
    assert!(first > final_);
    Ok(())
}
