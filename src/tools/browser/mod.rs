//! `browser`: lets a model search, open pages, and find text in them.
//!
//! The output equals that of the reference implementation line by line: each display has a cursor in brackets, lines
//! have at most 80 characters and a number, links are written as `【id†text†domain】`, and the model cites its sources as
//! `【cursor†L3-L5】`. See
//! [`simple_browser_tool.py`](https://github.com/openai/gpt-oss/blob/main/gpt_oss/tools/simple_browser/simple_browser_tool.py).
//! There are two differences: a cursor always refers to the display that was shown with it, whereas the reference
//! confuses two searches; and `topn` is respected.
//!
//! A page is untrusted text. It reaches the model as the result of a tool, in which no marks of harmony can occur.

mod document;
mod links;
mod wrap;
mod html;
mod page;
mod source;
pub mod http;
pub mod index;
pub mod endpoint;

use self::http::Http;
use self::index::Index;
use crate::harmony::{Message, ToolNamespace, browser_tool};
use crate::tokenizer::Tokenizer;
use document::SCHEME;
pub use document::{Document, Hit};
pub use links::Link;
use links::{marks, truncated};
use page::NoSuchLine;
pub use page::Page;
use serde_json::{Map, Value};
pub use source::{Fetch, Search, SourceError};
use std::rc::Rc;

/// A citation in an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Citation {
    /// The cursor of the cited display.
    pub cursor: usize,
    /// The cited lines, as `L3-L5`.
    pub lines: String,
    /// The title of the page.
    pub title: String,
    /// The URL of the page; empty for search results.
    pub url: String,
}

/// The local documents and the web, each if the model may read it.
#[derive(Default)]
pub struct Sources {
    /// The local documents, whose URLs have the scheme `document`.
    pub documents: Option<Index>,
    /// The web, for `http` and `https`.
    pub web: Option<Http>,
}

impl Fetch for Sources {
    fn fetch(&self, url: &str, source: bool) -> Result<Page, SourceError> {
        let scheme = url.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase()).unwrap_or_default();
        match (&*scheme, &self.documents, &self.web) {
            (SCHEME, Some(documents), _) => documents.fetch(url, source),
            ("http" | "https", _, Some(web)) => web.fetch(url, source),
            ("http" | "https", ..) => Err(SourceError::NoWeb),
            _ => Err(SourceError::NotAUrl),
        }
    }
}

/// A browser with the pages that a model has opened.
pub struct Browser<'t> {
    search: Option<Box<dyn Search>>,
    fetch: Box<dyn Fetch>,
    tokenizer: &'t Tokenizer,
    /// The number of tokens in a display if the model does not request a number of lines.
    pub view_tokens: usize,
    /// The displayed pages by cursor. The oldest pages are dropped if all together are too long.
    displays: Vec<Option<Rc<Page>>>,
}

/// The largest number of search results.
const MOST_HITS: i64 = 20;

/// The largest size of all pages that are kept, in bytes.
const KEPT: usize = 64 << 20;

impl<'t> Browser<'t> {
    /// Makes a browser without open pages. `tokenizer` is that of the model; it determines how much of a page is shown
    /// at once.
    pub fn new(search: Option<Box<dyn Search>>, fetch: Box<dyn Fetch>, tokenizer: &'t Tokenizer) -> Self {
        Self { search, fetch, tokenizer, view_tokens: 1024, displays: Vec::new() }
    }

    /// Returns the description of the tool for the system message.
    pub fn namespace(&self) -> ToolNamespace {
        let mut namespace = browser_tool();
        if let (Some(search), Some(description)) = (&self.search, &mut namespace.description) {
            *description = description.replace("web", search.source());
        }
        namespace
    }

    /// Answers a call with text for the model, which may be an error message.
    pub fn answer(&mut self, call: &Message) -> String {
        let function = call.recipient.as_deref().and_then(|name| name.strip_prefix("browser.")).unwrap_or_default();
        let text = call.text();
        let arguments = match text.is_empty() {
            true => Some(Map::new()),
            false => serde_json::from_str::<Value>(&text).ok().and_then(|json| json.as_object().cloned()),
        };
        let Some(arguments) = arguments.map(CallArguments) else { return refusal("Invalid function arguments") };
        let answer = match function {
            "search" => self.search(&arguments),
            "open" => self.open(&arguments),
            "find" => self.find(&arguments),
            _ => return refusal(&format!("Unknown function: {function}")),
        };
        answer.unwrap_or_else(|error| error.to_string())
    }

    fn search(&mut self, arguments: &CallArguments) -> Result<String, CallError> {
        let query = arguments.text("query")?;
        let most = arguments.integer_or("topn", 10)?.clamp(1, MOST_HITS);
        let search = self.search.as_ref().ok_or(CallError::NoSearch)?;
        let hits = search.search(query, most as usize);
        let hits = hits.map_err(|source| CallError::Search { query: query.into(), source })?;
        self.display(Page::of_hits(query, &hits).into(), 0, -1)
    }

    // ANCHOR: open
    fn open(&mut self, arguments: &CallArguments) -> Result<String, CallError> {
        let (cursor, loc) = (arguments.integer("cursor")?, arguments.integer("loc")?);
        let num_lines = arguments.integer("num_lines")?;
        let source = arguments.0.get("view_source").is_some_and(|value| *value == Value::Bool(true));
        if let Some(url) = arguments.0.get("id").and_then(Value::as_str) {
            let page = self.fetch(url, source)?;
            return self.display(page, loc.max(0), num_lines);
        }
        let current = self.page(cursor)?;
        let id = arguments.integer("id")?;
        if id < 0 {
            let page = if source { self.fetch(&current.url, true)? } else { current };
            return self.display(page, loc.max(0), num_lines);
        }
        let link = usize::try_from(id).ok().and_then(|id| current.links.get(id));
        let link = link.ok_or(CallError::NoSuchLink(id))?;
        let open = self.displays.iter().rev().flatten().find(|page| page.url == link.url && !source).cloned();
        let page = open.map_or_else(|| self.fetch(&link.url, source), Ok)?;
        // A match is shown with a few lines before it.
        let found = link.line.filter(|_| !source).map_or(0, |line| if line > 4 { line - 4 } else { line });
        self.display(page, if loc < 0 { found as i64 } else { loc }, num_lines)
    }
    // ANCHOR_END: open

    fn find(&mut self, arguments: &CallArguments) -> Result<String, CallError> {
        let pattern = arguments.text("pattern")?.to_lowercase();
        let page = self.page(arguments.integer("cursor")?)?;
        if page.is_find {
            return Err(CallError::FindInResults);
        }
        self.display(page.find(&pattern).into(), 0, -1)
    }

    /// Returns the page of a cursor. A negative cursor counts from the end.
    fn page(&self, cursor: i64) -> Result<Rc<Page>, CallError> {
        let Some(last) = self.displays.len().checked_sub(1) else { return Err(CallError::NoPages) };
        let index = if cursor < 0 { cursor.saturating_add(self.displays.len() as i64) } else { cursor };
        let display = usize::try_from(index).ok().and_then(|index| self.displays.get(index));
        let display = display.ok_or(CallError::NoSuchCursor { cursor, last })?;
        display.clone().ok_or(CallError::Forgotten(cursor))
    }

    fn fetch(&self, url: &str, source: bool) -> Result<Rc<Page>, CallError> {
        let page = self.fetch.fetch(url, source).map(Rc::new);
        page.map_err(|source| CallError::Fetch { url: truncated(url), source })
    }

    /// Shows lines of a page and assigns the next cursor to it, if the requested lines exist.
    fn display(&mut self, page: Rc<Page>, loc: i64, num_lines: i64) -> Result<String, CallError> {
        let count = |text: &str| self.characters_in_view(text);
        let shown = page.show(self.displays.len(), loc, num_lines, count)?;
        self.displays.push(Some(page));
        let mut bytes = 0;
        for display in self.displays.iter_mut().rev() {
            bytes += display.as_ref().map_or(0, |page| page.text.len());
            if bytes > KEPT {
                *display = None;
            }
        }
        Ok(shown)
    }

    /// Returns how many characters of a text fit into a display.
    fn characters_in_view(&self, text: &str) -> usize {
        // A token has at most 128 characters, so the rest of a long page need not be tokenized.
        let end = text.char_indices().nth((self.view_tokens + 1) * 128).map_or(text.len(), |(at, _)| at);
        let ids = self.tokenizer.encode(&text[..end]);
        let bytes = ids.iter().take(self.view_tokens).filter_map(|&id| self.tokenizer.token_bytes(id));
        // The reference counts token by token: a character that is split into two tokens counts twice.
        bytes.map(|bytes| String::from_utf8_lossy(bytes).chars().count()).sum()
    }

    /// Returns the citations in an answer, each once.
    pub fn citations(&self, answer: &str) -> Vec<Citation> {
        let cited = marks(answer).filter_map(|mark| {
            let page = self.displays.get(mark.number)?.as_ref()?;
            let (title, url) = (page.title.clone(), page.url.clone());
            Some(Citation { cursor: mark.number, lines: mark.text.into(), title, url })
        });
        let mut citations: Vec<Citation> = Vec::new();
        cited.for_each(|citation| {
            if !citations.contains(&citation) {
                citations.push(citation);
            }
        });
        citations
    }
}

fn refusal(reason: &str) -> String {
    format!("{{\"error\": {}}}", Value::from(reason))
}

/// A call that cannot be carried out. The messages are those of the reference implementation, as far as it has them.
#[derive(Debug, thiserror::Error)]
enum CallError {
    #[error("`{0}` is missing")]
    Missing(String),
    #[error("`{name}` should be {expected}, not `{found}`")]
    WrongType { name: String, expected: &'static str, found: Value },
    #[error("There is nothing to search; open a URL.")]
    NoSearch,
    #[error("Error during search for `{query}`: {}", truncated(&source.to_string()))]
    Search { query: String, source: SourceError },
    #[error("Error fetching URL `{url}`: {}", truncated(&source.to_string()))]
    Fetch { url: String, source: SourceError },
    #[error("Invalid link id `{0}`.")]
    NoSuchLink(i64),
    #[error("No pages to access!")]
    NoPages,
    #[error("Cursor `{cursor}` is out of range. Available cursor indices: [0 - {last}].")]
    NoSuchCursor { cursor: i64, last: usize },
    #[error("The page of cursor `{0}` is no longer kept; open its URL again.")]
    Forgotten(i64),
    #[error("Cannot run `find` on search results page or find results page")]
    FindInResults,
    #[error(transparent)]
    NoSuchLine(#[from] NoSuchLine),
}

impl CallError {
    fn wrong_type(name: &str, expected: &'static str, found: &Value) -> Self {
        Self::WrongType { name: name.into(), expected, found: found.clone() }
    }
}

/// The arguments of a call.
struct CallArguments(Map<String, Value>);

impl CallArguments {
    fn text(&self, name: &str) -> Result<&str, CallError> {
        let value = self.0.get(name).ok_or_else(|| CallError::Missing(name.into()))?;
        value.as_str().ok_or_else(|| CallError::wrong_type(name, "a string", value))
    }

    /// Returns an integer, or -1 if it is missing.
    fn integer(&self, name: &str) -> Result<i64, CallError> {
        self.integer_or(name, -1)
    }

    fn integer_or(&self, name: &str, default: i64) -> Result<i64, CallError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(default),
            // A model may write 3.0 instead of 3.
            Some(value) => match value.as_i64().or(value.as_f64().filter(|x| x.fract() == 0.0).map(|x| x as i64)) {
                Some(integer) => Ok(integer),
                None => Err(CallError::wrong_type(name, "an integer", value)),
            },
        }
    }
}
