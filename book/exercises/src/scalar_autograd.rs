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

/// Adds to [`Number::gradient`] of every number that `result` was computed from the derivative of `result` with respect to it, and
/// sets that of `result` itself to 1. A number hands on its gradient when all numbers that were computed from it have done so.
pub fn backward(result: &Number) {
    todo!("the gradients of all that {} was computed from", result.value())
}
