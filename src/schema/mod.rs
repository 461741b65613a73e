//! Structured output: a model writes what a JSON Schema accepts, and nothing else.
//!
//! ```text
//! schema ──compile──▶ grammar ──automaton──▶ which bytes may follow ──vocabulary──▶ which tokens may be drawn
//! ```
//!
//! A text that the grammar accepts is valid. A valid text is accepted too, with these exceptions, which the chapter of
//! the book explains:
//!
//! - Members come in the order of the schema, those that it does not name come last, and no known name comes twice.
//! - Arrays and objects are at most 64 levels deep.
//! - Between two parts there are at most 8 blanks, or a line break and up to 128 blanks.
//! - Integers have neither a point nor an exponent. Numbers have at most 64 digits before the point, and an exponent (up
//!   to 299, with up to 3 digits before the point) only if all their bounds are zero. An exclusive bound excludes what a double cannot distinguish from it.
//! - Names and listed values have no printable ASCII character as `\u0061`. No string has half of a surrogate pair alone.
//! - Formats have the forms that `formats.rs` describes.
//!
//! A keyword that constrains values and is not enforced is refused when the schema is read, with its path. All other
//! unknown keywords are annotations, as the specification says. Unknown formats are reported.
//! JSON Schema 2020-12: <https://json-schema.org/draft/2020-12>. Drafts 4, 6, 7 and 2019-09 are read too.
//!
//! Book: [structured_output](../../../book/structured_output.html)

mod automata;
mod automaton;
mod characters;
mod compile;
mod constraints;
mod decimal;
mod dfa;
mod draft;
mod error;
mod escape;
mod formats;
mod grammar;
mod guide;
mod judge;
mod keywords;
mod numbers;
mod one_of;
mod pattern;
mod read;
mod text;
mod values;
mod vocabulary;

pub use error::{SchemaError, SchemaProblem};
pub use guide::Guide;
pub use judge::{Judge, Rejection};
pub use vocabulary::Vocabulary;
