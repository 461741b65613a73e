//! `--draft`, for every command that generates text.

use crate::checkpoint;
use crate::error::{Error, Result};
use crate::generate::{DraftModel, Drafter, MtpDrafter, Statistics};
use crate::model::Transformer;
use crate::tokenizer::Tokenizer;
use std::path::{Path, PathBuf};

/// The name of the model's own module as a drafter.
const MTP: &str = "mtp";

/// The arguments that select a drafter.
#[derive(clap::Args, Clone)]
#[command(next_help_heading = "Drafts")]
pub struct DraftArguments {
    /// Speculative decoding: this draft model, which has the same tokenizer, proposes tokens, and the model checks several of them at
    /// once. `mtp`: the model's own multi-token prediction proposes them. The text has the same distribution as without drafts; at
    /// temperature 0, it is the same text
    #[arg(long, value_name = "MODEL|mtp")]
    pub draft: Option<PathBuf>,
    /// The most tokens that are drafted at once [default: 3, or 1 with mtp]
    #[arg(long, value_name = "K", requires = "draft", value_parser = clap::value_parser!(u8).range(1..=16))]
    draft_tokens: Option<u8>,
}

impl DraftArguments {
    /// Returns how many tokens are drafted at once.
    pub fn most(&self) -> usize {
        let usual = if self.draft.as_deref() == Some(Path::new(MTP)) { 1 } else { 3 };
        self.draft_tokens.unwrap_or(usual).into()
    }

    /// Opens the drafter, if there is one.
    ///
    /// # Errors
    /// If the draft model cannot be opened, has another tokenizer, or the model has no multi-token prediction.
    pub fn open(&self, model: &Transformer, tokenizer: &Tokenizer) -> Result<Option<Box<dyn Drafter>>> {
        let Some(path) = self.draft.as_deref() else { return Ok(None) };
        if path == Path::new(MTP) {
            return Ok(Some(Box::new(
                MtpDrafter::new(model).map_err(|e| Error::argument(format!("--draft mtp: {e}")))?,
            )));
        }
        let (draft, its) = checkpoint::open(path)?;
        let drafter = DraftModel::new((&draft, &its), (model, tokenizer), self.most());
        Ok(Some(Box::new(drafter.map_err(|e| Error::invalid(path, e))?)))
    }
}

/// Says how well drafts did: `2.1 tokens per pass, 70 of 190 drafts accepted`.
pub fn told(statistics: &Statistics) -> String {
    let Statistics { drafted, accepted, .. } = statistics;
    format!("{:.2} tokens per pass, {accepted} of {drafted} drafts accepted", statistics.tokens_per_pass())
}
