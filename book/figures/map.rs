//! The whole of gpt-oss-20b as a map, and as the strip on top of each chapter about one of its parts.

use super::paper::{Drawing, Paper};
use super::storyteller::Lazy;
use ossia::config::ModelConfig;
use std::fmt::Write as _;

/// The colours of the boxes: what makes and uses tokens, what all tokens pass, what mixes tokens, and what works on each.
const ENDS: &str = "#27a06e";
const ALL: &str = "#888888";
const MIXES: &str = "#4a90d9";
const EACH: &str = "#e67e22";

/// A part of the model: a box with a link to its chapter.
struct Part {
    name: &'static str,
    chapter: &'static str,
    detail: String,
    colour: &'static str,
    /// The corner and the width in the map.
    place: (i32, i32, i32),
    /// The name in the strip, if the part is in it.
    stop: Option<&'static str>,
}

/// The height of a box.
const HIGH: i32 = 42;

fn parts(config: &ModelConfig) -> Vec<Part> {
    let &ModelConfig { vocab_size, hidden_size, heads, kv_heads, experts, experts_per_token, .. } = config;
    let part = |name, chapter, detail, colour, place, stop| Part { name, chapter, detail, colour, place, stop };
    vec![
        part("Tokens", "tokens", "text → ids".into(), ENDS, (220, 8, 200), Some("Tokens")),
        part(
            "Embedding",
            "embedding",
            format!("a row of {} per id", grouped(hidden_size)),
            ALL,
            (220, 74, 200),
            Some("Embedding"),
        ),
        part("RMSNorm", "rms_norm", "numbers of one size".into(), ALL, (220, 158, 200), Some("RMSNorm")),
        part("Rotary positions", "rotary", "on q and k".into(), MIXES, (24, 224, 150), Some("Rotary")),
        part(
            "Attention",
            "attention",
            format!("{heads} query, {kv_heads} key/value heads"),
            MIXES,
            (220, 224, 200),
            Some("Attention"),
        ),
        part("KV cache", "kv_cache", "in generation".into(), MIXES, (466, 224, 150), Some("KV cache")),
        part("RMSNorm", "rms_norm", "again".into(), ALL, (220, 308, 200), None),
        part(
            "Routing",
            "routing",
            format!("{experts_per_token} of {experts} experts per token"),
            EACH,
            (220, 374, 200),
            Some("Routing"),
        ),
        part("Experts", "experts", "what each expert adds".into(), EACH, (220, 440, 200), Some("Experts")),
        part("SwiGLU", "swiglu", "inside each expert".into(), EACH, (24, 440, 150), Some("SwiGLU")),
        part("MXFP4", "mxfp4", "how experts are stored".into(), EACH, (466, 440, 150), None),
        part("The whole model", "model", "norm and output projection".into(), ALL, (220, 528, 200), Some("Model")),
        part("The loss", "loss", "in training".into(), ENDS, (24, 594, 150), Some("Loss")),
        part("Sampling", "sampling", "the next token".into(), ENDS, (466, 594, 150), Some("Sampling")),
        part("Logits", "model", format!("{} scores", grouped(vocab_size)), ENDS, (220, 594, 200), None),
    ]
}

/// An arrow along points.
fn arrow(svg: &mut String, points: &str) {
    _ = writeln!(
        svg,
        "<polyline points=\"{points}\" fill=\"none\" stroke=\"#888888\" stroke-width=\"1.5\" marker-end=\"url(#tip)\"/>"
    );
}

/// Text beside an arrow.
fn note(svg: &mut String, (x, y): (i32, i32), anchor: &str, text: &str) {
    _ = writeln!(
        svg,
        "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" font-size=\"11\" fill=\"currentColor\" opacity=\"0.8\">{text}</text>"
    );
}

fn begin(svg: &mut String, (width, height): (i32, i32)) {
    _ = writeln!(
        svg,
        "<svg width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" xmlns=\"http://www.w3.org/2000/svg\" font-family=\"sans-serif\">"
    );
}

/// The map: every part with its shapes.
pub fn map(mut paper: Paper, _: &Lazy) -> Drawing {
    let config = ModelConfig::gpt_oss_20b();
    let svg = paper.text();
    begin(svg, (640, 648));
    svg.push_str("<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path d=\"M0,0 L8,4 L0,8 z\" fill=\"#888888\"/></marker></defs>\n");
    // The frame of a layer.
    svg.push_str("<rect x=\"8\" y=\"136\" width=\"616\" height=\"370\" rx=\"10\" fill=\"none\" stroke=\"#888888\" stroke-dasharray=\"5 4\"/>\n");
    note(svg, (20, 156), "start", &format!("{} layers like this one", config.layers));
    for (from, to) in [(50, 74), (116, 158), (200, 224), (266, 308), (350, 374), (416, 440), (482, 528), (570, 594)] {
        arrow(svg, &format!("320,{from} 320,{}", to - 1));
    }
    for (from, to, y) in
        [(174, 219, 245), (466, 421, 245), (174, 219, 461), (466, 421, 461), (220, 175, 615), (420, 465, 615)]
    {
        arrow(svg, &format!("{from},{y} {to},{y}"));
    }
    // The residual stream goes around attention and around the experts, and each adds to it.
    for (from, to) in [(146, 290), (298, 508)] {
        arrow(svg, &format!("320,{from} 440,{from} 440,{to} 328,{to}"));
        _ = writeln!(
            svg,
            "<circle cx=\"320\" cy=\"{to}\" r=\"7\" fill=\"none\" stroke=\"#888888\" stroke-width=\"1.5\"/><path d=\"M316,{to} h8 M320,{} v8\" stroke=\"#888888\" stroke-width=\"1.5\"/>",
            to - 4
        );
    }
    note(svg, (448, 204), "start", "residual stream");
    note(svg, (448, 410), "start", "residual stream");
    // The next token is appended to the text.
    arrow(svg, "616,615 634,615 634,29 421,29");
    note(svg, (520, 22), "middle", "append, repeat");
    let hidden = format!("(T, {})", grouped(config.hidden_size));
    for (y, shape) in [(66, "(T)"), (128, &hidden), (282, &hidden), (522, &hidden)] {
        note(svg, (312, y), "end", shape);
    }
    note(svg, (312, 432), "end", &format!("(T, {}) weights", config.experts_per_token));
    note(svg, (312, 586), "end", &format!("(T, {})", grouped(config.vocab_size)));
    for Part { name, chapter, detail, colour, place: (x, y, width), .. } in parts(&config) {
        let middle = x + width / 2;
        _ = writeln!(
            svg,
            "<a href=\"{chapter}.html\"><rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{HIGH}\" rx=\"6\" fill=\"{colour}\" fill-opacity=\"0.18\" stroke=\"{colour}\"/>"
        );
        _ = writeln!(
            svg,
            "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\" font-size=\"15\" fill=\"currentColor\">{name}</text>",
            y + 18
        );
        _ = writeln!(
            svg,
            "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\" font-size=\"11\" fill=\"currentColor\">{detail}</text></a>",
            y + 34
        );
    }
    svg.push_str("</svg>\n");
    Ok(())
}

/// The strip: the parts in the order of the book, each a small box. The build marks the one of the chapter.
pub fn strip(mut paper: Paper, _: &Lazy) -> Drawing {
    let parts = parts(&ModelConfig::gpt_oss_20b());
    let mut stops: Vec<_> = parts.iter().filter_map(|part| Some((part.stop?, part.chapter, part.colour))).collect();
    stops.sort_by_key(|(name, ..)| ORDER.iter().position(|other| other == name));
    let width = |name: &str| 14 + 13 * name.len() as i32 / 2;
    let gap = 9;
    let svg = paper.text();
    begin(svg, (8 - gap + stops.iter().map(|(name, ..)| width(name) + gap).sum::<i32>(), 40));
    let mut x = 4;
    let mut layer = (0, 0);
    for (name, chapter, colour) in stops {
        let width = width(name);
        match name {
            "RMSNorm" => layer.0 = x - gap / 2,
            "Experts" => layer.1 = x + width + gap / 2,
            _ => {}
        }
        let (end, middle) = (x + width, x + width / 2);
        _ = writeln!(
            svg,
            "<a href=\"{chapter}.html\"><rect x=\"{x}\" y=\"8\" width=\"{width}\" height=\"24\" rx=\"4\" fill=\"{colour}\" fill-opacity=\"0.18\" stroke=\"{colour}\"/>"
        );
        _ = writeln!(
            svg,
            "<text x=\"{middle}\" y=\"24\" text-anchor=\"middle\" font-size=\"11\" fill=\"currentColor\">{name}</text></a>"
        );
        if name != "Sampling" {
            _ = writeln!(svg, "<path d=\"M{end},20 h{gap}\" stroke=\"#888888\" stroke-width=\"1.5\"/>");
        }
        x = end + gap;
    }
    let (left, width) = (layer.0, layer.1 - layer.0);
    _ = writeln!(
        svg,
        "<rect x=\"{left}\" y=\"2\" width=\"{width}\" height=\"36\" rx=\"6\" fill=\"none\" stroke=\"#888888\" stroke-dasharray=\"4 3\"/>"
    );
    svg.push_str("</svg>\n");
    Ok(())
}

/// The parts in the order of their chapters.
const ORDER: [&str; 12] = [
    "Tokens",
    "Embedding",
    "RMSNorm",
    "Attention",
    "Rotary",
    "SwiGLU",
    "Routing",
    "Experts",
    "Model",
    "Loss",
    "KV cache",
    "Sampling",
];

/// A number with a comma between thousands.
fn grouped(number: usize) -> String {
    if number < 1_000 { number.to_string() } else { format!("{},{:03}", number / 1_000, number % 1_000) }
}
