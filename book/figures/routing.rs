//! The router.

use super::paper::{BLUE, Drawing, GREEN, INK, ORANGE, Paper, quiet};
use super::storyteller::Lazy;
use plotters::prelude::*;

/// Steps that are put together to a point.
const STEPS: usize = 5;

/// The share of all visits that each expert had, while the storyteller was trained.
pub fn load(paper: Paper, storyteller: &Lazy) -> Drawing {
    let experts = storyteller.model.config.experts;
    let shares = |expert: usize| {
        let points = storyteller.loads.chunks(STEPS).enumerate().map(move |(i, steps)| {
            let all: usize = steps.iter().flatten().sum();
            let own: usize = steps.iter().map(|load| load[expert]).sum();
            ((i * STEPS) as f32 + STEPS as f32 / 2.0, 100.0 * own as f32 / all as f32)
        });
        points.collect::<Vec<(f32, f32)>>()
    };
    let curves: Vec<Vec<(f32, f32)>> = (0..experts).map(shares).collect();
    let highest = curves.iter().flatten().fold(0.0_f32, |highest, point| highest.max(point.1));
    let steps = storyteller.loads.len() as f32;
    let root = paper.area(640, 330);
    let mut chart = ChartBuilder::on(&root)
        .margin(10)
        .x_label_area_size(44)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..steps, 0.0..highest * 1.08)?;
    quiet!(chart.configure_mesh())
        .disable_x_mesh()
        .x_labels(9)
        .y_labels(6)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.0} %"))
        .x_desc("step")
        .y_desc("share of all visits")
        .draw()?;
    let even = 100.0 / experts as f32;
    chart.draw_series([PathElement::new([(0.0, even), (steps, even)], INK)])?;
    let first = |expert: usize| curves[expert][..10.min(curves[expert].len())].iter().map(|point| point.1).sum::<f32>();
    let mut order: Vec<usize> = (0..experts).collect();
    order.sort_by(|&a, &b| first(b).total_cmp(&first(a)));
    for (place, &expert) in order.iter().enumerate() {
        let colour = match place {
            0 => ORANGE,
            place if place + 1 == experts => GREEN,
            _ => BLUE,
        };
        let width = if colour == BLUE { 1 } else { 2 };
        chart.draw_series(LineSeries::new(curves[expert].iter().copied(), colour.stroke_width(width)))?;
    }
    root.present()?;
    Ok(())
}
