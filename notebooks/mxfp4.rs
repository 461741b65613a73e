//! # MXFP4 under the microscope
//!
//! MXFP4 stores 32 numbers in 17 bytes. How large are the errors, and where are they? This notebook shows the sixteen
//! values, a block, what one large number does to the other numbers of its block, and how much worse a model predicts if
//! its experts are in MXFP4. The chapter is [MXFP4](mxfp4.md).

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // %% [markdown]
    // ## Sixteen values
    //
    // A number has a sign, two bits of exponent and one bit of mantissa. This format is called *E2M1*. Half of the
    // sixteen values are in the range from −1.5 to 1.5.
    // %%
    use notebook::{Axes, bars, chart, dots, line};
    use ossia::mxfp4::{BLOCK, VALUES, decode, encode};

    let codes: Vec<(f64, f64)> = VALUES.iter().enumerate().map(|(code, &value)| (value.into(), code as f64)).collect();
    assert_eq!(VALUES.iter().filter(|value| value.abs() <= 1.5).count(), 8);
    chart("value", "code", Axes::Linear, &[dots("E2M1", codes)]).show();
    // %% [markdown]
    // ## A block
    //
    // The next cell draws 32 weights from a normal distribution with a standard deviation of 0.02. The largest of them
    // decides the scale, which is a power of two.
    // %%
    use rand::rngs::ChaCha8Rng;
    use rand::{RngExt, SeedableRng};

    /// Normally distributed numbers, after Box and Muller.
    fn normal(count: usize, seed: u64) -> Vec<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut draw = || {
            let radius = (-2.0 * (1.0 - rng.random::<f32>()).ln()).sqrt();
            radius * (std::f32::consts::TAU * rng.random::<f32>()).cos()
        };
        (0..count).map(|_| draw()).collect()
    }

    /// What a block becomes.
    fn rounded(block: &[f32; BLOCK]) -> [f32; BLOCK] {
        let (codes, scale) = encode(block);
        std::array::from_fn(|i| decode(codes[i / 2] >> (4 * (i % 2)) & 15, scale))
    }

    let mut block = [0.0_f32; BLOCK];
    for (x, z) in block.iter_mut().zip(normal(BLOCK, 1)) {
        *x = 0.02 * z;
    }
    let after = rounded(&block);
    let (_, scale) = encode(&block);
    println!("scale byte {scale}: 2^{}", i32::from(scale) - 127);
    let largest = block.iter().fold(0.0_f32, |a, x| a.max(x.abs()));
    assert!(block.iter().zip(&after).all(|(x, y)| (x - y).abs() <= largest / 4.0));

    fn places(block: &[f32; BLOCK]) -> Vec<(f64, f64)> {
        block.iter().enumerate().map(|(i, &x)| (i as f64, f64::from(x))).collect()
    }

    let both = [dots("before", places(&block)), dots("after", places(&after))];
    chart("place in the block", "weight", Axes::Linear, &both).show();
    // %% [markdown]
    // ## One large number
    //
    // The next cell makes the first number of the block larger and larger. The other 31 do not change. The curve shows
    // their error, relative to their size. As long as the first number is below three standard deviations, it does not
    // change the scale. From there on, each time that it doubles, the scale doubles too, and the others are rounded more
    // coarsely. This makes the steps of the curve. From 50 standard deviations on, all others become zero, so the
    // error is 1.
    // %%
    /// How far the last 31 numbers are off, against their own size.
    fn error_of_neighbours(block: &[f32; BLOCK]) -> f64 {
        let after = rounded(block);
        let square = |xs: &mut dyn Iterator<Item = f32>| xs.map(|x| f64::from(x).powi(2)).sum::<f64>();
        let error = square(&mut block[1..].iter().zip(&after[1..]).map(|(x, y)| x - y));
        (error / square(&mut block[1..].iter().copied())).sqrt()
    }

    let mut growth: Vec<(f64, f64)> = Vec::new();
    for i in 0..80 {
        let outlier = 0.02 * 1.1_f32.powi(i);
        let mut spoiled = block;
        spoiled[0] = outlier;
        growth.push((f64::from(outlier / 0.02), error_of_neighbours(&spoiled)));
    }
    assert!(growth[0].1 < 0.2 && growth[79].1 == 1.0);
    chart(
        "the first number, in standard deviations",
        "error of the others",
        Axes::Log,
        &[line("error", growth.clone())],
    )
    .show();
    // %% [markdown]
    // ## Why not integers of four bits?
    //
    // The next cell compares E2M1 with the integers from −7 to 7, which also get a scale that is a power of two. Most
    // weights of a block are much smaller than its largest one, and in their range the integers are further apart than
    // the values of E2M1. For normally distributed numbers, the error of E2M1 is a fifth smaller: 0.116 instead of 0.145.
    // The same holds for numbers with *heavy tails*, among which a few are very large: 0.140 instead of 0.178. (They are
    // cubes of normally distributed numbers.)
    // %%
    /// The same block as whole numbers from −7 to 7, times a power of two.
    fn whole(block: &[f32; BLOCK]) -> [f32; BLOCK] {
        let largest = block.iter().fold(0.0_f32, |a, x| a.max(x.abs()));
        let scale = (largest / 7.0).log2().ceil().exp2();
        block.map(|x| (x / scale).round_ties_even() * scale)
    }

    /// The error of a format on many blocks, against the size of the numbers.
    fn error(numbers: &[f32], format: fn(&[f32; BLOCK]) -> [f32; BLOCK]) -> f64 {
        let (mut wrong, mut all) = (0.0, 0.0);
        for block in numbers.as_chunks::<BLOCK>().0 {
            for (x, y) in block.iter().zip(format(block)) {
                wrong += f64::from(x - y).powi(2);
                all += f64::from(*x).powi(2);
            }
        }
        (wrong / all).sqrt()
    }

    let even = normal(32_000, 2);
    let heavy: Vec<f32> = normal(32_000, 3).iter().map(|z| z * z * z).collect();
    let errors = [error(&even, rounded), error(&even, whole), error(&heavy, rounded), error(&heavy, whole)];
    println!(
        "normal: E2M1 {:.3}, whole {:.3}; heavy tails: E2M1 {:.3}, whole {:.3}",
        errors[0], errors[1], errors[2], errors[3]
    );
    assert!(errors[0] < 0.85 * errors[1] && errors[2] < 0.85 * errors[3]);
    bars(&["E2M1, normal", "whole, normal", "E2M1, heavy", "whole, heavy"].map(String::from), &errors, "error / size")
        .show();
    // %% [markdown]
    // ## A product
    //
    // For a single token, the engine writes no decoded row of weights into memory. It decodes the codes when it
    // multiplies them. The result is the same as if the row were decoded first, up to rounding.
    // %%
    use ossia::kernels;

    let x = normal(BLOCK * 90, 4);
    let w = normal(BLOCK * 90, 5);
    let (codes, scales): (Vec<[u8; 16]>, Vec<u8>) = w.as_chunks::<BLOCK>().0.iter().map(encode).unzip();
    let mut decoded = vec![0.0; w.len()];
    kernels::scalar::expand_mxfp4(&codes, &scales, &mut decoded);
    let slow: f64 = x.iter().zip(&decoded).map(|(x, w)| f64::from(x * w)).sum();
    let mut arranged = vec![0.0; x.len()];
    kernels::arrange_mxfp4(&x, &mut arranged);
    let fast = f64::from(kernels::dot_mxfp4(&arranged, &codes, &scales));
    println!("decoded first {slow:.4}, directly {fast:.4}; {} bytes instead of {}", 17 * codes.len(), 4 * w.len());
    assert!((slow - fast).abs() < 1e-3);
    // %% [markdown]
    // ## A model
    //
    // The last cell trains a small model on stories, which takes about a minute. It saves the model with the experts in
    // MXFP4 and all other weights in bf16, and opens it again. On unseen stories, its loss is then 0.0017 nats per token
    // higher.
    // %%
    use notebook::storyteller::Storyteller;
    use ossia::checkpoint::{Form, Layout, SaveOptions, load, save_as};
    use ossia::data::Corpus;
    use ossia::train::evaluate::{EvaluationSet, evaluate};

    let storyteller = Storyteller::trained()?;
    let directory = tempfile::tempdir()?;
    let written = SaveOptions { form: Form::Mxfp4, layout: Layout::HuggingFace, shard_bytes: None };
    let bytes = save_as(&storyteller.model, directory.path(), written)?;
    let small = load(directory.path())?;

    let stories = Corpus::builtin(200, 99).documents;
    let set = EvaluationSet::of_documents(&stories, &storyteller.tokenizer, 256)?;
    let (long, short) = (evaluate(&storyteller.model, &set, 8).loss, evaluate(&small, &set, 8).loss);
    println!("{bytes} bytes; {long:.4} nats per token in f32, {short:.4} with experts in MXFP4");
    assert!((short - long).abs() < 0.05);
    Ok(())
}
