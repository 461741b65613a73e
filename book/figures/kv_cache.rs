//! The KV cache.

use super::paper::{BLUE, Drawing, FAINT, GREEN, INK, ORANGE, Paper, quiet, text};
use super::storyteller::Lazy;
use ossia::checkpoint::report::cache_numbers;
use ossia::config::ModelConfig;
use ossia::layers::LayerCache;
use ossia::ops::attention::{Keys, Shape};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Tokens that are appended.
const TOKENS: usize = 9;

/// Draws what a layer with full attention keeps, token after token.
pub fn all(paper: Paper, _: &Lazy) -> Drawing {
    slots(paper, None, "a layer that sees everything")
}

/// Draws what a ring of five keeps, token after token.
pub fn ring(paper: Paper, _: &Lazy) -> Drawing {
    slots(paper, Some(5), "a ring of five")
}

/// A row per token: the position whose key is in each slot of the cache after the token was appended.
fn slots(paper: Paper, window: Option<usize>, name: &str) -> Drawing {
    let (left, top, side) = (70, 52, 26);
    let slots = window.unwrap_or(TOKENS);
    let root = paper.area((left + slots as i32 * side + 8) as u32, 290);
    let centred = |colour: &'static RGBColor| text(13).color(colour).pos(Pos::new(HPos::Center, VPos::Center));
    let right = |colour: &'static RGBColor| text(13).color(colour).pos(Pos::new(HPos::Right, VPos::Center));
    root.draw(&Text::new(name.to_string(), (left + slots as i32 * side / 2, 12), centred(&INK)))?;
    root.draw(&Text::new("slot", (left - 8, 36), right(&FAINT)))?;
    for slot in 0..slots {
        root.draw(&Text::new(slot.to_string(), (left + slot as i32 * side + side / 2, 36), centred(&FAINT)))?;
    }
    let mut cache = LayerCache::new(window, 1, 1);
    for position in 0..TOKENS {
        let y = top + position as i32 * side;
        let shape = Shape { heads: 1, kv_heads: 1, head_dim: 1, window };
        cache.append(Keys::rows(cache.seen(), &[position as f32], &[0.0], shape));
        root.draw(&Text::new(format!("token {position}"), (left - 8, y + side / 2), right(&INK)))?;
        for slot in 0..slots {
            let x = left + slot as i32 * side;
            root.draw(&Rectangle::new([(x, y), (x + side - 3, y + side - 3)], FAINT.mix(0.4)))?;
        }
        for key in cache.runs().iter().flat_map(|run| run.start..run.end()) {
            let x = left + (key % slots) as i32 * side;
            let colour = if key == position { ORANGE } else { BLUE };
            root.draw(&Rectangle::new([(x, y), (x + side - 3, y + side - 3)], colour.mix(0.45).filled()))?;
            root.draw(&Text::new(key.to_string(), (x + side / 2 - 1, y + side / 2 - 1), centred(&INK)))?;
        }
    }
    root.present()?;
    Ok(())
}

/// The bytes that keys and values take in bf16, in gpt-oss-20b and in what it might have been.
pub fn memory(paper: Paper, _: &Lazy) -> Drawing {
    let windows = ModelConfig::gpt_oss_20b();
    let grouped = ModelConfig { windows: vec![None; windows.layers], ..windows.clone() };
    let plain = ModelConfig { kv_heads: windows.heads, ..grouped.clone() };
    let root = paper.area(640, 340);
    let mut chart = ChartBuilder::on(&root)
        .margin(10)
        .x_label_area_size(44)
        .y_label_area_size(72)
        .build_cartesian_2d((64_f32..131_072.0).log_scale(), (1_f32..100_000.0).log_scale())?;
    let thousands = |x: &f32| match *x {
        x if x >= 1000.0 => format!("{:.0},{:03.0}", (x / 1000.0).floor(), x % 1000.0),
        x => format!("{x:.0}"),
    };
    quiet!(chart.configure_mesh())
        .x_labels(5)
        .y_labels(6)
        .x_label_formatter(&thousands)
        .y_label_formatter(&thousands)
        .x_desc("tokens")
        .y_desc("megabytes")
        .draw()?;
    let curves = [
        (plain, FAINT, "64 heads of keys and values, in all layers", (180.0, 70_000.0)),
        (grouped, BLUE, "8 heads, in all layers", (180.0, 30_000.0)),
        (windows, ORANGE, "8 heads, and windows of 128 in every second layer", (180.0, 13_000.0)),
    ];
    for (config, colour, name, at) in &curves {
        let contexts = (0..=110).map(|i| (64.0 * 2_f64.powf(f64::from(i) / 10.0)).round() as usize);
        let points = contexts.map(|t| (t as f32, 2.0 * cache_numbers(config, t) as f32 / 1e6));
        chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?;
        chart.draw_series([Text::new(*name, *at, text(14).color(colour))])?;
    }
    chart.draw_series([PathElement::new([(128.0, 1.0), (128.0, 100_000.0)], GREEN)])?;
    root.present()?;
    Ok(())
}
