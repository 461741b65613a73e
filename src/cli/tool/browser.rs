//! `ossia tool browser`

use crate::cli::{print, standard_input};
use crate::error::{Error, Result};
use crate::harmony::{Message, MessageRole};
use crate::tokenizer::Tokenizer;
use crate::tools::browser::endpoint::Endpoint;
use crate::tools::browser::http::{Http, Limits};
use crate::tools::browser::index::Index;
use crate::tools::browser::{Browser, Search, Sources};
use std::path::PathBuf;

/// The sources of the browser.
#[derive(clap::Args, Clone)]
pub struct BrowserArguments {
    /// Search and open the .txt, .md, .html and .jsonl files of a directory
    #[arg(long, value_name = "DIR")]
    documents: Option<PathBuf>,
    /// Open pages of the web; addresses of this machine and of its network are refused
    #[arg(long)]
    web: bool,
    /// Search the web with a service that answers in JSON: its URL, with {query} and {count}; also opens pages
    #[arg(long, value_name = "URL", conflicts_with = "documents")]
    search_url: Option<String>,
    /// A header for that service; {key} is replaced by the environment variable OSSIA_SEARCH_KEY
    #[arg(long = "search-header", value_name = "NAME: VALUE", requires = "search_url")]
    search_headers: Vec<String>,
    /// POST this JSON to the service; {query} is replaced by a JSON string, and {count} by a number
    #[arg(long, value_name = "JSON", requires = "search_url")]
    search_body: Option<String>,
}

impl BrowserArguments {
    /// Creates a browser with no page open, and says how many documents there are.
    ///
    /// # Errors
    /// If there is no source, or it is not available.
    pub fn start<'t>(&self, tokenizer: &'t Tokenizer) -> Result<Browser<'t>> {
        let documents = self.documents.as_deref().map(Index::read).transpose()?;
        if let Some(index) = &documents {
            let left_out = match index.left_out() {
                0 => String::new(),
                n => format!(", {n} files or lines of other kinds left out"),
            };
            say!("documents: {}{left_out}", index.len());
        }
        let key = std::env::var("OSSIA_SEARCH_KEY").ok();
        let (body, headers) = (self.search_body.as_deref(), &self.search_headers);
        let endpoint = self.search_url.as_deref().map(|url| Endpoint::new(url, body, headers, key.as_deref()));
        let search: Option<Box<dyn Search>> = match (endpoint.transpose()?, &documents) {
            (Some(endpoint), _) => Some(Box::new(endpoint)),
            (None, Some(index)) => Some(Box::new(index.clone())),
            (None, None) if self.web => None,
            (None, None) => {
                return Err(Error::argument("the browser needs --documents DIR, --search-url URL or --web"));
            }
        };
        let web = (self.web || self.search_url.is_some()).then(|| Http::new(Limits::default()));
        Ok(Browser::new(search, Box::new(Sources { documents, web }), tokenizer))
    }

    /// Runs the calls on standard input.
    ///
    /// # Errors
    /// If there is no browser.
    pub fn run(&self) -> Result<()> {
        let mut browser = self.start(tokenizer()?)?;
        for line in standard_input()?.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (function, arguments) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            let call = Message::new(MessageRole::Assistant, arguments.trim()).to(format!("browser.{function}"));
            print(&format!("{}\n", browser.answer(&call)))?;
        }
        Ok(())
    }
}

#[cfg(feature = "o200k")]
fn tokenizer() -> Result<&'static Tokenizer> {
    Ok(crate::tokenizer::o200k_harmony())
}

#[cfg(not(feature = "o200k"))]
fn tokenizer() -> Result<&'static Tokenizer> {
    Err(Error::argument("this build has no vocabulary of its own to measure a page with (feature o200k)"))
}
