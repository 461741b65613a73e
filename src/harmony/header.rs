//! What stands between `<|start|>` and `<|message|>`.

use super::message::Role;
use super::{CHANNEL, CONSTRAIN};

/// A header, taken apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// Who speaks.
    pub role: Role,
    /// Of a tool, its name.
    pub name: Option<String>,
    /// The channel.
    pub channel: Option<String>,
    /// Whom it is for.
    pub recipient: Option<String>,
    /// How the content is to be read.
    pub content_type: Option<String>,
}

/// A header as far as it could be understood.
pub(super) struct Understood {
    pub header: Header,
    /// Words that belong to no part of it.
    pub rest: String,
    /// What was wrong, each in a few words.
    pub wrong: Vec<String>,
}

/// Whether the words behind the role are to be a recipient and a content type, or text that should have been content.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Words {
    Header,
    Content,
}

// ANCHOR: header
/// Takes a header apart: `ROLE to=RECIPIENT<|channel|>CHANNEL TYPE`. `role` is known where the prompt has begun the
/// message; then the text may repeat it, or not. The recipient may also stand behind the channel, and without `to=`.
pub(super) fn understand(text: &str, role: Option<Role>, words: Words) -> Understood {
    let mut wrong = Vec::new();
    let (text, channel) = take_channel(text, &mut wrong);
    // "to=python<|constrain|>json" is two words.
    let text = text.trim().replace(CONSTRAIN, &format!(" {CONSTRAIN}"));
    let mut rest = text.trim();
    let (role, name) = match role {
        Some(role) => {
            take_word(&mut rest, |word| word == role.name());
            (role, None)
        }
        None => take_role(&mut rest, &mut wrong),
    };
    let mut header = Header { role, name, channel, recipient: None, content_type: None };
    if words == Words::Header {
        rest = take_recipient_and_type(rest, &mut header);
        if !rest.is_empty() {
            wrong.push(format!("words that are neither recipient nor content type: {rest:?}"));
        }
    }
    Understood { header, rest: rest.to_string(), wrong }
}
// ANCHOR_END: header

/// Cuts the first word off where it is `expected`.
fn take_word<'a>(rest: &mut &'a str, expected: impl Fn(&str) -> bool) -> Option<&'a str> {
    let (word, behind) = rest.split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((rest, ""));
    if !expected(word) {
        return None;
    }
    *rest = behind.trim_start();
    Some(word)
}

/// Cuts the channel out: what stands behind the mark, up to a space or the next mark.
fn take_channel(text: &str, wrong: &mut Vec<String>) -> (String, Option<String>) {
    let Some((before, behind)) = text.split_once(CHANNEL) else {
        return (text.to_string(), None);
    };
    let end = behind.find(|c: char| c.is_whitespace() || c == '<').unwrap_or(behind.len());
    let (channel, mut behind) = behind.split_at(end);
    if channel.is_empty() {
        wrong.push(format!("{CHANNEL} without a channel behind it"));
    }
    let mut repeated = String::new();
    if behind.contains(CHANNEL) {
        wrong.push(format!("a second {CHANNEL}"));
        let first = behind.find(CHANNEL).expect("just seen");
        repeated.push_str(&behind[..first]);
        for piece in behind[first..].split(CHANNEL).skip(1) {
            let end = piece.find(|c: char| c.is_whitespace() || c == '<').unwrap_or(piece.len());
            repeated.push_str(&piece[end..]);
        }
        behind = &repeated;
    }
    (format!("{before}{behind}"), Some(channel.to_string()).filter(|channel| !channel.is_empty()))
}

/// The role, or the name of a tool that speaks, at the start of a header that the model has begun itself.
fn take_role(rest: &mut &str, wrong: &mut Vec<String>) -> (Role, Option<String>) {
    let word = rest.split_ascii_whitespace().next().unwrap_or("");
    match Role::from_name(word) {
        Some(role) => {
            take_word(rest, |_| true);
            (role, (role == Role::Tool).then(|| word.to_string()))
        }
        None if word.starts_with("to=") || rest.split_ascii_whitespace().count() > 1 => {
            let name = word.to_string();
            take_word(rest, |_| true);
            take_word(rest, |word| word == Role::Tool.name());
            (Role::Tool, Some(name))
        }
        None if word.is_empty() => {
            wrong.push("no role".to_string());
            (Role::Assistant, None)
        }
        None => {
            wrong.push(format!("unknown role {word:?}"));
            take_word(rest, |_| true);
            (Role::Assistant, None)
        }
    }
}

/// The last word, or the last two. One word is a recipient; of two, the last is the type unless it begins with `to=`.
fn take_recipient_and_type<'a>(rest: &'a str, header: &mut Header) -> &'a str {
    let recipient = |word: &str| Some(word.strip_prefix("to=").unwrap_or(word).to_string());
    let (before, last) = split_last_word(rest);
    if last.is_empty() {
        return rest;
    }
    if last.starts_with("to=") || before.is_empty() {
        header.recipient = recipient(last);
        return before;
    }
    header.content_type = Some(last.to_string());
    let (before, last) = split_last_word(before);
    header.recipient = recipient(last);
    before
}

fn split_last_word(text: &str) -> (&str, &str) {
    let (before, last) = text.rsplit_once(|c: char| c.is_ascii_whitespace()).unwrap_or(("", text));
    (before.trim_end(), last)
}
