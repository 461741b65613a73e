use super::{Case, Exercise, GRADIENT, Mutant, NamedProof, Proof, because, close, derivative, equal, near, random};
use crate::zoo;
use ossia::mxfp4;
use ossia::ops::elementwise::mul;
use ossia::ops::fake_quantize::{self, fake_quantize};
use ossia::ops::grouped_matmul::grouped_matmul;
use ossia::ops::reduce::sum;
use ossia::parameter::Value;
use ossia::tensor::{Array, Tensor, array, slice};

pub struct StraightThrough {
    pub round_block: fn(&[f32; 32]) -> [f32; 32],
    pub fake_quantize: fn(&[f32], usize) -> Vec<f32>,
    pub forward: fn(&[f32], &[f32], &[f32]) -> Vec<f32>,
    pub backward: fn(&[f32], &[f32], &[f32], usize) -> (Vec<f32>, Vec<f32>, Vec<f32>),
    pub step: fn(&[f32], &[f32], &[f32], usize, f32) -> Vec<f32>,
    pub validation_loss: fn(&[f32], &[f32], &[f32], &[f32]) -> f32,
}

impl Exercise for StraightThrough {
    const NAME: &str = "straight_through";
    const LEARNED: &str = "The layer computes with rounded weights, and its gradient changes the weights behind them. A \
        step of the optimizer is often smaller than half the distance of two values, so it has no effect at once. The \
        f32 weights keep it, and many such steps together reach the next value. What counts in the end is the loss of \
        the rounded weights, so this is the loss to measure.";

    fn yours() -> Self {
        use crate::straight_through::{backward, fake_quantize, forward, round_block, step, validation_loss};
        Self { round_block, fake_quantize, forward, backward, step, validation_loss }
    }

    fn solution() -> Self {
        use crate::solutions::straight_through::{
            backward, fake_quantize, forward, round_block, step, validation_loss,
        };
        Self { round_block, fake_quantize, forward, backward, step, validation_loss }
    }

    fn mutants() -> Vec<Mutant<Self>> {
        zoo::straight_through()
    }

    fn proofs() -> Vec<NamedProof<Self>> {
        vec![
            ("a_block_takes_the_nearest_values", Self::rounds_examples),
            ("rounding_has_its_properties", Self::rounding_properties),
            ("rounded_blocks_equal_the_engine", Self::rounds_as_the_engine),
            ("blocks_lie_along_the_inputs", Self::blocks),
            ("the_layer_computes_with_rounded_weights", Self::computes_with_rounded),
            (GRADIENT, Self::gradient),
            ("the_gradient_goes_straight_through", Self::straight_through),
            ("the_gradients_equal_the_engine", |layer| case([7, 64, 5]).check_gradients(layer)),
            ("small_steps_add_up", Self::small_steps),
            ("a_step_follows_the_gradient", Self::steps_as_the_engine),
            ("the_loss_is_that_of_the_file", Self::measures_the_file),
            ("training_makes_up_for_rounding", Self::trains),
        ]
    }

    fn sample(&self) -> Vec<f32> {
        let Example { x, w, b, dy } = example([4, 64, 3]);
        let blocks = blocks().skip(20).step_by(40).flat_map(|block| (self.round_block)(&block));
        let mut numbers: Vec<f32> = blocks.collect();
        numbers.extend((self.fake_quantize)(slice(&w), 3));
        numbers.extend((self.step)(slice(&dy), slice(&x), slice(&w), 3, 0.01));
        numbers.push((self.validation_loss)(slice(&x), slice(&w), slice(&b), slice(&dy)));
        numbers.extend(case([4, 64, 3]).sample(self));
        numbers
    }
}

/// Random numbers of a layer.
struct Example {
    x: Array,  // (T, in)
    w: Array,  // (1, in, out)
    b: Array,  // (1, out)
    dy: Array, // (T, out)
}

fn example([tokens, inputs, outputs]: [usize; 3]) -> Example {
    Example {
        x: random(&[tokens, inputs], 1),
        w: random(&[1, inputs, outputs], 2),
        b: random(&[1, outputs], 3),
        dy: random(&[tokens, outputs], 4),
    }
}

/// Blocks of numbers of many sizes. In every fourth block, the numbers are multiples of a quarter of a power of two, so that some
/// lie halfway between two values.
fn blocks() -> impl Iterator<Item = [f32; 32]> {
    (0..200).map(|seed| {
        let (numbers, size) = (random(&[32], seed), (f32::from(seed as u8 % 40 + 1) - 20.0).exp2());
        std::array::from_fn(|i| {
            let x = slice(&numbers)[i];
            size * if seed % 4 == 0 { (x * 4.0).round() / 4.0 } else { x }
        })
    })
}

/// Returns a block that begins with these numbers. The others are 0.
fn block(first: &[f32]) -> [f32; 32] {
    std::array::from_fn(|i| first.get(i).copied().unwrap_or(0.0))
}

/// Returns the layer of the engine: y (T, out).
fn engine(x: &Tensor, w: impl Into<Value>, b: &Tensor) -> Tensor {
    grouped_matmul(x, w, b, &[0, x.shape()[0]])
}

/// Runs the layer on the tensors x, W and b.
fn on_tensors(layer: &StraightThrough, x: &Tensor, w: &Tensor, b: &Tensor) -> Tensor {
    let (outputs, backward) = (b.data().len(), layer.backward);
    let y = (layer.forward)(x.data(), w.data(), b.data());
    Tensor::from_op(array(&[x.shape()[0], outputs], y), &[x, w, b], || {
        let [x, w, b] = [x, w, b].map(|tensor| tensor.value().clone());
        Box::new(move |dy| {
            let (dx, dw, db) = backward(slice(&dy), slice(&x), slice(&w), outputs);
            [(&x, dx), (&w, dw), (&b, db)].map(|(input, gradient)| Some(array(input.shape(), gradient))).into()
        })
    })
}

/// Returns a case whose results the engine computes.
fn case(sizes: [usize; 3]) -> Case<StraightThrough> {
    let Example { x, w, b, dy } = example(sizes);
    let t = [&x, &w, &b].map(|array| Tensor::parameter(array.clone()));
    let y = engine(&t[0], fake_quantize(&t[1]), &t[2]);
    let all = sum(&mul(&y, &Tensor::constant(dy.clone()))).backward();
    let gradients = t.iter().map(|input| all.get(input).cloned().expect("a gradient of each parameter")).collect();
    let run = |layer: &StraightThrough, t: &[Tensor]| on_tensors(layer, &t[0], &t[1], &t[2]);
    let inputs = vec![("x", x), ("W", w), ("b", b)];
    Case { name: "", inputs, run: Box::new(run), y: y.value().clone(), dy, gradients }
}

/// Numbers of a block, their values after rounding, and the reason.
const EXAMPLES: [(&[f32], &[f32], &str); 4] = [
    (
        &[5.0, 1.2, -0.7, 0.1],
        &[4.0, 1.0, -0.5, 0.0],
        "⌊log₂ 5⌋ − 2 is 0, so the scale is 1. 5 lies halfway between 4 and 6, and the code of 4 is even",
    ),
    (
        &[7.9, 2.5, 3.5, -5.5],
        &[6.0, 2.0, 4.0, -6.0],
        "the scale is 1. The largest value is 6; 2.5 and 3.5 lie halfway, and the codes of 2 and 4 are even",
    ),
    (
        &[0.05, 0.019, 0.02, -0.001],
        &[0.046875, 0.015625, 0.0234375, 0.0],
        "⌊log₂ 0.05⌋ − 2 is −7, so the scale is 1/128. 0.05 is 6.4 times the scale, 0.019 is 2.432 times, and 0.02 is \
         2.56 times",
    ),
    (&[0.0; 4], &[0.0; 4], "a block of zeros stays zeros"),
];

impl StraightThrough {
    fn rounds_examples(&self) -> Proof {
        EXAMPLES.iter().try_for_each(|&(numbers, values, why)| {
            let rounded = (self.round_block)(&block(numbers));
            let name = format!("the block that begins with {numbers:?}");
            because(close(&name, &rounded[..4], values, 1e-6), why)
        })
    }

    fn rounding_properties(&self) -> Proof {
        for block in blocks().take(60) {
            let rounded = (self.round_block)(&block);
            equal("the block, rounded twice", &(self.round_block)(&rounded), &rounded, "rounded values do not change")?;
            let opposite = (self.round_block)(&block.map(|x| -x)).map(|x| -x);
            equal("minus the block of opposite numbers", &opposite, &rounded, "rounding treats both signs alike")?;
            let double = (self.round_block)(&block.map(|x| 2.0 * x)).map(|x| x / 2.0);
            let why = "the scale is a power of two, so it doubles as well";
            equal("half of the rounded block of doubled numbers", &double, &rounded, why)?;
        }
        Ok(())
    }

    fn rounds_as_the_engine(&self) -> Proof {
        for block in blocks() {
            let (rounded, expected) = ((self.round_block)(&block), mxfp4::round(&block));
            let largest = block.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
            let scale = f64::from(mxfp4::scale(mxfp4::encode(&block).1));
            for i in 0..32 {
                let x = block[i];
                let why = format!(
                    "it is {x}, which is {} times the scale; the largest number of the block is {largest}, so the scale \
                     is {scale}",
                    f64::from(x) / scale
                );
                equal(&format!("number {i} after rounding"), &rounded[i], &expected[i], &why)?;
            }
        }
        Ok(())
    }

    /// Column 0 has large numbers and column 1 small ones. So a block that has numbers of both is wrong.
    fn blocks(&self) -> Proof {
        let w: Vec<f32> = (0..32).flat_map(|input| [5.0, 0.019 + 0.001 * input as f32]).collect();
        let rounded = (self.fake_quantize)(&w, 2);
        equal("the length of Q(W)", &rounded.len(), &w.len(), "Q(W) has the shape of W")?;
        let why = "W has two columns. The numbers of the second one are 0.05 at most, and have a scale of their own";
        let expected = fake_quantize::forward(&w, 32, 2);
        because(close("Q(W)", &rounded[..10], &expected[..10], 1e-6), why)?;
        if rounded[1] == 0.0 {
            return Err(format!("Q(W)[1] is 0, expected {}: {why}", expected[1]));
        }
        for (inputs, outputs) in [(32, 1), (64, 3), (96, 40)] {
            let w = random(&[inputs, outputs], 7);
            let name = format!("Q(W) for {inputs} inputs and {outputs} outputs");
            let expected = fake_quantize::forward(slice(&w), inputs, outputs);
            because(close(&name, &(self.fake_quantize)(slice(&w), outputs), &expected, 1e-6), "this is the engine's")?;
        }
        Ok(())
    }

    fn computes_with_rounded(&self) -> Proof {
        // x picks a row of W.
        let mut w = vec![0.0; 64];
        w[..4].copy_from_slice(&[5.0, -5.0, 1.2, -0.7]);
        let x: Vec<f32> = (0..32).map(|input| f32::from(input == 1)).collect();
        let why = "x picks the second row of W, (1.2, −0.7), which is rounded to (1, −0.5), and b is added";
        because(close("y", &(self.forward)(&x, &w, &[10.0, 10.0]), &[11.0, 9.5], 1e-6), why)?;
        because(case([7, 64, 5]).check_forward(self), "the engine computes these numbers with Q(W)")?;
        equal("y of no tokens", &(self.forward)(&[], &w, &[1.0, 2.0]), &Vec::new(), "there is no row")
    }

    /// The layer is a smooth function of x and b. Of W, it is a staircase.
    fn gradient(&self) -> Proof {
        [[5, 32, 3], [2, 64, 4]].into_iter().try_for_each(|sizes| {
            let Example { x, w, b, dy } = example(sizes);
            let (dx, dw, db) = (self.backward)(slice(&dy), slice(&x), slice(&w), sizes[2]);
            equal("the length of dx", &dx.len(), &x.len(), "dx is (T, in)")?;
            equal("the length of dW", &dw.len(), &w.len(), "dW is (in, out)")?;
            equal("the length of db", &db.len(), &b.len(), "db is (out)")?;
            let w = Tensor::constant(w);
            because(
                derivative(self, &["x", "b"], &[x, b], |layer, t| on_tensors(layer, &t[0], &w, &t[1])),
                "y was computed with Q(W)",
            )
        })
    }

    /// dW is dQ. y is linear in Q, so dQ does not depend on W.
    fn straight_through(&self) -> Proof {
        let mut x = vec![0.0; 64];
        (x[0], x[33]) = (3.0, 2.0);
        let mut w = vec![0.1; 32];
        w[..2].copy_from_slice(&[5.0, 7.9]);
        let (_, dw, _) = (self.backward)(&[1.0, 10.0], &x, &w, 1);
        let mut expected = vec![0.0; 32];
        (expected[0], expected[1]) = (3.0, 20.0);
        let why = "there is one output and two tokens, with dy of 1 and 10. The first token has x[0] = 3, and the second \
            one x[1] = 2, so dQ is 3 · 1 for input 0 and 2 · 10 for input 1, and dW is the same, also where W was limited";
        because(close("dW", &dw, &expected, 1e-6), why)
    }

    /// The weights of the chapter's example.
    fn small_steps(&self) -> Proof {
        let mut w = block(&[0.05, 0.019]).to_vec();
        let x: Vec<f32> = (0..32).map(|input| f32::from(input == 1)).collect();
        for steps in 1..=8 {
            w = (self.step)(&[-1.0], &x, &w, 1, 0.0001);
            equal("the number of weights after a step", &w.len(), &32, "W keeps its shape")?;
            let expected = 0.019 + 0.0001 * steps as f32;
            let why = "dW[1] is −1, so each step adds 0.0001";
            near(&format!("W[1] after {steps} steps from 0.019"), w[1], expected, 1e-5, why)?;
            near("W[0]", w[0], 0.05, 1e-6, "its gradient is 0, so it keeps all of its digits")?;
            let (rounded, expected) = (mxfp4::round(&block(&w))[1], if steps < 6 { 0.015625 } else { 0.0234375 });
            let why = "the border between both values is 0.01953, which W[1] passes in the sixth step";
            near(&format!("Q(W)[1] after {steps} steps"), rounded, expected, 1e-6, why)?;
        }
        Ok(())
    }

    fn steps_as_the_engine(&self) -> Proof {
        for sizes in [[3, 32, 2], [6, 96, 5]] {
            let (Example { x, w, dy, .. }, case) = (example(sizes), case(sizes));
            let expected: Vec<f32> =
                slice(&w).iter().zip(slice(&case.gradients[1])).map(|(w, dw)| w - 0.05 * dw).collect();
            let moved = (self.step)(slice(&dy), slice(&x), slice(&w), sizes[2], 0.05);
            because(close("W after a step", &moved, &expected, 1e-5), "W − 0.05·dW, with dW of the engine")?;
        }
        Ok(())
    }

    fn measures_the_file(&self) -> Proof {
        for sizes in [[5, 32, 3], [2, 96, 4]] {
            let Example { x, w, b, dy: targets } = example(sizes);
            let found = (self.validation_loss)(slice(&x), slice(&w), slice(&b), slice(&targets));
            let [x, w, b] = [x, w, b].map(Tensor::constant);
            let y = engine(&x, Value::from(&w).to_mxfp4(), &b);
            let squares = y.data().iter().zip(slice(&targets)).map(|(y, target)| (y - target).powi(2));
            let expected = squares.sum::<f32>() / y.data().len() as f32;
            let why = "the engine has encoded W in MXFP4, as in a file, and computes with it";
            near("the validation loss", found, expected, 1e-4, why)?;
        }
        Ok(())
    }

    /// Weights that are right before rounding learn to be right after it.
    fn trains(&self) -> Proof {
        let ([tokens, inputs, outputs], steps) = ([8, 32, 4], 200);
        let Example { x, w, b, .. } = example([tokens, inputs, outputs]);
        let targets = engine(&Tensor::constant(x.clone()), Tensor::constant(w.clone()), &Tensor::constant(b.clone()));
        let loss = |w: &[f32]| (self.validation_loss)(slice(&x), w, slice(&b), targets.data());
        let (before, mut w) = (loss(slice(&w)), slice(&w).to_vec());
        for step in 0..steps {
            let y = (self.forward)(slice(&x), &w, slice(&b));
            let dy: Vec<f32> =
                y.iter().zip(targets.data()).map(|(y, target)| (y - target) / (tokens * outputs) as f32).collect();
            // The rate falls to zero, because weights at a border would jump back and forth otherwise.
            w = (self.step)(&dy, slice(&x), &w, outputs, 0.1 * (1.0 - step as f32 / steps as f32));
        }
        let after = loss(&w);
        if after < 0.5 * before {
            return Ok(());
        }
        Err(format!(
            "{steps} steps change the loss from {before} to {after}, expected less than half of it: the targets are those \
             of unrounded weights, so the first loss is what rounding costs, and training should recover most of it"
        ))
    }
}
