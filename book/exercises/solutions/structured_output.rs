use crate::structured_output::{Frame, State};

pub fn next(state: &[Frame], byte: u8) -> Option<State> {
    let (top, below) = state.split_last()?;
    let mut state = below.to_vec();
    match (top, byte) {
        (Frame::Word(word), _) if word.as_bytes()[0] == byte => {
            state.extend(Some(Frame::Word(&word[1..])).filter(|_| word.len() > 1));
        }
        (Frame::Value | Frame::First, b'1'..=b'5' | b'[') => {
            state.extend(Some(Frame::Rest).filter(|_| *top == Frame::First));
            state.extend(Some(Frame::First).filter(|_| byte == b'['));
        }
        (Frame::Rest, b',') => state.extend([Frame::Rest, Frame::Value]),
        (Frame::First | Frame::Rest, b']') => {}
        _ => return None,
    }
    Some(state)
}

pub fn mask(state: &[Frame], vocabulary: &[&[u8]], end: usize) -> Vec<bool> {
    let can_read = |bytes: &[u8]| bytes.iter().try_fold(state.to_vec(), |state, &byte| next(&state, byte)).is_some();
    let allowed = |(id, bytes): (usize, &&[u8])| if id == end { state.is_empty() } else { can_read(bytes) };
    vocabulary.iter().enumerate().map(allowed).collect()
}

pub fn shortest_end(state: &[Frame]) -> Vec<u8> {
    let shortest = |frame: &Frame| match frame {
        Frame::Word(word) => *word,
        Frame::Value => "1",
        Frame::First | Frame::Rest => "]",
    };
    state.iter().rev().map(shortest).collect::<String>().into_bytes()
}
