//! Tokens.

use super::paper::{BLUE, Drawing, FAINT, INK, ORANGE, Paper, text};
use super::storyteller::Lazy;
use ossia::tokenizer::{NextMerge, o200k_harmony};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// The piece that the figure takes apart.
const PIECE: &str = " tokenizers";

/// Draws how a piece becomes tokens of o200k_harmony, with a row per merge.
pub fn merges(paper: Paper, _: &Lazy) -> Drawing {
    let tokenizer = o200k_harmony();
    let bytes = |id: u32| tokenizer.token_bytes(id).unwrap_or_default();
    let mut parts = tokenizer.byte_tokens(PIECE.as_bytes());
    let mut rows = vec![(parts.clone(), None)];
    while let Some(NextMerge { rank, at, id }) = tokenizer.next_merge(&parts) {
        parts.splice(at..at + 2, [id]);
        rows.push((parts.clone(), Some((at, rank))));
    }
    assert_eq!(parts, tokenizer.encode(PIECE), "the figure merges as the tokenizer does");
    let root = paper.area(640, 326);
    let (left, top, width, height) = (150, 24, 42, 30);
    let label = |what: String, at: (i32, i32), position: HPos, colour: &RGBColor| {
        root.draw(&Text::new(what, at, text(14).color(colour).pos(Pos::new(position, VPos::Center))))
    };
    label("merge".into(), (54, 10), HPos::Center, &FAINT)?;
    label("rank".into(), (114, 10), HPos::Center, &FAINT)?;
    for (row, (parts, merged)) in rows.iter().enumerate() {
        let y = top + row as i32 * height;
        let (count, rank) =
            merged.map_or(("bytes".into(), String::new()), |(_, rank)| (row.to_string(), rank.to_string()));
        label(count, (54, y + 12), HPos::Center, &INK)?;
        label(rank, (114, y + 12), HPos::Center, &INK)?;
        let mut x = left;
        for (at, &id) in parts.iter().enumerate() {
            let end = x + width * bytes(id).len() as i32;
            let colour = if merged.is_some_and(|(place, _)| place == at) { ORANGE } else { BLUE };
            let corners = [(x + 1, y), (end - 2, y + 24)];
            root.draw(&Rectangle::new(corners, colour.mix(0.25).filled()))?;
            root.draw(&Rectangle::new(corners, colour))?;
            let shown = String::from_utf8_lossy(bytes(id)).replace(' ', "·");
            label(shown, ((x + end) / 2, y + 12), HPos::Center, &INK)?;
            x = end;
        }
    }
    root.present()?;
    Ok(())
}
