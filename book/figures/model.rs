//! The whole model.

use super::paper::{BLUE, Drawing, FAINT, GREEN, INK, Paper, text};
use super::storyteller::Lazy;
use ossia::generate::Sampling;
use ossia::generate::sampler::distribution;
use ossia::ops::rms_norm::rms_norm;
use ossia::tensor::Tensor;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// The text that the model reads.
const TEXT: &str = "Once there was a shy fox named Tom. Tom liked snow. The fox lived in a tidy den near the";

/// Draws the token that the model would predict if it ended after each layer: the last norm and the output projection are applied
/// to the hidden states of this layer.
pub fn predictions(paper: Paper, storyteller: &Lazy) -> Drawing {
    let config = &storyteller.model.config;
    let words = storyteller.spelled(TEXT);
    let seen = storyteller.observe(TEXT);
    let norm = storyteller.parameter("norm.weight");
    let names = (0..config.layers).map(|i| format!("layers.{i}.output"));
    let names: Vec<String> = ["embed".to_string()].into_iter().chain(names).collect();
    let shown = words.len() - 10..words.len() - 1;
    let root = paper.area(640, 250);
    let centred =
        |size: i32, colour: &'static RGBColor| text(size).color(colour).pos(Pos::new(HPos::Center, VPos::Center));
    let (left, width, height, bottom) = (80, 61, 34, 206);
    for (row, name) in names.iter().enumerate() {
        let y = bottom - (row as i32 + 1) * height;
        let label = match name.as_str() {
            "embed" => "embedding".to_string(),
            name => name.trim_end_matches(".output").replace("layers.", "layer "),
        };
        let style = text(13).color(&INK).pos(Pos::new(HPos::Right, VPos::Center));
        root.draw(&Text::new(label, (left - 8, y + height / 2), style))?;
        let hidden = rms_norm(&Tensor::constant(seen[name].clone()), &norm, config.rms_norm_eps);
        let logits = storyteller.model.logits(&hidden).detach();
        for (column, t) in shown.clone().enumerate() {
            let logits = &logits.data()[t * config.vocab_size..][..config.vocab_size];
            let all = distribution(logits, &Sampling::default());
            let best = all.iter().fold((0, 0.0), |best, one| if one.1 > best.1 { *one } else { best });
            let word = storyteller.tokenizer.decode(&[best.0]).unwrap_or_default();
            let right = words.get(t + 1).is_some_and(|next| *next == word);
            let x = left + column as i32 * width;
            let cell = [(x, y), (x + width - 3, y + height - 3)];
            let colour = if right { GREEN } else { BLUE };
            root.draw(&Rectangle::new(cell, colour.mix(f64::from(best.1) * 0.7).filled()))?;
            root.draw(&Rectangle::new(cell, FAINT.mix(0.4)))?;
            root.draw(&Text::new(word.trim().to_string(), (x + width / 2 - 1, y + 11), centred(12, &INK)))?;
            let percent = format!("{:.0} %", 100.0 * best.1);
            root.draw(&Text::new(percent, (x + width / 2 - 1, y + 24), centred(9, &INK)))?;
        }
    }
    let style = text(13).color(&FAINT).pos(Pos::new(HPos::Right, VPos::Center));
    root.draw(&Text::new("the text", (left - 8, bottom + 16), style))?;
    for (column, t) in shown.enumerate() {
        let x = left + column as i32 * width + width / 2;
        root.draw(&Text::new(words[t].trim(), (x - 1, bottom + 16), centred(13, &FAINT)))?;
    }
    root.present()?;
    Ok(())
}
