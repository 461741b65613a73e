//! The reasoning with which a sum is worked out.

use super::Question;
use crate::harmony::Effort;

/// Returns the reasoning for the channel `analysis`; `None` if there is none.
pub fn working(question: &Question, effort: Effort) -> Option<String> {
    let Question::Sum(terms) = question else { return None };
    let step: fn(i32, i32) -> String = match effort {
        Effort::Low => return None,
        Effort::Medium => total,
        Effort::High => columns,
    };
    let mut before = terms[0];
    let lines = terms[1..].iter().map(|&term| {
        let line = step(before, term);
        before += term;
        line
    });
    Some(lines.collect::<Vec<_>>().join("\n"))
}

// ANCHOR: total
/// Returns one line with the new total, such as `347+285=632`.
fn total(before: i32, term: i32) -> String {
    format!("{before}{term:+}={}", before + term)
}
// ANCHOR_END: total

// ANCHOR: columns
/// Returns the sum, its columns from the ones on, and the total. A carry is added to the next column, and a borrow is
/// subtracted from it:
///
/// ```text
/// 347+285     632-185
/// 7+5=12      12-5=7
/// 4+8+1=13    13-8-1=4
/// 3+2+1=6     6-1-1=4
/// =632        =447
/// ```
fn columns(before: i32, term: i32) -> String {
    let mut lines = vec![format!("{before}{term:+}")];
    let (mut a, mut b, mut carry) = (before, term.abs(), 0);
    while a > 0 || b > 0 {
        let (top, bottom) = (a % 10, b % 10);
        let (sign, carried) = if term < 0 { ('-', "-1") } else { ('+', "+1") };
        let carried = if carry == 1 { carried } else { "" };
        if term < 0 {
            let borrow = i32::from(top < bottom + carry);
            let top = top + 10 * borrow;
            lines.push(format!("{top}{sign}{bottom}{carried}={}", top - bottom - carry));
            carry = borrow;
        } else {
            let sum = top + bottom + carry;
            lines.push(format!("{top}{sign}{bottom}{carried}={sum}"));
            carry = sum / 10;
        }
        (a, b) = (a / 10, b / 10);
    }
    lines.push(format!("={}", before + term));
    lines.join("\n")
}
// ANCHOR_END: columns
