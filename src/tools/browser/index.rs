//! The documents of a directory, and where in them a word stands.
//!
//! [SQLite's FTS5](https://www.sqlite.org/fts5.html), in memory, ranks by BM25 over the stems of words.

use super::{Document, Fetch, Hit, Page, Search};
use crate::error::{Error, Result};
use rusqlite::{Connection, params};
use serde_json::Value;
use std::cell::Cell;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use url::Url;

/// What the URL of a document begins with: `document:///path`, and `#line` if it is a line of JSON.
pub const SCHEME: &str = "document";

/// The names under which a line of JSON may give its title.
const TITLES: [&str; 3] = ["title", "name", "id"];

/// Bytes of a file.
const LARGEST: u64 = 64 << 20;

/// Words of a query that count.
const MOST_WORDS: usize = 64;

/// Documents that can be searched and opened, and nothing else can. A clone is the same index.
#[derive(Clone)]
pub struct Index(Rc<Inner>);

struct Inner {
    database: Connection,
    documents: Vec<Document>,
    by_url: HashMap<String, usize>,
    left_out: usize,
}

impl Index {
    /// Reads all `.txt`, `.md`, `.html` and `.jsonl` files below a directory, as of now. A line of JSON is a document: its
    /// `text`, and its `title`, `name` or `id` if it has one. Links are not followed.
    ///
    /// # Errors
    /// If a file cannot be read or is too long, or if there is no document.
    pub fn read(directory: &Path) -> Result<Self> {
        let (mut documents, left_out) = (Vec::new(), Cell::new(0));
        for path in files(directory)? {
            read_file(directory, &path, &mut documents, &left_out)?;
        }
        if documents.is_empty() {
            return Err(Error::file(directory, "holds no document: no .txt, .md, .html or .jsonl"));
        }
        let database = store(&documents).map_err(|e| Error::file(directory, format!("cannot be indexed: {e}")))?;
        let by_url = documents.iter().enumerate().map(|(i, document)| (document.url.clone(), i)).collect();
        Ok(Self(Rc::new(Inner { database, documents, by_url, left_out: left_out.get() })))
    }

    /// How many documents there are.
    pub fn len(&self) -> usize {
        self.0.documents.len()
    }

    /// Never.
    pub fn is_empty(&self) -> bool {
        self.0.documents.is_empty()
    }

    /// How many files and lines of JSON are no documents.
    pub fn left_out(&self) -> usize {
        self.0.left_out
    }
}

impl Fetch for Index {
    fn fetch(&self, url: &str, source: bool) -> std::result::Result<Page, String> {
        let found = self.0.by_url.get(url).and_then(|&i| self.0.documents.get(i));
        found.map(|document| Page::of(document, source)).ok_or_else(|| "there is no such document".into())
    }
}

impl Search for Index {
    fn source(&self) -> &str {
        "documents"
    }

    fn search(&self, query: &str, most: usize) -> std::result::Result<Vec<Hit>, String> {
        let words = query.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        let words: Vec<String> = words.take(MOST_WORDS).map(|word| format!("\"{word}\"")).collect();
        if words.is_empty() {
            return Err("the query has no word".into());
        }
        let failed = |e: rusqlite::Error| e.to_string();
        let mut select = self.0.database.prepare_cached(SELECT).map_err(failed)?;
        let rows = select.query_map(params![words.join(" OR "), most as i64], |row| {
            Ok((row.get::<_, i64>(0)? as usize, row.get::<_, String>(1)?))
        });
        let hit = |(i, summary): (usize, String)| {
            let document = self.0.documents.get(i)?;
            Some(Hit { url: document.url.clone(), title: document.title.clone().unwrap_or_default(), summary })
        };
        rows.and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>)
            .map(|rows| rows.into_iter().filter_map(hit).collect())
            .map_err(failed)
    }
}

/// A word in a title counts for five.
const SELECT: &str = "SELECT rowid, snippet(documents, 1, '', '', '…', 32) FROM documents WHERE documents MATCH ?1 \
                      ORDER BY bm25(documents, 5.0, 1.0), rowid LIMIT ?2";

fn store(documents: &[Document]) -> rusqlite::Result<Connection> {
    let mut database = Connection::open_in_memory()?;
    let all = database.transaction()?;
    all.execute("CREATE VIRTUAL TABLE documents USING fts5(title, body, tokenize = 'porter unicode61')", [])?;
    {
        let mut insert = all.prepare("INSERT INTO documents(rowid, title, body) VALUES (?1, ?2, ?3)")?;
        for (i, document) in documents.iter().enumerate() {
            let page = document.html.then(|| super::html::page(&document.text, &document.url));
            let text = page.as_ref().map_or(&document.text, |page| &page.text);
            insert.execute(params![i as i64, document.title, text])?;
        }
    }
    all.commit()?;
    Ok(database)
}

/// All files below a directory, in the order of their names.
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
            let html = extension.starts_with("htm");
            let title = if html { super::html::page(&text, &url).title } else { String::new() };
            let title = if title.is_empty() { name(&url) } else { title };
            documents.push(Document { url, title: Some(title), text, html });
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
    // As a link to it is written.
    Url::parse(&url).map_or(url, String::from)
}

/// What may not stand as it is in a part of a path.
const PART: &percent_encoding::AsciiSet =
    &percent_encoding::CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'/').add(b'<').add(b'>').add(b'?');

/// The last part of a URL.
fn name(url: &str) -> String {
    let last = url.rsplit('/').next().unwrap_or(url);
    percent_encoding::percent_decode_str(last).decode_utf8_lossy().into_owned()
}
