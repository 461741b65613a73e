//! Experts.

use super::paper::{BLUE, Drawing, FAINT, INK, ORANGE, Paper, text};
use super::storyteller::{Lazy, rows};
use ossia::ops::dispatch::Dispatch;
use ossia::ops::top_k;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// The text that the model reads.
const TEXT: &str = "Once upon a time, there was a girl named Anna. Anna";
/// The layer that is shown.
const LAYER: usize = 1;

/// The choices of a router: for each token of a text, its experts and their weights.
struct Routed {
    words: Vec<String>,
    experts: usize,
    active: usize,
    indices: Vec<u32>,
    weights: Vec<f32>,
}

impl Routed {
    fn new(storyteller: &Lazy) -> Self {
        let config = &storyteller.model.config;
        let (experts, active) = (config.experts, config.experts_per_token);
        let seen = storyteller.observe(TEXT);
        let logits: Vec<f32> = rows(&seen[&format!("layers.{LAYER}.router_logits")]).flatten().copied().collect();
        let (indices, weights) = top_k::forward(&logits, experts, active);
        Self { words: storyteller.spelled(TEXT), experts, active, indices, weights }
    }

    /// Returns the experts of a token, the first choice first.
    fn choices(&self, t: usize) -> &[u32] {
        &self.indices[t * self.active..][..self.active]
    }
}

fn centred(size: i32, colour: &'static RGBColor) -> TextStyle<'static> {
    text(size).color(colour).pos(Pos::new(HPos::Center, VPos::Center))
}

/// Draws the experts of each token, with their weights.
pub fn choices(paper: Paper, storyteller: &Lazy) -> Drawing {
    let routed = Routed::new(storyteller);
    let root = paper.area(300, 330);
    let (left, top, width, height) = (76, 38, 27, 22);
    root.draw(&Text::new("expert", (left + routed.experts as i32 * width / 2, 8), centred(13, &FAINT)))?;
    for e in 0..routed.experts {
        root.draw(&Text::new(e.to_string(), (left + e as i32 * width + width / 2, 26), centred(13, &INK)))?;
    }
    for (t, word) in routed.words.iter().enumerate() {
        let y = top + t as i32 * height;
        let style = text(13).color(&INK).pos(Pos::new(HPos::Right, VPos::Center));
        root.draw(&Text::new(word.trim(), (left - 8, y + height / 2), style))?;
        for e in 0..routed.experts {
            let x = left + e as i32 * width;
            let cell = [(x, y), (x + width - 2, y + height - 2)];
            root.draw(&Rectangle::new(cell, FAINT.mix(0.3)))?;
            if let Some(a) = routed.choices(t).iter().position(|&i| i as usize == e) {
                let weight = routed.weights[t * routed.active + a];
                let first = if a == 0 { BLUE } else { ORANGE };
                root.draw(&Rectangle::new(cell, first.mix(f64::from(weight)).filled()))?;
                let shown = format!("{weight:.2}").trim_start_matches('0').to_string();
                root.draw(&Text::new(shown, (x + width / 2 - 1, y + height / 2), centred(10, &INK)))?;
            }
        }
    }
    root.present()?;
    Ok(())
}

/// Draws the rows of the grouped product, expert by expert.
pub fn sorted(paper: Paper, storyteller: &Lazy) -> Drawing {
    let routed = Routed::new(storyteller);
    let dispatch = Dispatch::new(&routed.indices, routed.experts, routed.active);
    let root = paper.area(290, 330);
    let (left, width) = (40, 56);
    root.draw(&Text::new("rows, sorted by expert", (left + 118, 8), centred(13, &FAINT)))?;
    let mut y = 24;
    for (e, range) in dispatch.offsets.windows(2).enumerate() {
        let visits = &dispatch.tokens[range[0]..range[1]];
        let lines = visits.len().div_ceil(4).max(1) as i32;
        root.draw(&Text::new(e.to_string(), (left - 18, y + 10), centred(13, &INK)))?;
        for (i, &t) in visits.iter().enumerate() {
            let (x, y) = (left + (i as i32 % 4) * (width + 4), y + (i as i32 / 4) * 22);
            let first = routed.choices(t as usize)[0] as usize == e;
            let colour = if first { BLUE } else { ORANGE };
            let corners = [(x, y), (x + width, y + 19)];
            root.draw(&Rectangle::new(corners, colour.mix(0.25).filled()))?;
            root.draw(&Rectangle::new(corners, colour))?;
            root.draw(&Text::new(routed.words[t as usize].trim(), (x + width / 2, y + 10), centred(11, &INK)))?;
        }
        y += 22 * lines + 8;
    }
    root.present()?;
    Ok(())
}
