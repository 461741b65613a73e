//! Fine-tuning.

use super::paper::{BLUE, Drawing, FAINT, GREEN, INK, ORANGE, Paper, text};
use super::storyteller::Lazy;
use ossia::data::{IGNORE, Packed, Windows};
use ossia::harmony::{ChatMessage, Harmony, Message, MessageRole};
use ossia::ops::attention::Sequences;
use ossia::tasks::chats::examples;
use ossia::tokenizer::o200k_harmony;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// The side of a cell, in pixels.
const CELL: i32 = 13;

/// A window with two conversations: what each token sees, and what is learned behind it.
pub fn window(paper: Paper, _: &Lazy) -> Drawing {
    let tokenizer = o200k_harmony();
    let chat = |question: &str, answer: &str| {
        let user = Message::new(MessageRole::User, question);
        let assistant = Message::new(MessageRole::Assistant, answer).on("final");
        [ChatMessage { message: user, learned: false }, ChatMessage { message: assistant, learned: true }]
    };
    let mut all = Vec::new();
    for (question, answer) in [("Is 7 prime?", "Yes."), ("Hi", "Hello!")] {
        all.extend(examples(Harmony::new(tokenizer)?, &chat(question, answer))?);
    }
    let context = all.iter().map(|example| example.inputs.len()).sum::<usize>() + 2;
    let end = tokenizer.end_of_text().unwrap_or(0);
    let batch = Windows::packed(Packed::new(all, context, end)?).evaluation(1).next().ok_or("no window")?;
    let (inputs, targets) = (batch.inputs.row(0).to_vec(), batch.targets.row(0).to_vec());
    let places = Sequences::of_lengths(batch.lengths).places();

    let side = CELL * context as i32;
    let root = paper.area(640, side as u32 + 30);
    let (left, top) = (120, 24);
    let show = |id: u32| tokenizer.decode(&[id]).map(|text| text.replace(' ', "·"));
    let (right, left_side) = (Pos::new(HPos::Right, VPos::Center), Pos::new(HPos::Left, VPos::Center));
    for (words, x, at) in [("the model reads", left - 6, right), ("it learns to write", left + side + 6, left_side)] {
        root.draw(&Text::new(words, (x, 10), text(12).color(&INK).pos(at)))?;
    }
    let middle = Pos::new(HPos::Center, VPos::Center);
    root.draw(&Text::new("and sees", (left + side / 2, 10), text(12).color(&INK).pos(middle)))?;
    for (t, &(sequence, position)) in places.iter().enumerate() {
        let y = top + CELL * t as i32;
        let colour = [BLUE, GREEN, FAINT][sequence.min(2)];
        let first = t - position;
        for s in 0..context as i32 {
            let (x, seen) = (left + CELL * s, (first..=t).contains(&(s as usize)));
            let cell = [(x, y), (x + CELL - 1, y + CELL - 1)];
            root.draw(&Rectangle::new(cell, colour.mix(if seen { 0.55 } else { 0.06 }).filled()))?;
        }
        let (y, ink) = (y + CELL / 2, if sequence < 2 { &INK } else { &FAINT });
        root.draw(&Text::new(show(inputs[t])?, (left - 6, y), text(11).color(ink).pos(right)))?;
        if targets[t] != IGNORE {
            let style = text(11).color(&ORANGE).pos(left_side);
            root.draw(&Text::new(show(targets[t])?, (left + side + 6, y), style))?;
        }
    }
    root.present()?;
    Ok(())
}
