//! Rotary positions.

use super::paper::{BLUE, Drawing, GREEN, INK, ORANGE, Paper, quiet, text};
use super::storyteller::Lazy;
use ossia::config::{ModelConfig, Yarn};
use ossia::layers::Rotary;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::f32::consts::TAU;

/// Draws the turns of each pair of gpt-oss within 4,096 positions, with YaRN and without.
pub fn turns(paper: Paper, _: &Lazy) -> Drawing {
    let config = ModelConfig::gpt_oss_20b();
    let yarn = config.yarn.clone().unwrap_or_else(Yarn::gpt_oss);
    let plain = ModelConfig { yarn: None, ..config.clone() };
    let turns = |config: &ModelConfig| -> Vec<(f32, f32)> {
        let rotary = Rotary::new(config);
        let turns = rotary.inverse_frequencies().iter().map(|f| f * yarn.original_context as f32 / TAU);
        (0..).map(|i| i as f32).zip(turns).collect()
    };
    let (low, high) = Rotary::ramp(&yarn, config.head_dim as f64, config.rope_theta);
    let (low, high) = (low as f32, high as f32);
    let root = paper.area(640, 340);
    let mut chart = ChartBuilder::on(&root)
        .margin(10)
        .x_label_area_size(44)
        .y_label_area_size(66)
        .build_cartesian_2d(-0.5_f32..31.5, (1e-4_f32..1000.0).log_scale())?;
    quiet!(chart.configure_mesh())
        .x_labels(9)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| {
            if *y < 1.0 { format!("{y:.4}").trim_end_matches('0').into() } else { format!("{y:.0}") }
        })
        .x_desc("pair")
        .y_desc("turns in 4,096 positions")
        .draw()?;
    chart.draw_series([Rectangle::new([(low, 1e-4), (high, 1000.0)], GREEN.mix(0.15).filled())])?;
    let centred = text(13).color(&INK).pos(Pos::new(HPos::Center, VPos::Top));
    chart.draw_series([
        Text::new("as it is", ((low - 0.5) / 2.0, 620.0), centred.clone()),
        Text::new("blended", ((low + high) / 2.0, 620.0), centred.clone()),
        Text::new("divided by 32", ((high + 31.5) / 2.0, 620.0), centred),
    ])?;
    let curves = [(plain, BLUE, "RoPE", (24.6, 0.35)), (config, ORANGE, "YaRN", (20.0, 0.0035))];
    for (config, colour, name, at) in &curves {
        chart.draw_series(turns(config).into_iter().map(|point| Circle::new(point, 4, colour.filled())))?;
        chart.draw_series([Text::new(*name, *at, text(14).color(colour))])?;
    }
    root.present()?;
    Ok(())
}
