//! Backpropagation for single numbers. The chapter: first_hour.md.

use crate::scalar::Number;

/// Returns a + b. Use [`Number::computed`] to make a number from its value and its inputs. Each input comes with its slope: how
/// fast the result changes when this input changes.
pub fn add(a: &Number, b: &Number) -> Number {
    todo!("{} + {}", a.value(), b.value())
}

/// Returns a · b.
pub fn mul(a: &Number, b: &Number) -> Number {
    todo!("{} · {}", a.value(), b.value())
}

/// Returns e^a.
pub fn exp(a: &Number) -> Number {
    todo!("e to the {}", a.value())
}

/// Sets the gradient of `result` to 1. For every number from which `result` was computed, adds the derivative of `result` with
/// respect to this number to its [`Number::gradient`]. Process a number only after all numbers that were computed from it: only
/// then is its gradient complete. [`Number::inputs`] lists the numbers that a number was computed from, each with its slope, and
/// [`Number::is`] tells whether two numbers are the same one.
pub fn backward(result: &Number) {
    todo!("the gradients of all that {} was computed from", result.value())
}
