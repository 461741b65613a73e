//! What breaks: every other rank ends within ten seconds with a line that names the rank and the cause, and the run continues.

use crate::job::{self, Running, TRAIN, files, job, resume, text, train};
use crate::small::{losses, workplace};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant, SystemTime};

/// Steps that do not depend on how many of them follow, so that a run of a few steps begins like a run of many.
pub const STEADY: [&str; 6] = ["--schedule", "constant", "--warmup", "0", "--eval-every", "2"];

/// The time in which every other rank has to end.
const LIMIT: Duration = Duration::from_secs(10);

/// The lines with which ranks have ended.
fn errors(output: &Output) -> Vec<String> {
    text(&output.stderr).lines().filter(|line| line.starts_with("error: ")).map(str::to_string).collect()
}

/// Exit code 2 and the same line from every rank, except for those that say it in their own words.
#[track_caller]
fn refuse(mut command: Command, own: &str, others: &str, count: usize) {
    let output = command.output().unwrap();
    let errors = errors(&output);
    assert!(!output.status.success());
    assert_eq!(errors.len(), count, "{}", text(&output.stderr));
    for error in errors {
        assert!(error.starts_with(own) || error.starts_with(others), "{error}\nexpected: {own}\nor: {others}");
    }
}

pub fn refusals() {
    let place = workplace();
    let at = place.path();
    let new = |size, more: &[&str]| job(size, &[&TRAIN, more].concat(), at);
    let both = "error: --ranks 2: 3 processes were started, which are the ranks";
    refuse(new(3, &["--ranks", "2", "--out", "none"]), both, both, 3);
    let (own, others) = ("error: --steps 0: expected", "error: rank 0: --steps 0: expected");
    let groups = "error: --expert-parallel 2: expected a divisor of 3, the number of ranks";
    refuse(new(3, &["--expert-parallel", "2", "--out", "none"]), groups, groups, 3);
    refuse(new(2, &["--steps", "0", "--out", "none"]), own, others, 2);
    let dense = ["train", "--config", "dense.json", "--stories", "60", "--context", "16", "--batch-size", "2"];
    let spread = job(2, &[&dense[..], &["--expert-parallel", "2", "--out", "none"]].concat(), at);
    let none_to_spread = "error: --expert-parallel 2: this model has no experts";
    refuse(spread, none_to_spread, none_to_spread, 2);
    assert!(job(1, &[&dense[..], &["--steps", "1", "--out", "dense"]].concat(), at).status().unwrap().success());
    let none_to_hold = "error: this model has no experts that ranks could hold";
    refuse(job(2, &["generate", "dense"], at), none_to_hold, none_to_hold, 2);
    train(2, &["--steps", "2", "--out", "two"], at);
    let before = files(&at.join("two"));
    let many = job(3, &["train", "--resume", "--out", "two", "--steps", "4"], at);
    let many_error = "error: 3 ranks: expected 1 to 2, the number of micro-batches per step";
    refuse(many, many_error, "error: rank 0: 3 ranks: expected 1 to 2", 3);
    let (own, others) = ("error: two: already holds something", "error: rank 0: two: already holds something");
    refuse(new(2, &["--out", "two"]), own, others, 2);
    assert!(files(&at.join("two")) == before);
    assert!(!at.join("none").exists());
}

/// Rank 1 of two has something else.
pub fn differences() {
    let place = workplace();
    let at = place.path();
    let ossia = env!("CARGO_BIN_EXE_ossia");
    let program = at.join("other");
    fs::copy(ossia, &program).unwrap();
    let mut bytes = fs::OpenOptions::new().append(true).open(&program).unwrap();
    std::io::Write::write_all(&mut bytes, b"\n").unwrap();
    drop(bytes);
    let config =
        fs::read_to_string(at.join("small.json")).unwrap().replace("\"hidden_size\": 16", "\"hidden_size\": 32");
    fs::write(at.join("other.json"), config).unwrap();
    fs::write(at.join("tale.txt"), "Once there was a bird.\nIt sang.\n".repeat(40)).unwrap();
    fs::write(at.join("other.txt"), "Once there was a frog.\nIt sang.\n".repeat(40)).unwrap();
    let usual = [&TRAIN[..], &["--out", "none"]].concat();
    let text =
        [&["train", "--config", "small.json", "--context", "16", "--batch-size", "2", "--out", "none"][..]].concat();
    let with = |usual: &[&'static str], more: &[&'static str]| [usual, more].concat();
    let cases: [(&Path, Vec<&str>, Vec<&str>, &str); 6] = [
        (&program, usual.clone(), usual.clone(), "its program is not that of rank 0"),
        (ossia.as_ref(), usual.clone(), with(&usual, &["--seed", "1"]), "its seed is 1, and that of rank 0 is 0"),
        (ossia.as_ref(), usual.clone(), with(&usual, &["--steps", "9"]), "its steps is 9, and that of rank 0 is"),
        (
            ossia.as_ref(),
            usual.clone(),
            usual.iter().map(|&a| if a == "small.json" { "other.json" } else { a }).collect(),
            "its configuration is not that of rank 0",
        ),
        (
            ossia.as_ref(),
            with(&text, &["--data", "tale.txt"]),
            with(&text, &["--data", "other.txt"]),
            "its tokenizer is not",
        ),
        (ossia.as_ref(), with(&text, &["--data", "tale.txt"]), with(&text, &["--data", "absent.txt"]), "absent.txt"),
    ];
    for (program, first, second, difference) in cases {
        let mut command = job::mpirun();
        command.args(["-n", "1", ossia]).args(first).args([":", "-n", "1"]).arg(program).args(second).current_dir(at);
        let output = command.output().unwrap();
        let errors = errors(&output);
        assert_eq!(errors.len(), 2, "{difference}: {}", crate::job::text(&output.stderr));
        let named = errors.iter().filter(|error| error.starts_with("error: rank 1: ")).count();
        let says = errors.iter().all(|error| error.contains(difference));
        assert!(named >= 1 && says, "{errors:?}\nexpected: {difference}");
        assert!(!at.join("none").exists(), "{difference}");
    }
}

/// A number that is different each time.
fn random(below: u64) -> u64 {
    let nanoseconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_nanos();
    u64::from(nanoseconds) / 100 % below
}

/// Kills a rank of four at a random time, and resumes.
pub fn kills() {
    let count = std::env::var("KILLS").map_or(2, |count| count.parse().unwrap());
    let place = workplace();
    let at = place.path();
    let steps = ["--steps", "600", "--save-every", "10", "--eval-every", "100"];
    train(1, &[&steps[..], &["--accumulate", "4", "--out", "one"]].concat(), at);
    let (mut slowest, mut lines, mut whole_steps) = (Duration::ZERO, 0, Vec::new());
    for i in 0..count {
        let run = format!("killed-{i}");
        let mut running = Running::start(4, &[&TRAIN[..], &steps].concat(), &run, at);
        running.wait_for(&at.join(&run).join("state.safetensors"));
        std::thread::sleep(Duration::from_millis(random(1000)));
        let processes = running.processes();
        let Some(&(rank, process)) = processes.get(random(4) as usize) else {
            panic!("the run has ended before a rank was killed");
        };
        let start = Instant::now();
        assert!(Command::new("kill").args(["-9", &process.to_string()]).status().unwrap().success());
        let (output, _) = running.end();
        slowest = slowest.max(start.elapsed());
        assert!(start.elapsed() < LIMIT, "{:?}: {}", start.elapsed(), text(&output.stderr));
        let named = format!("error: rank {rank}: its process, number {process}, has ended");
        let errors = errors(&output);
        assert!(errors.iter().all(|error| *error == named), "{}", text(&output.stderr));
        let by_launcher = text(&output.stderr).contains(&format!("mpirun noticed that process rank {rank} "));
        assert!(!errors.is_empty() || by_launcher, "{}", text(&output.stderr));
        lines += errors.len();
        whole_steps.push(losses(&at.join(&run)).len());
        resume(1 + random(4) as usize, &run, &[], at);
        assert_eq!(losses(&at.join(&run)), losses(&at.join("one")), "{run}");
        assert!(files(&at.join(&run)) == files(&at.join("one")), "{run}");
        fs::remove_dir_all(at.join(&run)).unwrap();
    }
    println!(
        "{} of {count} jobs were killed, after {whole_steps:?} steps; {lines} of {} other ranks named the one that was killed; \
         the last one ended after {slowest:.1?} at most",
        whole_steps.len(),
        3 * whole_steps.len()
    );
}

/// A rank that hangs is silent, and no process has ended.
pub fn stopped() {
    let place = workplace();
    let at = place.path();
    let mut running =
        Running::start(3, &[&TRAIN[..], &STEADY, &["--steps", "100000", "--save-every", "2"]].concat(), "hung", at);
    running.wait_for(&at.join("hung").join("state.safetensors"));
    let (rank, process) = running.processes()[1];
    let start = Instant::now();
    assert!(Command::new("kill").args(["-STOP", &process.to_string()]).status().unwrap().success());
    let (output, _) = running.end();
    assert!(start.elapsed() < LIMIT, "{}", text(&output.stderr));
    let errors = errors(&output);
    let named = format!("error: rank {rank}: has given no sign of life for 5 seconds");
    assert!(errors.iter().filter(|error| error.starts_with(&named)).count() >= 2, "{}", text(&output.stderr));
    continues(3, "hung", at);
}

/// Resumes a run that has ended with an error, for a few steps more. It has the losses of a run without an interruption.
pub fn continues(size: usize, run: &str, at: &Path) {
    let done = losses(&at.join(run)).len();
    let steps = (done + 5).to_string();
    resume(size, run, &["--steps", &steps], at);
    let micro_batches = size.to_string();
    train(1, &[&STEADY[..], &["--steps", &steps, "--accumulate", &micro_batches, "--out", "whole"]].concat(), at);
    assert_eq!(losses(&at.join(run)), losses(&at.join("whole")), "{run}");
    let model_and_state = |run: &str| files(&at.join(run)).into_iter().take(2).collect::<Vec<_>>();
    assert!(model_and_state(run) == model_and_state("whole"), "{run}");
}

/// Rank 0 of a run that is resumed may write no file of more than 64 blocks.
pub fn cannot_write() {
    let place = workplace();
    let at = place.path();
    train(3, &[&STEADY[..], &["--steps", "2", "--out", "run"]].concat(), at);
    let resume = ["train", "--resume", "--out", "run", "--steps", "50"];
    let script = format!("trap '' XFSZ; ulimit -f 64; exec {} {}", env!("CARGO_BIN_EXE_ossia"), resume.join(" "));
    let mut command = job::mpirun();
    command.args(["-n", "1", "sh", "-c", &script, ":", "-n", "2", env!("CARGO_BIN_EXE_ossia")]).args(resume);
    let start = Instant::now();
    let output = command.current_dir(at).output().unwrap();
    assert!(start.elapsed() < 2 * LIMIT);
    let errors = errors(&output);
    assert_eq!(errors.len(), 3, "{}", text(&output.stderr));
    for error in &errors {
        assert!(error.starts_with("error: run/") || error.starts_with("error: rank 0: run/"), "{error}");
        assert!(error.contains("cannot write"), "{error}");
    }
    continues(3, "run", at);
}

pub fn panics() {
    let mut command = job::mpirun();
    let start = Instant::now();
    let output = command.args(["-n", "3"]).arg(std::env::current_exe().unwrap()).arg("panic").output().unwrap();
    assert!(start.elapsed() < LIMIT);
    let printed = text(&output.stderr);
    // The launcher ends the others, too, and may be faster than one of them.
    assert!((1..=2).contains(&printed.matches("rank 1: has panicked").count()), "{printed}");
}
