use super::{
    Case, Exercise, FORWARD, GRADIENT, GRADIENTS, Mutant, NamedProof, Proof, because, close, derivative, equal, ids,
    numbers, random, reference,
};
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

impl Exercise for Attention {
    const NAME: &str = "attention";
    const LEARNED: &str = "A query of gpt-oss can look at nothing, because the share of the sink is lost on purpose. The engine computes \
        attention in tiles and never holds a row of probabilities. Code like yours is what it is tested against.";

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

    fn proofs() -> Vec<NamedProof<Self>> {
        vec![
            ("without_sinks_each_query_averages_its_values", Self::without_sinks),
            ("the_sink_takes_its_share", Self::sinks),
            (FORWARD, |layer| CASES.iter().try_for_each(|name| case(name).check_forward(layer))),
            (GRADIENT, Self::gradient),
            (GRADIENTS, |layer| CASES.iter().try_for_each(|name| case(name).check_gradients(layer))),
        ]
    }

    fn sample(&self) -> Vec<f32> {
        ["full", "window_shorter"].iter().flat_map(|name| case(name).sample(self)).collect()
    }
}

impl Attention {
    /// Sinks of −∞ take nothing. Values are one-hot by position, so that the output lists the probabilities.
    fn without_sinks(&self) -> Proof {
        let (tokens, none) = (6, f32::NEG_INFINITY);
        let one_hot: Vec<f32> = (0..tokens * tokens).map(|i| f32::from(u8::from(i / tokens == i % tokens))).collect();
        let zeros = vec![0.0; tokens * tokens];
        for window in [None, Some(3)] {
            let shape = Shape { heads: 1, kv_heads: 1, head_dim: tokens, window };
            let p = (self.forward)(&zeros, &zeros, &one_hot, &[none], shape);
            for t in 0..tokens {
                let seen: Vec<usize> = (0..tokens).filter(|&j| p[t * tokens + j] > 0.0).collect();
                let expected: Vec<usize> = (window.map_or(0, |w| (t + 1).saturating_sub(w))..=t).collect();
                equal(
                    &format!("with the window {window:?}, what query {t} sees"),
                    &seen,
                    &expected,
                    "keys are from 0",
                )?;
                let share = p[t * tokens + t];
                let why = format!("{} equal scores share evenly, and a sink of −∞ takes nothing", expected.len());
                because(close("the probability of a key", &[share], &[1.0 / expected.len() as f32], 1e-6), &why)?;
            }
        }
        let small = Shape { heads: 1, kv_heads: 1, head_dim: 1, window: None };
        let huge = (self.forward)(&[1e4, 1e4], &[1e4, -1e4], &[1.0, 2.0], &[none], small);
        because(close("o", &huge, &[1.0, 1.0], 1e-6), "the scores are ±10⁸; subtract the largest first")?;
        let scaled = Shape { head_dim: 4, ..small };
        let o = (self.forward)(
            &[0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0],
            &[2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            &[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            &[none],
            scaled,
        );
        let expected = 2.0_f32.exp() / (2.0_f32.exp() + 1.0);
        because(close("o[4]", &o[4..5], &[expected], 1e-6), "q·k is 4, D is 4, so the scores are 4/√4 = 2 and 0")
    }

    fn sinks(&self) -> Proof {
        let small = Shape { heads: 1, kv_heads: 1, head_dim: 1, window: None };
        let sunk = |sink: f32| (self.forward)(&[0.0], &[0.0], &[1.0], &[sink], small);
        for (sink, expected) in [(0.0, 0.5), (60.0, 0.0), (f32::NEG_INFINITY, 1.0), (1.0, 1.0 / (1.0 + 1.0_f32.exp()))]
        {
            let why = format!("one key with the score 0 and the value 1, beside a sink of {sink}");
            let distance = (sunk(sink)[0] - expected).abs();
            if distance.is_nan() || distance > 1e-6 {
                return Err(format!("o is {}, expected {expected}: {why}", sunk(sink)[0]));
            }
        }
        Ok(())
    }

    fn gradient(&self) -> Proof {
        let shape = Shape { heads: 4, kv_heads: 2, head_dim: 3, window: Some(3) };
        let inputs = [random(&[6, 12], 1), random(&[6, 6], 2), random(&[6, 6], 3), random(&[4], 4)];
        derivative(self, &["q", "k", "v", "sinks"], &inputs, |layer, t| on_tensors(layer, t, shape))
    }
}
