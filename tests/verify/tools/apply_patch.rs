//! Patches: what they change, and what they cannot be made to change.

use ossia::harmony::{Message, MessageRole};
use ossia::tools::Toolbox;
use ossia::tools::apply_patch::Workspace;
use ossia::tools::apply_patch::parse::{Change, parse};
use ossia::tools::apply_patch::update::update;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use tempfile::TempDir;

pub fn patch(body: &str) -> String {
    format!("*** Begin Patch\n{body}\n*** End Patch\n")
}

pub fn workspace(files: &[(&str, &str)]) -> (TempDir, Workspace) {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let workspace = Workspace::open(directory.path()).unwrap();
    (directory, workspace)
}

/// Every file, and what is in it.
pub fn all(directory: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_string();
        match path.is_dir() && !path.is_symlink() {
            true => found.extend(all(&path).into_iter().map(|(inner, text)| (format!("{name}/{inner}"), text))),
            false => _ = found.insert(name, fs::read_to_string(&path).unwrap_or_default()),
        }
    }
    found
}

#[test]
fn tools_patch_adds_updates_moves_and_deletes() {
    let (place, workspace) = workspace(&[("a.txt", "one\ntwo\nthree\n"), ("old.txt", "x\n"), ("sub/m.txt", "p\nq\n")]);
    let done = workspace
        .apply(&patch(
            "*** Add File: new/deep.txt\n+first\n+\n+third\n*** Update File: a.txt\n@@\n one\n-two\n+zwei\n three\n\
             *** Delete File: old.txt\n*** Update File: sub/m.txt\n*** Move to: moved.txt\n@@\n-p\n+P\n q",
        ))
        .unwrap();
    assert_eq!(done, "A new/deep.txt\nM a.txt\nD old.txt\nR sub/m.txt → moved.txt\n");
    let expected = [("a.txt", "one\nzwei\nthree\n"), ("moved.txt", "P\nq\n"), ("new/deep.txt", "first\n\nthird\n")];
    assert_eq!(all(place.path()), expected.map(|(name, text)| (name.to_string(), text.to_string())).into());
}

#[test]
fn tools_patch_finds_its_place() {
    let changed = |text: &str, body: &str| {
        let parsed = parse(&patch(&format!("*** Update File: f\n{body}")));
        let Change::Update { hunks, .. } = parsed.unwrap().remove(0) else { panic!("an update") };
        update(text, &hunks)
    };
    let twice = "fn a() {\n    x\n}\nfn b() {\n    x\n}\n";
    assert_eq!(changed(twice, "@@ fn b() {\n-    x\n+    y").unwrap(), "fn a() {\n    x\n}\nfn b() {\n    y\n}\n");
    assert_eq!(
        changed(twice, "@@\n-    x\n+    y\n@@\n-    x\n+    z").unwrap(),
        "fn a() {\n    y\n}\nfn b() {\n    z\n}\n"
    );
    let classes = "class A\n  def f\n    1\nclass B\n  def f\n    1\n";
    assert_eq!(
        changed(classes, "@@ class B\n@@   def f\n-    1\n+    2").unwrap(),
        classes.replacen("B\n  def f\n    1", "B\n  def f\n    2", 1)
    );
    assert_eq!(changed("a\nb\na\n", "@@\n-a\n+c\n*** End of File").unwrap(), "a\nb\nc\n", "the last one");
    assert_eq!(changed("a\nb", "@@\n a\n-b\n+c").unwrap(), "a\nc\n", "an updated file ends with a newline");
    assert_eq!(changed("a\nb", "@@\n-a\n+c").unwrap(), "c\nb\n", "even if its last line stays");
    assert_eq!(changed("a\r\nb", "@@\n-a\n+c").unwrap(), "c\r\nb\r\n");
    assert_eq!(changed("a\r\nb", "@@\n+c").unwrap(), "a\r\nb\r\nc\r\n");
    assert_eq!(changed("a\n", "@@\n+b").unwrap(), "a\nb\n", "nothing says where: at the end");
    assert_eq!(changed("a\nc\n", "@@ a\n+b").unwrap(), "a\nb\nc\n");
    assert_eq!(changed("", "@@\n+b").unwrap(), "b\n");
    assert_eq!(changed("b\n", "@@\n-b").unwrap(), "");
    assert_eq!(changed("\ta  \nb\n", "@@\n a\n-b\n+c").unwrap(), "\ta  \nc\n", "other spaces: the file's own stay");
    assert_eq!(changed("a\r\nb\r\n", "@@\n a\n-b\n+c").unwrap(), "a\r\nc\r\n");
    assert_eq!(changed("a\n\nb\n", "@@\n a\n\n-b\n+c").unwrap(), "a\n\nc\n", "an empty line without its space");
    assert_eq!(
        changed("a\n", "@@\n-b\n+c").unwrap_err().to_string(),
        "the lines that begin with \"b\" are not found after line 0"
    );
    assert_eq!(changed("a\n", "@@ z\n-a").unwrap_err().to_string(), "there is no line \"z\" after line 0");
}

#[test]
fn tools_patch_that_is_none_is_refused_with_its_line() {
    for (text, expected) in [
        ("", "line 1: expected *** Begin Patch"),
        ("*** Begin Patch", "line 1: expected *** End Patch"),
        ("*** Begin Patch\n*** End Patch", "the patch changes nothing"),
        ("*** Begin Patch\nhello\n*** End Patch", "line 2: expected *** Add File: "),
        ("*** Begin Patch\n*** Add File: a\nb\n*** End Patch", "line 3: expected a line of the new file, after a +"),
        ("*** Begin Patch\n*** Update File: a\n*** End Patch", "line 2: expected @@ and the lines"),
        ("*** Begin Patch\n*** Update File: a\n@@\n*** End Patch", "line 3: expected lines to be changed"),
        (
            "*** Begin Patch\n*** Update File: a\n@@\nb\n*** End Patch",
            "line 4: expected a line that begins with a space",
        ),
        ("*** Begin Patch\n*** Update File: a\n@@\n-b", "line 4: expected *** End Patch"),
        ("*** Begin Patch\n*** Delete File: a\n*** End Patch\nmore", "line 4: there is text after"),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

/// One thing that cannot be done, and nothing is: the changes before it stay undone.
#[test]
fn tools_patch_is_applied_whole_or_not_at_all() {
    let files = [("a.txt", "one\n"), ("b.txt", "two\n"), ("d/c.txt", "three\n")];
    let (place, workspace) = workspace(&files);
    let before = all(place.path());
    fs::write(place.path().join("latin1.txt"), b"\xe9\n").unwrap();
    fs::create_dir(place.path().join("empty")).unwrap();
    for bad in [
        "*** Update File: b.txt\n@@\n-missing\n+x",
        "*** Add File: b.txt\n+x",
        "*** Delete File: none.txt",
        "*** Delete File: d",
        "*** Delete File: empty",
        "*** Update File: latin1.txt\n@@\n+x",
        "*** Update File: b.txt\n*** Move to: d\n@@\n-two\n+x",
        "*** Delete File: a.txt",
        "*** Delete File: ./a.txt",
        "*** Update File: b.txt\n*** Move to: a.txt\n@@\n-two\n+x",
        "*** Add File: b.txt/inside.txt\n+x",
        "*** Delete File: ../a.txt",
    ] {
        let error = workspace
            .apply(&patch(&format!("*** Update File: a.txt\n@@\n-one\n+changed\n*** Add File: n/new.txt\n+n\n{bad}")));
        let error = error.expect_err(bad).to_string();
        assert_eq!(error.lines().count(), 1, "{error}");
        let mut now = all(place.path());
        now.remove("latin1.txt");
        assert_eq!(now, before, "{bad}");
    }
}

/// A patch that fails only when files are replaced is undone, together with the directories that were made for it. Here a file
/// has the path of a directory that an earlier change makes.
#[test]
fn tools_patch_that_fails_late_is_undone() {
    let (place, workspace) =
        workspace(&[("a.txt", "one\n"), ("d/c.txt", "three\n"), ("m.txt", "m\n"), ("t.txt", "t\n")]);
    let before = all(place.path());
    let mode = fs::Permissions::from_mode(0o640);
    fs::set_permissions(place.path().join("a.txt"), mode.clone()).unwrap();
    let error = workspace.apply(&patch(
        "*** Update File: a.txt\n@@\n-one\n+changed\n*** Delete File: d/c.txt\n*** Add File: new/er/x\n+x\n\
         *** Update File: m.txt\n*** Move to: t.txt\n@@\n-m\n+M\n*** Add File: p/q/r\n+r\n*** Add File: p/q\n+q",
    ));
    let error = error.unwrap_err().report();
    assert!(error.starts_with("p/q: ") && error.ends_with("; nothing was changed"), "{error}");
    assert_eq!(all(place.path()), before);
    assert!(!place.path().join("new").exists() && !place.path().join("p").exists());
    assert_eq!(fs::metadata(place.path().join("a.txt")).unwrap().permissions().mode() & 0o777, 0o640);
}

/// A full disk is found before anything changes.
#[test]
fn tools_patch_on_a_full_disk_changes_nothing() {
    let command = "cd \"$1\" && printf 'one\\n' > a.txt && head -c 40000 /dev/zero | tr '\\0' x > b.txt && ls -RA > ../before && \
        \"$0\" tool apply_patch --root . < ../change 2>&1; ls -RA > ../after; cat a.txt; cmp ../before ../after";
    let place = tempfile::tempdir().unwrap();
    fs::create_dir(place.path().join("disk")).unwrap();
    let long = "y".repeat(60_000);
    let change = format!("*** Update File: a.txt\n@@\n-one\n+two\n*** Add File: sub/new/c.txt\n+{long}");
    fs::write(place.path().join("change"), patch(&change)).unwrap();
    let disk = place.path().join("disk");
    let output = std::process::Command::new("bwrap")
        .args(["--dev-bind", "/", "/", "--size", "81920", "--tmpfs"])
        .args([
            &disk,
            Path::new("sh"),
            Path::new("-c"),
            Path::new(command),
            Path::new(env!("CARGO_BIN_EXE_ossia")),
            &disk,
        ])
        .output();
    let said = output.map(|output| String::from_utf8(output.stdout).unwrap()).unwrap_or_default();
    if said.is_empty() {
        // Not by eprintln, which the test runner keeps to itself.
        let said = b"SKIPPED: patches on a full disk were not tested: bubblewrap makes no small disk here\n";
        _ = std::io::Write::write_all(&mut std::io::stderr(), said);
        return;
    }
    assert_eq!(said, "error: sub/new/c.txt: No space left on device (os error 28); nothing was changed\none\n");
}

#[test]
fn tools_patch_stays_in_its_workspace() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "secret\n").unwrap();
    let (place, workspace) = workspace(&[("a.txt", "one\n"), (".git/config", "[core]\n"), ("sub/.git/hooks/x", "x\n")]);
    let at = place.path();
    symlink(outside.path().join("secret"), at.join("link")).unwrap();
    symlink(outside.path(), at.join("dir")).unwrap();
    symlink("a.txt", at.join("inner")).unwrap();
    symlink("sub", at.join("inner_dir")).unwrap();
    symlink("nowhere", at.join("dangling")).unwrap();
    fs::hard_link(outside.path().join("secret"), at.join("hard")).unwrap();
    std::process::Command::new("mkfifo").arg(at.join("pipe")).status().unwrap();
    let absolute = outside.path().join("secret").display().to_string();
    let upward = format!("../{}/secret", outside.path().file_name().unwrap().to_str().unwrap());
    let before = all(outside.path());
    let mode = fs::metadata(outside.path().join("secret")).unwrap().permissions();
    for path in [
        absolute.as_str(),
        &upward,
        "..",
        "../x",
        "sub/../../x",
        "/etc/passwd",
        "",
        ".",
        "./",
        "link",
        "dir",
        "dir/secret",
        "dir/new",
        "inner",
        "inner_dir/new",
        "dangling",
        "hard",
        "pipe",
        ".git/config",
        ".GIT/config",
        "sub/.git/hooks/x",
        ".git",
        "a\0b",
        "a\nb",
        "a\u{1b}b",
        "a.txt/..",
        "sub",
    ] {
        for body in [
            format!("*** Update File: {path}\n@@\n-secret\n+changed"),
            format!("*** Update File: {path}\n@@\n+more"),
            format!("*** Delete File: {path}"),
            format!("*** Update File: a.txt\n*** Move to: {path}\n@@\n-one\n+two"),
            format!("*** Add File: {path}\n+new"),
        ] {
            assert!(workspace.apply(&patch(&body)).is_err(), "{body}");
        }
    }
    assert_eq!(all(outside.path()), before);
    assert_eq!(fs::read_to_string(at.join("a.txt")).unwrap(), "one\n");
    assert_eq!(fs::read_to_string(at.join(".git/config")).unwrap(), "[core]\n");
    assert_eq!(fs::metadata(outside.path().join("secret")).unwrap().permissions(), mode);
    // Names that only look like it are names.
    assert_eq!(
        workspace.apply(&patch("*** Add File: .gitignore\n+x\n*** Add File: ..x\n+y")).unwrap(),
        "A .gitignore\nA ..x\n"
    );
}

#[test]
fn tools_patch_keeps_the_mode_of_a_file() {
    let (place, workspace) = workspace(&[("run.sh", "echo 1\n")]);
    let path = place.path().join("run.sh");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
    workspace.apply(&patch("*** Update File: run.sh\n@@\n-echo 1\n+echo 2")).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o750);
}

#[test]
fn tools_patch_answers_a_call() {
    let (place, workspace) = workspace(&[("a.txt", "one\n")]);
    let mut tools = Toolbox { workspace: Some(workspace), ..Toolbox::default() };
    let mut call = |text: &str| {
        let call = Message::new(MessageRole::Assistant, text).on("commentary").to("functions.apply_patch");
        tools.answer(&call).unwrap()
    };
    let answer = call(&patch("*** Update File: a.txt\n@@\n-one\n+two"));
    assert_eq!(answer, Message::from_tool("functions.apply_patch", "M a.txt\n").on("commentary"));
    let json = serde_json::json!({"patch": patch("*** Delete File: a.txt")}).to_string();
    assert_eq!(call(&json).text(), "D a.txt\n");
    assert_eq!(call("nonsense").text(), "error: line 1: expected *** Begin Patch; nothing was changed");
    assert!(all(place.path()).is_empty());
}

proptest! {
    /// A patch made of two texts leads from one to the other.
    #[test]
    fn tools_patch_of_a_difference(old in prop::collection::vec("[ab]{0,2}", 1..12), new in prop::collection::vec("[ab]{0,2}", 0..12)) {
        let body = old.iter().map(|line| format!("-{line}\n")).chain(new.iter().map(|line| format!("+{line}\n"))).collect::<String>();
        let text = |lines: &[String]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        let (place, workspace) = workspace(&[("f", &text(&old))]);
        workspace.apply(&patch(&format!("*** Update File: f\n@@\n{body}*** End of File"))).unwrap();
        prop_assert_eq!(fs::read_to_string(place.path().join("f")).unwrap(), text(&new));
    }

    /// Anything at all where a patch should be, and any file.
    #[test]
    fn tools_patch_survives_anything(pieces in prop::collection::vec(0usize..14, 0..20), text in "[ab\n\r ]{0,20}") {
        let words = ["*** Begin Patch\n", "*** End Patch\n", "*** Add File: x\n", "*** Update File: f\n", "*** Delete File: f\n",
            "*** Move to: y\n", "*** End of File\n", "@@\n", "@@ a\n", " a\n", "-b\n", "+c\n", "\n", "\u{e9}\r\n"];
        let patch = pieces.iter().map(|&piece| words[piece]).collect::<String>();
        let (_place, workspace) = workspace(&[("f", &text)]);
        _ = workspace.apply(&patch);
        _ = workspace.apply(&format!("*** Begin Patch\n*** Update File: f\n{patch}*** End Patch"));
    }
}
