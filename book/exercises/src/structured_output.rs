//! Structured output: an automaton over bytes, and the mask of tokens. The chapter: structured_output.md.
//!
//! The language of this exercise has objects with the member `stars`. Its value is an integer from 1 to 5, or an array of such
//! values, nested to any depth. There is no white space. Examples: `{"stars":4}`, `{"stars":[]}`, `{"stars":[4,[5,1],[[]]]}`.

/// A part of a text that is still to be read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Frame {
    /// These characters come next.
    Word(&'static str),
    /// A value comes next: a digit or an array.
    Value,
    /// An array has begun: its first value comes next, or `]`.
    First,
    /// A value of an array is complete: `,` and another value come next, or `]`.
    Rest,
}

/// A state of the automaton: a stack of frames. The last one is the top, which is read next. The text is complete if the stack
/// is empty.
pub type State = Vec<Frame>;

/// Returns the state before the first byte.
pub fn begin() -> State {
    vec![Frame::Word("}"), Frame::Value, Frame::Word("{\"stars\":")]
}

/// Returns the state after one more byte, or `None` if this byte is not allowed. A frame that has been read completely is not on
/// the stack any more, so that no `Frame::Word` is empty.
pub fn next(state: &[Frame], byte: u8) -> Option<State> {
    todo!("the state after {state:?} and {byte}")
}

/// Returns for each token of a vocabulary whether it is allowed in a state. A token is a string of bytes. It is allowed if the
/// automaton can read all its bytes, one after the other. The token with the index `end` ends the text, whatever its bytes are.
/// It is allowed if and only if the text is complete.
pub fn mask(state: &[Frame], vocabulary: &[&[u8]], end: usize) -> Vec<bool> {
    todo!("which of {} tokens are allowed in {state:?}, {end} ends the text", vocabulary.len())
}

/// Returns the shortest string of bytes that completes the text. If several are equally short, returns the one with the smallest
/// digits.
pub fn shortest_end(state: &[Frame]) -> Vec<u8> {
    todo!("the shortest end of {state:?}")
}
