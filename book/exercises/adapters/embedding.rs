pub use yours::backward;

/// Looks up rows with your function. Training keeps the table in memory.
pub fn forward(ids: &[u32], w: &Value) -> Vec<f32> {
    yours::forward(ids, w.tensor().expect("a table in memory").data(), w.inputs())
}
