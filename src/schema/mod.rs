//! Structured output: a model writes what a JSON Schema accepts, and nothing else.       Book: structured_output.md
//!
//! ```text
//! schema ──compile──▶ grammar ──automaton──▶ which bytes may follow ──vocabulary──▶ which tokens may be drawn
//! ```
//!
//! What is written is always a part of what the schema accepts, rarely all of it: members come in the order in which the
//! schema names them, numbers have at most 15 digits, space is what one would write. What cannot be kept is refused when
//! the schema is read, with the path of the keyword, and never ignored.
//! JSON Schema 2020-12: <https://json-schema.org/draft/2020-12>

mod automaton;
mod compile;
mod dfa;
mod grammar;
mod guide;
mod numbers;
mod read;
mod rules;
mod strings;
mod text;
mod vocabulary;

pub use guide::Guide;
pub use vocabulary::Vocabulary;
