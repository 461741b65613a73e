//! Plots of time and memory against the context, and of the rate against the number of texts. The numbers are read from a file
//! that `cargo bench --bench scaling` writes.

use super::paper::{BLUE, Drawing, FAINT, GREEN, ORANGE, Paper, quiet, text};
use super::storyteller::Lazy;
use plotters::prelude::*;

/// The results of the bench: names of columns, each with a number per row.
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

/// Tokens per second of several texts at once, as multiples of that of one text.
pub fn batches(paper: Paper, _: &Lazy) -> Drawing {
    let curves = [
        ("small", "small", ORANGE, (34.0, 5.5)),
        ("gpt-oss-20b-4-layers", "4 layers of gpt-oss-20b", BLUE, (34.0, 3.8)),
        ("nano", "nano", GREEN, (34.0, 2.6)),
    ];
    let texts = column("batches", "texts")?;
    let root = paper.area(640, 340);
    let mut chart = ChartBuilder::on(&root)
        .margin(10)
        .margin_right(150)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d((1.0..texts[texts.len() - 1]).log_scale().base(2.0), (1.0..8.0).log_scale().base(2.0))?;
    quiet!(chart.configure_mesh())
        .x_labels(6)
        .y_labels(4)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.0}×"))
        .x_desc("texts at once")
        .y_desc("tokens per second")
        .draw()?;
    chart.draw_series(LineSeries::new([(1.0, 1.0), (8.0, 8.0)], FAINT.stroke_width(1)))?;
    for (name, label, colour, at) in curves {
        let rates = column("batches", name)?;
        let points = texts.iter().zip(&rates).map(|(&texts, rate)| (texts, rate / rates[0]));
        chart.draw_series(LineSeries::new(points, colour.stroke_width(2)).point_size(3))?;
        let at = chart.backend_coord(&at);
        root.draw(&Text::new(label, at, text(14).color(&colour)))?;
    }
    root.present()?;
    Ok(())
}

/// A column of a measured table.
fn column(table: &str, name: &str) -> Result<Vec<f64>, Box<dyn std::error::Error>> {
    let measured: serde_json::Value = serde_json::from_str(MEASURED)?;
    Ok(serde_json::from_value(measured[table][name].clone())?)
}

fn over_context(paper: Paper, table: &str, unit: &str, curves: &[Curve; 2]) -> Drawing {
    let contexts = column(table, "context")?;
    let points: Vec<Vec<f64>> = curves.iter().map(|curve| column(table, curve.0)).collect::<Result<_, _>>()?;
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
