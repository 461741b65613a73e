//! `--precision`, `--dense`, `--kv-cache` and `--adapter`, for every command that runs a model.

use crate::checkpoint::{self, Arithmetic};
use crate::error::Result;
use crate::model::Transformer;
use crate::ops::attention::KvFormat;
use crate::stored::Precision;
use crate::tokenizer::Tokenizer;
use clap::ValueEnum;
use std::path::{Path, PathBuf};

/// The arguments that select the arithmetic of a model.
#[derive(clap::Args, Clone)]
#[command(next_help_heading = "Arithmetic")]
pub struct ArithmeticArguments {
    /// Precision of a layer's input in products with MXFP4 or int8 weights: `exact` f32, or `fast` blocks of int8
    #[arg(long, default_value = "exact", value_name = "exact|fast")]
    precision: PrecisionArgument,
    /// Format of dense weights (attention, output projection) in memory: `stored` as in the file, or `int8`
    #[arg(long, default_value = "stored", value_name = "stored|int8")]
    dense: DenseArgument,
    /// Format of keys and values, which take memory for each token: `f32`, `bf16` (half), or `int8` (about a quarter)
    #[arg(long, default_value = "f32", value_name = "f32|bf16|int8")]
    kv_cache: KvArgument,
    /// A LoRA adapter of the model, of ossia train --lora or of PEFT
    #[arg(long, value_name = "DIR", help_heading = "Model")]
    pub adapter: Option<PathBuf>,
}

#[derive(ValueEnum, Clone, Copy)]
enum KvArgument {
    F32,
    Bf16,
    Int8,
}

#[derive(ValueEnum, Clone, Copy)]
enum PrecisionArgument {
    Exact,
    Fast,
}

#[derive(ValueEnum, Clone, Copy, PartialEq)]
enum DenseArgument {
    Stored,
    Int8,
}

impl ArithmeticArguments {
    /// Opens a model, with its tokenizer and the adapter.
    ///
    /// # Errors
    /// If the model cannot be opened, or the adapter belongs to another one.
    pub fn open(&self, model: &Path) -> Result<(Transformer, Tokenizer)> {
        let (mut model, tokenizer) = checkpoint::open_with(model, self.arithmetic())?;
        self.attach(&mut model)?;
        Ok((model, tokenizer))
    }

    /// Attaches the adapter, if there is one.
    ///
    /// # Errors
    /// If the adapter belongs to another model.
    pub fn attach(&self, model: &mut Transformer) -> Result<()> {
        self.adapter.as_deref().map_or(Ok(()), |adapter| checkpoint::load_adapter(model, adapter))
    }

    /// Returns the arithmetic that the arguments select.
    pub fn arithmetic(&self) -> Arithmetic {
        Arithmetic {
            precision: match self.precision {
                PrecisionArgument::Exact => Precision::Exact,
                PrecisionArgument::Fast => Precision::Fast,
            },
            dense_int8: self.dense == DenseArgument::Int8,
            kv_format: match self.kv_cache {
                KvArgument::F32 => KvFormat::F32,
                KvArgument::Bf16 => KvFormat::Bf16,
                KvArgument::Int8 => KvFormat::Int8,
            },
        }
    }
}
