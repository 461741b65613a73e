use super::{Case, Layer, Mutant, Proof, claim, close, derivative, random};
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

fn case() -> Case<Swiglu> {
    Case::read("swiglu", &["gate_up"], Box::new(on_tensors))
}

impl Layer for Swiglu {
    const NAME: &str = "swiglu";
    const WON: &str = "A gate of its own decides how much of each number passes. The + 1 lets a number pass whose up is zero; \
        the clamps keep what a four-bit weight made too large from drowning the rest.";

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

    fn equals_the_reference(&self) -> Proof {
        case().check(self)
    }

    fn has_the_right_gradient(&self) -> Proof {
        let x = random(&[3, 18], 1);
        let wide = array(x.shape(), slice(&x).iter().map(|x| 2.0 * x).collect());
        derivative(self, &["gate_up"], &[wide], on_tensors)
    }

    fn holds_at_the_edges(&self) -> Proof {
        let gated = |gate: f32| gate / (1.0 + (-ALPHA * gate).exp());
        let y = (self.forward)(&[2.0, 0.0, 1e9, 1e9, -20.0, -1e9, -1e9, -1e9, 0.0, 5.0], ALPHA, LIMIT);
        let expected = [gated(2.0), 8.0 * gated(7.0), -6.0 * gated(-20.0), 0.0, 0.0];
        close(
            "y of up = 0, of both too large, of a gate of −20, of both too small, of gate = 0:",
            &y,
            &expected,
            1e-6,
        )?;
        let d = (self.backward)(&[1.0; 3], &[7.0, 7.0, 8.0, -8.0, 1e9, 0.0], ALPHA, LIMIT);
        claim(d[..5] == [0.0; 5], "what is clamped, or stands at the limit, has gradient 0")?;
        claim((self.forward)(&[], ALPHA, LIMIT).is_empty(), "nothing stays nothing")
    }

    fn sample(&self) -> Vec<f32> {
        case().sample(self)
    }
}
