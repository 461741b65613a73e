//! The dense SwiGLU that replaces the experts in chosen layers.
//!
//! Book: [swiglu](../../book/src/swiglu.md)

use crate::common::{assert_derivative, random};
use ossia::config::ModelConfig;
use ossia::error::Result;
use ossia::layers::{Layer, Mlp};
use ossia::model::Transformer;
use ossia::ops::elementwise::{add, clamp, mul, scale, sigmoid};
use ossia::ops::linear::linear;
use ossia::ops::shape::{narrow, reshape};
use ossia::parameter::{Request, Scope, Source, Value};
use ossia::tensor::{Tensor, array, slice};

/// Gives out tensors that were made elsewhere, in the order in which a layer asks.
struct Given<'t>(std::slice::Iter<'t, Tensor>);

impl Source for Given<'_> {
    fn value(&mut self, Request { name, shape, .. }: Request) -> Result<Value> {
        let tensor = self.0.next().unwrap_or_else(|| panic!("nothing left for {name}"));
        assert_eq!(tensor.shape(), shape, "{name}");
        Ok(tensor.into())
    }
}

fn config() -> ModelConfig {
    ModelConfig {
        layers: 2,
        windows: vec![Some(3), None],
        hidden_size: 8,
        heads: 2,
        kv_heads: 1,
        head_dim: 4,
        vocab_size: 20,
        experts: 3,
        intermediate_size: 5,
        dense_layers: vec![0],
        dense_intermediate_size: 7,
        ..ModelConfig::nano()
    }
}

/// x·W₁ᵀ + b₁, split in gates and ups, clamped, multiplied, ·W₂ᵀ + b₂, of elementary operations alone.
fn naive(t: &[Tensor]) -> Tensor {
    let gate_up = linear(&t[0], &t[1], Some(&t[2]));
    let [rows, columns] = *gate_up.shape() else { panic!("a matrix") };
    let pairs = reshape(&gate_up, &[rows * columns / 2, 2]);
    let gate = clamp(&narrow(&pairs, 1, 0, 1), f32::NEG_INFINITY, 7.0);
    let up = clamp(&narrow(&pairs, 1, 1, 1), -7.0, 7.0);
    let one = Tensor::constant(array(&[1], vec![1.0]));
    let inner = mul(&add(&up, &one), &mul(&gate, &sigmoid(&scale(&gate, 1.702))));
    linear(&reshape(&inner, &[rows, columns / 2]), &t[3], Some(&t[4]))
}

#[test]
fn mlp_there_and_back_is_the_composition() {
    for tokens in [1, 5] {
        let shapes: [&[usize]; 5] = [&[tokens, 8], &[14, 8], &[14], &[8, 7], &[8]];
        let inputs: Vec<_> = shapes.iter().zip(1..).map(|(shape, seed)| random(shape, seed)).collect();
        let layer =
            |t: &[Tensor]| Mlp::new(&mut Scope::new(&mut Given(t[1..].iter())), &config()).unwrap().forward(&t[0]);
        assert_derivative(&inputs, layer, naive);
    }
}

/// A model with a dense layer and one of experts: every gradient against central differences of the whole model.
#[test]
fn mlp_in_a_model_has_the_gradients_of_central_differences() {
    let mut model = Transformer::random(&config(), 1);
    let tokens = ndarray::Array2::from_shape_vec((1, 6), vec![3, 1, 4, 1, 5, 9]).unwrap();
    let loss = |model: &Transformer| model.loss(&model.forward(tokens.view(), None), &[1, 4, 1, 5, 9, 2]).total;
    let gradients = loss(&model).backward();
    let names: Vec<String> = model.parameters().into_iter().map(|parameter| parameter.name().to_string()).collect();
    assert!(names.contains(&"layers.0.mlp.gate_up.weight".into()), "{names:?}");
    assert!(names.contains(&"layers.1.experts.down.weight".into()), "{names:?}");
    for (i, name) in names.iter().enumerate().filter(|(_, name)| name.contains(".mlp.") && !name.contains("norm")) {
        let expected = slice(gradients.get(model.parameters()[i].tensor()).unwrap()).to_vec();
        let largest = (0..expected.len()).max_by(|&a, &b| expected[a].abs().total_cmp(&expected[b].abs())).unwrap();
        let mut at = |change: f32| {
            model.parameters_mut()[i].tensor_mut().data_mut()[largest] += change;
            let value = f64::from(loss(&model).item());
            model.parameters_mut()[i].tensor_mut().data_mut()[largest] -= change;
            value
        };
        let slope = (at(5e-3) - at(-5e-3)) / 1e-2;
        let error = (slope - f64::from(expected[largest])).abs() / f64::from(expected[largest].abs()).max(1e-3);
        assert!(error < 0.03, "{name}[{largest}]: {} derived, {slope} measured", expected[largest]);
    }
}
