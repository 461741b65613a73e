//! Converts HTML to text in a single pass, so that the time is linear even for deeply nested pages.
//!
//! [html5ever](https://github.com/servo/html5ever) finds the tags and decodes the characters. This module decides how
//! headings, items, links and images are written.

use super::document::SCHEME;
use super::links::{Link, Links, line, text_only};
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer};
use std::cell::RefCell;
use url::Url;

/// The deepest indentation of lists and quotations.
const DEEPEST: usize = 8;

/// The text of an HTML page.
pub struct Html {
    /// The title, in one line; it may be empty.
    pub title: String,
    /// The text, with links as `【id†text†domain】`.
    pub text: String,
    /// The links by id.
    pub links: Vec<Link>,
}

/// Converts HTML to text. `url` is the base of relative links.
pub fn read(source: &str, url: &str) -> Html {
    let reader = HtmlReader { base: Url::parse(url).ok(), breaks: 1, ..HtmlReader::default() };
    let tokenizer = Tokenizer::new(Sink(RefCell::new(reader)), Default::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from(source));
    _ = tokenizer.feed(&input);
    tokenizer.end();
    let mut reader = tokenizer.sink.0.into_inner();
    reader.close_link();
    reader.text.truncate(reader.text.trim_end().len());
    Html { title: line(&reader.title.unwrap_or_default()), text: reader.text, links: reader.links.into_list() }
}

struct Sink(RefCell<HtmlReader>);

/// The text so far, and the state of the elements that are open.
#[derive(Default)]
struct HtmlReader {
    base: Option<Url>,
    text: String,
    links: Links,
    title: Option<String>,
    in_title: bool,
    /// The element whose content is hidden, and its depth, because an `svg` may contain another `svg`.
    hidden: Option<(String, usize)>,
    /// The number of line breaks before the next word, and whether a space comes before it.
    breaks: usize,
    space: bool,
    /// The prefix of the next line: the mark of a heading or an item.
    mark: String,
    /// The number of the last item of each open list; `None` if the list is not numbered.
    lists: Vec<Option<u64>>,
    quotes: usize,
    verbatim: usize,
    cells: usize,
    images: usize,
    /// The URL of the open link, and the position in the text at which its content begins.
    link: Option<(String, Option<usize>)>,
}

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _: u64) -> TokenSinkResult<()> {
        let mut reader = self.0.borrow_mut();
        match token {
            Token::CharacterTokens(text) => reader.characters(&text),
            Token::TagToken(tag) => {
                let foreign = matches!(&reader.hidden, Some((name, _)) if name != "template");
                reader.tag(&tag);
                if tag.kind == TagKind::StartTag && !foreign {
                    return match &*tag.name {
                        "script" => TokenSinkResult::RawData(RawKind::ScriptData),
                        "style" | "xmp" | "iframe" | "noembed" | "noframes" => {
                            TokenSinkResult::RawData(RawKind::Rawtext)
                        }
                        "title" | "textarea" => TokenSinkResult::RawData(RawKind::Rcdata),
                        _ => TokenSinkResult::Continue,
                    };
                }
            }
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

impl HtmlReader {
    fn tag(&mut self, tag: &Tag) {
        let (name, starts) = (&*tag.name, tag.kind == TagKind::StartTag);
        if let Some((hidden, open)) = &mut self.hidden {
            if hidden == name {
                *open = if starts { *open + usize::from(!tag.self_closing) } else { *open - 1 };
            }
            if *open == 0 {
                self.hidden = None;
            }
            return;
        }
        match name {
            "script" | "style" | "iframe" | "noembed" | "noframes" if starts => self.hidden = Some((name.into(), 1)),
            "svg" | "math" | "template" if starts && !tag.self_closing => self.hidden = Some((name.into(), 1)),
            "title" => self.in_title = starts && self.title.is_none(),
            "a" => self.anchor(tag, starts),
            "img" if starts => self.image(tag),
            "sup" if starts => self.word("^{"),
            "sub" if starts => self.word("_{"),
            "sup" | "sub" => self.text.push('}'),
            "td" | "th" if starts => self.cell(),
            "br" => self.next_line(1),
            _ => self.block(name, starts),
        }
    }

    /// Handles elements that start on a new line.
    fn block(&mut self, name: &str, starts: bool) {
        let deeper = |depth: usize| if starts { depth + 1 } else { depth.saturating_sub(1) };
        match name {
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.next_line(2);
                let level = name.len() - 1 + usize::from(name.as_bytes()[1] - b'1');
                self.mark = if starts { format!("{} ", "#".repeat(level)) } else { String::new() };
            }
            "ul" | "ol" | "menu" => {
                if !starts {
                    self.lists.pop();
                }
                self.next_line(if self.lists.is_empty() { 2 } else { 1 });
                if starts {
                    self.lists.push((name == "ol").then_some(0));
                }
            }
            "li" => {
                self.next_line(1);
                self.mark = if starts { self.item() } else { String::new() };
            }
            "blockquote" => (self.quotes, _) = (deeper(self.quotes), self.next_line(2)),
            "pre" => (self.verbatim, _) = (deeper(self.verbatim), self.next_line(2)),
            "p" | "table" | "dl" | "hr" | "figure" => self.next_line(2),
            "tr" => (self.cells, _) = (0, self.next_line(1)),
            "div" | "section" | "article" | "header" | "footer" | "main" | "nav" | "aside" | "address" | "caption"
            | "figcaption" | "dt" | "dd" | "form" | "fieldset" | "option" | "details" | "summary" | "body" => {
                self.next_line(1);
            }
            _ => {}
        }
    }

    fn characters(&mut self, text: &str) {
        if self.in_title {
            self.title.get_or_insert_default().push_str(text);
        }
        if self.in_title || self.hidden.is_some() {
            return;
        }
        for c in text_only(text).chars() {
            match c {
                '\n' if self.verbatim > 0 => self.breaks = (self.breaks + 1).min(2),
                c if c.is_whitespace() && self.verbatim == 0 => self.space = true,
                c => self.word(c.encode_utf8(&mut [0; 4])),
            }
        }
    }

    /// Appends text that is not white space, after the pending line breaks or the pending space.
    fn word(&mut self, text: &str) {
        let in_link = matches!(self.link, Some((_, Some(_))));
        if self.breaks > 0 && !in_link {
            self.text.truncate(self.text.trim_end_matches(' ').len());
            if !self.text.is_empty() {
                self.text.extend(std::iter::repeat_n('\n', self.breaks));
            }
            self.text += &"> ".repeat(self.quotes.min(DEEPEST));
            self.text += if self.verbatim > 0 { "    " } else { "" };
            self.text += &std::mem::take(&mut self.mark);
        } else if (self.space || self.breaks > 0) && !self.text.ends_with(' ') {
            self.text.push(' ');
        }
        (self.breaks, self.space) = (0, false);
        if let Some((_, begin @ None)) = &mut self.link {
            *begin = Some(self.text.len());
        }
        self.text += text;
    }

    fn next_line(&mut self, breaks: usize) {
        self.breaks = self.breaks.max(breaks);
    }

    fn item(&mut self) -> String {
        let indent = "  ".repeat(self.lists.len().clamp(1, DEEPEST));
        match self.lists.last_mut() {
            Some(Some(number)) => {
                *number += 1;
                format!("{indent}{number}. ")
            }
            _ => format!("{indent}* "),
        }
    }

    fn cell(&mut self) {
        if self.cells > 0 {
            self.text += " |";
            self.space = true;
        }
        self.cells += 1;
    }

    fn image(&mut self, tag: &Tag) {
        let name = attribute(tag, "alt").or(attribute(tag, "title")).map(line).filter(|name| !name.is_empty());
        let name = name.map_or(String::new(), |name| format!(": {name}"));
        self.word(&format!("[Image {}{name}]", self.images));
        self.images += 1;
    }

    fn anchor(&mut self, tag: &Tag, starts: bool) {
        self.close_link();
        let Some(target) = attribute(tag, "href").filter(|target| starts && !target.starts_with('#')) else { return };
        let url = Url::options().base_url(self.base.as_ref()).parse(target).ok();
        let page = url.filter(|url| matches!(url.scheme(), "http" | "https" | SCHEME));
        self.link = page.map(|url| (url.into(), None));
    }

    fn close_link(&mut self) {
        if let Some((url, Some(begin))) = self.link.take() {
            let text = line(&self.text[begin..]);
            self.text.truncate(begin);
            let from = self.base.as_ref().map(Url::as_str);
            self.text += &self.links.link(&url, &text, from);
        }
    }
}

fn attribute<'a>(tag: &'a Tag, name: &str) -> Option<&'a str> {
    tag.attrs.iter().find(|attribute| &*attribute.name.local == name).map(|attribute| &*attribute.value)
}
