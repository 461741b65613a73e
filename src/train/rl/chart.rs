//! The chart `rewards.svg`: right answers, lengths and rewards per effort.

use super::metrics::{ByEffort, RlMetrics, Tally};
use crate::error::{Error, Result};
use crate::train::chart::write;
use plotters::coord::Shift;
use plotters::prelude::*;
use std::path::Path;

const SIZE: (u32, u32) = (900, 700);
/// The colors of low, medium and high effort.
const COLORS: [RGBColor; 3] = [RGBColor(120, 150, 190), RGBColor(200, 80, 40), RGBColor(40, 130, 80)];
const NAMES: [&str; 3] = ["low effort", "medium", "high"];
/// The rollouts of a step are few, so the mean of several steps is drawn.
const SMOOTHED: usize = 5;

type Drawn<'a> = std::result::Result<(), Box<dyn std::error::Error + 'a>>;

/// Draws three panels: the share of right answers, with those to held-out questions as points; the mean length of a rollout; and
/// the mean reward.
///
/// # Errors
/// If the file cannot be written.
pub fn draw(metrics: &[RlMetrics], path: &Path) -> Result<()> {
    let mut svg = String::new();
    draw_to(metrics, &mut svg).map_err(|e| Error::file(path, format!("cannot be drawn: {e}")))?;
    write(&svg, path)
}

fn draw_to<'a>(metrics: &[RlMetrics], svg: &'a mut String) -> Drawn<'a> {
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let panels = root.split_evenly((3, 1));
    panel(
        &panels[0],
        metrics,
        "right answers in %; points: held-out questions",
        |tally| 100.0 * tally.accuracy(),
        true,
    )?;
    panel(&panels[1], metrics, "tokens per rollout", Tally::length, true)?;
    panel(&panels[2], metrics, "reward per rollout", Tally::mean_reward, false)?;
    root.present()?;
    drop(panels);
    drop(root);
    Ok(())
}

fn panel(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    metrics: &[RlMetrics],
    title: &str,
    number: fn(&Tally) -> f64,
    with_held_out: bool,
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let of = |tallies: &ByEffort, effort: usize| number(&tallies.all()[effort]);
    let line = |effort: usize| -> Vec<(f64, f64)> {
        let steps = (0..metrics.len()).map(|last| &metrics[(last + 1).saturating_sub(SMOOTHED)..=last]);
        let mean =
            |steps: &[RlMetrics]| steps.iter().map(|m| of(&m.rollouts, effort)).sum::<f64>() / steps.len() as f64;
        steps.map(|steps| (steps[steps.len() - 1].step as f64, mean(steps))).collect()
    };
    let points = |effort: usize| -> Vec<(f64, f64)> {
        let held_out = metrics.iter().filter_map(|m| Some((m.step as f64, of(m.held_out.as_ref()?, effort))));
        if with_held_out { held_out.collect() } else { Vec::new() }
    };
    let all: Vec<f64> = (0..3).flat_map(|effort| [line(effort), points(effort)].concat()).map(|p| p.1).collect();
    let (low, high) = (all.iter().copied().fold(0.0, f64::min), all.iter().copied().fold(1e-3, f64::max));
    let last = metrics.last().map_or(1.0, |m| m.step as f64).max(1.0);
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .caption(title, ("sans-serif", 14))
        .x_label_area_size(24)
        .y_label_area_size(48)
        .build_cartesian_2d(0.0..last, low * 1.05..high * 1.05)?;
    chart.configure_mesh().light_line_style(TRANSPARENT).x_label_formatter(&|step| format!("{step:.0}")).draw()?;
    for (effort, color) in COLORS.into_iter().enumerate() {
        chart
            .draw_series(LineSeries::new(line(effort), color.stroke_width(2)))?
            .label(NAMES[effort])
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], color.stroke_width(2)));
        chart.draw_series(points(effort).into_iter().map(|point| Circle::new(point, 3, color.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .border_style(BLACK.mix(0.2))
        .background_style(WHITE.mix(0.9))
        .draw()?;
    Ok(())
}
