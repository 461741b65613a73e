use super::{Layer, Mutant, Proof, claim, random};
use crate::zoo;
use ossia::mxfp4;
use ossia::tensor::slice;

pub struct Mxfp4 {
    pub decode: fn(&[u8; 16], u8) -> [f32; 32],
    pub encode: fn(&[f32; 32]) -> ([u8; 16], u8),
}

/// Blocks of numbers of many sizes, with some that lie halfway between two values.
fn blocks() -> impl Iterator<Item = [f32; 32]> {
    (0..200).map(|seed| {
        let numbers = random(&[32], seed);
        let size = f32::from(seed as u8 % 40 + 1) - 20.0;
        std::array::from_fn(|i| {
            let x = slice(&numbers)[i] * size.exp2();
            if seed % 4 == 0 { (x / size.exp2() * 4.0).round() / 4.0 * size.exp2() } else { x }
        })
    })
}

impl Layer for Mxfp4 {
    const NAME: &str = "mxfp4";
    const WON: &str = "Half a byte a number, and the sixteen values lie close together where most weights are: near zero. The \
        engine never writes them out; it multiplies the codes while they pass.";

    fn yours() -> Self {
        Self { decode: crate::mxfp4::decode, encode: crate::mxfp4::encode }
    }

    fn solution() -> Self {
        use crate::solutions::mxfp4::{decode, encode};
        Self { decode, encode }
    }

    fn mutants() -> Vec<Mutant<Self>> {
        zoo::mxfp4()
    }

    fn equals_the_reference(&self) -> Proof {
        // The engine's, which decodes every code and scale to the bits of OpenAI's.
        for scale in [0, 1, 100, 127, 128, 254] {
            let codes = std::array::from_fn(|i| (i * 37 + 11) as u8);
            let numbers = (self.decode)(&codes, scale);
            for (i, x) in numbers.iter().enumerate() {
                let expected = mxfp4::decode(codes[i / 2] >> (4 * (i % 2)) & 15, scale);
                claim(
                    x.to_bits() == expected.to_bits(),
                    &format!("number {i} of the codes {codes:?} with the scale {scale} is {x}, expected {expected}"),
                )?;
            }
        }
        for numbers in blocks() {
            let (found, expected) = ((self.encode)(&numbers), mxfp4::encode(&numbers));
            claim(
                found.1 == expected.1,
                &format!("the scale is {}, expected {}, for {numbers:?}", found.1, expected.1),
            )?;
            let wrong = (0..32).find(|i| (found.0[i / 2] ^ expected.0[i / 2]) >> (4 * (i % 2)) & 15 != 0);
            let code = |codes: &[u8; 16], i: usize| codes[i / 2] >> (4 * (i % 2)) & 15;
            wrong.map_or(Ok(()), |i| {
                let (found, expected) = (code(&found.0, i), code(&expected.0, i));
                Err(format!("number {i}, {}, has the code {found}, expected {expected}", numbers[i]))
            })?;
        }
        Ok(())
    }

    fn has_the_right_gradient(&self) -> Proof {
        // It has none; but what was decoded is encoded without loss, and rounding is never off by more than half a step.
        for numbers in blocks() {
            let (codes, scale) = (self.encode)(&numbers);
            let decoded = (self.decode)(&codes, scale);
            let again = (self.encode)(&decoded);
            claim((self.decode)(&again.0, again.1) == decoded, "what was decoded is encoded without loss")?;
            let largest = numbers.iter().fold(0.0_f32, |a, x| a.max(x.abs()));
            let off = decoded.iter().zip(&numbers).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            claim(
                off <= largest * 0.25 * 1.001,
                &format!("a number is off by {off}, more than a quarter of the largest, {largest}"),
            )?;
        }
        Ok(())
    }

    fn holds_at_the_edges(&self) -> Proof {
        claim((self.encode)(&[0.0; 32]) == ([0; 16], 0), "a block of zeros has codes and a scale of zero")?;
        let mut numbers = [0.0; 32];
        numbers[0] = -0.0;
        claim((self.encode)(&numbers).0[0] == 8, "the sign of −0 survives")?;
        claim((self.decode)(&[0x21; 16], 255).iter().all(|x| x.is_nan()), "a scale of 255 makes all numbers NaN")?;
        claim((self.decode)(&[0x21; 16], 127)[..2] == [0.5, 1.0], "the first number is in the low half of its byte")?;
        let mut numbers = [0.0; 32];
        numbers[..4].copy_from_slice(&[7.9, 2.5, 3.5, -5.0]);
        let decoded = (self.decode)(&(self.encode)(&numbers).0, 127);
        claim(decoded[0] == 6.0, "what is above 6 becomes 6")?;
        claim(decoded[1..4] == [2.0, 4.0, -4.0], "2½, 3½ and −5 lie halfway: the even codes are those of 2, 4 and −4")
    }

    fn sample(&self) -> Vec<f32> {
        let encoded = blocks().take(40).flat_map(|block| {
            let (codes, scale) = (self.encode)(&block);
            (self.decode)(&codes, scale)
        });
        encoded.collect()
    }
}
