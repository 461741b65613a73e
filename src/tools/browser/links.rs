//! Links as a model sees them, `【id†text†domain】`, and the text around them.

use std::collections::HashMap;
use std::ops::Range;
use url::Url;

/// The target of a link.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// The URL of the page.
    pub url: String,
    /// The line of the page, for a match of `find`.
    pub line: Option<usize>,
}

/// Collects the links of a page while it is built.
#[derive(Default)]
pub struct Links {
    list: Vec<Link>,
    ids: HashMap<String, usize>,
}

impl Links {
    /// Returns the text of a link on the page `from`. Links to the same page share an id. The domain is omitted if it
    /// is that of `from`.
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

    /// Returns the links by id.
    pub fn into_list(self) -> Vec<Link> {
        self.list
    }
}

/// Replaces the characters that delimit links, so that a text cannot imitate one, and removes invisible characters.
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

/// Joins a text into one line.
pub fn line(text: &str) -> String {
    text_only(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns the host of a URL, with the port if there is one.
pub fn domain(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let host = url.host_str().filter(|host| !host.is_empty())?;
    Some(url.port().map_or(host.into(), |port| format!("{host}:{port}")))
}

/// Shortens a text to at most 1,024 characters.
pub fn truncated(text: &str) -> String {
    match text.char_indices().nth(1024) {
        Some(_) => text.chars().take(1021).chain("...".chars()).collect(),
        None => text.into(),
    }
}

/// A parsed `【number†text】` or `【number†text†domain】`.
pub struct LinkMark<'a> {
    /// The id of the link, or the cursor of the citation.
    pub number: usize,
    /// The text of the link, or the lines of the citation.
    pub text: &'a str,
    place: Range<usize>,
}

/// Finds the links of a page, or the citations of an answer.
pub fn marks(text: &str) -> impl Iterator<Item = LinkMark<'_>> {
    text.match_indices('【').filter_map(|(start, open)| {
        let inside = &text[start + open.len()..];
        let inside = &inside[..inside.find('】')?];
        let mut parts = inside.split('†');
        let (number, said, domain) = (parts.next()?, parts.next()?, parts.next());
        let is_mark = !said.is_empty() && domain != Some("") && parts.next().is_none();
        let number = number.parse().ok().filter(|_| is_mark && number.bytes().all(|b| b.is_ascii_digit()))?;
        let place = start..start + open.len() + inside.len() + '】'.len_utf8();
        Some(LinkMark { number, text: said, place })
    })
}

/// Replaces each link by its text.
pub fn without_links(text: &str) -> String {
    let (mut plain, mut from) = (String::with_capacity(text.len()), 0);
    for mark in marks(text) {
        plain += &text[from..mark.place.start];
        plain += mark.text;
        from = mark.place.end;
    }
    plain + &text[from..]
}
