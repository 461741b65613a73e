use super::{Case, Layer, Mutant, Proof, claim, derivative, ids, random, reference};
use crate::zoo;
use ossia::tensor::{Tensor, array, slice};

pub struct Embedding {
    pub forward: fn(&[u32], &[f32], usize) -> Vec<f32>,
    pub backward: fn(&[f32], &[u32], usize, usize) -> Vec<f32>,
}

fn on_tensors(layer: &Embedding, ids: &[u32], w: &Tensor) -> Tensor {
    let [vocabulary, hidden] = *w.shape() else { panic!("an embedding is (V, H), not {:?}", w.shape()) };
    let y = array(&[ids.len(), hidden], (layer.forward)(ids, w.data(), hidden));
    let (backward, ids) = (layer.backward, ids.to_vec());
    Tensor::from_op(y, &[w], || {
        Box::new(move |dy| vec![Some(array(&[vocabulary, hidden], backward(slice(&dy), &ids, vocabulary, hidden)))])
    })
}

fn case() -> Case<Embedding> {
    let ids = ids(&reference("embedding"), "ids");
    Case::read("embedding", &["w"], Box::new(move |layer, t| on_tensors(layer, &ids, &t[0])))
}

impl Layer for Embedding {
    const NAME: &str = "embedding";
    const WON: &str = "Looking up a row is a product with a one-hot vector that nobody writes out. Its way back is the \
        transpose of that product: it adds, and never overwrites. In a text most rows of W get nothing at all.";

    fn yours() -> Self {
        Self { forward: crate::embedding::forward, backward: crate::embedding::backward }
    }

    fn solution() -> Self {
        use crate::solutions::embedding::{backward, forward};
        Self { forward, backward }
    }

    fn mutants() -> Vec<Mutant<Self>> {
        zoo::embedding()
    }

    fn equals_the_reference(&self) -> Proof {
        case().check(self)
    }

    fn has_the_right_gradient(&self) -> Proof {
        derivative(self, &["w"], &[random(&[5, 3], 1)], |layer, t| on_tensors(layer, &[2, 2, 0, 4, 2], &t[0]))
    }

    fn holds_at_the_edges(&self) -> Proof {
        claim((self.forward)(&[], &[1.0; 6], 3).is_empty(), "no tokens have no rows")?;
        claim((self.forward)(&[1], &[1.0, 2.0, 3.0, 4.0], 2) == [3.0, 4.0], "token 1 is the second row")?;
        claim((self.backward)(&[], &[], 2, 2) == [0.0; 4], "without tokens dW is zero, but it is there")
    }

    fn sample(&self) -> Vec<f32> {
        case().sample(self)
    }
}
