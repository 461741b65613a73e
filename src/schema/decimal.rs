//! Decimal numbers, compared exactly. JSON writes decimals; a double would confuse 9007199254740993 with …992.

use serde_json::Number;
use std::cmp::Ordering;

/// A decimal number. Equal numbers have equal fields: 1, 1.0 and 10e-1 are the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Decimal {
    negative: bool,
    /// The digits without zeros at either end; empty for zero.
    digits: Vec<u8>,
    /// The number of digits before the point: 0.05 has the digit 5, and -1 digits before the point.
    point: i64,
}

impl Decimal {
    /// Reads a number as JSON writes it. Returns `None` if its exponent has more digits than any use needs.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let exponent = i64::from(exponent.parse::<i32>().ok()?);
        let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        let Some(first) = digits.iter().position(|&digit| digit != b'0') else {
            return Some(Self { negative: false, digits: Vec::new(), point: 0 });
        };
        let last = digits.iter().rposition(|&digit| digit != b'0').unwrap_or(first);
        let point = whole.len() as i64 - first as i64 + exponent;
        Some(Self { negative, digits: digits[first..=last].to_vec(), point })
    }

    /// Reads a number of a schema. Returns `None` if it is so large that its last digits were lost when the schema was
    /// read: integers are exact up to 2^64, and other numbers up to 2^53.
    pub fn exact(number: &Number) -> Option<Self> {
        /// The largest double below which every integer is a double.
        const LARGEST: f64 = (1u64 << 53) as f64;
        let is_integer = number.is_i64() || number.is_u64();
        let is_small = || number.as_f64().is_some_and(|value| value.abs() < LARGEST);
        if is_integer || is_small() { Self::parse(&number.to_string()) } else { None }
    }

    /// Returns whether the number is an integer.
    pub fn is_integer(&self) -> bool {
        self.point >= self.digits.len() as i64
    }

    /// Returns whether the number is negative.
    pub fn is_negative(&self) -> bool {
        self.negative
    }

    /// Returns whether the number is zero.
    pub fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    /// Returns the digits before the point, at least one, and those after it, without zeros at the end.
    pub fn split(&self) -> (Vec<u8>, Vec<u8>) {
        let length = self.digits.len();
        let before = self.point.clamp(0, length as i64) as usize;
        let mut whole = self.digits[..before].to_vec();
        whole.resize(self.point.max(1) as usize, b'0');
        let mut fraction = Vec::new();
        if before < length {
            fraction.resize((-self.point).max(0) as usize, b'0');
            fraction.extend(&self.digits[before..]);
        }
        (whole, fraction)
    }

    /// Returns the nearest double above the number, or below it, as the shortest decimal that is read as this double.
    pub fn neighbour(&self, above: bool) -> Option<Self> {
        let (whole, fraction) = self.split();
        let digits = [&whole[..], b".", &fraction].concat();
        let size: f64 = std::str::from_utf8(&digits).ok()?.parse().ok()?;
        let value = if self.negative { -size } else { size };
        Self::parse(&if above { value.next_up() } else { value.next_down() }.to_string())
    }

    fn compare_sizes(&self, other: &Self) -> Ordering {
        match (self.is_zero(), other.is_zero()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            // The first digits are not zero, so the one with more digits before the point is larger.
            (false, false) => self.point.cmp(&other.point).then_with(|| self.digits.cmp(&other.digits)),
        }
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => self.compare_sizes(other),
            (true, true) => other.compare_sizes(self),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
