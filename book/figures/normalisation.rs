//! RMSNorm.

use super::paper::{BLUE, Drawing, ORANGE, Paper, quiet};
use super::storyteller::{Lazy, STORY, rows};
use plotters::prelude::*;

/// Draws the size of the numbers in the residual stream after each layer, and after the last norm.
pub fn residual_stream(paper: Paper, storyteller: &Lazy) -> Drawing {
    let seen = storyteller.observe(STORY);
    let layers = storyteller.model.config.layers;
    let names = ["embed".to_string()].into_iter().chain((0..layers).map(|i| format!("layers.{i}.output")));
    let names: Vec<String> = names.chain(["norm".to_string()]).collect();
    let root_mean_square = |row: &[f32]| (row.iter().map(|x| x * x).sum::<f32>() / row.len() as f32).sqrt();
    let points: Vec<Vec<f32>> = names.iter().map(|name| rows(&seen[name]).map(root_mean_square).collect()).collect();
    let highest = points.iter().flatten().fold(0.0_f32, |a, &b| a.max(b));
    let root = paper.area(640, 320);
    let mut chart = ChartBuilder::on(&root)
        .margin(10)
        .x_label_area_size(44)
        .y_label_area_size(52)
        .build_cartesian_2d(-0.5..names.len() as f32 - 0.5, 0.0..highest * 1.05)?;
    let label = |x: &f32| match names.get(x.round() as usize).map(String::as_str) {
        Some("embed") => "embedding".into(),
        Some("norm") => "last norm".into(),
        Some(name) => name.trim_end_matches(".output").replace("layers.", "layer "),
        None => String::new(),
    };
    quiet!(chart.configure_mesh())
        .disable_x_mesh()
        .x_labels(names.len())
        .x_label_formatter(&label)
        .y_desc("root mean square")
        .draw()?;
    for (place, values) in points.iter().enumerate() {
        let colour = if place + 1 == points.len() { ORANGE } else { BLUE };
        for (t, &value) in values.iter().enumerate() {
            let aside = (t as f32 / values.len() as f32 - 0.5) * 0.6;
            chart.draw_series([Circle::new((place as f32 + aside, value), 3, colour.filled())])?;
        }
    }
    root.present()?;
    Ok(())
}
