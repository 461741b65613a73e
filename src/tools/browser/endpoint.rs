//! A search service on the web, for whoever has a key.

use super::http::Limits;
use super::{Hit, Search};
use crate::error::{Error, Result};
use serde_json::Value;
use ureq::Agent;
use url::Url;

/// Asks a service: by GET, or by POST if there is a body. What it answers is JSON, where each result is an object with a
/// `url`, and what describes it, wherever it stands: so do the services of Brave, Exa, SearXNG, Tavily and You.com.
#[derive(Debug)]
pub struct Endpoint {
    url: String,
    body: Option<String>,
    headers: Vec<(String, String)>,
    limits: Limits,
    agent: Agent,
}

/// The names under which services give a result's title, and what describes it.
const TITLES: [&str; 2] = ["title", "name"];
const SUMMARIES: [&str; 6] = ["summary", "snippet", "snippets", "description", "content", "text"];

/// Characters of a description.
const LONGEST: usize = 500;

impl Endpoint {
    /// `url` and `body` may hold `{query}` and `{count}`, which are written as each needs them, in the body with
    /// quotation marks; headers are `name: value`, where `{key}` stands for the key. It may be on this machine: it is the
    /// user's choice, not the model's.
    ///
    /// # Errors
    /// If the URL is none, or a header.
    pub fn new(url: &str, body: Option<&str>, headers: &[String], key: Option<&str>) -> Result<Self> {
        let limits = Limits { allowed: |_| true, redirects: 0, ..Limits::default() };
        if !Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
            return Err(Error::argument(format!("the search service {url:?} is no http URL")));
        }
        if ![Some(url), body].into_iter().flatten().any(|text| text.contains("{query}")) {
            return Err(Error::argument("neither the URL nor the body of the search service says {query}"));
        }
        let header = |text: &String| {
            let (name, value) = text.split_once(':').ok_or_else(|| {
                Error::argument(format!("the search header {text:?} is not of the form \"name: value\""))
            })?;
            if value.contains("{key}") && key.is_none() {
                return Err(Error::argument("a search header says {key}, but OSSIA_SEARCH_KEY is not set"));
            }
            Ok((name.trim().into(), value.trim().replace("{key}", key.unwrap_or_default())))
        };
        let headers = headers.iter().map(header).collect::<Result<_>>()?;
        Ok(Self { url: url.into(), body: body.map(Into::into), headers, limits, agent: limits.agent() })
    }
}

impl Search for Endpoint {
    fn source(&self) -> &str {
        "web"
    }

    fn search(&self, query: &str, most: usize) -> std::result::Result<Vec<Hit>, String> {
        let encoded: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let url = fill(&self.url, &encoded, most);
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let response = match &self.body {
            None => headers.fold(self.agent.get(url), |request, (name, value)| request.header(name, value)).call(),
            Some(body) => {
                let request = self.agent.post(url).header("content-type", "application/json");
                let request = headers.fold(request, |request, (name, value)| request.header(name, value));
                request.send(fill(body, &Value::from(query).to_string(), most))
            }
        };
        let response = response.map_err(|e| e.to_string())?;
        if !response.status().is_success() {
            return Err(format!("the service answers {}", response.status()));
        }
        let text = self.limits.read(response.into_body())?;
        let answer: Value = serde_json::from_str(&text).map_err(|_| "the service does not answer in JSON")?;
        let mut hits = Vec::new();
        collect(&answer, most, &mut hits);
        Ok(hits)
    }
}

/// At once, so that a query that says `{count}` stays as it is.
fn fill(template: &str, query: &str, count: usize) -> String {
    let count = count.to_string();
    let parts: Vec<String> = template.split("{query}").map(|part| part.replace("{count}", &count)).collect();
    parts.join(query)
}

/// The results in what a service answers, in their order.
fn collect(json: &Value, most: usize, hits: &mut Vec<Hit>) {
    match json {
        _ if hits.len() == most => {}
        Value::Array(all) => all.iter().for_each(|json| collect(json, most, hits)),
        Value::Object(object) => match (object.get("url").and_then(Value::as_str), first(json, &TITLES)) {
            (Some(url), Some(title)) => {
                let summary = first(json, &SUMMARIES).unwrap_or_default();
                hits.push(Hit { url: url.into(), title, summary: summary.chars().take(LONGEST).collect() });
            }
            _ => object.values().for_each(|json| collect(json, most, hits)),
        },
        _ => {}
    }
}

/// The first text that is said under one of these names.
fn first(json: &Value, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| match json.get(name)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Array(all) => Some(all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" … ")),
        _ => None,
    })
}
