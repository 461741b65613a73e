use super::{Exercise, Mutant, NamedProof, Proof, because, close, equal, near, random};
use crate::zoo;
use ossia::generate::speculative::accept;
use ossia::tensor::slice;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// A function that checks drafts.
pub type Check = fn(&[usize], &[Vec<f64>], &[Vec<f64>], &mut dyn FnMut() -> f64) -> Vec<usize>;

pub struct Acceptance {
    pub accepts: fn(usize, &[f64], &[f64], f64) -> bool,
    pub residual: fn(&[f64], &[f64]) -> Vec<f64>,
    pub rate: fn(&[f64], &[f64]) -> f64,
    pub check: Check,
    pub tokens_per_pass: fn(f64, usize) -> f64,
}

impl Exercise for Acceptance {
    const NAME: &str = "acceptance";
    const LEARNED: &str = "A draft is kept as often as both distributions allow, and a rejected one is replaced by what the \
        model wants more often than the drafter. Together this is the distribution of the model, to the last digit, whatever \
        the drafter proposes. A bad drafter makes the program slower, and the text never worse.";

    fn yours() -> Self {
        use crate::acceptance::{accepts, check, rate, residual, tokens_per_pass};
        Self { accepts, residual, rate, check, tokens_per_pass }
    }

    fn solution() -> Self {
        use crate::solutions::acceptance::{accepts, check, rate, residual, tokens_per_pass};
        Self { accepts, residual, rate, check, tokens_per_pass }
    }

    fn mutants() -> Vec<Mutant<Self>> {
        zoo::acceptance()
    }

    fn proofs() -> Vec<NamedProof<Self>> {
        vec![
            ("a_draft_is_accepted_as_often_as_it_should", Self::accepts_examples),
            ("after_a_rejection_the_rest_of_p_is_drawn", Self::residual_of_examples),
            ("one_token_has_the_distribution_of_the_model", Self::one_token),
            ("the_rate_is_what_both_distributions_share", Self::rate_of_examples),
            ("drafts_are_checked_until_one_is_rejected", Self::checks_examples),
            ("greedy_drafts_are_compared_with_the_best_token", Self::greedy),
            ("every_token_has_the_distribution_of_the_model", Self::all_tokens),
            ("drafts_are_accepted_as_in_the_engine", Self::equals_the_engine),
            ("a_pass_adds_as_many_tokens_as_the_formula_says", Self::counts_tokens),
        ]
    }

    fn sample(&self) -> Vec<f32> {
        let mut numbers = Vec::new();
        for (q, p) in [(&Q, &P), (&P, &Q)] {
            numbers.extend(
                (0..3)
                    .flat_map(|x| (0..9).map(move |i| (x, i)))
                    .map(|(x, i)| f32::from((self.accepts)(x, q, p, f64::from(i) / 9.0))),
            );
            numbers.extend((self.residual)(q, p).iter().map(|r| *r as f32));
            numbers.push((self.rate)(q, p) as f32);
        }
        let accepted_at_0 = (self.accepts)(0, &[1.0, 0.0], &[0.0, 1.0], 0.0);
        numbers.push(f32::from(accepted_at_0));
        numbers
            .extend([(0.5, 3), (1.0, 4), (0.0, 2)].map(|(rate, drafts)| (self.tokens_per_pass)(rate, drafts) as f32));
        for (a, b) in [(0, 1), (1, 2), (2, 0), (0, 0)] {
            for numbers_of in [[0.1, 0.9, 0.5], [0.9, 0.1, 0.2], [0.3, 0.3, 0.8], [0.9, 0.4, 0.95]] {
                let tokens = self.checked(&[a, b], &[q_after(None), q_after(Some(a))], &of_model(a), &numbers_of);
                numbers.push(tokens.len() as f32);
                numbers.extend(tokens.iter().map(|token| *token as f32));
            }
        }
        numbers
    }
}

/// The distributions of most proofs. p/q and all sums of probabilities are multiples of 1/15, so a grid of 15 numbers gives exact
/// probabilities: p₀/q₀ is 0.4, and what p has more than q is (0, ⅓, ⅔).
const Q: [f64; 3] = [0.5, 0.3, 0.2];
const P: [f64; 3] = [0.2, 0.4, 0.4];
const GRID: usize = 15;

/// Returns the middle of each part of the interval from 0 to 1.
fn grid() -> impl Iterator<Item = f64> + Clone {
    (0..GRID).map(|i| (i as f64 + 0.5) / GRID as f64)
}

/// Returns the probabilities, moved by some tokens.
fn rotated(p: [f64; 3], by: usize) -> Vec<f64> {
    (0..3).map(|i| p[(i + by) % 3]).collect()
}

/// Returns the distribution from which the drafter draws, after a draft or without one.
fn q_after(draft: Option<usize>) -> Vec<f64> {
    rotated(Q, draft.map_or(0, |draft| draft + 1))
}

/// Returns the distributions of the model for three tokens, of which the second depends on the first.
fn of_model(first: usize) -> [Vec<f64>; 3] {
    [P.to_vec(), rotated(P, first + 1), vec![0.6, 0.2, 0.2]]
}

/// Returns random distributions over some tokens. Some tokens have the probability 0.
fn distribution(tokens: usize, seed: u64) -> Vec<f64> {
    let numbers = random(&[tokens], seed);
    let weights: Vec<f64> = slice(&numbers).iter().map(|x| f64::from(x.max(0.0)) + 1e-9).collect();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / total).collect()
}

fn floats(numbers: &[f64]) -> Vec<f32> {
    numbers.iter().map(|x| *x as f32).collect()
}

impl Acceptance {
    /// Checks drafts with these random numbers. If there are not enough, the last one comes again.
    fn checked(&self, drafts: &[usize], q: &[Vec<f64>], p: &[Vec<f64>], uniform: &[f64]) -> Vec<usize> {
        let mut rest = uniform.iter();
        let mut last = 0.0;
        (self.check)(drafts, q, p, &mut || {
            last = *rest.next().unwrap_or(&last);
            last
        })
    }

    fn accepts_examples(&self) -> Proof {
        for (draft, uniform, expected, why) in [
            (0, 0.39, true, "p/q is 0.4, and 0.39 is below it"),
            (0, 0.41, false, "p/q is 0.4, and 0.41 is above it"),
            (0, 0.21, true, "p/q is 0.4. p alone is 0.2, which does not decide"),
            (1, 0.999, true, "p is larger than q, so the draft is always accepted"),
            (2, 0.5, true, "p/q is 2, so the draft is always accepted"),
        ] {
            let name = format!("whether draft {draft} is accepted, with q = {Q:?}, p = {P:?} and the number {uniform}");
            equal(&name, &(self.accepts)(draft, &Q, &P, uniform), &expected, why)?;
        }
        let why = "the model never says this token, so it is rejected, also with the number 0";
        equal("a draft with p = 0 and the number 0", &(self.accepts)(0, &[1.0, 0.0], &[0.0, 1.0], 0.0), &false, why)?;
        let name = "a draft with p = q = 0.25 and the number 0.9999";
        equal(name, &(self.accepts)(3, &[0.25; 4], &[0.25; 4], 0.9999), &true, "p/q is 1, so it is always accepted")
    }

    fn residual_of_examples(&self) -> Proof {
        for (q, p, expected, why) in [
            (Q, P, [0.0, 1.0 / 3.0, 2.0 / 3.0], "p − q is (−0.3, 0.1, 0.2). Without what is negative, the sum is 0.3"),
            (P, Q, [1.0, 0.0, 0.0], "only the first token is more probable in p than in q"),
            ([0.0, 1.0, 0.0], [0.5, 0.0, 0.5], [0.5, 0.0, 0.5], "q has nothing of what p has, so all of p is left"),
        ] {
            let found = floats(&(self.residual)(&q, &p));
            let name = format!("the distribution after a rejection, with q = {q:?} and p = {p:?}");
            because(close(&name, &found, &floats(&expected), 1e-6), why)?;
        }
        Ok(())
    }

    /// The probability of each token, as a sum over all drafts and an integral over the random number.
    fn one_token(&self) -> Proof {
        let turned = [rotated(Q, 1), rotated(P, 2)];
        for (q, p) in
            [(Q.to_vec(), P.to_vec()), (P.to_vec(), Q.to_vec()), turned.into(), (vec![1.0, 0.0], vec![0.6, 0.4])]
        {
            let mut found = vec![0.0; p.len()];
            for draft in (0..q.len()).filter(|draft| q[*draft] > 0.0) {
                let fine = (0..3000).map(|i| (f64::from(i) + 0.5) / 3000.0);
                let accepted = fine.filter(|u| (self.accepts)(draft, &q, &p, *u)).count() as f64 / 3000.0;
                found[draft] += q[draft] * accepted;
                if accepted < 1.0 {
                    let rest = (self.residual)(&q, &p);
                    (0..p.len()).for_each(|token| found[token] += q[draft] * (1.0 - accepted) * rest[token]);
                }
            }
            let name = format!("the probability of a token, with q = {q:?} and p = {p:?},");
            let why = "a token is a draft that was accepted, or is drawn after a draft that was rejected";
            because(close(&name, &floats(&found), &floats(&p), 1e-3), why)?;
        }
        Ok(())
    }

    fn rate_of_examples(&self) -> Proof {
        for (q, p, expected, why) in [
            (Q.to_vec(), P.to_vec(), 0.7, "the smaller numbers are 0.2, 0.3 and 0.2"),
            (P.to_vec(), Q.to_vec(), 0.7, "the smaller numbers are the same if p and q change places"),
            (vec![0.25; 4], vec![0.25; 4], 1.0, "both are equal, so nothing is rejected"),
            (vec![1.0, 0.0], vec![0.0, 1.0], 0.0, "they share nothing"),
        ] {
            near(&format!("the rate with q = {q:?} and p = {p:?}"), (self.rate)(&q, &p), expected, 1e-9, why)?;
        }
        for seed in 0..20 {
            let (q, p) = (distribution(12, seed), distribution(12, seed + 100));
            let ratios = q.iter().zip(&p).map(|(q, p)| q * (p / q).min(1.0));
            let why = "a draft comes with probability q and is then accepted with probability min(1, p/q)";
            near("the rate of random distributions", (self.rate)(&q, &p), ratios.sum(), 1e-9, why)?;
        }
        Ok(())
    }

    fn checks_examples(&self) -> Proof {
        let (q, p) = ([Q.to_vec(), Q.to_vec()], [P.to_vec(), vec![0.0, 1.0, 0.0], vec![0.0, 0.0, 1.0]]);
        for (drafts, uniform, expected, why) in [
            (
                &[1, 1][..],
                [0.5, 0.5, 0.5],
                &[1, 1, 2][..],
                "both drafts are accepted, and the token after them is drawn from \
                the third distribution",
            ),
            (&[2, 0], [0.5, 0.5, 0.5], &[2, 1], "the second draft is rejected, because p is 0, and 1 replaces it"),
            (
                &[0, 1],
                [0.9, 0.9, 0.0],
                &[2],
                "the first draft is rejected, so the second one, which follows it, has no \
                meaning any more",
            ),
            (
                &[1],
                [0.5, 0.5, 0.5],
                &[1, 1],
                "the draft is accepted, and the token after it comes from the second \
                distribution",
            ),
            (&[], [0.5, 0.5, 0.5], &[1], "without drafts, the token is drawn from p"),
        ] {
            let found = self.checked(drafts, &q[..drafts.len()], &p[..=drafts.len()], &uniform);
            let name = format!("the tokens after the drafts {drafts:?}, with the numbers {uniform:?}");
            equal(&name, &found, &expected.to_vec(), why)?;
        }
        Ok(())
    }

    /// At temperature 0, all distributions have a single token.
    fn greedy(&self) -> Proof {
        let only = |token: usize| -> Vec<f64> { (0..5).map(|i| f64::from(i == token)).collect() };
        for (drafts, best, expected) in [
            ([3, 1, 4], [3, 1, 4, 2], &[3, 1, 4, 2][..]),
            ([3, 1, 4], [3, 1, 0, 2], &[3, 1, 0]),
            ([3, 1, 4], [3, 0, 4, 2], &[3, 0]),
            ([3, 1, 4], [0, 1, 4, 2], &[0]),
        ] {
            for uniform in [0.0, 0.5, 0.999_999] {
                let found = self.checked(&drafts, &drafts.map(only), &best.map(only), &[uniform; 4]);
                let name = format!("the tokens after the drafts {drafts:?}, with the number {uniform}");
                let why = format!("the model's best tokens are {best:?}, and all others have the probability 0");
                equal(&name, &found, &expected.to_vec(), &why)?;
            }
        }
        Ok(())
    }

    /// Runs all pairs of drafts with all random numbers of the grid, and returns the tokens with their probabilities.
    fn enumerated(
        &self,
        p: impl Fn(usize) -> [Vec<f64>; 3],
        q: impl Fn(Option<usize>) -> Vec<f64>,
    ) -> Vec<(Vec<usize>, f64)> {
        let mut all = Vec::new();
        for (a, b) in (0..3).flat_map(|a| (0..3).map(move |b| (a, b))) {
            let (of_drafts, of_model) = ([q(None), q(Some(a))], p(a));
            let weight = of_drafts[0][a] * of_drafts[1][b] / (GRID * GRID * GRID) as f64;
            for (u, v) in grid().flat_map(|u| grid().map(move |v| (u, v))) {
                all.extend(grid().map(|w| (self.checked(&[a, b], &of_drafts, &of_model, &[u, v, w]), weight)));
            }
        }
        all
    }

    /// The probabilities of the first token, and of each token given those before it, are those of the model.
    fn all_tokens(&self) -> Proof {
        let all = self.enumerated(of_model, q_after);
        let after = |before: &[usize]| -> Vec<f32> {
            let mut found = [0.0; 3];
            let longer = all.iter().filter(|(tokens, _)| tokens.len() > before.len() && tokens.starts_with(before));
            longer.for_each(|(tokens, weight)| found[tokens[before.len()]] += weight);
            let total: f64 = found.iter().sum();
            floats(&found.map(|weight| weight / total))
        };
        let why =
            "these are sums over all drafts and all numbers of a grid, and drafts must not change what the model says";
        let name = "the probability of the first token";
        because(close(name, &after(&[]), &floats(&P), 1e-5), why)?;
        for a in 0..3 {
            let name = format!("the probability of the token after {a}");
            because(close(&name, &after(&[a]), &floats(&of_model(a)[1]), 1e-5), why)?;
            for b in 0..3 {
                let name = format!("the probability of the token after the drafts {a} and {b}");
                because(close(&name, &after(&[a, b]), &floats(&of_model(a)[2]), 1e-5), why)?;
            }
        }
        Ok(())
    }

    /// The engine checks one draft after the other with [`accept`].
    fn equals_the_engine(&self) -> Proof {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        for case in 0..300 {
            let q: Vec<Vec<f64>> = (0..3).map(|i| distribution(8, 10 * case + i)).collect();
            // Every second time, both are nearly equal, so that most drafts are accepted.
            let mixed = |i: u64| -> Vec<f64> {
                let (p, q) = (distribution(8, 10 * case + 5 + i), distribution(8, 10 * case + i));
                let share = if case % 2 == 0 { 0.1 } else { 1.0 };
                p.iter().zip(q).map(|(p, q)| share * p + (1.0 - share) * q).collect()
            };
            let p: Vec<Vec<f64>> = (0..4).map(mixed).collect();
            let uniform: Vec<f64> = (0..8).map(|_| rng.random()).collect();
            let drafts: Vec<usize> = q.iter().map(|q| crate::solutions::acceptance::draw(q, rng.random())).collect();
            let (mut numbers, mut expected) = (uniform.iter().copied(), Vec::new());
            let mut next = || numbers.next().unwrap_or(0.0);
            for i in 0..=3 {
                let Some(&draft) = drafts.get(i) else {
                    expected.push(crate::solutions::acceptance::draw(&p[3], next()));
                    break;
                };
                expected.push(accept(draft as u32, &q[i], &p[i], &mut next) as usize);
                if expected[i] != draft {
                    break;
                }
            }
            let found = self.checked(&drafts, &q, &p, &uniform);
            let name = format!("case {case}: the tokens after the drafts {drafts:?}, with the numbers {uniform:?}");
            equal(&name, &found, &expected, "the engine returns these tokens for the same distributions and numbers")?;
        }
        Ok(())
    }

    fn counts_tokens(&self) -> Proof {
        for (rate, drafts, expected, why) in [
            (0.5, 3, 1.875, "1 + ½ + ¼ + ⅛"),
            (0.0, 4, 1.0, "all drafts are rejected, and each pass adds the token that replaces the first one"),
            (0.9, 0, 1.0, "without drafts, a pass adds one token"),
            (1.0, 4, 5.0, "all drafts are accepted, and one token follows them"),
        ] {
            let name = format!("the tokens per pass at a rate of {rate} with {drafts} drafts");
            near(&name, (self.tokens_per_pass)(rate, drafts), expected, 1e-9, why)?;
        }
        let all = self.enumerated(|_| [P.to_vec(), P.to_vec(), P.to_vec()], |_| Q.to_vec());
        let mean: f64 = all.iter().map(|(tokens, weight)| tokens.len() as f64 * weight).sum();
        let found = (self.tokens_per_pass)((self.rate)(&Q, &P), 2);
        let why = "this is the mean number of tokens that check returns, over all drafts and a grid of numbers";
        near("the tokens per pass with 2 drafts, at the rate of the example", found, mean, 1e-9, why)
    }
}
