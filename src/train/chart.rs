//! The chart `loss.svg`: the losses of a run and the entropy floor.

use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::train::Metrics;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::path::Path;

const SIZE: (u32, u32) = (900, 500);
const TRAINING: RGBColor = RGBColor(120, 150, 190);
const VALIDATION: RGBColor = RGBColor(200, 80, 40);
const FLOOR: RGBColor = RGBColor(40, 130, 80);
/// A browser with a dark theme turns white and black around.
const DARK: &str = "<style>@media (prefers-color-scheme: dark) { [fill='#FFFFFF'] { fill: #16191f } \
                    [fill='#000000'] { fill: #dddddd } [stroke='#000000'] { stroke: #dddddd } }</style>";

/// Draws the training loss, the validation loss and the entropy floor over the steps.
///
/// The training loss lies a little above the validation loss: if a window cuts a text off, the next window begins with the same
/// text. In training the beginning of this text counts twice, and beginnings are the least predictable part.
///
/// # Errors
/// If the file cannot be written.
pub fn draw(metrics: &[Metrics], path: &Path) -> Result<()> {
    let mut svg = String::new();
    draw_to(metrics, &mut svg).map_err(|e| Error::file(path, format!("cannot be drawn: {e}")))?;
    write(&svg, path)
}

/// Writes a chart that also fits a dark page.
///
/// # Errors
/// If the file cannot be written.
pub(super) fn write(svg: &str, path: &Path) -> Result<()> {
    write_atomically(path, svg.replacen('>', &format!(">\n{DARK}"), 1).as_bytes())
}

fn draw_to<'a>(metrics: &[Metrics], svg: &'a mut String) -> std::result::Result<(), Box<dyn std::error::Error + 'a>> {
    let training: Vec<(f64, f64)> = metrics.iter().map(|m| (m.step as f64, f64::from(m.loss))).collect();
    let validation: Vec<(f64, f64)> = metrics.iter().filter_map(|m| Some((m.step as f64, m.eval_loss?))).collect();
    let floor = metrics.iter().rev().find_map(|m| m.entropy_floor);
    let all = || training.iter().chain(&validation).map(|p| p.1).chain(floor);
    let last = metrics.last().map_or(1.0, |m| m.step as f64).max(1.0);
    let (low, high) = (all().fold(f64::INFINITY, f64::min).clamp(1e-3, 1e9), all().fold(0.0, f64::max).max(2e-3));
    let (low, high) = (low * 0.9, high * 1.1);
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .margin(16)
        .x_label_area_size(36)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..last, (low..high).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("step")
        .y_desc("nats per token (logarithmic)")
        .x_label_formatter(&|step| format!("{step:.0}"))
        .light_line_style(TRANSPARENT)
        .disable_y_mesh()
        .y_label_formatter(&|_| String::new()) // its labels are at powers of ten only
        .draw()?;
    let labelled = TextStyle::from(("sans-serif", 12)).pos(Pos::new(HPos::Right, VPos::Center));
    for tick in ticks(low, high) {
        chart.draw_series([PathElement::new([(0.0, tick), (last, tick)], BLACK.mix(0.12))])?;
        let label = Text::new(format!("{tick}"), (-6, 0), labelled.clone());
        chart.draw_series([EmptyElement::at((0.0, tick)) + label])?;
    }
    let line = |x: i32, y: i32, color: RGBColor| PathElement::new(vec![(x, y), (x + 18, y)], color.stroke_width(2));
    chart
        .draw_series(LineSeries::new(training, TRAINING.stroke_width(1)))?
        .label("training loss: one batch; beginnings of texts, which are hard to predict, count more often")
        .legend(move |(x, y)| line(x, y, TRAINING));
    if !validation.is_empty() {
        chart
            .draw_series(LineSeries::new(validation, VALIDATION.stroke_width(2)))?
            .label("validation loss: every token of unseen texts counts once")
            .legend(move |(x, y)| line(x, y, VALIDATION));
    }
    if let Some(floor) = floor {
        chart
            .draw_series(LineSeries::new([(0.0, floor), (last, floor)], FLOOR.stroke_width(2)))?
            .label(format!("entropy floor {floor:.4}: no model can be better"))
            .legend(move |(x, y)| line(x, y, FLOOR));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .label_font(("sans-serif", 13))
        .border_style(BLACK.mix(0.2))
        .background_style(WHITE.mix(0.9))
        .draw()?;
    root.present()?;
    drop(chart);
    Ok(())
}

/// Returns the numbers at the lines of the vertical axis, which is logarithmic: the densest of three series of round numbers that
/// has at most fourteen between `low` and `high`.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    const SERIES: [&[u32]; 3] = [
        &[100, 110, 120, 130, 140, 150, 160, 180, 200, 220, 240, 260, 280, 300, 350, 400, 450, 500, 600, 700, 800, 900],
        &[100, 150, 200, 250, 300, 400, 500, 700],
        &[100, 200, 500],
    ];
    let in_range = |series: &[u32]| -> Vec<f64> {
        let decades =
            (low.log10().floor() as i32..=high.log10().ceil() as i32).map(|exponent| 10_f64.powi(exponent - 2));
        let all = decades.flat_map(|decade| series.iter().map(move |&n| (f64::from(n) * decade * 1e6).round() / 1e6));
        all.filter(|tick| (low..=high).contains(tick)).collect()
    };
    let series = SERIES.into_iter().map(in_range).collect::<Vec<_>>();
    series.iter().find(|ticks| ticks.len() <= 14).unwrap_or(&series[2]).clone()
}
