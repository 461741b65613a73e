//! Reinforcement learning.

use super::paper::{BLUE, Drawing, FAINT, INK, ORANGE, Paper, text};
use super::storyteller::Lazy;
use ossia::harmony::{Effort, Message, MessageRole};
use ossia::tasks::{Answer, Problem, Rollout};
use ossia::train::rl::reward::total;
use ossia::train::rl::{Price, Reinforcement, advantages};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// The rollouts: the answer, and how many tokens the model and a tool wrote in turn.
const ROLLOUTS: [(&str, &[usize]); 6] =
    [("156", &[14, 9, 6]), ("156", &[25]), ("146", &[19]), ("156", &[4]), ("166", &[31]), ("132", &[6])];

/// The first row of tokens, and the distance from row to row.
const TOP: i32 = 54;
const ROW: i32 = 30;

/// Returns a rollout with this answer, of tokens that the model and a tool wrote in turn.
fn rollout(answer: &str, lengths: &[usize]) -> Rollout {
    let own: Vec<bool> = lengths.iter().enumerate().flat_map(|(i, &n)| vec![i % 2 == 0; n]).collect();
    Rollout {
        tokens: vec![0; own.len() + 1],
        prompt: 1,
        log_probabilities: vec![0.0; own.len()],
        own,
        routing: Vec::new(),
        messages: vec![Message::new(MessageRole::Assistant, answer).on("final")],
        well_formed: true,
    }
}

/// A group of rollouts of one question: their tokens, and their rewards beside the mean.
pub fn group(paper: Paper, _: &Lazy) -> Drawing {
    let problem = Problem { messages: Vec::new(), effort: Effort::Medium, answer: Answer::Number(156.0) };
    let price = Price { low: 0.03, medium: 0.01, high: 0.0 };
    let rewards = Reinforcement { price, ..Reinforcement::default() }.rewards();
    let group = ROLLOUTS.map(|(answer, lengths)| rollout(answer, lengths));
    let earned = group.iter().map(|rollout| total(&rewards, &problem, rollout)).collect::<Result<Vec<f32>, _>>()?;
    let advantages = advantages(&earned).ok_or("the rewards are equal")?;

    let root = paper.area(640, 270);
    let at = |horizontal| Pos::new(horizontal, VPos::Center);
    let write = |what: &str, place: (i32, i32), size, color: &RGBColor, horizontal| {
        root.draw(&Text::new(what.to_string(), place, text(size).color(color).pos(at(horizontal))))
    };
    let cell = |x: i32, y: i32, own: bool| -> Drawing {
        let corners = [(x, y - 7), (x + 7, y + 7)];
        match own {
            true => root.draw(&Rectangle::new(corners, BLUE.mix(0.7).filled()))?,
            false => root.draw(&Rectangle::new(corners, FAINT.stroke_width(1)))?,
        }
        Ok(())
    };

    write("What is 12 * 13? Six rollouts, token by token", (4, 16), 13, &INK, HPos::Left)?;
    for (i, (rollout, (answer, _))) in group.iter().zip(ROLLOUTS).enumerate() {
        let y = TOP + ROW * i as i32;
        write(&(i + 1).to_string(), (12, y), 12, &INK, HPos::Center)?;
        rollout.own.iter().enumerate().try_for_each(|(t, &own)| cell(26 + 8 * t as i32, y, own))?;
        let (mark, color) = if problem.answer.accepts(answer) { ("✓", &BLUE) } else { ("✗", &ORANGE) };
        write(&format!("{answer} {mark}"), (36 + 8 * rollout.own.len() as i32, y), 12, color, HPos::Left)?;
    }
    let y = TOP + ROW * 6 + 8;
    cell(26, y, true)?;
    write("written by the model", (38, y), 12, &INK, HPos::Left)?;
    cell(176, y, false)?;
    write("result of a tool: weight 0", (188, y), 12, &INK, HPos::Left)?;

    let (left, step) = (400, 38);
    let height = |reward: f32| TOP + ((1.0 - reward) * 118.0) as i32;
    write("reward, and advantage as a bar", (left - 16, 16), 13, &INK, HPos::Left)?;
    for level in [0.0, 1.0] {
        write(&format!("{level}"), (left - 8, height(level)), 12, &INK, HPos::Right)?;
        root.draw(&PathElement::new([(left, height(level)), (636, height(level))], FAINT.mix(0.3).stroke_width(1)))?;
    }
    let mean = height(earned[0] - advantages[0]);
    for (i, (&reward, &advantage)) in earned.iter().zip(&advantages).enumerate() {
        let (x, y) = (left + 22 + step * i as i32, height(reward));
        let color = if advantage > 0.0 { &BLUE } else { &ORANGE };
        root.draw(&Rectangle::new([(x - 8, mean.min(y)), (x + 8, mean.max(y))], color.mix(0.5).filled()))?;
        root.draw(&Circle::new((x, y), 4, color.filled()))?;
        let label = format!("{advantage:+.2}").replace('-', "−");
        write(&label, (x, if advantage > 0.0 { y - 13 } else { y + 13 }), 11, color, HPos::Center)?;
        write(&(i + 1).to_string(), (x, TOP + ROW * 6 + 8), 12, &INK, HPos::Center)?;
    }
    root.draw(&PathElement::new([(left, mean), (636, mean)], INK.stroke_width(1)))?;
    write("mean", (left - 8, mean), 12, &INK, HPos::Right)?;
    root.present()?;
    Ok(())
}
