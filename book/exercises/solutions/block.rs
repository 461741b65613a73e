use crate::parts::Part;

fn sum(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

pub fn forward(x: &[f32], norms: [&dyn Part; 2], attention: &dyn Part, experts: &dyn Part) -> (Vec<f32>, Vec<f32>) {
    let h = sum(x, &attention.forward(&norms[0].forward(x)));
    let y = sum(&h, &experts.forward(&norms[1].forward(&h)));
    (h, y)
}

pub fn backward(
    dy: &[f32],
    x: &[f32],
    h: &[f32],
    norms: [&dyn Part; 2],
    attention: &dyn Part,
    experts: &dyn Part,
) -> Vec<f32> {
    let through = |part: &dyn Part, norm: &dyn Part, x: &[f32], dy: &[f32]| {
        norm.backward(x, &part.backward(&norm.forward(x), dy))
    };
    let dh = sum(dy, &through(experts, norms[1], h, dy));
    sum(&dh, &through(attention, norms[0], x, &dh))
}
