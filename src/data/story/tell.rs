//! Generates stories: one at random or, if the grammar is small enough, all of them.

use super::grammar::{Grammar, Piece};
use rand::{Rng, RngExt};

/// A story, and the natural logarithm of its probability.
#[derive(Clone, Debug, PartialEq)]
pub struct Story {
    /// The text. Paragraphs are separated by a line break.
    pub text: String,
    /// The log probability in nats, at most 0.
    pub log_probability: f64,
}

/// The words that a story has drawn so far: (slot, line of its list).
#[derive(Clone, Debug, Default)]
pub(super) struct Drawn(pub Vec<(usize, usize)>);

impl Drawn {
    /// Returns the line that was drawn for `slot`.
    ///
    /// # Panics
    /// If `slot` has not been drawn.
    pub fn line(&self, slot: usize) -> usize {
        let found = self.0.iter().find(|(s, _)| *s == slot);
        found.expect("Grammar::new checks that every mention is drawn before").1
    }
}

impl Grammar {
    /// Returns the lines that `slot` can still draw: those that no slot of the same list has drawn.
    pub(super) fn free(&self, slot: usize, drawn: &Drawn) -> Vec<usize> {
        let list = self.slots[slot].list;
        let taken = |line| drawn.0.iter().any(|&(s, l)| self.slots[s].list == list && l == line);
        (0..self.lists[list].lines.len()).filter(|&line| !taken(line)).collect()
    }

    // ANCHOR: sample
    /// Draws a story.
    pub fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> Story {
        let mut story = Story { text: String::new(), log_probability: 0.0 };
        self.tell(&self.rules[0].pieces, &mut story, &mut Drawn::default(), rng);
        story
    }

    fn tell<R: Rng + ?Sized>(&self, pieces: &[Piece], story: &mut Story, drawn: &mut Drawn, rng: &mut R) {
        for piece in pieces {
            match piece {
                Piece::Text(text) => story.text += text,
                Piece::Choice(options) => {
                    story.log_probability -= (options.len() as f64).ln();
                    self.tell(&options[below(options.len(), rng)], story, drawn, rng);
                }
                Piece::Draw(mention) => {
                    let free = self.free(mention.slot, drawn);
                    story.log_probability -= (free.len() as f64).ln();
                    let line = free[below(free.len(), rng)];
                    drawn.0.push((mention.slot, line));
                    story.text += &self.render(mention, line);
                }
                Piece::Mention(mention) => story.text += &self.render(mention, drawn.line(mention.slot)),
                Piece::Rule(rule) => self.tell(&self.rules[*rule].pieces, story, drawn, rng),
            }
        }
    }
    // ANCHOR_END: sample

    /// Returns all stories, or `None` if there are more than `limit`. It is the reference for everything that is
    /// computed without listing the stories.
    pub fn every_story(&self, limit: usize) -> Option<Vec<Story>> {
        let start = (Story { text: String::new(), log_probability: 0.0 }, Drawn::default());
        let stories = self.tell_all(&self.rules[0].pieces, vec![start], limit)?;
        Some(stories.into_iter().map(|(story, _)| story).collect())
    }

    /// Continues each of `stories` in every possible way.
    fn tell_all(&self, pieces: &[Piece], mut stories: Vec<PartialStory>, limit: usize) -> Option<Vec<PartialStory>> {
        for piece in pieces {
            let mut longer = Vec::new();
            for story in stories {
                longer.extend(self.continuations(piece, story, limit)?);
                if longer.len() > limit {
                    return None;
                }
            }
            stories = longer;
        }
        Some(stories)
    }

    /// Returns all continuations of a story by `piece`.
    fn continuations(
        &self,
        piece: &Piece,
        (mut story, drawn): PartialStory,
        limit: usize,
    ) -> Option<Vec<PartialStory>> {
        match piece {
            Piece::Text(text) => story.text += text,
            Piece::Mention(mention) => story.text += &self.render(mention, drawn.line(mention.slot)),
            Piece::Rule(rule) => return self.tell_all(&self.rules[*rule].pieces, vec![(story, drawn)], limit),
            Piece::Choice(options) => {
                story.log_probability -= (options.len() as f64).ln();
                let continued = |option| self.tell_all(option, vec![(story.clone(), drawn.clone())], limit);
                let all: Option<Vec<_>> = options.iter().map(|option| continued(option)).collect();
                return Some(all?.into_iter().flatten().collect());
            }
            Piece::Draw(mention) => {
                let free = self.free(mention.slot, &drawn);
                story.log_probability -= (free.len() as f64).ln();
                let continued = |line| {
                    let (mut story, mut drawn) = (story.clone(), drawn.clone());
                    story.text += &self.render(mention, line);
                    drawn.0.push((mention.slot, line));
                    (story, drawn)
                };
                return Some(free.into_iter().map(continued).collect());
            }
        }
        Some(vec![(story, drawn)])
    }
}

/// A story that is not complete yet.
type PartialStory = (Story, Drawn);

/// Returns a random number in 0..n. It is drawn as `u32`, so that 32- and 64-bit machines generate the same stories.
fn below<R: Rng + ?Sized>(n: usize, rng: &mut R) -> usize {
    rng.random_range(0..n as u32) as usize
}
