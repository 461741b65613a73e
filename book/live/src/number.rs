//! Numbers that readers type, and numbers that the engine returns.

use ossia::error::{Error, Result};
use serde::Deserialize;
#[cfg(feature = "text")]
use serde::{Serialize, Serializer};

/// A number that a reader typed. A page sends `null` for text that is not a number, and for a number that is not finite.
#[derive(Deserialize, Clone, Copy)]
#[serde(transparent)]
pub struct Typed(Option<f64>);

impl Typed {
    /// Returns the number as an `f32`.
    ///
    /// # Errors
    /// If it is not a number, or not finite in `f32`.
    #[cfg(feature = "text")]
    pub fn single(self, name: &str) -> Result<f32> {
        match self.0.map(|number| number as f32) {
            Some(number) if number.is_finite() => Ok(number),
            Some(_) => Err(Error::argument(format!("{name}: the number is too large for f32"))),
            None => Err(Error::argument(format!("{name}: expected a number"))),
        }
    }

    /// Returns the number if it is between two others.
    ///
    /// # Errors
    /// If it is not.
    pub fn between(self, name: &str, low: f64, high: f64) -> Result<f64> {
        match self.0 {
            Some(number) if (low..=high).contains(&number) => Ok(number),
            _ => Err(Error::argument(format!("{name}: expected a number from {low} to {high}"))),
        }
    }
}

/// Returns typed numbers as `f32`.
///
/// # Errors
/// Those of [`Typed::single`].
#[cfg(feature = "text")]
pub fn singles<const N: usize>(name: &str, numbers: [Typed; N]) -> Result<[f32; N]> {
    let mut singles = [0.0; N];
    for (single, number) in singles.iter_mut().zip(numbers) {
        *single = number.single(name)?;
    }
    Ok(singles)
}

/// A number of the engine, which may be infinite or NaN. JSON has no such numbers: they are written as texts.
#[cfg(feature = "text")]
#[derive(Clone, Copy)]
pub struct Shown(pub f32);

#[cfg(feature = "text")]
impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self.0 {
            number if number.is_finite() => serializer.serialize_f32(number),
            f32::INFINITY => serializer.serialize_str("∞"),
            f32::NEG_INFINITY => serializer.serialize_str("−∞"),
            _ => serializer.serialize_str("NaN"),
        }
    }
}
