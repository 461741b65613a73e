//! `--precision`, `--dense` and `--kv-cache`, for every command that runs a model.

use crate::checkpoint::Arithmetic;
use crate::ops::attention::KvFormat;
use crate::stored::Precision;
use clap::ValueEnum;

/// The arguments that select the arithmetic of a model.
#[derive(clap::Args, Clone, Copy)]
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
    /// Returns the arithmetic that the arguments select.
    pub fn arithmetic(self) -> Arithmetic {
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
