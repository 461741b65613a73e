//! Every command that the book shows with what it prints: is that what it prints?
//!
//! A block ```console has commands, on lines that begin with `$ `, and below each what it prints on either output. The
//! blocks of a chapter run in order in a directory of their own. Three things may differ: numbers with a unit of time or
//! speed behind them, the last digits of other numbers with a point (by 1 %), and what a line `…` stands for.
//!
//! With `UPDATE=1`, the test writes what the commands print into the chapters. Read the differences afterwards, because the
//! text around a block may repeat its numbers.

use ossia::kernels::Isa;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;
use tempfile::TempDir;

struct Shown {
    command: String,
    output: Vec<String>,
}

/// The commands of a chapter, and what they are said to print.
fn commands(text: &str) -> Vec<Shown> {
    let mut all: Vec<Shown> = Vec::new();
    for block in text.split("```console\n").skip(1) {
        for line in block.split("```").next().unwrap_or_default().lines() {
            match (line.strip_prefix("$ "), all.last_mut()) {
                (Some(command), _) => all.push(Shown { command: command.into(), output: Vec::new() }),
                (None, Some(last)) => last.output.push(line.into()),
                (None, None) => panic!("{line}: what printed this?"),
            }
        }
    }
    all
}

fn run(command: &str, directory: &Path) -> Vec<String> {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_ossia"));
    // A reader runs an example in the repository and optimized; the profile of the tests is built already.
    let example = concat!("cargo run --quiet --manifest-path ", env!("CARGO_MANIFEST_DIR"), "/Cargo.toml --example ");
    let command = command.replace("cargo run --release --example ", example);
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    if Isa::Avx2.is_available() {
        shell.env("OSSIA_ISA", "avx2"); // with which the printed numbers were made
    }
    let output = shell
        .args(["-c", &format!("exec 2>&1; {command}")])
        .current_dir(directory)
        .env("PATH", path)
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(|line| line.trim_end().to_string()).collect()
}

/// The output of a command that ran in an empty directory, and the files that it wrote.
type Start = Arc<OnceLock<(Vec<String>, TempDir)>>;

/// The results of the commands with which chapters start, by command. Such a command depends on nothing but itself, so that
/// chapters that start with the same training share one run of it.
#[derive(Default)]
struct Starts(Mutex<HashMap<String, Start>>);

impl Starts {
    /// Runs a command in an empty directory, or copies what an earlier run of it left.
    fn run(&self, command: &str, directory: &Path) -> Vec<String> {
        let start = Arc::clone(self.0.lock().unwrap().entry(command.into()).or_default());
        let (printed, files) = start.get_or_init(|| {
            let files = tempfile::tempdir().unwrap();
            (run(command, files.path()), files)
        });
        let copied = Command::new("cp").arg("-R").arg(files.path().join(".")).arg(directory).status().unwrap();
        assert!(copied.success(), "cp of what {command} wrote: {copied}");
        printed.clone()
    }
}

/// Runs the commands of a chapter in order, and returns those that do not print what the chapter says.
fn wrong_commands(chapter: &Path, starts: &Starts) -> Vec<String> {
    let name = chapter.file_name().unwrap().to_str().unwrap();
    let (place, begin, mut wrong) = (tempfile::tempdir().unwrap(), Instant::now(), Vec::new());
    for Shown { command, output } in commands(&fs::read_to_string(chapter).unwrap()) {
        let said: Vec<String> = output.iter().map(|line| line.trim_end().into()).collect();
        let printed = match fs::read_dir(place.path()).unwrap().next() {
            None => starts.run(&command, place.path()),
            Some(_) => run(&command, place.path()),
        };
        if let Some(difference) = difference(&said, &printed) {
            wrong.push(format!("{name}: $ {command}\n{difference}\n--- all of it:\n{}", printed.join("\n")));
            if std::env::var_os("UPDATE").is_some() {
                let text = fs::read_to_string(chapter).unwrap();
                fs::write(chapter, updated(&text, &command, &output, &printed)).unwrap();
            }
        }
    }
    println!("{name}: {:.0} s", begin.elapsed().as_secs_f64());
    wrong
}

const UNITS: [&str; 12] =
    ["s", "ms", "µs", "tokens/s", "GB/s", "GFLOP/s", "s,", "tokens/s,", "GB/s,", "GFLOP/s,", "ms,", "min"];

/// Returns whether two lines say the same, except for times.
fn agree(said: &str, printed: &str) -> bool {
    let (said, printed): (Vec<&str>, Vec<&str>) =
        (said.split_whitespace().collect(), printed.split_whitespace().collect());
    let bare = |word: &str| word.trim_matches(|c: char| !c.is_ascii_digit()).replace(',', "").parse::<f64>().ok();
    said.len() == printed.len()
        && said.iter().zip(&printed).enumerate().all(|(i, (a, b))| {
            let is_measured = printed.get(i + 1).is_some_and(|unit| UNITS.contains(unit));
            match (bare(a), bare(b)) {
                _ if a == b => true,
                (Some(_), Some(_)) if is_measured => true,
                (Some(x), Some(y)) if a.contains('.') && b.contains('.') => {
                    (x - y).abs() <= 0.01 * x.abs().max(y.abs())
                }
                _ => false,
            }
        })
}

/// The first line that is not printed as it is said.
fn difference(said: &[String], printed: &[String]) -> Option<String> {
    match (said.first().map(String::as_str), printed.first()) {
        (None, None) => None,
        (Some("…"), _) => (0..=printed.len())
            .find(|&skip| difference(&said[1..], &printed[skip..]).is_none())
            .map_or_else(|| Some("what follows … is not printed".into()), |_| None),
        (Some(a), Some(b)) if agree(a, b) => difference(&said[1..], &printed[1..]),
        (a, b) => {
            Some(format!("said:    {}\nprinted: {}", a.unwrap_or("nothing more"), b.map_or("nothing more", |b| b)))
        }
    }
}

/// Replaces the output of a command in the text of a chapter. A line `…` is kept, with as many lines before and after it as there
/// were.
fn updated(text: &str, command: &str, said: &[String], printed: &[String]) -> String {
    let before = format!("$ {command}\n{}", said.iter().map(|line| format!("{line}\n")).collect::<String>());
    let mut lines = printed.to_vec();
    if let Some(at) = said.iter().position(|line| line == "…") {
        let end = printed.len().saturating_sub(said.len() - at - 1).max(at.min(printed.len()));
        lines.splice(at.min(end)..end, ["…".to_string()]);
    }
    let after = format!("$ {command}\n{}", lines.iter().map(|line| format!("{line}\n")).collect::<String>());
    text.replacen(&before, &after, 1)
}

#[test]
fn book_commands_print_what_the_book_says() {
    let only = std::env::var("CHAPTER").ok(); // CHAPTER=training.md: that one alone
    let mut chapters: Vec<PathBuf> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("book/src"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "md"))
        .filter(|path| only.as_ref().is_none_or(|only| path.ends_with(only)))
        .collect();
    chapters.sort();
    // Two chapters at a time: one computes while the other reads, writes or starts.
    let (starts, next, wrong) = (Starts::default(), Mutex::new(chapters.iter()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(chapter) = next.lock().unwrap().next() else { break };
                    let found = wrong_commands(chapter, &starts);
                    wrong.lock().unwrap().extend(found);
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn book_commands_are_compared_with_a_tolerance_for_times_alone() {
    assert!(agree("3 tokens in 0.5 s", "3 tokens in 12.7 s") && agree("loss 2.513", "loss 2.514"));
    assert!(!agree("3 tokens", "4 tokens") && !agree("loss 2.5", "loss 2.6") && !agree("a b", "a"));
    let lines = |text: &str| text.lines().map(String::from).collect::<Vec<_>>();
    assert_eq!(difference(&lines("a\n…\nd"), &lines("a\nb\nc\nd")), None);
    assert!(difference(&lines("a\n…\ne"), &lines("a\nb")).is_some() && difference(&[], &lines("x")).is_some());
    let chapter = "text\n$ run\na\n…\nd\n```\n$ run\na\n";
    let new = updated(chapter, "run", &lines("a\n…\nd"), &lines("1\n2\n3\n4"));
    assert_eq!(new, "text\n$ run\n1\n…\n4\n```\n$ run\na\n");
    assert_eq!(updated("$ run\na\n", "run", &lines("a"), &lines("b\nc")), "$ run\nb\nc\n");
}
