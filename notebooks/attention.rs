//! # Looking into attention
//!
//! This notebook trains a small model on stories, which takes about a minute. Then it draws the attention weights of one
//! head, shows the sinks and the window, looks for heads that copy names, and measures how much worse the model predicts
//! without its sinks. The chapters [Attention](attention.md) and [Attention in tiles](tiles.md) explain the formulas.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // %%
    use notebook::storyteller::Storyteller;
    use notebook::{Axes, Curve, bars, chart, heat_map, line};

    let storyteller = Storyteller::trained()?;
    let text = "Once upon a time, there was a boy named Tom. Tom had a red ball. He loved the ball.";
    let words: Vec<String> = storyteller.spelled(text);
    let tokens = words.len();
    let heads = storyteller.model.config.heads;
    println!("{tokens} tokens, {} layers of {heads} heads", storyteller.model.config.layers);
    // %% [markdown]
    // ## One head
    //
    // The next picture shows the attention weights of head 0 in layer 1. Each row is a query token, and each column is a
    // key token. The darker a cell, the larger is the weight that the query gives to the key. The cells above the
    // diagonal are empty, because a token does not see the tokens after it. The last column is the sink, which takes a
    // part of the attention and adds nothing to the output. The weights of a row and its sink add up to 1.
    // %%
    /// What one head looks at: a row for each token, with the sink's share last.
    fn map(p: &[f32], tokens: usize, head: usize) -> Vec<Vec<f32>> {
        p[head * tokens * (tokens + 1)..][..tokens * (tokens + 1)]
            .chunks_exact(tokens + 1)
            .map(<[f32]>::to_vec)
            .collect()
    }

    let p: Vec<f32> = storyteller.attention(text, 1);
    let first = map(&p, tokens, 0);
    let columns: Vec<String> = words.iter().cloned().chain(["sink".to_string()]).collect();
    heat_map(&words, &columns, &first).show();
    for (t, row) in first.iter().enumerate() {
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-4);
        assert!(row[t + 1..tokens].iter().all(|&share| share == 0.0));
    }
    // %% [markdown]
    // ## The sinks
    //
    // How much attention does each head give to its sink? The next chart shows the mean over the tokens of the text. The
    // label 2.1 means layer 2, head 1. In this small model, the means are between 0.05 and 0.13: no head gives most of
    // its attention to its sink.
    // %%
    let mut names: Vec<String> = Vec::new();
    let mut shares: Vec<f64> = Vec::new();
    for layer in 0..storyteller.model.config.layers {
        let p = storyteller.attention(text, layer);
        for head in 0..heads {
            let sink: f32 = map(&p, tokens, head).iter().map(|row| row[tokens]).sum();
            names.push(format!("{layer}.{head}"));
            shares.push(f64::from(sink) / tokens as f64);
        }
    }
    bars(&names, &shares, "share of the sink, by layer and head").show();
    assert!(shares.iter().all(|&share| share > 0.0 && share < 1.0));
    // %% [markdown]
    // ## The window
    //
    // Layer 0 has a window of 128 tokens, and a token in layer 1 sees all tokens before it. The next chart shows, for 240
    // tokens of stories, how the attention weight depends on the distance between query and key, as a mean over all
    // heads.
    // %%
    use ossia::data::Corpus;

    let stories = Corpus::builtin(8, 1).documents.join("\n");
    let ids = storyteller.tokenizer.encode(&stories);
    let long: String = storyteller.tokenizer.decode(&ids[..240])?;

    /// For each distance, the mean share over all heads and all tokens that have a token so far back.
    fn by_distance(p: &[f32], tokens: usize) -> Vec<(f64, f64)> {
        let mut sums = vec![(0.0, 0); tokens];
        for (row, shares) in p.chunks_exact(tokens + 1).enumerate() {
            let t = row % tokens;
            for (j, &share) in shares[..=t].iter().enumerate() {
                sums[t - j].0 += f64::from(share);
                sums[t - j].1 += 1;
            }
        }
        sums.iter().enumerate().map(|(distance, (sum, n))| (distance as f64, sum / f64::from((*n).max(1)))).collect()
    }

    let sliding = by_distance(&storyteller.attention(&long, 0), 240);
    let full = by_distance(&storyteller.attention(&long, 1), 240);
    assert!(sliding[127].1 > 0.0 && sliding[128..].iter().all(|point| point.1 == 0.0));
    assert!(full[128..].iter().any(|point| point.1 > 0.0));
    let curves: [Curve; 2] = [line("layer 0: 128 keys", sliding.clone()), line("layer 1: all", full.clone())];
    chart("tokens back", "mean share", Axes::LogY, &curves).show();
    // %% [markdown]
    // The key at a distance of 127 is the 128th one, and the last one that layer 0 sees. With a window of 129, the curve
    // of layer 0 would have one more point. The test `attention_sees_exactly_w_keys` checks this.
    //
    // ## Which heads copy?
    //
    // A story contains the same name many times. To write a name again, the model has to find its earlier occurrences.
    // Take every position of the 240 tokens whose *next* token is a name that has occurred before. How much attention
    // does each head give to the earlier occurrences of this name? A head that gives the same weight to all tokens would
    // give them 0.048, as the last line below says. Head 1 of layer 2 gives them 0.63.
    // %%
    let ids: Vec<u32> = storyteller.tokenizer.encode(&long);
    let heroes = [" Anna", " Lily", " Mia", " Ben", " Sam", " Tom", " Jack", " Leo"];
    let tokens_of_names: Vec<u32> = heroes.iter().flat_map(|name| storyteller.tokenizer.encode(name)).collect();
    let mut copies: Vec<f64> = Vec::new();
    let mut alike = 0.0;
    for layer in 0..storyteller.model.config.layers {
        let p = storyteller.attention(&long, layer);
        for head in 0..heads {
            let rows = map(&p, ids.len(), head);
            let (mut sum, mut even, mut places) = (0.0, 0.0, 0.0);
            for t in 0..ids.len() - 1 {
                let name = ids[t + 1];
                let earlier: Vec<usize> = (0..=t).filter(|&j| ids[j] == name).collect();
                if tokens_of_names.contains(&name) && !earlier.is_empty() {
                    sum += earlier.iter().map(|&j| f64::from(rows[t][j])).sum::<f64>();
                    even += earlier.len() as f64 / (t + 1) as f64;
                    places += 1.0;
                }
            }
            copies.push(sum / places);
            alike = even / places;
        }
    }
    bars(&names, &copies, "share of the earlier places of the name that comes next, by layer and head").show();
    let most = copies.iter().copied().fold(0.0, f64::max);
    println!("{alike:.3} if all tokens were alike; {most:.3} in the head that copies most; {copies:.3?}");
    assert!(most > 3.0 * alike);
    // %% [markdown]
    // Nothing in the training tells the heads to differ in this. At the start of the training, their weights were random
    // numbers.
    //
    // ## Without sinks
    //
    // Can the model work without its sinks? The next cell sets every sink to $-10^9$. The exponential of this number is
    // zero, so the heads have to give all of their attention to tokens. The loss on unseen stories becomes only a little
    // higher: 0.2898 instead of 0.2865 nats per token. This model was trained with sinks. In exercise 4 of the
    // [chapter](attention.md#exercises), a model is trained without them.
    // %%
    use ossia::layers::Layer;
    use ossia::parameter::Role;
    use ossia::train::evaluate::{EvaluationSet, evaluate};

    let unseen = Corpus::builtin(100, 99).documents;
    let set = EvaluationSet::of_documents(&unseen, &storyteller.tokenizer, 256)?;
    let mut without = storyteller.model.clone();
    for parameter in without.parameters_mut().into_iter().filter(|parameter| parameter.role() == Role::Sink) {
        parameter.tensor_mut().data_mut().fill(-1e9);
    }
    let losses: [f64; 2] = [evaluate(&storyteller.model, &set, 8).loss, evaluate(&without, &set, 8).loss];
    println!("{:.4} nats per token with sinks, {:.4} without", losses[0], losses[1]);
    assert!(losses[1] > losses[0]);
    Ok(())
}
