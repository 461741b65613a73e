use super::{Case, Layer, Mutant, Proof, claim, close, derivative, ids, numbers, random, reference};
use crate::zoo;
use ossia::tensor::{Tensor, array, slice};

pub struct TopK {
    pub forward: fn(&[f32], usize, usize) -> (Vec<u32>, Vec<f32>),
    pub backward: fn(&[f32], &[u32], &[f32], usize, usize) -> Vec<f32>,
}

fn on_tensors(layer: &TopK, logits: &Tensor, active: usize) -> Tensor {
    let [rows, experts] = *logits.shape() else { panic!("logits are (T, E), not {:?}", logits.shape()) };
    let (indices, weights) = (layer.forward)(logits.data(), experts, active);
    let (saved, backward) = (weights.clone(), layer.backward);
    Tensor::from_op(array(&[rows, active], weights), &[logits], || {
        Box::new(move |dw| vec![Some(array(&[rows, experts], backward(slice(&dw), &indices, &saved, experts, active)))])
    })
}

fn case() -> Case<TopK> {
    Case::read("top_k", &["logits"], Box::new(|layer, t| on_tensors(layer, &t[0], 3)))
}

impl Layer for TopK {
    const NAME: &str = "top_k";
    const WON: &str = "The weights of the chosen experts sum to one, whatever the others' logits are. So an expert that is not \
        chosen gets no gradient here; it is the load-balancing loss that can bring it back.";

    fn yours() -> Self {
        Self { forward: crate::top_k::forward, backward: crate::top_k::backward }
    }

    fn solution() -> Self {
        use crate::solutions::top_k::{backward, forward};
        Self { forward, backward }
    }

    fn mutants() -> Vec<Mutant<Self>> {
        zoo::top_k()
    }

    fn equals_the_reference(&self) -> Proof {
        let file = reference("top_k");
        let (indices, _) = (self.forward)(slice(&numbers(&file, "logits")), 8, 3);
        claim(indices == ids(&file, "indices"), "the experts are not those that the reference chose, in its order")?;
        case().check(self)
    }

    fn has_the_right_gradient(&self) -> Proof {
        // Logits so far apart that moving one a little does not change the choice.
        let logits = random(&[4, 5], 3);
        let apart = slice(&logits).iter().enumerate().map(|(i, z)| 0.2 * z + (i * 3 % 5) as f32).collect();
        derivative(self, &["logits"], &[array(&[4, 5], apart)], |layer, t| on_tensors(layer, &t[0], 2))
    }

    fn holds_at_the_edges(&self) -> Proof {
        claim((self.forward)(&[1.0; 8], 8, 3).0 == [0, 1, 2], "of equal logits the lower index wins")?;
        claim((self.forward)(&[0.0, 2.0, 5.0, 2.0, 2.0], 5, 3).0 == [2, 1, 3], "of equal logits the lower index wins")?;
        claim((self.forward)(&[-0.0, 0.0, -0.0, 0.0], 4, 2).0 == [0, 1], "0 and −0 are equal")?;
        let (indices, weights) = (self.forward)(&[1e30, -1e30, 3e38, 0.0], 4, 2);
        claim(indices == [2, 0], "huge logits are ordered as all others")?;
        close("the weights of huge logits", &weights, &[1.0, 0.0], 1e-6)?;
        claim((self.forward)(&[-5.0, -7.0], 2, 1).1 == [1.0], "a single expert has weight 1")
    }

    fn sample(&self) -> Vec<f32> {
        case().sample(self)
    }
}
