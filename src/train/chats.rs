//! Conversations to train on and to measure on, as windows.
//!
//! Book: [fine_tuning](../../../../book/fine_tuning.html)

use super::evaluate::EvaluationSet;
use super::note::{Note, Notes};
use super::settings::RunSettings;
use crate::data::{Example, IGNORE, Packed, Split, Windows};
use crate::error::{Error, Result};
use crate::harmony::{ChatMessage, Harmony, SystemContent};
use crate::kernels::parallel;
use crate::tasks::chats::{are_questions, examples, read_chats};
use crate::tasks::questions;
use crate::tokenizer::Tokenizer;

/// A conversation.
pub type Chat = Vec<ChatMessage>;

/// Reads the conversations that the settings name: to train on, and to measure on. Of a file of questions, those that are held out
/// are to measure on.
///
/// # Errors
/// If a conversation is malformed, or there is only one.
pub fn read(settings: &RunSettings, system: &SystemContent) -> Result<[Vec<Chat>; 2]> {
    if settings.eval_data.is_empty() && are_questions(&settings.data)? {
        let [path] = &settings.data[..] else {
            return Err(Error::argument("expected one file of questions"));
        };
        let questions = questions::read(path.as_ref(), system.clone())?;
        return Ok([questions.conversations(false)?, questions.conversations(true)?]);
    }
    let chats = read_chats(&settings.data, system)?;
    if !settings.eval_data.is_empty() {
        return Ok([chats, read_chats(&settings.eval_data, system)?]);
    }
    if chats.len() < 2 {
        return Err(Error::argument("found 1 conversation, expected 2 or more to set one aside, or --eval-data"));
    }
    let Split { train, validation } = Split::of(chats, settings.validation_fraction, settings.settings.seed)?;
    Ok([train, validation])
}

/// Packs conversations to train on into windows of `context` tokens. A note says what was packed.
///
/// # Errors
/// If the tokenizer lacks harmony's marks, or nothing is left to learn.
pub fn windows(chats: &[Chat], tokenizer: &Tokenizer, context: usize, notes: Notes) -> Result<Windows> {
    packed(chats, tokenizer, context, true, notes)
}

fn packed(chats: &[Chat], tokenizer: &Tokenizer, context: usize, to_train: bool, notes: Notes) -> Result<Windows> {
    let harmony = Harmony::new(tokenizer)?;
    let examples: Vec<Vec<Example>> =
        parallel::map(chats.len(), |i| examples(harmony, &chats[i])).into_iter().collect::<Result<_>>()?;
    let packed = Packed::new(examples.concat(), context, tokenizer.end_of_text().unwrap_or(0))?;
    notes(Note::Packed {
        to_train,
        conversations: chats.len(),
        windows: packed.len(),
        context,
        filled: packed.filled(),
        cut: packed.cut,
        dropped: packed.dropped,
    });
    Ok(Windows::packed(packed))
}

impl EvaluationSet {
    /// Prepares conversations to be measured on: what the assistant wrote in them.
    ///
    /// # Errors
    /// Those of [`windows`].
    pub fn of_chats(chats: &[Chat], tokenizer: &Tokenizer, context: usize, notes: Notes) -> Result<Self> {
        let windows = packed(chats, tokenizer, context, false, notes)?;
        let batches = windows.evaluation(1);
        let learned = batches.flat_map(|batch| batch.targets).filter(|&id| id != IGNORE);
        let bytes = learned.map(|id| tokenizer.token_bytes(id).map_or(0, <[u8]>::len)).sum();
        Ok(Self { windows, entropy_floor: None, bytes })
    }
}
