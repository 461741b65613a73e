//! Training.

use super::paper::{BLUE, Drawing, GREEN, INK, ORANGE, Paper, quiet, text};
use super::storyteller::Lazy;
use ossia::data::Corpus;
use ossia::train::{EvaluationSet, evaluate};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Stories that the model was not trained on.
const UNSEEN: (usize, u64) = (200, 1);

/// The training loss of every step, the validation loss after the last, and the least that it can be.
pub fn curve(paper: Paper, storyteller: &Lazy) -> Drawing {
    let corpus = Corpus::builtin(UNSEEN.0, UNSEEN.1);
    let context = storyteller.model.config.context;
    let set = EvaluationSet::of_stories(&corpus.documents, &storyteller.tokenizer, context)?;
    let floor = set.entropy_floor.ok_or("every built-in story has a probability")?;
    let validation = evaluate(&storyteller.model, &set, 8).loss;
    let losses = &storyteller.losses;
    // A mean over the ten steps around each, which is easier to follow than the steps.
    let smooth = |i: usize| {
        let some = &losses[i.saturating_sub(5)..losses.len().min(i + 5)];
        f64::from(some.iter().sum::<f32>()) / some.len() as f64
    };
    let root = paper.area(640, 340);
    let mut chart = ChartBuilder::on(&root)
        .margin(10)
        .x_label_area_size(44)
        .y_label_area_size(58)
        .build_cartesian_2d(0.0..losses.len() as f64 + 4.0, (0.2..10.0).log_scale())?;
    quiet!(chart.configure_mesh())
        .x_labels(9)
        .y_labels(6)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y}"))
        .x_desc("step")
        .y_desc("nats per token")
        .draw()?;
    let step = |i: usize| i as f64 + 1.0;
    chart.draw_series(
        (0..losses.len()).map(|i| Circle::new((step(i), f64::from(losses[i])), 2, BLUE.mix(0.4).filled())),
    )?;
    chart.draw_series(LineSeries::new((0..losses.len()).map(|i| (step(i), smooth(i))), BLUE.stroke_width(2)))?;
    let across = |y: f64| [(0.0, y), (losses.len() as f64, y)];
    let nothing = (storyteller.model.config.vocab_size as f64).ln();
    for (y, colour) in [(floor, GREEN), (nothing, ORANGE)] {
        chart.draw_series([PathElement::new(across(y), colour.stroke_width(2))])?;
    }
    let steps = losses.len() as f64;
    chart.draw_series([Circle::new((steps, validation), 5, INK.filled())])?;
    let right = Pos::new(HPos::Right, VPos::Center);
    let texts = [
        (format!("all tokens alike: ln 2048 = {nothing:.2}"), (steps, 6.4), ORANGE),
        (format!("validation {validation:.4}"), (steps - 8.0, validation * 1.6), INK),
        (format!("entropy floor {floor:.4}"), (steps - 8.0, floor * 0.9), GREEN),
    ];
    for (said, at, colour) in texts {
        chart.draw_series([Text::new(said, at, text(14).color(&colour).pos(right))])?;
    }
    root.present()?;
    Ok(())
}
