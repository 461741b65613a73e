//! Sets of characters, as ranges of their numbers.

/// The digits, `\d`.
pub const DIGIT: &[(u32, u32)] = &[(0x30, 0x39)];
/// The letters, digits and the underscore of ASCII, `\w`.
pub const WORD: &[(u32, u32)] = &[(0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)];
/// The white space and line breaks of ECMAScript, `\s`.
pub const SPACE: &[(u32, u32)] = &[
    (0x09, 0x0D),
    (0x20, 0x20),
    (0xA0, 0xA0),
    (0x1680, 0x1680),
    (0x2000, 0x200A),
    (0x2028, 0x2029),
    (0x202F, 0x202F),
    (0x205F, 0x205F),
    (0x3000, 0x3000),
    (0xFEFF, 0xFEFF),
];

/// A set of characters.
pub struct Characters {
    ranges: Vec<(u32, u32)>,
}

impl Characters {
    /// Makes the set of the characters in these ranges, ends included.
    pub fn from(ranges: &[(u32, u32)]) -> Self {
        Self { ranges: ranges.to_vec() }
    }

    /// Adds the characters in these ranges.
    pub fn add(&mut self, ranges: &[(u32, u32)]) {
        self.ranges.extend(ranges);
    }

    /// Returns the ranges.
    pub fn ranges(&self) -> &[(u32, u32)] {
        &self.ranges
    }

    /// Returns the set of all other characters.
    pub fn inverted(mut self) -> Self {
        self.ranges.sort_unstable();
        let (mut others, mut from) = (Vec::new(), 0);
        for (first, last) in self.ranges {
            if from < first {
                others.push((from, first - 1));
            }
            from = from.max(last + 1);
        }
        if from <= 0x10_FFFF {
            others.push((from, 0x10_FFFF));
        }
        Self { ranges: others }
    }

    /// Returns the set as a class of the crate regex. Halves of surrogate pairs are left out, because no text contains
    /// one.
    pub fn regex(&self) -> String {
        let below = self.ranges.iter().map(|&(first, last)| (first, last.min(0xD7FF)));
        let above = self.ranges.iter().map(|&(first, last)| (first.max(0xE000), last));
        let ranges = below.chain(above).filter(|(first, last)| first <= last);
        let ranges: String = ranges.map(|(first, last)| format!(r"\x{{{first:X}}}-\x{{{last:X}}}")).collect();
        // A class cannot be empty, but all characters can be excluded from it.
        if ranges.is_empty() { r"[^\x{0}-\x{10FFFF}]".into() } else { format!("[{ranges}]") }
    }
}
