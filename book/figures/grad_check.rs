//! Is a gradient right?

use super::paper::{BLUE, Drawing, ORANGE, Paper, quiet, text};
use super::storyteller::Lazy;
use ossia::ops::elementwise::mul;
use ossia::ops::reduce::sum;
use ossia::ops::rms_norm::{forward, rms_norm};
use ossia::tensor::{Array, Tensor, array, grad_check, slice};
use plotters::prelude::*;

const EPS: f32 = 1e-5;

/// An operation, and the colour and name of its curve, and where the name stands.
type Curve<'a> = (&'a dyn Fn(&Tensor) -> Tensor, RGBColor, &'static str, (f32, f32));

/// Numbers without a pattern, from −1 to 1. Computed in f64, because the last bit of an f32 sine depends on whether the
/// compiler or the C library computes it, and the last digits of the figure depend on that bit.
fn numbers(shape: &[usize], seed: u32) -> Array {
    let one = |i: usize| ((i as f64 + 1.0) * 12.9898 + f64::from(seed) * 78.233).sin() as f32;
    array(shape, (0..shape.iter().product()).map(one).collect())
}

/// RMSNorm with a backward pass that forgets that x also affects y through r.
fn forgetful(x: &Tensor, w: &Tensor) -> Tensor {
    let (y, r) = forward(x.data(), w.data(), EPS);
    Tensor::from_op(array(x.shape(), y), &[x], || {
        let w = w.value().clone();
        Box::new(move |dy| {
            let columns = w.len();
            let dx = slice(&dy).iter().enumerate().map(|(i, dy)| dy * r[i / columns] * w[i % columns]);
            vec![Some(array(dy.shape(), dx.collect()))]
        })
    })
}

/// The worst disagreement of derivative and central difference, for steps from large to small.
pub fn steps(paper: Paper, _: &Lazy) -> Drawing {
    let (x, w, dy) = (numbers(&[4, 4], 1), numbers(&[4], 2), numbers(&[4, 4], 3));
    let w = Tensor::constant(w);
    let loss = |y: Tensor| sum(&mul(&y, &Tensor::constant(dy.clone())));
    let worst = |f: &dyn Fn(&Tensor) -> Tensor, h: f32| {
        grad_check(|x| loss(f(&x[0])), std::slice::from_ref(&x), h).relative_error
    };
    let root = paper.area(640, 330);
    let mut chart = ChartBuilder::on(&root)
        .margin(10)
        .x_label_area_size(44)
        .y_label_area_size(66)
        .build_cartesian_2d((1e-6_f32..1.0_f32).log_scale(), (5e-6_f32..1.0_f32).log_scale())?;
    let power = |x: &f32| match x.log10().round() as i32 {
        0 => "1".to_string(),
        1 => "10".to_string(),
        n => format!("{}", 10f64.powi(n)),
    };
    quiet!(chart.configure_mesh())
        .x_labels(7)
        .y_labels(7)
        .x_label_formatter(&power)
        .y_label_formatter(&power)
        .x_desc("step h")
        .y_desc("worst relative error")
        .draw()?;
    let curves: [Curve; 2] = [
        (&|x| rms_norm(x, &w, EPS), BLUE, "the right gradient", (2e-5, 4e-4)),
        (&|x| forgetful(x, &w), ORANGE, "one term forgotten", (1.2e-3, 0.5)),
    ];
    for (f, colour, name, at) in curves {
        let points: Vec<(f32, f32)> = (0..=36)
            .map(|i| 10_f64.powf(-6.0 + f64::from(i) / 6.0) as f32)
            .map(|h| (h, worst(f, h)))
            .filter(|(_, error)| *error > 0.0)
            .collect();
        chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?;
        chart.draw_series(points.iter().map(|&point| Circle::new(point, 3, colour.filled())))?;
        chart.draw_series([Text::new(name, at, text(14).color(&colour))])?;
    }
    root.present()?;
    Ok(())
}
