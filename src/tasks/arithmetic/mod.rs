//! Sums in harmony conversations: the smallest task that shows what effort and tools are for.
//!
//! A question is a sum of two to five terms, and the effort decides how it is worked out:
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
//! A transformer does a fixed amount of work for each token. Without working it has to have the answer before it writes
//! the first digit; each line that it writes is work that it need not do at once. Products are beyond it in any case:
//! where the system message offers Python it calls that, and answers with what comes back.
//!
//! A share of all questions, told by a hash of their terms, is never trained on: [`Question::is_held_out`].
//! Nye et al. 2021, Show Your Work, <https://arxiv.org/abs/2112.00114>

mod conversation;
mod question;
mod quiz;
mod run;
mod working;

pub use conversation::{conversation, documents, python, system, tokenizer};
pub use question::{Question, Wording};
pub use quiz::{Answer, Score, ask, quiz};
pub use run::{SYSTEM, sample, save_system};
pub use working::working;
