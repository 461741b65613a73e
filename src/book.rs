//! The snippets of the book, as tests: `cargo test --doc`.

macro_rules! chapters {
    ($($name:ident)*) => { $(#[doc = include_str!(concat!("../book/src/", stringify!($name), ".md"))] mod $name {})* };
}

chapters! {
    cover
    why
    tensor
    grad_check
    tokens
    embedding
    rms_norm
    rotary
    attention
    swiglu
    routing
    experts
    model
    loss
    adamw
    data
    training
    kv_cache
    sampling
    tiles
    mxfp4
    simd
    speed
    weights
    harmony
    effort
    structured_output
    tools
    exercises
    bug_hunt
    next
    notation
    glossary
    bibliography
    appendix_schema
    appendix_sandbox
    appendix_speed
}
