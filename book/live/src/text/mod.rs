//! The pages that need no model, but some of them a vocabulary.

mod expression;
mod gradients;
mod harmony;
mod mxfp4;
mod rms_norm;
mod rotary;
mod swiglu;
mod tokens;

use crate::Live;
use ossia::error::Result;

/// Answers a question of one of these pages; `None` if there is no such page here.
pub fn ask(live: &mut Live, page: &str, question: &str) -> Option<Result<String>> {
    Some(match page {
        "gradients" => live.answer(question, gradients::answer),
        "harmony" => live.answer(question, harmony::answer),
        "mxfp4" => live.answer(question, mxfp4::answer),
        "rms_norm" => live.answer(question, rms_norm::answer),
        "rotary" => live.answer(question, rotary::answer),
        "swiglu" => live.answer(question, swiglu::answer),
        "tokens" => live.answer(question, tokens::answer),
        _ => return None,
    })
}
