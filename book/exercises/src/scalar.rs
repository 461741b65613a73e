//! The numbers of the exercise `scalar_autograd`.

use std::cell::Cell;
use std::rc::Rc;

/// A number that remembers how it was computed. A clone is the same number, not a copy.
#[derive(Clone)]
pub struct Number(Rc<Node>);

struct Node {
    value: f64,
    gradient: Cell<f64>,
    inputs: Vec<(Number, f64)>,
}

impl Number {
    /// Returns a number that was not computed.
    pub fn new(value: f64) -> Self {
        Self::computed(value, Vec::new())
    }

    /// Returns a number that was computed from inputs, each with its slope.
    pub fn computed(value: f64, inputs: Vec<(Number, f64)>) -> Self {
        Self(Rc::new(Node { value, gradient: Cell::new(0.0), inputs }))
    }

    /// Returns the value.
    pub fn value(&self) -> f64 {
        self.0.value
    }

    /// Returns the gradient: read it with `get`, change it with `set`.
    pub fn gradient(&self) -> &Cell<f64> {
        &self.0.gradient
    }

    /// Returns the inputs, each with its slope.
    pub fn inputs(&self) -> &[(Number, f64)] {
        &self.0.inputs
    }

    /// Returns whether two numbers are the same one, not only equal.
    pub fn is(&self, other: &Number) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}
