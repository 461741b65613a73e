//! Prepared text: a run on tokens in a file is the run on their text, and a rank reads only its windows.
//!
//! Book: [data](../../book/src/data.md)

use ossia::checkpoint::{TensorFile, TensorToWrite, write_tensors};
use ossia::data::read::{PREPARED, PREPARED_EVALUATION};
use ossia::data::{Batches, IGNORE, Ids, Stream, Windows};
use ossia::stored::Bytes;
use ossia::tokenizer::{END_OF_TEXT, Tokenizer, train};
use ossia::train::prepared::Prepared;
use ossia::train::{DataPath, Material, RunSettings, Settings};
use safetensors::Dtype;
use std::borrow::Cow;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Built-in stories, or those of `data`.
fn settings(data: Option<&Path>) -> RunSettings {
    let data = data.map_or(RunSettings::default().data, |path| vec![DataPath::from(path)]);
    RunSettings { data, stories: 60, settings: Settings::new(2, 2, 24, 1e-3), ..RunSettings::default() }
}

/// Prepares 60 built-in stories in `directory`.
fn prepare(directory: &Path, tokenizer: Option<Tokenizer>) {
    Prepared::new(&settings(None), tokenizer, 400, &mut |_| {}).unwrap().save(directory).unwrap();
}

fn material(settings: &RunSettings, tokenizer: Option<Tokenizer>) -> Result<Material, String> {
    Material::new(settings, tokenizer, 400, &mut |_| {}).map_err(|error| {
        let message = error.to_string();
        assert_eq!(message.lines().count(), 1, "{message}");
        message
    })
}

#[track_caller]
fn assert_same(prepared: &Material, text: &Material) {
    assert_eq!(prepared.windows.fingerprint(), text.windows.fingerprint());
    assert_eq!(prepared.tokenizer.to_json(), text.tokenizer.to_json());
    let batches = |windows: &Windows| Batches::new(windows.clone(), 3, 5).unwrap().take(40).collect::<Vec<_>>();
    assert_eq!(batches(&prepared.windows), batches(&text.windows));
    let evaluation = |material: &Material| {
        let set = &material.evaluation;
        (set.windows.evaluation(4).collect::<Vec<_>>(), set.entropy_floor.map(f64::to_bits), set.bytes)
    };
    assert_eq!(evaluation(prepared), evaluation(text));
}

#[test]
fn prepared_text_is_its_text() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("a").join("stories");
    prepare(&directory, None);
    let text = material(&settings(None), None).unwrap();
    assert!(text.evaluation.entropy_floor.is_some());
    assert_same(&material(&settings(Some(&directory)), None).unwrap(), &text);

    let ids = TensorFile::open(directory.join(PREPARED)).unwrap().entry("ids").unwrap().clone();
    assert_eq!((ids.dtype, ids.shape.len()), (Dtype::U16, 1));
    let limited = |data| RunSettings { eval_tokens: Some(90), ..settings(data) };
    assert_same(&material(&limited(Some(&directory)), None).unwrap(), &material(&limited(None), None).unwrap());
}

/// Ids beyond 65,535 need four bytes.
#[cfg(feature = "o200k")]
#[test]
fn prepared_text_with_a_large_vocabulary() {
    let place = tempfile::tempdir().unwrap();
    let o200k = || Some(Tokenizer::open("o200k_harmony").unwrap());
    prepare(place.path(), o200k());
    let ids = TensorFile::open(place.path().join(PREPARED)).unwrap().entry("ids").unwrap().clone();
    assert_eq!(ids.dtype, Dtype::U32);
    assert_same(&material(&settings(Some(place.path())), None).unwrap(), &material(&settings(None), o200k()).unwrap());
}

/// A text that was set aside before, and one that is given for this run.
#[test]
fn prepared_text_may_be_measured_on_another_text() {
    let place = tempfile::tempdir().unwrap();
    let (directory, other) = (place.path().join("p"), place.path().join("other.txt"));
    prepare(&directory, None);
    fs::write(&other, "The fox slept.").unwrap();
    let changed = RunSettings { eval_data: vec![other.into()], ..settings(Some(&directory)) };
    let set = material(&changed, None).unwrap().evaluation;
    assert_eq!((set.bytes, set.entropy_floor), (14, None));
    let stories = RunSettings { eval_data: vec!["builtin".into()], ..settings(Some(&directory)) };
    assert!(material(&stories, None).unwrap().evaluation.entropy_floor.is_some());
}

/// Replaces the file of tokens by one with other content.
fn rewrite(directory: &Path, ids: &[u16], beginnings: &[u64], change: impl Fn(&str, &str) -> Option<String>) {
    let path = directory.join(PREPARED);
    let file = TensorFile::open(&path).unwrap();
    let changed = |(key, value): (&String, &String)| Some((key.clone(), change(key, value)?));
    let metadata: Vec<(String, String)> = file.metadata().iter().filter_map(changed).collect();
    let metadata: Vec<(&str, String)> = metadata.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    let write = |dtype, length, bytes: Vec<u8>| TensorToWrite {
        dtype,
        shape: vec![length],
        bytes: Box::new(move || Cow::Owned(bytes.clone())),
    };
    let ids = write(Dtype::U16, ids.len(), ids.iter().flat_map(|id| id.to_le_bytes()).collect());
    let index = write(Dtype::U64, beginnings.len(), beginnings.iter().flat_map(|at| at.to_le_bytes()).collect());
    write_tensors(&path, [("ids".into(), ids), ("beginnings".into(), index)], &metadata).unwrap();
}

#[test]
fn prepared_text_that_is_damaged_is_refused_in_one_line() {
    let keep = |_: &str, value: &str| Some(value.to_string());
    type Damage<'a> = &'a dyn Fn(&Path);
    let table: [(&str, Damage, &str); 13] = [
        ("cut short", &|d| fs::write(d.join(PREPARED), &fs::read(d.join(PREPARED)).unwrap()[..900]).unwrap(), "cut"),
        (
            "stopped",
            &|d| fs::remove_file(d.join(PREPARED)).unwrap(),
            "tokenizer prepare was stopped: remove the directory",
        ),
        ("no tokenizer", &|d| fs::remove_file(d.join("tokenizer.json")).unwrap(), "tokenizer.json"),
        (
            "another tokenizer",
            &|d| {
                let other = train(["a text of its own"], 270, &[END_OF_TEXT]).unwrap();
                fs::write(d.join("tokenizer.json"), other.to_json()).unwrap();
            },
            "was not made with the tokenizer.json beside it",
        ),
        ("no evaluation", &|d| fs::remove_file(d.join(PREPARED_EVALUATION)).unwrap(), "evaluation.jsonl"),
        (
            "bad line",
            &|d| fs::write(d.join(PREPARED_EVALUATION), "{\"text\": \"a\"}\n{}\n").unwrap(),
            "evaluation.jsonl: line 2: found no field `text`",
        ),
        (
            "other format",
            &|d| rewrite(d, &[0; 4], &[0, 3], |k, v| keep(k, if k == "ossia_tokens" { "2" } else { v })),
            "has format 2",
        ),
        ("not ours", &|d| rewrite(d, &[0; 4], &[0, 3], |_, _| None), "does not come from ossia tokenizer prepare"),
        (
            "no checksum",
            &|d| rewrite(d, &[0; 4], &[0, 3], |k, v| keep(k, v).filter(|_| k != "checksum")),
            "do not belong",
        ),
        ("short index", &|d| rewrite(d, &[0; 4], &[0], keep), "do not belong together"),
        ("index not sorted", &|d| rewrite(d, &[0; 9], &[0, 5, 4, 8], keep), "do not belong together"),
        ("index beyond all memory", &|d| rewrite(d, &[], &[0, u64::MAX], keep), "do not belong together"),
        ("index of a longer text", &|d| rewrite(d, &[0; 9], &[0, 5, 9], keep), "do not belong together"),
    ];
    let place = tempfile::tempdir().unwrap();
    for (name, damage, expected) in table {
        let directory = place.path().join(name);
        prepare(&directory, None);
        assert!(material(&settings(Some(&directory)), None).is_ok());
        damage(&directory);
        let message = material(&settings(Some(&directory)), None).err().unwrap_or_else(|| panic!("{name}: accepted"));
        assert!(message.contains(expected), "{name}: {message}");
    }
}

#[test]
fn prepared_text_goes_with_its_tokenizer_and_alone() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("p");
    prepare(&directory, None);
    let message = |settings: &RunSettings, tokenizer| material(settings, tokenizer).err().unwrap();
    let alone = settings(Some(&directory));
    let other = train(["a text of its own"], 270, &[END_OF_TEXT]).unwrap();
    assert!(message(&alone, Some(other)).contains("was prepared with another tokenizer"));
    let own = Tokenizer::load(directory.join("tokenizer.json")).unwrap();
    assert!(material(&alone, Some(own)).is_ok());
    let two = RunSettings { data: vec![directory.clone().into(), "x.txt".into()], ..settings(None) };
    assert!(message(&two, None).contains("cannot be combined with other --data"));
    let measured = RunSettings { eval_data: vec![directory.clone().into()], ..settings(None) };
    assert!(message(&measured, None).contains("its text to measure on is"));
    let again = Prepared::new(&settings(None), None, 400, &mut |_| {}).unwrap().save(&directory);
    assert!(again.unwrap_err().to_string().contains("already holds something"));
}

/// Bytes that count how often they are read.
struct Counted {
    bytes: Vec<u8>,
    reads: AtomicUsize,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        self.reads.fetch_add(1, Ordering::Relaxed);
        &self.bytes
    }
}

/// A rank reads the windows of its own micro-batches, and nothing else of the tokens.
#[test]
fn prepared_text_is_read_by_the_windows_of_a_rank() {
    const CONTEXT: usize = 16;
    let bytes = (0..10_000_u16).flat_map(u16::to_le_bytes).collect();
    let file = Arc::new(Counted { bytes, reads: AtomicUsize::new(0) });
    let reads = || file.reads.swap(0, Ordering::Relaxed);
    let stream = Stream::from_file(Ids::U16(Bytes::new(file.clone())), vec![0, 4_000, 9_999], 0, 1).unwrap();
    reads(); // the length
    let mut batches = Batches::new(Windows::of(stream, CONTEXT).unwrap(), 4, 0).unwrap();
    assert_eq!(reads(), 0, "the windows are cut by the index alone");
    for i in 0..80 {
        let batch = batches.next_if(i % 4 == 1);
        assert_eq!(reads(), if i % 4 == 1 { 4 } else { 0 }, "micro-batch {i} of rank 1 of 4");
        for (inputs, targets) in
            batch.iter().flat_map(|batch| batch.inputs.rows().into_iter().zip(batch.targets.rows()))
        {
            assert!((0..CONTEXT).all(|t| targets[t] == IGNORE || targets[t] == inputs[0] + t as u32 + 1));
        }
    }
}
