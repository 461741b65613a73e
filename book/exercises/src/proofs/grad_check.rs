use super::{Exercise, Mutant, NamedProof, Proof, equal, near, random};
use crate::zoo;
use ossia::ops::rms_norm::{backward, forward};
use ossia::tensor::{Array, Tensor, array, grad_check, slice};

pub struct GradCheck {
    pub slope: fn(&dyn Fn(&[f32]) -> f32, &[f32], usize, f32) -> f32,
    pub worst: fn(&[f32], &[f32]) -> (usize, f32),
    pub check: Check,
}

type Check = fn(&dyn Fn(&[f32]) -> Vec<f32>, &[f32], &[f32], &[f32], f32) -> (usize, f32);

/// The numbers in the row that the layer normalizes.
const WIDTH: usize = 6;
const EPS: f32 = 1e-5;
const H: f32 = 1e-2;

impl Exercise for GradCheck {
    const NAME: &str = "grad_check";
    const LEARNED: &str = "A derivative can be measured with two passes per number. The two-sided difference is wrong \
        by about h²·f‴/6, so a step that keeps rounding errors small is accurate enough. Random weights for the \
        outputs, and the largest error relative to the largest entry, let the check find a single wrong number.";

    fn yours() -> Self {
        use crate::grad_check::{check, slope, worst};
        Self { slope, worst, check }
    }

    fn solution() -> Self {
        use crate::solutions::grad_check::{check, slope, worst};
        Self { slope, worst, check }
    }

    fn mutants() -> Vec<Mutant<Self>> {
        zoo::grad_check()
    }

    fn proofs() -> Vec<NamedProof<Self>> {
        vec![
            ("the_slope_is_two_sided", Self::two_sided),
            ("finds_the_worst_place", Self::finds_the_worst),
            ("nan_is_the_worst_of_all", Self::nan),
            ("a_layer_has_weights_for_its_outputs", Self::weights),
            ("equals_the_engine_on_rms_norm", Self::equals_the_engine),
        ]
    }

    fn sample(&self) -> Vec<f32> {
        let slopes = [(0, 0.5), (0, 0.25), (1, 0.5)]
            .map(|(index, h)| (self.slope)(&|x| x[0].powi(3) * x[1], &[1.0, 4.0], index, h));
        let (nan, error) = (self.worst)(&[1.0, f32::NAN, 3.0], &[1.0, 2.0, 0.0]);
        let worst = COMPARED.iter().flat_map(|(derived, measured, ..)| {
            let (index, error) = (self.worst)(derived, measured);
            [index as f32, error]
        });
        let [right, wrong] = gradients().map(|derived| (self.check)(&norm, &x(), &dy(), &derived, H).1);
        let numbers = slopes.into_iter().chain(worst).chain([nan as f32, if error.is_nan() { 1.0 } else { 0.0 }]);
        numbers.chain([(right > 0.01).into(), wrong]).collect()
    }
}

/// A derived and a measured gradient, the worst index, the error, and a reason.
type Compared = (&'static [f32], &'static [f32], usize, f32, &'static str);

const COMPARED: [Compared; 6] = [
    (&[1.0, 2.0, 4.0], &[1.0, 1.5, 4.0], 1, 0.125, "they differ by 0.5 at index 1, and the largest number is 4"),
    (
        &[0.5, -8.0],
        &[0.0, -7.0],
        1,
        0.125,
        "1 of 8 is more than 0.5 of 8: each distance is divided by the largest number, 8",
    ),
    (&[1.0, -1.0], &[-1.0, 1.0], 0, 2.0, "the sums are equal, but each number is wrong by 2; the first one counts"),
    (&[0.0, 0.0], &[0.0, 4.0], 1, 1.0, "the largest number is the measured 4, and the distance is 4"),
    (&[1e-6, 0.0], &[0.0, 0.0], 0, 1e-3, "10⁻⁶ is divided by 0.001, or tiny gradients would fail by rounding"),
    (&[3.0, 5.0], &[3.0, 5.0], 0, 0.0, "the gradients are equal"),
];

impl GradCheck {
    fn two_sided(&self) -> Proof {
        let slope = |name: &str, f: &dyn Fn(&[f32]) -> f32, x: &[f32], index, h, expected: f32, why: &str| {
            near(name, (self.slope)(f, x, index, h), expected, 1e-6, why)
        };
        let parabola = |x: &[f32]| x[0] * x[0];
        let why = "with h = 0.5, it is (3.5² − 2.5²) / (2 · 0.5); a step to one side only gives 6.5 or 5.5";
        slope("the slope of x² at 3", &parabola, &[3.0], 0, 0.5, 6.0, why)?;
        let cubic = |x: &[f32]| x[0].powi(3);
        let why = "with h = 0.5, it is (1.5³ − 0.5³) / 1: the central difference of x³ is larger than 3 by h²";
        slope("the slope of x³ at 1", &cubic, &[1.0], 0, 0.5, 3.25, why)?;
        let why = "half the step has a quarter of the error: 3 + 0.25²";
        slope("the slope of x³ at 1", &cubic, &[1.0], 0, 0.25, 3.0625, why)?;
        let product = |x: &[f32]| x[0] * x[1] + 100.0 * x[2];
        let why = "x[0] is 5, and x[0] and x[2] must stay as they are while x[1] changes";
        slope("the slope of x[0]·x[1] + 100·x[2] with respect to x[1]", &product, &[5.0, 2.0, 1.0], 1, 0.5, 5.0, why)
    }

    fn finds_the_worst(&self) -> Proof {
        for (derived, measured, index, error, why) in COMPARED {
            let found = (self.worst)(derived, measured);
            let name = format!("of {derived:?} (derived) and {measured:?} (measured)");
            equal(&format!("the worst index {name}"), &found.0, &index, why)?;
            near(&format!("the error {name}"), found.1, error, 1e-5, why)?;
        }
        Ok(())
    }

    fn nan(&self) -> Proof {
        let nan = f32::NAN;
        for (derived, measured, expected) in [
            ([1.0, nan, 3.0], [1.0, 2.0, 0.0], 1),
            ([nan, 2.0, 3.0], [1.0, 2.0, 0.0], 0),
            ([1.0, 2.0, 3.0], [1.0, 2.0, nan], 2),
        ] {
            let (index, error) = (self.worst)(&derived, &measured);
            let name = format!("of {derived:?} (derived) and {measured:?} (measured)");
            let why = "every comparison with NaN is false, so NaN has to be looked for, or broken gradients pass";
            equal(&format!("whether the error {name} is NaN (it is {error})"), &error.is_nan(), &true, why)?;
            equal(
                &format!("the worst index {name}"),
                &index,
                &expected,
                "the NaN is there, and the other errors are numbers, because a NaN is not the largest value",
            )?;
        }
        Ok(())
    }

    /// The layer that reverses an array, with a backward pass that forgets to reverse the gradient.
    fn weights(&self) -> Proof {
        let reverse = |x: &[f32]| x.iter().rev().copied().collect::<Vec<f32>>();
        let (x, dy) = ([0.3, -0.2, 0.8], [1.0, -2.0, 0.5]);
        let error = |derived: &[f32]| (self.check)(&reverse, &x, &dy, derived, H).1;
        let why = "the layer reverses x, and dy is 1, −2, 0.5, so the gradient 0.5, −2, 1 is right. If the outputs are \
            added without their weights dy, all measured slopes are 1";
        near("the error", error(&[0.5, -2.0, 1.0]), 0.0, 1e-3, why)?;
        let why = "the layer reverses x, and the derived gradient 1, −2, 0.5 is dy without being reversed: at index 0, \
            it is wrong by 0.5, and the largest number is 2";
        near("the error", error(&dy), 0.25, 1e-2, why)
    }

    fn equals_the_engine(&self) -> Proof {
        let [right, wrong] = gradients();
        let (index, error) = (self.check)(&norm, &x(), &dy(), &right, H);
        let engine = engine_check(&right);
        let why =
            format!("the gradient is right, and the engine finds an error of {} with h = 0.01", engine.relative_error);
        let name = format!("whether the error {error} at index {index} is below 0.01");
        equal(&name, &(error < 0.01), &true, &why)?;

        let (index, error) = (self.check)(&norm, &x(), &dy(), &wrong, H);
        let engine = engine_check(&wrong);
        let why = format!(
            "the gradient forgets the path through r, and at index {} it is {}, where the engine measures {}",
            engine.index, engine.derived, engine.measured
        );
        equal("the worst index", &index, &engine.index, &why)?;
        near("the error", error, engine.relative_error, 1e-3, &why)
    }
}

fn x() -> Vec<f32> {
    slice(&random(&[WIDTH], 1)).to_vec()
}

fn w() -> Vec<f32> {
    slice(&random(&[WIDTH], 2)).to_vec()
}

fn dy() -> Vec<f32> {
    slice(&random(&[WIDTH], 3)).to_vec()
}

/// RMSNorm of one row.
fn norm(x: &[f32]) -> Vec<f32> {
    forward(x, &w(), EPS).0
}

/// The engine's gradient with respect to x, and one that forgets that r depends on x.
fn gradients() -> [Vec<f32>; 2] {
    let (x, w, dy) = (x(), w(), dy());
    let (_, r) = forward(&x, &w, EPS);
    let (right, _) = backward(&dy, &x, &w, &r);
    [right, dy.iter().zip(&w).map(|(dy, w)| r[0] * dy * w).collect()]
}

/// The engine's check of a derived gradient.
fn engine_check(derived: &[f32]) -> ossia::tensor::GradCheck {
    let dy = dy();
    let loss = |x: &[Tensor]| {
        let y: f32 = norm(x[0].data()).iter().zip(&dy).map(|(y, dy)| y * dy).sum();
        let derived = array(&[WIDTH], derived.to_vec());
        Tensor::from_op(array(&[], vec![y]), &[&x[0]], || Box::new(move |_: Array| vec![Some(derived)]))
    };
    grad_check(loss, &[array(&[WIDTH], x())], H)
}
