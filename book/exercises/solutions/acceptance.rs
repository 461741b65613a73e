/// Draws a token with the probabilities `p`.
pub fn draw(p: &[f64], uniform: f64) -> usize {
    let mut sum = 0.0;
    let drawn = p.iter().position(|p| {
        sum += p;
        uniform < sum
    });
    drawn.unwrap_or_else(|| p.iter().rposition(|p| *p > 0.0).unwrap_or(0))
}

pub fn accepts(draft: usize, q: &[f64], p: &[f64], uniform: f64) -> bool {
    uniform * q[draft] < p[draft]
}

pub fn residual(q: &[f64], p: &[f64]) -> Vec<f64> {
    let more: Vec<f64> = p.iter().zip(q).map(|(p, q)| (p - q).max(0.0)).collect();
    let total: f64 = more.iter().sum();
    more.iter().map(|more| more / total).collect()
}

pub fn rate(q: &[f64], p: &[f64]) -> f64 {
    p.iter().zip(q).map(|(p, q)| p.min(*q)).sum()
}

pub fn check(drafts: &[usize], q: &[Vec<f64>], p: &[Vec<f64>], uniform: &mut dyn FnMut() -> f64) -> Vec<usize> {
    let mut tokens = Vec::new();
    for (i, &draft) in drafts.iter().enumerate() {
        if !accepts(draft, &q[i], &p[i], uniform()) {
            tokens.push(draw(&residual(&q[i], &p[i]), uniform()));
            return tokens;
        }
        tokens.push(draft);
    }
    tokens.push(draw(&p[drafts.len()], uniform()));
    tokens
}

pub fn tokens_per_pass(rate: f64, drafts: usize) -> f64 {
    // The token number i is added if the i drafts before it are accepted.
    (0..=drafts).map(|i| rate.powi(i as i32)).sum()
}
