//! Automata of numbers: JSON's notation, and one comparison for each bound.
//!
//! A number is compared with a bound while it is read, digit by digit, as one does by hand. The comparison is exact, for
//! any number of digits. Reading a decimal as a double keeps its order, so a number that is written within a bound is
//! also read within it, except that a double can reach an exclusive bound by rounding. So a fraction that must be less
//! than 1 is at most 0.9999999999999999, the nearest double below.

use super::automata::Automata;
use super::decimal::Decimal;
use super::dfa::{Dfa, DfaError};
use std::cmp::Ordering;

/// An integer. 64 digits are more than any program has a use for, and few enough for small automata.
const INTEGER: &str = "-?(?:0|[1-9][0-9]{0,63})";
/// A number without an exponent, and one with an exponent, which is small enough for a double.
const PLAIN: &str = r"-?(?:0|[1-9][0-9]{0,63})(?:\.[0-9]+)?";
const SCIENTIFIC: &str = r"-?(?:0|[1-9][0-9]{0,2})(?:\.[0-9]+)?[eE][+-]?0{0,2}(?:[0-9]|[1-9][0-9]|[12][0-9]{2})";

/// A bound of numbers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Bound {
    /// The bound itself.
    pub limit: Decimal,
    /// Whether numbers must be above the bound, not below it.
    pub is_lower: bool,
    /// Whether the bound itself is excluded.
    pub is_exclusive: bool,
}

impl Bound {
    /// Returns whether a number is within the bound.
    pub fn contains(&self, number: &Decimal) -> bool {
        self.allows(number.cmp(&self.limit))
    }

    /// Returns whether numbers that compare to the bound in this way are allowed.
    fn allows(&self, order: Ordering) -> bool {
        let wanted = if self.is_lower { Ordering::Greater } else { Ordering::Less };
        order == wanted || (order == Ordering::Equal && !self.is_exclusive)
    }
}

/// Returns the automaton of the numbers, or integers, within all the bounds.
///
/// # Errors
/// If it needs too many states.
pub fn within(automata: &Automata, integer: bool, bounds: &[Bound]) -> Result<Dfa, DfaError> {
    let notation = if integer { INTEGER.to_string() } else { format!("{PLAIN}|{SCIENTIFIC}") };
    let mut dfa = (*automata.regex(&notation)?).clone();
    for bound in bounds {
        let bound = if integer { bound.clone() } else { inclusive(bound) };
        dfa = automata.made(dfa.and(&Comparison::new(&bound).dfa()?)?)?;
    }
    Ok(dfa)
}

/// Replaces an exclusive bound by the next double. At zero this is not needed: digits that are not all zero are not read
/// as zero.
fn inclusive(bound: &Bound) -> Bound {
    let has_neighbour = bound.is_exclusive && !bound.limit.is_zero();
    match bound.limit.neighbour(bound.is_lower).filter(|_| has_neighbour) {
        Some(limit) => Bound { limit, is_exclusive: false, ..bound.clone() },
        None => bound.clone(),
    }
}

/// Compares a number with a bound while it is read.
struct Comparison<'a> {
    bound: &'a Bound,
    whole: Vec<u8>,
    fraction: Vec<u8>,
}

/// The part of a number that was read so far, as far as the comparison has to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct NumberSoFar {
    negative: bool,
    part: NumberPart,
    /// The order of the digits that were read and those of the bound at the same places.
    order: Ordering,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum NumberPart {
    /// This many digits before the point; one more than the bound has means any larger number.
    Whole(usize),
    /// This many digits after the point; all digits after those of the bound count as the next one.
    Fraction(usize),
    /// The exponent. Only the sign of a number decides whether it is above zero.
    Exponent,
}

impl<'a> Comparison<'a> {
    fn new(bound: &'a Bound) -> Self {
        let (whole, fraction) = bound.limit.split();
        Self { bound, whole, fraction }
    }

    /// Returns the automaton that accepts the numbers within the bound. It may accept what is not a number, too.
    fn dfa(&self) -> Result<Dfa, DfaError> {
        let first = NumberSoFar { negative: false, part: NumberPart::Whole(0), order: Ordering::Equal };
        let next = |read: NumberSoFar, out: &mut Vec<_>| {
            for byte in *b"+-.0123456789Ee" {
                out.extend(self.next(read, byte).map(|read| (byte, byte, read)));
            }
        };
        Dfa::explore(first, next, |read| self.bound.allows(self.order(read)))
    }

    // ANCHOR: compare
    /// Returns what is known after one more byte.
    fn next(&self, read: NumberSoFar, byte: u8) -> Option<NumberSoFar> {
        Some(match (read.part, byte) {
            (NumberPart::Whole(0), b'-') => NumberSoFar { negative: true, ..read },
            (NumberPart::Whole(count), b'0'..=b'9') => {
                let order = read.order.then(self.whole.get(count).map_or(Ordering::Equal, |digit| byte.cmp(digit)));
                NumberSoFar { part: NumberPart::Whole((count + 1).min(self.whole.len() + 1)), order, ..read }
            }
            (NumberPart::Whole(_), b'.') => {
                NumberSoFar { part: NumberPart::Fraction(0), order: self.order_of_whole(read), ..read }
            }
            (NumberPart::Fraction(count), b'0'..=b'9') => {
                let order = read.order.then(byte.cmp(self.fraction.get(count).unwrap_or(&b'0')));
                NumberSoFar { part: NumberPart::Fraction((count + 1).min(self.fraction.len())), order, ..read }
            }
            (NumberPart::Whole(_), b'e' | b'E') if self.bound.limit.is_zero() => {
                NumberSoFar { part: NumberPart::Exponent, order: self.order_of_whole(read), ..read }
            }
            (NumberPart::Fraction(_), b'e' | b'E') if self.bound.limit.is_zero() => {
                NumberSoFar { part: NumberPart::Exponent, ..read }
            }
            (NumberPart::Exponent, b'+' | b'-' | b'0'..=b'9') => read,
            _ => return None,
        })
    }

    /// Returns the order of the digits before the point: more digits are a larger number.
    fn order_of_whole(&self, read: NumberSoFar) -> Ordering {
        match read.part {
            NumberPart::Whole(count) => count.cmp(&self.whole.len()).then(read.order),
            NumberPart::Fraction(_) | NumberPart::Exponent => read.order,
        }
    }

    /// Returns the order of the number and the bound if the number ends here.
    fn order(&self, read: NumberSoFar) -> Ordering {
        let digits_are_missing = match read.part {
            NumberPart::Whole(_) => !self.fraction.is_empty(),
            NumberPart::Fraction(count) => count < self.fraction.len(),
            NumberPart::Exponent => false,
        };
        let size = self.order_of_whole(read).then(if digits_are_missing { Ordering::Less } else { Ordering::Equal });
        match (read.negative, self.bound.limit.is_negative()) {
            (false, false) => size,
            (true, true) => size.reverse(),
            (false, true) => Ordering::Greater,
            (true, false) if self.bound.limit.is_zero() && size == Ordering::Equal => size, // -0 is 0
            (true, false) => Ordering::Less,
        }
    }
    // ANCHOR_END: compare
}
