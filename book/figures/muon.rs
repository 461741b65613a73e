//! Muon.

use super::paper::{BLUE, Drawing, GREEN, INK, ORANGE, Paper, quiet, text};
use super::storyteller::Lazy;
use ossia::train::muon::COEFFICIENTS;
use plotters::prelude::*;

/// Draws a singular value after the polynomial over its value before, for several numbers of applications.
pub fn polynomial(paper: Paper, _: &Lazy) -> Drawing {
    let [a, b, c] = COEFFICIENTS.map(f64::from);
    let applied = |mut x: f64, times: usize| {
        for _ in 0..times {
            x = a * x + b * x.powi(3) + c * x.powi(5);
        }
        x
    };
    let root = paper.area(640, 320);
    let mut chart = ChartBuilder::on(&root)
        .margin(10)
        .margin_right(28)
        .x_label_area_size(44)
        .y_label_area_size(54)
        .build_cartesian_2d((1e-3..1.0).log_scale(), 0.0..1.3)?;
    quiet!(chart.configure_mesh())
        .x_labels(4)
        .y_labels(6)
        .x_label_formatter(&|x| format!("{x}"))
        .x_desc("singular value, divided by the norm of the matrix")
        .y_desc("afterwards")
        .draw()?;
    let curves = [
        (0, "at first", INK, (0.23, 0.12)),
        (1, "after 1", BLUE, (0.075, 0.4)),
        (3, "after 3", GREEN, (0.0105, 0.55)),
        (5, "after 5", ORANGE, (0.0011, 0.9)),
    ];
    for (times, name, colour, at) in curves {
        let points = (0..=600).map(|i| 10f64.powf(-3.0 + f64::from(i) / 200.0)).map(|x| (x, applied(x, times)));
        chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?;
        chart.draw_series([Text::new(name, at, text(14).color(&colour))])?;
    }
    root.present()?;
    Ok(())
}
