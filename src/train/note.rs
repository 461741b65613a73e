//! Notes: what a run does that its user should know.

use crate::data::Skipped;
use std::fmt;

/// Something that a run does and that its user should know. It is displayed as a line, except for skipped lines of data,
/// of which there may be many.
#[derive(Debug, Clone, PartialEq)]
pub enum Note {
    /// Lines of a data file that are not documents.
    Skipped(Vec<Skipped>),
    /// The only document was cut, and its end is the evaluation text.
    TailSetAside {
        /// Bytes of the training text.
        training: usize,
        /// Bytes of the evaluation text.
        evaluation: usize,
    },
    /// The evaluation text is longer than the limit, so only its beginning is used.
    EvaluationShortened {
        /// The tokens that are used.
        tokens: usize,
        /// The documents that are used, the last of them perhaps in part.
        documents: usize,
        /// The documents that there are.
        of: usize,
    },
    /// Conversations were packed into windows.
    Packed {
        /// Whether they are to be trained on, and not to be measured on.
        to_train: bool,
        /// The number of conversations.
        conversations: usize,
        /// The number of windows.
        windows: usize,
        /// The number of tokens in a window.
        context: usize,
        /// The share of the windows that is not filler.
        filled: f64,
        /// The number of sequences that lose their end.
        cut: usize,
        /// The number of sequences that are left out.
        dropped: usize,
    },
    /// The model with which the run begins has weights in MXFP4.
    Quantized {
        /// Whether they become f32 and are trained. Otherwise they stay in their file.
        trained: bool,
        /// The bytes that training all parameters takes.
        needed: usize,
        /// The memory of this machine in bytes, if it is known.
        memory: Option<usize>,
    },
    /// The run was stopped before it saved anything, so it starts anew.
    StartsAnew,
    /// The run has another number of steps than before, which changes the learning rates.
    ScheduleChanged {
        /// The steps that the run has taken.
        step: u64,
        /// The number of steps before.
        from: u64,
        /// The number of steps now.
        to: u64,
        /// The learning rate of the next step in the schedule before, and in the schedule now.
        learning_rate: [f64; 2],
    },
}

/// Receives the notes of a run, as soon as they are known.
pub type Notes<'n> = &'n mut dyn FnMut(Note);

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Note::Skipped(lines) => write!(f, "skipped {} lines of data", lines.len()),
            Note::TailSetAside { training, evaluation } => write!(
                f,
                "there is one document: its last {evaluation} of {} bytes are set aside for evaluation \
                 (--validation-fraction, or give --eval-data)",
                training + evaluation
            ),
            Note::EvaluationShortened { tokens, documents, of } => write!(
                f,
                "evaluations use {tokens} tokens: {documents} of {of} documents that are set aside (--eval-tokens 0 for all)"
            ),
            Note::Packed { to_train, conversations, windows, context, filled, cut, dropped } => {
                let s = |n: usize| if n == 1 { "" } else { "s" };
                write!(
                    f,
                    "to {}: {conversations} conversation{} in {windows} window{} of {context} tokens, {:.1} % filled",
                    if *to_train { "train on" } else { "measure on" },
                    s(*conversations),
                    s(*windows),
                    100.0 * filled
                )?;
                match cut + dropped {
                    0 => Ok(()),
                    longer => write!(
                        f,
                        "; {longer} longer than a window: {cut} without the end, {dropped} left out (--context)"
                    ),
                }
            }
            Note::Quantized { trained: true, .. } => {
                write!(
                    f,
                    "the experts are in MXFP4: they become f32 and are trained (--freeze expert leaves them as they are)"
                )
            }
            Note::Quantized { needed, memory, .. } => write!(
                f,
                "the experts are in MXFP4 and stay frozen: to train them takes {:.0} GB, and this machine has {:.0} GB",
                *needed as f64 / 1e9,
                memory.unwrap_or(0) as f64 / 1e9
            ),
            Note::StartsAnew => write!(f, "the run was stopped before it saved anything: it starts anew"),
            Note::ScheduleChanged { step, from, to, learning_rate: [before, now] } => write!(
                f,
                "the schedule now has {to} steps instead of {from}: the learning rate of step {} is {now:.2e} \
                 instead of {before:.2e}",
                step + 1
            ),
        }
    }
}
