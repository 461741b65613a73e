//! A page as a model sees it: lines with numbers, links with ids.

use super::document::{Document, Hit};
use super::html::{self, Html};
use super::links::{Link, Links, domain, line, text_only, truncated, without_links};
use super::wrap::wrap;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// A page that can be displayed under a cursor.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// The URL; empty for search results.
    pub url: String,
    /// The title, in one line.
    pub title: String,
    /// The text, with links as `【id†text†domain】`.
    pub text: String,
    /// The links by id.
    pub links: Vec<Link>,
    /// Whether the page lists the matches of `find`.
    pub is_find: bool,
}

/// The line at which a page should be shown does not exist.
#[derive(Debug, thiserror::Error)]
#[error("Invalid location parameter: `{loc}`. Cannot exceed page maximum of {last}.")]
pub struct NoSuchLine {
    loc: i64,
    last: usize,
}

/// The largest number of matches of `find`.
const MOST_MATCHES: usize = 50;
/// The number of lines that are shown for each match.
const MATCH_LINES: usize = 4;

impl Page {
    /// Makes a page from a document. With `source`, HTML is shown as source code.
    pub fn of(document: &Document, source: bool) -> Self {
        let Document { url, title, text, html } = document;
        let page = match *html && !source {
            true => html::read(text, url),
            false => Html { title: String::new(), text: text_only(text), links: Vec::new() },
        };
        let title = title.as_deref().map_or(page.title, line);
        Self {
            title: if title.is_empty() { domain(url).unwrap_or_default() } else { title },
            text: format!("\nURL: {url}\n{}", page.text),
            url: if source { format!("view-source:{url}") } else { url.clone() },
            links: page.links,
            is_find: false,
        }
    }

    /// Makes a page of search results.
    pub fn of_hits(query: &str, hits: &[Hit]) -> Self {
        let (mut text, mut links) = (String::from("\nURL: \n# Search Results\n"), Links::default());
        for hit in hits {
            let link = links.link(&hit.url, &line(&hit.title), None);
            text += &format!("\n  * {link} {}", line(&hit.summary));
        }
        if hits.is_empty() {
            text += "\nNothing was found.";
        }
        Self { title: query.into(), text, links: links.into_list(), ..Self::default() }
    }

    /// Makes a page of the matches of a pattern, which must be in lower case.
    pub fn find(&self, pattern: &str) -> Self {
        let text = without_links(&wrap(&self.text).join("\n"));
        let lines: Vec<&str> = text.split('\n').collect();
        let (mut chunks, mut links, mut at) = (Vec::new(), Vec::new(), 0);
        while at < lines.len() && chunks.len() < MOST_MATCHES {
            if !lines[at].to_lowercase().contains(pattern) {
                at += 1;
                continue;
            }
            let shown = lines[at..(at + MATCH_LINES).min(lines.len())].join("\n");
            chunks.push(format!("# 【{}†match at L{at}】\n{shown}", chunks.len()));
            links.push(Link { url: self.url.clone(), line: Some(at) });
            at += MATCH_LINES;
        }
        let text = match chunks.is_empty() {
            true => format!("No `find` results for pattern: `{pattern}`"),
            false => chunks.join("\n\n"),
        };
        let title = format!("Find results for text: `{pattern}` in `{}`", self.title);
        let pattern = utf8_percent_encode(pattern, NON_ALPHANUMERIC);
        Self { url: format!("{}/find?pattern={pattern}", self.url), title, text, links, is_find: true }
    }

    /// Returns the display of the page from line `loc` on: `num_lines` lines, or as many as fit if `num_lines` is not
    /// positive. `in_view` returns how many characters of a text fit.
    ///
    /// # Errors
    /// If there is no such line.
    pub fn show(
        &self,
        cursor: usize,
        loc: i64,
        num_lines: i64,
        in_view: impl Fn(&str) -> usize,
    ) -> Result<String, NoSuchLine> {
        let lines = wrap(&self.text);
        let total = lines.len();
        let start = usize::try_from(loc)
            .ok()
            .filter(|&start| start < total)
            .ok_or_else(|| NoSuchLine { loc, last: total - 1 })?;
        let numbered = |(i, line): (usize, &String)| format!("L{}: {line}", start + i);
        let body = || lines[start..].iter().enumerate().map(numbered).collect::<Vec<_>>();
        let count = match usize::try_from(num_lines) {
            Ok(count @ 1..) => count,
            _ => {
                let all = body().join("\n");
                let shown = all.char_indices().nth(in_view(&all)).map(|(end, _)| &all[..end]);
                shown.map_or(total, |shown| shown.matches('\n').count() + 1)
            }
        };
        let end = start.saturating_add(count).min(total);
        let body = body()[..end - start].join("\n");
        let place = percent_decode_str(&self.url).decode_utf8_lossy();
        let place = if place.is_empty() { String::new() } else { format!(" ({})", truncated(&place)) };
        let last = total - 1;
        Ok(format!("[{cursor}] {}{place}\n**viewing lines [{start} - {}] of {last}**\n\n{body}", self.title, end - 1))
    }
}
