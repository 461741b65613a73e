//! Dispatch and combine: tokens go to their experts, and the results return. The chapter: experts.md.

/// `indices` lists the A experts of each of T tokens. Its entry v is a *visit*: token ⌊v / A⌋ visits expert `indices[v]`.
/// Returns the numbers v of all visits, sorted by expert, and the number of visits of each expert. The visits of an expert keep
/// the order of the text.
pub fn sort(indices: &[u32], experts: usize) -> (Vec<usize>, Vec<usize>) {
    todo!("the order of {} visits to {experts} experts", indices.len())
}

/// Returns, for each visit in `order`, the row of `x` (T, H) that belongs to its token: R = T·A rows (R, H). `hidden` is H, and
/// `active` is A.
pub fn gather(x: &[f32], hidden: usize, active: usize, order: &[usize]) -> Vec<f32> {
    todo!("{} rows of {hidden} from {} numbers, {active} visits per token", order.len(), x.len())
}

/// Returns y (T, H): for each token, the weighted sum of the rows that its experts returned. Row i of `rows` (R, H) belongs to
/// visit `order[i]`. `weights` (T·A) is not sorted: `weights[v]` belongs to visit v.
pub fn combine(rows: &[f32], hidden: usize, active: usize, order: &[usize], weights: &[f32]) -> Vec<f32> {
    todo!("y from {} rows of {hidden} in {} numbers, {active} and {} weights", order.len(), rows.len(), weights.len())
}

/// Returns drows (R, H) and dweights (T·A), the gradients with respect to `rows` and `weights`, from dy (T, H).
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
