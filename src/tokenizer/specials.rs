//! Special tokens: ids with a name instead of bytes that a text could spell by accident.
//!
//! `<|endoftext|>` in a story is thirteen characters. Only a caller that says so gets the one id, so that text from
//! outside can never end a document or open a message.

use std::collections::HashMap;

/// Which special tokens [`encode_with_special`](super::Tokenizer::encode_with_special) recognises.
#[derive(Clone, Copy, Debug)]
pub enum Allowed<'a> {
    /// Every special token of the tokenizer.
    All,
    /// The named ones; the others are text.
    Only(&'a [&'a str]),
}

impl Allowed<'_> {
    fn contains(self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(&name),
        }
    }
}

/// The special tokens of a tokenizer.
#[derive(Clone, Debug, Default)]
pub(super) struct Specials {
    /// In order of id. Two names may share an id; the first is the one that it decodes to.
    list: Vec<(String, u32)>,
    by_name: HashMap<String, u32>,
    by_id: HashMap<u32, usize>,
    /// The distinct lengths of the names in bytes, longest first.
    lengths: Vec<usize>,
    /// Whether a name starts with this byte.
    starts: Vec<bool>,
}

impl Specials {
    /// A table of (name, id). The message of an error is one line.
    pub fn new(mut list: Vec<(String, u32)>) -> Result<Self, String> {
        list.sort_by_key(|&(_, id)| id); // stable: names of one id stay in the order given
        let mut table = Self { starts: vec![false; 256], ..Self::default() };
        for (at, (name, id)) in list.iter().enumerate() {
            let Some(first) = name.bytes().next() else {
                return Err(format!("the special token with id {id} is empty, expected a name"));
            };
            if let Some(other) = table.by_name.insert(name.clone(), *id) {
                return Err(format!(
                    "the special token {name:?} is listed twice (ids {other} and {id}), expected once"
                ));
            }
            table.starts[usize::from(first)] = true;
            table.by_id.entry(*id).or_insert(at);
            table.lengths.push(name.len());
        }
        table.lengths.sort_unstable_by_key(|&length| std::cmp::Reverse(length));
        table.lengths.dedup();
        table.list = list;
        Ok(table)
    }

    /// (name, id) in order of id.
    pub fn list(&self) -> &[(String, u32)] {
        &self.list
    }

    pub fn id(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    pub fn name(&self, id: u32) -> Option<&str> {
        self.by_id.get(&id).map(|&at| self.list[at].0.as_str())
    }

    // ANCHOR: next
    /// The first allowed special token in `text`, the longest if several start there: (start, end, id).
    pub fn next(&self, text: &str, allowed: Allowed<'_>) -> Option<(usize, usize, u32)> {
        let starts = text.bytes().enumerate().filter(|&(_, byte)| self.starts.get(usize::from(byte)) == Some(&true));
        starts.map(|(start, _)| start).find_map(|start| {
            self.lengths.iter().find_map(|length| {
                let name = text.get(start..start + length)?;
                let id = self.id(name)?;
                allowed.contains(name).then_some((start, start + length, id))
            })
        })
    }
    // ANCHOR_END: next
}
