//! Pieces: the numbers whose squares are added up at once for the norm of the gradient.
//!
//! The norm is a sum of sums, so its bits depend on where the gradients are cut. A rank may have a part of a piece. It sends these
//! numbers to the others, so that all of them add up the squares of whole pieces.

use crate::kernels::{self, parallel};
use crate::profile;
use std::collections::BTreeMap;
use std::ops::Range;

/// The norm reads the gradient.
pub const NORM: profile::Op = profile::Op::per_number("gradient norm", 2, 4);

/// The most numbers of a piece.
pub const PIECE: usize = 1 << 14;

/// Returns the pieces of `count` numbers that a range touches. A piece does not go beyond a unit of the optimizer.
pub fn pieces(count: usize, unit: usize, range: &Range<usize>) -> impl Iterator<Item = Range<usize>> + use<> {
    let (mut at, end) = (range.start / unit * unit, if range.is_empty() { 0 } else { range.end.min(count) });
    at += (range.start - at) / PIECE * PIECE;
    std::iter::from_fn(move || {
        let start = at;
        at = (start + PIECE).min(start / unit * unit + unit).min(count);
        (start < end).then_some(start..at)
    })
}

/// Returns the sums of the squares of all pieces of a gradient.
pub fn squares(gradient: &[f32], unit: usize) -> Vec<f64> {
    let pieces: Vec<Range<usize>> = pieces(gradient.len(), unit, &(0..gradient.len())).collect();
    parallel::map(pieces.len(), |i| square(&gradient[pieces[i].clone()]))
}

fn square(piece: &[f32]) -> f64 {
    f64::from(kernels::dot(piece, piece))
}

/// Returns the sum of the squares of each whole piece in a range of a gradient, and the numbers themselves of the others.
pub fn squares_or_numbers(count: usize, part: &[f32], range: &Range<usize>, unit: usize) -> Vec<f64> {
    let numbers = |piece: &Range<usize>| {
        let touched = piece.start.max(range.start) - range.start..piece.end.min(range.end) - range.start;
        &part[touched]
    };
    let pieces: Vec<Range<usize>> = pieces(count, unit, range).collect();
    let of = |i: usize| match numbers(&pieces[i]) {
        whole if whole.len() == pieces[i].len() => vec![square(whole)],
        some => some.iter().map(|&number| number.into()).collect(),
    };
    parallel::map(pieces.len(), of).concat()
}

/// Returns the sums of the squares of all pieces of a gradient of `count` numbers. Each rank has a range of it, and what
/// [`squares_or_numbers`] returns for that is cut off the front of its list.
pub fn joined(count: usize, unit: usize, ranges: &[&Range<usize>], lists: &mut [&[f64]]) -> Vec<f64> {
    let (mut sums, mut parts) = (BTreeMap::new(), BTreeMap::<usize, Vec<(usize, &[f64])>>::new());
    for (range, list) in ranges.iter().zip(lists) {
        for piece in pieces(count, unit, range) {
            let touched = piece.start.max(range.start)..piece.end.min(range.end);
            let is_whole = touched == piece;
            let taken =
                list.split_off(..if is_whole { 1 } else { touched.len() }).expect("a list has all of its range");
            if is_whole {
                sums.insert(piece.start, taken[0]);
            } else {
                parts.entry(piece.start).or_default().push((touched.start, taken));
            }
        }
    }
    for (piece, mut parts) in parts {
        parts.sort_unstable_by_key(|(start, _)| *start);
        let numbers: Vec<f32> = parts.into_iter().flat_map(|(_, part)| part).map(|&number| number as f32).collect();
        sums.insert(piece, square(&numbers));
    }
    sums.into_values().collect()
}
