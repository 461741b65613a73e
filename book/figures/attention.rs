//! Attention.

use super::paper::{BLUE, Drawing, FAINT, GREEN, INK, ORANGE, Paper, text};
use super::storyteller::Lazy;
use ossia::data::Corpus;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// The beginning of a story, as the model has heard many.
const FOX: &str = "Once there was a shy fox named Tom. Tom liked snow. The fox lived in a tidy den near the park.";
/// Layer and head of those that are shown.
const HEADS: [(usize, usize); 2] = [(2, 0), (1, 2)];

/// Two heads on a short text: a row a token, and how much of its attention each earlier one gets, and the sink.
pub fn maps(paper: Paper, storyteller: &Lazy) -> Drawing {
    let words = storyteller.spelled(FOX);
    let tokens = words.len();
    let root = paper.area(640, 300);
    let (top, side, sink) = (40, 10, 16);
    for (place, (layer, head)) in HEADS.into_iter().enumerate() {
        let p = storyteller.attention(FOX, layer);
        let left = 68 + place as i32 * 292;
        let title = text(14).color(&INK).pos(Pos::new(HPos::Left, VPos::Bottom));
        root.draw(&Text::new(format!("layer {layer}, head {head}"), (left + sink + 6, top - 20), title))?;
        let note = text(12).color(&ORANGE).pos(Pos::new(HPos::Center, VPos::Bottom));
        root.draw(&Text::new("sink", (left + sink / 2, top - 5), note))?;
        for (t, word) in words.iter().enumerate() {
            let y = top + t as i32 * side;
            let p = &p[(head * tokens + t) * (tokens + 1)..][..tokens + 1];
            let cell = |x: i32, width: i32, share: f32, colour: &RGBColor| -> Drawing {
                let corners = [(x, y), (x + width - 1, y + side - 1)];
                root.draw(&Rectangle::new(corners, colour.mix(f64::from(share).sqrt()).filled()))?;
                root.draw(&Rectangle::new(corners, FAINT.mix(0.25)))?;
                Ok(())
            };
            cell(left, sink, p[tokens], &ORANGE)?;
            for (j, &share) in p[..=t].iter().enumerate() {
                cell(left + sink + 6 + j as i32 * side, side, share, &BLUE)?;
            }
            if place == 0 {
                let style = text(9).color(&INK).pos(Pos::new(HPos::Right, VPos::Center));
                root.draw(&Text::new(word.trim(), (left - 6, y + side / 2), style))?;
            }
        }
    }
    root.present()?;
    Ok(())
}

/// Tokens of a cell of [`windows`].
const BLOCK: usize = 8;

/// The mean over the heads of a sliding layer and of one that sees everything, on 256 tokens, eight by eight.
pub fn windows(paper: Paper, storyteller: &Lazy) -> Drawing {
    let tokens = storyteller.model.config.context;
    let stories = Corpus::builtin(8, 1).documents.join("\n");
    let ids = &storyteller.tokenizer.encode(&stories)[..tokens];
    let story = storyteller.tokenizer.decode(ids)?;
    let heads = storyteller.model.config.heads;
    let root = paper.area(640, 336);
    let (top, side, blocks) = (30, 9, tokens / BLOCK);
    for (place, (layer, name)) in [(0, "layer 0: a window of 128"), (1, "layer 1: everything")].iter().enumerate() {
        let p = storyteller.attention(&story, *layer);
        let left = 26 + place as i32 * 310;
        let style = text(14).color(&INK).pos(Pos::new(HPos::Left, VPos::Bottom));
        root.draw(&Text::new(*name, (left, top - 6), style))?;
        let mut shares = vec![0.0_f32; blocks * blocks];
        for (row, p) in p.chunks_exact(tokens + 1).enumerate() {
            let t = row % tokens;
            for (j, share) in p[..tokens].iter().enumerate() {
                shares[t / BLOCK * blocks + j / BLOCK] += share / (heads * BLOCK) as f32;
            }
        }
        for (i, &share) in shares.iter().enumerate().filter(|(_, share)| **share > 2e-3) {
            let (x, y) = (left + (i % blocks) as i32 * side, top + (i / blocks) as i32 * side);
            let colour = BLUE.mix(f64::from(share).sqrt().min(1.0));
            root.draw(&Rectangle::new([(x, y), (x + side - 1, y + side - 1)], colour.filled()))?;
        }
        let end = side * blocks as i32;
        root.draw(&Rectangle::new([(left, top), (left + end, top + end)], FAINT))?;
        root.draw(&PathElement::new([(left, top), (left + end, top + end)], FAINT.mix(0.5)))?;
        if let Some(window) = storyteller.model.config.windows[*layer] {
            let edge = (window / BLOCK) as i32 * side;
            root.draw(&PathElement::new([(left, top + edge), (left + end - edge, top + end)], GREEN.stroke_width(2)))?;
        }
    }
    root.present()?;
    Ok(())
}
