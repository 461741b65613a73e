//! Whole sequences in windows: each once, alone, and where best fit puts it.
//!
//! Book: [fine_tuning](../../book/src/fine_tuning.md)

use crate::corpus::rows;
use ossia::data::{Batch, Example, IGNORE, Packed, Windows};
use proptest::prelude::*;

const END: u32 = 0;

/// The windows in the documentation of `packed`: a, b, c and d have 5, 6, 8 and 4 tokens.
#[test]
fn packed_windows_of_an_example() {
    let example = |first: u32, length: u32| Example {
        inputs: (first..first + length).collect(),
        targets: (first..first + length).map(|id| if id % 2 == 0 { id + 1 } else { IGNORE }).collect(),
    };
    let examples = [example(10, 5), example(20, 6), example(30, 8), example(40, 4)];
    let windows = Windows::packed(Packed::new(examples.to_vec(), 12, END).unwrap());
    let batches: Vec<Batch> = windows.evaluation(8).collect();
    assert_eq!(batches[0].lengths, [5, 6, 1, 8, 4], "the filler is a sequence of its own");
    let rows = rows(batches);
    let of = |i: usize, rest: usize| {
        let inputs = [examples[2 * i].inputs.clone(), examples[2 * i + 1].inputs.clone(), vec![END; rest]].concat();
        (inputs, [examples[2 * i].targets.clone(), examples[2 * i + 1].targets.clone(), vec![IGNORE; rest]].concat())
    };
    assert_eq!(rows, [of(0, 1), of(1, 0)]);
    assert_eq!((windows.len(), windows.tokens(), windows.context()), (2, 3 + 3 + 4 + 2, 12));
}

#[test]
fn packed_sequences_that_are_too_long_are_cut_or_dropped() {
    let example = |learned: &[usize]| Example {
        inputs: (0..9).collect(),
        targets: (0..9).map(|i| if learned.contains(&i) { i as u32 + 1 } else { IGNORE }).collect(),
    };
    let packed = |context| Packed::new(vec![example(&[1, 7]), example(&[8]), example(&[0])], context, END);
    let four = packed(4).unwrap();
    assert_eq!((four.cut, four.dropped, four.len(), four.targets()), (2, 1, 2, 2));
    assert_eq!(four.examples()[0], Example { inputs: vec![0, 1, 2, 3], targets: vec![IGNORE, 2, IGNORE, IGNORE] });
    let all = packed(9).unwrap();
    assert_eq!((all.cut, all.dropped, all.len(), all.targets()), (0, 0, 3, 4));
    let error = Packed::new(vec![example(&[8])], 8, END).unwrap_err().to_string();
    assert!(error.contains("nothing to learn in the first 8 tokens"), "{error}");
    assert!(packed(0).is_err());
}

proptest! {
    /// Every sequence is in exactly one window, whole and alone, and no two windows could be one.
    #[test]
    fn packed_windows_have_every_sequence_once(lengths in prop::collection::vec(1_usize..20, 1..40), context in 20_usize..50) {
        let example = |(i, &length): (usize, &usize)| Example {
            inputs: vec![i as u32 + 1; length],
            targets: vec![i as u32 + 1; length],
        };
        let examples: Vec<Example> = lengths.iter().enumerate().map(example).collect();
        let windows = Windows::packed(Packed::new(examples, context, END).unwrap());
        let (mut seen, mut fullness) = (Vec::new(), Vec::new());
        for batch in windows.evaluation(1) {
            let row = batch.inputs.as_slice().unwrap();
            let (mut at, mut full) = (0, 0);
            for length in batch.lengths {
                let sequence = &row[at..at + length];
                prop_assert!(sequence.iter().all(|id| *id == sequence[0]));
                let expected = if sequence[0] == END { IGNORE } else { sequence[0] };
                prop_assert!(batch.targets.as_slice().unwrap()[at..at + length].iter().all(|id| *id == expected));
                if sequence[0] != END {
                    seen.push((sequence[0], length));
                    full += length;
                }
                at += length;
            }
            prop_assert_eq!(at, context);
            fullness.push(full);
        }
        seen.sort_unstable();
        let expected: Vec<(u32, usize)> = lengths.iter().enumerate().map(|(i, &length)| (i as u32 + 1, length)).collect();
        prop_assert_eq!(seen, expected);
        fullness.sort_unstable();
        prop_assert!(fullness.len() < 2 || fullness[0] + fullness[1] > context, "{:?}", fullness);
    }
}
