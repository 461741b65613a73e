//! How time and memory grow with the context. These numbers are measured and not computed here: `cargo bench --bench
//! scaling` writes them down.

use super::paper::{BLUE, Drawing, ORANGE, Paper, quiet, text};
use super::storyteller::Lazy;
use plotters::prelude::*;

/// What the bench wrote: names of columns, each with a number a row.
const MEASURED: &str = include_str!("scaling.json");

/// A measured curve: its name in the file, its name in the figure, its colour, and where the name stands.
type Curve = (&'static str, &'static str, RGBColor, (f64, f64));

/// Milliseconds in which one new token attends.
pub fn context(paper: Paper, _: &Lazy) -> Drawing {
    let curves = [
        ("full_ms", "a layer that sees everything", ORANGE, (300.0, 4.0)),
        ("window_128_ms", "a window of 128", BLUE, (4_400.0, 0.17)),
    ];
    over_context(paper, "attention", "milliseconds", &curves)
}

/// Peak memory of a training step.
pub fn memory(paper: Paper, _: &Lazy) -> Drawing {
    let curves = [
        ("kept_mb", "all activations are kept", ORANGE, (700.0, 900.0)),
        ("recomputed_mb", "--checkpoint-activations", BLUE, (5_000.0, 70.0)),
    ];
    over_context(paper, "training", "megabytes", &curves)
}

fn over_context(paper: Paper, table: &str, unit: &str, curves: &[Curve; 2]) -> Drawing {
    let measured: serde_json::Value = serde_json::from_str(MEASURED)?;
    let column = |name: &str| -> Result<Vec<f64>, Box<dyn std::error::Error>> {
        Ok(serde_json::from_value(measured[table][name].clone())?)
    };
    let contexts = column("context")?;
    let points: Vec<Vec<f64>> = curves.iter().map(|curve| column(curve.0)).collect::<Result<_, _>>()?;
    let all = || points.iter().flatten().copied();
    let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max));
    let root = paper.area(640, 340);
    let mut chart = ChartBuilder::on(&root)
        .margin(10)
        .margin_right(28)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(
            (contexts[0]..contexts[contexts.len() - 1]).log_scale().base(2.0),
            (low / 1.25..high * 1.25).log_scale().base(2.0),
        )?;
    let rounded = |y: &f64| format!("{}", (y * 1e4).round() / 1e4);
    quiet!(chart.configure_mesh())
        .x_labels(10)
        .y_labels(8)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&rounded)
        .x_desc("tokens")
        .y_desc(unit)
        .draw()?;
    for ((_, name, colour, at), points) in curves.iter().zip(&points) {
        let line = LineSeries::new(contexts.iter().copied().zip(points.iter().copied()), colour.stroke_width(2));
        chart.draw_series(line.point_size(3))?;
        chart.draw_series([Text::new(*name, *at, text(14).color(colour))])?;
    }
    root.present()?;
    Ok(())
}
