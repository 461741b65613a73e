//! The snippets of the book, as tests: `cargo test --doc`.

macro_rules! chapters {
    ($($name:ident)*) => { $(#[doc = include_str!(concat!("../book/src/", stringify!($name), ".md"))] mod $name {})* };
}

chapters! {
    cover
    tensor
    grad_check
    tokens
    embedding
    rms_norm
    loss
    adamw
    data
    training
    mxfp4
    speed
    weights
    harmony
    effort
    structured_output
    tools
    exercises
    bug_hunt
}
