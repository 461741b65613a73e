//! SwiGLU.

use super::paper::{BLUE, Drawing, FAINT, GREEN, INK, ORANGE, Paper, quiet, text};
use super::storyteller::Lazy;
use ossia::ops::swiglu::forward;
use plotters::prelude::*;

/// What comes out over the gate, for four ups.
pub fn curves(paper: Paper, _: &Lazy) -> Drawing {
    let root = paper.area(640, 340);
    let mut chart = ChartBuilder::on(&root)
        .margin(10)
        .x_label_area_size(44)
        .y_label_area_size(52)
        .build_cartesian_2d(-5.0_f32..10.0, -15.0_f32..30.0)?;
    let minus = |x: &f32| format!("{x:.0}").replace('-', "−").replace("−0", "0");
    quiet!(chart.configure_mesh())
        .x_labels(16)
        .y_labels(10)
        .x_label_formatter(&minus)
        .y_label_formatter(&minus)
        .x_desc("gate")
        .y_desc("what comes out")
        .draw()?;
    chart.draw_series([PathElement::new([(7.0, -15.0), (7.0, 30.0)], FAINT)])?;
    let ups = [(3.0, BLUE, 27.3), (1.0, GREEN, 13.4), (0.0, INK, 6.4), (-1.0, FAINT, -0.6), (-3.0, ORANGE, -10.8)];
    for (up, colour, height) in ups {
        let gates = (-100..=200).map(|i| i as f32 * 0.05);
        let points = gates.map(|gate| (gate, forward(&[gate, up], 1.702, 7.0)[0]));
        chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?;
        let name = format!("up = {up}").replace('-', "−");
        chart.draw_series([Text::new(name, (8.0, height), text(14).color(&colour))])?;
    }
    root.present()?;
    Ok(())
}
