//! Draws the figures of the book, each from numbers that the engine computes here.
//!
//! cargo run --release --example figures [-- DIR]    (DIR: where to, else book/src/pictures)
//!
//! A figure is a function that gets a [`Paper`] and the [`Storyteller`], a model that is trained once, in about a minute.

mod paper;
mod storyteller;

mod harmony;
mod mxfp4;
mod normalisation;

use paper::{Drawing, Paper};
use std::error::Error;
use std::path::{Path, PathBuf};
use storyteller::Storyteller;

/// What draws a figure.
type Figure = fn(Paper, &Storyteller) -> Drawing;

/// All figures, by the name of their file.
const FIGURES: &[(&str, Figure)] =
    &[("rms-norm", normalisation::residual_stream), ("mxfp4", mxfp4::number_line), ("harmony", harmony::tokens)];

fn main() -> Result<(), Box<dyn Error>> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("book/src/pictures");
    let directory = std::env::args().nth(1).map_or(default, PathBuf::from);
    std::fs::create_dir_all(&directory)?;
    let storyteller = Storyteller::trained()?;
    for (name, figure) in FIGURES {
        let mut svg = String::new();
        figure(Paper::new(&mut svg), &storyteller)?;
        let path = directory.join(format!("{name}.svg"));
        std::fs::write(&path, paper::on_the_page(name, &svg))?;
        println!("{}", path.display());
    }
    Ok(())
}
