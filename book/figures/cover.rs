//! The cover: a story, told token by token. Text and not a drawing, so that its lines break where the page does.

use super::paper::{Drawing, Paper};
use super::storyteller::{Lazy, Storyteller};
use ossia::data::story;
use ossia::error::Result;
use ossia::generate::sampler::distribution;
use ossia::generate::{Generator, Sampling};
use std::fmt::Write;

/// Pieces of a story with the probability that each had when it was drawn.
fn told(storyteller: &Storyteller, seed: u64) -> Result<Vec<(String, f32)>> {
    let (tokenizer, end) = (&storyteller.tokenizer, storyteller.tokenizer.end_of_text().unwrap_or(0));
    let sampling = Sampling { temperature: 0.7, seed, ..Sampling::default() };
    let mut generator = Generator::new(&storyteller.model, &[end], sampling.clone().within(tokenizer))?;
    let mut pieces = Vec::new();
    while let Some(token) = generator.choose(None)?.filter(|&token| token != end) {
        let chances = distribution(generator.logits()?, &sampling);
        let p = chances.iter().find(|(other, _)| *other == token).map_or(0.0, |(_, p)| *p);
        pieces.push((tokenizer.decode(&[token])?, p));
        generator.push(token)?;
    }
    Ok(pieces)
}

/// The first story that the grammar accepts. Underlined is what the model could well have told otherwise.
pub fn story(mut paper: Paper, storyteller: &Lazy) -> Drawing {
    let whole = |pieces: &[(String, f32)]| pieces.iter().map(|(piece, _)| piece.as_str()).collect::<String>();
    let mut stories = (0..100).filter_map(|seed| told(storyteller, seed).ok());
    let pieces = stories.find(|pieces| story::well_formed(&whole(pieces))).ok_or("no story of a hundred is one")?;
    let out = paper.text();
    write!(out, "<p class=\"story\" aria-label=\"A story that the model told\">")?;
    for (i, (piece, p)) in pieces.iter().enumerate() {
        let class = if *p < 0.5 { " class=\"open\"" } else { "" };
        let piece = piece.replace('&', "&amp;").replace('<', "&lt;").replace('\n', "<br/>");
        let word = piece.trim_start_matches(' ');
        let space = if word.len() < piece.len() { " " } else { "" };
        write!(out, "{space}<span{class} style=\"--i:{i}\">{word}</span>")?;
    }
    writeln!(out, "</p>")?;
    Ok(())
}
