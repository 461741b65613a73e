//! Tiled attention.

use super::paper::{BLUE, Drawing, FAINT, INK, ORANGE, Paper, text};
use super::storyteller::Lazy;
use ossia::ops::attention::Shape;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Queries, and keys, of a tile.
const TILE: usize = 64;

/// Draws the tiles of a layer with full attention.
pub fn full(paper: Paper, _: &Lazy) -> Drawing {
    tiles(paper, None)
}

/// Draws the tiles of a layer with a window.
pub fn window(paper: Paper, _: &Lazy) -> Drawing {
    tiles(paper, Some(128))
}

/// Shows which tiles of 512 by 512 scores are computed: whole ones, those that contain a border, and those that are skipped.
fn tiles(paper: Paper, window: Option<usize>) -> Drawing {
    let (tokens, left, top, side) = (512, 30, 56, 32);
    let root = paper.area(292, 320);
    let shape = Shape { heads: 1, kv_heads: 1, head_dim: 1, window };
    let mut computed = 0;
    for row in 0..tokens / TILE {
        for column in 0..tokens / TILE {
            let (queries, keys) = (row * TILE..(row + 1) * TILE, column * TILE..(column + 1) * TILE);
            let sees = |t: usize| keys.clone().filter(|&j| j <= t && j >= shape.first_visible(t)).count();
            let pairs: usize = queries.map(sees).sum();
            let (x, y) = (left + column as i32 * side, top + row as i32 * side);
            let corners = [(x, y), (x + side - 2, y + side - 2)];
            computed += usize::from(pairs > 0);
            match pairs {
                0 => {}
                n if n == TILE * TILE => root.draw(&Rectangle::new(corners, BLUE.mix(0.55).filled()))?,
                _ => root.draw(&Rectangle::new(corners, ORANGE.mix(0.55).filled()))?,
            }
            root.draw(&Rectangle::new(corners, FAINT.mix(0.6)))?;
        }
    }
    let name = window.map_or("everything".into(), |window| format!("a window of {window}"));
    let style = text(14).color(&INK).pos(Pos::new(HPos::Left, VPos::Bottom));
    root.draw(&Text::new(format!("{name}: {computed} of 64 tiles"), (left, top - 24), style))?;
    let style = text(12).color(&FAINT).pos(Pos::new(HPos::Left, VPos::Bottom));
    root.draw(&Text::new("keys", (left, top - 5), style))?;
    let style = text(12).color(&FAINT).pos(Pos::new(HPos::Center, VPos::Center));
    let middle = (left - 12, top + 4 * side);
    root.draw(&Text::new("queries", middle, style.transform(FontTransform::Rotate270)))?;
    root.present()?;
    Ok(())
}
