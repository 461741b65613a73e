fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

pub fn forward(gate_up: &[f32], alpha: f32, limit: f32) -> Vec<f32> {
    let one = |pair: &[f32]| {
        let (gate, up) = (pair[0].min(limit), pair[1].clamp(-limit, limit));
        (up + 1.0) * gate * sigmoid(alpha * gate)
    };
    gate_up.chunks_exact(2).map(one).collect()
}

pub fn backward(dy: &[f32], gate_up: &[f32], alpha: f32, limit: f32) -> Vec<f32> {
    let mut dgate_up = Vec::new();
    for (pair, dy) in gate_up.chunks_exact(2).zip(dy) {
        let (gate, up) = (pair[0].min(limit), pair[1].clamp(-limit, limit));
        let s = sigmoid(alpha * gate);
        let dgate = dy * (up + 1.0) * s * (1.0 + alpha * gate * (1.0 - s));
        dgate_up.push(if pair[0] < limit { dgate } else { 0.0 });
        dgate_up.push(if pair[1].abs() < limit { dy * gate * s } else { 0.0 });
    }
    dgate_up
}
