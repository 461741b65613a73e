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

/// Bars of the accesses and of the fetched bytes per multiply-add, for three products.
pub fn traffic(paper: Paper, _: &Lazy) -> Drawing {
    let products: [(&str, Product); 3] = [
        ("three loops", solution::three_loops),
        ("tiles in rows", tiles_in_rows),
        ("tiles in strips", solution::in_tiles),
    ];
    let root = paper.area(640, 190);
    let (top, height) = (48, 42);
    let label = |colour: &'static RGBColor, at| text(14).color(colour).pos(Pos::new(at, VPos::Center));
    let panels = [("loads and stores", 120, BLUE), ("bytes from the memory", 390, ORANGE)];
    for (name, left, _) in panels {
        root.draw(&Text::new(name, (left, 20), label(&FAINT, HPos::Left)))?;
    }
    for (row, (name, product)) in products.into_iter().enumerate() {
        let mut machine = Machine::default();
        let [a, b, c] = std::array::from_fn(|i| machine.matrix(N, N, |_, _| [1.0, 1.0, 0.0][i]));
        product(&mut machine, a, b, c);
        assert!(machine.numbers(c).iter().all(|&c| c == N as f32), "{name}: each number is a sum of N ones");
        let products = (N * N * N) as f64;
        let counts =
            [machine.accesses as f64, (machine.fetched * 4 * LINE as u64) as f64].map(|count| count / products);
        let middle = top + row as i32 * height + height / 2;
        root.draw(&Text::new(name, (110, middle), label(&INK, HPos::Right)))?;
        for ((_, left, colour), (count, longest)) in panels.into_iter().zip(counts.into_iter().zip([2.1, 4.4])) {
            let right = left + (190.0 * count / longest).round() as i32;
            let corners = [(left, middle - 12), (right, middle + 12)];
            root.draw(&Rectangle::new(corners, colour.mix(0.55).filled()))?;
            root.draw(&Text::new(format!("{count:.2}"), (right + 8, middle), label(&INK, HPos::Left)))?;
        }
    }
    root.present()?;
    Ok(())
}
