//! The snippets of the book, as tests: `cargo test --doc`.

macro_rules! chapters {
    ($($name:ident)*) => { $(#[doc = include_str!(concat!("../book/src/", stringify!($name), ".md"))] mod $name {})* };
}

chapters! {
    cover
    why
    getting_started
    first_hour
    map
    tokens
    prediction
    tensor
    grad_check
    embedding
    rms_norm
    attention
    rotary
    swiglu
    routing
    experts
    model
    loss
    adamw
    muon
    data
    training
    many_machines
    expert_parallel
    scaling
    kv_cache
    sampling
    tiles
    mxfp4
    simd
    matmul
    speed
    weights
    harmony
    effort
    structured_output
    tools
    fine_tuning
    lora
    qat
    reinforcement
    drafts
    browser
    exercises
    bug_hunt
    next
    notebook_autograd
    notebook_attention
    notebook_experts
    notebook_mxfp4
    notebook_storyteller
    notebook_harmony
    notebook_reinforcement
    notation
    glossary
    bibliography
    appendix_schema
    appendix_sandbox
    appendix_speed
    appendix_widgets
}
