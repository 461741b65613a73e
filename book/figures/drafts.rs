//! Speculative decoding and multi-token prediction.

use super::paper::{BLUE, Drawing, FAINT, GREEN, INK, ORANGE, Paper, text};
use super::storyteller::{Lazy, Storyteller};
use ossia::data::Corpus;
use ossia::generate::speculative::accept;
use ossia::generate::{Generator, Sampler, Sampling};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::collections::HashMap;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The text that is continued.
const PROMPT: &str = "Once upon a time, there was a";
/// Drafts per pass.
const DRAFTS: usize = 4;
/// Passes that are shown.
const PASSES: usize = 9;
/// Tokens whose probabilities are shown.
const SHOWN: usize = 9;

/// A drafter that counted which token followed which two in stories.
struct Counts {
    next: HashMap<[u32; 2], HashMap<u32, f64>>,
    vocabulary: usize,
}

impl Counts {
    fn of(storyteller: &Storyteller) -> Self {
        let mut next: HashMap<[u32; 2], HashMap<u32, f64>> = HashMap::new();
        for document in &Corpus::builtin(6_000, 0).documents {
            for three in storyteller.tokenizer.encode(document).windows(3) {
                *next.entry([three[0], three[1]]).or_default().entry(three[2]).or_default() += 1.0;
            }
        }
        Self { next, vocabulary: storyteller.model.config.vocab_size }
    }

    /// Returns the distribution of the token after the last two of a text.
    fn distribution(&self, text: &[u32]) -> Vec<f64> {
        let Some(counts) = self.next.get(&[text[text.len() - 2], text[text.len() - 1]]) else {
            return vec![1.0 / self.vocabulary as f64; self.vocabulary];
        };
        let (total, mut q): (f64, _) = (counts.values().sum(), vec![0.0; self.vocabulary]);
        counts.iter().for_each(|(token, count)| q[*token as usize] = count / total);
        q
    }
}

fn write(root: &Area, what: &str, place: (i32, i32), size: i32, color: &RGBColor, horizontal: HPos) -> Drawing {
    let style = text(size).color(color).pos(Pos::new(horizontal, VPos::Center));
    root.draw(&Text::new(what.to_string(), place, style))?;
    Ok(())
}

/// The fate of a token.
#[derive(Clone, Copy)]
enum Fate {
    Accepted,
    Rejected,
    Unchecked,
    Added,
}

impl Fate {
    /// Draws a token, and returns where the next one begins.
    fn draw(self, root: &Area, word: &str, (x, y): (i32, i32)) -> Result<i32, Box<dyn std::error::Error>> {
        let end = x + 12 + 7 * word.chars().count() as i32;
        let corners = [(x, y - 11), (end, y + 11)];
        let (color, ink) = match self {
            Fate::Accepted => (&GREEN, &INK),
            Fate::Rejected => (&ORANGE, &INK),
            Fate::Unchecked => (&FAINT, &FAINT),
            Fate::Added => (&BLUE, &INK),
        };
        match self {
            Fate::Accepted | Fate::Added => root.draw(&Rectangle::new(corners, color.mix(0.45).filled()))?,
            Fate::Rejected | Fate::Unchecked => root.draw(&Rectangle::new(corners, color.stroke_width(1)))?,
        }
        write(root, word, ((x + end) / 2, y), 12, ink, HPos::Center)?;
        if let Fate::Rejected = self {
            root.draw(&PathElement::new([(x + 3, y), (end - 3, y)], ORANGE.stroke_width(1)))?;
        }
        Ok(end + 6)
    }
}

/// A text that is generated with drafts, a row for each pass of the model.
pub fn passes(paper: Paper, storyteller: &Lazy) -> Drawing {
    let counts = Counts::of(storyteller);
    let word = |token: u32| {
        let word = storyteller.tokenizer.decode(&[token]).unwrap_or_default();
        if word.trim().is_empty() { "␣".to_string() } else { word.trim().to_string() }
    };
    let mut generator = Generator::new(&storyteller.model, &storyteller.tokenizer.prompt(PROMPT), Sampling::default())?;
    let mut sampler = Sampler::new(Sampling::default());
    let root = paper.area(640, 66 + 32 * PASSES as u32);
    write(&root, &format!("{PROMPT} …"), (62, 14), 13, &INK, HPos::Left)?;
    for pass in 0..PASSES {
        let (mut x, y) = (62, 46 + 32 * pass as i32);
        write(&root, &format!("pass {}", pass + 1), (52, y), 12, &FAINT, HPos::Right)?;
        let mut drafts: Vec<(u32, Vec<f64>)> = Vec::new();
        let mut text = generator.text().to_vec();
        for _ in 0..DRAFTS {
            let q = counts.distribution(&text);
            let token = sampler.sample(&q.iter().map(|q| q.ln() as f32).collect::<Vec<_>>());
            text.push(token);
            drafts.push((token, q));
        }
        let mut replaced = None;
        for (draft, q) in &drafts {
            if replaced.is_some() {
                x = Fate::Unchecked.draw(&root, &word(*draft), (x, y))?;
                continue;
            }
            let p = sampler.probabilities(generator.logits()?);
            let token = accept(*draft, q, &p, &mut || sampler.uniform());
            generator.push(token)?;
            let fate = if token == *draft { Fate::Accepted } else { Fate::Rejected };
            replaced = (token != *draft).then_some(token);
            x = fate.draw(&root, &word(*draft), (x, y))?;
        }
        let added = match replaced {
            Some(token) => token,
            None => {
                let token = sampler.sample(generator.logits()?);
                generator.push(token)?;
                token
            }
        };
        Fate::Added.draw(&root, &word(added), (x + 14, y))?;
    }
    let (mut x, y) = (62, 50 + 32 * PASSES as i32);
    for (fate, name) in [
        (Fate::Accepted, "accepted"),
        (Fate::Rejected, "rejected"),
        (Fate::Unchecked, "not checked"),
        (Fate::Added, "added by the model"),
    ] {
        x = fate.draw(&root, name, (x, y))? + 8;
    }
    root.present()?;
    Ok(())
}

/// The probabilities of the next token in the model and in the drafter, with what both share.
pub fn rule(paper: Paper, storyteller: &Lazy) -> Drawing {
    let prompt = storyteller.tokenizer.prompt(PROMPT);
    let mut generator = Generator::new(&storyteller.model, &prompt, Sampling::default())?;
    let p = Sampler::new(Sampling::default()).probabilities(generator.logits()?);
    let q = Counts::of(storyteller).distribution(&prompt);
    let mut tokens: Vec<usize> = (0..p.len()).collect();
    tokens.sort_by(|a, b| p[*b].max(q[*b]).total_cmp(&p[*a].max(q[*a])).then(a.cmp(b)));
    tokens.truncate(SHOWN);
    let highest = p[tokens[0]].max(q[tokens[0]]);
    let root = paper.area(640, 290);
    let (left, bottom, width) = (54, 226, 64);
    let height = |x: f64| (x / highest * 190.0).round() as i32;
    for step in 0..=4 {
        let x = highest * f64::from(step) / 4.0;
        let y = bottom - height(x);
        root.draw(&PathElement::new([(left, y), (636, y)], FAINT.mix(0.3)))?;
        write(&root, &format!("{:.0} %", 100.0 * x), (left - 6, y), 12, &INK, HPos::Right)?;
    }
    for (i, &token) in tokens.iter().enumerate() {
        let x = left + 8 + width * i as i32;
        let shared = height(p[token].min(q[token]));
        for (x, all, color) in [(x, q[token], &ORANGE), (x + 25, p[token], &GREEN)] {
            root.draw(&Rectangle::new([(x, bottom - shared), (x + 22, bottom)], BLUE.mix(0.6).filled()))?;
            let corners = [(x, bottom - height(all)), (x + 22, bottom - shared)];
            root.draw(&Rectangle::new(corners, color.mix(0.6).filled()))?;
        }
        write(&root, "q", (x + 11, bottom + 10), 12, &FAINT, HPos::Center)?;
        write(&root, "p", (x + 36, bottom + 10), 12, &FAINT, HPos::Center)?;
        let word = storyteller.tokenizer.decode(&[token as u32]).unwrap_or_default();
        write(&root, word.trim(), (x + 24, bottom + 28), 12, &INK, HPos::Center)?;
    }
    let rate: f64 = p.iter().zip(&q).map(|(p, q)| p.min(*q)).sum();
    let names = [
        (BLUE, format!("min(p, q): accepted, together {:.0} %", 100.0 * rate)),
        (ORANGE, "rejected".into()),
        (GREEN, "p − q: drawn after a rejection".into()),
    ];
    let mut x = left;
    for (color, name) in names {
        root.draw(&Rectangle::new([(x, bottom + 46), (x + 11, bottom + 57)], color.mix(0.6).filled()))?;
        write(&root, &name, (x + 18, bottom + 52), 12, &INK, HPos::Left)?;
        x += 46 + 6 * name.chars().count() as i32;
    }
    root.present()?;
    Ok(())
}

/// An arrow.
fn arrow(root: &Area, from: (i32, i32), to: (i32, i32)) -> Drawing {
    root.draw(&PathElement::new([from, to], INK.stroke_width(1)))?;
    let (dx, dy) = ((to.0 - from.0).signum(), (to.1 - from.1).signum());
    let (back, side) = (6, 3);
    let wing = |s: i32| (to.0 - back * dx + s * side * dy.abs(), to.1 - back * dy + s * side * dx.abs());
    root.draw(&Polygon::new([to, wing(1), wing(-1)], INK.filled()))?;
    Ok(())
}

/// The module for multi-token prediction: boxes of layers, with the shapes between them.
pub fn module(paper: Paper, _: &Lazy) -> Drawing {
    let root = paper.area(640, 392);
    let boxed = |what: &str, (x, y): (i32, i32), width: i32, color: &RGBColor| -> Drawing {
        let corners = [(x - width / 2, y - 15), (x + width / 2, y + 15)];
        root.draw(&Rectangle::new(corners, color.mix(0.25).filled()))?;
        root.draw(&Rectangle::new(corners, color.stroke_width(1)))?;
        write(&root, what, (x, y), 13, &INK, HPos::Center)
    };
    let shape = |what: &str, place: (i32, i32)| write(&root, what, place, 12, &FAINT, HPos::Left);
    let (model, token, head) = (110, 480, 330);
    // The model, on the left.
    write(&root, "tokens tᵢ", (model, 376), 13, &INK, HPos::Center)?;
    arrow(&root, (model, 364), (model, 348))?;
    boxed("the model, with its last norm", (model, 332), 200, &BLUE)?;
    arrow(&root, (model, 316), (model, 80))?;
    shape("hᵢ  (T, H)", (model + 8, 226))?;
    boxed("head", (model, 64), 100, &BLUE)?;
    arrow(&root, (model, 48), (model, 34))?;
    shape("(T, V)", (model + 8, 41))?;
    write(&root, "logits of tᵢ₊₁", (model, 20), 13, &INK, HPos::Center)?;
    // The module, on the right.
    write(&root, "tokens tᵢ₊₁", (token, 376), 13, &INK, HPos::Center)?;
    arrow(&root, (token, 364), (token, 348))?;
    boxed("embedding", (token, 332), 100, &BLUE)?;
    arrow(&root, (token, 316), (token, 302))?;
    shape("(T, H)", (token + 60, 309))?;
    boxed("RMSNorm", (token, 286), 100, &ORANGE)?;
    boxed("RMSNorm", (head, 286), 100, &ORANGE)?;
    root.draw(&PathElement::new([(model, 286), (head - 58, 286)], INK.stroke_width(1)))?;
    arrow(&root, (head - 66, 286), (head - 51, 286))?;
    let middle = (head + token) / 2;
    arrow(&root, (head, 270), (head, 250))?;
    arrow(&root, (token, 270), (token, 250))?;
    boxed("concatenate", (middle, 234), 260, &FAINT)?;
    arrow(&root, (middle, 218), (middle, 206))?;
    shape("(T, 2H)", (middle + 108, 212))?;
    boxed("projection  (H, 2H)", (middle, 190), 200, &ORANGE)?;
    arrow(&root, (middle, 174), (middle, 164))?;
    shape("(T, H)", (middle + 108, 169))?;
    boxed("block: attention and experts", (middle, 148), 200, &ORANGE)?;
    arrow(&root, (middle, 132), (middle, 122))?;
    shape("h′ᵢ  (T, H)", (middle + 108, 127))?;
    boxed("RMSNorm", (middle, 106), 100, &ORANGE)?;
    arrow(&root, (middle, 90), (middle, 80))?;
    shape("(T, H)", (middle + 58, 85))?;
    boxed("head", (middle, 64), 100, &BLUE)?;
    arrow(&root, (middle, 48), (middle, 34))?;
    shape("(T, V)", (middle + 8, 41))?;
    write(&root, "logits of tᵢ₊₂", (middle, 20), 13, &INK, HPos::Center)?;
    root.present()?;
    Ok(())
}
