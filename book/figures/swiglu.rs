//! SwiGLU.

use super::paper::{BLUE, Drawing, FAINT, FINE, GREEN, INK, ORANGE, Paper, text};
use super::storyteller::Lazy;
use ossia::ops::swiglu::forward;
use plotters::coord::Shift;
use plotters::prelude::*;
use std::ops::Range;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The output over the gate, for five values of up; and the dip of one of the curves, enlarged.
pub fn curves(paper: Paper, _: &Lazy) -> Drawing {
    let (whole, dip) = paper.fine_area(640, 520).split_vertically(330 * FINE);
    let ups = [(3.0, BLUE, 27.3), (1.0, GREEN, 13.4), (0.0, INK, 6.4), (-1.0, FAINT, -0.6), (-3.0, ORANGE, -10.8)];
    panel(&whole, (-5.0..10.0, -15.0..30.0), (16, 10), 0, &ups)?;
    panel(&dip, (-5.0..1.0, -0.3..0.5), (7, 9), 1, &[(0.0, INK, 0.15)])?;
    whole.present()?;
    Ok(())
}

/// Curves with axes: `labels` on each axis, with so many digits, and each curve with its up, its colour and the height of its name.
fn panel(
    area: &Area,
    (gates, outputs): (Range<f32>, Range<f32>),
    labels: (usize, usize),
    digits: usize,
    ups: &[(f32, RGBColor, f32)],
) -> Drawing {
    let fine = FINE as i32;
    let mut chart = ChartBuilder::on(area)
        .margin(10 * fine)
        .x_label_area_size(44 * fine)
        .y_label_area_size(52 * fine)
        .build_cartesian_2d(gates.clone(), outputs.clone())?;
    let number = |x: &f32, digits: usize| match x.abs() < 1e-3 {
        true => "0".to_string(),
        false => format!("{x:.digits$}").replace('-', "−"),
    };
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(FAINT.mix(0.3).stroke_width(FINE))
        .axis_style(FAINT.stroke_width(FINE))
        .set_all_tick_mark_size(5 * fine)
        .label_style(text(14 * fine))
        .axis_desc_style(text(14 * fine))
        .x_labels(labels.0)
        .y_labels(labels.1)
        .x_label_formatter(&|x| number(x, 0))
        .y_label_formatter(&|y| number(y, digits))
        .x_desc("gate")
        .y_desc("output")
        .draw()?;
    if gates.contains(&7.0) {
        chart.draw_series([PathElement::new([(7.0, outputs.start), (7.0, outputs.end)], FAINT.stroke_width(FINE))])?;
    }
    for (up, colour, height) in ups {
        let points = (0..=400).map(|i| gates.start + (gates.end - gates.start) * i as f32 / 400.0);
        let points =
            points.map(|gate| (gate, forward(&[gate, *up], 1.702, 7.0)[0])).filter(|point| outputs.contains(&point.1));
        chart.draw_series(LineSeries::new(points, colour.stroke_width(2 * FINE)))?;
        let name = format!("up = {up}").replace('-', "−");
        let at = gates.end - 2.0 * (gates.end - gates.start) / 15.0;
        chart.draw_series([Text::new(name, (at, *height), text(14 * fine).color(colour))])?;
    }
    Ok(())
}
