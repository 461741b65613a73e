//! The engine in a browser.

use super::paper::{BLUE, Drawing, FAINT, GREEN, INK, ORANGE, Paper, text};
use super::storyteller::Lazy;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::path::Path;

/// The page, the worker and the engine, and what goes from one to another.
pub fn messages(paper: Paper, _: &Lazy) -> Drawing {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("book/live/models");
    let weights = std::fs::metadata(models.join("stories/model.safetensors"))?.len();
    let root = paper.area(640, 210);
    let middle = |size: i32| text(size).color(&INK).pos(Pos::new(HPos::Center, VPos::Center));
    let boxes = [
        (10, "page", ["text field, sliders,", "tables, drawings"], FAINT),
        (245, "worker", ["one question", "after the other"], BLUE),
        (480, "engine in wasm", ["a memory", "of its own"], GREEN),
    ];
    for (left, name, lines, colour) in boxes {
        let corners = [(left, 30), (left + 150, 180)];
        root.draw(&Rectangle::new(corners, colour.mix(0.2).filled()))?;
        root.draw(&Rectangle::new(corners, colour))?;
        root.draw(&Text::new(name, (left + 75, 14), middle(15)))?;
        for (line, y) in lines.into_iter().zip([150, 166]) {
            root.draw(&Text::new(line, (left + 75, y), middle(12)))?;
        }
    }
    let model = format!("{:.1} MB", weights as f64 / 1e6);
    for left in [160, 395] {
        for (y, what, to_the_right) in [(60, "question", true), (95, "answer", false), (130, model.as_str(), true)] {
            let (from, to) = if to_the_right { (left + 4, left + 81) } else { (left + 81, left + 4) };
            root.draw(&PathElement::new([(from, y), (to, y)], INK))?;
            let back = if to_the_right { -7 } else { 7 };
            root.draw(&Polygon::new([(to, y), (to + back, y - 4), (to + back, y + 4)], INK.filled()))?;
            let colour = if y == 130 { &ORANGE } else { &INK };
            let above = text(12).color(colour).pos(Pos::new(HPos::Center, VPos::Bottom));
            root.draw(&Text::new(what, (left + 42, y - 3), above))?;
        }
    }
    root.present()?;
    Ok(())
}
