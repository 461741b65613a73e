//! `--precision` and `--dense`, of every command that runs a model.

use crate::checkpoint::Arithmetic;
use crate::stored::Precision;
use clap::ValueEnum;

/// How products are computed; `ossia eval` measures what another choice costs.
#[derive(clap::Args, Clone, Copy)]
pub struct ArithmeticArguments {
    /// What a layer's input becomes where its weights are MXFP4 or int8: `exact` f32, or `fast` blocks of int8
    #[arg(long, default_value = "exact", value_name = "exact|fast")]
    precision: PrecisionArgument,
    /// What dense weights (attention, output projection) become when they are loaded: `stored` as they are, or `int8`
    #[arg(long, default_value = "stored", value_name = "stored|int8")]
    dense: DenseArgument,
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
    /// The arithmetic that is meant.
    pub fn arithmetic(self) -> Arithmetic {
        Arithmetic {
            precision: match self.precision {
                PrecisionArgument::Exact => Precision::Exact,
                PrecisionArgument::Fast => Precision::Fast,
            },
            dense_int8: self.dense == DenseArgument::Int8,
        }
    }
}
