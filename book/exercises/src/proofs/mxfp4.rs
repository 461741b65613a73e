use super::{Exercise, Mutant, NamedProof, Proof, equal, random};
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

impl Exercise for Mxfp4 {
    const NAME: &str = "mxfp4";
    const LEARNED: &str = "A number takes half a byte, and the sixteen values lie close together where most weights are, near zero. The engine \
        never writes the decoded numbers to memory. It decodes them while it multiplies.";

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

    fn proofs() -> Vec<NamedProof<Self>> {
        vec![
            ("decodes_the_examples", Self::decode_examples),
            ("decoding_equals_the_reference", Self::decode_reference),
            ("encodes_the_examples", Self::encode_examples),
            ("encoding_equals_the_reference", Self::encode_reference),
        ]
    }

    fn sample(&self) -> Vec<f32> {
        let encoded = blocks().take(40).flat_map(|block| {
            let (codes, scale) = (self.encode)(&block);
            codes.map(f32::from).into_iter().chain([f32::from(scale)])
        });
        encoded.chain((self.decode)(&std::array::from_fn(|i| (i * 37 + 11) as u8), 127)).collect()
    }
}

/// The `i`-th code of a block.
fn code(codes: &[u8; 16], i: usize) -> u8 {
    codes[i / 2] >> (4 * (i % 2)) & 15
}

impl Mxfp4 {
    fn decode_examples(&self) -> Proof {
        let two = (self.decode)(&[0x21; 16], 127)[..2].to_vec();
        equal(
            "the numbers of the byte 0x21",
            &two,
            &vec![0.5, 1.0],
            "the first number is in the low half of its byte",
        )?;
        let nan = (self.decode)(&[0x21; 16], 255)[0];
        if nan.is_nan() { Ok(()) } else { Err(format!("with the scale 255 the first number is {nan}, expected NaN")) }
    }

    /// The engine decodes every code and scale to the bits of OpenAI's code.
    fn decode_reference(&self) -> Proof {
        for scale in [0, 1, 100, 127, 128, 254] {
            let codes = std::array::from_fn(|i| (i * 37 + 11) as u8);
            let numbers = (self.decode)(&codes, scale);
            for (i, x) in numbers.iter().enumerate() {
                let expected = mxfp4::decode(code(&codes, i), scale);
                if x.to_bits() != expected.to_bits() {
                    let code = code(&codes, i);
                    return Err(format!("number {i} (code {code}, scale {scale}) is {x}, expected {expected}"));
                }
            }
        }
        Ok(())
    }

    fn encode_examples(&self) -> Proof {
        let zeros = (self.encode)(&[0.0; 32]);
        equal("the block of zeros", &zeros, &([0; 16], 0), "its codes and its scale are 0")?;
        let mut numbers = [0.0; 32];
        numbers[0] = -0.0;
        equal("the code of −0", &code(&(self.encode)(&numbers).0, 0), &8, "the sign survives")?;
        numbers[..5].copy_from_slice(&[7.9, 2.5, 3.5, -5.0, 1.0]);
        let (codes, scale) = (self.encode)(&numbers);
        equal(
            "the scale of a block whose largest number is 7.9",
            &scale,
            &127,
            "⌊log₂ 7.9⌋ − 2 is 0, and 127 stands for 0",
        )?;
        let decoded: Vec<f32> = (0..5).map(|i| mxfp4::decode(code(&codes, i), scale)).collect();
        let why = "above 6 comes 6; 2.5, 3.5 and −5 lie halfway, and the even codes are those of 2, 4 and −4";
        equal("what becomes of 7.9, 2.5, 3.5, −5, 1", &decoded, &vec![6.0, 2.0, 4.0, -4.0, 1.0], why)
    }

    fn encode_reference(&self) -> Proof {
        for numbers in blocks() {
            let (found, expected) = ((self.encode)(&numbers), mxfp4::encode(&numbers));
            let largest = numbers.iter().fold(0.0_f32, |a, x| a.max(x.abs()));
            equal("the scale", &found.1, &expected.1, &format!("the largest number of the block is {largest}"))?;
            for (i, x) in numbers.iter().enumerate() {
                let why = format!("number {i} is {x}, the scale {}", expected.1);
                equal("the code", &code(&found.0, i), &code(&expected.0, i), &why)?;
            }
        }
        Ok(())
    }
}
