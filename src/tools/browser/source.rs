//! Sources of pages and of search results.

use super::document::Hit;
use super::page::Page;

/// Fetches pages.
pub trait Fetch {
    /// Fetches the page at a URL, or its source code if `source` is set.
    ///
    /// # Errors
    /// If the page cannot be fetched. The message is shown to the model.
    fn fetch(&self, url: &str, source: bool) -> Result<Page, SourceError>;
}

/// Searches for pages.
pub trait Search {
    /// Returns the name of the source. It is shown to the model as `sources=`.
    fn source(&self) -> &str;

    /// Returns at most `most` results for a query, the best one first.
    ///
    /// # Errors
    /// If the search fails. The message is shown to the model.
    fn search(&self, query: &str, most: usize) -> Result<Vec<Hit>, SourceError>;
}

/// A page or a search result that cannot be had. The message is written for the model.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// This browser has no access to the web.
    #[error("the web cannot be reached from here")]
    NoWeb,
    /// The text is not a URL with a supported scheme.
    #[error("it is not a full URL of a page")]
    NotAUrl,
    /// There is no local document with this URL.
    #[error("there is no such document")]
    NoSuchDocument,
    /// The query contains no word.
    #[error("the query has no word")]
    EmptyQuery,
    /// The connection failed, or the address is not allowed.
    #[error("{}", reason(.0))]
    Request(#[from] ureq::Error),
    /// The body of the response cannot be read.
    #[error(transparent)]
    Body(#[from] std::io::Error),
    /// The server returned an error status.
    #[error("the {sender} answers {status}")]
    Status {
        /// `server` or `service`.
        sender: &'static str,
        /// The status code and its name.
        status: ureq::http::StatusCode,
    },
    /// The content type is not text.
    #[error("it is {0}, which is not text")]
    NotText(String),
    /// A search service returned something other than JSON.
    #[error("the service does not answer in JSON")]
    NotJson(#[from] serde_json::Error),
    /// The full-text search failed.
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
    /// Any other reason, for sources outside of this crate.
    #[error("{0}")]
    Other(String),
}

impl From<&str> for SourceError {
    fn from(reason: &str) -> Self {
        Self::Other(reason.into())
    }
}

/// Returns the message of an error. The resolver of this crate reports its own errors as [`ureq::Error::Other`].
fn reason(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Other(reason) => reason.to_string(),
        other => other.to_string(),
    }
}
