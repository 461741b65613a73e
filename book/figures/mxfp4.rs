//! MXFP4.

use super::paper::{BLUE, Drawing, FAINT, INK, ORANGE, Paper, text};
use super::storyteller::Lazy;
use ossia::mxfp4::{BLOCK, SCALES, VALUES, decode, encode};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Weights of an expert of the trained model: what one of its gates takes from the first 32 inputs.
fn block(storyteller: &Lazy) -> [f32; BLOCK] {
    let gate_up = storyteller.parameter("layers.0.experts.gate_up.weight");
    let outputs = gate_up.shape().last().copied().unwrap_or(1);
    std::array::from_fn(|input| gate_up.data()[input * outputs])
}

/// The sixteen values on a line, and a real block between them: where each number is, and where it is put.
pub fn number_line(paper: Paper, storyteller: &Lazy) -> Drawing {
    let numbers = block(storyteller);
    let (codes, scale) = encode(&numbers);
    let unit = SCALES[usize::from(scale)];
    let code = |i: usize| codes[i / 2] >> (4 * (i % 2)) & 15;
    let root = paper.area(640, 260);
    let x = |value: f32| 320 + (value * 38.0).round() as i32;
    let label = |at: i32, y: i32, what: String| {
        let style = text(12).pos(Pos::new(HPos::Center, VPos::Top));
        root.draw(&Text::new(what, (at, y), style))
    };
    root.draw(&PathElement::new([(x(-8.0), 150), (x(8.0), 150)], FAINT))?;
    for value in VALUES {
        root.draw(&PathElement::new([(x(value), 144), (x(value), 156)], INK.stroke_width(2)))?;
        if value == 0.0 || value.abs() >= 1.0 {
            label(x(value), 160, format!("{value}").replace("-0", "0"))?;
        }
    }
    label(320, 14, "32 weights, each divided by the scale of the block".into())?;
    label(320, 184, "the sixteen values that four bits can hold".into())?;
    let height = 50;
    for (i, number) in numbers.iter().enumerate() {
        let (before, after) = (number / unit, decode(code(i), scale) / unit);
        root.draw(&PathElement::new([(x(before), height), (x(after), 144)], FAINT.mix(0.6)))?;
        root.draw(&Circle::new((x(before), height), 3, BLUE.mix(0.7).filled()))?;
        root.draw(&Circle::new((x(after), 150), 4, ORANGE.filled()))?;
    }
    let error = numbers.iter().enumerate().map(|(i, x)| (decode(code(i), scale) - x).powi(2)).sum::<f32>();
    let size = numbers.iter().map(|x| x * x).sum::<f32>();
    let what = format!(
        "scale: 2^{} = {unit} · root mean square error of the weights: {:.1} %",
        i32::from(scale) - 127,
        100.0 * (error / size).sqrt()
    );
    label(320, 222, what)?;
    root.present()?;
    Ok(())
}
