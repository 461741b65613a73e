use super::{
    Case, Exercise, Layer, Mutant, NamedProof, Proof, derivative, equal, ids, layer_proofs, random, reference,
};
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

impl Exercise for Embedding {
    const NAME: &str = "embedding";
    const LEARNED: &str = "Looking up a row is a product with a one-hot vector that nobody writes out. The backward pass is the transpose of \
        this product: it adds and never overwrites. Most rows of W get no gradient from a text.";

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

    fn proofs() -> Vec<NamedProof<Self>> {
        layer_proofs()
    }

    fn sample(&self) -> Vec<f32> {
        Self::case().sample(self)
    }
}

impl Layer for Embedding {
    fn case() -> Case<Self> {
        let ids = ids(&reference("embedding"), "ids");
        Case::read("embedding", &["w"], Box::new(move |layer, t| on_tensors(layer, &ids, &t[0])))
    }

    fn forward_at_the_edges(&self) -> Proof {
        equal("the length of y", &(self.forward)(&[], &[1.0; 6], 3).len(), &0, "there are no tokens")?;
        let y = (self.forward)(&[1], &[1.0, 2.0, 3.0, 4.0], 2);
        equal("y", &y, &vec![3.0, 4.0], "the table is 1 2, 3 4, and token 1 has the second row")
    }

    fn gradient(&self) -> Proof {
        let dw = (self.backward)(&[], &[], 2, 2);
        equal("dw", &dw, &vec![0.0; 4], "without tokens every row of W has the gradient 0")?;
        derivative(self, &["w"], &[random(&[5, 3], 1)], |layer, t| on_tensors(layer, &[2, 2, 0, 4, 2], &t[0]))
    }
}
