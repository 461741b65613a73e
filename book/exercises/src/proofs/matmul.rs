use super::{Exercise, Mutant, NamedProof, Proof};
use crate::machine::{Machine, Matrix};
use crate::zoo;

/// A program that computes C from A and B on a machine.
pub type Product = fn(&mut Machine, Matrix, Matrix, Matrix);

pub struct Matmul {
    pub three_loops: Product,
    pub in_tiles: Product,
}

/// The matrices A (m, k), B (k, n) and C (m, n) in a machine. C is not empty at the start.
fn machine((m, k, n): (usize, usize, usize)) -> (Machine, [Matrix; 3]) {
    let mut machine = Machine::default();
    let a = machine.matrix(m, k, |i, j| ((7 * i + 3 * j) % 11) as f32 - 5.0);
    let b = machine.matrix(k, n, |i, j| ((5 * i + 2 * j) % 13) as f32 - 6.0);
    let c = machine.matrix(m, n, |_, _| 100.0);
    (machine, [a, b, c])
}

/// Carries out a product and compares all numbers of C. They are integers, so that the order of a sum does not matter.
fn check(product: Product, shape: (usize, usize, usize)) -> Result<Machine, String> {
    let (mut machine, [a, b, c]) = machine(shape);
    product(&mut machine, a, b, c);
    let (mut expected, [a2, b2, c2]) = self::machine(shape);
    crate::solutions::matmul::three_loops(&mut expected, a2, b2, c2);
    for (i, (found, right)) in machine.numbers(c).iter().zip(expected.numbers(c2)).enumerate() {
        if found != right {
            let (m, k, n) = shape;
            let place = format!("c[{}, {}]", i / n, i % n);
            return Err(format!("{place} is {found}, expected {right} (A is {m} × {k} and B is {k} × {n})"));
        }
    }
    Ok(machine)
}

impl Exercise for Matmul {
    const NAME: &str = "matmul";
    const LEARNED: &str = "A product of matrices has many more multiply-adds than numbers, so each number can be used many times after it was \
        loaded: four times from a register, and many more times from the cache. The engine's tiles are larger, because a register \
        holds eight or sixteen numbers.";

    fn yours() -> Self {
        Self { three_loops: crate::matmul::three_loops, in_tiles: crate::matmul::in_tiles }
    }

    fn solution() -> Self {
        use crate::solutions::matmul::{in_tiles, three_loops};
        Self { three_loops, in_tiles }
    }

    fn mutants() -> Vec<Mutant<Self>> {
        zoo::matmul()
    }

    fn proofs() -> Vec<NamedProof<Self>> {
        vec![
            ("three_loops_compute_the_product", |code| {
                [(1, 1, 1), (3, 5, 2), (8, 8, 8)].into_iter().try_for_each(|s| check(code.three_loops, s).map(|_| ()))
            }),
            ("tiles_compute_the_product", |code| {
                [(4, 4, 4), (8, 5, 12), (32, 20, 32)].into_iter().try_for_each(|s| check(code.in_tiles, s).map(|_| ()))
            }),
            ("tiles_at_the_border_are_right", |code| {
                [(1, 1, 1), (5, 3, 6), (6, 7, 21), (3, 0, 2)]
                    .into_iter()
                    .try_for_each(|s| check(code.in_tiles, s).map(|_| ()))
            }),
            ("a_number_in_a_register_is_used_four_times", Self::registers),
            ("a_line_in_the_cache_is_used_many_times", Self::cache),
        ]
    }

    fn sample(&self) -> Vec<f32> {
        let counts = |product: Product, shape| {
            let (mut machine, [a, b, c]) = machine(shape);
            product(&mut machine, a, b, c);
            let counts = [machine.accesses as f32, machine.fetched as f32];
            machine.numbers(c).iter().copied().chain(counts).collect::<Vec<f32>>()
        };
        [counts(self.three_loops, (5, 4, 3)), counts(self.in_tiles, (64, 64, 64)), counts(self.in_tiles, (5, 3, 6))]
            .concat()
    }
}

impl Matmul {
    /// Four loads of A and four of B for sixteen multiply-adds, and one store for each number of C.
    fn registers(&self) -> Proof {
        let (m, k, n) = (32, 64, 32);
        let machine = check(self.in_tiles, (m, k, n))?;
        let per_product = machine.accesses as f64 / (m * k * n) as f64;
        if per_product <= 0.52 {
            return Ok(());
        }
        Err(format!(
            "there are {per_product:.2} loads and stores per multiply-add, and half of one is possible: load four numbers of A \
             and four of B for each k, and use each of them four times"
        ))
    }

    /// A, B and C (96, 96) take 576 lines each, and the cache holds 256. The solution fetches A six times, and B and C once.
    fn cache(&self) -> Proof {
        let machine = check(self.in_tiles, (96, 96, 96))?;
        if machine.fetched <= 6_000 {
            return Ok(());
        }
        Err(format!(
            "{} lines are fetched for matrices of 96 × 96, and about 4,600 are possible: let the tiles that read the same \
             sixteen columns of B follow one another, and keep these columns while the rows of A pass",
            machine.fetched
        ))
    }
}
