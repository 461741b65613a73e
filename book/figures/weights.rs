//! Weights.

use super::paper::{BLUE, Drawing, FAINT, GREEN, INK, ORANGE, Paper, text};
use super::storyteller::Lazy;
use ossia::checkpoint::report::{Report, published};
use ossia::config::ModelConfig;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// The parts of the bars, from left to right; what is small is put together.
const PARTS: [(&str, RGBColor); 4] =
    [("experts", ORANGE), ("embedding", GREEN), ("output projection", BLUE), ("attention and the rest", FAINT)];

/// Returns the index of the kind of a part of the model.
fn kind(part: &str) -> usize {
    match part {
        "experts" => 0,
        "embedding" => 1,
        "head" => 2,
        _ => 3,
    }
}

/// The bytes of gpt-oss-20b: all in bf16, as it is published, and those that one token reads.
pub fn bytes(paper: Paper, _: &Lazy) -> Drawing {
    let config = ModelConfig::gpt_oss_20b();
    let report: Report = published(&config);
    let mut bars = [[0.0_f64; 4]; 3];
    for part in &report.components {
        let (wide, now) = (part.bf16_bytes() as f64, part.bytes as f64);
        let read = match part.name {
            "experts" => now * config.experts_per_token as f64 / config.experts as f64,
            "embedding" => 2.0 * config.hidden_size as f64, // a row
            _ => now,
        };
        for (bar, bytes) in bars.iter_mut().zip([wide, now, read]) {
            bar[kind(part.name)] += bytes / 1e9;
        }
    }
    let root = paper.area(640, 268);
    let (left, width) = (116, 500.0);
    let most: f64 = bars[0].iter().sum();
    let label = |what: &str, at: (i32, i32), h: HPos, size: i32, colour: &RGBColor| {
        root.draw(&Text::new(what.to_string(), at, text(size).color(colour).pos(Pos::new(h, VPos::Center))))
    };
    for (i, (bar, name)) in bars.iter().zip(["all in bf16", "as published", "read per token"]).enumerate() {
        let y = 12 + 62 * i as i32;
        label(name, (left - 12, y + 18), HPos::Right, 14, &INK)?;
        let mut x = f64::from(left);
        for (gigabytes, (_, colour)) in bar.iter().zip(&PARTS) {
            let end = x + gigabytes / most * width;
            root.draw(&Rectangle::new([(x as i32, y), (end as i32, y + 36)], colour.mix(0.75).filled()))?;
            if end - x > 34.0 {
                label(&format!("{gigabytes:.1}"), ((x + end) as i32 / 2, y + 18), HPos::Center, 13, &INK)?;
            }
            x = end;
        }
        let total: f64 = bar.iter().sum();
        let (at, side) = if i == 0 { ((x as i32, y + 47), HPos::Right) } else { ((x as i32 + 8, y + 18), HPos::Left) };
        label(&format!("{total:.1} GB"), at, side, 14, &INK)?;
    }
    for (i, (name, colour)) in PARTS.iter().enumerate() {
        let (x, y) = (left + 220 * (i as i32 % 2), 214 + 24 * (i as i32 / 2));
        root.draw(&Rectangle::new([(x, y), (x + 14, y + 14)], colour.mix(0.75).filled()))?;
        label(name, (x + 22, y + 7), HPos::Left, 14, &INK)?;
    }
    root.present()?;
    Ok(())
}
