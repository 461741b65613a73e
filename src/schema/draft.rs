//! The versions ("drafts") of JSON Schema, and what differs between them in the keywords that are enforced.

use super::error::{SchemaProblem, SchemaResult, refuse};
use serde_json::Value;

/// A version of JSON Schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Draft {
    /// Draft 4, of 2013.
    Four,
    /// Draft 6, of 2017.
    Six,
    /// Draft 7, of 2018.
    Seven,
    /// 2019-09.
    Of2019,
    /// 2020-12.
    Of2020,
}

const DRAFTS: [(&str, Draft); 5] = [
    ("json-schema.org/draft-04/schema", Draft::Four),
    ("json-schema.org/draft-06/schema", Draft::Six),
    ("json-schema.org/draft-07/schema", Draft::Seven),
    ("json-schema.org/draft/2019-09/schema", Draft::Of2019),
    ("json-schema.org/draft/2020-12/schema", Draft::Of2020),
];

impl Draft {
    /// Reads the value of `$schema`; without one, a schema is of 2020-12. `path` is the JSON pointer of the keyword.
    ///
    /// # Errors
    /// If the version is unknown.
    pub fn of(named: Option<&Value>, path: &str) -> SchemaResult<Self> {
        let Some(named) = named else { return Ok(Draft::Of2020) };
        let uri = named.as_str().unwrap_or_default().trim_end_matches('#');
        let uri = uri.strip_prefix("https://").or(uri.strip_prefix("http://")).unwrap_or(uri);
        match DRAFTS.iter().find(|(known, _)| *known == uri) {
            Some((_, draft)) => Ok(*draft),
            None => {
                let expected = "https://json-schema.org/draft/2020-12/schema, or that of 2019-09, 7, 6 or 4";
                refuse(path, SchemaProblem::Unexpected { found: named.to_string(), expected })
            }
        }
    }

    /// The keyword that gives a schema an identifier.
    pub fn identifier(self) -> &'static str {
        if self == Draft::Four { "id" } else { "$id" }
    }

    /// Whether keywords beside a `$ref` are ignored.
    pub fn ref_stands_alone(self) -> bool {
        self <= Draft::Seven
    }

    /// Whether `exclusiveMinimum` is `true` beside a `minimum`, and the same for the maximum.
    pub fn exclusive_is_boolean(self) -> bool {
        self == Draft::Four
    }

    /// Whether a list in `items` has the meaning of `prefixItems`, and `additionalItems` that of `items`.
    pub fn items_may_be_list(self) -> bool {
        self <= Draft::Of2019
    }

    /// Whether validators may check that a string is base64, for example. (Later, `contentEncoding` only describes it.)
    pub fn content_may_constrain(self) -> bool {
        self == Draft::Seven
    }

    /// Whether the keyword exists. (Unknown keywords are annotations.)
    pub fn knows(self, keyword: &str) -> bool {
        match keyword {
            "const" => self >= Draft::Six,
            "prefixItems" => self >= Draft::Of2020,
            "additionalItems" => self <= Draft::Of2019,
            _ => true,
        }
    }
}
