//! The chart `loss.svg`: the losses of a run and the entropy floor.

use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::train::Metrics;
use plotters::prelude::*;
use std::path::Path;

const SIZE: (u32, u32) = (900, 500);
const TRAINING: RGBColor = RGBColor(120, 150, 190);
const VALIDATION: RGBColor = RGBColor(200, 80, 40);
const FLOOR: RGBColor = RGBColor(40, 130, 80);

/// Draws the training loss, the validation loss and the entropy floor over the steps.
///
/// # Errors
/// If the file cannot be written.
pub fn draw(metrics: &[Metrics], path: &Path) -> Result<()> {
    let mut svg = String::new();
    draw_to(metrics, &mut svg).map_err(|e| Error::file(path, format!("cannot be drawn: {e}")))?;
    write_atomically(path, svg.as_bytes())
}

fn draw_to<'a>(metrics: &[Metrics], svg: &'a mut String) -> std::result::Result<(), Box<dyn std::error::Error + 'a>> {
    let training: Vec<(f64, f64)> = metrics.iter().map(|m| (m.step as f64, f64::from(m.loss))).collect();
    let validation: Vec<(f64, f64)> = metrics.iter().filter_map(|m| Some((m.step as f64, m.eval_loss?))).collect();
    let floor = metrics.iter().rev().find_map(|m| m.entropy_floor);
    let all = || training.iter().chain(&validation).map(|p| p.1).chain(floor);
    let last = metrics.last().map_or(1.0, |m| m.step as f64).max(1.0);
    let (low, high) = (all().fold(f64::INFINITY, f64::min).min(1e9), all().fold(0.0, f64::max).max(1e-3));
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .margin(16)
        .x_label_area_size(36)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..last, (low * 0.9..high * 1.05).log_scale())?;
    chart.configure_mesh().x_desc("step").y_desc("nats per token").light_line_style(WHITE).draw()?;
    let line = |x: i32, y: i32, color: RGBColor| PathElement::new(vec![(x, y), (x + 18, y)], color.stroke_width(2));
    chart
        .draw_series(LineSeries::new(training, TRAINING.stroke_width(1)))?
        .label("training loss")
        .legend(move |(x, y)| line(x, y, TRAINING));
    if !validation.is_empty() {
        chart
            .draw_series(LineSeries::new(validation, VALIDATION.stroke_width(2)))?
            .label("validation loss")
            .legend(move |(x, y)| line(x, y, VALIDATION));
    }
    if let Some(floor) = floor {
        chart
            .draw_series(LineSeries::new([(0.0, floor), (last, floor)], FLOOR.stroke_width(2)))?
            .label(format!("entropy floor {floor:.3}"))
            .legend(move |(x, y)| line(x, y, FLOOR));
    }
    chart.configure_series_labels().border_style(BLACK.mix(0.2)).background_style(WHITE.mix(0.9)).draw()?;
    root.present()?;
    drop(chart);
    Ok(())
}
