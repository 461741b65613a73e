//! Prepared text: tokens in a file, from which a run reads only the windows that it needs.
//!
//! A directory has the tokens of the training text, the text for evaluation, and the tokenizer. Text is tokenized once for
//! several runs, and of several ranks each reads its share.
//!
//! Book: [data](../../../../book/data.html)

use super::note::Notes;
use super::settings::RunSettings;
use super::texts::{Texts, choose_tokenizer, encode, is_builtin};
use crate::checkpoint::{TOKENIZER, TensorFile, TensorToWrite, save_tokenizer, write_tensors};
use crate::data::read::{PREPARED, PREPARED_EVALUATION};
use crate::data::{Corpus, Ids, Stream};
use crate::error::{Error, Result};
use crate::files::{create_directory, write_atomically};
use crate::tokenizer::Tokenizer;
use ::safetensors::Dtype;
use serde_json::json;
use std::borrow::Cow;
use std::fs;
use std::path::Path;

/// The format that [`Prepared::save`] writes.
const VERSION: &str = "1";

/// Text that is ready to be trained on.
pub struct Prepared {
    /// The tokens to train on.
    pub stream: Stream,
    /// The documents to measure on.
    pub evaluation: Vec<String>,
    /// Whether these are built-in stories, of which the entropy floor is known.
    pub builtin: bool,
    /// The tokenizer.
    pub tokenizer: Tokenizer,
}

impl Prepared {
    /// Reads the text that the settings describe, and tokenizes it. Without a tokenizer, trains one with at most `vocab_size`
    /// tokens.
    ///
    /// # Errors
    /// If the text cannot be read or is empty.
    pub fn new(settings: &RunSettings, tokenizer: Option<Tokenizer>, vocab_size: usize, notes: Notes) -> Result<Self> {
        let Texts { training, evaluation } = Texts::read(settings, notes)?;
        let tokenizer = choose_tokenizer(tokenizer, &training, vocab_size)?;
        let stream = encode(&training, &tokenizer)?;
        let measured = if settings.eval_data.is_empty() { &settings.data } else { &settings.eval_data };
        Ok(Self { stream, evaluation, builtin: is_builtin(measured), tokenizer })
    }

    /// Writes the text into an empty or new directory. The file of tokens comes last, so a directory that has it is complete.
    ///
    /// # Errors
    /// If the directory has files already, or the system refuses to write.
    pub fn save(&self, directory: &Path) -> Result<()> {
        require_empty(directory)?;
        create_directory(directory)?;
        save_tokenizer(&self.tokenizer, directory, 131_072)?;
        let lines: String = self.evaluation.iter().map(|text| json!({ "text": text }).to_string() + "\n").collect();
        write_atomically(&directory.join(PREPARED_EVALUATION), lines.as_bytes())?;

        let (stream, length) = (&self.stream, self.stream.len());
        let dtype = if self.tokenizer.vocab_size() <= 1 << 16 { Dtype::U16 } else { Dtype::U32 };
        let ids = || -> Cow<[u8]> {
            let ids = stream.ids().read(0..length).into_iter();
            match dtype {
                Dtype::U16 => ids.flat_map(|id| (id as u16).to_le_bytes()).collect(),
                _ => ids.flat_map(u32::to_le_bytes).collect(),
            }
        };
        let index = || -> Cow<[u8]> {
            stream.beginnings().iter().flat_map(|&beginning| (beginning as u64).to_le_bytes()).collect()
        };
        let beginnings = stream.beginnings().len();
        let tensors = [
            ("ids".into(), TensorToWrite { dtype, shape: vec![length], bytes: Box::new(ids) }),
            ("beginnings".into(), TensorToWrite { dtype: Dtype::U64, shape: vec![beginnings], bytes: Box::new(index) }),
        ];
        let metadata = [
            ("ossia_tokens", VERSION.into()),
            ("checksum", format!("{:016x}", stream.checksum())),
            ("builtin", self.builtin.to_string()),
            ("tokenizer", tokenizer_checksum(&self.tokenizer)),
        ];
        write_tensors(&directory.join(PREPARED), tensors, &metadata)
    }

    /// Opens the prepared text that `data` names; `None` if it names something else. The tokens stay in their file.
    ///
    /// # Errors
    /// If the directory is damaged, or not the only path.
    pub fn find<P: AsRef<Path>>(data: &[P]) -> Result<Option<Self>> {
        let Some(directory) = data.iter().map(AsRef::as_ref).find(|path| path.join(PREPARED).exists()) else {
            return Ok(None);
        };
        match data.len() {
            1 => Self::open(directory).map(Some),
            _ => Err(Error::file(directory, "is prepared text, which cannot be combined with other --data")),
        }
    }

    /// Opens a directory of prepared text.
    fn open(directory: &Path) -> Result<Self> {
        let file = TensorFile::open_scattered(directory.join(PREPARED))?;
        let wrong = |message: &str| Error::file(file.path(), message);
        let about = |key: &str| file.metadata().get(key).map(String::as_str);
        match about("ossia_tokens") {
            Some(VERSION) => {}
            Some(version) => return Err(wrong(&format!("has format {version}; this program knows {VERSION}"))),
            None => return Err(wrong("does not come from ossia tokenizer prepare")),
        }
        let tokenizer = Tokenizer::load(directory.join(TOKENIZER))?;
        if about("tokenizer") != Some(&tokenizer_checksum(&tokenizer)) {
            return Err(wrong(&format!("was not made with the {TOKENIZER} beside it")));
        }
        let ids = file.entry("ids").and_then(|entry| match entry.dtype {
            Dtype::U16 => Some(Ids::U16(entry.bytes.clone())),
            Dtype::U32 => Some(Ids::U32(entry.bytes.clone())),
            _ => None,
        });
        let index = file.entry("beginnings").filter(|entry| entry.dtype == Dtype::U64);
        let beginnings = index.map(|entry| {
            entry.bytes.as_chunks().0.iter().map(|&at| usize::try_from(u64::from_le_bytes(at)).unwrap_or(usize::MAX))
        });
        let checksum = about("checksum").and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let end = tokenizer.end_of_text();
        let stream = ids.zip(beginnings).zip(checksum.zip(end));
        let stream = stream.and_then(|((ids, at), (sum, end))| Stream::from_file(ids, at.collect(), end, sum));
        let stream = stream.ok_or_else(|| wrong("its ids, its index and its tokenizer do not belong together"))?;
        let evaluation = directory.join(PREPARED_EVALUATION);
        let corpus = Corpus::read(&[&evaluation], "text")?;
        if let Some(skipped) = corpus.skipped.first() {
            return Err(Error::file(&evaluation, format!("line {}: {}", skipped.line, skipped.reason)));
        }
        Ok(Self { stream, evaluation: corpus.documents, builtin: about("builtin") == Some("true"), tokenizer })
    }

    /// Checks that the text was tokenized with this tokenizer.
    ///
    /// # Errors
    /// If it was another one.
    pub fn check_tokenizer(&self, tokenizer: &Tokenizer, data: &[impl AsRef<Path>]) -> Result<()> {
        if tokenizer_checksum(tokenizer) == tokenizer_checksum(&self.tokenizer) {
            return Ok(());
        }
        Err(Error::file(data.first().map_or(Path::new(""), AsRef::as_ref), "was prepared with another tokenizer"))
    }
}

/// Checks that a directory does not exist, or has nothing.
///
/// # Errors
/// If it has something.
pub fn require_empty(directory: &Path) -> Result<()> {
    match fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some()) {
        true => Err(Error::file(directory, "already holds something; choose another --out")),
        false => Ok(()),
    }
}

/// Returns a checksum of a tokenizer.
fn tokenizer_checksum(tokenizer: &Tokenizer) -> String {
    format!("{:08x}", crc32fast::hash(tokenizer.to_json().as_bytes()))
}
