use super::{Exercise, Mutant, NamedProof, Proof, because, close, equal, random};
use crate::zoo;
use ossia::generate::Sampling;
use ossia::generate::sampler::distribution;
use ossia::tensor::slice;

pub struct Sampler {
    pub probabilities: fn(&[f32], f32) -> Vec<f32>,
    pub top_p: fn(&[f32], f32) -> Vec<f32>,
    pub draw: fn(&[f32], f32) -> usize,
}

/// Temperatures and top-p of the comparisons.
const SETTINGS: [(f32, f32); 4] = [(1.0, 1.0), (0.7, 0.89), (1.5, 0.5), (0.3, 0.99)];

fn logits(seed: u64) -> Vec<f32> {
    slice(&random(&[50], seed)).iter().map(|z| 2.0 * z).collect()
}

impl Exercise for Sampler {
    const NAME: &str = "sampler";
    const LEARNED: &str = "The temperature changes how unequal the probabilities are, and top-p cuts off the long tail of tokens that are \
        each improbable but together are drawn quite often. A draw needs one random number and a running sum.";

    fn yours() -> Self {
        use crate::sampler::{draw, probabilities, top_p};
        Self { probabilities, top_p, draw }
    }

    fn solution() -> Self {
        use crate::solutions::sampler::{draw, probabilities, top_p};
        Self { probabilities, top_p, draw }
    }

    fn mutants() -> Vec<Mutant<Self>> {
        zoo::sampler()
    }

    fn proofs() -> Vec<NamedProof<Self>> {
        vec![
            ("the_temperature_is_right", Self::temperature),
            ("top_p_keeps_the_right_tokens", Self::keeps),
            ("draws_each_token_as_often_as_it_should", Self::draws),
            ("equals_the_engine", Self::equals_the_engine),
        ]
    }

    fn sample(&self) -> Vec<f32> {
        let all = SETTINGS
            .iter()
            .flat_map(|&(temperature, p)| (self.top_p)(&(self.probabilities)(&logits(1), temperature), p));
        let drawn = (0..20).map(|i| (self.draw)(&[0.2, 0.0, 0.5, 0.3], i as f32 / 20.0) as f32);
        all.chain(drawn)
            .chain((self.probabilities)(&[1.0, 3.0, 3.0], 0.0))
            .chain((self.top_p)(&[0.25; 4], 0.5))
            .collect()
    }
}

impl Sampler {
    fn temperature(&self) -> Proof {
        let p = (self.probabilities)(&[2.0, 1.0, 0.0], 1.0);
        let why = "the logits are 2, 1, 0, so the probabilities are in the ratio e² : e¹ : e⁰";
        because(close("p", &p, &[0.665_24, 0.244_73, 0.090_03], 1e-4), why)?;
        let p = (self.probabilities)(&[2.0, 1.0, 0.0], 0.5);
        let why =
            "the logits are 2, 1, 0 and the temperature is 0.5, so the probabilities are in the ratio e⁴ : e² : e⁰";
        because(close("p", &p, &[0.866_81, 0.117_31, 0.015_88], 1e-4), why)?;
        let p = (self.probabilities)(&[1.0, 3.0, 3.0], 0.0);
        let why = "the temperature is 0, the logits are 1, 3, 3, and the first of the two largest gets probability 1";
        because(close("p", &p, &[0.0, 1.0, 0.0], 0.0), why)?;
        let p = (self.probabilities)(&[1e30, 0.0], 1.0);
        because(close("p", &p, &[1.0, 0.0], 0.0), "the logits are 10³⁰ and 0; subtract the largest logit first")
    }

    fn keeps(&self) -> Proof {
        let kept = |probabilities: &[f32], p: f32, expected: &[f32], why| {
            let found = (self.top_p)(probabilities, p);
            because(close("kept", &found, expected, 1e-6), &format!("with p = {p} and {probabilities:?}, {why}"))
        };
        kept(&[0.1, 0.6, 0.3], 0.8, &[0.0, 2.0 / 3.0, 1.0 / 3.0], "0.6 + 0.3 is the first sum that reaches 0.8")?;
        kept(&[0.1, 0.6, 0.3], 0.5, &[0.0, 1.0, 0.0], "0.6 alone reaches 0.5")?;
        kept(&[0.1, 0.6, 0.3], 0.0, &[0.0, 1.0, 0.0], "at least one token is kept")?;
        kept(&[0.1, 0.6, 0.3], 1.0, &[0.1, 0.6, 0.3], "all are needed to reach 1")?;
        kept(&[0.25; 4], 0.5, &[0.5, 0.5, 0.0, 0.0], "the first of equal probabilities count as larger")
    }

    fn draws(&self) -> Proof {
        let p = [0.25, 0.0, 0.5, 0.25];
        for (place, expected) in [(0.0, 0), (0.24, 0), (0.25, 2), (0.5, 2), (0.74, 2), (0.75, 3), (0.999, 3)] {
            equal(
                &format!("the token at place {place} with the probabilities {p:?}"),
                &(self.draw)(&p, place),
                &expected,
                "the sums are ¼ ¼ ¾ 1",
            )?;
        }
        let short = [0.3, 0.3, 0.399_999, 0.0];
        equal(
            "the token at place 0.9999999 with the probabilities 0.3, 0.3, 0.399999, 0",
            &(self.draw)(&short, 0.999_999_9),
            &2,
            "rounding can keep the sum below 1",
        )
    }

    fn equals_the_engine(&self) -> Proof {
        for (seed, (temperature, top_p)) in (1..).zip(SETTINGS) {
            let found = (self.top_p)(&(self.probabilities)(&logits(seed), temperature), top_p);
            let mut expected = vec![0.0; 50];
            let sampling = Sampling { temperature, top_p, ..Sampling::default() };
            let kept = distribution(&logits(seed), &sampling);
            let total: f32 = kept.iter().map(|(_, p)| p).sum();
            kept.into_iter().for_each(|(id, p)| expected[id as usize] = p / total);
            let why = format!("the engine returns this at temperature {temperature} with top-p {top_p}");
            because(close("p", &found, &expected, 1e-5), &why)?;
        }
        Ok(())
    }
}
