use super::{
    Case, EDGES, Exercise, FORWARD, GRADIENT, GRADIENTS, Mutant, NamedProof, Proof, because, close, derivative, equal,
    ids, numbers, random, reference,
};
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

impl Exercise for TopK {
    const NAME: &str = "top_k";
    const LEARNED: &str = "The weights of the chosen experts sum to 1, whatever the logits of the others are. So an expert that is not chosen \
        gets no gradient here. Only the load-balancing loss can bring it back.";

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

    fn proofs() -> Vec<NamedProof<Self>> {
        vec![
            (FORWARD, Self::forward_equals_the_reference),
            (EDGES, Self::forward_at_the_edges),
            (GRADIENT, Self::gradient),
            (GRADIENTS, |layer| case().check_gradients(layer)),
        ]
    }

    fn sample(&self) -> Vec<f32> {
        case().sample(self)
    }
}

impl TopK {
    fn forward_equals_the_reference(&self) -> Proof {
        let file = reference("top_k");
        let (indices, _) = (self.forward)(slice(&numbers(&file, "logits")), 8, 3);
        equal("the choice", &indices, &ids(&file, "indices"), "the order is that of falling logits")?;
        case().check_forward(self)
    }

    fn forward_at_the_edges(&self) -> Proof {
        let chosen = |logits: &[f32], active: usize, expected: &[u32], why: &str| {
            equal("the choice", &(self.forward)(logits, logits.len(), active).0, &expected.to_vec(), why)
        };
        chosen(&[1.0; 8], 3, &[0, 1, 2], "of equal logits the lowest index wins")?;
        chosen(
            &[0.0, 2.0, 5.0, 2.0, 2.0],
            3,
            &[2, 1, 3],
            "the logits are 0 2 5 2 2; of equal ones the lowest index wins",
        )?;
        chosen(&[-0.0, 0.0, -0.0, 0.0], 2, &[0, 1], "0 and −0 are equal")?;
        let (indices, weights) = (self.forward)(&[1e30, -1e30, 3e38, 0.0], 4, 2);
        equal("the choice", &indices, &vec![2, 0], "the logits are 10³⁰, −10³⁰, 3·10³⁸, 0")?;
        because(close("weights", &weights, &[1.0, 0.0], 1e-6), "the logits are 3·10³⁸ and 10³⁰")?;
        equal("weights", &(self.forward)(&[-5.0, -7.0], 2, 1).1, &vec![1.0], "a single expert has the weight 1")
    }

    fn gradient(&self) -> Proof {
        // Logits so far apart that moving one a little does not change the choice.
        let logits = random(&[4, 5], 3);
        let apart = slice(&logits).iter().enumerate().map(|(i, z)| 0.2 * z + (i * 3 % 5) as f32).collect();
        derivative(self, &["logits"], &[array(&[4, 5], apart)], |layer, t| on_tensors(layer, &t[0], 2))
    }
}
