//! Questions with exact answers.

use rand::RngExt;
use rand::rngs::ChaCha8Rng;

/// The largest term and the largest total.
const LARGEST: i32 = 999;

/// One in so many questions is held out.
const HELD_OUT: u64 = 8;

/// A question with exactly one correct answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// A sum: the first term, and the terms that are added or, if negative, subtracted. All intermediate totals are
    /// from 0 to 999.
    Sum(Vec<i32>),
    /// The product of two numbers.
    Product(i32, i32),
}

/// The wording of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wording {
    /// `What is 347 + 285 - 120?`
    Plain,
    /// `Tom has 347 coins, finds 285, loses 120. How many coins?`
    Story {
        /// The index of a name in a short list.
        name: usize,
        /// The index of a thing in a short list.
        thing: usize,
    },
}

/// The names in stories.
const NAMES: [&str; 6] = ["Tom", "Anna", "Mia", "Ben", "Lea", "Sam"];
/// The things in stories.
const THINGS: [&str; 6] = ["coins", "apples", "shells", "stamps", "cards", "beads"];

impl Wording {
    /// Returns a random wording.
    pub fn random(rng: &mut ChaCha8Rng) -> Self {
        match rng.random_range(0..3) {
            0 => Self::Story { name: rng.random_range(0..NAMES.len()), thing: rng.random_range(0..THINGS.len()) },
            _ => Self::Plain,
        }
    }
}

/// Returns a number in a range. Half of the numbers have few digits, because people also ask for sums such as 5 + 6.
fn number(least: i32, most: i32, rng: &mut ChaCha8Rng) -> i32 {
    let most = match rng.random_range(0..4) {
        0 => most.min(9),
        1 => most.min(99),
        _ => most,
    };
    rng.random_range(least..=most)
}

impl Question {
    /// Returns a random sum of `terms` terms, each with one to three digits.
    pub fn sum(terms: usize, rng: &mut ChaCha8Rng) -> Self {
        let mut total = number(0, LARGEST, rng);
        let mut sum = vec![total];
        for _ in 1..terms {
            let can_add = total < LARGEST;
            let add = total == 0 || (can_add && rng.random());
            let term = if add { number(1, LARGEST - total, rng) } else { -number(1, total, rng) };
            total += term;
            sum.push(term);
        }
        Self::Sum(sum)
    }

    /// Returns a random product of two numbers, each with two or three digits.
    pub fn product(rng: &mut ChaCha8Rng) -> Self {
        Self::Product(rng.random_range(11..=LARGEST), rng.random_range(11..=LARGEST))
    }

    /// Draws questions until one is held out, or not, as `held_out` requires.
    pub fn draw(held_out: bool, rng: &mut ChaCha8Rng, draw: impl Fn(&mut ChaCha8Rng) -> Self) -> Self {
        loop {
            let question = draw(rng);
            if question.is_held_out() == held_out {
                return question;
            }
        }
    }

    /// Returns the correct answer.
    pub fn answer(&self) -> i32 {
        match self {
            Self::Sum(terms) => terms.iter().sum(),
            Self::Product(a, b) => a * b,
        }
    }

    /// Returns whether the question is reserved for evaluation. Only the terms decide (by FNV-1a), not the wording.
    pub fn is_held_out(&self) -> bool {
        let terms = match self {
            Self::Sum(terms) => terms.clone(),
            Self::Product(a, b) => vec![*a, *b, i32::MAX],
        };
        let bytes = terms.iter().flat_map(|term| term.to_le_bytes());
        let hash = bytes
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        (hash >> 32).is_multiple_of(HELD_OUT)
    }

    /// Returns the question as text. A product always has the plain wording.
    pub fn text(&self, wording: Wording) -> String {
        match (self, wording) {
            (Self::Product(a, b), _) => format!("What is {a} * {b}?"),
            (Self::Sum(terms), Wording::Plain) => {
                let (first, rest) = (terms[0], &terms[1..]);
                let rest = rest.iter().map(|&term| format!(" {} {}", if term < 0 { '-' } else { '+' }, term.abs()));
                format!("What is {first}{}?", rest.collect::<String>())
            }
            (Self::Sum(terms), Wording::Story { name, thing }) => {
                let (first, rest) = (terms[0], &terms[1..]);
                let happens =
                    rest.iter().map(|&term| format!(", {} {}", if term < 0 { "loses" } else { "finds" }, term.abs()));
                let (name, thing) = (NAMES[name % NAMES.len()], THINGS[thing % THINGS.len()]);
                format!("{name} has {first} {thing}{}. How many {thing}?", happens.collect::<String>())
            }
        }
    }
}
