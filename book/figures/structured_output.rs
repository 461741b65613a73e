//! Structured output.

use super::paper::{BLUE, Drawing, FAINT, INK, ORANGE, Paper, text};
use super::storyteller::Lazy;
use ossia::schema::{Guide, Vocabulary};
use ossia::tokenizer::o200k_harmony;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use serde_json::json;
use std::sync::Arc;

/// A text that the schema accepts.
const TEXT: &str = r#"{"stars": 4, "kind": "play", "why": "fun"}"#;
/// The mark that ends an answer.
const DONE: u32 = 200_002;
/// Tokens that are named where there are no more of them than that.
const NAMED: usize = 8;

/// Draws how many of 201,088 tokens are allowed after each token of a text.
pub fn masks(paper: Paper, _: &Lazy) -> Drawing {
    let tokenizer = o200k_harmony();
    let schema = json!({
        "type": "object",
        "properties": {
            "stars": {"type": "integer", "minimum": 1, "maximum": 5},
            "kind": {"enum": ["play", "poem", "prose"]},
            "why": {"type": "string", "maxLength": 40},
        },
        "required": ["stars", "kind", "why"],
        "additionalProperties": false,
    });
    let mut guide = Guide::new(&schema, Arc::new(Vocabulary::new(tokenizer)), DONE)?;
    let mut rows = Vec::new();
    let ids = tokenizer.encode(TEXT);
    for id in ids.iter().copied().chain([DONE]) {
        let allowed = guide.next_tokens();
        let all: Vec<u32> = (0..tokenizer.vocab_size() as u32).filter(|&id| allowed.contains(id)).collect();
        assert!(all.contains(&id), "the mask allows what is written");
        rows.push((id, all));
        if id != DONE {
            assert!(guide.read(tokenizer.token_bytes(id).unwrap_or_default()));
        }
    }
    let shown = |id: u32| tokenizer.decode(&[id]).map(|text| text.replace(' ', "·").replace('\n', "↵"));
    let (row, top) = (21, 56);
    let root = paper.area(640, (top + row * rows.len() as i32) as u32);
    let label = |what: &str, at: (i32, i32), h: HPos, size: i32, colour: &RGBColor| {
        root.draw(&Text::new(what.to_string(), at, text(size).color(colour).pos(Pos::new(h, VPos::Center))))
    };
    let (left, decade) = (176, 56.0);
    label("written", (80, 14), HPos::Right, 14, &INK)?;
    label("how many tokens are allowed there (logarithmic)", (left - 62, 14), HPos::Left, 14, &INK)?;
    for (power, count) in ["1", "10", "100", "1,000", "10,000", "100,000"].into_iter().enumerate() {
        let x = left + 3 + (power as f64 * decade).round() as i32;
        label(count, (x, 34), HPos::Center, 11, &INK)?;
        root.draw(&PathElement::new([(x, 42), (x, top + row * rows.len() as i32 - 12)], FAINT.mix(0.3)))?;
    }
    for (i, (id, all)) in rows.iter().enumerate() {
        let y = top - 4 + row * i as i32;
        let spelled = shown(*id)?;
        let (width, colour) = (7 * spelled.chars().count() as i32 + 8, if *id == DONE { ORANGE } else { BLUE });
        root.draw(&Rectangle::new([(82 - width, y - 9), (82, y + 9)], colour.mix(0.25).filled()))?;
        label(&spelled, (82 - width / 2, y), HPos::Center, 12, &INK)?;
        let count = all.len();
        let digits = count.to_string();
        let grouped = if digits.len() > 3 {
            format!("{},{}", &digits[..digits.len() - 3], &digits[digits.len() - 3..])
        } else {
            digits
        };
        label(&grouped, (left - 10, y), HPos::Right, 13, &INK)?;
        let end = left + ((count as f64).log10() * decade).round() as i32 + 3;
        root.draw(&Rectangle::new([(left, y - 6), (end, y + 6)], FAINT.mix(0.5).filled()))?;
        if count <= NAMED {
            let mut x = end + 10;
            for &id in all {
                let name = shown(id)?;
                let width = 7 * name.chars().count() as i32 + 6;
                root.draw(&Rectangle::new([(x, y - 8), (x + width, y + 8)], FAINT.mix(0.6)))?;
                label(&name, (x + width / 2, y), HPos::Center, 12, &INK)?;
                x += width + 4;
            }
        }
    }
    root.present()?;
    Ok(())
}
