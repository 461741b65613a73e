//! Backpropagation for single numbers, in about fifty lines, and gradient descent with it.
//!
//! cargo run --example scalar_autograd
//!
//! Book: first_hour.md

use std::cell::Cell;
use std::ops::{Add, Mul};
use std::rc::Rc;

// ANCHOR: number
/// A number that remembers how it was computed. A clone is the same number, not a copy.
#[derive(Clone)]
struct Number(Rc<Node>);

struct Node {
    value: f64,
    /// The derivative of the final result with respect to this number. The backward pass adds it up.
    gradient: Cell<f64>,
    /// The numbers that this one was computed from, each with the slope: how fast this number changes with that one.
    inputs: Vec<(Number, f64)>,
}

impl Number {
    fn new(value: f64, inputs: Vec<(Number, f64)>) -> Self {
        Self(Rc::new(Node { value, gradient: Cell::new(0.0), inputs }))
    }

    fn exp(&self) -> Self {
        let value = self.0.value.exp();
        Self::new(value, vec![(self.clone(), value)]) // the slope of eˣ is eˣ
    }
}

impl Add for &Number {
    type Output = Number;

    fn add(self, other: Self) -> Number {
        Number::new(self.0.value + other.0.value, vec![(self.clone(), 1.0), (other.clone(), 1.0)])
    }
}

impl Mul for &Number {
    type Output = Number;

    fn mul(self, other: Self) -> Number {
        let inputs = vec![(self.clone(), other.0.value), (other.clone(), self.0.value)];
        Number::new(self.0.value * other.0.value, inputs)
    }
}
// ANCHOR_END: number

// ANCHOR: backward
impl Number {
    /// Computes the gradient of every number that this one was computed from.
    fn backward(&self) {
        let mut order = Vec::new();
        self.visit(&mut order);
        self.0.gradient.set(1.0); // this number changes with itself one to one
        for number in order.iter().rev() {
            for (input, slope) in &number.0.inputs {
                input.0.gradient.set(input.0.gradient.get() + number.0.gradient.get() * slope);
            }
        }
    }

    /// Lists this number and all numbers that it was computed from: inputs before results, each once.
    fn visit(&self, order: &mut Vec<Number>) {
        if !order.iter().any(|number| Rc::ptr_eq(&number.0, &self.0)) {
            self.0.inputs.iter().for_each(|(input, _)| input.visit(order));
            order.push(self.clone());
        }
    }
}
// ANCHOR_END: backward

fn number(value: f64) -> Number {
    Number::new(value, Vec::new())
}

// ANCHOR: f
/// f = a·b + eᵃ
fn f(a: &Number, b: &Number) -> Number {
    &(a * b) + &a.exp()
}
// ANCHOR_END: f

// ANCHOR: line
/// The mean squared distance of the line y = slope·x + height from some points.
fn loss(slope: &Number, height: &Number, points: &[(f64, f64)]) -> Number {
    let mut sum = number(0.0);
    for &(x, y) in points {
        let predicted = &(slope * &number(x)) + height;
        let error = &predicted + &number(-y);
        sum = &sum + &(&error * &error);
    }
    &sum * &number(1.0 / points.len() as f64)
}

/// Fits a line to points by gradient descent.
fn fit(points: &[(f64, f64)], steps: usize) -> (f64, f64) {
    let (mut slope, mut height) = (0.0, 0.0);
    for step in 0..=steps {
        let parameters = [number(slope), number(height)];
        let loss = loss(&parameters[0], &parameters[1], points);
        loss.backward();
        if step % (steps / 4) == 0 {
            println!("step {step:3}  loss {:.4}  y = {slope:.3} x + {height:.3}", loss.0.value);
        }
        slope -= 0.1 * parameters[0].0.gradient.get();
        height -= 0.1 * parameters[1].0.gradient.get();
    }
    (slope, height)
}
// ANCHOR_END: line

fn main() {
    let (a, b) = (number(0.5), number(-3.0));
    let result = f(&a, &b);
    result.backward();
    // The same derivatives, measured: nudge one input, and see how much the result changes.
    let nudge = 1e-6;
    let value = |a, b| f(&number(a), &number(b)).0.value;
    let measured_a = (value(0.5 + nudge, -3.0) - result.0.value) / nudge;
    let measured_b = (value(0.5, -3.0 + nudge) - result.0.value) / nudge;
    println!("f = {:.4}", result.0.value);
    println!("df/da = {:.4}, measured {measured_a:.4}", a.0.gradient.get());
    println!("df/db = {:.4}, measured {measured_b:.4}", b.0.gradient.get());

    let points = [(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)];
    let (slope, height) = fit(&points, 80);
    assert!((slope - 2.0).abs() < 0.01 && (height - 1.0).abs() < 0.01);
}
