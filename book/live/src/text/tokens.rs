//! Tokens: how a text becomes tokens, step by step.

use crate::Live;
use crate::spelled::{Token, spelled};
use ossia::error::{Error, Result};
use ossia::tokenizer::{NextMerge, Tokenizer, split};
use serde::{Deserialize, Serialize};

/// The longest piece, in bytes: the page shows all tokens after each of its merges.
const LONGEST: usize = 100;

#[derive(Deserialize)]
pub struct Question {
    vocabulary: String,
    text: String,
}

#[derive(Serialize)]
pub struct Answer {
    pieces: Vec<Piece>,
    tokens: usize,
    bytes: usize,
}

/// A piece of the text, which no token crosses.
#[derive(Serialize)]
struct Piece {
    text: String,
    /// The tokens of its bytes, and those after each merge.
    steps: Vec<Step>,
}

#[derive(Serialize)]
struct Step {
    /// The merge that leads to these tokens: its rank, and the position of its result.
    rank: Option<u32>,
    at: Option<usize>,
    tokens: Vec<Token>,
}

pub fn answer(live: &mut Live, question: Question) -> Result<Answer> {
    let tokenizer = live.vocabulary(&question.vocabulary)?;
    if let Some(piece) = split(&question.text).find(|piece| piece.len() > LONGEST) {
        let message = format!("a piece of {} bytes; this page shows merges of at most {LONGEST}", piece.len());
        return Err(Error::argument(message));
    }
    let pieces: Vec<Piece> = split(&question.text).map(|piece| of_piece(tokenizer, piece)).collect();
    let tokens = tokenizer.encode(&question.text).len();
    Ok(Answer { pieces, tokens, bytes: question.text.len() })
}

fn of_piece(tokenizer: &Tokenizer, piece: &str) -> Piece {
    let mut ids = tokenizer.byte_tokens(piece.as_bytes());
    let mut steps = vec![Step { rank: None, at: None, tokens: spelled(tokenizer, &ids) }];
    while let Some(NextMerge { rank, at, id }) = tokenizer.next_merge(&ids) {
        ids.splice(at..at + 2, [id]);
        steps.push(Step { rank: Some(rank), at: Some(at), tokens: spelled(tokenizer, &ids) });
    }
    Piece { text: piece.into(), steps }
}
