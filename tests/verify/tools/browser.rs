//! The browser: what it shows, and where it does not go.

mod documents;
mod web;

use ossia::harmony::{Message, MessageRole};
use ossia::tokenizer::o200k_harmony;
use ossia::tools::browser::{Browser, Fetch, Hit, Link, Page, Search, SourceError};
use serde_json::Value;

/// The pages and the searches of the reference's run.
struct Made(Value);

impl Fetch for Made {
    fn fetch(&self, url: &str, _: bool) -> Result<Page, SourceError> {
        let pages = self.0["pages"].as_array().unwrap();
        let page = pages.iter().find(|page| page["url"] == url).ok_or("no such page")?;
        let text = |name: &str| page[name].as_str().unwrap().to_string();
        let link = |url: &Value| Link { url: url.as_str().unwrap().into(), line: None };
        let links = page["links"].as_array().unwrap().iter().map(link).collect();
        Ok(Page { url: url.into(), title: text("title"), text: text("text"), links, is_find: false })
    }
}

impl Search for Made {
    fn source(&self) -> &str {
        "web"
    }

    fn search(&self, query: &str, _: usize) -> Result<Vec<Hit>, SourceError> {
        let hits = self.0["hits"][query].as_array().ok_or("no such search")?;
        let hit = |hit: &Value| {
            let text = |name: &str| hit[name].as_str().unwrap().to_string();
            Hit { url: text("url"), title: text("title"), summary: text("summary") }
        };
        Ok(hits.iter().map(hit).collect())
    }
}

/// A browser on which these functions can be called.
pub struct Called<'t>(pub Browser<'t>);

impl Called<'_> {
    pub fn call(&mut self, function: &str, arguments: &Value) -> String {
        self.0.answer(&call(function, &arguments.to_string()))
    }
}

fn call(function: &str, arguments: &str) -> Message {
    Message::new(MessageRole::Assistant, arguments).on("analysis").to(format!("browser.{function}"))
}

fn reference() -> Value {
    serde_json::from_str(include_str!("../reference/browser.json")).unwrap()
}

#[test]
fn tools_browser_shows_what_the_reference_shows() {
    let reference = reference();
    let made = || Box::new(Made(reference.clone()));
    let mut browser = Browser::new(Some(made()), made(), o200k_harmony());
    for (i, made) in reference["calls"].as_array().unwrap().iter().enumerate() {
        let text = |name: &str| made[name].as_str().unwrap();
        let answer = browser.answer(&call(text("function"), text("arguments")));
        assert_eq!(answer, text("answer"), "call {i}: {} {}", text("function"), text("arguments"));
    }
    let cited = browser.citations(reference["cited"]["answer"].as_str().unwrap());
    let urls: Vec<&str> = cited.iter().map(|citation| citation.url.as_str()).collect();
    // The reference names a page as often as it is cited.
    let mut expected: Vec<&str> =
        reference["cited"]["urls"].as_array().unwrap().iter().flat_map(Value::as_str).collect();
    expected.dedup();
    assert_eq!(urls, expected);
    assert_eq!((cited[1].cursor, cited[1].lines.as_str()), (3, "L40"));
}
