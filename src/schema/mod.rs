//! Structured output: a model writes what a JSON Schema accepts, and nothing else.
//!
//! ```text
//! schema ──compile──▶ grammar ──automaton──▶ which bytes may follow ──vocabulary──▶ which tokens may be drawn
//! ```
//!
//! The output is always a subset of what the schema accepts: members come in the order in which the schema names them,
//! numbers have at most 15 digits, and white space is limited to what one would write. A keyword that cannot be
//! enforced is refused when the schema is read, with its path; it is never ignored.
//! JSON Schema 2020-12: <https://json-schema.org/draft/2020-12>
//!
//! Book: [structured_output](../../../book/structured_output.html)

mod automaton;
mod compile;
mod constraints;
mod dfa;
mod error;
mod grammar;
mod guide;
mod keywords;
mod numbers;
mod read;
mod strings;
mod text;
mod vocabulary;

pub use error::{SchemaError, SchemaProblem};
pub use guide::Guide;
pub use vocabulary::Vocabulary;
