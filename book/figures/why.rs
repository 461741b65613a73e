//! Why gpt-oss.

use super::paper::{BLUE, Drawing, FAINT, GREEN, INK, ORANGE, Paper, text};
use super::storyteller::Lazy;
use ossia::checkpoint::report::published;
use ossia::config::ModelConfig;
use ossia::layers::Component;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Parameters of a square.
const SQUARE: usize = 10_000_000;
/// Squares one below the other.
const HIGH: usize = 34;
/// Points of a square.
const SIDE: i32 = 7;
/// The left edge of the first part.
const LEFT: i32 = 34;
/// Empty columns between parts: as wide as their names need.
const GAP: usize = 8;

/// Draws the parameters of gpt-oss-20b by their parts, and those that process one token.
pub fn parameters(paper: Paper, _: &Lazy) -> Drawing {
    let config = ModelConfig::gpt_oss_20b();
    let report = published(&config);
    let count = |component| report.component(component).parameters;
    let experts = count(Component::Experts);
    let active = experts * config.experts_per_token / config.experts;
    let rest = count(Component::Attention) + count(Component::Router) + count(Component::Norms);
    let parts = [
        ("attention", rest, rest, GREEN),
        ("embedding", count(Component::Embedding), 0, FAINT),
        ("output", count(Component::Head), count(Component::Head), BLUE),
        ("experts", experts, active, ORANGE),
    ];
    let root = paper.area(648, 320);
    let mut place = 0;
    for (name, all, working, colour) in parts {
        let (squares, working) = (all.div_ceil(SQUARE), working.div_ceil(SQUARE));
        let first = place;
        for i in 0..squares {
            let (column, row) = ((place / HIGH) as i32, (place % HIGH) as i32);
            let corner = (LEFT + column * SIDE, 46 + row * SIDE);
            let strength = if i < working { 1.0 } else { 0.3 };
            let cell = [corner, (corner.0 + SIDE - 2, corner.1 + SIDE - 2)];
            root.draw(&Rectangle::new(cell, colour.mix(strength).filled()))?;
            place += 1;
        }
        place = place.div_ceil(HIGH) * HIGH; // each part begins a column
        let middle = LEFT + ((first / HIGH + place / HIGH) as i32 * SIDE) / 2;
        let label = text(13).color(&INK).pos(Pos::new(HPos::Center, VPos::Center));
        let shown = |n: usize| format!("{:.2} B", n as f64 / 1e9);
        let lines = [name.to_string(), shown(all)];
        for (y, line) in [14, 30].into_iter().zip(lines) {
            root.draw(&Text::new(line, (middle, y), label.clone()))?;
        }
        place += GAP * HIGH;
    }
    let shown = |n: usize| format!("{:.2} billion", n as f64 / 1e9);
    let total =
        format!("{} in all; full colour: {} for one token", shown(report.total().parameters), shown(report.active));
    root.draw(&Text::new(total, (LEFT, 302), text(13).color(&INK)))?;
    root.present()?;
    Ok(())
}
