use super::{Case, Layer, Mutant, Proof, claim, close, derivative, ids, numbers, random, reference};
use crate::zoo;
use ossia::ops::attention::Shape;
use ossia::ops::shape::{concat, narrow, reshape};
use ossia::tensor::{Array, Tensor, array, slice};

pub struct Attention {
    pub forward: fn(&[f32], &[f32], &[f32], &[f32], Shape) -> Vec<f32>,
    pub backward: fn(&[f32], &[f32], &[f32], &[f32], &[f32], Shape) -> [Vec<f32>; 4],
}

fn on_tensors(layer: &Attention, t: &[Tensor], shape: Shape) -> Tensor {
    let o = (layer.forward)(t[0].data(), t[1].data(), t[2].data(), t[3].data(), shape);
    let values: Vec<Array> = t.iter().map(|t| t.value().clone()).collect();
    let backward = layer.backward;
    Tensor::from_op(array(t[0].shape(), o), &t.iter().collect::<Vec<_>>(), || {
        Box::new(move |d_o| {
            let [q, k, v, sinks] = [0, 1, 2, 3].map(|i| slice(&values[i]));
            let gradients = backward(slice(&d_o), q, k, v, sinks, shape);
            gradients.into_iter().zip(&values).map(|(d, x)| Some(array(x.shape(), d))).collect()
        })
    })
}

/// The reference's (B, T, …), a sequence after another.
fn by_sequence(layer: &Attention, t: &[Tensor], batch: usize, shape: Shape) -> Tensor {
    let rows = |x: &Tensor| {
        let width = x.shape().last().copied().unwrap_or(1);
        reshape(x, &[x.data().len() / width, width])
    };
    let [q, k, v] = [0, 1, 2].map(|i| rows(&t[i]));
    let tokens = q.shape()[0] / batch;
    let sequence = |x: &Tensor, b: usize| narrow(x, 0, b * tokens, tokens);
    let of = |b: usize| on_tensors(layer, &[sequence(&q, b), sequence(&k, b), sequence(&v, b), t[3].clone()], shape);
    let all: Vec<Tensor> = (0..batch).map(of).collect();
    concat(&all.iter().collect::<Vec<_>>(), 0)
}

const CASES: [&str; 6] = ["one_token", "full", "window_shorter", "window_of_one", "window_equal", "window_longer"];

fn case(name: &'static str) -> Case<Attention> {
    let file = reference("attention");
    let [batch, _, heads, kv_heads, head_dim, window] = ids(&file, &format!("{name}.shape"))[..] else {
        panic!("six numbers")
    };
    let [heads, kv_heads, head_dim] = [heads, kv_heads, head_dim].map(|n| n as usize);
    let shape = Shape { heads, kv_heads, head_dim, window: (window > 0).then_some(window as usize) };
    let of = |tensor: &str| numbers(&file, &format!("{name}.{tensor}"));
    Case {
        name,
        inputs: ["q", "k", "v", "sinks"].map(|input| (input, of(input))).into(),
        run: Box::new(move |layer, t| by_sequence(layer, t, batch as usize, shape)),
        y: of("y"),
        dy: of("dy"),
        gradients: ["dq", "dk", "dv", "dsinks"].map(of).into(),
    }
}

impl Layer for Attention {
    const NAME: &str = "attention";
    const WON: &str = "A query of gpt-oss may look at nothing: what the sink takes is lost on purpose. The engine computes this \
        in tiles and never holds a row of probabilities; what you wrote is the twin that it is tested against.";

    fn yours() -> Self {
        Self { forward: crate::attention::forward, backward: crate::attention::backward }
    }

    fn solution() -> Self {
        use crate::solutions::attention::{backward, forward};
        Self { forward, backward }
    }

    fn mutants() -> Vec<Mutant<Self>> {
        zoo::attention()
    }

    fn equals_the_reference(&self) -> Proof {
        CASES.iter().try_for_each(|name| case(name).check(self))
    }

    fn has_the_right_gradient(&self) -> Proof {
        let shape = Shape { heads: 4, kv_heads: 2, head_dim: 3, window: Some(3) };
        let inputs = [random(&[6, 12], 1), random(&[6, 6], 2), random(&[6, 6], 3), random(&[4], 4)];
        derivative(self, &["q", "k", "v", "sinks"], &inputs, |layer, t| on_tensors(layer, t, shape))
    }

    fn holds_at_the_edges(&self) -> Proof {
        // Values are one-hot by position, so the output lists the probabilities.
        let (tokens, window) = (6, 3);
        let shape = Shape { heads: 1, kv_heads: 1, head_dim: tokens, window: Some(window) };
        let v: Vec<f32> = (0..tokens * tokens).map(|i| f32::from(u8::from(i / tokens == i % tokens))).collect();
        let zeros = vec![0.0; tokens * tokens];
        let p = (self.forward)(&zeros, &zeros, &v, &[0.0], shape);
        for t in 0..tokens {
            let seen = (0..tokens).filter(|&j| p[t * tokens + j] > 0.0).count();
            let expected = (t + 1).min(window);
            claim(
                seen == expected,
                &format!("query {t} sees {seen} keys; with a window of {window} it is {expected}"),
            )?;
            let share = 1.0 / (expected as f32 + 1.0);
            claim((p[t * tokens + t] - share).abs() < 1e-6, "equal scores and a sink of 0 share evenly")?;
        }
        let small = Shape { heads: 1, kv_heads: 1, head_dim: 1, window: None };
        let sunk = |sink: f32| (self.forward)(&[0.0], &[0.0], &[1.0], &[sink], small)[0];
        claim((sunk(f32::NEG_INFINITY) - 1.0).abs() < 1e-6, "a sink of −∞ takes nothing")?;
        claim(sunk(60.0).abs() < 1e-6, "a sink of 60 takes everything")?;
        let huge = (self.forward)(&[1e4, 1e4], &[1e4, -1e4], &[1.0, 2.0], &[0.0], small);
        close("o of scores of ±10⁸", &huge, &[1.0, 1.0], 1e-6)
    }

    fn sample(&self) -> Vec<f32> {
        ["full", "window_shorter"].iter().flat_map(|name| case(name).sample(self)).collect()
    }
}
