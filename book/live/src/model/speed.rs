//! Speed: how fast the engine is in this browser.

use crate::Live;
use ndarray::{Array2, ArrayView2};
use ossia::error::Result;
use ossia::generate::{Generator, Sampling};
use ossia::kernels::{self, gemm};
use ossia::layers::Layer;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use web_time::Instant;

/// A measurement takes at least this long.
const LEAST: Duration = Duration::from_millis(300);

/// A text to measure with.
const STORY: &str = "Once upon a time, there was a girl named Anna. Anna had a red ball. She loved the ball and took it to \
                     the park every day. One day, the ball rolled into the pond. A friendly duck brought it back. ";

#[derive(Deserialize)]
pub struct Question {
    model: String,
    what: What,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum What {
    /// Encoding of text, in megabytes per second.
    Encode,
    /// Tokens of a prompt per second.
    Prefill,
    /// New tokens per second.
    Decode,
    /// A product of two matrices of 256 × 256 numbers, in billions of operations per second.
    Product,
}

#[derive(Serialize)]
pub struct Answer {
    rate: f64,
    /// The instruction set of the kernels.
    isa: &'static str,
}

pub fn answer(live: &mut Live, Question { model, what }: Question) -> Result<Answer> {
    let model = live.models.get(&model)?;
    let text = STORY.repeat(8);
    let ids = &model.tokenizer.encode(&text)[..128];
    let row = ArrayView2::from_shape((1, ids.len()), ids).expect("one row");
    let frozen = model.transformer.frozen();
    let rate = match what {
        What::Encode => 1e-6 * per_second(text.len(), || drop(model.tokenizer.encode(&text))),
        What::Prefill => per_second(ids.len(), || drop(frozen.logits(&frozen.forward(row, None).hidden))),
        What::Decode => {
            let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
            let mut generator = Generator::new(&frozen, &ids[..16], greedy)?;
            let stop = model.transformer.stop_tokens(&model.tokenizer);
            let text = generator.generate(64, &stop).collect::<Result<Vec<u32>>>()?;
            per_second(text.len(), || {
                generator.go_to(&ids[..16], &mut |_, _| {}).expect("the prompt fits");
                (0..text.len()).for_each(|_| drop(generator.draw()));
            })
        }
        What::Product => {
            let matrix = |seed: usize| Array2::from_shape_fn((256, 256), |(i, j)| ((i * 7 + j * seed) % 13) as f32);
            let (a, b, mut c) = (matrix(3), matrix(5), Array2::zeros((256, 256)));
            1e-9 * per_second(2 * 256 * 256 * 256, || gemm::gemm(1.0, a.view(), b.view(), 0.0, c.view_mut()))
        }
    };
    Ok(Answer { rate, isa: kernels::selected().map_or("none", kernels::Isa::name) })
}

/// Repeats a piece of work for a while, and returns how much of it is done per second.
fn per_second(amount: usize, mut work: impl FnMut()) -> f64 {
    work(); // so that everything is in the caches
    let (start, mut repeats) = (Instant::now(), 0);
    while start.elapsed() < LEAST {
        work();
        repeats += 1;
    }
    (amount * repeats) as f64 / start.elapsed().as_secs_f64()
}
