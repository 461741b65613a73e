//! What is true of all stories, found by walking over the grammar instead of over its stories.
//!
//! The walk carries which slots have been drawn, with the probability of having drawn just these. How many words a
//! draw can choose from depends on nothing else, so the entropy is an exact sum: for every choice and every draw, the
//! probability of getting there times the logarithm of the number of ways on (the chain rule of entropy; Cover &
//! Thomas, "Elements of Information Theory", theorem 2.5.1). It is the entropy of texts, not only of derivations,
//! because a text has one derivation. That is proved here too, for each choice: the options, spelled out with every
//! word of every list as far as needed, never begin each other.

use super::grammar::{Grammar, Mention, Piece};
use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};

/// Beginnings of an option that are compared at the most.
const MAX_HEADS: usize = 100_000;

/// What the walk found out.
#[derive(Clone, Debug, Default)]
pub(super) struct Survey {
    entropy: f64,
    rarest: f64,
}

/// Sets of drawn slots, sorted, and the probability that a story has drawn exactly these.
type States = BTreeMap<Vec<usize>, f64>;

impl Grammar {
    /// The mean of −log p over all stories, in nats a story.
    pub fn entropy(&self) -> f64 {
        self.survey.entropy
    }

    /// The probability that a story takes the rarest option there is, at the place where it is rarest. Words drawn
    /// from lists do not count.
    pub fn rarest_option(&self) -> f64 {
        self.survey.rarest
    }

    /// Walks over the whole grammar.
    pub(super) fn check(&self) -> Result<Survey> {
        let mut survey = Survey { entropy: 0.0, rarest: 1.0 };
        self.walk(0, &self.rules[0].pieces, BTreeMap::from([(Vec::new(), 1.0)]), &mut survey)?;
        for (index, rule) in self.rules.iter().enumerate() {
            self.check_options(index, &rule.pieces)?;
        }
        Ok(survey)
    }

    // ANCHOR: walk
    /// The states after `pieces`, if `states` are those before.
    fn walk(&self, rule: usize, pieces: &[Piece], mut states: States, survey: &mut Survey) -> Result<States> {
        for piece in pieces {
            match piece {
                Piece::Text(_) => {}
                Piece::Mention(mention) => {
                    if !states.keys().all(|drawn| drawn.contains(&mention.slot)) {
                        return Err(self.wrong(rule, mention, "is mentioned, but not every way there draws it"));
                    }
                }
                Piece::Draw(mention) => states = self.walk_draw(rule, mention, states, survey)?,
                Piece::Rule(further) => states = self.walk(*further, &self.rules[*further].pieces, states, survey)?,
                Piece::Choice(options) => {
                    let share = 1.0 / options.len() as f64;
                    let total: f64 = states.values().sum();
                    survey.entropy -= total * share.ln();
                    survey.rarest = survey.rarest.min(total * share);
                    let mut after = States::new();
                    for option in options {
                        let before = states.iter().map(|(drawn, p)| (drawn.clone(), p * share)).collect();
                        for (drawn, p) in self.walk(rule, option, before, survey)? {
                            *after.entry(drawn).or_default() += p;
                        }
                    }
                    states = after;
                }
            }
        }
        Ok(states)
    }
    // ANCHOR_END: walk

    fn walk_draw(&self, rule: usize, mention: &Mention, states: States, survey: &mut Survey) -> Result<States> {
        let list = self.slots[mention.slot].list;
        let mut after = States::new();
        for (mut drawn, p) in states {
            let taken = drawn.iter().filter(|&&slot| self.slots[slot].list == list).count();
            let free = self.lists[list].lines.len().saturating_sub(taken);
            if free == 0 {
                return Err(self.wrong(rule, mention, "finds no word left in its list"));
            }
            let Err(place) = drawn.binary_search(&mention.slot) else {
                return Err(self.wrong(rule, mention, "is drawn twice"));
            };
            survey.entropy += p * (free as f64).ln();
            drawn.insert(place, mention.slot);
            *after.entry(drawn).or_default() += p;
        }
        Ok(after)
    }

    fn wrong(&self, rule: usize, mention: &Mention, what: &str) -> Error {
        let (rule, slot) = (&self.rules[rule].name, &self.slots[mention.slot].name);
        Error::argument(format!("story grammar, rule `{rule}`: `{slot}` {what}"))
    }

    // ANCHOR: unambiguous
    /// Proves that no option of a choice, and no word of a draw, begins another one.
    fn check_options(&self, rule: usize, pieces: &[Piece]) -> Result<()> {
        for piece in pieces {
            let clash = match piece {
                Piece::Choice(options) => {
                    options.iter().try_for_each(|option| self.check_options(rule, option))?;
                    self.clash_of(options)
                }
                Piece::Draw(mention) => {
                    let words: Vec<_> = self.words(mention).into_iter().map(|word| BTreeSet::from([word])).collect();
                    clashes(&words).first().map(|&(one, other, ..)| (one.clone(), other.clone()))
                }
                _ => None,
            };
            if let Some((one, other)) = clash {
                let rule = &self.rules[rule].name;
                let message =
                    format!("story grammar, rule `{rule}`: {one:?} begins {other:?}, so a reader cannot choose");
                return Err(Error::argument(message));
            }
        }
        Ok(())
    }

    /// Compares longer and longer beginnings, of those options only whose shorter ones did not tell them apart.
    fn clash_of(&self, options: &[Vec<Piece>]) -> Option<(String, String)> {
        let mut alike: Vec<&Vec<Piece>> = options.iter().collect();
        let mut found = ("an option".to_string(), "too many texts".to_string());
        for length in [4, 8, 16, 32, 64, 128, 256] {
            let heads: Option<Vec<_>> = alike.iter().map(|option| self.heads(option, length)).collect();
            let Some(heads) = heads else { break };
            let clashes = clashes(&heads);
            let &(one, other, ..) = clashes.first()?;
            found = (one.clone(), other.clone());
            let clashing = |index: &usize| clashes.iter().any(|&(_, _, a, b)| *index == a || *index == b);
            alike = (0..alike.len()).filter(clashing).map(|index| alike[index]).collect();
        }
        Some(found)
    }
    // ANCHOR_END: unambiguous

    /// All that `pieces` can say, each cut after the piece in which it reaches `length` bytes. A superset: mentions
    /// say any word of their list. `None` if there are too many.
    fn heads(&self, pieces: &[Piece], length: usize) -> Option<BTreeSet<String>> {
        let mut heads = BTreeSet::from([String::new()]);
        for piece in pieces {
            let mut longer = BTreeSet::new();
            for head in heads {
                if head.len() >= length {
                    longer.insert(head);
                    continue;
                }
                let left = length - head.len();
                let tails = match piece {
                    Piece::Text(text) => BTreeSet::from([text.clone()]),
                    Piece::Draw(mention) | Piece::Mention(mention) => self.words(mention),
                    Piece::Rule(rule) => self.heads(&self.rules[*rule].pieces, left)?,
                    Piece::Choice(options) => {
                        let all: Option<Vec<_>> = options.iter().map(|option| self.heads(option, left)).collect();
                        all?.into_iter().flatten().collect()
                    }
                };
                longer.extend(tails.iter().map(|tail| head.clone() + tail));
                if longer.len() > MAX_HEADS {
                    return None;
                }
            }
            heads = longer;
        }
        Some(heads)
    }

    /// Every word of the mention's list, in the form of the mention.
    fn words(&self, mention: &Mention) -> BTreeSet<String> {
        let lines = self.lists[self.slots[mention.slot].list].lines.len();
        (0..lines).map(|line| self.render(mention, line)).collect()
    }
}

/// Pairs of texts from different sets such that the first begins the second, and the two sets. At least one pair for
/// each two sets that have any.
fn clashes(sets: &[BTreeSet<String>]) -> Vec<(&String, &String, usize, usize)> {
    let mut all: Vec<(&String, usize)> =
        sets.iter().enumerate().flat_map(|(index, set)| set.iter().map(move |text| (text, index))).collect();
    all.sort();
    let (mut clashes, mut seen) = (Vec::new(), BTreeSet::new());
    for (index, &(text, set)) in all.iter().enumerate() {
        // Sorted: the texts that `text` begins follow it directly.
        let longer = all[index + 1..].iter().take_while(|(other, _)| other.starts_with(text.as_str()));
        for &(other, other_set) in longer.filter(|&&(_, other_set)| other_set != set) {
            if seen.insert((set, other_set)) {
                clashes.push((text, other, set, other_set));
            }
        }
    }
    clashes
}
