//! Rotary positions: each pair of numbers of a head is rotated by an angle that grows with the position. The chapter: rotary.md.

/// x (T, heads·D) → y of the same shape. Row t is at position t mod P; cos and sin are (P, D/2), and `half` is D/2.
/// gpt-oss pairs number i of the first half of a head with number i of the second. `direction` is 1, or −1 to rotate back.
pub fn forward(x: &[f32], width: usize, cos: &[f32], sin: &[f32], half: usize, direction: f32) -> Vec<f32> {
    let positions = cos.len() / half;
    todo!("{} rows of {width}, {positions} positions, {} sines, direction {direction}", x.len() / width, sin.len())
}

/// dx, from dy. What is the inverse of a rotation? And its transpose?
pub fn backward(dy: &[f32], width: usize, cos: &[f32], sin: &[f32], half: usize) -> Vec<f32> {
    todo!("{} rows rotated back by {} and {} numbers, {half} pairs", dy.len() / width, cos.len(), sin.len())
}
