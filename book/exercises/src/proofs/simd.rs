use super::{Exercise, Mutant, NamedProof, Proof, because, close, equal, random};
use crate::zoo;
use ossia::kernels;
use ossia::tensor::slice;

/// Four registers of eight lanes.
type Registers = [[f32; 8]; 4];

pub struct Simd {
    pub accumulate: fn(&[f32], &[f32]) -> Registers,
    pub sum_of_lanes: fn(Registers) -> f32,
    pub reduce: fn(f32) -> (i32, f32),
    pub exp: fn(f32) -> f32,
}

/// From here on, adding 1 to an `f32` changes nothing.
const FULL: f32 = 16_777_216.0;

impl Exercise for Simd {
    const NAME: &str = "simd";
    const LEARNED: &str = "A register of lanes is many sums at once, so the order of additions changes, and the programmer chooses it. The \
        exponential is a shift of bits and a short polynomial; its accuracy depends on one subtraction. The engine's kernels \
        have the same structure, with one or a few instructions for the loop over the lanes of a register.";

    fn yours() -> Self {
        use crate::simd::{accumulate, exp, reduce, sum_of_lanes};
        Self { accumulate, sum_of_lanes, reduce, exp }
    }

    fn solution() -> Self {
        use crate::solutions::simd::{accumulate, exp, reduce, sum_of_lanes};
        Self { accumulate, sum_of_lanes, reduce, exp }
    }

    fn mutants() -> Vec<Mutant<Self>> {
        zoo::simd()
    }

    fn proofs() -> Vec<NamedProof<Self>> {
        vec![
            ("groups_go_to_the_registers_in_turn", Self::groups),
            ("no_length_loses_a_number", Self::lengths),
            ("lanes_are_added_in_halves", Self::lanes),
            ("the_dot_product_equals_the_engine", Self::dot_product),
            ("the_rest_is_accurate", Self::rest),
            ("the_exponential_is_within_two_ulp", Self::exponential),
        ]
    }

    fn sample(&self) -> Vec<f32> {
        let x = slice(&random(&[45], 3)).to_vec();
        let sums = [0, 5, 40, 45].map(|length| (self.accumulate)(&x[..length], &x[..length]));
        // Errors in millionths, so that the rounding of another order does not count and a wrong term does.
        let errors = [-86.9, -1.0, 0.0, 0.5, 80.0].map(|x| ((self.exp)(x) / x.exp() - 1.0) * 1e6).map(f32::round);
        let ends = [-90.0, -1000.0].map(|x| (self.exp)(x).min(1.0));
        let (n, r) = (self.reduce)(80.0);
        let rest = [n as f32, (r - 0.288_074) * 1e6];
        let ordered =
            [registers(&[(0, 0, FULL), (0, 4, 1.0), (0, 2, 1.0), (0, 6, 1.0)])].map(|r| (self.sum_of_lanes)(r) - FULL);
        sums.iter().flatten().flatten().copied().chain(ordered).chain(rest).chain(errors).chain(ends).collect()
    }
}

/// Registers of zeros, except for these numbers: (register, lane, number).
fn registers(numbers: &[(usize, usize, f32)]) -> Registers {
    let mut all = Registers::default();
    numbers.iter().for_each(|&(register, lane, number)| all[register][lane] = number);
    all
}

impl Simd {
    /// The number at position i is i + 1.
    fn groups(&self) -> Proof {
        let x: Vec<f32> = (1..=40).map(|i| i as f32).collect();
        let found = (self.accumulate)(&x, &[1.0; 40]);
        let first = |register: usize| found[register][0];
        let why = "x is 1, 2, … 40 and y is 1, so lane 0 of register 1 gets the first number of group 1, which is 9";
        equal("lane 0 of register 1", &first(1), &9.0, why)?;
        let why = "lane 0 of register 0 gets the first numbers of the groups 0 and 4, which are 1 and 33";
        equal("lane 0 of register 0", &first(0), &34.0, why)?;
        let expected: Registers = std::array::from_fn(|register| {
            let group = |g: usize, lane: usize| if g < 5 { (8 * g + lane + 1) as f32 } else { 0.0 };
            std::array::from_fn(|lane| group(register, lane) + group(register + 4, lane))
        });
        equal("the registers", &found, &expected, "x is 1, 2, … 40 and y is 1; group g goes to register g % 4")
    }

    fn lengths(&self) -> Proof {
        let (x, y) = (vec![3.0; 70], (0..70).map(|i| i as f32).collect::<Vec<_>>());
        (0..=70).try_for_each(|length| {
            let sum: f32 = (self.accumulate)(&x[..length], &y[..length]).iter().flatten().sum();
            let expected = (3 * length * length.saturating_sub(1) / 2) as f32;
            let why = "x is 3 and y is 0, 1, 2 …; the last group may have fewer than eight numbers";
            equal(&format!("the sum of all lanes for {length} numbers"), &sum, &expected, why)
        })
    }

    fn lanes(&self) -> Proof {
        let numbers = std::array::from_fn(|register| std::array::from_fn(|lane| (8 * register + lane) as f32));
        equal("the sum of 0, 1, … 31", &(self.sum_of_lanes)(numbers), &496.0, "31 · 32 / 2 = 496")?;
        let found = (self.sum_of_lanes)(registers(&[(0, 0, FULL), (1, 0, 1.0), (2, 0, 1.0), (3, 0, 1.0)]));
        let why =
            "lane 0 is 16,777,216 in register 0 and 1 in the others: adding 1 changes nothing, but a₂ + a₃ = 2 does";
        equal("the sum", &found, &(FULL + 2.0), why)?;
        let found = (self.sum_of_lanes)(registers(&[(0, 0, FULL), (0, 4, 1.0), (0, 2, 1.0), (0, 6, 1.0)]));
        let why = "register 0 has 16,777,216 in lane 0 and 1 in the lanes 2, 4 and 6; the first step makes 2 of the lanes 2 and 6";
        equal("the sum", &found, &(FULL + 2.0), why)?;
        let found = (self.sum_of_lanes)(registers(&[(0, 0, FULL), (0, 1, 1.0), (0, 5, 1.0)]));
        let why = "register 0 has 16,777,216 in lane 0 and 1 in the lanes 1 and 5, which the first step adds to 2";
        equal("the sum", &found, &(FULL + 2.0), why)
    }

    fn dot_product(&self) -> Proof {
        let dot = |x: &[f32], y: &[f32]| (self.sum_of_lanes)((self.accumulate)(x, y));
        let (x, y) = (random(&[1_000], 1), random(&[1_000], 2));
        let (x, y) = (slice(&x), slice(&y));
        let expected = kernels::dot(x, y);
        because(close("the dot product", &[dot(x, y)], &[expected], 1e-5), "this is what the engine's kernel returns")?;
        let x = [vec![524_288.0; 32], vec![1.0; 3_200]].concat();
        let why = "each of the 32 sums is 524,288 and counts 100 ones; a single sum would stop at 16,777,216";
        equal("the sum of 32 times 524,288 and of 3,200 ones", &dot(&x, &vec![1.0; x.len()]), &16_780_416.0, why)
    }

    fn rest(&self) -> Proof {
        for x in [0.0_f32, 0.3, 1.0, -1.0, 20.0, 80.0, -80.0, 87.9] {
            let (n, r) = (self.reduce)(x);
            let expected = (f64::from(x) / std::f64::consts::LN_2).round();
            equal(&format!("n of {x}"), &n, &(expected as i32), "it is nearest to x / ln 2")?;
            let exact = f64::from(x) - expected * std::f64::consts::LN_2;
            let error = (f64::from(r) - exact).abs();
            if error.is_nan() || error > 4e-8 {
                return Err(format!(
                    "r of {x} is {r}, expected {exact:.9}: the error is {error:.1e}, and it becomes the relative error of eˣ, \
                     where an ulp is 6e-8 to 1.2e-7; subtract n·ln 2 in two parts, of which the second is negative"
                ));
            }
        }
        Ok(())
    }

    fn exponential(&self) -> Proof {
        equal(
            "exp(0)",
            &(self.exp)(0.0),
            &1.0,
            "n and r are 0, and the bits of the exponent of 2⁰ are those of 0 + 127",
        )?;
        for x in [f32::NEG_INFINITY, -1e30, -100.0, -88.0] {
            equal(
                &format!("exp({x})"),
                &(self.exp)(x),
                &0.0,
                "x is below −87; n + 127 would not fit into the exponent",
            )?;
        }
        for x in (-8_700..=8_800).map(|i| i as f32 / 100.0) {
            let (found, exact) = ((self.exp)(x), f64::from(x).exp());
            let ulp = f64::from((exact as f32).next_up() - exact as f32);
            let error = (f64::from(found) - exact).abs() / ulp;
            if error.is_nan() || error > 2.0 {
                return Err(format!(
                    "exp({x}) is {found:e}, expected {exact:.8e}: the error is {error:.1} ulp; the coefficients are 1/k!, up to \
                     r⁷, and 1 + r(1 + r(½ + …)) is computed from the innermost parentheses outwards"
                ));
            }
        }
        Ok(())
    }
}
