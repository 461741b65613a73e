//! The pages that run a model.

mod attention;
mod effort;
mod kv_cache;
pub mod models;
mod routing;
mod sampling;
mod speed;
mod story;

use crate::Live;
use ossia::error::{Error, Result};

/// Answers a question of one of these pages; `None` if there is no such page here.
pub fn ask(live: &mut Live, page: &str, question: &str) -> Option<Result<String>> {
    Some(match page {
        "attention" => live.answer(question, attention::answer),
        "effort" => live.answer(question, effort::answer),
        "kv_cache" => live.answer(question, kv_cache::answer),
        "routing" => live.answer(question, routing::answer),
        "sampling" => live.answer(question, sampling::answer),
        "speed" => live.answer(question, speed::answer),
        "story" => live.answer(question, story::answer),
        _ => return None,
    })
}

/// Checks a number that a reader has chosen, such as a temperature.
fn check(name: &str, value: f32, range: std::ops::RangeInclusive<f32>) -> Result<()> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(Error::argument(format!("{name} {value}; expected {} to {}", range.start(), range.end())))
}
