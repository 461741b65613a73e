//! Patches as models write them, beside files that are in the way.

use super::apply_patch::{all, patch, workspace};
use std::fs;

fn files(expected: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    expected.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect()
}

/// Lines with `***` have spaces around them, where no line of a hunk could stand.
#[test]
fn tools_patch_takes_markers_with_spaces_around() {
    let (place, workspace) = workspace(&[("tea.txt", "cup\ngreen\n"), ("old.txt", "x\n"), ("m.txt", "m\n")]);
    let done = workspace.apply(
        " *** Begin Patch \r\n\t*** Update File: tea.txt  \n@@\n cup\n-green\n+black\n*** End of File \n\
         *** Add File:  new.txt \n+n\n  *** Delete File: old.txt\t\n\n *** Update File: m.txt\n*** Move to: to.txt \n@@\n-m\n+M\n  *** End Patch\t\n\n",
    );
    assert_eq!(done.unwrap(), "M tea.txt\nA new.txt\nD old.txt\nR m.txt → to.txt\n");
    assert_eq!(all(place.path()), files(&[("tea.txt", "cup\nblack\n"), ("new.txt", "n\n"), ("to.txt", "M\n")]));
}

/// In a hunk a line that begins with a space is a line of the file.
#[test]
fn tools_patch_keeps_lines_that_look_like_markers() {
    let text = "*** Delete File: b\n*** End Patch\none\n";
    let (place, workspace) = workspace(&[("a", text), ("b", "b\n")]);
    workspace.apply(&patch("*** Update File: a\n@@\n *** Delete File: b\n *** End Patch\n-one\n+two")).unwrap();
    assert_eq!(all(place.path()), files(&[("a", &text.replace("one", "two")), ("b", "b\n")]));
}

#[test]
fn tools_patch_takes_the_form_of_a_shell_command() {
    let body = patch("*** Add File: list.txt\n+one\n+EOF\n+two");
    let json = |value: serde_json::Value| value.to_string();
    let script = format!("apply_patch <<'EOF'\n{body}EOF\n");
    for call in [
        script.clone(),
        format!("apply_patch << EOF\n{body}EOF"),
        format!("apply_patch <<\"END_1\"\r\n{}END_1\r\n", body.replace('\n', "\r\n")),
        format!("\n applypatch <<-\\EOF \n\n{body}\n  EOF\n\n"),
        format!("<<'EOF'\n{body}EOF"),
        json(serde_json::json!(body)),
        json(serde_json::json!(["apply_patch", body])),
        json(serde_json::json!(["bash", "-lc", script])),
        json(serde_json::json!({"input": body})),
        json(serde_json::json!({"cmd": ["apply_patch", body]})),
        json(serde_json::json!({"command": ["sh", "-c", script]})),
    ] {
        let (place, workspace) = workspace(&[]);
        assert_eq!(workspace.apply(&call).map_err(|e| e.to_string()), Ok("A list.txt\n".into()), "{call}");
        assert_eq!(all(place.path()), files(&[("list.txt", "one\nEOF\ntwo\n")]), "{call}");
    }
    let (place, workspace) = workspace(&[]);
    for (call, expected) in [
        (format!("cd /tmp && apply_patch <<'EOF'\n{body}EOF\n"), "line 1: expected *** Begin Patch"),
        (format!("apply_patch <<'EOF'\n{body}EOF\nrm -r x\n"), "line 8: there is text after *** End Patch"),
        ("apply_patch <<'EOF'\n*** Begin Patch\nhello\n*** End Patch\nEOF".into(), "line 3: expected *** Add File: "),
        ("apply_patch <<'EOF'\nEOF".into(), "line 1: expected *** Begin Patch"),
        (json(serde_json::json!(["rm", body])), "line 1: expected *** Begin Patch"),
        (json(serde_json::json!({"patch": 1})), "line 1: expected *** Begin Patch"),
        ("[".repeat(100_000), "line 1: expected *** Begin Patch"),
    ] {
        let error = workspace.apply(&call).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    assert!(all(place.path()).is_empty());
}

/// The files of a patch that was interrupted, by this version or an earlier one, are in nobody's way.
#[test]
fn tools_patch_works_beside_a_left_over() {
    let left = [("a.txt.ossia-new", "keep"), (".ossia-0123456789abcdef", "keep"), ("n.ossia-new", "keep")];
    let (place, workspace) = workspace(&[&left[..], &[("a.txt", "one\n")]].concat());
    let done = workspace.apply(&patch("*** Update File: a.txt\n@@\n-one\n+two\n*** Add File: n\n+n"));
    assert_eq!(done.unwrap(), "M a.txt\nA n\n");
    assert_eq!(all(place.path()), files(&[&left[..], &[("a.txt", "two\n"), ("n", "n\n")]].concat()));
}

#[test]
fn tools_patch_takes_names_up_to_the_limit() {
    for length in [245, 246, 254, 255] {
        let (old, new) = ("o".repeat(length), "n".repeat(length));
        let (place, workspace) = workspace(&[(&old, "one\n")]);
        workspace
            .apply(&patch(&format!("*** Update File: {old}\n@@\n-one\n+two\n*** Add File: {new}/{new}\n+n")))
            .unwrap();
        workspace
            .apply(&patch(&format!("*** Update File: {old}\n*** Move to: {new}/{old}\n@@\n-two\n+three")))
            .unwrap();
        let (moved, added) = (format!("{new}/{old}"), format!("{new}/{new}"));
        assert_eq!(all(place.path()), files(&[(&moved, "three\n"), (&added, "n\n")]), "{length}");
    }
    let (place, workspace) = workspace(&[]);
    let error = workspace.apply(&patch(&format!("*** Add File: sub/{}\n+x", "n".repeat(256)))).unwrap_err().to_string();
    assert!(error.ends_with("File name too long (os error 36)") && error.lines().count() == 1, "{error}");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}

/// A file that is moved replaces the one at its new path, as OpenAI's tool does, if that is a plain file. The answer
/// says so.
#[test]
fn tools_patch_moves_over_a_file() {
    let (place, workspace) = workspace(&[("a.txt", "a\n"), ("d/b.txt", "b\n"), ("e/f", "f\n")]);
    let done = workspace.apply(&patch("*** Update File: a.txt\n*** Move to: d/b.txt\n@@\n-a\n+A"));
    assert_eq!(done.unwrap(), "R a.txt → d/b.txt (replaced)\n");
    assert_eq!(all(place.path()), files(&[("d/b.txt", "A\n"), ("e/f", "f\n")]));
    for body in [
        "*** Update File: d/b.txt\n*** Move to: e\n@@\n-A\n+x",
        "*** Update File: d/b.txt\n*** Move to: d/b.txt\n@@\n-A\n+x",
        "*** Update File: e/f\n@@\n-f\n+x\n*** Update File: d/b.txt\n*** Move to: e/f\n@@\n-A\n+x",
        "*** Add File: e/f\n+x",
    ] {
        workspace.apply(&patch(body)).expect_err(body);
    }
    assert_eq!(all(place.path()), files(&[("d/b.txt", "A\n"), ("e/f", "f\n")]));
}

/// A move without hunks changes nothing in the file, whose last line may have no newline.
#[test]
fn tools_patch_adds_a_newline_to_a_file_that_it_updates() {
    let (place, workspace) = workspace(&[("n.txt", "keep\nold"), ("m.txt", "moved")]);
    let done =
        workspace.apply(&patch("*** Update File: n.txt\n@@\n-old\n+new\n*** Update File: m.txt\n*** Move to: to.txt"));
    assert_eq!(done.unwrap(), "M n.txt\nR m.txt → to.txt\n");
    assert_eq!(all(place.path()), files(&[("n.txt", "keep\nnew\n"), ("to.txt", "moved")]));
}

/// Hunks that are searched for again and again in a large file, each time in vain at first.
#[test]
fn tools_patch_that_takes_too_long_is_refused() {
    let (place, workspace) = workspace(&[("large", &"x \n".repeat(200_000))]);
    let before = fs::read(place.path().join("large")).unwrap();
    let hunks = "@@\n-x\n+y\n".repeat(20_000);
    let error = workspace.apply(&patch(&format!("*** Update File: large\n{}", hunks.trim_end())));
    assert!(error.unwrap_err().to_string().starts_with("large: it takes too long to find"));
    assert_eq!(fs::read(place.path().join("large")).unwrap(), before);
}
