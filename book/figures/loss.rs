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
