//! Sampling, the generator, text streams, traces.
//!
//! Book: [sampling](../../book/src/sampling.md)

mod batch;

use crate::common::{Reference, assert_close, reference_path};
use crate::model::CHECKPOINTS;
use ossia::checkpoint;
use ossia::config::ModelConfig;
use ossia::generate::sampler::{distribution, penalize};
use ossia::generate::trace::{first_difference, trace};
use ossia::generate::{Generator, Sampler, Sampling, StopReason, TextStream};
use ossia::layers::Layer;
use ossia::model::Transformer;
use ossia::tensor::{array, slice};
use ossia::tokenizer::train;
use proptest::prelude::*;

const LOGITS: [f32; 5] = [1.0, 3.0, 2.0, 3.0, -1.0];

fn kept(sampling: Sampling) -> Vec<u32> {
    let mut kept = distribution(&LOGITS, &sampling);
    kept.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    kept.into_iter().map(|(token, _)| token).collect()
}

/// The filters as they are defined, on all tokens in order of probability.
fn naive_distribution(logits: &[f32], sampling: &Sampling) -> Vec<(u32, f64)> {
    let mut tokens: Vec<(u32, f64)> = (0..).zip(logits.iter().map(|&z| f64::from(z / sampling.temperature))).collect();
    tokens.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    tokens.truncate(if sampling.top_k == 0 { tokens.len() } else { sampling.top_k });
    let largest = tokens[0].1;
    tokens.iter_mut().for_each(|(_, z)| *z = (*z - largest).exp());
    let total: f64 = tokens.iter().map(|token| token.1).sum();
    tokens.iter_mut().for_each(|(_, p)| *p /= total);
    let mut before = 0.0;
    let mut kept = Vec::new();
    for (token, p) in tokens {
        if before >= f64::from(sampling.top_p) || p < f64::from(sampling.min_p) / total {
            break;
        }
        before += p;
        kept.push((token, p));
    }
    kept
}

proptest! {
    /// Whatever is done to avoid sorting a large vocabulary.
    #[test]
    fn generation_filters_equal_their_definition(
        logits in proptest::collection::vec(-12.0_f32..12.0, 1..400),
        (temperature, top_k, top_p, min_p) in (0.3_f32..2.0, 0_usize..60, 0.01_f32..1.0, 0.0_f32..0.3),
        without in 0..3_u8,
    ) {
        let all = Sampling { temperature, top_k, top_p, min_p, ..Sampling::default() };
        let sampling = match without {
            0 => Sampling { top_p: 1.0, ..all },
            1 => Sampling { min_p: 0.0, ..all },
            _ => all,
        };
        let mut found = distribution(&logits, &sampling);
        found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let expected = naive_distribution(&logits, &sampling);
        // Only a token that stands exactly at a border may fall to either side of it.
        if found.len() != expected.len() {
            let nearly = |border: f32, value: f64| (f64::from(border) - value).abs() < 1e-5;
            let few = found.len().min(expected.len());
            let reached: f64 = found[..few].iter().map(|token| f64::from(token.1)).sum();
            let next = found.get(few).map(|token| f64::from(token.1)).or(expected.get(few).map(|token| token.1));
            let least = sampling.min_p * found[0].1;
            let at_border = nearly(sampling.top_p, reached) || next.is_some_and(|p| nearly(least, p));
            prop_assert!(at_border, "{} and {} tokens", found.len(), expected.len());
        }
        for (found, expected) in found.iter().zip(&expected) {
            prop_assert!(found.0 == expected.0 && (f64::from(found.1) - expected.1).abs() < 1e-5);
        }
    }
}

#[test]
fn generation_filters_keep_the_right_tokens() {
    let all = Sampling::default();
    assert_eq!(kept(all.clone()), [1, 3, 2, 0, 4], "by probability, the lower id first");
    assert_eq!(kept(Sampling { temperature: 0.0, ..all.clone() }), [1]);
    assert_eq!(kept(Sampling { top_k: 3, ..all.clone() }), [1, 3, 2]);
    assert_eq!(kept(Sampling { top_k: 99, ..all.clone() }).len(), 5);
    // Probabilities 0.397, 0.397, 0.146, 0.054, 0.007 (rounded).
    assert_eq!(kept(Sampling { top_p: 0.39, ..all.clone() }), [1]);
    assert_eq!(kept(Sampling { top_p: 0.79, ..all.clone() }), [1, 3]);
    assert_eq!(kept(Sampling { top_p: 0.80, ..all.clone() }), [1, 3, 2]);
    assert_eq!(kept(Sampling { min_p: 0.3, ..all.clone() }), [1, 3, 2]);
    assert_eq!(kept(Sampling { min_p: 1.0, ..all }), [1, 3]);
}

#[test]
fn generation_probabilities_are_a_softmax_with_temperature() {
    let p = distribution(&LOGITS, &Sampling { temperature: 2.0, ..Sampling::default() });
    let total: f32 = LOGITS.iter().map(|z| (z / 2.0).exp()).sum();
    for (token, p) in p {
        assert!((p - (LOGITS[token as usize] / 2.0).exp() / total).abs() < 1e-6);
    }
}

#[test]
fn generation_repetition_penalty_divides_what_was_seen_and_multiplies_below_zero() {
    let mut penalized = LOGITS;
    penalize(&mut penalized, &[1, 4, 99].into(), 2.0);
    assert_eq!(penalized, [1.0, 1.5, 2.0, 3.0, -2.0]);
    // A sampler penalizes each token of the text once, however often the text has it.
    let mut sampler = Sampler::new(Sampling { repetition_penalty: 2.0, temperature: 0.0, ..Sampling::default() });
    sampler.restart(&[3, 3]);
    assert_eq!(sampler.sample(&LOGITS), 1);
    sampler.see(1);
    assert_eq!(sampler.sample(&LOGITS), 2, "1 and 3 have 1.5 now");
    sampler.restart(&[]);
    assert_eq!(sampler.sample(&LOGITS), 1, "a new text has no tokens yet");
}

#[test]
fn generation_draws_follow_the_probabilities_and_the_seed() {
    let sampling = |seed| Sampling { seed, ..Sampling::default() };
    let mut sampler = Sampler::new(sampling(1));
    let n = 20_000;
    let mut counts = [0; 5];
    (0..n).for_each(|_| counts[sampler.sample(&LOGITS) as usize] += 1);
    for (token, p) in distribution(&LOGITS, &Sampling::default()) {
        let (share, sigma) = (counts[token as usize] as f32 / n as f32, (p * (1.0 - p) / n as f32).sqrt());
        assert!((share - p).abs() < 5.0 * sigma, "token {token}: {share}, expected {p}");
    }
    let draw = |seed| {
        let mut sampler = Sampler::new(sampling(seed));
        (0..50).map(|_| sampler.sample(&LOGITS)).collect::<Vec<_>>()
    };
    assert_eq!(draw(7), draw(7));
    assert_ne!(draw(7), draw(8));
}

fn small() -> Transformer {
    let config = ModelConfig {
        layers: 2,
        windows: vec![Some(4), None],
        hidden_size: 16,
        vocab_size: 30,
        context: 40,
        ..ModelConfig::nano()
    };
    Transformer::random(&config, 2)
}

#[test]
fn generation_with_a_cache_takes_the_tokens_that_no_cache_would() {
    let model = small();
    let mut text = vec![3, 1, 4, 1, 5];
    let mut generated = Vec::new();
    let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
    let mut generator = Generator::new(&model, &text, greedy.clone()).unwrap();
    let mut generation = generator.generate(25, &[]);
    generated.extend(generation.by_ref().map(Result::unwrap));
    assert_eq!(generation.reason(), StopReason::MaxTokens);
    for token in generated {
        let all = ndarray::Array2::from_shape_vec((1, text.len()), text.clone()).unwrap();
        let logits = model.logits(&model.forward(all.view(), None).hidden);
        let last = &logits.data()[logits.data().len() - 30..];
        assert_eq!(distribution(last, &greedy)[0].0, token);
        text.push(token);
    }
}

/// Whatever the text was before, after `go_to` it is the prompt: the next logits are those of a generator that never knew
/// anything else. What is common and can be kept, is kept.
#[test]
fn going_to_a_prompt_forgets_what_is_not_in_it() {
    let model = small();
    let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
    let first = [3, 1, 4, 1, 5, 9, 2, 6];
    let mut generator = Generator::new(&model, &first, greedy.clone()).unwrap();
    let mut check = |prompt: &[u32], expected_kept: usize, drawn: usize, what: &str| {
        assert_eq!(generator.go_to(prompt, &mut |_, _| {}).unwrap(), expected_kept, "{what}");
        let mut fresh = Generator::new(&model, prompt, greedy.clone()).unwrap();
        for _ in 0..=drawn {
            assert_close(what, generator.logits().unwrap(), fresh.logits().unwrap(), 1e-5);
            let token = fresh.draw().unwrap();
            assert_eq!(generator.draw().unwrap(), token);
        }
        assert_eq!(generator.text(), fresh.text());
        generator.text().to_vec()
    };
    // More than a window of 4 is written behind the prompt each time, so a ring alone could not go back.
    let text = check(&first, 8, 9, "the same again");
    let text = check(&[&text[..], &[7, 7]].concat(), text.len() - 1, 3, "more: all but the last, which never ran");
    check(&[&first[..], &[29, 28]].concat(), 8, 6, "behind the first prompt something else");
    check(&[&text[..12], &[1]].concat(), 8, 0, "back into what is gone");
    check(&first[..4], 0, 2, "less than any prompt before");
    check(&[2, 2], 0, 5, "something else");

    let error = |result: ossia::error::Result<usize>| result.unwrap_err().to_string();
    let before = generator.text().to_vec();
    assert!(error(generator.go_to(&[], &mut |_, _| {})).contains("no tokens"));
    assert!(error(generator.go_to(&[1; 41], &mut |_, _| {})).contains("context is 40"));
    assert!(error(generator.go_to(&[1, 30], &mut |_, _| {})).contains("not in the vocabulary"));
    assert!(generator.push(30).unwrap_err().to_string().contains("not in the vocabulary"));
    assert_eq!(generator.text(), before);
    (before.len()..40).for_each(|_| generator.push(5).unwrap());
    assert!(generator.draw().unwrap().is_some(), "what is drawn last needs no place");
    assert!(generator.push(5).unwrap_err().to_string().contains("context of 40 tokens is full"));
    assert_eq!(generator.draw().unwrap(), None);
}

proptest! {
    /// A long conversation of prompts that share beginnings: the logits are those of a fresh generator.
    #[test]
    fn going_from_prompt_to_prompt(
        steps in prop::collection::vec((0usize..20, prop::collection::vec(0u32..3, 1..8), 0usize..7), 1..24),
    ) {
        let model = small();
        let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
        let mut generator = Generator::new(&model, &[0], greedy.clone()).unwrap();
        for (kept, new, drawn) in steps {
            let text = generator.text();
            let prompt: Vec<u32> = text[..kept.min(text.len())].iter().copied().chain(new).collect();
            generator.go_to(&prompt, &mut |_, _| {}).unwrap();
            let mut fresh = Generator::new(&model, &prompt, greedy.clone()).unwrap();
            assert_close("logits", generator.logits().unwrap(), fresh.logits().unwrap(), 1e-5);
            (0..drawn).for_each(|_| _ = generator.draw());
        }
    }
}

/// Damaged weights: nothing that is not a number is drawn, and a model that computes only such is refused.
#[test]
fn what_is_not_a_number_is_never_drawn() {
    let broken = [f32::NAN, 1.0, f32::NAN, 2.0];
    for temperature in [0.0, 1.0] {
        let sampling = Sampling { temperature, top_p: 0.9, min_p: 0.5, ..Sampling::default() };
        assert!(distribution(&broken, &sampling).iter().all(|&(token, p)| token % 2 == 1 && p.is_finite()));
        assert_eq!(distribution(&[f32::NAN; 3], &sampling).len(), 1);
        let mut strong = [1.0, 2.0];
        penalize(&mut strong, &[0].into(), 1e-40);
        assert_eq!(distribution(&strong, &sampling), [(0, 1.0)], "an infinity wins");
    }
    let mut model = small();
    model.parameters_mut().pop().unwrap().tensor_mut().data_mut()[0] = f32::NAN;
    let error = Generator::new(&model, &[1], Sampling::default()).err().unwrap().to_string();
    assert_eq!(error, "the logits are not finite; are the weights damaged?");
}

/// A model may have more rows than its tokenizer has entries; what has no text is never drawn.
#[test]
fn no_id_beyond_the_tokenizer_is_drawn() {
    let model = small();
    let drawn = |below: usize| -> Vec<u32> {
        let sampling = Sampling { repetition_penalty: 1.1, vocabulary: Some(below), ..Sampling::default() };
        let mut generator = Generator::new(&model, &[29], sampling).unwrap();
        generator.generate(30, &[]).map(Result::unwrap).collect()
    };
    assert!(drawn(30).iter().any(|&token| token >= 7), "else the next line shows nothing");
    assert!(drawn(7).iter().all(|&token| token < 7));
    assert_eq!(drawn(99), drawn(30));
}

#[test]
fn generation_stops_for_every_reason() {
    let model = small();
    let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
    let run = |n: usize, stop: &dyn Fn(u32) -> Vec<u32>, most: usize| {
        let mut generator = Generator::new(&model, &[1, 2], greedy.clone()).unwrap();
        let first = distribution(generator.logits().unwrap(), &greedy)[0].0;
        let mut generation = generator.generate(n, &stop(first));
        let count = generation.by_ref().take(most).filter(|token| token.is_ok()).count();
        (generation.reason(), count)
    };
    assert_eq!(run(5, &|_| vec![], 99), (StopReason::MaxTokens, 5));
    assert_eq!(run(0, &|_| vec![], 99), (StopReason::MaxTokens, 0));
    assert_eq!(run(5, &|_| vec![], 3), (StopReason::Interrupted, 3));
    assert_eq!(run(5, &|first| vec![first], 99), (StopReason::End, 0));
    // 40 positions: two of the prompt, and the last token drawn needs none.
    assert_eq!(run(1000, &|_| vec![], 999), (StopReason::ContextFull, 39));
}

#[test]
fn generation_refuses_prompts_that_cannot_be() {
    let model = small();
    let message = |prompt: &[u32]| Generator::new(&model, prompt, Sampling::default()).err().unwrap().to_string();
    assert!(message(&[]).contains("the prompt has no tokens"));
    assert_eq!(message(&[0; 41]), "the prompt has 41 tokens; this model's context is 40");
    assert_eq!(message(&[5, 30]), "token 30 at position 1 is not in the vocabulary; ids are below 30");
}

#[test]
fn generation_text_stream_shows_whole_characters_and_stops_before_stop_strings() {
    let tokenizer = train(["aaaa"], 258, &["<|endoftext|>"]).unwrap();
    let stream = |text: &str, stop: &[&str]| {
        let stop: Vec<String> = stop.iter().map(|s| s.to_string()).collect();
        let mut stream = TextStream::new(&tokenizer, &stop);
        let mut shown = String::new();
        for byte in text.bytes() {
            shown += &stream.push(byte.into()).unwrap();
            assert!(text.starts_with(&shown), "nothing that has to be taken back: {shown:?}");
        }
        let stopped = stream.is_stopped();
        (shown + &stream.finish(), stopped)
    };
    assert_eq!(stream("wide: €😀!", &[]), ("wide: €😀!".into(), false));
    assert_eq!(stream("one two three", &["two"]), ("one ".into(), true));
    assert_eq!(stream("one two three", &["wo t", "e"]), ("on".into(), true));
    assert_eq!(stream("the end of th", &["the x", ""]), ("the end of th".into(), false));
    assert_eq!(stream("ababac", &["abac"]), ("ab".into(), true));
    assert_eq!(stream("a€b", &["€"]), ("a".into(), true));
}

#[test]
fn generation_trace_equals_transformers_tensor_by_tensor() {
    for name in CHECKPOINTS {
        let model = checkpoint::load_trainable(reference_path(&format!("checkpoints/{name}"))).unwrap();
        let reference = Reference::open(&format!("checkpoints/{name}/reference"));
        let tensors = trace(&model, &reference.ids("tokens"), true).unwrap();
        let difference = first_difference(&tensors, |name| Some(reference.array(name)), 1e-4);
        assert_eq!(difference, None, "{name}");
        assert_eq!(tensors.len(), 4 + 4 * model.config.layers + model.parameters().len());
    }
}

#[test]
fn generation_trace_names_the_first_tensor_that_differs() {
    let model = checkpoint::load_trainable(reference_path("checkpoints/plain")).unwrap();
    let mut wrong = model.clone();
    for parameter in wrong.parameters_mut() {
        if parameter.name() == "layers.1.router.bias" {
            parameter.tensor_mut().data_mut()[2] += 0.01;
        }
    }
    let tokens = [5, 17, 3, 60];
    let (ours, theirs) = (trace(&model, &tokens, true).unwrap(), trace(&wrong, &tokens, true).unwrap());
    let find = |name: &str| theirs.iter().find(|(n, _)| n == name).map(|(_, tensor)| tensor.clone());
    let difference = first_difference(&ours, find, 1e-4).unwrap();
    assert_eq!(difference.tensor, "layers.1.router_logits");
    assert!(difference.what.starts_with("number 2 is"), "{}", difference.what);
    let shorter = |name: &str| find(name).filter(|_| name != "norm");
    assert_eq!(first_difference(&ours[9..], shorter, 1e9).unwrap().what, "missing on the other side");
    let reshaped = |_: &str| Some(array(&[1], vec![0.0]));
    assert!(first_difference(&ours, reshaped, 1e-4).unwrap().what.starts_with("shape [4, 32] here"));
}

#[test]
fn generation_trace_without_gradients_has_the_same_numbers_and_no_gradient() {
    let model = checkpoint::load_trainable(reference_path("checkpoints/tied")).unwrap();
    let (with, without) = (trace(&model, &[1, 2, 3], true).unwrap(), trace(&model, &[1, 2, 3], false).unwrap());
    assert_eq!(with[..without.len()], without[..]);
    assert_eq!(without.last().unwrap().0, "loss");
    assert!(trace(&model, &[1], false).unwrap_err().to_string().contains("at least 2"));
    assert!(trace(&model, &[1, 64], false).unwrap_err().to_string().contains("token 64"));
    assert!(trace(&model, &[1; 65], false).unwrap_err().to_string().contains("context is 64"));
}

#[test]
fn generation_after_save_and_load_has_the_same_bits() {
    let directory = tempfile::tempdir().unwrap();
    let config = ModelConfig { dense_layers: vec![1], dense_intermediate_size: 20, tied: false, ..small().config };
    let model = Transformer::random(&config, 5);
    checkpoint::save_weights(&model, directory.path()).unwrap();
    let opened = checkpoint::load_trainable(directory.path()).unwrap();
    assert_eq!(opened.config, model.config);
    for (a, b) in model.parameters().into_iter().zip(opened.parameters()) {
        assert_eq!((a.name(), a.role(), a.value().shape()), (b.name(), b.role(), b.value().shape()));
        assert_eq!(a.tensor().data(), b.tensor().data(), "{}", a.name());
    }
    let logits = |model: &Transformer| {
        Generator::new(model, &[1, 2, 3], Sampling::default()).unwrap().logits().unwrap().to_vec()
    };
    assert_eq!(logits(&model), logits(&opened));
    assert_close("logits", &logits(&model), slice(&array(&[30], logits(&opened))), 0.0);
    let mapped = checkpoint::load(directory.path()).unwrap();
    assert_eq!(logits(&model), logits(&mapped), "the weights in their file");
}
