//! Errors of a schema: the path of the keyword, and the problem with it.

use super::dfa::DfaError;
use super::numbers::BoundError;
use super::strings::PatternError;
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
    /// The keyword is neither implemented nor an annotation.
    #[error("this keyword is not supported")]
    UnknownKeyword,
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
    /// `type` names a type that does not exist.
    #[error("{0} is not a JSON type")]
    UnknownType(String),
    /// A reference points to nothing.
    #[error("there is nothing at {0:?}")]
    MissingReference(String),
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
    /// No number fits all bounds.
    #[error("no number fits")]
    NoNumber,
    /// No value fits the schema.
    #[error("no value of finite depth and size fits it")]
    NoValue,
    /// Only values that are nested too deep fit the schema.
    #[error("only values that are nested too deep fit it")]
    OnlyDeepValues,
    /// The automaton of a regular expression cannot be built.
    #[error(transparent)]
    Dfa(#[from] DfaError),
    /// A bound has too many digits.
    #[error(transparent)]
    Bound(#[from] BoundError),
    /// A pattern is not regular.
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
