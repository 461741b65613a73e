//! The house keeps its shape: who may import whom, the order of the book, and no file that is too long to read.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules of the crate that each module may import. Every module may also import `error` and itself.
const MAY_IMPORT: [(&str, &str); 26] = [
    ("error", ""),
    ("tokenizer", "files"),
    ("tensor", "kernels profile"),
    ("ops", "collective parameter tensor kernels mxfp4 profile"),
    ("layers", "ops collective parameter tensor config"),
    ("kernels", "mxfp4"),
    ("parameter", "tensor kernels stored mxfp4"),
    ("model", "layers ops collective parameter tensor config"),
    ("config", "files"),
    (
        "train",
        "collective generate tasks harmony model checkpoint data tokenizer layers ops parameter tensor kernels mxfp4 config files profile",
    ),
    ("data", "tokenizer stored files"),
    ("files", ""),
    ("collective", "kernels"),
    ("generate", "model checkpoint schema tokenizer layers ops tensor kernels"),
    ("mxfp4", ""),
    ("profile", ""),
    ("stored", "kernels mxfp4"),
    ("checkpoint", "model layers parameter tokenizer tensor kernels stored mxfp4 config files"),
    ("harmony", "tokenizer"),
    ("chat", "harmony schema generate model tokenizer"),
    ("tasks", "chat harmony generate model data tokenizer kernels files"),
    ("schema", "tokenizer"),
    ("tools", "harmony tokenizer"),
    ("cli", "*"),
    ("book", ""),
    ("main", "*"),
];

/// A file that is longer asks for a better cut.
const LONGEST: usize = 400;

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(sources(&path)),
            false if path.extension().is_some_and(|e| e == "rs") => files.push(path),
            false => {}
        }
    }
    files.sort();
    files
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// `src/ops/rope.rs` → `ops`
fn module_of(path: &Path) -> String {
    let relative = path.strip_prefix(root().join("src")).unwrap();
    let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_string()
}

/// The modules of the crate that a line of code imports: those after `crate::`, also several in braces.
fn imports(line: &str) -> Vec<String> {
    imports_from("crate::", line)
}

/// The names after `prefix` in a line of code, also several in braces.
fn imports_from(prefix: &str, line: &str) -> Vec<String> {
    let code = line.split("//").next().unwrap_or("");
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    code.match_indices(prefix)
        .flat_map(|(at, _)| {
            let rest = &code[at + prefix.len()..];
            match rest.strip_prefix('{') {
                None => vec![name(rest)],
                Some(list) => top_level(list).iter().map(|item| name(item.trim())).collect(),
            }
        })
        .collect()
}

/// The items of a braced list, whose own braces are left alone.
fn top_level(list: &str) -> Vec<String> {
    let (mut depth, mut items) = (0, vec![String::new()]);
    for c in list.chars() {
        match c {
            '}' if depth == 0 => break,
            ',' if depth == 0 => items.push(String::new()),
            _ => {
                depth += i32::from(c == '{') - i32::from(c == '}');
                items.last_mut().unwrap().push(c);
            }
        }
    }
    items
}

#[test]
fn architecture_modules_import_only_what_stands_below_them() {
    let may: BTreeMap<&str, &str> = MAY_IMPORT.into_iter().collect();
    let mut wrong = Vec::new();
    for path in sources(&root().join("src")) {
        let module = module_of(&path);
        if module == "lib" {
            continue;
        }
        let allowed = may.get(module.as_str()).unwrap_or_else(|| panic!("{module} has no row in the table"));
        let allowed: Vec<&str> = allowed.split_whitespace().collect();
        for (number, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            for import in imports(line) {
                let fine = import == module
                    || import == "error"
                    || allowed.contains(&"*")
                    || allowed.contains(&import.as_str());
                if !fine {
                    wrong.push(format!("{}:{}: {module} may not import {import}", path.display(), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Returns names that import each other in a circle; none if there is no circle.
fn circle(mut imports: BTreeMap<String, Vec<String>>) -> Vec<String> {
    // Takes out the names that import nothing that is left, again and again.
    loop {
        let names: Vec<String> = imports.keys().cloned().collect();
        imports.retain(|name, from| from.iter().any(|import| import != name && names.contains(import)));
        if imports.len() == names.len() {
            return names;
        }
    }
}

#[test]
fn architecture_modules_have_no_circle() {
    let words = |text: &str| text.split_whitespace().map(String::from).collect();
    let table = MAY_IMPORT.into_iter().map(|(module, may)| (module.to_string(), words(may))).collect();
    assert_eq!(circle(table), [""; 0]);
    let two = [("a", "b c"), ("b", "a"), ("c", "")].map(|(module, may)| (module.to_string(), words(may)));
    assert_eq!(circle(two.into_iter().collect()), ["a", "b"]);
}

/// The files of a module import each other in one direction.
#[test]
fn architecture_files_of_a_module_have_no_circle() {
    let mut directories: BTreeMap<PathBuf, BTreeMap<String, Vec<String>>> = BTreeMap::new();
    for path in sources(&root().join("src")) {
        // A file `a/b/mod.rs` is `b` in the directory `a`, as `a/b.rs` would be; its `super` is `a` as well.
        let module = if path.ends_with("mod.rs") { path.parent().unwrap() } else { &path };
        let name = module.file_stem().unwrap().to_str().unwrap().to_string();
        let text = fs::read_to_string(&path).unwrap();
        let from = text.lines().flat_map(|line| imports_from("super::", line)).collect();
        directories.entry(module.parent().unwrap().to_path_buf()).or_default().insert(name, from);
    }
    for (directory, files) in directories {
        assert_eq!(circle(files), [""; 0], "{}", directory.display());
    }
}

/// The size of the core that lib.rs claims, within a tenth.
#[test]
fn architecture_core_is_as_small_as_lib_says() {
    let core = ["tensor", "parameter", "ops", "layers", "model"];
    let files = sources(&root().join("src")).into_iter().filter(|path| core.contains(&module_of(path).as_str()));
    let lines: usize = files.map(|path| fs::read_to_string(path).unwrap().lines().count()).sum();
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let claimed = lib.lines().find_map(|line| line.strip_suffix(" lines with their comments.")).unwrap();
    let claimed: usize = claimed.rsplit(' ').next().unwrap().replace(',', "").parse().unwrap();
    assert!(lines.abs_diff(claimed) <= claimed / 10, "the core has {lines} lines; lib.rs says {claimed}");
}

#[test]
fn architecture_reading_of_imports() {
    assert_eq!(imports("use crate::ops::rope::rope;"), ["ops"]);
    assert_eq!(imports("use crate::{checkpoint, tokenizer as bpe};"), ["checkpoint", "tokenizer"]);
    assert_eq!(imports("use crate::{data::{A, B}, model};"), ["data", "model"]);
    assert_eq!(imports("let x = crate::tensor::slice(crate::ops::y);"), ["tensor", "ops"]);
    assert!(imports("// crate::train is not an import").is_empty());
}

#[test]
fn architecture_lib_lists_every_module_in_reading_order() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let listed: Vec<&str> = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    // Neither the program nor the snippets of the book are a part of the library.
    let is_part = |module: &&str| !["main", "book"].contains(module);
    let table: Vec<&str> = MAY_IMPORT.iter().map(|row| row.0).filter(is_part).collect();
    assert_eq!(listed, table);
}

/// The code outside of the kernels that is unsafe: MPI reads and writes bytes while the program goes on.
const UNSAFE: &str = "src/collective/mpi/transfer.rs";

#[test]
fn architecture_unsafe_code_stands_in_kernels_and_says_why() {
    for path in sources(&root().join("src")) {
        let text = fs::read_to_string(&path).unwrap();
        let unsafe_lines = text.lines().filter(|line| {
            let code = line.split("//").next().unwrap_or("");
            ["unsafe {", "unsafe fn", "unsafe impl"].iter().any(|u| code.contains(u))
        });
        if unsafe_lines.count() > 0 {
            assert!(module_of(&path) == "kernels" || path.ends_with(UNSAFE), "{}", path.display());
            assert!(text.contains("SAFETY:"), "{} does not say why it is safe", path.display());
        }
    }
}

#[test]
fn architecture_no_file_is_too_long_to_read() {
    let mut files = sources(&root().join("src"));
    files.extend(sources(&root().join("tests")));
    files.extend(sources(&root().join("benches")));
    for path in files {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= LONGEST, "{} has {lines} lines; at most {LONGEST}", path.display());
    }
}

#[test]
fn architecture_no_silenced_lint_no_stub_no_ignored_test() {
    let mut files = sources(&root().join("src"));
    files.extend(sources(&root().join("tests")));
    for path in files.iter().filter(|path| !path.ends_with("architecture.rs")) {
        let text = fs::read_to_string(path).unwrap();
        for word in ["#[allow(", "#![allow(", "todo!(", "unimplemented!(", "#[ignore"] {
            assert!(!text.contains(word), "{} contains {word}", path.display());
        }
    }
}
