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
    refuse(&["launch-tool", "4294967295", "--", "true"], at, "has ended");
    refuse(&["launch-tool", "1"], at, "required");
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
    let shell = "apply_patch <<'EOF'\n*** Begin Patch \n *** Add File: b.txt\n+b\n*** End Patch\nEOF\n";
    assert_eq!(text(&tool(&["apply_patch", "--root", "."], shell, at).stdout), "A b.txt\n");
    let help = text(&tool(&["apply_patch", "--help"], "", at).stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains("replaces the file at its new path") && help.contains("ends with a newline"), "{help}");
    let again = tool(&["apply_patch", "--root", "."], patch, at);
    let message = text(&again.stderr);
    assert_eq!((again.status.code(), message.lines().count()), (Some(2), 1), "{message}");
    assert!(message.contains("a.txt: the lines that begin with \"one\" are not found"), "{message}");
    refuse(&["tool", "apply_patch"], at, "--root");
    refuse(&["tool", "apply_patch", "--root", "nowhere"], at, "nowhere");
}

#[test]
fn command_line_browses_documents() {
    let place = tempfile::tempdir().unwrap();
    let at = place.path();
    std::fs::create_dir(at.join("tales")).unwrap();
    std::fs::write(at.join("tales/fox.txt"), "A fox met a raven.\nIt was late.").unwrap();
    let calls = "search {\"query\": \"raven\"}\n\nopen {\"id\": 0}\nfind {\"pattern\": \"late\"}\nopen [\n";
    let output = tool(&["browser", "--documents", "tales"], calls, at);
    let shown = "[0] raven\n**viewing lines [0 - 4] of 4**\n\nL0: \nL1: URL: \nL2: # Search Results\nL3: \n\
        L4:   * 【0†fox.txt】 A fox met a raven. It was late.\n\
        [1] fox.txt (document:///fox.txt)\n**viewing lines [0 - 3] of 3**\n\nL0: \nL1: URL: document:///fox.txt\n\
        L2: A fox met a raven.\nL3: It was late.\n\
        [2] Find results for text: `late` in `fox.txt` (document:///fox.txt/find?pattern=late)\n\
        **viewing lines [0 - 1] of 1**\n\nL0: # 【0†match at L3】\nL1: It was late.\n\
        {\"error\": \"Invalid function arguments\"}\n";
    assert_eq!((text(&output.stdout).as_str(), text(&output.stderr).trim()), (shown, "documents: 1"));
    let web = tool(&["browser", "--web"], "open {\"id\": \"http://127.0.0.1:9/\"}\nsearch {\"query\": \"x\"}", at);
    let answers = text(&web.stdout);
    assert!(
        answers.contains("127.0.0.1, which is not of the public internet\nThere is nothing to search"),
        "{answers}"
    );
    refuse(&["tool", "browser"], at, "--documents DIR, --search-url URL or --web");
    refuse(&["tool", "browser", "--documents", "nowhere"], at, "nowhere");
    refuse(&["tool", "browser", "--search-header", "a: b"], at, "--search-url");
    refuse(&["tool", "browser", "--search-url", "http://x.example/"], at, "{query}");
    let key = ["tool", "browser", "--search-url", "http://x.example/{query}", "--search-header", "a: {key}"];
    refuse(&key, at, "OSSIA_SEARCH_KEY is not set");
}
