//! A page: lines with numbers, links with ids.

use super::html;
use super::wrap::wrap;
use super::{Document, Hit};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::collections::HashMap;
use std::ops::Range;
use url::Url;

/// What is shown under a cursor.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// Empty if it is what a search found.
    pub url: String,
    /// In a line.
    pub title: String,
    /// With its links as `【id†text†domain】`.
    pub text: String,
    /// By id.
    pub links: Vec<Link>,
    /// Whether it shows where something was found.
    pub is_find: bool,
}

/// Where a link leads.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// The page.
    pub url: String,
    /// The line of it, if one is meant.
    pub line: Option<usize>,
}

/// Matches of `find`, and the lines that are shown of each.
const MOST_MATCHES: usize = 50;
const MATCH_LINES: usize = 4;

impl Page {
    /// A page to be read, or its source.
    pub fn of(document: &Document, source: bool) -> Self {
        let Document { url, title, text, html } = document;
        let page = match *html && !source {
            true => html::page(text, url),
            false => Self { text: text_only(text), ..Self::default() },
        };
        let title = title.as_deref().map_or(page.title, line);
        Self {
            title: if title.is_empty() { domain(url).unwrap_or_default() } else { title },
            text: format!("\nURL: {url}\n{}", page.text),
            url: if source { format!("view-source:{url}") } else { url.clone() },
            ..page
        }
    }

    /// What a search found.
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

    /// Where a pattern, in lower case, stands on the page.
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

    /// Lines `loc` and on: `num_lines` of them, or what is in view. `in_view` counts the characters of a text that are.
    ///
    /// # Errors
    /// If there is no such line.
    pub fn show(
        &self,
        cursor: usize,
        loc: i64,
        num_lines: i64,
        in_view: impl Fn(&str) -> usize,
    ) -> Result<String, String> {
        let lines = wrap(&self.text);
        let total = lines.len();
        let start = usize::try_from(loc).ok().filter(|&start| start < total).ok_or_else(|| {
            format!("Invalid location parameter: `{loc}`. Cannot exceed page maximum of {}.", total - 1)
        })?;
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

/// The links of a page that is being read.
#[derive(Default)]
pub struct Links {
    list: Vec<Link>,
    ids: HashMap<String, usize>,
}

impl Links {
    /// The text of a link on a page of `from`. Its id is the next, or that of an earlier link to the same page.
    pub fn link(&mut self, url: &str, text: &str, from: Option<&str>) -> String {
        let id = *self.ids.entry(url.into()).or_insert_with(|| {
            self.list.push(Link { url: url.into(), line: None });
            self.list.len() - 1
        });
        let text = text.replace('†', "‡");
        match domain(url).filter(|there| from.and_then(domain).as_ref() != Some(there)) {
            Some(there) => format!("【{id}†{text}†{there}】"),
            None => format!("【{id}†{text}】"),
        }
    }

    pub fn into_list(self) -> Vec<Link> {
        self.list
    }
}

/// What is put around links may not be in a text, nor what cannot be seen.
pub fn text_only(text: &str) -> String {
    let replaced = |c| match c {
        '【' => Some('〖'),
        '】' => Some('〗'),
        '◼' => Some('◾'),
        '\u{200b}' => None,
        c => Some(c),
    };
    text.chars().filter_map(replaced).collect()
}

/// A text in one line.
pub fn line(text: &str) -> String {
    text_only(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Host, and port if it is said.
pub fn domain(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let host = url.host_str().filter(|host| !host.is_empty())?;
    Some(url.port().map_or(host.into(), |port| format!("{host}:{port}")))
}

/// At most 1,024 characters.
pub fn truncated(text: &str) -> String {
    match text.char_indices().nth(1024) {
        Some(_) => text.chars().take(1021).chain("...".chars()).collect(),
        None => text.into(),
    }
}

/// `【number†text】` or `【number†text†domain】`.
pub struct Mark<'a> {
    pub number: usize,
    pub text: &'a str,
    place: Range<usize>,
}

/// The links of a page, or the citations of an answer.
pub fn marks(text: &str) -> impl Iterator<Item = Mark<'_>> {
    text.match_indices('【').filter_map(|(start, open)| {
        let inside = &text[start + open.len()..];
        let inside = &inside[..inside.find('】')?];
        let mut parts = inside.split('†');
        let (number, said, domain) = (parts.next()?, parts.next()?, parts.next());
        let is_mark = !said.is_empty() && domain != Some("") && parts.next().is_none();
        let number = number.parse().ok().filter(|_| is_mark && number.bytes().all(|b| b.is_ascii_digit()))?;
        let place = start..start + open.len() + inside.len() + '】'.len_utf8();
        Some(Mark { number, text: said, place })
    })
}

fn without_links(text: &str) -> String {
    let (mut plain, mut from) = (String::with_capacity(text.len()), 0);
    for mark in marks(text) {
        plain += &text[from..mark.place.start];
        plain += mark.text;
        from = mark.place.end;
    }
    plain + &text[from..]
}
