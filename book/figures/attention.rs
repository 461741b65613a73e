//! Attention.

use super::paper::{BLUE, Drawing, FAINT, GREEN, INK, ORANGE, Paper, text};
use super::storyteller::Lazy;
use ossia::data::Corpus;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// The beginning of a story, as the model has heard many.
const FOX: &str = "Once there was a shy fox named Tom. Tom liked snow. The fox lived in a tidy den near the park.";
/// A head that finds the subject of the sentence.
pub fn subject(paper: Paper, storyteller: &Lazy) -> Drawing {
    map(paper, storyteller, 2, 0)
}

/// The head that looks at the token before more than the others do.
pub fn previous(paper: Paper, storyteller: &Lazy) -> Drawing {
    let tokens = storyteller.spelled(FOX).len();
    let (layers, heads) = (storyteller.model.config.layers, storyteller.model.config.heads);
    let share = |(layer, head): (usize, usize)| -> f32 {
        let p = storyteller.attention(FOX, layer);
        let rows = p.chunks_exact(tokens + 1).skip(head * tokens + 1).take(tokens - 1);
        rows.enumerate().map(|(before, row)| row[before]).sum()
    };
    let places = (0..layers).flat_map(|layer| (0..heads).map(move |head| (layer, head)));
    let (layer, head) = places.max_by(|&a, &b| share(a).total_cmp(&share(b))).ok_or("a model without heads")?;
    map(paper, storyteller, layer, head)
}

/// A head on a short text: a row per token, and how much of its attention each earlier one gets, and the sink.
fn map(paper: Paper, storyteller: &Lazy, layer: usize, head: usize) -> Drawing {
    let words = storyteller.spelled(FOX);
    let tokens = words.len();
    let p = storyteller.attention(FOX, layer);
    let (left, top, side, sink) = (58, 64, 11, 16);
    let columns = left + sink + 6;
    let root = paper.area(columns as u32 + (side as usize * tokens) as u32 + 6, 344);
    let title = text(14).color(&INK).pos(Pos::new(HPos::Left, VPos::Top));
    root.draw(&Text::new(format!("layer {layer}, head {head}"), (left, 2), title))?;
    let label = |colour: &'static RGBColor| text(10).color(colour);
    let upright = |colour| label(colour).transform(FontTransform::Rotate270).pos(Pos::new(HPos::Left, VPos::Center));
    root.draw(&Text::new("sink", (left + sink / 2, top - 4), upright(&ORANGE)))?;
    for (t, word) in words.iter().enumerate() {
        let (x, y) = (columns + t as i32 * side, top + t as i32 * side);
        root.draw(&Text::new(word.trim(), (x + side / 2, top - 4), upright(&INK)))?;
        let beside = label(&INK).pos(Pos::new(HPos::Right, VPos::Center));
        root.draw(&Text::new(word.trim(), (left - 6, y + side / 2), beside))?;
        let p = &p[(head * tokens + t) * (tokens + 1)..][..tokens + 1];
        let cell = |x: i32, width: i32, share: f32, colour: &RGBColor| -> Drawing {
            let corners = [(x, y), (x + width - 1, y + side - 1)];
            root.draw(&Rectangle::new(corners, colour.mix(f64::from(share).sqrt()).filled()))?;
            root.draw(&Rectangle::new(corners, FAINT.mix(0.25)))?;
            Ok(())
        };
        cell(left, sink, p[tokens], &ORANGE)?;
        for (j, &share) in p[..=t].iter().enumerate() {
            cell(columns + j as i32 * side, side, share, &BLUE)?;
        }
    }
    root.present()?;
    Ok(())
}

/// Tokens of a cell of [`windows`].
const BLOCK: usize = 8;

/// A sliding layer.
pub fn window(paper: Paper, storyteller: &Lazy) -> Drawing {
    long_text(paper, storyteller, 0, "layer 0: a window of 128")
}

/// A layer that sees everything.
pub fn full(paper: Paper, storyteller: &Lazy) -> Drawing {
    long_text(paper, storyteller, 1, "layer 1: full attention")
}

/// The mean over the heads of a layer on 256 tokens, eight by eight.
fn long_text(paper: Paper, storyteller: &Lazy, layer: usize, title: &str) -> Drawing {
    let config = &storyteller.model.config;
    let (tokens, heads) = (config.context, config.heads);
    let stories = Corpus::builtin(8, 1).documents.join("\n");
    let ids = &storyteller.tokenizer.encode(&stories)[..tokens];
    let p = storyteller.attention(&storyteller.tokenizer.decode(ids)?, layer);
    let (left, top, side, blocks) = (26, 44, 9, tokens / BLOCK);
    let end = side * blocks as i32;
    let root = paper.area((left + end + 10) as u32, (top + end + 10) as u32);
    let label = |what: &str, at: (i32, i32), h: HPos| {
        root.draw(&Text::new(what.to_string(), at, text(13).color(&INK).pos(Pos::new(h, VPos::Bottom))))
    };
    label(title, (left, 18), HPos::Left)?;
    label("looked at: token 0", (left, top - 4), HPos::Left)?;
    label("255", (left + end, top - 4), HPos::Right)?;
    let down = text(13).color(&INK).transform(FontTransform::Rotate270).pos(Pos::new(HPos::Right, VPos::Bottom));
    root.draw(&Text::new("looks: token 0", (left - 4, top), down))?;
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
    root.draw(&Rectangle::new([(left, top), (left + end, top + end)], FAINT))?;
    root.draw(&PathElement::new([(left, top), (left + end, top + end)], FAINT.mix(0.5)))?;
    if let Some(window) = config.windows[layer] {
        let edge = (window / BLOCK) as i32 * side;
        root.draw(&PathElement::new([(left, top + edge), (left + end - edge, top + end)], GREEN.stroke_width(2)))?;
    }
    root.present()?;
    Ok(())
}
