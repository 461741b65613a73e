//! `tokenizer.json`: the tokenizer file of Hugging Face, read and written with the same ids.
//!
//! The format can describe many tokenizers (<https://github.com/huggingface/tokenizers>). This module reads the kind
//! that this crate implements, that of o200k: no normalizer, the pieces of [`PATTERN`], byte-level BPE. It refuses any
//! other file and names the field that differs, because a file that is read with other rules would give other ids
//! without an error.
//!
//! Bytes are written as characters. The 188 bytes that are printable in Latin-1 are written as themselves, the 68
//! others as U+0100 to U+0143 in their order, so that a space is `Ġ` (Radford et al. 2019, `bytes_to_unicode` in
//! GPT-2's `encoder.py`).

use std::collections::HashSet;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::bpe::{Bpe, Merge};
use super::field_error::{Checked, FieldError};
use super::hash::FastMap;
use super::specials::Specials;
use super::template;
use super::{END_OF_TEXT, PATTERN, Tokenizer, by_id};
use crate::error::{Error, Result};
use crate::files::read_text;

impl Tokenizer {
    /// Opens a tokenizer: `o200k_harmony` by its name (with the feature `o200k`), a `tokenizer.json`, or a directory that has
    /// one.
    ///
    /// # Errors
    /// Those of [`load`](Self::load).
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        #[cfg(feature = "o200k")]
        if path == Path::new("o200k_harmony") {
            return Ok(super::o200k_harmony().clone());
        }
        if path.is_dir() { Self::load(path.join("tokenizer.json")) } else { Self::load(path) }
    }

    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// If the file cannot be read, or is not a byte-level BPE tokenizer with the pieces of o200k.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let text = read_text(path.as_ref())?;
        Self::from_json(&text, path)
    }

    /// Parses the text of a `tokenizer.json`. `path` is only used in messages.
    ///
    /// # Errors
    /// If the text is not JSON, or not a byte-level BPE tokenizer with the pieces of o200k.
    pub fn from_json(text: &str, path: impl AsRef<Path>) -> Result<Self> {
        let file: Value = serde_json::from_str(text).map_err(|error| {
            Error::file(&path, format!("not JSON: {error}; is the file complete?")).caused_by(error)
        })?;
        read(&file).map_err(|error| Error::invalid(&path, error))
    }

    /// Returns the text of a `tokenizer.json`. If two special tokens share an id, it contains the first one.
    ///
    /// Hugging Face assigns the ids of special tokens itself, without gaps, from the end of the vocabulary on. A
    /// trained tokenizer has no gaps. If a tokenizer has gaps, its ids are kept here, but Hugging Face keeps them only
    /// if all the ids in the gaps have names.
    pub fn to_json(&self) -> String {
        let added: Vec<Value> = first_of_each_id(self.specials()).map(added_token).collect();
        let file = json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": added,
            "normalizer": null,
            "pre_tokenizer": {
                "type": "Sequence",
                "pretokenizers": [
                    { "type": "Split", "pattern": { "Regex": PATTERN }, "behavior": "Isolated", "invert": false },
                    byte_level(),
                ],
            },
            "post_processor": self.start_token().map(template::render),
            "decoder": byte_level(),
            "model": model(&self.bpe),
        });
        format!("{file:#}\n")
    }

    /// Returns the text of a `tokenizer_config.json`, which `AutoTokenizer.from_pretrained(directory)` needs beside the
    /// `tokenizer.json`. `max_length` is the longest context of the model, in tokens.
    pub fn tokenizer_config_json(&self, max_length: usize) -> String {
        let mut config = json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": max_length,
            "clean_up_tokenization_spaces": false,
        });
        if let Some((name, _)) = self.start_token() {
            config["bos_token"] = name.into();
            config["add_bos_token"] = true.into();
        }
        if self.end_of_text().is_some() {
            config["eos_token"] = END_OF_TEXT.into();
            config["pad_token"] = END_OF_TEXT.into();
        }
        format!("{config:#}\n")
    }
}

fn first_of_each_id(specials: &[(String, u32)]) -> impl Iterator<Item = &(String, u32)> {
    let mut seen = HashSet::new();
    specials.iter().filter(move |(_, id)| seen.insert(*id))
}

fn added_token((name, id): &(String, u32)) -> Value {
    json!({
        "id": id, "content": name, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
        "special": true,
    })
}

/// As a pre-tokenizer, it converts bytes to characters; as a decoder, it converts them back.
fn byte_level() -> Value {
    json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false })
}

fn model(bpe: &Bpe) -> Value {
    let chars = byte_chars();
    let spelled = |bytes: &[u8]| -> String { bytes.iter().map(|&byte| chars[usize::from(byte)]).collect() };
    let token = |id: u32| spelled(&bpe.tokens()[id as usize]);
    let present = bpe.tokens().iter().zip(0u32..).filter(|(bytes, _)| !bytes.is_empty());
    let vocab: Map<String, Value> = present.map(|(bytes, id)| (spelled(bytes), id.into())).collect();
    let merges: Vec<Value> = bpe.merges().iter().map(|merge| json!([token(merge.left), token(merge.right)])).collect();
    json!({
        "type": "BPE",
        "dropout": null,
        "unk_token": null,
        "continuing_subword_prefix": null,
        "end_of_word_suffix": null,
        "fuse_unk": false,
        "byte_fallback": false,
        "ignore_merges": bpe.ignore_merges(),
        "vocab": vocab,
        "merges": merges,
    })
}

// ANCHOR: byte_chars
/// Returns the character that each byte is written as.
fn byte_chars() -> [char; 256] {
    let mut others = '\u{100}'..;
    std::array::from_fn(|byte| match byte as u8 {
        printable @ (b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff) => char::from(printable),
        _ => others.next().unwrap_or(char::REPLACEMENT_CHARACTER),
    })
}
// ANCHOR_END: byte_chars

fn read(file: &Value) -> Checked<Tokenizer> {
    check_pipeline(file)?;
    let specials = read_added_tokens(&file["added_tokens"])?;
    let ids = read_vocab(&file["model"]["vocab"], &specials)?;
    let merges = read_merges(&file["model"]["merges"], &ids)?;
    let ignore_merges = match &file["model"]["ignore_merges"] {
        Value::Null => false,
        Value::Bool(ignore) => *ignore,
        other => return Err(FieldError::unexpected("model.ignore_merges", other, "true or false")),
    };
    let tokens = by_id(spelled_out(&ids)?).map_err(FieldError::vocabulary("model.vocab"))?;
    let bpe = Bpe::new(tokens, &merges, ignore_merges).map_err(FieldError::vocabulary("model"))?;
    let start = template::parse(&file["post_processor"], &specials)?;
    let tokenizer = Tokenizer::from_parts(bpe, specials).map_err(FieldError::vocabulary("added_tokens"))?;
    Ok(tokenizer.with_start(start))
}

/// Refuses every setting that would change the ids of the same vocabulary.
fn check_pipeline(file: &Value) -> Checked<()> {
    if !file.is_object() {
        return Err(FieldError::unexpected("the file", file, "the object of a tokenizer.json"));
    }
    let nothing = || vec![Value::Null];
    let affix = || vec![Value::Null, json!("")];
    let required = [
        ("model.type", vec![json!("BPE")]),
        ("model.dropout", vec![Value::Null, json!(0.0)]),
        ("model.continuing_subword_prefix", affix()),
        ("model.end_of_word_suffix", affix()),
        ("normalizer", nothing()),
        ("pre_tokenizer.type", vec![json!("Sequence")]),
        ("pre_tokenizer.pretokenizers.0.type", vec![json!("Split")]),
        ("pre_tokenizer.pretokenizers.0.pattern.Regex", vec![json!(PATTERN)]),
        ("pre_tokenizer.pretokenizers.0.behavior", vec![json!("Isolated")]),
        ("pre_tokenizer.pretokenizers.0.invert", vec![json!(false)]),
        ("pre_tokenizer.pretokenizers.1.type", vec![json!("ByteLevel")]),
        ("pre_tokenizer.pretokenizers.1.add_prefix_space", vec![json!(false)]),
        ("pre_tokenizer.pretokenizers.1.use_regex", vec![json!(false)]),
        ("pre_tokenizer.pretokenizers.2", nothing()),
        ("decoder.type", vec![json!("ByteLevel")]),
    ];
    for (field, allowed) in required {
        let found = file.pointer(&format!("/{}", field.replace('.', "/"))).unwrap_or(&Value::Null);
        if !allowed.contains(found) {
            let expected = if allowed[0].is_null() { "null".to_owned() } else { allowed[0].to_string() };
            return Err(FieldError::unexpected(
                field,
                found,
                format!("{expected} (only o200k's byte-level BPE is supported)"),
            ));
        }
    }
    Ok(())
}

fn read_added_tokens(list: &Value) -> Checked<Vec<(String, u32)>> {
    let list = match list {
        Value::Null => &[][..],
        list => list.as_array().ok_or_else(|| FieldError::unexpected("added_tokens", list, "a list"))?,
    };
    let mut ids = HashSet::new();
    let mut specials = Vec::new();
    for (at, token) in list.iter().enumerate() {
        let field = |name: &str| format!("added_tokens.{at}.{name}");
        let name = token["content"]
            .as_str()
            .ok_or_else(|| FieldError::unexpected(field("content"), &token["content"], "a string"))?;
        let id = read_id(&field("id"), &token["id"])?;
        for (flag, expected) in [("special", true), ("single_word", false), ("lstrip", false), ("rstrip", false)] {
            let found = &token[flag];
            if found.as_bool().unwrap_or(false) != expected {
                return Err(FieldError::unexpected(field(flag), found, expected.to_string()));
            }
        }
        if !ids.insert(id) {
            return Err(FieldError::unexpected(field("id"), &token["id"], "an id that no other added token has"));
        }
        specials.push((name.to_owned(), id));
    }
    Ok(specials)
}

fn read_id(field: &str, value: &Value) -> Checked<u32> {
    let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
    id.ok_or_else(|| FieldError::unexpected(field, value, "an id"))
}

/// Returns the id of each token, spelled in characters. Special tokens that the vocabulary lists as well are left out.
fn read_vocab<'a>(vocab: &'a Value, specials: &[(String, u32)]) -> Checked<FastMap<&'a str, u32>> {
    let vocab = vocab.as_object().ok_or_else(|| FieldError::unexpected("model.vocab", vocab, "an object"))?;
    let specials = Specials::new(specials.to_vec()).map_err(FieldError::vocabulary("added_tokens"))?;
    let mut ids = FastMap::default();
    for (token, value) in vocab {
        let field = format!("model.vocab.{token:?}");
        let id = read_id(&field, value)?;
        match specials.id(token) {
            None => _ = ids.insert(token.as_str(), id),
            Some(same) if same == id => {}
            Some(other) => {
                return Err(FieldError::unexpected(field, value, format!("{other}, its id in added_tokens")));
            }
        }
    }
    Ok(ids)
}

/// Converts the tokens from characters to bytes.
fn spelled_out(ids: &FastMap<&str, u32>) -> Checked<Vec<(Box<[u8]>, u32)>> {
    let bytes: FastMap<char, u8> = byte_chars().into_iter().zip(0..=255).collect();
    let spell = |(&token, &id): (&&str, &u32)| {
        let spelled: Checked<Box<[u8]>> = token
            .chars()
            .map(|c| {
                let byte = bytes.get(&c).copied();
                byte.ok_or_else(|| FieldError::NotAByte { token: token.to_owned(), found: c })
            })
            .collect();
        spelled.map(|bytes| (bytes, id))
    };
    let mut tokens = ids.iter().map(spell).collect::<Checked<Vec<_>>>()?;
    tokens.sort_unstable_by_key(|&(_, id)| id); // so that messages do not depend on the hash
    Ok(tokens)
}

fn read_merges(list: &Value, ids: &FastMap<&str, u32>) -> Checked<Vec<Merge>> {
    let list = list.as_array().ok_or_else(|| FieldError::unexpected("model.merges", list, "a list"))?;
    let mut merges = Vec::with_capacity(list.len());
    let mut joined = String::new();
    for (line, rank) in list.iter().zip(0..) {
        let field = || format!("model.merges.{rank}");
        let (left, right) = merge_parts(line)
            .ok_or_else(|| FieldError::unexpected(field(), line, "two tokens, as [\"a\", \"b\"] or \"a b\""))?;
        joined.clear();
        joined.extend([left, right]);
        let id = |token: &str| {
            ids.get(token)
                .copied()
                .ok_or_else(|| FieldError::unexpected(field(), line, format!("{token:?} to be in model.vocab")))
        };
        merges.push(Merge { left: id(left)?, right: id(right)?, id: id(&joined)?, rank });
    }
    Ok(merges)
}

/// Returns the two tokens of a merge, in either format.
fn merge_parts(line: &Value) -> Option<(&str, &str)> {
    match line {
        Value::String(line) => line.split_once(' ').filter(|(_, right)| !right.contains(' ')),
        Value::Array(pair) => match pair.as_slice() {
            [left, right] => Some((left.as_str()?, right.as_str()?)),
            _ => None,
        },
        _ => None,
    }
}
