//! # Watching experts specialise
//!
//! Each layer has eight experts, and each token visits two of them. Nobody decides what an expert is for. This notebook
//! trains a model and measures, every 25 steps, which tokens visit which experts. The chapters are [Routing](routing.md)
//! and [Experts](experts.md).

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // %% [markdown]
    // ## The stories and the training
    //
    // The next cell makes 6,000 stories and a tokenizer, and defines a function that prepares a training run of 300
    // steps.
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
    // ## Which tokens visit which experts?
    //
    // For each layer, `visits` counts how often each token id visited each expert, in 60 stories that the model is not
    // trained on. `specialisation` turns these counts into one number: by how much, as a fraction, does the uncertainty
    // about the expert of a visit become smaller if you know the token? The number is 0 if the token says nothing about
    // the expert. It cannot be 1, because each token visits two experts. If every token always visited the same two, and
    // all experts had the same number of visits, it would be 2/3.
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
    // Before training, the router already separates tokens. In the first layer, its input is little more than the token's
    // row of the embedding, so the token says most there: 0.53. The next cell trains for 300 steps and measures the
    // number every 25 steps.
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
    // In the layers 1 to 3, the number rises during the first 25 steps, and then it falls. In layer 0, it falls from the
    // beginning, to 0.43, and later rises to 0.45. A likely reason for the fall: the model learns to use the context, so
    // the input of a router depends less on the token alone. At the end, the number is lower in the
    // deeper layers than in layer 0.
    //
    // ## Is any expert idle?
    //
    // Without a countermeasure, a few experts would get most of the tokens: an expert that is visited learns, and an
    // expert that has learned is visited more often. The [load-balancing loss](routing.md#the-maths) keeps each expert
    // near one eighth of the visits. The lines of the next chart are the shares of the eight experts, for all layers
    // together. In the last step, they are between 0.111 and 0.150.
    // %%
    let shares: Vec<Curve> = (0..EXPERTS).map(|e| line(&format!("{e}"), load[e].iter().copied().step_by(5))).collect();
    chart("step", "share of all visits", Axes::Linear, &shares).show();
    let last: Vec<f64> = load.iter().map(|points| points[299].1).collect();
    println!("{last:.3?}");
    assert!(last.iter().all(|&share| share > 0.04 && share < 0.25));
    // %% [markdown]
    // ## What are the experts for?
    //
    // The next picture shows which part of the visits of a word goes to each expert of the first layer. Each row is a
    // word, and each column is an expert. For most words, two to four experts get most of the visits.
    // But words of the same kind do not share their experts: together, the six names use all experts.
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
    // A token visits two different experts, so no expert gets more than half of a word's visits. In the last layer, the
    // input of the router also depends on the context, so the same word visits different experts in different places.
    // There, the token says less about the expert than in the first layer: 0.29 instead of 0.45.
    // %%
    let (first, final_) = (specialisation(&after[0]), specialisation(&after[layers - 1]));
    println!("first layer {first:.2}, last layer {final_:.2}");
    assert!(first > final_);
    Ok(())
}
