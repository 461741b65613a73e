//! Kernels.

use super::paper::{BLUE, Drawing, ORANGE, Paper, quiet, text};
use super::storyteller::Lazy;
use ossia::kernels;
use plotters::prelude::*;

/// The same exponential, but that ln 2 is subtracted as one number.
fn in_one_part(x: f32) -> f32 {
    let n = (x * std::f32::consts::LOG2_E).round_ties_even();
    let r = n.mul_add(-std::f32::consts::LN_2, x);
    let coefficients = [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
    let p = coefficients.into_iter().reduce(|p, coefficient: f32| p.mul_add(r, coefficient)).unwrap_or(1.0);
    (f64::from(p) * f64::from(n).exp2()) as f32
}

/// Returns the distance of an f32 from e^x, in units of its last place.
fn ulps(x: f32, y: f32) -> f32 {
    let exact = f64::from(x).exp();
    let ulp = f64::from((exact as f32).next_up() - exact as f32);
    ((f64::from(y) - exact) / ulp) as f32
}

/// The error of the exponential over where it is used: the largest of each hundred neighbours.
pub fn exp_error(paper: Paper, _: &Lazy) -> Drawing {
    let x: Vec<f32> = (-34_800..35_200).map(|i| i as f32 * 0.0025).collect();
    let mut y = x.clone();
    kernels::exp_sum(&mut y, 0.0);
    let largest = |errors: Vec<f32>| -> Vec<(f32, f32)> {
        let bins = x.chunks(140).zip(errors.chunks(140));
        bins.map(|(x, errors)| (x[x.len() / 2], errors.iter().fold(0.0_f32, |a, b| a.max(b.abs())))).collect()
    };
    let kernel = largest(x.iter().zip(&y).map(|(&x, &y)| ulps(x, y)).collect());
    let one_part = largest(x.iter().map(|&x| ulps(x, in_one_part(x))).collect());
    let root = paper.area(640, 330);
    let mut chart = ChartBuilder::on(&root)
        .margin(10)
        .x_label_area_size(44)
        .y_label_area_size(52)
        .build_cartesian_2d(-88.0_f32..88.5, 0.0_f32..5.0)?;
    quiet!(chart.configure_mesh())
        .x_labels(9)
        .x_label_formatter(&|x| format!("{x:.0}").replace('-', "−"))
        .y_labels(6)
        .y_label_formatter(&|y| format!("{y:.1}"))
        .x_desc("x")
        .y_desc("largest error, in ulp")
        .draw()?;
    let curves = [(one_part, ORANGE, "ln 2 in one part", (-34.0, 3.9)), (kernel, BLUE, "the kernel", (20.0, 0.42))];
    for (points, colour, name, at) in curves {
        chart.draw_series(points.into_iter().map(|point| Circle::new(point, 2, colour.filled())))?;
        chart.draw_series([Text::new(name, at, text(14).color(&colour))])?;
    }
    root.present()?;
    Ok(())
}
