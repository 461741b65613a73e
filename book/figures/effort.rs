//! Effort.

use super::paper::{BLUE, Drawing, GREEN, INK, ORANGE, Paper, quiet, text};
use super::storyteller::Lazy;
use ossia::harmony::Effort;
use ossia::tasks::arithmetic::{self, Question, working};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

/// Right answers in per cent, of three models that differ in the seed of their training, at low, medium and high
/// effort: 1,200 held-out sums each. Measured by `ossia eval --task arithmetic`; the chapter has the same table.
const MEASURED: [[f64; 3]; 3] = [[2.2, 66.7, 98.6], [5.3, 72.9, 95.2], [3.8, 43.8, 98.8]];

/// Sums of each number of terms that are worked out to be counted.
const SUMS: usize = 400;

/// The colours of low, medium and high effort.
const COLOURS: [RGBColor; 3] = [GREEN, BLUE, ORANGE];

/// Draws the tokens of analysis of a sum, by its number of terms and the effort.
pub fn lengths(paper: Paper, _: &Lazy) -> Drawing {
    let tokenizer = arithmetic::tokenizer(600)?;
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    // Mean tokens of analysis by number of terms, for each effort. The mark that ends a thought is one of them.
    let mut means = [[0.0; 4]; 3];
    for terms in 2..=5 {
        for _ in 0..SUMS {
            let question = Question::sum(terms, &mut rng);
            for (effort, means) in Effort::ALL.into_iter().zip(&mut means) {
                let tokens = working(&question, effort).map_or(0, |text| tokenizer.encode(&text).len() + 1);
                means[terms - 2] += tokens as f64 / SUMS as f64;
            }
        }
    }
    let root = paper.area(320, 320);
    let mut chart = ChartBuilder::on(&root)
        .margin(8)
        .x_label_area_size(42)
        .y_label_area_size(50)
        .build_cartesian_2d(1.8_f64..6.4, 0.0..130.0)?;
    quiet!(chart.configure_mesh())
        .disable_x_mesh()
        .x_labels(6)
        .y_labels(7)
        .x_label_formatter(&|x| if *x > 5.5 { String::new() } else { format!("{x:.0}") })
        .y_label_formatter(&|y| format!("{y:.0}"))
        .x_desc("terms of the sum")
        .y_desc("tokens of analysis")
        .draw()?;
    for ((means, colour), effort) in means.iter().zip(&COLOURS).zip(Effort::ALL) {
        let points: Vec<(f64, f64)> = means.iter().enumerate().map(|(i, &mean)| (i as f64 + 2.0, mean)).collect();
        chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?;
        chart.draw_series(points.iter().map(|&point| Circle::new(point, 4, colour.filled())))?;
        let style = text(14).color(colour).pos(Pos::new(HPos::Left, VPos::Center));
        chart.draw_series([Text::new(effort.name(), (5.15, points[3].1.max(6.0)), style)])?;
    }
    root.present()?;
    Ok(())
}

/// Draws the share of right answers, by the effort.
pub fn accuracy(paper: Paper, _: &Lazy) -> Drawing {
    let root = paper.area(300, 320);
    let mut chart = ChartBuilder::on(&root)
        .margin(8)
        .x_label_area_size(42)
        .y_label_area_size(56)
        .build_cartesian_2d(-0.5_f64..2.5, 0.0..105.0)?;
    quiet!(chart.configure_mesh())
        .disable_x_mesh()
        .x_labels(0)
        .y_labels(6)
        .y_label_formatter(&|y| format!("{y:.0} %"))
        .y_desc("right answers")
        .draw()?;
    for (i, (colour, effort)) in COLOURS.iter().zip(Effort::ALL).enumerate() {
        let mean = MEASURED.iter().map(|seed| seed[i]).sum::<f64>() / MEASURED.len() as f64;
        let x = i as f64;
        chart.draw_series([Rectangle::new([(x - 0.3, 0.0), (x + 0.3, mean)], colour.mix(0.4).filled())])?;
        chart.draw_series(
            MEASURED
                .iter()
                .enumerate()
                .map(|(seed, measured)| Circle::new((x + 0.15 * (seed as f64 - 1.0), measured[i]), 4, colour.filled())),
        )?;
        let (pixel, _) = chart.backend_coord(&(x, 0.0));
        let style = text(14).color(&INK).pos(Pos::new(HPos::Center, VPos::Top));
        root.draw(&Text::new(effort.name(), (pixel, 320 - 44), style))?;
    }
    root.present()?;
    Ok(())
}
