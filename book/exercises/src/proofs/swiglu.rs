use super::{
    Case, Exercise, Layer, Mutant, NamedProof, Proof, because, close, derivative, equal, layer_proofs, random,
};
use crate::zoo;
use ossia::tensor::{Tensor, array, slice};

pub struct Swiglu {
    pub forward: fn(&[f32], f32, f32) -> Vec<f32>,
    pub backward: fn(&[f32], &[f32], f32, f32) -> Vec<f32>,
}

const ALPHA: f32 = 1.702;
const LIMIT: f32 = 7.0;

fn on_tensors(layer: &Swiglu, t: &[Tensor]) -> Tensor {
    let [rows, columns] = *t[0].shape() else { panic!("gate_up is (T, 2I), not {:?}", t[0].shape()) };
    let y = (layer.forward)(t[0].data(), ALPHA, LIMIT);
    let (gate_up, backward) = (t[0].value().clone(), layer.backward);
    Tensor::from_op(array(&[rows, columns / 2], y), &[&t[0]], || {
        Box::new(move |dy| vec![Some(array(gate_up.shape(), backward(slice(&dy), slice(&gate_up), ALPHA, LIMIT)))])
    })
}

impl Exercise for Swiglu {
    const NAME: &str = "swiglu";
    const LEARNED: &str = "A gate decides how much of each number passes. Because of the + 1, a pair whose up is zero still passes its gated \
        number. The clamps limit how large an output can become.";

    fn yours() -> Self {
        Self { forward: crate::swiglu::forward, backward: crate::swiglu::backward }
    }

    fn solution() -> Self {
        use crate::solutions::swiglu::{backward, forward};
        Self { forward, backward }
    }

    fn mutants() -> Vec<Mutant<Self>> {
        zoo::swiglu()
    }

    fn proofs() -> Vec<NamedProof<Self>> {
        layer_proofs()
    }

    fn sample(&self) -> Vec<f32> {
        Self::case().sample(self)
    }
}

impl Layer for Swiglu {
    fn case() -> Case<Self> {
        Case::read("swiglu", &["gate_up"], Box::new(on_tensors))
    }

    fn forward_at_the_edges(&self) -> Proof {
        let gated = |gate: f32| gate / (1.0 + (-ALPHA * gate).exp());
        let y = (self.forward)(&[2.0, 0.0, 1e9, 1e9, -20.0, -1e9, -1e9, -1e9, 0.0, 5.0], ALPHA, LIMIT);
        let expected = [gated(2.0), 8.0 * gated(7.0), -6.0 * gated(-20.0), 0.0, 0.0];
        let pairs = "the pairs (gate, up) are (2, 0), (10⁹, 10⁹), (−20, −10⁹), (−10⁹, −10⁹), (0, 5); \
                     the gate is clamped above only, up on both sides";
        because(close("y", &y, &expected, 1e-6), pairs)?;
        equal("the length of y", &(self.forward)(&[], ALPHA, LIMIT).len(), &0, "there are no pairs")
    }

    fn gradient(&self) -> Proof {
        let d = (self.backward)(&[1.0; 3], &[7.0, 7.0, 8.0, -8.0, 1e9, 0.0], ALPHA, LIMIT);
        equal("dgate_up", &d[..5].to_vec(), &vec![0.0; 5], "a number at its limit or beyond has the gradient 0")?;
        let x = random(&[3, 18], 1);
        let wide = array(x.shape(), slice(&x).iter().map(|x| 2.0 * x).collect());
        derivative(self, &["gate_up"], &[wide], on_tensors)
    }
}
