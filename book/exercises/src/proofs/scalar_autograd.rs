use super::{Exercise, Mutant, NamedProof, Proof, because, close};
use crate::scalar::Number;
use crate::zoo;

pub struct ScalarAutograd {
    pub add: fn(&Number, &Number) -> Number,
    pub mul: fn(&Number, &Number) -> Number,
    pub exp: fn(&Number) -> Number,
    pub backward: fn(&Number),
}

/// A function of two numbers, its name, and its derivatives.
struct Example {
    name: &'static str,
    f: fn(&ScalarAutograd, &Number, &Number) -> Number,
    at: [f64; 2],
    value: f64,
    gradient: [f64; 2],
}

fn examples() -> [Example; 5] {
    let e = 0.5_f64.exp();
    let example = |name, f, at, value, gradient| Example { name, f, at, value, gradient };
    [
        example("a·b", |x, a, b| (x.mul)(a, b), [2.0, 5.0], 10.0, [5.0, 2.0]),
        example("a·b + eᵃ", |x, a, b| (x.add)(&(x.mul)(a, b), &(x.exp)(a)), [0.5, -3.0], e - 1.5, [e - 3.0, 0.5]),
        example("a + a", |x, a, _| (x.add)(a, a), [4.0, 0.0], 8.0, [2.0, 0.0]),
        // With s = a·b: the product s·s hands on to s twice before s may hand on.
        example(
            "(a·b)² + a·b",
            |x, a, b| {
                let s = (x.mul)(a, b);
                (x.add)(&s, &(x.mul)(&s, &s))
            },
            [2.0, 3.0],
            42.0,
            [39.0, 26.0],
        ),
        example(
            "s + (s + s·s) with s = a·b",
            |x, a, b| {
                let s = (x.mul)(a, b);
                (x.add)(&s, &(x.add)(&s, &(x.mul)(&s, &s)))
            },
            [1.0, 2.0],
            8.0,
            [12.0, 6.0],
        ),
    ]
}

impl Exercise for ScalarAutograd {
    const NAME: &str = "scalar_autograd";
    const LEARNED: &str = "One pass from the result to the inputs gives all derivatives. Multiply along a path, add where paths \
        meet, and visit a number only after everything that was computed from it. ossia's tensors do the same with arrays.";

    fn yours() -> Self {
        use crate::scalar_autograd::{add, backward, exp, mul};
        Self { add, mul, exp, backward }
    }

    fn solution() -> Self {
        use crate::solutions::scalar_autograd::{add, backward, exp, mul};
        Self { add, mul, exp, backward }
    }

    fn mutants() -> Vec<Mutant<Self>> {
        zoo::scalar_autograd()
    }

    fn proofs() -> Vec<NamedProof<Self>> {
        vec![
            ("the_values_are_right", Self::values),
            ("each_slope_is_right", Self::slopes),
            ("the_gradients_are_right", Self::gradients),
        ]
    }

    fn sample(&self) -> Vec<f32> {
        examples().iter().flat_map(|example| self.run(example)).collect()
    }
}

impl ScalarAutograd {
    /// The value, and the gradients with respect to both inputs.
    fn run(&self, Example { f, at, .. }: &Example) -> [f32; 3] {
        let [a, b] = at.map(Number::new);
        let result = f(self, &a, &b);
        (self.backward)(&result);
        [result.value() as f32, a.gradient().get() as f32, b.gradient().get() as f32]
    }

    fn values(&self) -> Proof {
        examples().iter().try_for_each(|Example { name, f, at, value, .. }| {
            let result = f(self, &Number::new(at[0]), &Number::new(at[1])).value();
            because(close(name, &[result as f32], &[*value as f32], 1e-6), &format!("a = {}, b = {}", at[0], at[1]))
        })
    }

    fn slopes(&self) -> Proof {
        let (a, b) = (Number::new(2.0), Number::new(5.0));
        let slopes = |number: Number| -> Vec<f32> { number.inputs().iter().map(|(_, slope)| *slope as f32).collect() };
        because(
            close("the slopes of a + b", &slopes((self.add)(&a, &b)), &[1.0, 1.0], 0.0),
            "a sum grows as its inputs do",
        )?;
        let why = "a = 2, b = 5: if a grows by a little, a·b grows 5 times as much";
        because(close("the slopes of a·b", &slopes((self.mul)(&a, &b)), &[5.0, 2.0], 0.0), why)?;
        because(close("the slope of eᵃ", &slopes((self.exp)(&a)), &[2.0_f32.exp()], 1e-6), "it is eᵃ itself")
    }

    fn gradients(&self) -> Proof {
        examples().iter().try_for_each(|example| {
            let expected = example.gradient.map(|x| x as f32);
            let name = format!("the gradient of {} with respect to (a, b)", example.name);
            let why = format!("a = {}, b = {}", example.at[0], example.at[1]);
            because(close(&name, &self.run(example)[1..], &expected, 1e-6), &why)
        })
    }
}
