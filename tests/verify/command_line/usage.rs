//! Short options, prompts from standard input, `--quiet`, usage errors, completions and manual pages.

use super::{refuse, succeed, text, train, workplace};
use std::io::Write;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A place with a trained model, `run`.
fn trained() -> TempDir {
    let place = workplace();
    succeed(&train(&["--steps", "2", "--out", "run"]), place.path());
    place
}

fn with_input(arguments: &[&str], place: &TempDir, input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ossia"))
        .args(arguments)
        .current_dir(place.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn command_line_has_short_options_and_reads_prompts() {
    let place = trained();
    let long = ["generate", "run", "--prompt", "Once", "--max-new-tokens", "5", "--temperature", "0", "--threads", "1"];
    let expected = succeed(&long, place.path()).stdout;
    let short = ["generate", "run", "-p", "Once", "-n", "5", "--temp", "0", "-t", "1"];
    assert_eq!(succeed(&short, place.path()).stdout, expected);
    for arguments in
        [&["generate", "run", "-n", "5", "--temp", "0"][..], &["generate", "run", "-p", "-", "-n", "5", "--temp", "0"]]
    {
        assert_eq!(with_input(arguments, &place, b"Once").stdout, expected, "{arguments:?}");
    }
    let output = with_input(&["generate", "run", "-n", "5"], &place, b"caf\xe9");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("standard input: not UTF-8 at byte 3"));
}

#[test]
fn command_line_quiet_prints_results_and_errors() {
    let place = trained();
    for arguments in [&["generate", "run", "-n", "5", "-q"][..], &["-q", "inspect", "run"]] {
        let output = succeed(arguments, place.path());
        assert!(!output.stdout.is_empty() && output.stderr.is_empty(), "{}", text(&output.stderr));
    }
    let output = succeed(&train(&["--steps", "2", "--out", "quiet", "--quiet"]), place.path());
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    refuse(&["-q", "generate", "nowhere"], place.path(), "no such directory");
}

#[test]
fn command_line_usage_errors_are_one_line_with_a_hint() {
    let place = tempfile::tempdir().unwrap();
    for (arguments, expected) in [
        (
            &["generate", "run", "--promt", "x"][..],
            "tip: a similar argument exists: '--prompt' (see ossia generate --help)",
        ),
        (&["generat"], "tip: a similar subcommand exists: 'generate' (see ossia --help)"),
        (
            &["generate"],
            "error: the following required arguments were not provided: <MODEL> (see ossia generate --help)",
        ),
        (&["tokenizer", "train"], "--data <PATH>..., --out <DIR> (see ossia tokenizer train --help)"),
        (&["quantize", "a", "b", "--to", "f8"], "[possible values: mxfp4, bf16] (see ossia quantize --help)"),
        (&["man", "paint"], "there is no command paint; there are train, speedrun, generate"),
        (&["completions", "csh"], "[possible values: bash,"),
    ] {
        refuse(arguments, place.path(), expected);
    }
}

#[test]
fn command_line_completes_and_has_manual_pages() {
    let place = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = text(&succeed(&["completions", shell], place.path()).stdout);
        assert!(script.contains("max-new-tokens") && !script.contains("enter-sandbox"), "{shell}");
    }
    let page = text(&succeed(&["man"], place.path()).stdout);
    assert!(page.starts_with(".ie") && page.contains(".TH ossia 1") && page.contains("tokenizer"), "{page:.200}");
    let page = text(&succeed(&["man", "train"], place.path()).stdout);
    assert!(page.contains(".TH ossia-train 1") && page.contains("learning\\-rate"), "{page:.200}");
}

/// Help comes in groups.
#[test]
fn command_line_help_is_in_groups() {
    let place = tempfile::tempdir().unwrap();
    let help = text(&succeed(&["train", "--help"], place.path()).stdout);
    let groups = ["Model:", "Data:", "Optimization:", "Run:", "Global:"];
    let places: Vec<usize> = groups.iter().map(|group| help.find(&format!("\n{group}\n")).expect(group)).collect();
    assert!(places.is_sorted(), "{help}");
    let help = text(&succeed(&["generate", "--help"], place.path()).stdout);
    assert!(help.contains("\nSampling:\n") && help.contains("\nArithmetic:\n"), "{help}");
    assert_eq!(text(&succeed(&["-V"], place.path()).stdout), concat!("ossia ", env!("CARGO_PKG_VERSION"), "\n"));
    let version = text(&succeed(&["--version"], place.path()).stdout);
    let isa = ossia::kernels::selected().unwrap().name();
    assert!(version.contains(&format!("\ninstruction set: {isa} (of scalar")), "{version}");
}

/// A byte that is not UTF-8 does not end a chat, and `exit` leaves it.
#[test]
fn command_line_chat_goes_on_after_any_line() {
    let place = workplace();
    let task = [
        "--config",
        "small.json",
        "--task",
        "arithmetic",
        "--steps",
        "1",
        "--batch-size",
        "1",
        "--context",
        "128",
        "--out",
        "run",
    ];
    succeed(&[&["train"][..], &task].concat(), place.path());
    let chat = ["chat", "run", "-n", "3"];
    let output = with_input(&chat, &place, b"1+\xff1\n/effort low\nexit\n/effort high\n");
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("[effort low]") && !said.contains("[effort high]"), "{said}");
    assert!(said.contains(" cached]"), "{said}");
    let output = with_input(&["chat", "run", "-n", "3", "-p", "-"], &place, b"1+1");
    assert!(output.status.success(), "{}", text(&output.stderr));
}
