//! Sampling.

use super::paper::{BLUE, Drawing, FAINT, GREEN, INK, ORANGE, Paper, text};
use super::storyteller::Lazy;
use ossia::generate::sampler::distribution;
use ossia::generate::{Generator, Sampling};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// The text that the model continues.
const PROMPT: &str = "Once there was a";
/// Tokens that are shown.
const SHOWN: usize = 18;

/// The most probable next tokens at three temperatures, and how far three filters reach.
pub fn settings(paper: Paper, storyteller: &Lazy) -> Drawing {
    let prompt = storyteller.tokenizer.encode(PROMPT);
    let mut generator = Generator::new(&storyteller.model, &prompt, Sampling::default())?;
    let logits = generator.logits()?.to_vec();
    let sorted = |sampling: Sampling| {
        let mut all = distribution(&logits, &sampling);
        all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        all
    };
    let temperatures = [(0.5, ORANGE), (1.0, BLUE), (1.5, GREEN)];
    let curves = temperatures.map(|(temperature, _)| sorted(Sampling { temperature, ..Sampling::default() }));
    let highest = curves.iter().flatten().fold(0.0_f32, |highest, token| highest.max(token.1));
    let root = paper.area(640, 396);
    let (left, bottom, width, height) = (50, 256, 32, 226.0);
    let y = |p: f32| bottom - (p / highest * height) as i32;
    let step = if highest > 0.4 { 10 } else { 4 };
    for percent in (0..=(100.0 * highest) as i32).step_by(step) {
        let p = percent as f32 / 100.0;
        root.draw(&PathElement::new([(left, y(p)), (left + SHOWN as i32 * width, y(p))], FAINT.mix(0.3)))?;
        let style = text(12).color(&INK).pos(Pos::new(HPos::Right, VPos::Center));
        root.draw(&Text::new(format!("{percent} %"), (left - 6, y(p)), style))?;
    }
    for (place, &(token, _)) in curves[1][..SHOWN].iter().enumerate() {
        let x = left + place as i32 * width;
        for (i, (curve, (_, colour))) in curves.iter().zip(temperatures).enumerate() {
            let p = curve.iter().find(|one| one.0 == token).map_or(0.0, |one| one.1);
            let x = x + 3 + 9 * i as i32;
            root.draw(&Rectangle::new([(x, y(p)), (x + 7, bottom)], colour.mix(0.8).filled()))?;
        }
        let word = storyteller.tokenizer.decode(&[token]).unwrap_or_default();
        let drop = if place % 2 == 0 { 8 } else { 22 };
        let style = text(12).color(&INK).pos(Pos::new(HPos::Center, VPos::Top));
        root.draw(&Text::new(word.trim().to_string(), (x + width / 2, bottom + drop - 2), style))?;
    }
    for (i, (temperature, colour)) in temperatures.iter().enumerate() {
        let (x, y) = (left + 400, 24 + 20 * i as i32);
        root.draw(&Rectangle::new([(x, y), (x + 9, y + 9)], colour.mix(0.8).filled()))?;
        root.draw(&Text::new(format!("temperature {temperature:.1}"), (x + 16, y - 2), text(13).color(&INK)))?;
    }
    let all = Sampling::default();
    let filters = [
        ("top-k 5", Sampling { top_k: 5, ..all.clone() }),
        ("top-p 0.9", Sampling { top_p: 0.9, ..all.clone() }),
        ("min-p 0.1", Sampling { min_p: 0.1, ..all.clone() }),
        ("top-p 0.9, temperature 1.5", Sampling { top_p: 0.9, temperature: 1.5, ..all.clone() }),
        ("min-p 0.1, temperature 1.5", Sampling { min_p: 0.1, temperature: 1.5, ..all }),
    ];
    for (i, (name, sampling)) in filters.into_iter().enumerate() {
        let kept = distribution(&logits, &sampling).len();
        let y = bottom + 52 + 18 * i as i32;
        let end = left + kept.min(SHOWN) as i32 * width - 3;
        let colour = if sampling.temperature > 1.0 { GREEN } else { BLUE };
        root.draw(&PathElement::new([(left + 2, y), (end, y)], colour.stroke_width(3)))?;
        let label = format!("{name}: {kept}");
        let (x, position) = if end > left + 380 { (end - 4, HPos::Right) } else { (end + 8, HPos::Left) };
        let style = text(12).color(&INK).pos(Pos::new(position, VPos::Center));
        root.draw(&Text::new(label, (x, if end > left + 380 { y - 8 } else { y }), style))?;
    }
    root.present()?;
    Ok(())
}
