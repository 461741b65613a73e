use super::{Exercise, Mutant, NamedProof, Proof, because, close, equal, random};
use crate::zoo;
use ossia::ops::attention::Shape;
use ossia::ops::attention::naive::forward;
use ossia::tensor::slice;

pub struct KvCache {
    pub push: fn(&mut Vec<f32>, &[f32], usize, usize),
    pub rows: fn(&[f32], usize, usize, usize) -> Vec<f32>,
    pub attend: fn(&[f32], &[f32], &[f32]) -> Vec<f32>,
}

const WIDTH: usize = 4;
const WINDOW: usize = 3;

impl Exercise for KvCache {
    const NAME: &str = "kv_cache";
    const LEARNED: &str = "A sliding layer never needs more than its window, however long the text is, so half of the layers of \
        gpt-oss have a cache of constant size. And attention of one query over the cached keys equals the last row of attention \
        over the whole sequence.";

    fn yours() -> Self {
        use crate::kv_cache::{attend, push, rows};
        Self { push, rows, attend }
    }

    fn solution() -> Self {
        use crate::solutions::kv_cache::{attend, push, rows};
        Self { push, rows, attend }
    }

    fn mutants() -> Vec<Mutant<Self>> {
        zoo::kv_cache()
    }

    fn proofs() -> Vec<NamedProof<Self>> {
        vec![
            ("a_row_takes_the_place_of_the_oldest", Self::ring),
            ("rows_come_back_oldest_first", Self::order),
            ("one_query_attends", Self::attends),
            ("token_by_token_equals_all_at_once", Self::equals_attention),
        ]
    }

    fn sample(&self) -> Vec<f32> {
        (1..=8)
            .flat_map(|length| (self.rows)(&self.filled(length), WIDTH, length, WINDOW))
            .chain(self.decoded())
            .collect()
    }
}

/// The row of a position: its number, in every column.
fn row(position: usize) -> Vec<f32> {
    vec![position as f32; WIDTH]
}

impl KvCache {
    fn filled(&self, length: usize) -> Vec<f32> {
        let mut ring = Vec::new();
        (0..length).for_each(|position| (self.push)(&mut ring, &row(position), position, WINDOW));
        ring
    }

    fn ring(&self) -> Proof {
        let firsts = |length| -> Vec<f32> { self.filled(length).iter().step_by(WIDTH).copied().collect() };
        equal("the ring after 2 positions", &firsts(2), &vec![0.0, 1.0], "a row holds its position, and 3 rows fit")?;
        let why = "position 3 takes the place of position 0, and the ring does not grow";
        equal("the ring after 4 positions", &firsts(4), &vec![3.0, 1.0, 2.0], why)?;
        equal("the ring after 8 positions", &firsts(8), &vec![6.0, 7.0, 5.0], "the oldest row is replaced each time")
    }

    fn order(&self) -> Proof {
        (0..=8).try_for_each(|length: usize| {
            let found = (self.rows)(&solution_ring(length), WIDTH, length, WINDOW);
            let expected: Vec<f32> = (length.saturating_sub(WINDOW)..length).flat_map(row).collect();
            equal(&format!("the rows after {length} positions"), &found, &expected, "they are the last 3, oldest first")
        })
    }

    fn attends(&self) -> Proof {
        let o = (self.attend)(&[0.0; 2], &[1.0, 2.0, 3.0, 4.0], &[1.0, 0.0, 3.0, 8.0]);
        because(close("o", &o, &[2.0, 4.0], 1e-6), "the query is 0, so both values count one half")?;
        let o = (self.attend)(&[1e20, 0.0], &[1e10, 0.0, -1e10, 0.0], &[1.0, 2.0, 3.0, 4.0]);
        because(close("o", &o, &[1.0, 2.0], 1e-6), "the scores are ±7·10²⁹; subtract the largest first")
    }

    /// Ten tokens, one after the other.
    fn decoded(&self) -> Vec<f32> {
        let [q, k, v] = [1, 2, 3].map(|seed| slice(&random(&[10, WIDTH], seed)).to_vec());
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        let at = |x: &[f32], t: usize| x[t * WIDTH..][..WIDTH].to_vec();
        let mut o = Vec::new();
        for t in 0..10 {
            (self.push)(&mut keys, &at(&k, t), t, WINDOW);
            (self.push)(&mut values, &at(&v, t), t, WINDOW);
            let [keys, values] = [&keys, &values].map(|ring| (self.rows)(ring, WIDTH, t + 1, WINDOW));
            o.extend((self.attend)(&at(&q, t), &keys, &values));
        }
        o
    }

    /// The engine's attention over all ten tokens, with a sink that takes nothing.
    fn equals_attention(&self) -> Proof {
        let [q, k, v] = [1, 2, 3].map(|seed| slice(&random(&[10, WIDTH], seed)).to_vec());
        let shape = Shape { heads: 1, kv_heads: 1, head_dim: WIDTH, window: Some(WINDOW) };
        let expected = forward(&q, &k, &v, &[f32::NEG_INFINITY], shape);
        let why = "o has 4 numbers per token; attention over all ten tokens with a window of 3 gives the expected ones";
        because(close("o", &self.decoded(), &expected, 1e-5), why)
    }
}

/// A ring that is right, so that reading is checked alone.
fn solution_ring(length: usize) -> Vec<f32> {
    KvCache::solution().filled(length)
}
