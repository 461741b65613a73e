//! The documents of a directory, with a full-text search.
//!
//! The search is [SQLite's FTS5](https://www.sqlite.org/fts5.html), in memory, which ranks by BM25 over the stems of
//! words.

use super::document::{Document, Hit, SCHEME};
use super::html;
use super::page::Page;
use super::source::{Fetch, Search, SourceError};
use crate::error::{Error, Result};
use rusqlite::{Connection, params};
use serde_json::Value;
use std::cell::Cell;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use url::Url;

/// The keys that may hold the title in a line of JSON.
const TITLES: [&str; 3] = ["title", "name", "id"];

/// The largest file, in bytes.
const LARGEST: u64 = 64 << 20;

/// The largest number of words in a query; further words are ignored.
const MOST_WORDS: usize = 64;

/// A set of documents that can be searched and opened. Nothing else can be opened through it. Clones share the same
/// index.
#[derive(Clone)]
pub struct Index(Rc<Inner>);

struct Inner {
    database: Connection,
    documents: Vec<Document>,
    by_url: HashMap<String, usize>,
    left_out: usize,
}

impl Index {
    /// Reads all `.txt`, `.md`, `.html` and `.jsonl` files below a directory. Later changes of the files have no
    /// effect. A line of a `.jsonl` file is a document: its `text`, with its `title`, `name` or `id` as the title.
    /// Symbolic links are not followed.
    ///
    /// # Errors
    /// If a file cannot be read or is too long, or if there is no document.
    pub fn read(directory: &Path) -> Result<Self> {
        let (mut documents, left_out) = (Vec::new(), Cell::new(0));
        for path in files(directory)? {
            read_file(directory, &path, &mut documents, &left_out)?;
        }
        if documents.is_empty() {
            return Err(Error::file(directory, "contains no document: no .txt, .md, .html or .jsonl"));
        }
        let database = store(&documents).map_err(|e| Error::file(directory, format!("cannot be indexed: {e}")))?;
        let by_url = documents.iter().enumerate().map(|(i, document)| (document.url.clone(), i)).collect();
        Ok(Self(Rc::new(Inner { database, documents, by_url, left_out: left_out.get() })))
    }

    /// Returns the number of documents.
    pub fn len(&self) -> usize {
        self.0.documents.len()
    }

    /// Returns whether the index is empty, which is never the case.
    pub fn is_empty(&self) -> bool {
        self.0.documents.is_empty()
    }

    /// Returns how many files and lines of JSON were skipped, because they are not documents.
    pub fn left_out(&self) -> usize {
        self.0.left_out
    }
}

impl Fetch for Index {
    fn fetch(&self, url: &str, source: bool) -> std::result::Result<Page, SourceError> {
        let found = self.0.by_url.get(url).and_then(|&i| self.0.documents.get(i));
        found.map(|document| Page::of(document, source)).ok_or(SourceError::NoSuchDocument)
    }
}

impl Search for Index {
    fn source(&self) -> &str {
        "documents"
    }

    fn search(&self, query: &str, most: usize) -> std::result::Result<Vec<Hit>, SourceError> {
        let words = query.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        let words: Vec<String> = words.take(MOST_WORDS).map(|word| format!("\"{word}\"")).collect();
        if words.is_empty() {
            return Err(SourceError::EmptyQuery);
        }
        let mut select = self.0.database.prepare_cached(SELECT)?;
        let rows = select.query_map(params![words.join(" OR "), most as i64], |row| {
            Ok((row.get::<_, i64>(0)? as usize, row.get::<_, String>(1)?))
        })?;
        let hit = |(i, summary): (usize, String)| {
            let document = self.0.documents.get(i)?;
            Some(Hit { url: document.url.clone(), title: document.title.clone().unwrap_or_default(), summary })
        };
        let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        Ok(rows.into_iter().filter_map(hit).collect())
    }
}

/// The query of a search. A match in the title has five times the weight of one in the text.
const SELECT: &str = "SELECT rowid, snippet(documents, 1, '', '', '…', 32) FROM documents WHERE documents MATCH ?1 \
                      ORDER BY bm25(documents, 5.0, 1.0), rowid LIMIT ?2";

fn store(documents: &[Document]) -> rusqlite::Result<Connection> {
    let mut database = Connection::open_in_memory()?;
    let all = database.transaction()?;
    all.execute("CREATE VIRTUAL TABLE documents USING fts5(title, body, tokenize = 'porter unicode61')", [])?;
    {
        let mut insert = all.prepare("INSERT INTO documents(rowid, title, body) VALUES (?1, ?2, ?3)")?;
        for (i, document) in documents.iter().enumerate() {
            let html = document.html.then(|| html::read(&document.text, &document.url));
            let text = html.as_ref().map_or(&document.text, |html| &html.text);
            insert.execute(params![i as i64, document.title, text])?;
        }
    }
    all.commit()?;
    Ok(database)
}

/// Returns all files below a directory, sorted by name.
fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
    let mut entries = entries.map_err(|e| Error::io(directory, "read", e))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    let mut all = Vec::new();
    for entry in entries {
        let kind = entry.file_type().map_err(|e| Error::io(entry.path(), "read", e))?;
        if kind.is_dir() {
            all.extend(files(&entry.path())?);
        } else if kind.is_file() {
            all.push(entry.path());
        }
    }
    Ok(all)
}

fn read_file(directory: &Path, path: &Path, documents: &mut Vec<Document>, left_out: &Cell<usize>) -> Result<()> {
    let skip = || left_out.set(left_out.get() + 1);
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default().to_lowercase();
    if !["txt", "md", "html", "htm", "jsonl"].contains(&&*extension) {
        skip();
        return Ok(());
    }
    let size = fs::metadata(path).map_err(|e| Error::io(path, "read", e))?.len();
    if size > LARGEST {
        return Err(Error::file(path, format!("has {size} bytes, expected at most {LARGEST}")));
    }
    let bytes = fs::read(path).map_err(|e| Error::io(path, "read", e))?;
    let text = String::from_utf8(bytes).map_err(|_| Error::file(path, "is not UTF-8"))?;
    let url = url_of(path.strip_prefix(directory).unwrap_or(path));
    match &*extension {
        "jsonl" => {
            for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
                let json: Value = serde_json::from_str(line).unwrap_or_default();
                let Some(text) = json.get("text").and_then(Value::as_str) else {
                    skip();
                    continue;
                };
                let url = format!("{url}#{}", number + 1);
                let title = TITLES.iter().find_map(|key| json.get(key)?.as_str()).filter(|title| !title.is_empty());
                let title = Some(title.map_or_else(|| name(&url), Into::into));
                documents.push(Document { url, title, text: text.into(), html: false });
            }
        }
        extension => {
            let is_html = extension.starts_with("htm");
            let title = if is_html { html::read(&text, &url).title } else { String::new() };
            let title = if title.is_empty() { name(&url) } else { title };
            documents.push(Document { url, title: Some(title), text, html: is_html });
        }
    }
    Ok(())
}

fn url_of(path: &Path) -> String {
    let mut url = format!("{SCHEME}://");
    for part in path {
        url += "/";
        url.extend(percent_encoding::utf8_percent_encode(&part.to_string_lossy(), PART));
    }
    // Parsing normalizes the URL in the same way as that of a link.
    Url::parse(&url).map_or(url, String::from)
}

/// The characters that must be escaped in a segment of a path.
const PART: &percent_encoding::AsciiSet =
    &percent_encoding::CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'/').add(b'<').add(b'>').add(b'?');

/// Returns the last segment of a URL, decoded.
fn name(url: &str) -> String {
    let last = url.rsplit('/').next().unwrap_or(url);
    percent_encoding::percent_decode_str(last).decode_utf8_lossy().into_owned()
}
