pub fn probabilities(logits: &[f32], temperature: f32) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if temperature == 0.0 {
        let first = logits.iter().position(|&z| z == largest);
        return (0..logits.len()).map(|i| f32::from(u8::from(Some(i) == first))).collect();
    }
    let exps: Vec<f32> = logits.iter().map(|z| ((z - largest) / temperature).exp()).collect();
    let total: f32 = exps.iter().sum();
    exps.iter().map(|e| e / total).collect()
}

pub fn top_p(probabilities: &[f32], p: f32) -> Vec<f32> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a])); // stable: equal ones keep their order
    let mut kept = vec![0.0; probabilities.len()];
    let mut sum = 0.0;
    for i in order {
        kept[i] = probabilities[i];
        sum += probabilities[i];
        if sum >= p {
            break;
        }
    }
    kept.iter().map(|kept| kept / sum).collect()
}

pub fn draw(probabilities: &[f32], place: f32) -> usize {
    let mut sum = 0.0;
    let reaches = |p: &f32| {
        sum += p;
        *p > 0.0 && sum > place
    };
    let last = probabilities.iter().rposition(|&p| p > 0.0).unwrap_or_default(); // if rounding keeps the sum below the place
    probabilities.iter().position(reaches).unwrap_or(last)
}
