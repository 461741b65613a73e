//! Harmony: a conversation as tokens, and tokens as messages. The chapter: harmony.md.

use ossia::harmony::Marks;
use ossia::tokenizer::Tokenizer;

/// A message without a content type.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The author: `system`, `developer`, `user`, `assistant`, or the name of a tool.
    pub role: String,
    /// The recipient, which is the tool if the assistant calls one.
    pub recipient: Option<String>,
    pub channel: Option<String>,
    pub content: String,
}

/// The purpose of rendered tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Purpose {
    /// A prompt: the model writes the next message.
    Completion,
    /// A text for training: the last message is the answer that the model should learn to write.
    Training,
}

/// Returns the tokens of a message: `<|start|>ROLE to=RECIPIENT<|channel|>CHANNEL<|message|>CONTENT<|end|>`, where parts that
/// are `None` are left out. The last token is `<|call|>` if the assistant calls a tool. `marks` has the ids of the special
/// tokens. Each part (the role, ` to=RECIPIENT`, the channel, the content) is encoded by itself, and as text: no part becomes
/// a special token, whatever it spells.
pub fn render_message(message: &Message, tokenizer: &Tokenizer, marks: Marks) -> Vec<u32> {
    todo!("the tokens of {message:?}, with {} ids and {marks:?}", tokenizer.vocab_size())
}

/// Returns the messages that a prompt has. If the last message of the assistant is on the channel `final`, leaves out all
/// messages on the channel `analysis` that come before the first message on `final`. Otherwise leaves out nothing.
pub fn in_prompt(messages: &[Message]) -> Vec<Message> {
    todo!("those of {} messages that a prompt has", messages.len())
}

/// Renders a conversation. A prompt has the messages that [`in_prompt`] returns, and ends with `<|start|>assistant`, the
/// beginning of the next message. A text for training has all messages, because the model should learn to write its analysis.
/// Its last token is `<|return|>` instead of `<|end|>`.
pub fn render(messages: &[Message], purpose: Purpose, tokenizer: &Tokenizer, marks: Marks) -> Vec<u32> {
    todo!("{} messages for {purpose:?}, {} ids, {marks:?}", messages.len(), tokenizer.vocab_size())
}

/// Parses tokens to messages. Each message has the form that [`render_message`] describes, and ends with `<|end|>`,
/// `<|call|>` or `<|return|>`. A model may also write ` to=RECIPIENT` after the channel. `Tokenizer::decode` returns the text of
/// ids.
///
/// # Errors
/// Returns an error if the tokens are anything other than complete messages.
pub fn parse(ids: &[u32], tokenizer: &Tokenizer, marks: Marks) -> Result<Vec<Message>, String> {
    todo!("messages from {} of {} ids, {marks:?}", ids.len(), tokenizer.vocab_size())
}
