//! The notation of `tales.txt` and `words.txt`: text in, tree out.
//!
//! It is explained at the top of those two files, and reads like the stories themselves. A recursive descent, one
//! function for each kind of bracket.

use super::grammar::{List, Mention, Piece, Rule, Slot};
use crate::error::{Error, Result};

/// How deep brackets may be nested.
const MAX_DEPTH: usize = 16;

/// The result of reading a part of a rule; the error does not know yet in which rule.
type Parsed<T> = std::result::Result<T, String>;

/// Reads the rules and the word lists; finds the slots.
pub(super) fn read(tales: &str, words: &str) -> Result<(Vec<Rule>, Vec<List>, Vec<Slot>)> {
    let lists = sections(words)?.into_iter().map(|(head, body)| list(&head, &body)).collect::<Result<Vec<_>>>()?;
    let tales = sections(tales)?;
    if tales.is_empty() {
        return Err(Error::argument("story grammar: found no rule, expected a line `== name` and text below it"));
    }
    let names: Vec<String> = tales.iter().map(|(name, _)| name.clone()).collect();
    let mut slots = Vec::new();
    for (name, body) in &tales {
        find_slots(body, &lists, &mut slots).map_err(|message| in_rule(name, &message))?;
    }
    let mut rules = Vec::new();
    for (index, (name, body)) in tales.iter().enumerate() {
        let body = paragraphs(body);
        let mut reader = Reader { rest: &body, rule: index, rules: &names, lists: &lists, slots: &slots };
        let pieces = reader.pieces(0).map_err(|message| in_rule(name, &message))?;
        if let Some(stray) = reader.rest.chars().next() {
            return Err(in_rule(name, &format!("found `{stray}` outside of brackets")));
        }
        rules.push(Rule { name: name.clone(), pieces });
    }
    Ok((rules, lists, slots))
}

fn in_rule(name: &str, message: &str) -> Error {
    Error::argument(format!("story grammar, rule `{name}`: {message}"))
}

/// Cuts a file at its `== ` lines: each head, and the lines below it. Lines that start with `#` are comments.
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

/// `name: column, column` and lines of `word, word: column, column`.
fn list(head: &str, body: &str) -> Result<List> {
    let parts = |text: &str| text.split(',').map(|part| part.trim().to_string()).collect::<Vec<_>>();
    let (name, columns) = head.split_once(':').map_or((head, Vec::new()), |(name, columns)| (name, parts(columns)));
    let wrong = |line: &str, what: &str| Error::argument(format!("story grammar, list `{name}`, {line:?}: {what}"));
    let mut lines = Vec::new();
    for line in body.lines().filter(|line| !line.trim().is_empty()) {
        let (words, rest) = line.split_once(':').map_or((line, Vec::new()), |(words, rest)| (words, parts(rest)));
        if rest.len() != columns.len() {
            return Err(wrong(line, &format!("found {} columns, expected {}", rest.len(), columns.len())));
        }
        for word in parts(words) {
            let line: Vec<String> = std::iter::once(word).chain(rest.iter().cloned()).collect();
            if line.iter().any(String::is_empty) {
                return Err(wrong(&line.join(", "), "found an empty word"));
            }
            lines.push(line);
        }
    }
    let columns = std::iter::once(String::new()).chain(columns).collect();
    Ok(List { name: name.to_string(), columns, lines })
}

/// Lines become one, runs of spaces one space; an empty line becomes the newline between two paragraphs.
fn paragraphs(body: &str) -> String {
    let body = body.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    body.split("\n\n").map(one_line).filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
}

/// Finds every `{slot:list}`. A slot always draws from the same list, wherever a story draws it.
fn find_slots(body: &str, lists: &[List], slots: &mut Vec<Slot>) -> Parsed<()> {
    for tag in body.split('{').skip(1).filter_map(|text| text.split('}').next()) {
        let Some((name, list_name)) = tag.split_once(':') else { continue };
        let name = name.split_once(' ').map_or(name, |(_article, name)| name);
        let Some(list) = lists.iter().position(|list| list.name == list_name) else {
            return Err(format!("`{{{tag}}}` draws from `{list_name}`, which is not a list"));
        };
        match slots.iter().find(|slot| slot.name == name) {
            Some(slot) if slot.list != list => {
                return Err(format!("`{{{tag}}}`: elsewhere `{name}` is drawn from `{}`", lists[slot.list].name));
            }
            Some(_) => {}
            None => slots.push(Slot { name: name.to_string(), list }),
        }
    }
    Ok(())
}

/// Turns the text of one rule into pieces, by recursive descent.
struct Reader<'a> {
    rest: &'a str,
    rule: usize,
    rules: &'a [String],
    lists: &'a [List],
    slots: &'a [Slot],
}

impl<'a> Reader<'a> {
    /// Pieces up to the `|` or `]` that belongs to someone else, or to the end.
    fn pieces(&mut self, depth: usize) -> Parsed<Vec<Piece>> {
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
                    Piece::Rule(further_down.ok_or_else(|| format!("`<{name}>` is not a rule further down"))?)
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

    /// `[one|another]`. Spaces around an option are not part of it.
    fn choice(&mut self, depth: usize) -> Parsed<Piece> {
        if depth > MAX_DEPTH {
            return Err(format!("found more than {MAX_DEPTH} nested brackets"));
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
                None => return Err("found `[` without `]`".to_string()),
            }
        }
        self.rest = &self.rest[1..]; // `]`
        Ok(Piece::Choice(options))
    }

    /// `{slot}`, `{a slot}`, `{slot.column}`, and with `:list` the first time.
    fn mention(&self, tag: &str) -> Parsed<Piece> {
        let (what, drawn) = tag.split_once(':').map_or((tag, false), |(what, _)| (what, true));
        let (article, what) = what.split_once(' ').map_or((None, what), |(article, what)| (Some(article), what));
        if article.is_some_and(|article| article != "a" && article != "A") {
            return Err(format!("`{{{tag}}}`: expected `a` or `A` before the space"));
        }
        let (name, column) = what.split_once('.').unwrap_or((what, ""));
        let Some(slot) = self.slots.iter().position(|slot| slot.name == name) else {
            return Err(format!("`{{{tag}}}`: no rule draws `{name}`"));
        };
        let list = &self.lists[self.slots[slot].list];
        let Some(column_index) = list.columns.iter().position(|c| c.eq_ignore_ascii_case(column)) else {
            return Err(format!("`{{{tag}}}`: the list `{}` has no column `{column}`", list.name));
        };
        let capital = article == Some("A") || column.starts_with(|c: char| c.is_ascii_uppercase());
        let mention = Mention { slot, column: column_index, article: article.is_some(), capital };
        Ok(if drawn { Piece::Draw(mention) } else { Piece::Mention(mention) })
    }

    /// What stands between the bracket that `rest` begins with and `close`.
    fn enclosed(&mut self, close: char) -> Parsed<&'a str> {
        let (inside, rest) = self.rest[1..].split_once(close).ok_or_else(|| format!("found no closing `{close}`"))?;
        self.rest = rest;
        Ok(inside)
    }
}
