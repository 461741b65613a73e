//! `browser`: a model searches, opens pages and finds words in them.
//!
//! What it is shown is what the reference shows, to the line: each display has a cursor in brackets, lines are at most 80
//! characters and carry their numbers, links read `【id†text†domain】`, and the model cites what it read as
//! `【cursor†L3-L5】`. As in
//! [`simple_browser_tool.py`](https://github.com/openai/gpt-oss/blob/main/gpt_oss/tools/simple_browser/simple_browser_tool.py),
//! but for two things: a cursor always names what was shown under it, where the reference mixes up two searches; and
//! `topn` is heeded.
//!
//! A page is text to be read. It is told to the model as an answer of a tool, where no marks of harmony can stand.

pub mod endpoint;
mod html;
pub mod http;
pub mod index;
mod page;
mod wrap;

use self::http::Http;
use self::index::Index;
use crate::harmony::{Message, ToolNamespace, browser_tool};
use crate::tokenizer::Tokenizer;
pub use page::{Link, Page};
use page::{marks, truncated};
use serde_json::{Map, Value};
use std::rc::Rc;

/// Where pages come from.
pub trait Fetch {
    /// The page at a URL: to be read, or its source.
    ///
    /// # Errors
    /// Why it cannot be had, in a line for the model.
    fn fetch(&self, url: &str, source: bool) -> Result<Page, String>;
}

/// What knows where to look.
pub trait Search {
    /// What it searches: the model is told so, as `sources=`.
    fn source(&self) -> &str;

    /// What fits a query best, the best first, `most` at most.
    ///
    /// # Errors
    /// Why it cannot be had, in a line for the model.
    fn search(&self, query: &str, most: usize) -> Result<Vec<Hit>, String>;
}

/// What stands at a URL.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// After all redirects.
    pub url: String,
    /// `None` if the text says it, or nothing does.
    pub title: Option<String>,
    /// Text, or the source of a page.
    pub text: String,
    /// Whether it is the source of a page.
    pub html: bool,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// Where it is.
    pub url: String,
    /// In a line.
    pub title: String,
    /// What of it fits.
    pub summary: String,
}

/// A line of an answer that names what it is taken from.
#[derive(Debug, Clone, PartialEq)]
pub struct Citation {
    /// The display.
    pub cursor: usize,
    /// Its lines, as `L3-L5`.
    pub lines: String,
    /// The title of the page.
    pub title: String,
    /// Its URL; empty if it is what a search found.
    pub url: String,
}

/// Documents of this machine, and the web: each if it may be read.
#[derive(Default)]
pub struct Sources {
    /// Behind URLs that begin with [`index::SCHEME`].
    pub documents: Option<Index>,
    /// Behind `http` and `https`.
    pub web: Option<Http>,
}

impl Fetch for Sources {
    fn fetch(&self, url: &str, source: bool) -> Result<Page, String> {
        let scheme = url.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase()).unwrap_or_default();
        match (&*scheme, &self.documents, &self.web) {
            (index::SCHEME, Some(documents), _) => documents.fetch(url, source),
            ("http" | "https", _, Some(web)) => web.fetch(url, source),
            ("http" | "https", ..) => Err("the web cannot be reached from here".into()),
            _ => Err("it is no full URL of a page".into()),
        }
    }
}

/// What a model has open.
pub struct Browser<'t> {
    search: Option<Box<dyn Search>>,
    fetch: Box<dyn Fetch>,
    tokenizer: &'t Tokenizer,
    /// Tokens of a display whose length the model does not say.
    pub view_tokens: usize,
    /// By cursor. The oldest are forgotten when all are too long.
    displays: Vec<Option<Rc<Page>>>,
}

/// Results of a search.
const MOST_HITS: i64 = 20;

/// Bytes of all pages that are kept.
const KEPT: usize = 64 << 20;

impl<'t> Browser<'t> {
    /// With nothing open. `tokenizer` is the model's: it measures how much of a page is shown at once.
    pub fn new(search: Option<Box<dyn Search>>, fetch: Box<dyn Fetch>, tokenizer: &'t Tokenizer) -> Self {
        Self { search, fetch, tokenizer, view_tokens: 1024, displays: Vec::new() }
    }

    /// What stands in the system message.
    pub fn namespace(&self) -> ToolNamespace {
        let mut namespace = browser_tool();
        if let (Some(search), Some(description)) = (&self.search, &mut namespace.description) {
            *description = description.replace("web", search.source());
        }
        namespace
    }

    /// What a call is answered, in words for the model.
    pub fn answer(&mut self, call: &Message) -> String {
        let function = call.recipient.as_deref().and_then(|name| name.strip_prefix("browser.")).unwrap_or_default();
        let text = call.text();
        let arguments = match text.is_empty() {
            true => Some(Map::new()),
            false => serde_json::from_str::<Value>(&text).ok().and_then(|json| json.as_object().cloned()),
        };
        let Some(arguments) = arguments.map(Arguments) else { return refusal("Invalid function arguments") };
        let answer = match function {
            "search" => self.search(&arguments),
            "open" => self.open(&arguments),
            "find" => self.find(&arguments),
            _ => return refusal(&format!("Unknown function: {function}")),
        };
        answer.unwrap_or_else(|error| error)
    }

    fn search(&mut self, arguments: &Arguments) -> Result<String, String> {
        let query = arguments.text("query")?;
        let most = arguments.integer_or("topn", 10)?.clamp(1, MOST_HITS);
        let search = self.search.as_ref().ok_or("There is nothing to search; open a URL.")?;
        let hits = search.search(query, most as usize);
        let hits = hits.map_err(|why| format!("Error during search for `{query}`: {}", truncated(&why)))?;
        self.display(Page::of_hits(query, &hits).into(), 0, -1)
    }

    // ANCHOR: open
    fn open(&mut self, arguments: &Arguments) -> Result<String, String> {
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
        let link = link.ok_or_else(|| format!("Invalid link id `{id}`."))?;
        let open = self.displays.iter().rev().flatten().find(|page| page.url == link.url && !source).cloned();
        let page = open.map_or_else(|| self.fetch(&link.url, source), Ok)?;
        // What was found is shown with a little of what stands before it.
        let found = link.line.filter(|_| !source).map_or(0, |line| if line > 4 { line - 4 } else { line });
        self.display(page, if loc < 0 { found as i64 } else { loc }, num_lines)
    }
    // ANCHOR_END: open

    fn find(&mut self, arguments: &Arguments) -> Result<String, String> {
        let pattern = arguments.text("pattern")?.to_lowercase();
        let page = self.page(arguments.integer("cursor")?)?;
        if page.is_find {
            return Err("Cannot run `find` on search results page or find results page".into());
        }
        self.display(page.find(&pattern).into(), 0, -1)
    }

    /// The page under a cursor; a negative one counts from the end.
    fn page(&self, cursor: i64) -> Result<Rc<Page>, String> {
        let Some(last) = self.displays.len().checked_sub(1) else { return Err("No pages to access!".into()) };
        let index = if cursor < 0 { cursor.saturating_add(self.displays.len() as i64) } else { cursor };
        let display = usize::try_from(index).ok().and_then(|index| self.displays.get(index));
        let display = display
            .ok_or_else(|| format!("Cursor `{cursor}` is out of range. Available cursor indices: [0 - {last}]."))?;
        display.clone().ok_or_else(|| format!("The page of cursor `{cursor}` is no longer kept; open its URL again."))
    }

    fn fetch(&self, url: &str, source: bool) -> Result<Rc<Page>, String> {
        let page = self.fetch.fetch(url, source).map(Rc::new);
        page.map_err(|why| format!("Error fetching URL `{}`: {}", truncated(url), truncated(&why)))
    }

    /// Puts a page under the next cursor, if the lines that are asked for exist.
    fn display(&mut self, page: Rc<Page>, loc: i64, num_lines: i64) -> Result<String, String> {
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

    /// So many characters of a text are in view.
    fn characters_in_view(&self, text: &str) -> usize {
        // No token has more than 128 characters: the rest of a long page need not be split.
        let end = text.char_indices().nth((self.view_tokens + 1) * 128).map_or(text.len(), |(at, _)| at);
        let ids = self.tokenizer.encode(&text[..end]);
        let bytes = ids.iter().take(self.view_tokens).filter_map(|&id| self.tokenizer.token_bytes(id));
        // Token by token, as the reference counts: a character in two tokens counts twice.
        bytes.map(|bytes| String::from_utf8_lossy(bytes).chars().count()).sum()
    }

    /// What an answer cites.
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

fn refusal(why: &str) -> String {
    format!("{{\"error\": {}}}", Value::from(why))
}

/// What a call says.
struct Arguments(Map<String, Value>);

impl Arguments {
    fn text(&self, name: &str) -> Result<&str, String> {
        let value = self.0.get(name).ok_or_else(|| format!("`{name}` is missing"))?;
        value.as_str().ok_or_else(|| format!("`{name}` should be a string, not `{value}`"))
    }

    /// -1 if it is not said.
    fn integer(&self, name: &str) -> Result<i64, String> {
        self.integer_or(name, -1)
    }

    fn integer_or(&self, name: &str, default: i64) -> Result<i64, String> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(default),
            // A model may write 3.0.
            Some(value) => match value.as_i64().or(value.as_f64().filter(|x| x.fract() == 0.0).map(|x| x as i64)) {
                Some(integer) => Ok(integer),
                None => Err(format!("`{name}` should be an integer, not `{value}`")),
            },
        }
    }
}
