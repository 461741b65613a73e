//! Data.

use super::paper::{BLUE, Drawing, FAINT, GREEN, INK, ORANGE, Paper, quiet, text};
use super::storyteller::Lazy;
use ossia::data::{IGNORE, Windows, story};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

/// So many stories are drawn.
const STORIES: usize = 20_000;
/// Nats, from and to, and bins in one.
const RANGE: std::ops::Range<usize> = 39..53;
const BINS: usize = 4;

/// −ln p of many stories, plot by plot, and its exact mean.
pub fn probabilities(paper: Paper, _: &Lazy) -> Drawing {
    let plots = ["stuck", "storm", "broken", "sharing", "lost", "quarrel"];
    let colours = [BLUE, BLUE, ORANGE, ORANGE, GREEN, GREEN]; // of an animal, of a child, of two
    let mut counts = [[0_i32; BINS * (RANGE.end - RANGE.start)]; 6];
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    for _ in 0..STORIES {
        let told = story::sample(&mut rng);
        let read = story::parse(&told.text)?;
        let plot = plots.iter().position(|plot| read.rules[2] == *plot).expect("one of the six");
        let nats = -told.log_probability - RANGE.start as f64;
        counts[plot][(nats * BINS as f64) as usize] += 1;
    }
    let most = *counts.iter().flatten().max().unwrap_or(&1);
    let root = paper.area(640, 320);
    let mut chart = ChartBuilder::on(&root)
        .margin(10)
        .x_label_area_size(44)
        .y_label_area_size(62)
        .build_cartesian_2d(RANGE.start as f64..RANGE.end as f64, 0..most * 5 / 4)?;
    quiet!(chart.configure_mesh())
        .disable_x_mesh()
        .x_labels(15)
        .y_labels(6)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .x_desc("−ln p of a story, in nats")
        .y_desc("stories of 20,000")
        .draw()?;
    // Names stand to that side of their bar where there is room.
    let sides = [HPos::Left, HPos::Right, HPos::Left, HPos::Right, HPos::Right, HPos::Right];
    for (((counts, colour), plot), side) in counts.iter().zip(&colours).zip(plots).zip(sides) {
        let left = |bin: usize| (RANGE.start * BINS + bin) as f64 / BINS as f64;
        for (bin, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let corners = [(left(bin) + 0.02, 0), (left(bin) + 1.0 / BINS as f64 - 0.02, count)];
            chart.draw_series([Rectangle::new(corners, colour.mix(0.7).filled())])?;
        }
        let highest = (0..counts.len()).max_by_key(|&bin| counts[bin]).unwrap_or(0);
        let style = text(14).color(colour).pos(Pos::new(side, VPos::Bottom));
        chart.draw_series([Text::new(plot, (left(highest) + 0.12, counts[highest] + most / 50), style)])?;
    }
    let entropy = story::entropy();
    let height = most * 19 / 16;
    chart.draw_series([PathElement::new([(entropy, 0), (entropy, height)], INK.stroke_width(2))])?;
    let style = text(14).color(&INK).pos(Pos::new(HPos::Left, VPos::Center));
    chart.draw_series([Text::new(format!("entropy {entropy:.2}"), (entropy + 0.15, height), style)])?;
    root.present()?;
    Ok(())
}

/// Three documents as one stream, and the windows that are cut from it.
pub fn windows(paper: Paper, _: &Lazy) -> Drawing {
    // Tokens of document d are 10·d, 10·d + 1 …; 0 is the end.
    let documents: Vec<Vec<u32>> = [(1, 3), (2, 4), (3, 9)].map(|(d, n)| (0..n).map(|i| 10 * d + i).collect()).into();
    let context = 6;
    let windows = Windows::new(&documents, 0, context)?;
    let stream: Vec<u32> = documents.iter().flat_map(|d| [0].into_iter().chain(d.iter().copied())).chain([0]).collect();
    let batch = windows.evaluation(windows.len()).next().expect("there are windows");
    let root = paper.area(640, 232);
    let (left, size, row) = (94, 27, 40);
    let label = |what: &str, at: (i32, i32), h: HPos, colour: &RGBColor| {
        root.draw(&Text::new(what.to_string(), at, text(13).color(colour).pos(Pos::new(h, VPos::Center))))
    };
    let colour_of = |token: u32| [FAINT, BLUE, GREEN, ORANGE][(token / 10) as usize];
    let name = |token: u32| ["end", "a", "b", "c"][(token / 10) as usize];
    let cell = |at: usize, y: i32, token: u32, strong: bool| {
        let x = left + size * at as i32;
        let corners = [(x, y), (x + size - 3, y + 24)];
        let (fill, ink) = if strong { (0.35, INK) } else { (0.0, FAINT) };
        root.draw(&Rectangle::new(corners, colour_of(token).mix(fill).filled()))?;
        root.draw(&Rectangle::new(corners, colour_of(token)))?;
        let style = text(if token == 0 { 11 } else { 13 }).color(&ink).pos(Pos::new(HPos::Center, VPos::Center));
        root.draw(&Text::new(name(token), (x + size / 2 - 1, y + 12), style))
    };
    label("stream", (left - 12, 20), HPos::Right, &INK)?;
    for (at, &token) in stream.iter().enumerate() {
        cell(at, 8, token, true)?;
    }
    for (w, (inputs, targets)) in batch.inputs.rows().into_iter().zip(batch.targets.rows()).enumerate() {
        let y = 8 + row * (w as i32 + 1) + 8;
        label(&format!("window {w}"), (left - 12, y + 12), HPos::Right, &INK)?;
        // Its position in the stream: the first target that counts is a token that occurs nowhere else, or an end.
        let start = (0..stream.len() - 1)
            .find(|&s| {
                let length = context.min(stream.len() - 1 - s);
                (0..length).all(|i| inputs[i] == stream[s + i])
                    && (0..length).all(|i| targets[i] == IGNORE || targets[i] == stream[s + i + 1])
                    && targets[0] == stream[s + 1]
            })
            .expect("a window is a part of the stream");
        let length = context.min(stream.len() - 1 - start);
        cell(start, y, stream[start], false)?;
        for i in 0..length {
            cell(start + i + 1, y, stream[start + i + 1], targets[i] != IGNORE)?;
        }
    }
    label("filled: a target that counts when the loss is measured", (left + 5 * size, 220), HPos::Left, &FAINT)?;
    root.present()?;
    Ok(())
}
