//! The tokens of a conversation, and the part that each has in it.

use super::spelled::{Token, spelled};
use ossia::harmony::Harmony;
use serde::Serialize;

/// A token of a conversation, and the part that it has in it.
#[derive(Serialize)]
pub struct Marked {
    id: u32,
    text: String,
    part: Part,
}

#[derive(Serialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Part {
    /// A special token.
    Special,
    /// The role, channel, recipient and format of a message.
    Header,
    /// The text of a message.
    Content,
}

/// Says for each token whether it is special, in a header, or in the text of a message.
pub fn marked(harmony: Harmony, ids: &[u32]) -> Vec<Marked> {
    let (marks, tokenizer) = (harmony.marks(), harmony.tokenizer());
    let specials = tokenizer.specials();
    let mut inside = Part::Header;
    let spelled = spelled(tokenizer, ids).into_iter();
    let mark = |token: Token| {
        let special = specials.iter().any(|&(_, id)| id == token.id);
        if token.id == marks.message {
            inside = Part::Content;
        } else if special && token.id != marks.constrain {
            inside = Part::Header;
        }
        Marked { id: token.id, text: token.text, part: if special { Part::Special } else { inside } }
    };
    spelled.map(mark).collect()
}
