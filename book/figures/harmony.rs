//! Harmony.

use super::paper::{BLUE, Drawing, FAINT, INK, ORANGE, Paper, text};
use super::storyteller::Lazy;
use ossia::harmony::{Effort, Harmony, Message, MessageRole, Purpose, SystemContent};
use ossia::tokenizer::o200k_harmony;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// The tokens of a conversation, one box each: marks, headers, and what is said.
pub fn tokens(paper: Paper, _: &Lazy) -> Drawing {
    let tokenizer = o200k_harmony();
    let harmony = Harmony::new(tokenizer)?;
    let system = SystemContent {
        model_identity: None,
        knowledge_cutoff: None,
        channel_config: None,
        reasoning_effort: Some(Effort::Low),
        ..SystemContent::default()
    };
    let assistant = |text: &str| Message::new(MessageRole::Assistant, text);
    let messages = [
        Message::new(MessageRole::System, system),
        Message::new(MessageRole::User, "Is 7 prime?"),
        assistant("Nothing divides it.").on("analysis"),
        assistant("Yes.").on("final"),
    ];
    let ids = harmony.render(&messages, Purpose::Training, false)?;
    let marks = harmony.marks();
    let root = paper.area(640, 210);
    let (mut x, mut y, mut in_header) = (10, 6, false);
    for id in ids {
        let spelled = tokenizer.decode(&[id])?;
        if id == marks.start {
            in_header = true;
            (x, y) = (10, if x == 10 { y } else { y + 50 });
        }
        let is_mark = spelled.starts_with("<|");
        let colour = if is_mark {
            ORANGE
        } else if in_header {
            BLUE
        } else {
            FAINT
        };
        let width = 7 * spelled.chars().count() as i32 + 8;
        root.draw(&Rectangle::new([(x, y), (x + width, y + 24)], colour.mix(0.25).filled()))?;
        root.draw(&Rectangle::new([(x, y), (x + width, y + 24)], colour))?;
        let shown = spelled.replace(' ', "·");
        let middle = Pos::new(HPos::Center, VPos::Center);
        root.draw(&Text::new(shown, (x + width / 2, y + 12), text(12).color(&INK).pos(middle)))?;
        root.draw(&Text::new(id.to_string(), (x + width / 2, y + 33), text(9).color(&FAINT).pos(middle)))?;
        x += width + 2;
        in_header &= id != marks.message;
    }
    root.present()?;
    Ok(())
}
