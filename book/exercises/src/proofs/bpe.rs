use super::{Exercise, Mutant, NamedProof, Proof, equal};
use crate::zoo;
use ossia::data::Corpus;
use ossia::tokenizer::Tokenizer;
use ossia::tokenizer::train::{count_pieces, merges};

pub struct Bpe {
    pub train: fn(&[(Vec<u8>, u64)], usize) -> Vec<(u32, u32)>,
    pub encode: fn(&[u8], &[(u32, u32)]) -> Vec<u32>,
}

/// The pieces of some built-in stories.
fn story_pieces() -> Vec<(Box<[u8]>, u64)> {
    count_pieces(Corpus::builtin(30, 0).documents)
}

fn own(pieces: &[(Box<[u8]>, u64)]) -> Vec<(Vec<u8>, u64)> {
    pieces.iter().map(|(bytes, count)| (bytes.to_vec(), *count)).collect()
}

const WANTED: usize = 120;

impl Exercise for Bpe {
    const NAME: &str = "bpe";
    const LEARNED: &str = "Encoding repeats the history of training on one piece, so the rank of a merge decides, not the \
        length of the token. The engine finds the same merges with a heap, without recounting, and the same ids many times faster.";

    fn yours() -> Self {
        Self { train: crate::bpe::train, encode: crate::bpe::encode }
    }

    fn solution() -> Self {
        Self { train: crate::solutions::bpe::train, encode: crate::solutions::bpe::encode }
    }

    fn mutants() -> Vec<Mutant<Self>> {
        zoo::bpe()
    }

    fn proofs() -> Vec<NamedProof<Self>> {
        vec![
            ("trains_on_the_examples", Self::train_examples),
            ("training_equals_the_engine", Self::train_on_stories),
            ("encodes_the_examples", Self::encode_examples),
            ("encoding_equals_the_engine", Self::encode_stories),
        ]
    }

    fn sample(&self) -> Vec<f32> {
        let merges = (self.train)(&own(&story_pieces()), 40);
        let ids = [&b"abc"[..], b"aaaaa", b"abcab"].map(|piece| (self.encode)(piece, &[(98, 99), (97, 98), (97, 97)]));
        merges
            .iter()
            .flat_map(|&(a, b)| [a as f32, b as f32])
            .chain(ids.concat().into_iter().map(|id| id as f32))
            .collect()
    }
}

impl Bpe {
    fn train_examples(&self) -> Proof {
        let train = |pieces: &[(&str, u64)], wanted| {
            (self.train)(&pieces.iter().map(|&(text, count)| (text.into(), count)).collect::<Vec<_>>(), wanted)
        };
        let [a, b, c] = [97, 98, 99];
        equal("the merge of \"abab\"", &train(&[("abab", 1)], 1), &vec![(a, b)], "\"ab\" occurs twice, \"ba\" once")?;
        let why = "\"bc\" occurs 5 times, because its piece does, and \"ab\" twice";
        equal("the merge of \"abab\" and \"bc\"", &train(&[("abab", 1), ("bc", 5)], 1), &vec![(b, c)], why)?;
        let why = "\"ab\" and \"bc\" both occur once; the lower ids come first, and then \"ab\" is 256";
        equal("the merges of \"abc\"", &train(&[("abc", 1)], 9), &vec![(a, b), (256, c)], why)?;
        let why = "from the left, \"aaa\" becomes 256 and a, and then one token: two merges, and no pair is left";
        equal("the merges of \"aaa\"", &train(&[("aaa", 1)], 9), &vec![(a, a), (256, a)], why)
    }

    fn train_on_stories(&self) -> Proof {
        let pieces = story_pieces();
        let (found, expected) = ((self.train)(&own(&pieces), WANTED), merges(&pieces, WANTED));
        equal("the number of merges", &found.len(), &expected.len(), "30 built-in stories have more pairs than that")?;
        let differs = (0..expected.len()).find(|&i| found[i] != expected[i]);
        differs
            .map_or(Ok(()), |i| equal(&format!("merge {i}"), &found[i], &expected[i], "all merges before it are right"))
    }

    fn encode_examples(&self) -> Proof {
        let [a, b, c] = [97, 98, 99];
        equal("the ids of \"abc\" without merges", &(self.encode)(b"abc", &[]), &vec![a, b, c], "they are the bytes")?;
        let why = "the merge bc has rank 0 and ab has rank 1: the lowest rank comes first";
        equal("the ids of \"abc\"", &(self.encode)(b"abc", &[(b, c), (a, b)]), &vec![a, 256], why)?;
        let why = "if several pairs have the same rank, the leftmost one is merged first";
        equal("the ids of \"aaaaa\"", &(self.encode)(b"aaaaa", &[(a, a)]), &vec![256, 256, a], why)?;
        equal("the ids of an empty piece", &(self.encode)(b"", &[(a, a)]), &vec![], "it has no bytes")
    }

    fn encode_stories(&self) -> Proof {
        let merges = merges(&story_pieces(), WANTED);
        let tokenizer = Tokenizer::from_merges(&merges, &[]).map_err(|error| error.to_string())?;
        for (piece, _) in count_pieces(Corpus::builtin(3, 9).documents) {
            let text = String::from_utf8_lossy(&piece);
            let expected = tokenizer.encode(&text);
            equal(
                &format!("the ids of {text:?}"),
                &(self.encode)(&piece, &merges),
                &expected,
                "this is what the engine returns",
            )?;
        }
        Ok(())
    }
}
