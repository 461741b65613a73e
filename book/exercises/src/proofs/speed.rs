use super::{Exercise, Mutant, NamedProof, Proof, near, random};
use crate::speed::Limits;
use crate::zoo;
use ossia::ops::top_k;
use ossia::tensor::slice;

pub struct Speed {
    pub least_seconds: fn(f64, f64, Limits) -> f64,
    pub experts_read: fn(usize, usize, usize) -> f64,
    pub speedup: fn(f64, f64) -> f64,
    pub compare: fn(&[(f64, f64)]) -> (f64, f64, f64),
}

/// The limits of the machine that the chapter uses.
const MACHINE: Limits = Limits { operations: 200e9, bytes: 27e9 };

/// Pairs during which a machine with other work on it became slower.
const DRIFT: [(f64, f64); 3] = [(1.0, 0.5), (9.0, 8.9), (2.4, 1.2)];

impl Exercise for Speed {
    const NAME: &str = "speed";
    const LEARNED: &str = "Compute first how fast a program could be, and which limit holds it back. Then look at how much of the time \
        a part takes before you make it faster. And compare in pairs: a ratio within a pair does not depend on how busy the \
        machine is from hour to hour.";

    fn yours() -> Self {
        use crate::speed::{compare, experts_read, least_seconds, speedup};
        Self { least_seconds, experts_read, speedup, compare }
    }

    fn solution() -> Self {
        use crate::solutions::speed::{compare, experts_read, least_seconds, speedup};
        Self { least_seconds, experts_read, speedup, compare }
    }

    fn mutants() -> Vec<Mutant<Self>> {
        zoo::speed()
    }

    fn proofs() -> Vec<NamedProof<Self>> {
        vec![
            ("the_slower_limit_decides", Self::limits),
            ("experts_are_counted_once", Self::experts),
            ("the_mean_equals_that_of_drawn_choices", Self::drawn),
            ("the_rest_of_the_program_stays", Self::amdahl),
            ("pairs_are_compared_one_by_one", Self::pairs),
        ]
    }

    fn sample(&self) -> Vec<f32> {
        let products = [1.0, 7.0, 8.0, 512.0].map(|rows| self.product(rows));
        let experts = [1, 8, 32].map(|tokens| (self.experts_read)(32, 4, tokens));
        let speedups =
            [(0.41, 41.0 / 19.0), (0.02, 10.0), (0.9, 2.0)].map(|(share, factor)| (self.speedup)(share, factor));
        let (median, least, most) = (self.compare)(&DRIFT);
        let all = products.into_iter().chain(experts).chain(speedups).chain([median, least, most]);
        all.map(|number| number as f32).collect()
    }
}

impl Speed {
    /// The time of `rows` rows times a matrix of 40,960 × 2,880 in bf16, in milliseconds.
    fn product(&self, rows: f64) -> f64 {
        let weights = 40_960.0 * 2_880.0;
        1e3 * (self.least_seconds)(2.0 * rows * weights, 2.0 * weights, MACHINE)
    }

    fn limits(&self) -> Proof {
        let why = "a row times 40,960 × 2,880 weights in bf16 takes 1.18 ms to compute and 8.738 ms to read, at the same time";
        near("milliseconds", self.product(1.0), 8.738, 1e-3, why)?;
        let why = "512 rows take 604 ms to compute, and the weights are read once, in 8.7 ms";
        near("milliseconds", self.product(512.0), 603.98, 1e-3, why)
    }

    fn experts(&self) -> Proof {
        near("experts for 1 token", (self.experts_read)(32, 4, 1), 4.0, 1e-3, "a token chooses 4 different experts")?;
        near("experts for no token", (self.experts_read)(32, 4, 0), 0.0, 1e-3, "there is no token")?;
        let why = "a token leaves out an expert with probability 1 − 4/32, and two tokens do with the square of that";
        near("experts for 2 tokens", (self.experts_read)(32, 4, 2), 7.5, 1e-3, why)?;
        near("experts for 8 tokens", (self.experts_read)(32, 4, 8), 21.004, 1e-3, "32 · (1 − (28/32)⁸)")?;
        near("experts for 3 tokens", (self.experts_read)(8, 8, 3), 8.0, 1e-3, "each token chooses all 8 of 8")
    }

    /// Random logits of a router: the engine chooses, and the proof counts.
    fn drawn(&self) -> Proof {
        let (experts, active, tokens, rounds) = (32, 4, 8, 2_000);
        let logits = random(&[rounds * tokens, experts], 5);
        let (chosen, _) = top_k::forward(slice(&logits), experts, active);
        let different = |round: &[u32]| (0..experts as u32).filter(|expert| round.contains(expert)).count();
        let mean = chosen.chunks_exact(tokens * active).map(different).sum::<usize>() as f64 / rounds as f64;
        let found = (self.experts_read)(experts, active, tokens);
        if (found - mean).abs() < 0.2 {
            return Ok(());
        }
        Err(format!("experts for 8 tokens: found {found:.2}, but {rounds} drawn choices had a mean of {mean:.2}"))
    }

    fn amdahl(&self) -> Proof {
        let why = "the part took 0.41 of the time and takes 0.19 now; the other 0.59 stay, so the sum is 0.78";
        near("speedup(0.41, 2.16)", (self.speedup)(0.41, 41.0 / 19.0), 1.0 / 0.78, 1e-3, why)?;
        let why = "the part took 0.02 of the time, takes 0.002 now, and the other 0.98 stay";
        near("speedup(0.02, 10)", (self.speedup)(0.02, 10.0), 1.0 / 0.982, 1e-3, why)?;
        near(
            "speedup",
            (self.speedup)(0.5, f64::INFINITY),
            2.0,
            1e-3,
            "half of the time is left, however fast the part is",
        )
    }

    fn pairs(&self) -> Proof {
        let check = |pairs: &[(f64, f64)], [median, least, most]: [f64; 3], why: &str| {
            let found = (self.compare)(pairs);
            near(&format!("the median of {pairs:?}"), found.0, median, 1e-3, why)?;
            near(&format!("the smallest ratio of {pairs:?}"), found.1, least, 1e-3, why)?;
            near(&format!("the largest ratio of {pairs:?}"), found.2, most, 1e-3, why)
        };
        check(&[(3.0, 2.0)], [1.5; 3], "there is one pair, and 3 / 2 = 1.5")?;
        let why =
            "the ratios are 2, 1.01 and 2; during the second pair the machine was busy, and the median ignores it";
        check(&DRIFT, [2.0, 9.0 / 8.9, 2.0], why)?;
        let why = "the ratios are 3, 1, 2 and 4, and 2 and 3 are in the middle";
        check(&[(3.0, 1.0), (1.0, 1.0), (4.0, 2.0), (8.0, 2.0)], [2.5, 1.0, 4.0], why)
    }
}
