use ossia::ops::attention::Shape;

/// The probabilities of one query over the keys that it sees, `first` and on, and that of the sink.
fn probabilities(q: &[f32], k: &[f32], sink: f32, kv_head: usize, t: usize, shape: Shape) -> (usize, Vec<f32>, f32) {
    let first = shape.first_visible(t);
    let key = |j: usize| &k[j * shape.kv_width() + kv_head * shape.head_dim..][..shape.head_dim];
    let score = |j: usize| q.iter().zip(key(j)).map(|(q, k)| q * k).sum::<f32>() * shape.scale();
    let scores: Vec<f32> = (first..=t).map(score).collect();
    let largest = scores.iter().copied().fold(sink, f32::max);
    let exps: Vec<f32> = scores.iter().map(|s| (s - largest).exp()).collect();
    let total = exps.iter().sum::<f32>() + (sink - largest).exp();
    (first, exps.iter().map(|e| e / total).collect(), (sink - largest).exp() / total)
}

pub fn forward(q: &[f32], k: &[f32], v: &[f32], sinks: &[f32], shape: Shape) -> Vec<f32> {
    let dim = shape.head_dim;
    let mut o = vec![0.0; q.len()];
    for (row, (q, o)) in q.chunks_exact(dim).zip(o.chunks_exact_mut(dim)).enumerate() {
        let (t, head) = (row / shape.heads, row % shape.heads);
        let kv_head = head / shape.group();
        let (first, p, _) = probabilities(q, k, sinks[head], kv_head, t, shape);
        for (j, p) in (first..).zip(p) {
            let v = &v[j * shape.kv_width() + kv_head * dim..][..dim];
            o.iter_mut().zip(v).for_each(|(o, v)| *o += p * v);
        }
    }
    o
}

pub fn backward(d_o: &[f32], q: &[f32], k: &[f32], v: &[f32], sinks: &[f32], shape: Shape) -> [Vec<f32>; 4] {
    let (dim, width) = (shape.head_dim, shape.kv_width());
    let (mut dq, mut dk, mut dv, mut dsinks) =
        (vec![0.0; q.len()], vec![0.0; k.len()], vec![0.0; v.len()], vec![0.0; sinks.len()]);
    for (row, (q, d_o)) in q.chunks_exact(dim).zip(d_o.chunks_exact(dim)).enumerate() {
        let (t, head) = (row / shape.heads, row % shape.heads);
        let at = |j: usize| j * width + head / shape.group() * dim..j * width + head / shape.group() * dim + dim;
        let (first, p, p_sink) = probabilities(q, k, sinks[head], head / shape.group(), t, shape);
        let dp: Vec<f32> = (first..=t).map(|j| d_o.iter().zip(&v[at(j)]).map(|(d, v)| d * v).sum()).collect();
        let mean: f32 = p.iter().zip(&dp).map(|(p, dp)| p * dp).sum();
        for ((j, p), dp) in (first..).zip(&p).zip(&dp) {
            let ds = p * (dp - mean) * shape.scale();
            for i in 0..dim {
                dq[row * dim + i] += ds * k[at(j)][i];
                dk[at(j)][i] += ds * q[i];
                dv[at(j)][i] += p * d_o[i];
            }
        }
        dsinks[head] -= p_sink * mean; // its value is zero, so its dp is
    }
    [dq, dk, dv, dsinks]
}
