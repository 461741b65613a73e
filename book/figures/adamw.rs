//! AdamW.

use super::paper::{BLUE, Drawing, FAINT, INK, ORANGE, Paper, text};
use super::storyteller::Lazy;
use ossia::layers::Layer;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Whether a parameter of this name belongs to a row.
type Belongs = fn(&str) -> bool;

/// Rows of the figure: what they show, and which parameters these are.
const KINDS: [(&str, Belongs); 8] = [
    ("embedding", |name| name.starts_with("embedding")),
    ("norms", |name| name.contains("norm")),
    ("attention", |name| name.contains("attention.") && name.ends_with("weight")),
    ("its biases", |name| name.contains("attention.") && name.ends_with("bias")),
    ("sinks", |name| name.ends_with("sinks")),
    ("router", |name| name.contains("router")),
    ("experts", |name| name.contains("experts") && name.ends_with("weight")),
    ("their biases", |name| name.contains("experts") && name.ends_with("bias")),
];

/// The root of the mean square.
fn size(numbers: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = numbers.fold((0.0, 0), |(sum, count), x| (sum + x * x, count + 1));
    (sum / f64::from(count.max(1))).sqrt()
}

/// Draws the size of each parameter's gradients, and the length of its steps in units of the learning rate.
pub fn paces(paper: Paper, storyteller: &Lazy) -> Drawing {
    let steps = storyteller.optimizer.steps() as i32;
    let (correction1, correction2) = (1.0 - 0.9_f64.powi(steps), 1.0 - 0.95_f64.powi(steps));
    let paces: Vec<(usize, f64, f64)> = storyteller
        .model
        .parameters()
        .iter()
        .zip(storyteller.optimizer.moments())
        .map(|(parameter, moments)| {
            let name = parameter.name();
            let kind = KINDS.iter().position(|(_, is)| is(name)).unwrap_or_else(|| panic!("{name} has no row"));
            let mean = moments.m.iter().map(|&m| f64::from(m) / correction1);
            let root = moments.v.iter().map(|&v| (f64::from(v) / correction2).sqrt());
            (kind, size(root.clone()), size(mean.zip(root).map(|(m, v)| m / (v + 1e-8))))
        })
        .collect();
    let root = paper.area(640, 344);
    let (left, top, row, decade) = (120.0, 34, 32, 96.0);
    let x = |value: f64| (left + (value.log10() + 5.0) * decade).round() as i32;
    let label = |what: &str, at: (i32, i32), h: HPos, colour: &RGBColor| {
        root.draw(&Text::new(what.to_string(), at, text(14).color(colour).pos(Pos::new(h, VPos::Center))))
    };
    let bottom = top + row * KINDS.len() as i32;
    for (exponent, name) in [(-5, "0.00001"), (-4, "0.0001"), (-3, "0.001"), (-2, "0.01"), (-1, "0.1"), (0, "1")] {
        let at = x(10f64.powi(exponent));
        root.draw(&PathElement::new([(at, top), (at, bottom)], FAINT.mix(0.3)))?;
        label(name, (at, bottom + 14), HPos::Center, &INK)?;
    }
    label("the gradient", (x(2e-4), 16), HPos::Center, &BLUE)?;
    label("the step, in learning rates", (x(0.2), 16), HPos::Center, &ORANGE)?;
    label("root mean square of a tensor", (x(3e-3), bottom + 36), HPos::Center, &INK)?;
    for (i, (name, _)) in KINDS.iter().enumerate() {
        label(name, (left as i32 - 12, top + row * i as i32 + row / 2), HPos::Right, &INK)?;
    }
    for (kind, gradient, step) in paces {
        let y = top + row * kind as i32 + row / 2;
        root.draw(&Circle::new((x(gradient), y - 4), 4, BLUE.mix(0.7).filled()))?;
        root.draw(&Circle::new((x(step), y + 4), 4, ORANGE.mix(0.7).filled()))?;
    }
    root.present()?;
    Ok(())
}
