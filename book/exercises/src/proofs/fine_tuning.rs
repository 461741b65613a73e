use super::{Exercise, Mutant, NamedProof, Proof, equal, near};
use crate::fine_tuning::IGNORE;
use crate::zoo;
use ossia::data::{Example, Packed, Windows};
use ossia::error::Result;
use ossia::harmony::{ChatMessage, Harmony, MessageRole};
use ossia::ops::attention::Sequences;
use ossia::tasks::arithmetic::{conversations, tokenizer};
use ossia::tasks::chats::examples;
use ossia::tokenizer::Tokenizer;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use std::fmt::{Debug, Formatter};
use std::ops::Range;

pub struct FineTuning {
    pub examples_targets: fn(&[u32], &[Range<usize>], &[(usize, u32)]) -> (Vec<u32>, Vec<u32>),
    pub pack: fn(&[usize], usize) -> Vec<Vec<usize>>,
    pub sees: fn(&[usize], usize, usize) -> bool,
    pub mean_loss: fn(&[Vec<Option<f32>>]) -> f32,
}

impl Exercise for FineTuning {
    const NAME: &str = "fine_tuning";
    const LEARNED: &str = "Fine-tuning needs no new loss: the targets decide what is learned, and these are the tokens \
        that the assistant wrote. Packing saves work and does not change the results, as long as no sequence sees another \
        one. Each target of a step has the same weight, whichever micro-batch it is in.";

    fn yours() -> Self {
        use crate::fine_tuning::{examples_targets, mean_loss, pack, sees};
        Self { examples_targets, pack, sees, mean_loss }
    }

    fn solution() -> Self {
        use crate::solutions::fine_tuning::{examples_targets, mean_loss, pack, sees};
        Self { examples_targets, pack, sees, mean_loss }
    }

    fn mutants() -> Vec<Mutant<Self>> {
        zoo::fine_tuning()
    }

    fn proofs() -> Vec<NamedProof<Self>> {
        vec![
            ("what_the_assistant_wrote_is_learned", Self::learns),
            ("an_answer_ends_as_the_assistant_wrote_it", Self::ends),
            ("the_targets_equal_the_engine", Self::learns_as_the_engine),
            ("a_sequence_goes_into_the_fullest_window", Self::packs),
            ("the_windows_equal_the_engine", Self::packs_as_the_engine),
            ("a_token_sees_only_its_own_sequence", Self::masks),
            ("the_mask_equals_the_engine", Self::masks_as_the_engine),
            ("each_target_has_the_same_weight", Self::averages),
        ]
    }

    fn sample(&self) -> Vec<f32> {
        let learned = WRITTEN.iter().chain(&ENDS).flat_map(|&(ids, written, ends, ..)| {
            let (inputs, targets) = (self.examples_targets)(ids, &ranges(written), ends);
            let targets = targets.into_iter().map(|id| if id == IGNORE { -1.0 } else { id as f32 });
            inputs.into_iter().map(|id| id as f32).chain(targets).collect::<Vec<_>>()
        });
        let windows = PACKED.iter().flat_map(|&(lengths, context, ..)| (self.pack)(lengths, context));
        let packed = windows.flat_map(|window| [vec![window.len()], window].concat()).map(|index| index as f32);
        let mask = self.mask(&[2, 3, 1]).concat().into_iter().map(f32::from);
        let losses = LOSSES.iter().filter(|case| case.0.iter().all(|losses| losses.iter().any(Option::is_some)));
        let means = losses.map(|&(micro_batches, ..)| self.loss(micro_batches));
        learned.chain(packed).chain(mask).chain(means).collect()
    }
}

/// Tokens, the first position of each range that the assistant wrote and the position after the range, tokens that it wrote
/// instead, the targets, and the reason.
type Learned = (&'static [u32], &'static [(usize, usize)], &'static [(usize, u32)], &'static [u32], &'static str);

const WRITTEN: [Learned; 6] = [
    (
        &[10, 11, 12, 13, 14, 15],
        &[(3, 6)],
        &[],
        &[IGNORE, IGNORE, 13, 14, 15],
        "the assistant wrote 13, 14 and 15, and 13 is the target at position 2, where the model reads 12",
    ),
    (
        &[10, 11, 12, 13, 14, 15, 16],
        &[(1, 3), (5, 6)],
        &[],
        &[11, 12, IGNORE, IGNORE, 15, IGNORE],
        "the assistant wrote 11 and 12, and later 15; somebody else wrote the tokens in between and the last one",
    ),
    (&[10, 11, 12, 13], &[(1, 2), (2, 4)], &[], &[11, 12, 13], "the second range begins where the first one ends"),
    (&[10, 11, 12], &[(0, 3)], &[], &[11, 12], "nothing comes before 10, so it is never a target"),
    (&[10, 11, 12], &[], &[], &[IGNORE, IGNORE], "the assistant wrote nothing"),
    (&[10], &[(0, 1)], &[], &[], "a conversation of one token has no token that follows another one"),
];

/// In these conversations, 20 is `<|end|>` and 30 is `<|return|>`.
const ENDS: [Learned; 3] = [
    (
        &[10, 11, 12, 20],
        &[(2, 4)],
        &[(3, 30)],
        &[IGNORE, 12, 30],
        "the assistant wrote 30 at position 3, so 30 is the target at position 2",
    ),
    (
        &[10, 11, 20, 12, 20],
        &[(1, 5)],
        &[(4, 30)],
        &[11, 20, 12, 30],
        "the assistant wrote 20 at position 2, after its analysis, and 30 only at position 4",
    ),
    (
        &[10, 11, 20, 12, 13, 20],
        &[(1, 3), (4, 6)],
        &[(2, 30), (5, 30)],
        &[11, 30, IGNORE, 13, 30],
        "both answers end with 30 when the assistant writes them; in the history, the model reads 20",
    ),
];

/// Lengths of sequences, a context, the windows, and the reason.
type PackedCase = (&'static [usize], usize, &'static [&'static [usize]], &'static str);

const PACKED: [PackedCase; 8] = [
    (&[4, 3], 10, &[&[0, 1]], "there is room for both"),
    (&[6, 5], 10, &[&[0], &[1]], "the first window has room for 4 tokens, so the second sequence begins a new one"),
    (&[6, 4], 10, &[&[0, 1]], "the second sequence fills the window to the last token"),
    (&[6, 5, 4], 10, &[&[0, 2], &[1]], "the first window is the fuller one, and has room for 4 tokens"),
    (&[5, 6, 4], 10, &[&[0], &[1, 2]], "both windows have room for 4 tokens, and the second one is fuller"),
    (&[8, 5, 3], 10, &[&[0], &[1, 2]], "the fullest window has room for only 2 tokens"),
    (
        &[6, 6, 2, 2],
        10,
        &[&[0, 2, 3], &[1]],
        "the third sequence goes into the first of two equally full windows, which is then the fullest one",
    ),
    (&[4, 3, 6, 7], 10, &[&[0, 1], &[2], &[3]], "the given order counts, even if another one needs fewer windows"),
];

/// Losses of the targets of micro-batches, their mean, and the reason.
type Losses = (&'static [&'static [Option<f32>]], f32, &'static str);

const LOSSES: [Losses; 6] = [
    (&[&[Some(1.0), Some(2.0), Some(6.0)]], 3.0, "(1 + 2 + 6) / 3"),
    (&[&[Some(1.0), Some(2.0)], &[Some(4.0), Some(5.0)]], 3.0, "(1 + 2 + 4 + 5) / 4"),
    (
        &[&[Some(1.0), Some(1.0), Some(1.0)], &[Some(3.0)]],
        1.5,
        "(1 + 1 + 1 + 3) / 4; the mean of the means, 2, gives the last target as much weight as the three others together",
    ),
    (&[&[None, Some(2.0), None, Some(4.0)]], 3.0, "(2 + 4) / 2, because only two targets count"),
    (&[&[None, None, Some(5.0)], &[Some(1.0), None, Some(3.0)]], 3.0, "(5 + 1 + 3) / 3, because three targets count"),
    (&[&[None, None], &[Some(2.0), Some(4.0)]], 3.0, "(2 + 4) / 2; no target of the first micro-batch counts"),
];

/// A target, as messages show it.
#[derive(PartialEq)]
struct Target(u32);

impl Debug for Target {
    fn fmt(&self, f: &mut Formatter) -> std::fmt::Result {
        if self.0 == IGNORE { f.write_str("IGNORE") } else { write!(f, "{}", self.0) }
    }
}

fn ranges(bounds: &[(usize, usize)]) -> Vec<Range<usize>> {
    bounds.iter().map(|&(start, end)| start..end).collect()
}

impl FineTuning {
    fn targets(&self, (ids, written, ends, expected, why): Learned) -> Proof {
        let (inputs, targets) = (self.examples_targets)(ids, &ranges(written), ends);
        let instead = if ends.is_empty() { String::new() } else { format!(" with the ends {ends:?}") };
        let of = format!("of {ids:?}, of which the assistant wrote {:?}{instead}", ranges(written));
        let shown = |targets: &[u32]| targets.iter().map(|&id| Target(id)).collect::<Vec<_>>();
        equal(&format!("the targets {of}"), &shown(&targets), &shown(expected), why)?;
        let why = "the model reads all tokens except the last one, and each as it is";
        equal(&format!("the inputs {of}"), &&inputs[..], &&ids[..ids.len() - 1], why)
    }

    fn learns(&self) -> Proof {
        WRITTEN.into_iter().try_for_each(|case| self.targets(case))
    }

    fn ends(&self) -> Proof {
        ENDS.into_iter().try_for_each(|case| self.targets(case))
    }

    fn learns_as_the_engine(&self) -> Proof {
        let tokenizer = tokenizer(600).map_err(|error| error.to_string())?;
        let harmony = Harmony::new(&tokenizer).map_err(|error| error.to_string())?;
        for chat in conversations(200, 1, false, 0.0) {
            let all = examples(harmony, &chat).map_err(|error| error.to_string())?;
            let [expected] = &all[..] else { continue }; // in a later prompt, messages are left out
            let (ids, written, ends) = rendered(harmony, &chat).map_err(|error| error.to_string())?;
            let (inputs, targets) = (self.examples_targets)(&ids, &written, &ends);
            let found = Example { inputs, targets };
            if found != *expected {
                return Err(difference(&tokenizer, &found, expected));
            }
        }
        Ok(())
    }

    fn packs(&self) -> Proof {
        PACKED.iter().try_for_each(|&(lengths, context, expected, why)| {
            let what = format!("the windows of {context} tokens with sequences of the lengths {lengths:?}");
            let expected = expected.iter().map(|window| window.to_vec()).collect();
            equal(&what, &(self.pack)(lengths, context), &expected, why)
        })
    }

    fn packs_as_the_engine(&self) -> Proof {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let small = std::iter::repeat_n((8, 10, 10), 60);
        for (count, context, longest) in small.chain([(60, 32, 20), (200, 64, 64), (300, 256, 40)]) {
            let lengths: Vec<usize> = (0..count).map(|_| rng.random_range(1..=longest)).collect();
            let expected = engines_windows(&lengths, context).map_err(|error| error.to_string())?;
            let found = (self.pack)(&lengths, context);
            let first = (0..expected.len()).find(|&i| found.get(i) != Some(&expected[i])).unwrap_or(expected.len());
            let of = if count == 8 { format!("the lengths {lengths:?}") } else { format!("{count} random lengths") };
            let what = format!("window {first} of {context} tokens with sequences of {of}");
            equal(&what, &found.get(first), &expected.get(first), "the engine packs them so")?;
        }
        Ok(())
    }

    fn mask(&self, lengths: &[usize]) -> Vec<Vec<bool>> {
        let tokens = lengths.iter().sum();
        (0..tokens).map(|query| (0..tokens).map(|key| (self.sees)(lengths, query, key)).collect()).collect()
    }

    fn masks(&self) -> Proof {
        let check = |lengths: &[usize], query, key, expected, why| {
            let what = format!("whether {query} sees {key} in a window with sequences of the lengths {lengths:?}");
            equal(&what, &(self.sees)(lengths, query, key), &expected, why)
        };
        check(&[4], 2, 0, true, "0 comes earlier, in the same sequence")?;
        check(&[4], 2, 2, true, "a token sees itself")?;
        check(&[4], 2, 3, false, "3 comes later")?;
        check(&[3, 4], 3, 2, false, "2 is the last token of the first sequence, and 3 the first one of the second")?;
        check(&[3, 4], 6, 3, true, "both are in the second sequence, which begins at 3")?;
        check(&[3, 4], 2, 5, false, "5 comes later, in another sequence")?;
        check(&[2, 2, 2], 5, 1, false, "1 is in the first sequence, and 5 in the third")?;
        check(&[1, 1], 1, 1, true, "a token sees itself, even if it is alone in its sequence")
    }

    fn masks_as_the_engine(&self) -> Proof {
        for lengths in [&[1][..], &[5], &[3, 2], &[1, 1, 1], &[4, 1, 6], &[7, 9, 2, 1, 5]] {
            let places = Sequences::of_lengths(lengths.iter().copied()).places();
            for (query, row) in self.mask(lengths).iter().enumerate() {
                let sees = |key: &(usize, usize)| key.0 == places[query].0 && key.1 <= places[query].1;
                let keys = |row: &[bool]| (0..row.len()).filter(|&key| row[key]).collect::<Vec<_>>();
                let expected: Vec<bool> = places.iter().map(sees).collect();
                let what = format!("what {query} sees in a window with sequences of the lengths {lengths:?}");
                let (sequence, position) = places[query];
                let why = format!("the engine has {query} at position {position} of the sequence {sequence}");
                equal(&what, &keys(row), &keys(&expected), &why)?;
            }
        }
        Ok(())
    }

    fn loss(&self, micro_batches: &[&[Option<f32>]]) -> f32 {
        (self.mean_loss)(&micro_batches.iter().map(|losses| losses.to_vec()).collect::<Vec<_>>())
    }

    fn averages(&self) -> Proof {
        LOSSES.iter().try_for_each(|&(micro_batches, expected, why)| {
            let what = format!("the loss of a step with the losses {micro_batches:?}");
            near(&what, self.loss(micro_batches), expected, 1e-5, why)
        })
    }
}

/// Renders a conversation. Returns its tokens, the ranges that the assistant wrote, and where it wrote `<|return|>`, although
/// the history of a conversation has `<|end|>`.
fn rendered(harmony: Harmony, chat: &[ChatMessage]) -> Result<(Vec<u32>, Vec<Range<usize>>, Vec<(usize, u32)>)> {
    let (mut ids, mut written, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    let mut before = MessageRole::System;
    for ChatMessage { message, .. } in chat {
        let mut start = ids.len();
        harmony.render_message(message, false, &mut ids)?;
        if message.role == MessageRole::Assistant {
            if before != MessageRole::Assistant {
                start += 1 + harmony.tokenizer().encode("assistant").len(); // a prompt ends with <|start|>assistant
            }
            written.push(start..ids.len());
            ends.extend(message.is_on("final").then_some((ids.len() - 1, harmony.marks().done)));
        }
        before = message.role;
    }
    Ok((ids, written, ends))
}

/// Describes the first difference to the example of the engine.
fn difference(tokenizer: &Tokenizer, found: &Example, expected: &Example) -> String {
    if found.inputs != expected.inputs {
        let text = |ids: &[u32]| tokenizer.decode(ids).unwrap_or_else(|_| format!("{ids:?}"));
        return format!("the inputs are {:?}, expected {:?}", text(&found.inputs), text(&expected.inputs));
    }
    let (count, needed) = (found.targets.len(), expected.targets.len());
    if count != needed {
        return format!("found {count} targets, expected {needed}, as many as there are inputs");
    }
    let text = |id: u32| match tokenizer.decode(&[id]) {
        Ok(text) if id != IGNORE => format!("{text:?}"),
        _ => format!("{:?}", Target(id)),
    };
    let i = (0..count).find(|&i| found.targets[i] != expected.targets[i]).unwrap_or(0);
    let before = tokenizer.decode(&expected.inputs[..=i]).unwrap_or_default();
    let (found, expected) = (text(found.targets[i]), text(expected.targets[i]));
    let why = "the engine learns what the assistant wrote, and nothing else";
    format!("the target after {before:?} is {found}, expected {expected}: {why}")
}

/// Returns the engine's windows of sequences of these lengths.
fn engines_windows(lengths: &[usize], context: usize) -> Result<Vec<Vec<usize>>> {
    let example = |(i, &length)| Example { inputs: vec![i as u32; length], targets: vec![0; length] };
    let packed = Packed::new(lengths.iter().enumerate().map(example).collect(), context, IGNORE)?;
    let windows = Windows::packed(packed);
    let indices = windows.evaluation(1).map(|batch| {
        let (mut at, mut window) = (0, Vec::new());
        for length in batch.lengths {
            let id = batch.inputs[[0, at]];
            window.extend((id != IGNORE).then_some(id as usize)); // the filler is a sequence as well
            at += length;
        }
        window
    });
    Ok(indices.collect())
}
