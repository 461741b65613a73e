//! Documents, and the results of a search.

/// The scheme of the URL of a local document: `document:///path`, with `#line` if the document is a line of JSON.
pub const SCHEME: &str = "document";

/// The content of a URL.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The URL after all redirects.
    pub url: String,
    /// The title; `None` if it is in the text or unknown.
    pub title: Option<String>,
    /// Plain text, or the source of an HTML page.
    pub text: String,
    /// Whether the text is HTML.
    pub html: bool,
}

/// A result of a search.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The URL of the page.
    pub url: String,
    /// The title, in one line.
    pub title: String,
    /// The part of the page that matches the query.
    pub summary: String,
}
