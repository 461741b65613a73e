//! Reads the notation of `tales.txt` and `words.txt`.
//!
//! The notation is explained at the top of these two files. A recursive descent parser reads it, with one function for
//! each kind of bracket.

use super::grammar::{List, Mention, Piece, Rule, Slot};
use crate::error::{Error, Result};

/// The greatest depth of nested brackets.
const MAX_DEPTH: usize = 16;

/// A mistake in the text of a rule.
#[derive(Debug, thiserror::Error)]
enum NotationError {
    #[error("found `{0}` outside of brackets")]
    OutsideOfBrackets(char),
    #[error("`{{{tag}}}` draws from `{list}`, which is not a list")]
    UnknownList { tag: String, list: String },
    #[error("`{{{tag}}}`: elsewhere `{slot}` is drawn from `{list}`")]
    TwoLists { tag: String, slot: String, list: String },
    #[error("`<{0}>` is not a rule further down")]
    UnknownRule(String),
    #[error("found more than {MAX_DEPTH} nested brackets")]
    TooDeep,
    #[error("found `[` without `]`")]
    OpenChoice,
    #[error("found no closing `{0}`")]
    OpenBracket(char),
    #[error("`{{{0}}}`: expected `a` or `A` before the space")]
    Article(String),
    #[error("`{{{tag}}}`: no rule draws `{slot}`")]
    UndrawnSlot { tag: String, slot: String },
    #[error("`{{{tag}}}`: the list `{list}` has no column `{column}`")]
    UnknownColumn { tag: String, list: String, column: String },
}

impl NotationError {
    /// Adds the name of the rule.
    fn in_rule(self, name: &str) -> Error {
        Error::argument(format!("story grammar, rule `{name}`: {self}"))
    }
}

type ParseResult<T> = std::result::Result<T, NotationError>;

/// Reads the rules and the word lists, and finds the slots.
pub(super) fn read(tales: &str, words: &str) -> Result<(Vec<Rule>, Vec<List>, Vec<Slot>)> {
    let lists = sections(words)?.into_iter().map(|(head, body)| list(&head, &body)).collect::<Result<Vec<_>>>()?;
    let tales = sections(tales)?;
    if tales.is_empty() {
        return Err(Error::argument("story grammar: found no rule, expected a line `== name` and text below it"));
    }
    let names: Vec<String> = tales.iter().map(|(name, _)| name.clone()).collect();
    let mut slots = Vec::new();
    for (name, body) in &tales {
        find_slots(body, &lists, &mut slots).map_err(|error| error.in_rule(name))?;
    }
    let mut rules = Vec::new();
    for (index, (name, body)) in tales.iter().enumerate() {
        let body = paragraphs(body);
        let mut parser = RuleParser { rest: &body, rule: index, rules: &names, lists: &lists, slots: &slots };
        let pieces = parser.pieces(0).map_err(|error| error.in_rule(name))?;
        if let Some(stray) = parser.rest.chars().next() {
            return Err(NotationError::OutsideOfBrackets(stray).in_rule(name));
        }
        rules.push(Rule { name: name.clone(), pieces });
    }
    Ok((rules, lists, slots))
}

/// Splits a file at its `== ` lines and returns each heading with the lines below it. Lines that start with `#` are
/// comments.
fn sections(text: &str) -> Result<Vec<(String, String)>> {
    if let Some(odd) = text.chars().find(|c| !c.is_ascii()) {
        return Err(Error::argument(format!("story grammar: found {odd:?}, expected ASCII only")));
    }
    let mut sections: Vec<(String, String)> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(head) = line.strip_prefix("== ") {
            sections.push((head.trim().to_string(), String::new()));
        } else if let Some((_, body)) = sections.last_mut() {
            *body += line;
            *body += "\n";
        } else if !line.trim().is_empty() {
            return Err(Error::argument(format!("story grammar: found {line:?} before the first line `== name`")));
        }
    }
    Ok(sections)
}

/// Reads a list: a heading `name: column, column`, and lines of `word, word: column, column`.
fn list(head: &str, body: &str) -> Result<List> {
    let parts = |text: &str| text.split(',').map(|part| part.trim().to_string()).collect::<Vec<_>>();
    let (name, columns) = head.split_once(':').map_or((head, Vec::new()), |(name, columns)| (name, parts(columns)));
    let error =
        |line: &str, problem: &str| Error::argument(format!("story grammar, list `{name}`, {line:?}: {problem}"));
    let mut lines = Vec::new();
    for line in body.lines().filter(|line| !line.trim().is_empty()) {
        let (words, rest) = line.split_once(':').map_or((line, Vec::new()), |(words, rest)| (words, parts(rest)));
        if rest.len() != columns.len() {
            return Err(error(line, &format!("found {} columns, expected {}", rest.len(), columns.len())));
        }
        for word in parts(words) {
            let line: Vec<String> = std::iter::once(word).chain(rest.iter().cloned()).collect();
            if line.iter().any(String::is_empty) {
                return Err(error(&line.join(", "), "found an empty word"));
            }
            lines.push(line);
        }
    }
    let columns = std::iter::once(String::new()).chain(columns).collect();
    Ok(List { name: name.to_string(), columns, lines })
}

/// Joins lines and collapses spaces. An empty line becomes the line break between two paragraphs.
fn paragraphs(body: &str) -> String {
    let body = body.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    body.split("\n\n").map(one_line).filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
}

/// Finds every `{slot:list}`. A slot must draw from the same list everywhere.
fn find_slots(body: &str, lists: &[List], slots: &mut Vec<Slot>) -> ParseResult<()> {
    for tag in body.split('{').skip(1).filter_map(|text| text.split('}').next()) {
        let Some((name, list_name)) = tag.split_once(':') else { continue };
        let name = name.split_once(' ').map_or(name, |(_article, name)| name);
        let Some(list) = lists.iter().position(|list| list.name == list_name) else {
            return Err(NotationError::UnknownList { tag: tag.into(), list: list_name.into() });
        };
        match slots.iter().find(|slot| slot.name == name) {
            Some(slot) if slot.list != list => {
                let list = lists[slot.list].name.clone();
                return Err(NotationError::TwoLists { tag: tag.into(), slot: name.into(), list });
            }
            Some(_) => {}
            None => slots.push(Slot { name: name.to_string(), list }),
        }
    }
    Ok(())
}

/// Parses the text of one rule, by recursive descent.
struct RuleParser<'a> {
    rest: &'a str,
    rule: usize,
    rules: &'a [String],
    lists: &'a [List],
    slots: &'a [Slot],
}

impl<'a> RuleParser<'a> {
    /// Parses pieces up to a `|` or `]` that belongs to an enclosing choice, or to the end.
    fn pieces(&mut self, depth: usize) -> ParseResult<Vec<Piece>> {
        let mut pieces = Vec::new();
        while let Some(first) = self.rest.chars().next() {
            pieces.push(match first {
                '|' | ']' => break,
                '[' => self.choice(depth + 1)?,
                '{' => {
                    let tag = self.enclosed('}')?;
                    self.mention(tag)?
                }
                '<' => {
                    let name = self.enclosed('>')?;
                    let found = self.rules.iter().position(|rule| rule == name);
                    let further_down = found.filter(|&rule| rule > self.rule);
                    Piece::Rule(further_down.ok_or_else(|| NotationError::UnknownRule(name.into()))?)
                }
                _ => {
                    let end = self.rest.find(['|', ']', '[', '{', '<']).unwrap_or(self.rest.len());
                    let (text, rest) = self.rest.split_at(end);
                    self.rest = rest;
                    Piece::Text(text.to_string())
                }
            });
        }
        Ok(pieces)
    }

    /// Parses `[one|another]`. Spaces around an option are not part of it.
    fn choice(&mut self, depth: usize) -> ParseResult<Piece> {
        if depth > MAX_DEPTH {
            return Err(NotationError::TooDeep);
        }
        let mut options = Vec::new();
        loop {
            self.rest = self.rest[1..].trim_start(); // `[` or `|`
            let mut option = self.pieces(depth)?;
            if let Some(Piece::Text(text)) = option.last_mut() {
                text.truncate(text.trim_end().len());
            }
            options.push(option);
            match self.rest.chars().next() {
                Some('|') => {}
                Some(_) => break,
                None => return Err(NotationError::OpenChoice),
            }
        }
        self.rest = &self.rest[1..]; // `]`
        Ok(Piece::Choice(options))
    }

    /// Parses `{slot}`, `{a slot}` or `{slot.column}`, which have a `:list` if the slot is drawn here.
    fn mention(&self, tag: &str) -> ParseResult<Piece> {
        let (name, drawn) = tag.split_once(':').map_or((tag, false), |(name, _)| (name, true));
        let (article, name) = name.split_once(' ').map_or((None, name), |(article, name)| (Some(article), name));
        if article.is_some_and(|article| article != "a" && article != "A") {
            return Err(NotationError::Article(tag.into()));
        }
        let (name, column) = name.split_once('.').unwrap_or((name, ""));
        let Some(slot) = self.slots.iter().position(|slot| slot.name == name) else {
            return Err(NotationError::UndrawnSlot { tag: tag.into(), slot: name.into() });
        };
        let list = &self.lists[self.slots[slot].list];
        let Some(column_index) = list.columns.iter().position(|c| c.eq_ignore_ascii_case(column)) else {
            let (list, column) = (list.name.clone(), column.into());
            return Err(NotationError::UnknownColumn { tag: tag.into(), list, column });
        };
        let capital = article == Some("A") || column.starts_with(|c: char| c.is_ascii_uppercase());
        let mention = Mention { slot, column: column_index, article: article.is_some(), capital };
        Ok(if drawn { Piece::Draw(mention) } else { Piece::Mention(mention) })
    }

    /// Removes a bracket and returns the text up to `close`.
    fn enclosed(&mut self, close: char) -> ParseResult<&'a str> {
        let (inside, rest) = self.rest[1..].split_once(close).ok_or(NotationError::OpenBracket(close))?;
        self.rest = rest;
        Ok(inside)
    }
}
