//! Errors of a schema: the path of the keyword, and the problem with it.

use super::dfa::DfaError;
use super::pattern::PatternError;
use super::text::TableTooLarge;
use crate::error::Error;

/// A schema that no model can be constrained to.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// A keyword is unknown, malformed, or cannot be enforced.
    #[error("the schema at {}: {problem}", if path.is_empty() { "its root" } else { path })]
    Keyword {
        /// The JSON pointer of the keyword.
        path: String,
        /// The problem with it.
        #[source]
        problem: SchemaProblem,
    },
    /// The tokenizer cannot write every text.
    #[error("this tokenizer has no token for some byte: it cannot write every text")]
    IncompleteVocabulary,
}

impl From<SchemaError> for Error {
    fn from(error: SchemaError) -> Self {
        Error::unusable(error)
    }
}

/// The problem with a keyword of a schema.
#[derive(Debug, thiserror::Error)]
pub enum SchemaProblem {
    /// The keyword constrains values and is not enforced.
    #[error("this keyword is not supported")]
    UnsupportedKeyword,
    /// The value of the keyword has the wrong type.
    #[error("expected {0}")]
    Expected(&'static str),
    /// The value of the keyword is not one of the supported ones.
    #[error("{found}: expected {expected}")]
    Unexpected {
        /// The value in the schema.
        found: String,
        /// The supported values.
        expected: &'static str,
    },
    /// JSON Schema defines the format, and it is not enforced.
    #[error("the format {0:?} is not supported")]
    UnsupportedFormat(String),
    /// `type` names a type that does not exist.
    #[error("{0} is not a JSON type")]
    UnknownType(String),
    /// A reference points to nothing.
    #[error("there is nothing at {0:?}")]
    MissingReference(String),
    /// A part of the schema is of another draft than its root.
    #[error("another version of JSON Schema than at the root")]
    OtherDraft,
    /// References within a schema that has an identifier of its own are relative to it.
    #[error("an identifier below the root changes what references mean; this is not supported")]
    EmbeddedIdentifier,
    /// References and combinations are nested too deep, perhaps in a circle.
    #[error("references and combinations more than {0} deep, or without an end")]
    EndlessReferences(usize),
    /// Subschemas are nested too deep, or there are too many of them.
    #[error("schemas more than {depth} deep, or more than {count} of them")]
    TooManySchemas {
        /// The greatest depth.
        depth: usize,
        /// The greatest number.
        count: usize,
    },
    /// The combinations of `allOf`, `anyOf` and `oneOf` have too many alternatives.
    #[error("more than {0} combinations")]
    TooManyCombinations(usize),
    /// Two branches of `oneOf` may accept the same value.
    #[error("a value could fit both {0} and {1}; use anyOf, or tell them apart by a const")]
    OverlappingBranches(usize, usize),
    /// `enum` or `const` lists arrays or objects and has other keywords beside it.
    #[error("listed arrays and objects together with other keywords are not supported")]
    ListedCompounds,
    /// A number of the schema was rounded when the schema was read.
    #[error("{0}: a number of this size is not read exactly")]
    InexactNumber(String),
    /// No value fits the schema.
    #[error("no value of finite depth and size fits it")]
    NoValue,
    /// Only values that are nested too deep fit the schema.
    #[error("only values that are nested too deep fit it")]
    OnlyDeepValues,
    /// The automaton of a regular expression cannot be built.
    #[error(transparent)]
    Dfa(#[from] DfaError),
    /// A pattern is a syntax error or not regular.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// A pattern and its length limits need too much memory.
    #[error(transparent)]
    Table(#[from] TableTooLarge),
}

/// The result of a step that knows the path of the keyword.
pub type SchemaResult<T> = std::result::Result<T, SchemaError>;

/// Returns the error of a keyword.
pub fn refuse<T>(path: &str, problem: impl Into<SchemaProblem>) -> SchemaResult<T> {
    Err(SchemaError::Keyword { path: path.to_string(), problem: problem.into() })
}

/// Adds the path of the keyword to the error of a helper.
pub fn at<'a, E: Into<SchemaProblem>>(path: &'a str) -> impl Fn(E) -> SchemaError + 'a {
    move |problem| SchemaError::Keyword { path: path.to_string(), problem: problem.into() }
}
