//! Special tokens: ids that have a name instead of bytes, so that a text cannot contain them by accident.
//!
//! In a story `<|endoftext|>` is thirteen characters. It becomes the special id only if the caller asks for it, so that
//! text from outside can never end a document or open a message.

use super::vocabulary_error::VocabularyError;
use std::collections::HashMap;

/// The set of special tokens that [`encode_with_special`](super::Tokenizer::encode_with_special) recognises.
#[derive(Clone, Copy, Debug)]
pub enum Allowed<'a> {
    /// All special tokens of the tokenizer.
    All,
    /// Only the named ones. All others are plain text.
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
    /// The names and ids in order of id. Two names may share an id; the id is decoded to the first one.
    list: Vec<(String, u32)>,
    by_name: HashMap<String, u32>,
    by_id: HashMap<u32, usize>,
    /// The distinct lengths of the names in bytes, longest first.
    lengths: Vec<usize>,
    /// Whether any name starts with this byte.
    starts: Vec<bool>,
}

impl Specials {
    /// Makes a table of (name, id).
    pub fn new(mut list: Vec<(String, u32)>) -> Result<Self, VocabularyError> {
        list.sort_by_key(|&(_, id)| id); // stable: names of one id stay in the order given
        let mut table = Self { starts: vec![false; 256], ..Self::default() };
        for (at, (name, id)) in list.iter().enumerate() {
            let Some(first) = name.bytes().next() else {
                return Err(VocabularyError::EmptySpecial(*id));
            };
            if let Some(first) = table.by_name.insert(name.clone(), *id) {
                return Err(VocabularyError::DuplicateSpecial { name: name.clone(), first, second: *id });
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

    /// Returns (name, id) in order of id.
    pub fn list(&self) -> &[(String, u32)] {
        &self.list
    }

    /// Returns the id of a name.
    pub fn id(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    /// Returns the name of an id.
    pub fn name(&self, id: u32) -> Option<&str> {
        self.by_id.get(&id).map(|&at| self.list[at].0.as_str())
    }

    // ANCHOR: next
    /// Finds the first allowed special token in `text`, the longest one if several start there, and returns (start,
    /// end, id).
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
