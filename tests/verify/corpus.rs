//! Corpora and batches: what is read, what is skipped, and that every token is trained on and measured as promised.
//!
//! Book: [data](../../book/src/data.md)

use ossia::data::{Batch, Batches, Corpus, Cursor, IGNORE, Windows, story};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A directory with the given files.
fn directory(files: &[(&str, &[u8])]) -> TempDir {
    let directory = TempDir::new().unwrap();
    for (name, content) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    directory
}

/// The one line that `Corpus::read` refuses with.
fn refusal<P: AsRef<Path>>(paths: &[P]) -> String {
    let message = Corpus::read(paths, "text").unwrap_err().to_string();
    assert_eq!(message.lines().count(), 1, "{message}");
    message
}

#[test]
fn a_directory_is_read_in_sorted_order() {
    let files: [(&str, &[u8]); 10] = [
        ("b.txt", b"bee\n"),
        ("a/z.md", b"# zed"),
        ("a/deep/er/x.TXT", b"ex"),
        ("c.jsonl", b"{\"text\": \"one\"}\n{\"text\": \"two\"}"),
        (".hidden.txt", b"no"),
        (".git/x.txt", b"no"),
        ("image.png", b"\xff\xfe"),
        ("noextension", b"no"),
        ("d.txt", b"\xef\xbb\xbfmarked"),
        ("e.txt", b" \n"),
    ];
    let directory = directory(&files);
    let corpus = Corpus::read(&[directory.path()], "text").unwrap();
    assert_eq!(corpus.documents, ["ex", "# zed", "bee\n", "one", "two", "marked"]);
    let [empty] = corpus.skipped.as_slice() else { panic!("{:?}", corpus.skipped) };
    assert_eq!(empty.to_string(), format!("{}:1: found an empty file", directory.path().join("e.txt").display()));
}

/// The content says whether a file is JSON Lines, a JSON array or text, whatever its name.
#[test]
fn json_is_recognized_by_its_content() {
    let lines: &[u8] = b"\n{\"text\": \"one\"}\n\"two\"\n";
    let array: &[u8] = b"\xef\xbb\xbf[\n  {\"text\": \"one\", \"n\": [1]},\n  \"two\"\n]\n";
    let long = format!("{{\"other\": \"{}\", \"text\": \"one\"}}\n\"two\"\n", "x".repeat(50_000));
    for name in ["a.jsonl", "a.ndjson", "a.json", "a.txt", "a", "a.data"] {
        for content in [lines, array, long.as_bytes()] {
            let directory = directory(&[(name, content)]);
            let corpus = Corpus::read(&[directory.path().join(name)], "text").unwrap();
            assert_eq!(corpus.documents, ["one", "two"], "{name}: {:.20}", String::from_utf8_lossy(content));
        }
    }
    for text in ["[1] A footnote.", "[\"A title\", he said.]", "{curly} words", "{\n\"text\": 1}", "[]", "{", "["] {
        let directory = directory(&[("a.txt", text.as_bytes())]);
        assert_eq!(Corpus::read(&[directory.path().join("a.txt")], "text").unwrap().documents, [text]);
    }
}

/// The message for an item of an array names its line; an object over several lines is not a corpus.
#[test]
fn json_that_is_no_document_is_skipped_with_its_line() {
    let directory = directory(&[
        ("a.json", b"[\n{\"text\": \"one\"},\n\n{\"text\": 5}, {\"title\": \"t\"},\n[\"no\"], \"\"\n]"),
        ("b.json", b"{\n  \"name\": \"a package\"\n}\n"),
    ]);
    let corpus = Corpus::read(&[directory.path()], "text").unwrap();
    assert_eq!(corpus.documents, ["one"]);
    let skipped: Vec<(usize, &str)> = corpus.skipped.iter().map(|s| (s.line, s.reason.as_str())).collect();
    assert_eq!(
        skipped,
        [
            (4, "found a number in the field `text`, expected a string"),
            (4, "found no field `text`, only: title"),
            (5, "found an array, expected an object with the field `text`"),
            (5, "found an empty line, expected a JSON object"),
            (1, "found neither JSON Lines nor a JSON array"),
        ]
    );
}

/// Tables and other kinds of files are refused with what to do.
#[test]
fn files_that_are_not_text_are_refused_by_what_they_are() {
    for (name, content, expected) in [
        ("a.csv", &b"title,text\na,b\n"[..], "a.csv: is a table; convert it to JSON Lines"),
        ("a.TSV", b"title\ttext\n", "is a table"),
        ("a.jsonl", b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n", "git lfs pull"),
        ("a.txt", b"\x1f\x8b\x08\0", "is compressed with gzip"),
        ("a.jsonl", b"\x28\xb5\x2f\xfd\x04", "is compressed with zstd"),
        ("a", b"PK\x03\x04\x14\0", "is a ZIP archive"),
        ("a.parquet", b"PAR1\x15\x04", "is a Parquet file"),
        ("a.pdf", b"%PDF-1.7\n", "is a PDF file"),
        ("a.bin", b"GGUF\x03\0\0\0\x01", "is a GGUF file"),
    ] {
        let directory = directory(&[(name, content)]);
        let message = refusal(&[directory.path().join(name)]);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn paths_are_read_in_the_order_given() {
    let directory =
        directory(&[("x/1.txt", b"1"), ("y.log", b"2"), ("z.jsonl", b"{\"story\":\"3\"}\n{\"text\":\"4\"}\n")]);
    let paths = ["z.jsonl", "x", "y.log"].map(|name| directory.path().join(name));
    let corpus = Corpus::read(&paths, "story").unwrap();
    assert_eq!(corpus.documents, ["3", "1", "2"]); // a file that is named may have any extension
    assert_eq!(corpus.skipped.len(), 1);
    assert!(corpus.skipped[0].reason.contains("no field `story`, only: text"));
}

#[test]
fn bad_lines_are_skipped_with_their_numbers() {
    let lines = [
        r#"{"text": "good"}"#,
        r#"{"text": "bad""#,
        "",
        r#"{"title": "no text"}"#,
        r#"{"text": 7}"#,
        r#"{"text": null}"#,
        r#"{"text": "  "}"#,
        r#"["text"]"#,
        r#"{"text": "also good \u00e9", "more": [1, {}]}"#,
    ];
    let directory = directory(&[("x.jsonl", lines.join("\r\n").as_bytes())]);
    let corpus = Corpus::read(&[directory.path().join("x.jsonl")], "text").unwrap();
    assert_eq!(corpus.documents, ["good", "also good é"]);
    let found: Vec<(usize, &str)> = corpus.skipped.iter().map(|s| (s.line, s.reason.as_str())).collect();
    let expected = [
        (2, "found malformed JSON"),
        (3, "found an empty line"),
        (4, "found no field `text`, only: title"),
        (5, "found a number in the field `text`, expected a string"),
        (6, "found null in the field `text`"),
        (7, "found an empty text"),
        (8, "found an array, expected an object"),
    ];
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for ((line, reason), (expected_line, start)) in found.into_iter().zip(expected) {
        assert!(line == expected_line && reason.starts_with(start), "{line}: {reason}");
    }
}

#[test]
fn refusals_name_the_path_and_the_reason() {
    let deep = "[".repeat(100_000);
    let files: [(&str, &[u8]); 6] = [
        ("latin.txt", b"caf\xe9"),
        ("cut.jsonl", b"{\"text\": \"ok\"}\n{\"text\": \"\xc3\"}"),
        ("bad/x.jsonl", b"{}\n[]\n"),
        ("deep.jsonl", deep.as_bytes()),
        ("none/x.csv", b"1,2"),
        ("empty.txt", b""),
    ];
    let directory = directory(&files);
    let path = |name: &str| directory.path().join(name);
    assert!(refusal(&[path("missing")]).contains("missing: cannot read"));
    assert!(refusal(&[path("latin.txt")]).contains("latin.txt: byte 3 is not UTF-8"));
    // A malformed line is counted, told with its number, and skipped; the others are read.
    let cut = Corpus::read(&[path("cut.jsonl")], "text").unwrap();
    assert_eq!((cut.documents.len(), cut.skipped.len(), cut.skipped[0].line), (1, 1, 2));
    assert_eq!(cut.skipped[0].reason, "byte 10 is not UTF-8");
    assert!(refusal(&[path("bad")]).contains("skipped 2, the first: "));
    assert!(refusal(&[path("deep.jsonl")]).contains("malformed JSON"));
    assert!(refusal(&[path("none")]).contains("expected text files"));
    assert!(refusal(&[path("empty.txt")]).contains("found an empty file"));
    assert!(refusal::<&Path>(&[]).contains("no path"));
}

#[cfg(unix)]
#[test]
fn links_in_a_circle_end() {
    let directory = directory(&[("a/x.txt", b"x")]);
    std::os::unix::fs::symlink(directory.path(), directory.path().join("a/up")).unwrap();
    std::os::unix::fs::symlink(directory.path().join("a"), directory.path().join("again")).unwrap();
    assert_eq!(Corpus::read(&[directory.path()], "text").unwrap().documents, ["x"]);
}

#[test]
fn builtin_stories_are_the_same_for_the_same_seed() {
    let corpus = Corpus::builtin(50, 3);
    assert_eq!(corpus.documents, Corpus::builtin(50, 3).documents);
    assert_eq!(corpus.documents[..20], Corpus::builtin(20, 3).documents);
    assert_ne!(corpus.documents[0], Corpus::builtin(1, 4).documents[0]);
    assert!(corpus.documents.iter().all(|text| story::well_formed(text)));
}

#[test]
fn a_split_shares_no_document_and_keeps_their_order() {
    let numbers = |n: usize| (0..n).map(|i| format!("{i:04}")).collect::<Vec<_>>();
    let corpus = |n| Corpus { documents: numbers(n), skipped: Vec::new() };
    for (n, fraction, expected) in
        [(1000, 0.05, 50), (1000, 0.0, 1), (2, 0.9, 1), (2, 0.1, 1), (1, 0.5, 0), (0, 0.5, 0)]
    {
        let split = corpus(n).split(fraction, 1).unwrap();
        assert_eq!((split.train.len(), split.validation.len()), (n - expected, expected), "{n} {fraction}");
        assert!(split.train.is_sorted() && split.validation.is_sorted());
        let all: BTreeSet<&String> = split.train.iter().chain(&split.validation).collect();
        assert_eq!(all.len(), n);
        assert_eq!(split.validation, corpus(n).split(fraction, 1).unwrap().validation);
    }
    assert_ne!(corpus(1000).split(0.05, 1).unwrap().validation, corpus(1000).split(0.05, 2).unwrap().validation);
    for fraction in [1.0, -0.1, f64::NAN] {
        assert!(corpus(9).split(fraction, 1).unwrap_err().to_string().contains("expected at least 0 and less than 1"));
    }
}

const END: u32 = 0;

/// Documents of the given lengths, in which no token occurs twice.
fn documents(lengths: &[usize]) -> Vec<Vec<u32>> {
    let mut next = 1;
    let mut document = |&length: &usize| {
        let tokens = (next..next + length as u32).collect();
        next += length as u32;
        tokens
    };
    lengths.iter().map(&mut document).collect()
}

/// The rows of batches: (inputs, targets).
pub fn rows(batches: impl IntoIterator<Item = Batch>) -> Vec<(Vec<u32>, Vec<u32>)> {
    let pairs = |batch: Batch| {
        assert_eq!(batch.inputs.dim(), batch.targets.dim());
        let rows = batch.inputs.rows().into_iter().zip(batch.targets.rows());
        rows.map(|(inputs, targets)| (inputs.to_vec(), targets.to_vec())).collect::<Vec<_>>()
    };
    batches.into_iter().flat_map(pairs).collect()
}

/// The example of the module's header, by hand.
#[test]
fn windows_of_the_example() {
    let windows = Windows::new(&documents(&[3, 4, 9]), END, 6).unwrap();
    let i = IGNORE;
    let expected = [
        ([0, 1, 2, 3, 0, 4], [1, 2, 3, 0, i, i]),
        ([0, 4, 5, 6, 7, 0], [4, 5, 6, 7, 0, i]),
        ([0, 8, 9, 10, 11, 12], [8, 9, 10, 11, 12, 13]),
        ([13, 14, 15, 16, 0, 0], [14, 15, 16, 0, i, i]),
    ];
    let expected = expected.map(|(inputs, targets)| (inputs.to_vec(), targets.to_vec()));
    assert_eq!(rows(windows.evaluation(3)), expected);
    assert_eq!((windows.len(), windows.tokens()), (4, 19));
    assert_eq!(windows.evaluation(3).map(|batch| batch.inputs.nrows()).collect::<Vec<_>>(), [3, 1]);

    let mut training = rows(Batches::new(windows, 4, 1).unwrap().take(1));
    training.sort();
    let inputs_and_targets = [
        ([0, 1, 2, 3, 0, 4], [1, 2, 3, 0, 4, 5]),
        ([0, 4, 5, 6, 7, 0], [4, 5, 6, 7, 0, 8]),
        ([0, 8, 9, 10, 11, 12], [8, 9, 10, 11, 12, 13]),
        ([13, 14, 15, 16, 0, 0], [14, 15, 16, 0, i, i]),
    ];
    assert_eq!(training, inputs_and_targets.map(|(inputs, targets)| (inputs.to_vec(), targets.to_vec())));
}

proptest! {
    /// Evaluation counts every token once; a target follows its input; a document shorter than T is whole in a window.
    #[test]
    fn evaluation_counts_every_token_once(
        lengths in prop::collection::vec(0usize..40, 1..20), context in 1usize..24, batch in 1usize..5,
    ) {
        prop_assume!(lengths.iter().any(|&length| length > 0));
        let documents = documents(&lengths);
        let windows = Windows::new(&documents, END, context).unwrap();
        let rows = rows(windows.evaluation(batch));
        prop_assert_eq!(rows.len(), windows.len());

        let counted: Vec<u32> =
            rows.iter().flat_map(|(_, targets)| targets.iter().copied().filter(|&t| t != IGNORE)).collect();
        let stream: Vec<u32> =
            documents.iter().filter(|d| !d.is_empty()).flat_map(|d| d.iter().copied().chain([END])).collect();
        prop_assert_eq!(&counted, &stream);
        prop_assert_eq!(counted.len(), windows.tokens());

        for (inputs, targets) in &rows {
            for (target, next) in targets.iter().zip(&inputs[1..]) {
                prop_assert!(*target == IGNORE || target == next);
            }
        }
        for document in documents.iter().filter(|document| !document.is_empty() && document.len() < context) {
            let whole = |(inputs, targets): &(Vec<u32>, Vec<u32>)| {
                let from = inputs.iter().position(|token| *token == document[0]);
                from.is_some_and(|from| {
                    from > 0 && inputs[from - 1] == END
                        && targets[from - 1..].iter().take(document.len() + 1).eq(document.iter().chain(&[END]))
                })
            };
            prop_assert!(rows.iter().any(whole), "{document:?} in {rows:?}");
        }
    }
}

#[test]
fn an_epoch_has_every_window_once() {
    let windows = Windows::new(&documents(&[30; 10]), END, 20).unwrap();
    let n = windows.len();
    let expected: BTreeSet<Vec<u32>> = rows(windows.evaluation(1)).into_iter().map(|(inputs, _)| inputs).collect();
    let mut batches = Batches::new(windows.clone(), 1, 7).unwrap();
    let mut orders = Vec::new();
    for epoch in 0..3 {
        let order: Vec<Vec<u32>> = rows(batches.by_ref().take(n)).into_iter().map(|(inputs, _)| inputs).collect();
        assert_eq!(order.iter().cloned().collect::<BTreeSet<_>>(), expected);
        assert_eq!(batches.cursor(), Cursor { epoch, position: n });
        orders.push(order);
    }
    assert!(orders[0] != orders[1] && orders[1] != orders[2] && orders[0] != orders[2]);
    let other_seed = rows(Batches::new(windows, 1, 8).unwrap().take(n));
    assert_ne!(other_seed.into_iter().map(|(inputs, _)| inputs).collect::<Vec<_>>(), orders[0]);
}

/// From every cursor of two epochs the same batches follow as in the run that was never interrupted.
#[test]
fn resuming_is_exact() {
    let windows = Windows::new(&documents(&[30; 10]), END, 20).unwrap();
    let mut batches = Batches::new(windows.clone(), 3, 7).unwrap();
    for _ in 0..2 * windows.len() / 3 + 2 {
        let saved = serde_json::to_string(&batches.cursor()).unwrap();
        let cursor = serde_json::from_str(&saved).unwrap();
        let mut resumed = Batches::from_cursor(windows.clone(), 3, 7, cursor).unwrap();
        let expected: Vec<Batch> = batches.clone().take(8).collect();
        assert_eq!(resumed.by_ref().take(8).collect::<Vec<_>>(), expected);
        batches.next_batch();
    }
}

#[test]
fn a_fingerprint_tells_data_apart() {
    let fingerprint =
        |lengths: &[usize], context| Windows::new(&documents(lengths), END, context).unwrap().fingerprint();
    assert_eq!(fingerprint(&[5, 6], 4), fingerprint(&[5, 6], 4));
    assert_ne!(fingerprint(&[5, 6], 4), fingerprint(&[6, 5], 4));
    assert_ne!(fingerprint(&[5, 6], 4), fingerprint(&[5, 6], 5));
}

#[test]
fn too_little_data_is_refused() {
    let message = |result: ossia::error::Result<Batches>| {
        let message = result.unwrap_err().to_string();
        assert_eq!(message.lines().count(), 1);
        message
    };
    let windows = |length| Windows::new(&documents(&[length]), END, 16).unwrap();
    assert!(Batches::new(windows(15), 1, 0).is_ok()); // 17 tokens with the two ends: exactly one window
    let short = message(Batches::new(windows(14), 1, 0));
    assert!(short.contains("has 16 tokens, expected at least 17") && short.contains("--context below 16"), "{short}");
    assert_eq!(windows(14).evaluation(8).map(|batch| batch.counted()).sum::<usize>(), 15); // to measure, it is enough
    assert!(message(Batches::new(windows(15), 0, 0)).contains("a batch of 0 windows"));
    assert!(message(Batches::new(windows(15), usize::MAX, 0)).contains("expected between 1 window and"));
    let beyond = Cursor { epoch: 0, position: 2 };
    assert!(message(Batches::from_cursor(windows(15), 1, 0, beyond)).contains("there are only 1"));
    for (documents, context) in [(vec![], 4), (vec![vec![]], 4), (vec![vec![1]], 0)] {
        assert!(Windows::new(&documents, END, context).is_err());
    }
}
