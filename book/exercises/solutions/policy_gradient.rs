use crate::policy_gradient::Rollout;

pub fn advantages(rewards: &[f32]) -> Option<Vec<f32>> {
    if rewards.iter().all(|reward| *reward == rewards[0]) {
        return None;
    }
    let mean = rewards.iter().map(|&reward| f64::from(reward)).sum::<f64>() / rewards.len() as f64;
    Some(rewards.iter().map(|&reward| (f64::from(reward) - mean) as f32).collect())
}

/// Returns N, the number of tokens in all rollouts that the model wrote.
pub fn written(rollouts: &[Rollout]) -> f32 {
    rollouts.iter().map(length).sum()
}

/// Returns |o|, the number of tokens in a rollout that the model wrote.
pub fn length(rollout: &Rollout) -> f32 {
    rollout.own.iter().filter(|own| **own).count() as f32
}

/// Returns the weight of each token. `weight` has those of the tokens that the model wrote.
pub fn masked(rollouts: &[Rollout], weight: impl Fn(&Rollout, usize) -> f32) -> Vec<Vec<f32>> {
    let of = |rollout: &Rollout, t: usize| if rollout.own[t] { weight(rollout, t) } else { 0.0 };
    rollouts.iter().map(|rollout| (0..rollout.own.len()).map(|t| of(rollout, t)).collect()).collect()
}

pub fn weights(rollouts: &[Rollout]) -> Vec<Vec<f32>> {
    let tokens = written(rollouts);
    masked(rollouts, |rollout, _| rollout.advantage / tokens)
}

/// Returns ρ.
pub fn ratio(rollout: &Rollout, t: usize) -> f32 {
    (rollout.now[t] - rollout.old[t]).exp()
}

pub fn cispo(rollouts: &[Rollout], clip: f32) -> Vec<Vec<f32>> {
    let tokens = written(rollouts);
    masked(rollouts, |rollout, t| ratio(rollout, t).min(1.0 + clip) * rollout.advantage / tokens)
}

/// Returns s.
pub fn sequence_ratio(rollout: &Rollout) -> f32 {
    let own = (0..rollout.own.len()).filter(|t| rollout.own[*t]);
    (own.map(|t| rollout.now[t] - rollout.old[t]).sum::<f32>() / length(rollout)).exp()
}

pub fn gspo(rollouts: &[Rollout], clip: f32) -> Vec<Vec<f32>> {
    masked(rollouts, |rollout, _| {
        let (s, advantage) = (sequence_ratio(rollout), rollout.advantage);
        let clipped = if advantage > 0.0 { s > 1.0 + clip } else { s < 1.0 - clip };
        if clipped { 0.0 } else { s * advantage / (length(rollout) * rollouts.len() as f32) }
    })
}

pub fn loss(logits: &[f32], targets: &[u32], weights: &[f32]) -> (f32, Vec<f32>) {
    let (mut loss, mut dz) = (0.0, Vec::new());
    for ((z, &target), weight) in logits.chunks_exact(logits.len() / targets.len()).zip(targets).zip(weights) {
        let largest = z.iter().fold(f32::NEG_INFINITY, |a, b| a.max(*b));
        let exps: Vec<f32> = z.iter().map(|z| (z - largest).exp()).collect();
        let total: f32 = exps.iter().sum();
        loss += weight * (total.ln() + largest - z[target as usize]);
        let hit = |v: usize| f32::from(v == target as usize);
        dz.extend(exps.iter().enumerate().map(|(v, exp)| weight * (exp / total - hit(v))));
    }
    (loss, dz)
}
