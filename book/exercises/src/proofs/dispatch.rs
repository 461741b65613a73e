use super::{Exercise, Mutant, NamedProof, Proof, because, close, derivative, equal, random};
use crate::zoo;
use ossia::tensor::{Tensor, array, slice};

type Combine = fn(&[f32], usize, usize, &[usize], &[f32]) -> Vec<f32>;
type CombineBackward = fn(&[f32], &[f32], usize, usize, &[usize], &[f32]) -> (Vec<f32>, Vec<f32>);

pub struct Dispatch {
    pub sort: fn(&[u32], usize) -> (Vec<usize>, Vec<usize>),
    pub gather: fn(&[f32], usize, usize, &[usize]) -> Vec<f32>,
    pub combine: Combine,
    pub combine_backward: CombineBackward,
}

/// Four tokens, two experts each, of five.
const INDICES: [u32; 8] = [3, 0, 0, 4, 3, 4, 0, 3];
const EXPERTS: usize = 5;
const ACTIVE: usize = 2;
const HIDDEN: usize = 3;
/// The visits in the order of the experts.
const ORDER: [usize; 8] = [1, 2, 6, 0, 4, 7, 3, 5];

fn combined(layer: &Dispatch, t: &[Tensor]) -> Tensor {
    let y = (layer.combine)(t[0].data(), HIDDEN, ACTIVE, &ORDER, t[1].data());
    let (rows, weights, backward) = (t[0].value().clone(), t[1].value().clone(), layer.combine_backward);
    Tensor::from_op(array(&[INDICES.len() / ACTIVE, HIDDEN], y), &[&t[0], &t[1]], || {
        Box::new(move |dy| {
            let (drows, dweights) = backward(slice(&dy), slice(&rows), HIDDEN, ACTIVE, &ORDER, slice(&weights));
            vec![Some(array(rows.shape(), drows)), Some(array(weights.shape(), dweights))]
        })
    })
}

impl Exercise for Dispatch {
    const NAME: &str = "dispatch";
    const LEARNED: &str = "In the sorted order, the rows of an expert are next to each other, so each expert is one product \
        of matrices. The gradient of a router weight says how useful the expert was for this token.";

    fn yours() -> Self {
        use crate::dispatch::{combine, combine_backward, gather, sort};
        Self { sort, gather, combine, combine_backward }
    }

    fn solution() -> Self {
        use crate::solutions::dispatch::{combine, combine_backward, gather, sort};
        Self { sort, gather, combine, combine_backward }
    }

    fn mutants() -> Vec<Mutant<Self>> {
        zoo::dispatch()
    }

    fn proofs() -> Vec<NamedProof<Self>> {
        vec![
            ("sorts_the_visits_by_expert", Self::sorts),
            ("gathers_a_row_for_each_visit", Self::gathers),
            ("combines_what_the_experts_return", Self::combines),
            ("has_the_right_gradient", Self::gradient),
        ]
    }

    fn sample(&self) -> Vec<f32> {
        let (order, counts) = (self.sort)(&INDICES, EXPERTS);
        let x = random(&[4, HIDDEN], 1);
        let rows = (self.gather)(slice(&x), HIDDEN, ACTIVE, &ORDER);
        let inputs = [random(&[8, HIDDEN], 2), random(&[8], 3)].map(Tensor::parameter);
        let y = combined(self, &inputs);
        let gradients = ossia::ops::reduce::sum(&ossia::ops::elementwise::mul(&y, &y)).backward();
        let back = inputs.iter().filter_map(|input| gradients.get(input)).flat_map(|d| slice(d).to_vec());
        let numbers = order.iter().chain(&counts).map(|&n| n as f32);
        numbers.chain(rows).chain(y.data().to_vec()).chain(back).collect()
    }
}

impl Dispatch {
    fn sorts(&self) -> Proof {
        let (order, counts) = (self.sort)(&INDICES, EXPERTS);
        let why = format!(
            "the experts of the visits 0 to 7 are {INDICES:?}; the visits of an expert keep the order of the text"
        );
        equal("the order", &order, &ORDER.to_vec(), &why)?;
        equal(
            "the counts",
            &counts,
            &vec![3, 0, 0, 3, 2],
            &format!("number e says how often expert e occurs in {INDICES:?}"),
        )?;
        equal("the counts without tokens", &(self.sort)(&[], 3), &(vec![], vec![0; 3]), "each expert has 0 visits")?;
        let all = (self.sort)(&[1; 40], 2);
        equal("the counts if all visit expert 1", &all.1, &vec![0, 40], "there are 40 visits")?;
        equal("the order if all visit expert 1", &all.0, &(0..40).collect(), "the visits keep the order of the text")
    }

    fn gathers(&self) -> Proof {
        let x: Vec<f32> = (0..4 * HIDDEN).map(|i| i as f32).collect();
        let rows = (self.gather)(&x, HIDDEN, ACTIVE, &ORDER);
        let expected: Vec<f32> =
            ORDER.iter().flat_map(|visit| (0..HIDDEN).map(move |h| (visit / 2 * HIDDEN + h) as f32)).collect();
        let why = format!("the visits {ORDER:?} belong to the tokens 0 1 3 0 2 3 1 2");
        because(close("the gathered rows", &rows, &expected, 0.0), &why)
    }

    fn combines(&self) -> Proof {
        // Each row is 1 in the column of its place, so y lists the weights.
        let visits = ORDER.len();
        let rows: Vec<f32> = (0..visits * visits).map(|i| f32::from(u8::from(i / visits == i % visits))).collect();
        let weights: Vec<f32> = (0..visits).map(|v| 0.1 * (v + 1) as f32).collect();
        let y = (self.combine)(&rows, visits, ACTIVE, &ORDER, &weights);
        let mut expected = vec![0.0; visits / ACTIVE * visits];
        ORDER.iter().enumerate().for_each(|(place, &visit)| expected[visit / ACTIVE * visits + place] = weights[visit]);
        because(
            close("y", &y, &expected, 1e-6),
            "token t gets the rows of the visits 2t and 2t + 1, each times its weight",
        )
    }

    fn gradient(&self) -> Proof {
        derivative(self, &["rows", "weights"], &[random(&[8, HIDDEN], 2), random(&[8], 3)], combined)
    }
}
