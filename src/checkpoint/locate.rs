//! Finding a model: the directory that an argument means, or what to do if it means none.

use crate::error::{Error, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The name of the file with the configuration.
pub const CONFIG: &str = "config.json";
/// The name of the file with the weights, if there is only one.
pub const WEIGHTS: &str = "model.safetensors";
/// The name of the file with the module for multi-token prediction. It stands beside the weights, because transformers knows no such
/// module and would refuse its tensors among the others.
pub(super) const MTP_WEIGHTS: &str = "mtp.safetensors";
/// The weights of a LoRA adapter, which has no model of its own.
pub(super) const ADAPTER: &str = "adapter_model.safetensors";

/// Returns the directory of a model: the one at `path`, or the snapshot in it if it is a directory of the cache of Hugging
/// Face (`models--openai--gpt-oss-20b`, with `snapshots/`).
///
/// # Errors
/// If there is no model. The message says what was found instead, and what to do.
pub fn locate(path: &Path) -> Result<PathBuf> {
    if path.join(CONFIG).exists() {
        return Ok(path.to_path_buf());
    }
    if path.is_dir() {
        return match snapshot(path) {
            Some(snapshot) => Ok(snapshot),
            None => Err(Error::file(path, instead_of_a_model(path))),
        };
    }
    if path.is_file() {
        return Err(Error::file(path, instead_of_a_directory(path)));
    }
    let name = path.to_string_lossy();
    let advice = match is_hub_name(&name) {
        true => format!(
            "; download the model with: hf download {name} --exclude \"*/*\" --local-dir {}",
            path.file_name().unwrap_or_default().to_string_lossy()
        ),
        false => "; expected a MODEL: config.json and model.safetensors".into(),
    };
    Err(Error::file(path, format!("no such directory{advice}")))
}

/// Returns the snapshot that `refs/main` names, or the only one.
fn snapshot(path: &Path) -> Option<PathBuf> {
    let snapshots = path.join("snapshots");
    let main = fs::read_to_string(path.join("refs/main")).ok().map(|revision| snapshots.join(revision.trim()));
    let mut all = fs::read_dir(&snapshots).ok()?.flatten().map(|entry| entry.path());
    let (first, second) = (all.next(), all.next());
    let only = first.filter(|_| second.is_none());
    main.into_iter().chain(only).find(|path| path.join(CONFIG).exists())
}

/// Describes a directory that has no `config.json`.
fn instead_of_a_model(path: &Path) -> String {
    if path.join(ADAPTER).exists() {
        return adapter_message(ADAPTER);
    }
    let entries = || fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    if let Some(below) = entries().find(|path| path.join(CONFIG).exists()) {
        return format!("has no {CONFIG}; did you mean {}?", below.display());
    }
    let has = |extension: &str| entries().any(|path| path.extension().is_some_and(|found| found == extension));
    match (has("gguf"), has("bin") || has("pt") || has("pth")) {
        (true, _) => format!("has no {CONFIG}, but a GGUF file; {GGUF}"),
        (_, true) => {
            format!("has no {CONFIG}, but a file of PyTorch; save the model with save_pretrained as safetensors")
        }
        _ => format!("has no {CONFIG}; expected a MODEL: {CONFIG} and {WEIGHTS}"),
    }
}

const GGUF: &str = "ossia reads safetensors, as Hugging Face stores the model";

/// Describes a file that was given instead of a directory.
fn instead_of_a_directory(path: &Path) -> String {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match extension.as_deref() {
        Some("gguf") => format!("is a GGUF file of llama.cpp; {GGUF}"),
        Some("zip" | "gz" | "tar" | "tgz" | "zst") => "is an archive; unpack it first".into(),
        _ if parent.join(CONFIG).exists() => format!("is a file; the MODEL is its directory: {}", parent.display()),
        _ => format!("is a file; expected the directory of a MODEL: {CONFIG} and {WEIGHTS}"),
    }
}

/// The advice for a LoRA adapter.
pub(super) fn adapter_message(found: &str) -> String {
    format!("{found} belongs to a LoRA adapter; name its base model, and the adapter with --adapter (or ossia merge)")
}

/// Returns whether a name has the form of a model on the hub, such as `openai/gpt-oss-20b`.
fn is_hub_name(name: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    name.split_once('/').is_some_and(|(owner, model)| plain(owner) && plain(model))
}
