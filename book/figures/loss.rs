//! The loss.

use super::paper::{BLUE, Drawing, FAINT, INK, ORANGE, Paper, text};
use super::storyteller::Lazy;
use ndarray::Array2;
use ossia::data::Corpus;
use ossia::layers::Layer;
use ossia::ops::cross_entropy::forward;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// The seed of stories that the model was not trained on.
const UNSEEN: u64 = 1;
/// So many lines of tokens are drawn.
const LINES: usize = 5;

/// A story's tokens, and above each what it cost the model, in nats.
pub fn by_token(paper: Paper, storyteller: &Lazy) -> Drawing {
    let tokenizer = &storyteller.tokenizer;
    let end = tokenizer.end_of_text().unwrap_or(0);
    let story = Corpus::builtin(1, UNSEEN).documents.remove(0);
    let ids = tokenizer.encode(&story);
    let inputs = Array2::from_shape_fn((1, ids.len()), |(_, t)| if t == 0 { end } else { ids[t - 1] });
    let hidden = storyteller.model.detached().forward(inputs.view(), None).hidden;
    let losses = forward(hidden.matrix(), &storyteller.parameter("embedding.weight").into(), &ids);
    let (left, right, row, box_height, nat) = (8, 632, 82, 22, 15.0);
    let root = paper.area(640, LINES as u32 * row as u32 + 14);
    let (mut x, mut y) = (left, row - 14);
    for (&id, &loss) in ids.iter().zip(&losses) {
        let spelled = tokenizer.decode(&[id])?;
        let width = 7 * spelled.chars().count() as i32 + 7;
        if x + width > right {
            (x, y) = (left, y + row);
        }
        if y > LINES as i32 * row {
            break;
        }
        let height = (f64::from(loss) * nat).round() as i32;
        let colour = if loss > 0.5 { ORANGE } else { BLUE };
        root.draw(&Rectangle::new([(x, y - height), (x + width - 2, y)], colour.mix(0.6).filled()))?;
        root.draw(&Rectangle::new([(x, y), (x + width - 2, y + box_height)], FAINT.mix(0.15).filled()))?;
        let style = |size, place| text(size).color(&INK).pos(Pos::new(HPos::Center, place));
        let middle = x + width / 2 - 1;
        let shown = spelled.replace(' ', "·").replace('\n', "↵");
        root.draw(&Text::new(shown, (middle, y + box_height / 2), style(12, VPos::Center)))?;
        if loss > 0.5 {
            root.draw(&Text::new(format!("{loss:.1}"), (middle, y - height - 2), style(11, VPos::Bottom)))?;
        }
        x += width;
    }
    root.present()?;
    Ok(())
}

/// Blocks of rows in [`blocks`].
const BLOCKS: i32 = 7;
/// The block that is being computed there.
const CURRENT: i32 = 2;

/// Draws how the loss and its gradients are computed block by block, in one buffer.
pub fn blocks(paper: Paper, _: &Lazy) -> Drawing {
    let root = paper.area(640, 270);
    let label = |what: &str, at: (i32, i32)| {
        root.draw(&Text::new(what.to_string(), at, text(13).color(&INK).pos(Pos::new(HPos::Center, VPos::Center))))
    };
    let arrow = |from: (i32, i32), to: (i32, i32)| -> Drawing {
        let back = (to.0 - from.0).signum() * 6;
        root.draw(&PathElement::new([from, to], FAINT.stroke_width(2)))?;
        root.draw(&Polygon::new([to, (to.0 - back, to.1 - 4), (to.0 - back, to.1 + 4)], FAINT.filled()))?;
        Ok(())
    };
    // A matrix of rows, of which one block is in use.
    let rows = |left: i32, name: &str, colour: RGBColor| -> Drawing {
        for block in 0..BLOCKS {
            let corners = [(left, 48 + block * 26), (left + 52, 48 + block * 26 + 24)];
            let strength = if block == CURRENT { 0.7 } else { 0.15 };
            root.draw(&Rectangle::new(corners, colour.mix(strength).filled()))?;
        }
        label(name, (left + 26, 34))?;
        Ok(())
    };
    rows(14, "h (T, H)", BLUE)?;
    rows(574, "dh (T, H)", ORANGE)?;
    let middle = 48 + CURRENT * 26 + 12;
    arrow((70, middle), (156, middle))?;
    label("· Wᵀ", (112, middle - 12))?;
    // The buffer, three times.
    let buffers = [(160, "logits", BLUE), (296, "probabilities", FAINT), (432, "dz", ORANGE)];
    for (left, name, colour) in buffers {
        root.draw(&Rectangle::new([(left, middle - 22), (left + 96, middle + 22)], colour.mix(0.35).filled()))?;
        label(name, (left + 48, middle))?;
    }
    arrow((258, middle), (292, middle))?;
    arrow((394, middle), (428, middle))?;
    arrow((530, middle), (570, middle))?;
    label("· W", (550, middle - 12))?;
    label("one buffer (64, V): each overwrites the one before", (344, 40))?;
    root.draw(&PathElement::new([(160, 52), (160, 58), (528, 58), (528, 52)], FAINT))?;
    // What leaves the buffer besides dh.
    root.draw(&PathElement::new([(208, middle + 24), (208, 190)], FAINT.stroke_width(2)))?;
    label("losses (64)", (208, 200))?;
    root.draw(&PathElement::new([(480, middle + 24), (480, 184)], FAINT.stroke_width(2)))?;
    root.draw(&Rectangle::new([(392, 186), (552, 218)], ORANGE.mix(0.35).filled()))?;
    label("dW (V, H) += dzᵀ · h", (472, 202))?;
    label("Then the next block of h uses the same buffer.", (344, 252))?;
    root.present()?;
    Ok(())
}
