//! Many machines.

use super::paper::{BLUE, Drawing, FAINT, GREEN, INK, ORANGE, Paper, text};
use super::storyteller::Lazy;
use ossia::collective::{Collective, part, run_threads};
use ossia::ops::dispatch::{Dispatch, gather};
use ossia::ops::exchange::{send_back, send_to_experts};
use ossia::tensor::{Tensor, array};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::sync::Arc;

/// The number of ranks, and of numbers in the array of each.
const RANKS: usize = 4;
/// The width and the height of a number.
const CELL: i32 = 40;

/// Draws the arrays of four ranks, the parts of their sum, and the sum on each rank.
pub fn all_reduce(paper: Paper, _: &Lazy) -> Drawing {
    let array = |rank: usize| (0..RANKS).map(|i| ((3 * rank + 5 * i + rank * i) % 10) as f32).collect::<Vec<_>>();
    let results = run_threads(RANKS, |rank| -> ossia::error::Result<_> {
        let (ranks, mut numbers): (&dyn Collective, _) = (&rank, array(rank.rank()));
        let own = ranks.reduce_scatter(&numbers)?;
        ranks.all_reduce(&mut numbers)?;
        Ok((own, numbers))
    });
    let root = paper.area(640, 250);
    let label = |size: i32| text(size).pos(Pos::new(HPos::Center, VPos::Center));
    let colours = [BLUE, ORANGE, GREEN, FAINT];
    let titles = ["an array on each rank", "a part of the sum", "the sum on each rank"];
    let left = |column: usize| 60 + column as i32 * 205;
    for (column, title) in titles.into_iter().enumerate() {
        let middle = left(column) + CELL * RANKS as i32 / 2;
        root.draw(&Text::new(title, (middle, 22), label(14)))?;
    }
    for (rank, result) in results.into_iter().enumerate() {
        let (own, whole) = result?;
        let top = 44 + rank as i32 * (CELL + 10);
        root.draw(&Text::new(format!("rank {rank}"), (30, top + CELL / 2), label(14)))?;
        let mut parts = vec![None; RANKS];
        part(RANKS, rank, RANKS).zip(own).for_each(|(i, number)| parts[i] = Some(number));
        let columns = [array(rank).into_iter().map(Some).collect(), parts, whole.into_iter().map(Some).collect()];
        for (column, numbers) in columns.into_iter().enumerate() {
            for (i, number) in numbers.into_iter().enumerate() {
                let x = left(column) + i as i32 * CELL;
                let corners = [(x, top), (x + CELL, top + CELL)];
                if let Some(number) = number {
                    root.draw(&Rectangle::new(corners, colours[i].mix(0.35).filled()))?;
                    root.draw(&Text::new(format!("{number}"), (x + CELL / 2, top + CELL / 2), label(15)))?;
                }
                root.draw(&Rectangle::new(corners, FAINT.stroke_width(1)))?;
            }
        }
    }
    for column in 0..2 {
        let (from, to, y) = (left(column) + CELL * RANKS as i32 + 8, left(column + 1) - 8, 44 + 2 * (CELL + 10) - 5);
        root.draw(&PathElement::new([(from, y), (to, y)], INK.stroke_width(2)))?;
        root.draw(&PathElement::new([(to - 7, y - 5), (to, y), (to - 7, y + 5)], INK.stroke_width(2)))?;
    }
    root.present()?;
    Ok(())
}

/// The two experts of each of three tokens on each rank, of four experts.
const CHOICES: [[u32; 6]; RANKS] = [[0, 1, 0, 3, 1, 0], [0, 2, 0, 1, 3, 0], [1, 0, 3, 1, 0, 3], [3, 0, 1, 0, 3, 1]];

/// Draws visits that go to the ranks of their experts, and come back.
pub fn all_to_all(paper: Paper, _: &Lazy) -> Drawing {
    let results = run_threads(RANKS, |rank| {
        let (me, ranks): (usize, Arc<dyn Collective>) = (rank.rank(), Arc::new(rank));
        let dispatch = Arc::new(Dispatch::new(&CHOICES[me], RANKS, 2));
        let names = (0..3).map(|token| (10 * me + token) as f32).collect(); // a row of one number for each token
        let visits = gather(&Tensor::constant(array(&[3, 1], names)), &dispatch);
        let (received, exchange) = send_to_experts(&visits, &dispatch, &ranks);
        let back = send_back(&received, &exchange);
        let holders = |load: Vec<usize>| -> Vec<usize> {
            load.into_iter().enumerate().flat_map(|(expert, rows)| vec![expert; rows]).collect()
        };
        let sorted = holders(dispatch.load());
        [(visits, sorted.clone()), (received.clone(), vec![me; received.shape()[0]]), (back, sorted)]
    });
    let root = paper.area(680, 250);
    let label = |size: i32| text(size).pos(Pos::new(HPos::Center, VPos::Center));
    let colours = [BLUE, ORANGE, GREEN, FAINT];
    let (left, width) = ([60, 250, 505], 24);
    for (title, x) in ["visits of each rank’s tokens", "visits at each rank’s expert", "outputs, back at their tokens"]
        .iter()
        .zip(left)
    {
        root.draw(&Text::new(*title, (x + 3 * width, 22), label(14)))?;
    }
    for (rank, columns) in results.into_iter().enumerate() {
        let top = 44 + rank as i32 * (CELL + 10);
        root.draw(&Text::new(format!("rank {rank}"), (28, top + CELL / 2), label(14)))?;
        for ((rows, holders), left) in columns.into_iter().zip(left) {
            for (i, (name, holder)) in rows.data().iter().zip(holders).enumerate() {
                let x = left + i as i32 * width;
                let corners = [(x, top), (x + width, top + CELL)];
                let (of, token) = (*name as usize / 10, ['a', 'b', 'c'][*name as usize % 10]);
                root.draw(&Rectangle::new(corners, colours[holder].mix(0.35).filled()))?;
                root.draw(&Rectangle::new(corners, FAINT.stroke_width(1)))?;
                root.draw(&Text::new(format!("{of}{token}"), (x + width / 2, top + CELL / 2), label(12)))?;
            }
        }
    }
    for (from, to) in [(210, 244), (460, 499)] {
        let y = 44 + 2 * (CELL + 10) - 5;
        root.draw(&PathElement::new([(from, y), (to, y)], INK.stroke_width(2)))?;
        root.draw(&PathElement::new([(to - 7, y - 5), (to, y), (to - 7, y + 5)], INK.stroke_width(2)))?;
    }
    root.present()?;
    Ok(())
}
