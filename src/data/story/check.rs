//! Computes properties of all stories by a walk over the grammar, without listing the stories.
//!
//! The walk keeps the sets of slots that may have been drawn, each with its probability. The number of words that a
//! draw can choose from depends on nothing else. So the entropy is an exact sum over all choices and draws: the
//! probability of reaching it times the logarithm of the number of options (the chain rule of entropy; Cover & Thomas,
//! "Elements of Information Theory", theorem 2.5.1). This is the entropy of texts and not only of derivations, because
//! each text has only one derivation. The check proves this too, for each choice: no option, spelled out with every
//! word of every list as far as needed, is a prefix of another option.

use super::grammar::{Grammar, Mention, Piece, Survey};
use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};

/// The largest number of prefixes of an option that are compared.
const MAX_HEADS: usize = 100_000;

/// Maps each set of drawn slots, sorted, to the probability that a story has drawn exactly these.
type States = BTreeMap<Vec<usize>, f64>;

impl Grammar {
    /// Returns the entropy: the mean of −log p over all stories, in nats per story.
    pub fn entropy(&self) -> f64 {
        self.survey.entropy
    }

    /// Returns the probability that a story takes the rarest option, at its rarest occurrence. Words drawn from lists
    /// do not count.
    pub fn rarest_option(&self) -> f64 {
        self.survey.rarest
    }

    /// Checks the whole grammar and returns its properties.
    pub(super) fn check(&self) -> Result<Survey> {
        let mut survey = Survey { entropy: 0.0, rarest: 1.0 };
        self.walk(0, &self.rules[0].pieces, BTreeMap::from([(Vec::new(), 1.0)]), &mut survey)?;
        for (index, rule) in self.rules.iter().enumerate() {
            self.check_options(index, &rule.pieces)?;
        }
        Ok(survey)
    }

    // ANCHOR: walk
    /// Returns the states after `pieces`, given the states before them.
    fn walk(&self, rule: usize, pieces: &[Piece], mut states: States, survey: &mut Survey) -> Result<States> {
        for piece in pieces {
            match piece {
                Piece::Text(_) => {}
                Piece::Mention(mention) => {
                    if !states.keys().all(|drawn| drawn.contains(&mention.slot)) {
                        return Err(self.error(
                            rule,
                            mention,
                            "is mentioned, but not every path to the mention draws it",
                        ));
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
                return Err(self.error(rule, mention, "finds no word left in its list"));
            }
            let Err(place) = drawn.binary_search(&mention.slot) else {
                return Err(self.error(rule, mention, "is drawn twice"));
            };
            survey.entropy += p * (free as f64).ln();
            drawn.insert(place, mention.slot);
            *after.entry(drawn).or_default() += p;
        }
        Ok(after)
    }

    fn error(&self, rule: usize, mention: &Mention, problem: &str) -> Error {
        let (rule, slot) = (&self.rules[rule].name, &self.slots[mention.slot].name);
        Error::argument(format!("story grammar, rule `{rule}`: `{slot}` {problem}"))
    }

    // ANCHOR: unambiguous
    /// Proves that no option of a choice, and no word of a draw, is a prefix of another one.
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
                let message = format!(
                    "story grammar, rule `{rule}`: {one:?} is a prefix of {other:?}, so a parser cannot choose"
                );
                return Err(Error::argument(message));
            }
        }
        Ok(())
    }

    /// Compares longer and longer prefixes of the options that the shorter ones did not distinguish.
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

    /// Returns all texts of `pieces`, each cut after the piece in which it reaches `length` bytes. The set may be too
    /// large, because a mention may have any word of its list. Returns `None` if there are too many texts.
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

    /// Returns every word of the mention's list, in the form of the mention.
    fn words(&self, mention: &Mention) -> BTreeSet<String> {
        let lines = self.lists[self.slots[mention.slot].list].lines.len();
        (0..lines).map(|line| self.render(mention, line)).collect()
    }
}

/// Returns pairs of texts from different sets of which the first is a prefix of the second, with the indices of the two
/// sets. Of each two sets with such texts, at least one pair is returned.
fn clashes(sets: &[BTreeSet<String>]) -> Vec<(&String, &String, usize, usize)> {
    let mut all: Vec<(&String, usize)> =
        sets.iter().enumerate().flat_map(|(index, set)| set.iter().map(move |text| (text, index))).collect();
    all.sort();
    let (mut clashes, mut seen) = (Vec::new(), BTreeSet::new());
    for (index, &(text, set)) in all.iter().enumerate() {
        // Because the texts are sorted, those that start with `text` follow it directly.
        let longer = all[index + 1..].iter().take_while(|(other, _)| other.starts_with(text.as_str()));
        for &(other, other_set) in longer.filter(|&&(_, other_set)| other_set != set) {
            if seen.insert((set, other_set)) {
                clashes.push((text, other, set, other_set));
            }
        }
    }
    clashes
}
