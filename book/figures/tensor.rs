//! A tensor that remembers.

use super::paper::{BLUE, Drawing, FAINT, INK, ORANGE, Paper, text};
use super::storyteller::Lazy;
use ossia::ops::elementwise::{add, exp, mul};
use ossia::tensor::{Tensor, array, slice};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

fn number(x: f32) -> Tensor {
    Tensor::parameter(array(&[1], vec![x]))
}

/// With a minus as in print.
fn printed(x: f32) -> String {
    format!("{x:.3}").replace('-', "−")
}

/// dy/dx of numbers.
fn derivative(y: Tensor, x: &Tensor) -> f32 {
    y.backward().get(x).map_or(0.0, |gradient| slice(gradient)[0])
}

/// Draws the graph of f = a·b + exp(a), with the values of the forward pass and the gradients of the backward pass.
pub fn graph(paper: Paper, _: &Lazy) -> Drawing {
    let (a, b) = (number(0.5), number(-3.0));
    let whole = |a: &Tensor, b: &Tensor| add(&mul(a, b), &exp(a));
    let (u, v) = (number(mul(&a, &b).item()), number(exp(&a).item()));
    let f = whole(&a, &b);
    // name, value, gradient of f, and where its box stands
    let boxes = [
        ("a", a.item(), derivative(whole(&a, &b), &a), (12, 16)),
        ("b", b.item(), derivative(whole(&a, &b), &b), (12, 196)),
        ("v = exp(a)", v.item(), derivative(add(&u, &v), &v), (256, 16)),
        ("u = a·b", u.item(), derivative(add(&u, &v), &u), (256, 196)),
        ("f = u + v", f.item(), 1.0, (500, 106)),
    ];
    // from, to, what flows back, and how far its number stands from the middle
    let edges = [
        (0, 2, derivative(exp(&a), &a), (0, -5)),
        (0, 3, derivative(mul(&a, &b), &a), (30, -5)),
        (1, 3, derivative(mul(&a, &b), &b), (0, -5)),
        (2, 4, derivative(add(&u, &v), &v), (14, -14)),
        (3, 4, derivative(add(&u, &v), &u), (-14, -14)),
    ];
    let root = paper.area(640, 290);
    let (width, height) = (128, 74);
    for (from, to, back, (right, down)) in edges {
        let ((x0, y0), (x1, y1)) = (boxes[from].3, boxes[to].3);
        let (x0, y0, x1, y1) = (x0 + width, y0 + height / 2, x1, y1 + height / 2);
        root.draw(&PathElement::new([(x0, y0), (x1, y1)], FAINT.stroke_width(2)))?;
        // The head of an arrow that points back.
        let (dx, dy) = (f64::from(x1 - x0), f64::from(y1 - y0));
        let length = dx.hypot(dy);
        let (dx, dy) = (dx / length * 11.0, dy / length * 11.0);
        let tip = |side: f64| (x0 + (dx - side * dy * 0.45) as i32, y0 + (dy + side * dx * 0.45) as i32);
        root.draw(&Polygon::new([(x0, y0), tip(1.0), tip(-1.0)], ORANGE.filled()))?;
        let middle = ((x0 + x1) / 2 + right, (y0 + y1) / 2 + down);
        let style = text(14).color(&ORANGE).pos(Pos::new(HPos::Center, VPos::Bottom));
        root.draw(&Text::new(printed(back), middle, style))?;
    }
    for (name, value, gradient, (x, y)) in boxes {
        root.draw(&Rectangle::new([(x, y), (x + width, y + height)], FAINT.mix(0.12).filled()))?;
        root.draw(&Rectangle::new([(x, y), (x + width, y + height)], FAINT))?;
        let line = |at: i32, what: String, colour: &RGBColor| {
            let style = text(14).color(colour).pos(Pos::new(HPos::Center, VPos::Center));
            root.draw(&Text::new(what, (x + width / 2, y + at), style))
        };
        line(15, name.to_string(), &INK)?;
        line(37, printed(value), &BLUE)?;
        line(58, format!("gradient {}", printed(gradient)), &ORANGE)?;
    }
    root.present()?;
    Ok(())
}
