//! Training material: from paths to windows of tokens, for training and for evaluation.
//!
//! Book: [data](../../../../book/data.html)

use super::chats;
use super::evaluate::EvaluationSet;
use super::note::{Note, Notes};
use super::prepared::Prepared;
use super::settings::RunSettings;
use super::texts::{UNSEEN_SEED, encode, is_builtin, read, starting_with_end};
use crate::data::{Windows, story};
use crate::error::Result;
use crate::harmony::{Message, MessageRole, SystemContent};
use crate::tasks::{self, arithmetic};
use crate::tokenizer::Tokenizer;

/// The number of conversations of the task `arithmetic`, for training and for evaluation.
const CONVERSATIONS: [usize; 2] = [60_000, 600];

/// The material of a run: a tokenizer, and text to train and to measure on.
pub struct Material {
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// The windows to train on.
    pub windows: Windows,
    /// The windows to measure on.
    pub evaluation: EvaluationSet,
    /// A conversation that is not trained on, up to the first reply, if the run trains on conversations of files.
    pub question: Option<Vec<Message>>,
}

impl Material {
    /// Reads or makes the text that the settings describe. Without a tokenizer, uses the one of gpt-oss if `vocab_size` is the
    /// size of its vocabulary (and the feature `o200k` is on), and otherwise trains one with at most `vocab_size` tokens.
    ///
    /// # Errors
    /// If the text cannot be read, or is too short.
    pub fn new(settings: &RunSettings, tokenizer: Option<Tokenizer>, vocab_size: usize, notes: Notes) -> Result<Self> {
        match (&settings.task, &settings.chats) {
            (Some(_), _) => Self::task(settings, tokenizer, vocab_size, notes),
            (None, Some(system)) => Self::chats(settings, system, tokenizer, vocab_size, notes),
            (None, None) => Self::text(settings, tokenizer, vocab_size, notes),
        }
    }

    fn chats(
        settings: &RunSettings,
        system: &SystemContent,
        tokenizer: Option<Tokenizer>,
        vocab_size: usize,
        notes: Notes,
    ) -> Result<Self> {
        let [training, measured] = chats::read(settings, system)?;
        let tokenizer = tokenizer.map_or_else(|| tasks::chats::tokenizer(&training, vocab_size), Ok)?;
        let context = settings.settings.context;
        let windows = chats::windows(&training, &tokenizer, context, notes)?;
        let evaluation = EvaluationSet::of_chats(&measured, &tokenizer, context, notes)?;
        let question = measured.first().map(|chat| {
            let prompt = chat.iter().take_while(|message| message.message.role != MessageRole::Assistant);
            prompt.map(|message| message.message.clone()).collect()
        });
        Ok(Self { tokenizer, windows, evaluation, question })
    }

    fn text(settings: &RunSettings, tokenizer: Option<Tokenizer>, vocab_size: usize, notes: Notes) -> Result<Self> {
        let prepared = match Prepared::find(&settings.data)? {
            Some(mut prepared) => {
                if let Some(tokenizer) = tokenizer {
                    prepared.check_tokenizer(&starting_with_end(tokenizer), &settings.data)?;
                }
                if !settings.eval_data.is_empty() {
                    prepared.evaluation = read(&settings.eval_data, settings, UNSEEN_SEED, notes)?.documents;
                    prepared.builtin = is_builtin(&settings.eval_data);
                }
                prepared
            }
            None => Prepared::new(settings, tokenizer, vocab_size, notes)?,
        };
        let Prepared { stream, evaluation, builtin, tokenizer } = prepared;
        let context = settings.settings.context;
        let shortened = settings.eval_tokens.and_then(|most| shortened(&evaluation, &tokenizer, most));
        if let Some((documents, tokens)) = &shortened {
            notes(Note::EvaluationShortened { tokens: *tokens, documents: documents.len(), of: evaluation.len() });
        }
        let measured = shortened.map_or(evaluation, |(documents, _)| documents);
        let evaluation = match builtin {
            true => EvaluationSet::of_stories(&measured, &tokenizer, context)?,
            false => EvaluationSet::of_documents(&measured, &tokenizer, context)?,
        };
        Ok(Self { tokenizer, windows: Windows::of(stream, context)?, evaluation, question: None })
    }

    fn task(settings: &RunSettings, tokenizer: Option<Tokenizer>, vocab_size: usize, notes: Notes) -> Result<Self> {
        let tokenizer = tokenizer.map_or_else(|| arithmetic::tokenizer(vocab_size), Ok)?;
        let context = settings.settings.context;
        let [training, measuring] = CONVERSATIONS;
        let mixed = settings.mix_efforts.unwrap_or(0.0);
        let measured = arithmetic::conversations(measuring, UNSEEN_SEED, true, mixed);
        // The right answer follows from the question, to the digit: its entropy is 0. How it is worked out may not follow.
        let evaluation = EvaluationSet {
            entropy_floor: (mixed == 0.0).then_some(0.0),
            ..EvaluationSet::of_chats(&measured, &tokenizer, context, &mut |_| {})?
        };
        let training = arithmetic::conversations(training, settings.settings.seed, false, mixed);
        let windows = chats::windows(&training, &tokenizer, context, notes)?;
        Ok(Self { windows, evaluation, tokenizer, question: None })
    }
}

/// Returns the first documents that have at most `most` tokens together, and their tokens; `None` if that is all of them. If
/// the first document is longer, returns its beginning.
fn shortened(documents: &[String], tokenizer: &Tokenizer, most: usize) -> Option<(Vec<String>, usize)> {
    let (mut kept, mut tokens) = (Vec::new(), 0);
    for document in documents {
        let ids = tokenizer.encode(document);
        if tokens + ids.len() < most {
            tokens += ids.len() + 1; // and the end of the text
            kept.push(document.clone());
            continue;
        }
        if kept.is_empty() {
            let bytes: usize =
                ids[..most.min(ids.len())].iter().filter_map(|&id| tokenizer.token_bytes(id)).map(<[u8]>::len).sum();
            let whole = (0..=bytes).rev().find(|&at| document.is_char_boundary(at)).unwrap_or(0); // not half a character
            kept.push(document[..whole].to_string());
            tokens = most;
        }
        return Some((kept, tokens));
    }
    None
}

/// Encodes documents, on all cores, and cuts them into windows of `context` tokens.
///
/// # Errors
/// Those of [`encode`], and if the context is 0.
pub fn windows(documents: &[String], tokenizer: &Tokenizer, context: usize) -> Result<Windows> {
    Windows::of(encode(documents, tokenizer)?, context)
}

impl EvaluationSet {
    /// Prepares documents to be measured on.
    ///
    /// # Errors
    /// Those of [`windows`].
    pub fn of_documents(documents: &[String], tokenizer: &Tokenizer, context: usize) -> Result<Self> {
        let windows = windows(documents, tokenizer, context)?;
        Ok(Self { windows, entropy_floor: None, bytes: documents.iter().map(String::len).sum() })
    }

    /// Prepares built-in stories to be measured on. Their exact probability is known, and so is the entropy floor.
    ///
    /// # Errors
    /// Those of [`windows`].
    pub fn of_stories(documents: &[String], tokenizer: &Tokenizer, context: usize) -> Result<Self> {
        let mut set = Self::of_documents(documents, tokenizer, context)?;
        let nats: Option<f64> = documents.iter().map(|text| story::log_probability(text)).sum();
        set.entropy_floor = nats.map(|nats| -nats / set.windows.tokens() as f64);
        Ok(set)
    }
}
