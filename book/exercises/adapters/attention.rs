
/// Calls your function for each sequence.
fn yours_forward(
    q: &[f32],
    k: &[f32],
    v: &[f32],
    sinks: &[f32],
    sequences: &Sequences,
    shape: Shape,
) -> (Vec<f32>, Vec<f32>) {
    let (a, b) = (shape.query_width(), shape.kv_width());
    let of = |rows: Range<usize>| {
        let kv = rows.start * b..rows.end * b;
        yours::forward(&q[rows.start * a..rows.end * a], &k[kv.clone()], &v[kv], sinks, shape)
    };
    // The second value is what the engine's own backward pass needs.
    (sequences.iter().flat_map(of).collect(), Vec::new())
}

/// Computes all gradients with your function.
fn yours_backward(d_o: &[f32], saved: &backward::Saved, sequences: &Sequences, shape: Shape) -> backward::Grads {
    let (a, b) = (shape.query_width(), shape.kv_width());
    let mut grads = backward::Grads { dq: vec![], dk: vec![], dv: vec![], dsinks: vec![0.0; saved.sinks.len()] };
    for rows in sequences.iter() {
        let (of_q, of_kv) = (rows.start * a..rows.end * a, rows.start * b..rows.end * b);
        let (q, k, v) = (&saved.q[of_q.clone()], &saved.k[of_kv.clone()], &saved.v[of_kv]);
        let [dq, dk, dv, dsinks] = yours::backward(&d_o[of_q], q, k, v, saved.sinks, shape);
        grads.dq.extend(dq);
        grads.dk.extend(dk);
        grads.dv.extend(dv);
        grads.dsinks.iter_mut().zip(dsinks).for_each(|(sum, d)| *sum += d);
    }
    grads
}
