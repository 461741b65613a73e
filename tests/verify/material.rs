//! Training material: a single text, the limit of the evaluation text, and the memory that a run may use.
//!
//! Book: [training](../../book/src/training.md)

use ossia::config::ModelConfig;
use ossia::tokenizer::{self, Tokenizer};
use ossia::train::memory::{Needs, limit};
use ossia::train::{Material, Note, RunSettings, Settings};
use std::fs;
use std::path::Path;

/// The material of a run on one text file, and its notes.
fn material(text: &str, change: impl FnOnce(&mut RunSettings)) -> Result<(Material, Vec<Note>), String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tale");
    fs::write(&path, text).unwrap();
    let mut settings = RunSettings {
        data: vec![path.into()],
        validation_fraction: 0.1,
        settings: Settings::new(2, 2, 8, 1e-3),
        ..RunSettings::default()
    };
    change(&mut settings);
    let mut notes = Vec::new();
    match Material::new(&settings, None, 260, &mut |note| notes.push(note)) {
        Ok(material) => Ok((material, notes)),
        Err(error) => Err(error.to_string()),
    }
}

/// The tail of a single text is the evaluation text: whole lines if there are lines, and never nothing.
#[test]
fn material_of_one_text_sets_its_tail_aside() {
    let lines: String = (0..100).map(|i| format!("line {i:03}\n")).collect();
    for (text, training, evaluation) in [
        (lines.as_str(), 810, 90), // nine lines of nine bytes, behind the wanted place: a line end is there
        (&"no line at all ".repeat(20), 270, 30), // between two characters
        (&"é".repeat(50), 90, 10), // not within one
        ("ab", 1, 1),
        ("title\nand then everything else is on a single line, which is much longer than the first", 75, 9),
    ] {
        let (found, notes) = material(text, |_| {}).unwrap();
        let Some(Note::TailSetAside { training: t, evaluation: e }) = notes.first() else { panic!("{notes:?}") };
        assert_eq!(t + e, text.len());
        assert!(t.abs_diff(training) <= 9 && e.abs_diff(evaluation) <= 9, "{text:.20}: {t} + {e}");
        assert_eq!(found.evaluation.bytes, *e, "the bytes of the evaluation text");
    }
    for text in ["a", "a \n", "é"] {
        assert!(material(text, |_| {}).err().unwrap().contains("too short to be cut"), "{text:?}");
    }
    let (_, notes) = material("one\ntwo\nthree\n", |s| s.validation_fraction = 0.0).unwrap();
    assert_eq!(notes, [Note::TailSetAside { training: 12, evaluation: 2 }], "never nothing");
}

/// A long evaluation text is used up to its limit, by whole documents; a single one is cut.
#[test]
fn material_limits_the_evaluation_text() {
    let documents: String = (0..200).map(|i| format!("{{\"text\": \"document {i:03}\"}}\n")).collect();
    let (all, notes) = material(&documents, |s| s.eval_tokens = None).unwrap();
    assert!(notes.is_empty(), "{notes:?}");
    let whole = all.evaluation.windows.tokens();
    let (some, notes) = material(&documents, |s| s.eval_tokens = Some(whole / 2)).unwrap();
    let [Note::EvaluationShortened { tokens, documents: used, of: 20 }] = notes[..] else { panic!("{notes:?}") };
    assert!(tokens <= whole / 2 && tokens > whole / 3 && (8..=10).contains(&used), "{tokens} {used}");
    assert_eq!(some.evaluation.windows.tokens(), tokens);
    assert_eq!(some.evaluation.bytes, used * "document 000".len());
    let (_, notes) = material(&documents, |s| s.eval_tokens = Some(whole)).unwrap();
    assert!(notes.is_empty(), "the limit is not reached: {notes:?}");
    let (one, notes) = material(&"word after word\n".repeat(100), |s| s.eval_tokens = Some(7)).unwrap();
    assert!(notes.contains(&Note::EvaluationShortened { tokens: 7, documents: 1, of: 1 }), "{notes:?}");
    assert!(one.evaluation.windows.tokens() <= 8, "seven tokens and the end");
}

/// A model with the vocabulary of gpt-oss gets its tokenizer, unless another one is given.
#[cfg(feature = "o200k")]
#[test]
fn material_uses_o200k_harmony_for_its_vocabulary() {
    let settings = RunSettings { stories: 20, settings: Settings::new(2, 2, 8, 1e-3), ..RunSettings::default() };
    let vocabulary =
        |tokenizer| Material::new(&settings, tokenizer, 201_088, &mut |_| {}).unwrap().tokenizer.vocab_size();
    assert_eq!(vocabulary(None), 201_088);
    let other = tokenizer::train(["a text of its own"], 260, &[tokenizer::END_OF_TEXT]).unwrap();
    assert!(vocabulary(Some(other)) <= 260);
    assert_eq!(Tokenizer::open("o200k_harmony").unwrap().vocab_size(), 201_088);
    assert!(Tokenizer::open("./o200k_harmony").is_err(), "a path is not the name");
}

/// A directory with the files that Linux has about memory, as a container sees them.
fn system(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    root
}

#[test]
fn material_memory_is_that_of_the_machine_or_of_its_container() {
    let machine = ("proc/meminfo", "MemFree:  1 kB\nMemTotal:       8000 kB\n");
    let of = |files: &[(&str, &str)]| limit(system(files).path());
    assert_eq!(of(&[]), None);
    assert_eq!(of(&[machine]), Some(8_192_000));
    let v2 = ("proc/self/cgroup", "0::/a/b\n");
    assert_eq!(of(&[machine, v2, ("sys/fs/cgroup/memory.max", "5000\n")]), Some(5_000), "as in a container");
    assert_eq!(of(&[machine, v2, ("sys/fs/cgroup/a/memory.max", "4000\n")]), Some(4_000), "a group above");
    assert_eq!(of(&[machine, v2, ("sys/fs/cgroup/a/b/memory.max", "max\n")]), Some(8_192_000));
    let v1 = ("proc/self/cgroup", "5:cpu,memory:/docker/x\n3:pids:/docker/x\n");
    assert_eq!(of(&[machine, v1, ("sys/fs/cgroup/memory/memory.limit_in_bytes", "6000")]), Some(6_000));
    assert_eq!(of(&[machine, v1, ("sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", "7000")]), Some(7_000));
    let none = ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712");
    assert_eq!(of(&[machine, v1, none]), Some(8_192_000), "no limit is a number larger than any memory");
    assert!(!cfg!(target_os = "linux") || limit(Path::new("/")).is_some());
}

/// Four numbers per parameter are a lower bound, and recomputing activations takes less.
#[test]
fn material_needs_grow_with_the_batch_and_shrink_with_recomputation() {
    let (config, parameters) = (ModelConfig::nano(), 2_050_736);
    let needs = |batch, recompute| Needs::of(&config, &Settings::new(1, batch, 256, 1e-3), recompute);
    let alone = needs(8, false);
    assert_eq!(alone.of_ranks(1, 1), alone);
    let moments = 8 * parameters; // two ranks divide them; each has two messages, which are as large together
    assert_eq!(alone.of_ranks(2, 1).memory, alone.memory + moments / 2);
    let experts = 4 * 4 * 8 * (128 * 256 + 256 + 128 * 128 + 128); // bytes, layers, experts, numbers of each
    assert_eq!(alone.of_ranks(2, 1).memory - alone.of_ranks(2, 2).memory, experts / 2);
    assert!(needs(1, true).memory > 16 * parameters);
    assert!(needs(8, true).memory < needs(8, false).memory && needs(8, false).memory < needs(16, false).memory);
    assert_eq!(needs(8, false).disk, 32 * parameters);
}
