//! Sums in harmony conversations: the smallest task that shows the use of reasoning effort and of tools.
//!
//! A question is a sum of two to five terms. The effort determines how the model works it out:
//!
//! ```text
//! low       straight to the answer
//! medium    the total after each term          347+285=632
//!                                              632-120=512
//! high      each of these column by column     347+285
//!                                              7+5=12
//!                                              4+8+1=13
//!                                              3+2+1=6
//!                                              =632    and so on
//! ```
//!
//! A transformer does a fixed amount of work per token. Without reasoning it must know the answer before it writes the
//! first digit. With each line of reasoning it has less work left. Products are too hard for it in any case: if the
//! system message offers Python, the model calls it and answers with the result.
//!
//! A fraction of all questions, selected by a hash of their terms, is never used for training:
//! [`Question::is_held_out`].
//! Nye et al. 2021, Show Your Work, <https://arxiv.org/abs/2112.00114>

mod conversation;
mod question;
mod quiz;
mod run;
mod working;

pub use conversation::{conversation, conversations, python, system, tokenizer, words};
pub use question::{Question, Wording};
pub use quiz::{QuizAnswer, Score, ask, quiz};
pub use run::sample;
pub use working::working;
