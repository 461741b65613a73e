//! Tools.

use super::paper::{BLUE, Drawing, FAINT, GREEN, INK, ORANGE, Paper, text};
use super::storyteller::Lazy;
use ossia::harmony::{Harmony, Message, MessageRole, Purpose};
use ossia::tokenizer::o200k_harmony;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// An exchange with Python, a box a token: who wrote it.
pub fn exchange(paper: Paper, _: &Lazy) -> Drawing {
    let tokenizer = o200k_harmony();
    let harmony = Harmony::new(tokenizer)?;
    let assistant = |text: &str| Message::new(MessageRole::Assistant, text);
    let messages = [
        Message::new(MessageRole::User, "What is 347 * 285?"),
        assistant("print(347*285)").on("analysis").to("python").of_type("code"),
        Message::from_tool("python", "98895\n").on("analysis"),
        assistant("98895").on("final"),
    ];
    let ids = harmony.render(&messages, Purpose::Training, false)?;
    let marks = harmony.marks();
    let root = paper.area(640, 286);
    let (left, right) = (10, 632);
    let (mut x, mut y, mut place, mut role, mut is_said) = (left, 6, 0, String::new(), false);
    for (i, &id) in ids.iter().enumerate() {
        let spelled = tokenizer.decode(&[id])?;
        if id == marks.start {
            role = tokenizer.decode(&ids[i + 1..=i + 1])?;
            (x, y, place, is_said) = (left, if i == 0 { y } else { y + 56 }, 0, false);
        }
        let colour = match role.as_str() {
            "assistant" if place >= 2 => BLUE, // the prompt ends with whose turn it is
            "python" if is_said && id != marks.end => GREEN,
            _ => FAINT,
        };
        let shown = spelled.replace(' ', "·").replace('\n', "↵");
        let width = 7 * shown.chars().count() as i32 + 8;
        if x + width > right {
            (x, y) = (left + 24, y + 28);
        }
        let corners = [(x, y), (x + width, y + 24)];
        root.draw(&Rectangle::new(corners, colour.mix(0.25).filled()))?;
        root.draw(&Rectangle::new(corners, if spelled.starts_with("<|") { ORANGE } else { colour }))?;
        let middle = Pos::new(HPos::Center, VPos::Center);
        root.draw(&Text::new(shown, (x + width / 2, y + 12), text(12).color(&INK).pos(middle)))?;
        (x, place, is_said) = (x + width + 2, place + 1, is_said || id == marks.message);
    }
    let mut x = left;
    for (name, colour) in
        [("the program puts it there", FAINT), ("the model writes it", BLUE), ("the tool says it", GREEN)]
    {
        root.draw(&Rectangle::new([(x, 262), (x + 14, 276)], colour.mix(0.5).filled()))?;
        let style = text(13).color(&INK).pos(Pos::new(HPos::Left, VPos::Center));
        root.draw(&Text::new(name, (x + 20, 269), style))?;
        x += 200;
    }
    root.present()?;
    Ok(())
}
