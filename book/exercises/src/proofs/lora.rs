use super::{
    Case, Exercise, FORWARD, GRADIENT, GRADIENTS, Mutant, NamedProof, Proof, because, close, derivative, equal, ids,
    numbers, random, reference,
};
use crate::zoo;
use ndarray::ArrayView2;
use ossia::checkpoint;
use ossia::error::Result;
use ossia::layers::{Adapter, Lora as Correction};
use ossia::ops::cross_entropy::{IGNORE, cross_entropy};
use ossia::ops::elementwise::mul;
use ossia::ops::linear::linear;
use ossia::ops::reduce::sum;
use ossia::parameter::{Parameter, Request, Role, Source, Value};
use ossia::tensor::{Array, Tensor, array, slice};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use std::collections::VecDeque;

pub struct Lora {
    pub forward: fn(&[f32], &[f32], &[f32], &[f32], usize, f32) -> Vec<f32>,
    pub new_factors: fn(usize, usize, usize, &mut dyn FnMut() -> f32) -> (Vec<f32>, Vec<f32>),
    pub trained: fn(usize, usize, usize) -> usize,
    pub backward: fn(&[f32], &[f32], &[f32], &[f32], &[f32], usize, f32) -> (Vec<f32>, Vec<f32>, Vec<f32>),
    pub merge: fn(&[f32], &[f32], &[f32], usize, f32) -> Vec<f32>,
}

impl Exercise for Lora {
    const NAME: &str = "lora";
    const LEARNED: &str = "The backward pass multiplies dy by the frozen matrix, but never computes a gradient of it. B \
        begins with zeros, so that a new correction changes nothing, and A does not, so that B can learn. After \
        training, you can add the correction to the matrix, and then it costs nothing.";

    fn yours() -> Self {
        use crate::lora::{backward, forward, merge, new_factors, trained};
        Self { forward, new_factors, trained, backward, merge }
    }

    fn solution() -> Self {
        use crate::solutions::lora::{backward, forward, merge, new_factors, trained};
        Self { forward, new_factors, trained, backward, merge }
    }

    fn mutants() -> Vec<Mutant<Self>> {
        zoo::lora()
    }

    fn proofs() -> Vec<NamedProof<Self>> {
        vec![
            ("the_correction_is_added_to_the_frozen_product", Self::corrects),
            ("a_new_correction_changes_nothing", Self::begins_with_no_effect),
            ("the_factors_begin_with_random_numbers_and_zeros", Self::begins),
            ("only_the_factors_are_trained", Self::counts),
            (FORWARD, Self::forward_as_peft),
            (GRADIENT, Self::gradient),
            ("in_the_first_step_only_b_has_a_gradient", Self::first_step),
            ("the_gradients_equal_the_engine", |lora| case([7, 9, 4], 3, 6.0).check_gradients(lora)),
            (GRADIENTS, Self::gradients_as_peft),
            ("the_merged_matrix_computes_the_same", Self::merges),
            ("the_merged_matrix_equals_the_engine", Self::merges_as_the_engine),
        ]
    }

    fn sample(&self) -> Vec<f32> {
        let (a, b) = (self.new_factors)(5, 3, 2, &mut draws());
        let Example { w, a: trained_a, b: trained_b, .. } = example([4, 5, 3], 2);
        let merged = (self.merge)(slice(&w), slice(&trained_a), slice(&trained_b), 2, 1.5);
        let count = (self.trained)(5, 3, 2) as f32;
        [case([4, 5, 3], 2, 3.0).sample(self), a, b, merged, vec![count]].concat()
    }
}

/// Random numbers, with which a correction has an effect.
struct Example {
    x: Array, // (T, in)
    w: Array, // (out, in)
    a: Array, // (r, in)
    b: Array, // (out, r)
}

fn example([tokens, inputs, outputs]: [usize; 3], rank: usize) -> Example {
    Example {
        x: random(&[tokens, inputs], 1),
        w: random(&[outputs, inputs], 2),
        a: random(&[rank, inputs], 3),
        b: random(&[outputs, rank], 4),
    }
}

/// Returns uniform random numbers between −1 and 1.
fn draws() -> impl FnMut() -> f32 {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    move || 2.0 * rng.random::<f32>() - 1.0
}

/// Runs the layer on the tensors x, A and B.
fn on_tensors(lora: &Lora, w: &Array, scale: f32, t: &[Tensor]) -> Tensor {
    let [x, a, b] = t else { panic!("expected x, A and B, not {} tensors", t.len()) };
    let rank = a.shape()[0];
    let y = (lora.forward)(x.data(), slice(w), a.data(), b.data(), rank, scale);
    Tensor::from_op(array(&[x.shape()[0], b.shape()[0]], y), &[x, a, b], || {
        let [x, a, b] = [x, a, b].map(|tensor| tensor.value().clone());
        let (w, backward) = (w.clone(), lora.backward);
        Box::new(move |dy| {
            let (dx, da, db) = backward(slice(&dy), slice(&x), slice(&w), slice(&a), slice(&b), rank, scale);
            [(&x, dx), (&a, da), (&b, db)].map(|(input, gradient)| Some(array(input.shape(), gradient))).into()
        })
    })
}

/// A source that returns tensors in the order of the requests.
struct Given(VecDeque<Tensor>);

impl Source for Given {
    fn value(&mut self, request: Request) -> Result<Value> {
        let next = self.0.pop_front();
        Ok(next.unwrap_or_else(|| panic!("nothing is left for {}", request.name)).into())
    }
}

/// Returns a frozen matrix of the engine, and its correction with the factors A and B.
fn engine(w: &Array, a: &Tensor, b: &Tensor, alpha: f32) -> (Parameter, Correction) {
    let w = Parameter::new("q.weight", Role::Matrix, Tensor::constant(w.clone()));
    let adapter = Adapter { rank: a.shape()[0], alpha, targets: Vec::new(), base: String::new() };
    let correction = Correction::new(&w, &adapter, &mut Given([a.clone(), b.clone()].into()));
    (w, correction.unwrap_or_else(|error| panic!("{error}")))
}

/// Returns a case whose results the engine computes.
fn case(sizes: [usize; 3], rank: usize, alpha: f32) -> Case<Lora> {
    let Example { x, w, a, b } = example(sizes, rank);
    let t = [&x, &a, &b].map(|array| Tensor::parameter(array.clone()));
    let (frozen, correction) = engine(&w, &t[1], &t[2], alpha);
    let y = correction.correct(&linear(&t[0], &frozen, None), &t[0]);
    let dy = random(y.shape(), 6);
    let all = sum(&mul(&y, &Tensor::constant(dy.clone()))).backward();
    let gradients = t.iter().map(|input| all.get(input).cloned().expect("a gradient of each parameter")).collect();
    let run = move |lora: &Lora, t: &[Tensor]| on_tensors(lora, &w, alpha / rank as f32, t);
    let inputs = vec![("x", x), ("A", a), ("B", b)];
    Case { name: "", inputs, run: Box::new(run), y: y.value().clone(), dy, gradients }
}

/// An adapter of PEFT on the output projection of a small model, with what PEFT computed.
struct Peft {
    /// The hidden states, which the adapter does not change. The engine computes them. (T, H)
    x: Array,
    w: Array,
    a: Array,
    b: Array,
    logits: Array,
    /// The gradient of the mean cross-entropy with respect to the logits.
    dlogits: Array,
    da: Array,
    db: Array,
}

/// r and α/r of this adapter.
const PEFT: (usize, f32) = (3, 5.0 / 3.0);

fn peft() -> std::result::Result<Peft, String> {
    let (adapter, recorded) = (reference("lora/head/adapter_model"), reference("lora/head/reference"));
    let (ids, logits) = (ids(&recorded, "ids"), numbers(&recorded, "logits"));
    let base = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/verify/reference/checkpoints/plain");
    let base = checkpoint::load(base).map_err(|error| error.to_string())?;
    let tokens = ArrayView2::from_shape((1, ids.len()), &ids).map_err(|error| error.to_string())?;
    let x = base.forward(tokens, None).hidden.value().clone();
    // The identity as a matrix leaves the logits as they are.
    let (z, count) = (Tensor::parameter(logits.clone()), logits.shape()[1]);
    let identity = (0..count * count).map(|i| f32::from(i % (count + 1) == 0)).collect();
    let identity = Tensor::constant(array(&[count, count], identity));
    let loss = cross_entropy(&z, &identity, &[&ids[1..], &[IGNORE]].concat());
    let dlogits = loss.backward().get(&z).cloned().ok_or("the logits have no gradient")?;
    let of = |name: &str| numbers(&adapter, &format!("base_model.model.lm_head.{name}.weight"));
    let gradient = |name: &str| numbers(&recorded, &format!("base_model.model.lm_head.{name}.weight.grad"));
    let (w, a, b) = (of("base_layer"), of("lora_A"), of("lora_B"));
    Ok(Peft { x, w, a, b, logits, dlogits, da: gradient("lora_A"), db: gradient("lora_B") })
}

/// x, W, A, B, r, the scale, y, and the calculation.
type Small = (&'static [f32], &'static [f32], &'static [f32], &'static [f32], usize, f32, &'static [f32], &'static str);

const SMALL: [Small; 3] = [
    (
        &[1.0, 2.0, 3.0, 0.0, 1.0, 0.0],
        &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        &[1.0, 1.0, 1.0],
        &[1.0, 2.0],
        1,
        0.5,
        &[4.0, 8.0, 0.5, 2.0],
        "x has the rows (1, 2, 3) and (0, 1, 0), so x·Wᵀ has (1, 2) and (0, 1). A is (1, 1, 1), so x·Aᵀ is 6 and 1. \
         B has the rows 1 and 2, so the product with Bᵀ has (6, 12) and (1, 2), and half of this is added",
    ),
    (
        &[1.0, 2.0],
        &[1.0, 1.0, 0.0, 0.0, 0.0, 0.0],
        &[1.0, 1.0, 0.0, 1.0],
        &[1.0, 0.0, 0.0, 1.0, 1.0, -1.0],
        2,
        2.0,
        &[9.0, 4.0, 2.0],
        "x·Wᵀ is (3, 0, 0). A has the rows (1, 1) and (0, 1), so x·Aᵀ is (3, 2). B has the rows (1, 0), (0, 1) and \
         (1, −1), so the product with Bᵀ is (3, 2, 1), and twice this is added",
    ),
    (&[], &[1.0, 2.0], &[1.0, 1.0], &[1.0], 1, 1.0, &[], "there are no tokens"),
];

impl Lora {
    fn corrects(&self) -> Proof {
        SMALL.iter().try_for_each(|&(x, w, a, b, rank, scale, y, why)| {
            because(close("y", &(self.forward)(x, w, a, b, rank, scale), y, 1e-6), why)
        })
    }

    /// Returns new factors for a matrix (outputs, inputs), if they have the right lengths.
    fn factors(
        &self,
        (inputs, outputs, rank): (usize, usize, usize),
        draw: &mut dyn FnMut() -> f32,
    ) -> std::result::Result<(Vec<f32>, Vec<f32>), String> {
        let (a, b) = (self.new_factors)(inputs, outputs, rank, draw);
        let of = format!("for {inputs} inputs, {outputs} outputs and rank {rank}");
        equal(&format!("the length of A {of}"), &a.len(), &(rank * inputs), "A is (r, in)")?;
        equal(&format!("the length of B {of}"), &b.len(), &(outputs * rank), "B is (out, r)")?;
        Ok((a, b))
    }

    fn begins_with_no_effect(&self) -> Proof {
        let Example { x, w, .. } = example([4, 6, 5], 3);
        let (a, b) = self.factors((6, 5, 3), &mut draws())?;
        let without = linear(&Tensor::constant(x.clone()), Tensor::constant(w.clone()), None);
        let with = (self.forward)(slice(&x), slice(&w), &a, &b, 3, 2.0);
        because(close("y", &with, without.data(), 1e-5), "B of a new correction is zeros, so y is x·Wᵀ")
    }

    fn begins(&self) -> Proof {
        for (inputs, outputs, rank) in [(4, 3, 2), (9, 2, 1)] {
            let mut drawn = 0;
            let mut draw = || {
                drawn += 1;
                1.0 / (drawn as f32 + 1.0)
            };
            let (a, b) = self.factors((inputs, outputs, rank), &mut draw)?;
            let root = (inputs as f32).sqrt();
            let expected: Vec<f32> = (0..a.len()).map(|i| 1.0 / (i as f32 + 2.0) / root).collect();
            let why = format!("the draws are 1/2, 1/3, 1/4 and so on, and √in is {root}");
            because(close("A", &a, &expected, 1e-5), &why)?;
            because(close("B", &b, &vec![0.0; b.len()], 1e-6), "B begins with zeros")?;
            equal("the number of draws", &drawn, &a.len(), "each number of A needs one draw, and B needs none")?;
        }
        Ok(())
    }

    fn counts(&self) -> Proof {
        let check = |inputs, outputs, rank, expected, why| {
            let what = format!("how many numbers are trained for {inputs} inputs, {outputs} outputs and rank {rank}");
            equal(&what, &(self.trained)(inputs, outputs, rank), &expected, why)
        };
        check(3, 5, 1, 8, "A has 3 numbers and B has 5; the 15 of W are frozen")?;
        check(4, 2, 3, 18, "A has 3 · 4 numbers and B has 2 · 3")?;
        let why = "8 · (2,880 + 4,096); the query projection of gpt-oss-20b has 11,796,480 numbers";
        check(2880, 4096, 8, 55_808, why)
    }

    fn forward_as_peft(&self) -> Proof {
        let Peft { x, w, a, b, logits, .. } = peft()?;
        let (rank, scale) = PEFT;
        let y = (self.forward)(slice(&x), slice(&w), slice(&a), slice(&b), rank, scale);
        because(close("y", &y, slice(&logits), 1e-4), "these are the logits that PEFT computed with an adapter")
    }

    fn gradient(&self) -> Proof {
        [([5, 4, 3], 2), ([3, 6, 7], 1), ([1, 3, 2], 4)].into_iter().try_for_each(|(sizes, rank)| {
            let Example { x, w, a, b } = example(sizes, rank);
            let (dx, da, db) =
                (self.backward)(&vec![1.0; sizes[0] * sizes[2]], slice(&x), slice(&w), slice(&a), slice(&b), rank, 1.0);
            equal("the length of dx", &dx.len(), &x.len(), "dx is (T, in)")?;
            equal("the length of dA", &da.len(), &a.len(), "dA is (r, in)")?;
            equal("the length of dB", &db.len(), &b.len(), "dB is (out, r)")?;
            derivative(self, &["x", "A", "B"], &[x, a, b], |lora, t| on_tensors(lora, &w, 1.75, t))
        })
    }

    fn first_step(&self) -> Proof {
        let Example { x, w, .. } = example([4, 6, 5], 3);
        let (a, b) = self.factors((6, 5, 3), &mut draws())?;
        let dy = random(&[4, 5], 7);
        let (_, da, db) = (self.backward)(slice(&dy), slice(&x), slice(&w), &a, &b, 3, 2.0);
        because(close("dA", &da, &vec![0.0; a.len()], 1e-6), "B is zeros, so A does not affect y yet")?;
        let nonzero = db.iter().filter(|db| **db != 0.0).count();
        equal("the numbers of dB that are not 0", &nonzero, &db.len(), "A is not zeros, so B affects y")
    }

    fn gradients_as_peft(&self) -> Proof {
        let Peft { x, w, a, b, dlogits, da, db, .. } = peft()?;
        let (rank, scale) = PEFT;
        let found = (self.backward)(slice(&dlogits), slice(&x), slice(&w), slice(&a), slice(&b), rank, scale);
        close("dA", &found.1, slice(&da), 2e-4)?;
        close("dB", &found.2, slice(&db), 2e-4)
    }

    fn merges(&self) -> Proof {
        let merged = (self.merge)(&[1.0; 6], &[1.0, 2.0, 3.0], &[1.0, 10.0], 1, 0.5);
        let why = "W is ones (2, 3), A is (1, 2, 3), and B has the rows 1 and 10, so B·A has the rows (1, 2, 3) and \
            (10, 20, 30), and half of this is added";
        because(close("the merged matrix", &merged, &[1.5, 2.0, 2.5, 6.0, 11.0, 16.0], 1e-6), why)?;
        for (sizes, rank) in [([4, 5, 3], 2), ([3, 3, 3], 1), ([2, 4, 6], 5)] {
            let Example { x, w, a, b } = example(sizes, rank);
            let merged = (self.merge)(slice(&w), slice(&a), slice(&b), rank, 1.5);
            equal("the length of the merged matrix", &merged.len(), &w.len(), "it has the shape of W")?;
            let y = linear(&Tensor::constant(x.clone()), Tensor::constant(array(w.shape(), merged)), None);
            let beside = (self.forward)(slice(&x), slice(&w), slice(&a), slice(&b), rank, 1.5);
            because(close("x times the merged matrix", y.data(), &beside, 1e-4), "this is y of your forward pass")?;
        }
        Ok(())
    }

    fn merges_as_the_engine(&self) -> Proof {
        [([1, 8, 5], 3), ([1, 16, 16], 4)].into_iter().try_for_each(|(sizes, rank)| {
            let Example { w, a, b, .. } = example(sizes, rank);
            let merged = (self.merge)(slice(&w), slice(&a), slice(&b), rank, 2.0);
            let [a, b] = [a, b].map(Tensor::constant);
            let (frozen, correction) = engine(&w, &a, &b, 2.0 * rank as f32);
            close("the merged matrix", &merged, correction.merged(frozen.value()).data(), 1e-4)
        })
    }
}
