//! Parses the header of a message, which is between `<|start|>` and `<|message|>`.

use super::Mode;
use super::message::MessageRole;
use super::{CHANNEL, CONSTRAIN};

/// The parts of a message's header.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// The author of the message.
    pub role: MessageRole,
    /// The name of the tool, if the author is a tool.
    pub name: Option<String>,
    /// The channel.
    pub channel: Option<String>,
    /// The recipient, if the message is not for everyone.
    pub recipient: Option<String>,
    /// The format of the content, such as `<|constrain|>json`.
    pub content_type: Option<String>,
}

/// A parsed header, with everything that could not be parsed.
pub(super) struct ParsedHeader {
    pub header: Header,
    /// The words that belong to no part of the header.
    pub leftover: String,
    /// Descriptions of the mistakes in the header.
    pub problems: Vec<String>,
}

/// The meaning of the words after the role: a recipient and a content type, or text that should have been content.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum WordsAfterRole {
    Header,
    Content,
}

// ANCHOR: header
/// Parses a header: `ROLE to=RECIPIENT<|channel|>CHANNEL TYPE`. If the prompt has already begun the message, `role` is
/// known, and the text may or may not repeat it. The recipient may also be after the channel, and without `to=`.
///
/// The words are read as openai-harmony 0.0.8 reads them, and in lenient mode as a model means them; see [`as_meant`].
pub(super) fn parse_header(text: &str, role: Option<MessageRole>, words: WordsAfterRole, mode: Mode) -> ParsedHeader {
    let mut problems = Vec::new();
    let (text, channel) = take_channel(text, &mut problems);
    // "to=python<|constrain|>json" is two words.
    let text = text.trim().replace(CONSTRAIN, &format!(" {CONSTRAIN}"));
    let mut rest = text.trim();
    let (role, name) = match role {
        Some(role) => {
            take_word(&mut rest, |word| word == role.name());
            (role, None)
        }
        None => take_role(&mut rest, mode, &mut problems),
    };
    let mut header = Header { role, name, channel, recipient: None, content_type: None };
    if words == WordsAfterRole::Header {
        let recipient;
        (rest, recipient) = take_recipient_and_type(rest, &mut header);
        header.recipient = recipient.map(|word| word.strip_prefix("to=").unwrap_or(word).to_string());
        if mode == Mode::Lenient {
            as_meant(&mut header, recipient.is_some_and(|word| !word.starts_with("to=")));
        }
        if !rest.is_empty() {
            problems.push(format!("words that are neither recipient nor content type: {rest:?}"));
        }
    }
    ParsedHeader { header, leftover: rest.to_string(), problems }
}
// ANCHOR_END: header

/// Removes and returns the first word if it is `expected`.
fn take_word<'a>(rest: &mut &'a str, expected: impl Fn(&str) -> bool) -> Option<&'a str> {
    let (word, after) = rest.split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((rest, ""));
    if !expected(word) {
        return None;
    }
    *rest = after.trim_start();
    Some(word)
}

/// Removes the channel: the text after the mark, up to a space or the next mark.
fn take_channel(text: &str, problems: &mut Vec<String>) -> (String, Option<String>) {
    let Some((before, after)) = text.split_once(CHANNEL) else {
        return (text.to_string(), None);
    };
    let end = after.find(|c: char| c.is_whitespace() || c == '<').unwrap_or(after.len());
    let (channel, mut after) = after.split_at(end);
    if channel.is_empty() {
        problems.push(format!("{CHANNEL} without a channel after it"));
    }
    let mut repeated = String::new();
    if after.contains(CHANNEL) {
        problems.push(format!("a second {CHANNEL}"));
        let first = after.find(CHANNEL).expect("checked by `contains`");
        repeated.push_str(&after[..first]);
        for piece in after[first..].split(CHANNEL).skip(1) {
            let end = piece.find(|c: char| c.is_whitespace() || c == '<').unwrap_or(piece.len());
            repeated.push_str(&piece[end..]);
        }
        after = &repeated;
    }
    (format!("{before}{after}"), Some(channel.to_string()).filter(|channel| !channel.is_empty()))
}

/// Removes the role, or the name of a tool, from the start of a header that the model has begun itself.
fn take_role(rest: &mut &str, mode: Mode, problems: &mut Vec<String>) -> (MessageRole, Option<String>) {
    let word = rest.split_ascii_whitespace().next().unwrap_or("");
    // "user:alice" is how a name is rendered; openai-harmony does not read it.
    let named = word.split_once(':').filter(|(_, name)| mode == Mode::Lenient && !name.is_empty());
    if let Some((role, name)) = named.and_then(|(role, name)| Some((MessageRole::from_name(role)?, name.to_string()))) {
        take_word(rest, |_| true);
        return (role, Some(name));
    }
    match MessageRole::from_name(word) {
        Some(role) => {
            take_word(rest, |_| true);
            (role, (role == MessageRole::Tool).then(|| word.to_string()))
        }
        None if word.starts_with("to=") || rest.split_ascii_whitespace().count() > 1 => {
            let name = word.to_string();
            take_word(rest, |_| true);
            take_word(rest, |word| word == MessageRole::Tool.name());
            (MessageRole::Tool, Some(name))
        }
        None if word.is_empty() => {
            problems.push("no role".to_string());
            (MessageRole::Assistant, None)
        }
        None => {
            problems.push(format!("unknown role {word:?}"));
            take_word(rest, |_| true);
            (MessageRole::Assistant, None)
        }
    }
}

/// Removes the last word or the last two, and returns the word that is the recipient. A single word is the recipient. If there are two, the last is the content
/// type, unless it begins with `to=`.
fn take_recipient_and_type<'a>(rest: &'a str, header: &mut Header) -> (&'a str, Option<&'a str>) {
    let (before, last) = split_last_word(rest);
    if last.is_empty() {
        return (rest, None);
    }
    if last.starts_with("to=") || before.is_empty() {
        return (before, Some(last));
    }
    header.content_type = Some(last.to_string());
    let (before, last) = split_last_word(before);
    (before, Some(last))
}

/// Corrects a header in which a single word was taken for a recipient although a model means something else by it.
/// `<|constrain|>json` is always a content type. An answer on the channel `final` is for the user, so a bare word in its header
/// is a content type, and `to=user` names nobody else. `bare` says whether the recipient had no `to=`.
fn as_meant(header: &mut Header, bare: bool) {
    let is_final = header.channel.as_deref() == Some("final");
    let recipient = header.recipient.as_deref().unwrap_or_default();
    if bare && recipient.starts_with(CONSTRAIN) {
        header.content_type = header.recipient.take();
    } else if bare && is_final {
        let word = header.recipient.take();
        header.content_type = header.content_type.take().or(word);
    } else if is_final && recipient == MessageRole::User.name() {
        header.recipient = None;
    }
}

fn split_last_word(text: &str) -> (&str, &str) {
    let (before, last) = text.rsplit_once(|c: char| c.is_ascii_whitespace()).unwrap_or(("", text));
    (before.trim_end(), last)
}
