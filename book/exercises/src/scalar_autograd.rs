//! Backpropagation for single numbers. The chapter: first_hour.md.

use crate::scalar::Number;

/// a + b. [`Number::computed`] makes a number from its value and its inputs, each with the slope: how fast the result changes with it.
pub fn add(a: &Number, b: &Number) -> Number {
    todo!("{} + {}", a.value(), b.value())
}

/// a · b.
pub fn mul(a: &Number, b: &Number) -> Number {
    todo!("{} · {}", a.value(), b.value())
}

/// e^a.
pub fn exp(a: &Number) -> Number {
    todo!("e to the {}", a.value())
}

/// Sets the gradient of `result` to 1. For every number from which `result` was computed, adds the derivative of `result` with
/// respect to this number to its [`Number::gradient`]. Process a number only after all numbers that were computed from it: only
/// then is its gradient complete.
pub fn backward(result: &Number) {
    todo!("the gradients of all that {} was computed from", result.value())
}
