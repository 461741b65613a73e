//! Quantization-aware training.

use super::paper::{BLUE, Drawing, FAINT, FINE, ORANGE, Paper, text};
use super::storyteller::Lazy;
use ossia::mxfp4::{BLOCK, round};
use plotters::coord::Shift;
use plotters::prelude::*;
use std::ops::Range;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The largest number of the block whose weight creeps over a border.
const LARGEST: f32 = 0.05;
/// The weight before the first step.
const WEIGHT: f32 = 0.019;
/// The change of the weight per step.
const CHANGE: f32 = 0.0001;

/// Returns the value to which `x` is rounded in a block whose largest number is at least `largest`.
fn rounded(x: f32, largest: f32) -> f32 {
    let mut block = [0.0; BLOCK];
    block[..2].copy_from_slice(&[x, largest]);
    round(&block)[0]
}

/// The staircase of rounding and the identity; and a weight that creeps over a border, beside its rounded value.
pub fn staircase(paper: Paper, _: &Lazy) -> Drawing {
    let (left, right) = paper.fine_area(640, 330).split_horizontally(310 * FINE);
    let all: Vec<(f32, f32)> = (0..=3160).map(|i| i as f32 / 200.0 - 7.9).map(|w| (w, rounded(w, 4.0))).collect();
    let ends = [all[0].0, all[3160].0];
    let panel = Panel {
        x: -8.0..8.0,
        y: -8.0..8.0,
        labels: (9, 9),
        x_name: "weight, divided by the scale",
        digits: 0,
        orange: (ends.map(|w| (w, w)).to_vec(), Vec::new(), "backward: identity", (-7.6, 7.3)),
        blue: (corners(&all), Vec::new(), "forward: Q(w)", (-7.6, 5.3)),
    };
    panel.draw(&left, None)?;
    let weights: Vec<(f32, f32)> = (0..=12).map(|step| (step as f32, WEIGHT + CHANGE * step as f32)).collect();
    let values: Vec<(f32, f32)> = weights.iter().map(|&(step, w)| (step, rounded(w, LARGEST))).collect();
    let changes = values.windows(2).flat_map(|pair| [pair[0], (pair[1].0, pair[0].1), pair[1]]);
    let stairs = changes.collect();
    // The border is where the rounded value changes.
    let border = (values[0].1 + values[12].1) / 2.0;
    let panel = Panel {
        x: 0.0..12.0,
        y: 0.014..0.026,
        labels: (7, 7),
        x_name: "step",
        digits: 3,
        orange: (weights.clone(), weights, "the f32 weight w", (7.0, 0.0214)),
        blue: (stairs, values, "Q(w)", (6.3, 0.0248)),
    };
    panel.draw(&right, Some((border, "border of rounding", (7.0, 0.0194))))?;
    left.present()?;
    Ok(())
}

/// Returns the first and the last point of each stair.
fn corners(points: &[(f32, f32)]) -> Vec<(f32, f32)> {
    points.chunk_by(|a, b| a.1 == b.1).flat_map(|stair| [stair[0], stair[stair.len() - 1]]).collect()
}

/// The corners of a line, its dots, its name, and the place of the name.
type Line = (Vec<(f32, f32)>, Vec<(f32, f32)>, &'static str, (f32, f32));

/// Two lines with axes.
struct Panel {
    x: Range<f32>,
    y: Range<f32>,
    labels: (usize, usize),
    x_name: &'static str,
    digits: usize,
    orange: Line,
    blue: Line,
}

impl Panel {
    /// Draws the lines, and perhaps a level with its name.
    fn draw(&self, area: &Area, level: Option<(f32, &str, (f32, f32))>) -> Drawing {
        let fine = FINE as i32;
        let mut chart = ChartBuilder::on(area)
            .margin(8 * fine)
            .margin_right(14 * fine)
            .x_label_area_size(44 * fine)
            .y_label_area_size(44 * fine)
            .build_cartesian_2d(self.x.clone(), self.y.clone())?;
        let number = |x: &f32, digits: usize| match x.abs() < 1e-6 {
            true => "0".to_string(),
            false => format!("{x:.digits$}").replace('-', "−"),
        };
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(FAINT.mix(0.3).stroke_width(FINE))
            .axis_style(FAINT.stroke_width(FINE))
            .set_all_tick_mark_size(5 * fine)
            .label_style(text(13 * fine))
            .axis_desc_style(text(14 * fine))
            .x_labels(self.labels.0)
            .y_labels(self.labels.1)
            .x_label_formatter(&|x| number(x, 0))
            .y_label_formatter(&|y| number(y, self.digits))
            .x_desc(self.x_name)
            .draw()?;
        let name = |name: &str, at: (f32, f32), colour: &'static RGBColor| {
            Text::new(name.to_string(), at, text(14 * fine).color(colour))
        };
        if let Some((y, what, at)) = level {
            chart.draw_series([PathElement::new([(self.x.start, y), (self.x.end, y)], FAINT.stroke_width(FINE))])?;
            chart.draw_series([name(what, at, &FAINT)])?;
        }
        for ((line, dots, what, at), colour) in [(&self.orange, &ORANGE), (&self.blue, &BLUE)] {
            chart.draw_series(LineSeries::new(line.clone(), colour.stroke_width(2 * FINE)))?;
            chart.draw_series(dots.iter().map(|&at| Circle::new(at, 4 * fine, colour.filled())))?;
            chart.draw_series([name(what, *at, colour)])?;
        }
        Ok(())
    }
}
