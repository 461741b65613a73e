//! A search service on the web, for users who have a key.

use super::document::Hit;
use super::http::Limits;
use super::source::{Search, SourceError};
use crate::error::{Error, Result};
use serde_json::Value;
use ureq::Agent;
use url::Url;

/// A search service. It is queried by GET, or by POST if there is a body. The response must be JSON and contain objects
/// with a `url` and a title, at any depth; the services of Brave, Exa, SearXNG, Tavily and You.com respond in this way.
#[derive(Debug)]
pub struct Endpoint {
    url: String,
    body: Option<String>,
    headers: Vec<(String, String)>,
    limits: Limits,
    agent: Agent,
}

/// The keys that services use for the title of a result.
const TITLES: [&str; 2] = ["title", "name"];
/// The keys that services use for the summary of a result.
const SUMMARIES: [&str; 6] = ["summary", "snippet", "snippets", "description", "content", "text"];

/// The largest number of characters of a summary.
const LONGEST: usize = 500;

impl Endpoint {
    /// Makes a search service. `url` and `body` may contain `{query}` and `{count}`. In the URL the query is
    /// percent-encoded; in the body it becomes a JSON string with quotation marks. Headers have the form `name: value`,
    /// in which `{key}` is replaced by the key. The service may be on this machine, because the user chooses it and not
    /// the model.
    ///
    /// # Errors
    /// If the URL or a header is malformed, or if a part that is referred to is missing.
    pub fn new(url: &str, body: Option<&str>, headers: &[String], key: Option<&str>) -> Result<Self> {
        let limits = Limits { allowed: |_| true, redirects: 0, ..Limits::default() };
        if !Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
            return Err(Error::argument(format!("the search service {url:?} is not an http URL")));
        }
        if ![Some(url), body].into_iter().flatten().any(|text| text.contains("{query}")) {
            return Err(Error::argument("neither the URL nor the body of the search service contains {query}"));
        }
        let header = |text: &String| {
            let (name, value) = text.split_once(':').ok_or_else(|| {
                Error::argument(format!("the search header {text:?} is not of the form \"name: value\""))
            })?;
            if value.contains("{key}") && key.is_none() {
                return Err(Error::argument("a search header contains {key}, but OSSIA_SEARCH_KEY is not set"));
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

    fn search(&self, query: &str, most: usize) -> std::result::Result<Vec<Hit>, SourceError> {
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
        let response = response?;
        if !response.status().is_success() {
            return Err(SourceError::Status { sender: "service", status: response.status() });
        }
        let text = self.limits.read(response.into_body())?;
        let answer: Value = serde_json::from_str(&text)?;
        let mut hits = Vec::new();
        collect(&answer, most, &mut hits);
        Ok(hits)
    }
}

/// Replaces both placeholders in one pass, so that a `{count}` in the query itself is not replaced.
fn fill(template: &str, query: &str, count: usize) -> String {
    let count = count.to_string();
    let parts: Vec<String> = template.split("{query}").map(|part| part.replace("{count}", &count)).collect();
    parts.join(query)
}

/// Collects the results in a response, in their order.
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

/// Returns the first text under one of these keys.
fn first(json: &Value, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| match json.get(name)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Array(all) => Some(all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" … ")),
        _ => None,
    })
}
