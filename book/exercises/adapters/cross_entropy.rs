
/// Computes the loss of each row with your function.
fn row_losses(z: &mut [f32], targets: &[u32], losses: &mut [f32], share: Option<f32>) {
    let vocabulary = z.len() / targets.len();
    for ((z, target), loss) in z.chunks_exact_mut(vocabulary).zip(targets).zip(losses) {
        if *target == IGNORE {
            z.fill(0.0);
            continue;
        }
        *loss = yours::forward(z, &[*target])[0];
        if let Some(share) = share {
            let dz = yours::backward(&[share], z, &[*target]);
            z.copy_from_slice(&dz);
        }
    }
}
