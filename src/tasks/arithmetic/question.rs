//! What is asked.

use rand::RngExt;
use rand::rngs::ChaCha8Rng;

/// Totals and terms go from 0 to this.
const LARGEST: i32 = 999;

/// One in so many questions is held out.
const HELD_OUT: u64 = 8;

/// A question with one right answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// The first term, and those that are added or, where negative, taken away. No total on the way is below 0 or
    /// above 999.
    Sum(Vec<i32>),
    /// Two numbers to be multiplied.
    Product(i32, i32),
}

/// How it is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wording {
    /// `What is 347 + 285 - 120?`
    Plain,
    /// `Tom has 347 coins, finds 285, loses 120. How many coins?`
    Story {
        /// Who, from a short list.
        who: usize,
        /// What, from a short list.
        what: usize,
    },
}

const WHO: [&str; 6] = ["Tom", "Anna", "Mia", "Ben", "Lea", "Sam"];
const WHAT: [&str; 6] = ["coins", "apples", "shells", "stamps", "cards", "beads"];

impl Wording {
    /// Any of them.
    pub fn random(rng: &mut ChaCha8Rng) -> Self {
        match rng.random_range(0..3) {
            0 => Self::Story { who: rng.random_range(0..WHO.len()), what: rng.random_range(0..WHAT.len()) },
            _ => Self::Plain,
        }
    }
}

/// A number in a range, half the time one of few digits: people ask for 5 + 6 as well.
fn number(least: i32, most: i32, rng: &mut ChaCha8Rng) -> i32 {
    let most = match rng.random_range(0..4) {
        0 => most.min(9),
        1 => most.min(99),
        _ => most,
    };
    rng.random_range(least..=most)
}

impl Question {
    /// A sum of `terms` terms, of one, two or three digits.
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

    /// A product of two numbers of two or three digits.
    pub fn product(rng: &mut ChaCha8Rng) -> Self {
        Self::Product(rng.random_range(11..=LARGEST), rng.random_range(11..=LARGEST))
    }

    /// Draws until the question is one that is held out, or one that is not.
    pub fn draw(held_out: bool, rng: &mut ChaCha8Rng, draw: impl Fn(&mut ChaCha8Rng) -> Self) -> Self {
        loop {
            let question = draw(rng);
            if question.is_held_out() == held_out {
                return question;
            }
        }
    }

    /// The right answer.
    pub fn answer(&self) -> i32 {
        match self {
            Self::Sum(terms) => terms.iter().sum(),
            Self::Product(a, b) => a * b,
        }
    }

    /// Whether it is for measuring and never for training. However it is worded: the terms decide (FNV-1a).
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

    /// As the user puts it. A product is always put plainly.
    pub fn text(&self, wording: Wording) -> String {
        match (self, wording) {
            (Self::Product(a, b), _) => format!("What is {a} * {b}?"),
            (Self::Sum(terms), Wording::Plain) => {
                let (first, rest) = (terms[0], &terms[1..]);
                let rest = rest.iter().map(|&term| format!(" {} {}", if term < 0 { '-' } else { '+' }, term.abs()));
                format!("What is {first}{}?", rest.collect::<String>())
            }
            (Self::Sum(terms), Wording::Story { who, what }) => {
                let (first, rest) = (terms[0], &terms[1..]);
                let happens =
                    rest.iter().map(|&term| format!(", {} {}", if term < 0 { "loses" } else { "finds" }, term.abs()));
                let (who, what) = (WHO[who % WHO.len()], WHAT[what % WHAT.len()]);
                format!("{who} has {first} {what}{}. How many {what}?", happens.collect::<String>())
            }
        }
    }
}
