use crate::speed::Limits;

pub fn least_seconds(operations: f64, bytes: f64, limits: Limits) -> f64 {
    (operations / limits.operations).max(bytes / limits.bytes)
}

pub fn experts_read(experts: usize, active: usize, tokens: usize) -> f64 {
    let not_chosen = 1.0 - active as f64 / experts as f64;
    experts as f64 * (1.0 - not_chosen.powi(tokens as i32))
}

pub fn speedup(share: f64, factor: f64) -> f64 {
    1.0 / (1.0 - share + share / factor)
}

pub fn compare(pairs: &[(f64, f64)]) -> (f64, f64, f64) {
    let mut ratios: Vec<f64> = pairs.iter().map(|(old, new)| old / new).collect();
    ratios.sort_by(f64::total_cmp);
    let last = ratios.len() - 1;
    ((ratios[last / 2] + ratios[ratios.len() / 2]) / 2.0, ratios[0], ratios[last])
}
