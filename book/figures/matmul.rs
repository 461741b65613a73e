//! Matrix products on the machine that counts.

use super::machine::{LINE, Machine, Matrix};
use super::paper::{BLUE, Drawing, FAINT, INK, ORANGE, Paper, text};
use super::storyteller::Lazy;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

#[path = "../exercises/solutions/matmul.rs"]
mod solution;

/// A program that computes C from A and B on a machine.
type Product = fn(&mut Machine, Matrix, Matrix, Matrix);

/// Rows and columns of the matrices.
const N: usize = 96;

fn tiles_in_rows(machine: &mut Machine, a: Matrix, b: Matrix, c: Matrix) {
    for top in (0..N).step_by(4) {
        for left in (0..N).step_by(4) {
            solution::tile(machine, a, b, c, (top, left));
        }
    }
}

/// Bars of the loads and stores per multiply-add.
pub fn accesses(paper: Paper, _: &Lazy) -> Drawing {
    bars(paper, "loads and stores", BLUE, 2.1, |machine| machine.accesses)
}

/// Bars of the bytes per multiply-add that are fetched from the memory.
pub fn fetched(paper: Paper, _: &Lazy) -> Drawing {
    bars(paper, "bytes from the memory", ORANGE, 4.4, |machine| machine.fetched * 4 * LINE as u64)
}

/// A bar for each of three products: what `count` says after it, per multiply-add. The bar of `longest` fills the width.
fn bars(paper: Paper, name: &str, colour: RGBColor, longest: f64, count: fn(&Machine) -> u64) -> Drawing {
    let products: [(&str, Product); 3] = [
        ("three loops", solution::three_loops),
        ("tiles in rows", tiles_in_rows),
        ("tiles in strips", solution::in_tiles),
    ];
    let root = paper.area(310, 180);
    let (left, top, height) = (110, 42, 42);
    let label = |colour: &'static RGBColor, at| text(14).color(colour).pos(Pos::new(at, VPos::Center));
    root.draw(&Text::new(name.to_string(), (left, 18), label(&FAINT, HPos::Left)))?;
    for (row, (name, product)) in products.into_iter().enumerate() {
        let mut machine = Machine::default();
        let [a, b, c] = std::array::from_fn(|i| machine.matrix(N, N, |_, _| [1.0, 1.0, 0.0][i]));
        product(&mut machine, a, b, c);
        assert!(machine.numbers(c).iter().all(|&c| c == N as f32), "{name}: each number is a sum of N ones");
        let count = count(&machine) as f64 / (N * N * N) as f64;
        let middle = top + row as i32 * height + height / 2;
        root.draw(&Text::new(name, (left - 10, middle), label(&INK, HPos::Right)))?;
        let right = left + (150.0 * count / longest).round() as i32;
        root.draw(&Rectangle::new([(left, middle - 12), (right, middle + 12)], colour.mix(0.55).filled()))?;
        root.draw(&Text::new(format!("{count:.2}"), (right + 8, middle), label(&INK, HPos::Left)))?;
    }
    root.present()?;
    Ok(())
}
