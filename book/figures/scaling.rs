//! How it scales: what `cargo bench --bench ranks` has measured, beside what the cost model says.

use super::paper::{BLUE, Drawing, FAINT, GREEN, INK, ORANGE, Paper, quiet, text};
use super::storyteller::Lazy;
use ossia::train::cost::{scenarios, server};
use plotters::prelude::*;
use serde::Deserialize;
use std::fmt::Write;

/// The results of the bench.
const MEASURED: &str = include_str!("ranks.json");

#[derive(Deserialize)]
struct Measured {
    jobs: Vec<Job>,
    steps: Vec<Step>,
}

/// The steps of a job.
#[derive(Deserialize)]
struct Job {
    ranks: usize,
    group: usize,
    seconds: f64,
    deciles: [f64; 2],
    predicted: f64,
}

/// A kind of jobs: its name, its colour, and which jobs are of this kind.
type Kind = (&'static str, RGBColor, fn(&Job) -> bool);

/// One step on four ranks, in milliseconds.
#[derive(Deserialize)]
struct Step {
    network: String,
    milliseconds: Vec<f64>,
    /// The exchanges of each rank: when each began, when the rank waited for it, when it was finished, and the bytes sent.
    events: Vec<Vec<[f64; 4]>>,
}

/// Draws measured over predicted seconds per step.
pub fn measured(paper: Paper, _: &Lazy) -> Drawing {
    let Measured { jobs, .. } = serde_json::from_str(MEASURED)?;
    let root = paper.area(640, 360);
    let range = || (0.2..4.2).log_scale().base(2.0);
    let mut chart = ChartBuilder::on(&root)
        .margin(10)
        .margin_right(28)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(range(), range())?;
    quiet!(chart.configure_mesh())
        .x_labels(6)
        .y_labels(6)
        .x_label_formatter(&|x| format!("{x}"))
        .y_label_formatter(&|y| format!("{y}"))
        .x_desc("seconds per step that the cost model predicts")
        .y_desc("measured seconds")
        .draw()?;
    chart.draw_series(LineSeries::new([(0.2, 0.2), (4.2, 4.2)], FAINT.stroke_width(1)))?;
    let kinds: [Kind; 3] = [
        ("one process", GREEN, |job| job.ranks == 1),
        ("data parallel", BLUE, |job| job.ranks > 1 && job.group == 1),
        ("experts spread", ORANGE, |job| job.group > 1),
    ];
    for (row, (name, colour, is_of_kind)) in kinds.into_iter().enumerate() {
        for job in jobs.iter().filter(|job| is_of_kind(job)) {
            let [low, high] = job.deciles;
            chart.draw_series([PathElement::new(
                [(job.predicted, low), (job.predicted, high)],
                colour.stroke_width(2),
            )])?;
            chart.draw_series([Circle::new((job.predicted, job.seconds), 4, colour.filled())])?;
        }
        root.draw(&Circle::new((92, 30 + 20 * row as i32), 4, colour.filled()))?;
        root.draw(&Text::new(name, (102, 22 + 20 * row as i32), text(14).color(&INK)))?;
    }
    root.present()?;
    Ok(())
}

/// Draws how much faster a step is on many machines than on one, by the cost model.
pub fn on_paper(paper: Paper, _: &Lazy) -> Drawing {
    let scenarios = scenarios();
    let curves = [
        (0, true, "nano", BLUE, (300.0, 2.4)),
        (1, true, "small", GREEN, (300.0, 9.0)),
        (2, true, "20b", ORANGE, (300.0, 70.0)),
        (2, false, "20b, sums in any order", INK, (26.0, 300.0)),
    ];
    let root = paper.area(640, 360);
    let mut chart = ChartBuilder::on(&root)
        .margin(10)
        .margin_right(28)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d((1.0..1_024.0).log_scale().base(2.0), (1.0..1_024.0).log_scale().base(2.0))?;
    quiet!(chart.configure_mesh())
        .x_labels(11)
        .y_labels(11)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.0}×"))
        .x_desc("machines")
        .y_desc("speedup")
        .draw()?;
    chart.draw_series(LineSeries::new([(1.0, 1.0), (1_024.0, 1_024.0)], FAINT.stroke_width(1)))?;
    let capacity = server(1e10);
    for (scenario, in_order, name, colour, at) in curves {
        let scenario = &scenarios[scenario];
        let alone = scenario.alone(&capacity);
        let speedup = |ranks| Some((ranks as f64, alone / scenario.fastest(ranks, &capacity, in_order)?.1.seconds()));
        let points = (0..=10).filter_map(|power| speedup(1 << power));
        chart.draw_series(LineSeries::new(points, colour.stroke_width(2)).point_size(3))?;
        let at = chart.backend_coord(&at);
        root.draw(&Text::new(name, at, text(14).color(&colour)))?;
    }
    root.present()?;
    Ok(())
}

/// The width of the drawing, the left edge of the time axis, and its length.
const WIDTH: f64 = 680.0;
const LEFT: f64 = 56.0;
const LONG: f64 = 600.0;
/// The height of the lanes of a rank: what it computes, and its messages.
const COMPUTING: f64 = 20.0;
const MESSAGE: f64 = 3.0;
/// The seconds in which a step is shown.
const SHOWN: f64 = 8.0;

/// Draws a step on four ranks with each network. The bars grow as the time goes by.
pub fn step(mut paper: Paper, _: &Lazy) -> Drawing {
    let Measured { steps, .. } = serde_json::from_str(MEASURED)?;
    let out = paper.text();
    writeln!(out, "<div class=\"step\">")?;
    for (i, Step { network, .. }) in steps.iter().enumerate() {
        let checked = if i == 0 { " checked=\"checked\"" } else { "" };
        writeln!(
            out,
            "<input type=\"radio\" name=\"step\" id=\"step-{i}\"{checked}/><label for=\"step-{i}\">{network}</label>"
        )?;
    }
    for step in &steps {
        draw_step(out, step)?;
    }
    writeln!(out, "</div>")?;
    Ok(())
}

fn draw_step(out: &mut String, step: &Step) -> Drawing {
    let messages = step.events.first().map_or(0, Vec::len) as f64;
    let row = COMPUTING + MESSAGE * messages + 14.0;
    let height = 8.0 + row * step.events.len() as f64 + 22.0;
    let end = step.milliseconds.iter().copied().fold(0.0, f64::max);
    write!(out, "<svg viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"13\">")?;
    writeln!(out, "<title>A step on {}, {end:.0} ms</title>", step.network)?;
    for (rank, (events, &own_end)) in step.events.iter().zip(&step.milliseconds).enumerate() {
        let top = 8.0 + row * rank as f64;
        writeln!(out, "<text x=\"4\" y=\"{}\" fill=\"currentColor\">rank {rank}</text>", top + 15.0)?;
        draw_rank(out, events, own_end, top, end)?;
    }
    let ticks = [5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0];
    let tick = ticks.into_iter().find(|tick| end / tick <= 8.0).unwrap_or(1_000.0);
    for i in 0..=(end / tick) as usize {
        let (at, unit) = (tick * i as f64, if i == 0 { " ms" } else { "" });
        let (x, y) = (LEFT + LONG * at / end, height - 6.0);
        writeln!(
            out,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"currentColor\" text-anchor=\"middle\">{at}{unit}</text>"
        )?;
    }
    writeln!(out, "</svg>")?;
    Ok(())
}

/// Draws the lanes of a rank, below each other from `top` on. The step takes `end` milliseconds, and this rank `own_end`.
fn draw_rank(out: &mut String, events: &[[f64; 4]], own_end: f64, top: f64, end: f64) -> Drawing {
    let mut bar = |from: f64, to: f64, (y, height): (f64, f64), paint: &str| {
        let (x, width) = (LEFT + LONG * from / end, LONG * (to - from) / end);
        let (delay, time) = (SHOWN * from / end, SHOWN * (to - from) / end);
        write!(out, "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height}\" {paint} ")?;
        writeln!(out, "style=\"animation-delay:{delay:.2}s;animation-duration:{time:.2}s\"/>")
    };
    let fill = |RGBColor(r, g, b): RGBColor| format!("fill=\"#{r:02x}{g:02x}{b:02x}\"");
    let waiting = "fill=\"none\" stroke=\"#888888\" stroke-dasharray=\"2 2\"";
    let mut from = 0.0;
    for (i, &[begun, waited, finished, _]) in events.iter().enumerate() {
        // The first exchange is that of the counts. Then come the buckets of gradients, and at last losses, norm and weights.
        let is_bucket = i > 0 && i + 3 < events.len();
        let before = if i < 2 { [BLUE, ORANGE][i] } else { GREEN }; // what the rank computes before it waits for this
        let message = if i == 0 {
            BLUE
        } else if is_bucket {
            ORANGE
        } else {
            GREEN
        };
        bar(from, waited, (top, COMPUTING), &fill(before))?;
        bar(waited, finished, (top, COMPUTING), waiting)?;
        bar(begun, finished, (top + COMPUTING + 2.0 + MESSAGE * i as f64, MESSAGE - 1.0), &fill(message))?;
        from = finished;
    }
    bar(from, own_end, (top, COMPUTING), &fill(GREEN))?;
    Ok(())
}
