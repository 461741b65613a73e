//! Dispatch and combine: tokens go to their experts, and the results return. The chapter: experts.md.

/// Each entry of `indices` (T·A) is a *visit*: token v / A visits expert indices[v]. Returns the numbers v of all visits, sorted by
/// expert, and the number of visits of each expert (E). The visits of an expert keep the order of the text.
pub fn sort(indices: &[u32], experts: usize) -> (Vec<usize>, Vec<usize>) {
    todo!("the order of {} visits to {experts} experts", indices.len())
}

/// x (T, H) and the order of the R = T·A visits → for each visit the row of its token, in this order (R, H).
pub fn gather(x: &[f32], hidden: usize, active: usize, order: &[usize]) -> Vec<f32> {
    todo!("{} rows of {hidden} from {} numbers, {active} visits per token", order.len(), x.len())
}

/// The experts' rows (R, H), in the sorted order, and the router's weights (T·A), in which weights[v] belongs to visit v → y (T, H): for
/// each token the weighted sum of its rows.
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
