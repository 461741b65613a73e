//! Several texts at once.

use super::small;
use ossia::generate::{Batch, Generator, Plain, Sampling, StopReason};

/// Each text of a batch is the one that its seed writes alone, although the texts end at different times and in different ways.
#[test]
fn generation_of_several_texts_at_once_writes_what_each_seed_writes_alone() {
    let model = small();
    let prompt = [3, 1, 4, 1, 5];
    // Of thirty tokens, these end a text; a text may also fill the context of 40, or reach its limit.
    let stop = [7, 8];
    let sampling = |i: usize| Sampling { temperature: [1.0, 0.0, 1.5][i % 3], seed: i as u64, ..Sampling::default() };
    let limits = [60, 60, 3, 60, 0, 10, 60, 60, 60, 60, 60, 60];
    for count in [1, 2, 3, 12] {
        let texts = (0..count).map(|i| (sampling(i), Plain::new(limits[i], &stop))).collect();
        let mut batch = Batch::new(Generator::new(&model, &prompt, Sampling::default()).unwrap(), texts).unwrap();
        let mut written = vec![Vec::new(); count];
        loop {
            let tokens = batch.step().unwrap();
            tokens.iter().for_each(|&(i, token)| written[i].push(token));
            if tokens.is_empty() {
                break;
            }
        }
        for (i, written) in written.iter().enumerate() {
            let mut generator = Generator::new(&model, &prompt, sampling(i)).unwrap();
            let mut generation = generator.generate(limits[i], &stop);
            let alone: Vec<u32> = generation.by_ref().map(Result::unwrap).collect();
            assert_eq!(written, &alone, "text {i} of {count}");
            assert_eq!(batch.end(i), Some(&generation.reason()), "text {i} of {count}");
        }
    }
}

#[test]
fn generation_of_several_texts_goes_on_when_one_is_interrupted() {
    let model = small();
    let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
    let texts = vec![(greedy.clone(), Plain::new(5, &[])); 3];
    let mut batch = Batch::new(Generator::new(&model, &[1, 2], greedy).unwrap(), texts).unwrap();
    let first = batch.step().unwrap();
    assert_eq!(first.iter().map(|(i, _)| *i).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(batch.end(1), None);
    batch.interrupt(1);
    assert_eq!(batch.end(1), Some(&StopReason::Interrupted));
    let mut steps = 1;
    loop {
        let tokens = batch.step().unwrap();
        if tokens.is_empty() {
            break;
        }
        assert_eq!(tokens.iter().map(|(i, _)| *i).collect::<Vec<_>>(), [0, 2]);
        steps += 1;
    }
    assert_eq!((steps, batch.end(0), batch.end(1)), (5, Some(&StopReason::MaxTokens), Some(&StopReason::Interrupted)));
}
