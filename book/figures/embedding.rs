//! Embedding.

use super::paper::{BLUE, Drawing, FAINT, INK, ORANGE, Paper, text};
use super::storyteller::Lazy;
use ossia::kernels::dot;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Words of four kinds: girls, boys, things, places. Each is one token of the model.
const WORDS: [&str; 12] =
    [" Anna", " Lily", " Mia", " Ben", " Sam", " Tom", " ball", " drum", " kite", " forest", " park", " village"];

/// The cosines between the rows of words: those of a kind are alike.
pub fn cosines(paper: Paper, storyteller: &Lazy) -> Drawing {
    let table = storyteller.parameter("embedding.weight");
    let width = table.shape()[1];
    let row = |word: &str| {
        let ids = storyteller.tokenizer.encode(word);
        assert_eq!(ids.len(), 1, "{word:?} is one token");
        let row = &table.data()[ids[0] as usize * width..][..width];
        let length = dot(row, row).sqrt();
        row.iter().map(|x| x / length).collect::<Vec<f32>>()
    };
    let rows: Vec<Vec<f32>> = WORDS.iter().map(|word| row(word)).collect();
    let root = paper.area(640, 352);
    let (left, top, cell_width, cell_height) = (76, 26, 46, 26);
    for (i, (word, a)) in WORDS.iter().zip(&rows).enumerate() {
        let y = top + i as i32 * cell_height;
        let place = text(13).color(&INK).pos(Pos::new(HPos::Right, VPos::Center));
        root.draw(&Text::new(word.trim(), (left - 8, y + cell_height / 2), place))?;
        let x = left + i as i32 * cell_width;
        let place = text(13).color(&INK).pos(Pos::new(HPos::Center, VPos::Bottom));
        root.draw(&Text::new(word.trim(), (x + cell_width / 2, top - 5), place))?;
        for (j, b) in rows.iter().enumerate() {
            let x = left + j as i32 * cell_width;
            let cosine = dot(a, b);
            let colour = if cosine < 0.0 { ORANGE } else { BLUE };
            let cell = [(x, y), (x + cell_width - 2, y + cell_height - 2)];
            root.draw(&Rectangle::new(cell, colour.mix(f64::from(cosine.abs()) * 0.8).filled()))?;
            root.draw(&Rectangle::new(cell, FAINT.mix(0.3)))?;
            let style = text(11).color(&INK).pos(Pos::new(HPos::Center, VPos::Center));
            let shown = format!("{cosine:.2}").replace('-', "−");
            root.draw(&Text::new(shown, (x + cell_width / 2 - 1, y + cell_height / 2), style))?;
        }
    }
    root.present()?;
    Ok(())
}
