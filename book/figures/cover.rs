//! The cover: a story, told token by token. Text and not a drawing, so that its lines break where the page does.

use super::paper::{Drawing, Paper};
use super::storyteller::{Lazy, Storyteller};
use ossia::data::story;
use ossia::error::Result;
use ossia::generate::Sampling;
use std::fmt::Write;

/// Pieces of a story with the probability that each had when it was drawn.
fn told(storyteller: &Storyteller, seed: u64) -> Result<Vec<(String, f64)>> {
    let sampling = Sampling { temperature: 0.7, seed, ..Sampling::default() };
    let drawn = storyteller.model.draw_document(&storyteller.tokenizer, sampling)?;
    drawn.into_iter().map(|(token, p)| Ok((storyteller.tokenizer.decode(&[token])?, p))).collect()
}

/// The first story that the grammar accepts. Underlined is what the model could well have told otherwise.
pub fn story(mut paper: Paper, storyteller: &Lazy) -> Drawing {
    let whole = |pieces: &[(String, f64)]| pieces.iter().map(|(piece, _)| piece.as_str()).collect::<String>();
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
