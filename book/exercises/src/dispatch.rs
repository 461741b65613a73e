//! Dispatch and combine: tokens go to their experts, and the results return. The chapter: experts.md.

/// indices (T·A), the experts of each token, A per token → the visits in the order of the experts, and for each expert how many
/// visits it has (E). Visit v belongs to token v / A. An expert's visits keep the order of the text.
pub fn sort(indices: &[u32], experts: usize) -> (Vec<usize>, Vec<usize>) {
    todo!("the order of {} visits to {experts} experts", indices.len())
}

/// x (T, H) and the order (R,) → a row for each visit, in this order (R, H).
pub fn gather(x: &[f32], hidden: usize, active: usize, order: &[usize]) -> Vec<f32> {
    todo!("{} rows of {hidden} from {} numbers, {active} visits per token", order.len(), x.len())
}

/// The experts' rows (R, H), in the order of the visits, and the router's weights (T·A) → y (T, H): for each token the weighted sum of
/// its rows.
pub fn combine(rows: &[f32], hidden: usize, active: usize, order: &[usize], weights: &[f32]) -> Vec<f32> {
    todo!("y from {} rows of {hidden} in {} numbers, {active} and {} weights", order.len(), rows.len(), weights.len())
}

/// drows (R, H) and dweights (T·A), from dy (T, H).
pub fn combine_backward(
    dy: &[f32],
    rows: &[f32],
    hidden: usize,
    active: usize,
    order: &[usize],
    weights: &[f32],
) -> (Vec<f32>, Vec<f32>) {
    let numbers = dy.len() + rows.len() + weights.len();
    todo!("gradients of {} rows of {hidden}, {active} per token, from {numbers} numbers", order.len())
}
