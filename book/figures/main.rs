//! Draws the figures of the book, each from numbers that the engine computes here (`speed` from measured ones).
//!
//! cargo run --example figures [-- DIR [NAME…]]    (DIR: where to, else book/src/pictures; NAME: these)
//!
//! A figure is a function that gets a [`Paper`] and the [`Storyteller`], a model that is trained in about a minute if a
//! figure asks for it.

mod paper;
mod storyteller;

mod cover;
mod attention;
mod adamw;
mod data;
mod effort;
mod embedding;
mod experts;
mod grad_check;
mod harmony;
mod kv_cache;
mod model;
mod mxfp4;
mod normalisation;
mod rotary;
mod routing;
mod sampling;
mod simd;
mod speed;
mod swiglu;
mod loss;
mod structured_output;
mod tensor;
mod tiles;
mod tokens;
mod why;
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
    ("story.html", cover::story),
    ("why.svg", why::parameters),
    ("tensor.svg", tensor::graph),
    ("grad-check.svg", grad_check::steps),
    ("tokens.svg", tokens::merges),
    ("embedding.svg", embedding::cosines),
    ("rms-norm.svg", normalisation::residual_stream),
    ("rotary.svg", rotary::turns),
    ("attention.svg", attention::maps),
    ("attention-window.svg", attention::windows),
    ("tiles.svg", tiles::touched),
    ("swiglu.svg", swiglu::curves),
    ("routing.svg", routing::load),
    ("experts.svg", experts::dispatch),
    ("model.svg", model::predictions),
    ("loss.svg", loss::by_token),
    ("adamw.svg", adamw::paces),
    ("data.svg", data::probabilities),
    ("windows.svg", data::windows),
    ("training.svg", training::curve),
    ("kv-cache.svg", kv_cache::ring),
    ("kv-cache-memory.svg", kv_cache::memory),
    ("sampling.svg", sampling::settings),
    ("mxfp4.svg", mxfp4::number_line),
    ("simd.svg", simd::exp_error),
    ("speed-context.svg", speed::context),
    ("speed-memory.svg", speed::memory),
    ("weights.svg", weights::bytes),
    ("harmony.svg", harmony::tokens),
    ("effort.svg", effort::lengths),
    ("structured-output.svg", structured_output::masks),
    ("tools.svg", tools::exchange),
];

fn main() -> Result<(), Box<dyn Error>> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("book/src/pictures");
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().map_or(default, PathBuf::from);
    let only: Vec<String> = arguments.collect();
    std::fs::create_dir_all(&directory)?;
    let storyteller: Lazy = LazyCell::new(|| Storyteller::trained().expect("nothing of it comes from outside"));
    for (name, figure) in
        FIGURES.iter().filter(|(name, _)| only.is_empty() || only.iter().any(|n| name.starts_with(n.as_str())))
    {
        let mut svg = String::new();
        figure(Paper::new(&mut svg), &storyteller)?;
        let path = directory.join(name);
        std::fs::write(&path, paper::on_the_page(name, &svg))?;
        println!("{}", path.display());
    }
    Ok(())
}
