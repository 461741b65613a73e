
/// Calls your function for each sequence.
pub fn forward_batch(
    q: &[f32],
    k: &[f32],
    v: &[f32],
    sinks: &[f32],
    sequences: usize,
    shape: Shape,
) -> (Vec<f32>, Vec<f32>) {
    let (a, b) = (q.len() / sequences, k.len() / sequences);
    let of = |i: usize| yours::forward(&q[i * a..][..a], &k[i * b..][..b], &v[i * b..][..b], sinks, shape);
    // The second value is what the engine's own backward pass needs.
    ((0..sequences).flat_map(of).collect(), Vec::new())
}

/// Computes all gradients with your function.
pub fn backward(d_o: &[f32], saved: &Saved, sequences: usize, shape: Shape) -> Grads {
    let (a, b) = (d_o.len() / sequences, saved.k.len() / sequences);
    let mut grads = Grads { dq: vec![], dk: vec![], dv: vec![], dsinks: vec![0.0; saved.sinks.len()] };
    for i in 0..sequences {
        let (q, k, v) = (&saved.q[i * a..][..a], &saved.k[i * b..][..b], &saved.v[i * b..][..b]);
        let [dq, dk, dv, dsinks] = yours::backward(&d_o[i * a..][..a], q, k, v, saved.sinks, shape);
        grads.dq.extend(dq);
        grads.dk.extend(dk);
        grads.dv.extend(dv);
        grads.dsinks.iter_mut().zip(dsinks).for_each(|(sum, d)| *sum += d);
    }
    grads
}
