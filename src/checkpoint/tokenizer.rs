//! The tokenizer in a model directory.

use super::load::{Arithmetic, load_from_memory, load_with};
use super::locate::locate;
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::model::Transformer;
use crate::stored::Bytes;
use crate::tokenizer::Tokenizer;
use std::path::Path;

/// The file with the vocabulary and the merges.
pub const TOKENIZER: &str = "tokenizer.json";
/// The file that tells transformers how to open them.
pub const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
/// The template with which transformers renders conversations. Only chat models have it.
pub const CHAT_TEMPLATE: &str = "chat_template.jinja";
/// The system message that a chat model was trained with, if that is not the one of gpt-oss.
pub const SYSTEM: &str = "system.json";

/// Opens a model directory to be run, with its tokenizer. Weights stay in their files.
///
/// # Errors
/// One line that names the file, and the key or tensor, that is missing, malformed or contradicts the configuration; and
/// if the tokenizer has more tokens than the model has rows.
pub fn open(directory: impl AsRef<Path>) -> Result<(Transformer, Tokenizer)> {
    open_with(directory, Arithmetic::default())
}

/// Like [`open`], for a model that computes in another arithmetic.
///
/// # Errors
/// Those of [`open`]; and if a weight that is to be rounded has rows that are not whole blocks of 32.
pub fn open_with(directory: impl AsRef<Path>, arithmetic: Arithmetic) -> Result<(Transformer, Tokenizer)> {
    let directory = locate(directory.as_ref())?;
    let model = load_with(&directory, arithmetic)?;
    let path = directory.join(TOKENIZER);
    let tokenizer = tokenizer_of(&model, &path)?;
    check_rows(&model, &tokenizer, &path)?;
    Ok((model, tokenizer))
}

// ANCHOR: memory
/// Opens a model whose files are in memory, as in a program without a file system: the texts of `config.json` and
/// `tokenizer.json`, and the bytes of `model.safetensors`. Weights are not copied.
///
/// # Errors
/// Those of [`open`].
pub fn open_from_memory(config: &str, tokenizer: &str, weights: Bytes) -> Result<(Transformer, Tokenizer)> {
    let model = load_from_memory(config, weights)?;
    let tokenizer = Tokenizer::from_json(tokenizer, TOKENIZER)?;
    check_rows(&model, &tokenizer, Path::new(TOKENIZER))?;
    Ok((model, tokenizer))
}
// ANCHOR_END: memory

/// Checks that a model has a row for each token of its tokenizer, which was read from `path`.
fn check_rows(model: &Transformer, tokenizer: &Tokenizer, path: &Path) -> Result<()> {
    let (found, rows) = (tokenizer.vocab_size(), model.config.vocab_size);
    if found > rows {
        return Err(Error::file(path, format!("has ids up to {}; config.json's vocab_size is {rows}", found - 1)));
    }
    Ok(())
}

/// Returns the tokenizer beside a model. OpenAI's own layout has none: it is the one of gpt-oss, which the binary contains.
fn tokenizer_of(model: &Transformer, path: &Path) -> Result<Tokenizer> {
    #[cfg(feature = "o200k")]
    if !path.exists() && model.config.vocab_size == crate::tokenizer::o200k_harmony::VOCAB as usize {
        return Ok(crate::tokenizer::o200k_harmony().clone());
    }
    _ = model;
    Tokenizer::load(path)
}

/// Writes `tokenizer.json` and `tokenizer_config.json`, each atomically. `context` is the longest text of the model.
///
/// # Errors
/// Those of the operating system.
pub fn save_tokenizer(tokenizer: &Tokenizer, directory: &Path, context: usize) -> Result<()> {
    write_atomically(&directory.join(TOKENIZER), tokenizer.to_json().as_bytes())?;
    write_atomically(&directory.join(TOKENIZER_CONFIG), tokenizer.tokenizer_config_json(context).as_bytes())
}

/// Copies the files of the tokenizer, the chat template and the system message, as far as there are any, from one model
/// directory to another.
///
/// # Errors
/// Those of the operating system.
pub fn copy_tokenizer(from: &Path, to: &Path) -> Result<()> {
    for name in [TOKENIZER, TOKENIZER_CONFIG, CHAT_TEMPLATE, SYSTEM] {
        let source = from.join(name);
        if source.exists() {
            let content = std::fs::read(&source).map_err(|e| Error::io(&source, "read", e))?;
            write_atomically(&to.join(name), &content)?;
        }
    }
    Ok(())
}
