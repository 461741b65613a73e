//! LoRA.

use super::paper::{BLUE, Drawing, FINE, INK, ORANGE, Paper, text};
use super::storyteller::Lazy;
use ossia::config::ModelConfig;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// The rank of the correction.
const RANK: u32 = 8;
/// Numbers of a row or a column per pixel.
const PER_PIXEL: u32 = 14;

/// A matrix, and the factors of a correction beside it, to scale.
pub fn factors(paper: Paper, _: &Lazy) -> Drawing {
    let config = ModelConfig::preset("gpt-oss-20b")?;
    let (inputs, outputs) = (config.hidden_size as u32, (config.heads * config.head_dim) as u32);
    let root = paper.fine_area(640, 350);
    let fine = |pixels: u32| (pixels * FINE) as i32;
    let scaled = |numbers: u32| (numbers * FINE / PER_PIXEL) as i32;
    let (top, left) = (fine(38), fine(90));
    let place = |x: i32, y: i32, width: u32, height: u32| [(x, y), (x + scaled(width), y + scaled(height))];
    let b_left = left + scaled(inputs) + fine(90);
    let a_left = b_left + fine(40);
    root.draw(&Rectangle::new(place(left, top, inputs, outputs), BLUE.mix(0.5).filled()))?;
    root.draw(&Rectangle::new(place(b_left, top, RANK, outputs), ORANGE.filled()))?;
    root.draw(&Rectangle::new(place(a_left, top, inputs, RANK), ORANGE.filled()))?;
    let style = |horizontal| text(13 * FINE as i32).color(&INK).pos(Pos::new(horizontal, VPos::Center));
    let middle = top + scaled(outputs) / 2;
    let words = [
        (format!("W: {outputs} × {inputs}"), left + scaled(inputs) / 2, middle, HPos::Center),
        ("+ α/r ·".to_string(), left + scaled(inputs) + fine(45), middle, HPos::Center),
        (format!("B: {outputs} × {RANK}"), b_left, fine(20), HPos::Center),
        (format!("A: {RANK} × {inputs}"), a_left + scaled(inputs) / 2, top + fine(22), HPos::Center),
    ];
    for (words, x, y, horizontal) in words {
        root.draw(&Text::new(words, (x, y), style(horizontal)))?;
    }
    root.present()?;
    Ok(())
}
