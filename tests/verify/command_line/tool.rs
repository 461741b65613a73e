//! `ossia tool`, as a user calls it by hand.

use super::chat::typed;
use super::{refuse, text};
use std::path::Path;
use std::process::Output;

fn tool(arguments: &[&str], body: &str, directory: &Path) -> Output {
    typed(&[&["tool"], arguments].concat(), body, directory)
}

#[test]
fn command_line_runs_python_in_a_sandbox() {
    let place = tempfile::tempdir().unwrap();
    let at = place.path();
    if crate::tools::python::session().is_none() {
        return;
    }
    let python = |more: &[&str], body: &str| {
        let output = tool(&[&["python"], more].concat(), body, at);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    assert_eq!(python(&[], "print(1)\n6 * 7"), "1\n42\n");
    assert_eq!(python(&["--root", "."], "open('made', 'w').write('x')"), "1\n");
    assert!(at.join("made").exists());
    let outside = python(&[], "open('/etc/passwd')");
    assert!(outside.contains("PermissionError") || outside.contains("FileNotFoundError"), "{outside}");
    assert!(python(&["--tool-timeout", "1"], "while True: pass").contains("[stopped after 1s"));
    assert_eq!(python(&["--dangerously-unsandboxed"], "import os; os.system('true')"), "0\n");
    refuse(&["tool", "python", "--root", "nowhere"], at, "nowhere");
    refuse(&["tool", "hammer"], at, "unrecognized subcommand");
    refuse(&["enter-sandbox", "{"], at, "no confinement");
}

#[test]
fn command_line_applies_patches() {
    let place = tempfile::tempdir().unwrap();
    let at = place.path();
    std::fs::write(at.join("a.txt"), "one\n").unwrap();
    let patch = "*** Begin Patch\n*** Update File: a.txt\n@@\n-one\n+two\n*** End Patch\n";
    let output = tool(&["apply_patch", "--root", "."], patch, at);
    assert_eq!((text(&output.stdout).as_str(), output.status.code()), ("M a.txt\n", Some(0)));
    assert_eq!(std::fs::read_to_string(at.join("a.txt")).unwrap(), "two\n");
    let again = tool(&["apply_patch", "--root", "."], patch, at);
    let message = text(&again.stderr);
    assert_eq!((again.status.code(), message.lines().count()), (Some(2), 1), "{message}");
    assert!(message.contains("a.txt: the lines that begin with \"one\" are not there"), "{message}");
    refuse(&["tool", "apply_patch"], at, "--root");
    refuse(&["tool", "apply_patch", "--root", "nowhere"], at, "nowhere");
}
