//! Draws the figures of the book, each from numbers that the engine computes here.
//!
//! cargo run --release --example figures [-- DIR [NAME…]]    (DIR: where to, else book/src/pictures; NAME: these alone)
//!
//! A figure is a function that gets a [`Paper`] and the [`Storyteller`], a model that is trained in about a minute if a
//! figure asks for it.

mod paper;
mod storyteller;

mod adamw;
mod data;
mod effort;
mod embedding;
mod grad_check;
mod harmony;
mod loss;
mod mxfp4;
mod normalisation;
mod structured_output;
mod tensor;
mod tokens;
mod tools;
mod training;
mod weights;

use paper::{Drawing, Paper};
use std::cell::LazyCell;
use std::error::Error;
use std::path::{Path, PathBuf};
use storyteller::{Lazy, Storyteller};

/// What draws a figure.
type Figure = fn(Paper, &Lazy) -> Drawing;

/// All figures, by the name of their file.
const FIGURES: &[(&str, Figure)] = &[
    ("tensor", tensor::graph),
    ("grad-check", grad_check::steps),
    ("tokens", tokens::merges),
    ("embedding", embedding::cosines),
    ("rms-norm", normalisation::residual_stream),
    ("loss", loss::by_token),
    ("adamw", adamw::paces),
    ("data", data::probabilities),
    ("windows", data::windows),
    ("training", training::curve),
    ("mxfp4", mxfp4::number_line),
    ("weights", weights::bytes),
    ("harmony", harmony::tokens),
    ("effort", effort::lengths),
    ("structured-output", structured_output::masks),
    ("tools", tools::exchange),
];

fn main() -> Result<(), Box<dyn Error>> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("book/src/pictures");
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().map_or(default, PathBuf::from);
    let only: Vec<String> = arguments.collect();
    std::fs::create_dir_all(&directory)?;
    let storyteller: Lazy = LazyCell::new(|| Storyteller::trained().expect("nothing of it comes from outside"));
    for (name, figure) in FIGURES.iter().filter(|(name, _)| only.is_empty() || only.iter().any(|n| n == name)) {
        let mut svg = String::new();
        figure(Paper::new(&mut svg), &storyteller)?;
        let path = directory.join(format!("{name}.svg"));
        std::fs::write(&path, paper::on_the_page(name, &svg))?;
        println!("{}", path.display());
    }
    Ok(())
}
