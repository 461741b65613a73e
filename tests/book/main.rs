//! The book says what is there: chapters, anchors, links, tests, and what every chapter has to have.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The chapters, by the names of their files, with their text.
fn chapters() -> Vec<(String, String)> {
    let mut chapters: Vec<(String, String)> = fs::read_dir(root().join("book/src"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "md") && !path.ends_with("SUMMARY.md"))
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_string(), read(&path)))
        .collect();
    chapters.sort();
    chapters
}

/// Lines outside of fenced code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// Returns every part of the text between `open` and `close`.
fn between<'a>(text: &'a str, open: &'a str, close: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(open).skip(1).filter_map(move |rest| rest.split_once(close).map(|(inside, _)| inside))
}

/// Returns the targets of the links in a text.
fn links(text: &str) -> Vec<String> {
    prose(text).flat_map(|line| between(line, "](", ")")).map(Into::into).collect()
}

/// As mdBook writes the id of a heading.
fn heading_ids(text: &str) -> BTreeSet<String> {
    let id = |line: &str| {
        let kept = line.trim_start_matches('#').trim().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    prose(text).filter(|line| line.starts_with('#')).map(id).collect()
}

#[test]
fn book_lists_every_chapter_once() {
    let summary = read(&root().join("book/src/SUMMARY.md"));
    let mut listed = links(&summary);
    listed.sort();
    let files: Vec<String> = chapters().into_iter().map(|(name, _)| name).collect();
    assert_eq!(listed, files, "SUMMARY.md and the files");
    let tested = read(&root().join("src/book.rs"));
    let tested: BTreeSet<&str> = between(&tested, "chapters! {", "}").flat_map(str::split_whitespace).collect();
    let names: BTreeSet<&str> = files.iter().map(|file| file.trim_end_matches(".md")).collect();
    assert_eq!(tested, names, "src/book.rs, which makes tests of snippets, and the files");
}

/// A quotation is never a copy: it is taken from the file when the book is built.
#[test]
fn book_quotes_what_is_there() {
    for (chapter, text) in chapters() {
        for include in between(&text, "{{#include ", "}}") {
            let (file, anchor) = include.split_once(':').unwrap_or((include, ""));
            let source = read(&root().join("book/src").join(file));
            let marked =
                |mark: &str| source.lines().any(|line| line.trim_end().ends_with(&format!("{mark}: {anchor}")));
            assert!(anchor.is_empty() || marked("ANCHOR") && marked("ANCHOR_END"), "{chapter}: {include} is not there");
        }
    }
}

/// The modules of `lib.rs` stand where the chapters, in their order, first quote them.
#[test]
fn book_is_read_in_the_order_of_lib() {
    let lib = read(&root().join("src/lib.rs"));
    let listed: Vec<&str> = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let mut quoted: Vec<String> = Vec::new();
    // `prediction.md` quotes a listing that a later chapter explains.
    for chapter in links(&read(&root().join("book/src/SUMMARY.md"))).into_iter().filter(|name| name != "prediction.md")
    {
        let text = read(&root().join("book/src").join(chapter));
        for path in between(&text, "{{#include ../../src/", ":") {
            let module = path.split('/').next().unwrap().trim_end_matches(".rs").to_string();
            if !quoted.contains(&module) {
                quoted.push(module);
            }
        }
    }
    // What all of them use comes first, and what uses all of them last; no chapter is about either.
    assert_eq!((listed.first(), listed.last()), (Some(&"error"), Some(&"cli")));
    assert_eq!(listed[1..listed.len() - 1], quoted);
}

#[test]
fn book_links_lead_somewhere() {
    let chapters = chapters();
    for (chapter, text) in &chapters {
        for link in links(text).iter().filter(|link| !link.starts_with("https://")) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let file = if file.is_empty() { chapter } else { file };
            let target = chapters.iter().find(|(name, _)| name == file);
            let exists = target.is_some() || root().join("book/src").join(file).exists();
            assert!(exists, "{chapter}: {link} is not there");
            let found = target.is_none_or(|(_, text)| heading_ids(text).contains(heading));
            assert!(heading.is_empty() || found, "{chapter}: {link}: there is no such heading");
        }
    }
}

/// The bibliography contains the further reading of all chapters, and nothing else.
#[test]
fn book_bibliography_is_what_the_chapters_name() {
    let https = |text: &str| -> BTreeSet<String> {
        links(text).into_iter().filter(|link| link.starts_with("https://")).collect()
    };
    let mut named = BTreeSet::new();
    let mut listed = BTreeSet::new();
    for (chapter, text) in chapters() {
        match text.split_once("## Further reading") {
            _ if chapter == "bibliography.md" => listed = https(&text),
            Some((_, reading)) => named.extend(https(reading)),
            None => {}
        }
    }
    let missing: Vec<&String> = named.symmetric_difference(&listed).collect();
    assert!(missing.is_empty(), "in bibliography.md or under Further reading, and not in both: {missing:?}");
}

/// A source links to the chapter that explains it, from its page below `target/doc` to the book in `target/book`.
#[test]
fn book_has_the_chapters_that_the_code_names() {
    let names: BTreeSet<String> = chapters().into_iter().map(|(name, _)| name).collect();
    let source = root().join("src");
    let mut linked = 0;
    for path in sources(&source) {
        let module = path.strip_prefix(&source).unwrap().with_extension("");
        let parts = module.iter().filter(|part| *part != "mod").count();
        for line in read(&path).lines().filter(|line| line.starts_with("//! Book: ")) {
            let chapter = between(line, "[", "]").next().unwrap_or_default();
            assert!(names.contains(&format!("{chapter}.md")), "{}: there is no chapter {chapter}", path.display());
            // The page of module a::b is doc/ossia/a/b/index.html.
            let link = format!("//! Book: [{chapter}]({}book/{chapter}.html)", "../".repeat(parts + 2));
            assert_eq!(line, link, "{}", path.display());
            linked += 1;
        }
    }
    assert!(linked > 50, "{linked} sources link to a chapter");
}

/// The proofs of a layer link to its chapter, too.
#[test]
fn book_has_the_chapters_that_the_tests_name() {
    for path in sources(&root().join("tests/verify")) {
        let module = path.parent().is_some_and(|parent| parent.ends_with("verify"));
        if module && !path.ends_with("main.rs") && !path.ends_with("common.rs") {
            let text = read(&path);
            let line = text.lines().find_map(|line| line.strip_prefix("//! Book: "));
            let chapter = line.and_then(|line| between(line, "(../../book/src/", ")").next());
            let exists = chapter.is_some_and(|chapter| root().join("book/src").join(chapter).exists());
            assert!(exists, "{} names no chapter that exists", path.display());
        }
    }
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        match path.is_dir() {
            true => files.extend(sources(&path)),
            false if path.extension().is_some_and(|e| e == "rs") => files.push(path),
            false => {}
        }
    }
    files
}

/// The tests that a chapter names exist: a name of three words or more in code is a function.
#[test]
fn book_names_tests_that_exist() {
    let code: Vec<String> = ["src", "tests", "benches"]
        .iter()
        .flat_map(|part| sources(&root().join(part)))
        .map(|path| read(&path))
        .collect();
    // Some tests are made by a macro, of a list of names.
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let functions: BTreeSet<&str> = code.iter().flat_map(|text| text.split(move |c| !word(c))).collect();
    for (chapter, text) in chapters() {
        for name in prose(&text).flat_map(|line| between(line, "`", "`")) {
            let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            if name.chars().all(lower) && name.matches('_').count() >= 3 {
                assert!(functions.contains(name), "{chapter}: there is no function {name}");
            }
            if let Some(filter) = name.strip_prefix("cargo test ").filter(|filter| !filter.starts_with('-')) {
                assert!(functions.iter().any(|f| f.contains(filter)), "{chapter}: `{name}` runs no test");
            }
        }
    }
}

/// The sections of a chapter about a part of the engine, in this order.
const SECTIONS: [&str; 4] = ["## What goes wrong", "## Exercises", "## Quiz", "## Further reading"];

/// Chapters that explain no part of the engine. The notebooks and the appendices are exempt as well.
const OTHERS: [&str; 11] = [
    "cover.md",
    "why.md",
    "getting_started.md",
    "first_hour.md",
    "map.md",
    "bug_hunt.md",
    "next.md",
    "glossary.md",
    "bibliography.md",
    "notation.md",
    "exercises.md",
];

fn explains_the_engine(chapter: &str) -> bool {
    !OTHERS.contains(&chapter) && !chapter.starts_with("notebook_") && !chapter.starts_with("appendix_")
}

#[test]
fn book_chapters_have_all_their_parts() {
    for (chapter, text) in chapters().iter().filter(|(name, _)| explains_the_engine(name)) {
        let sections: Vec<&str> = prose(text).filter(|line| SECTIONS.contains(line)).collect();
        assert_eq!(sections, SECTIONS, "{chapter}");
        let question = text.lines().filter(|line| !line.is_empty()).nth(1).unwrap_or_default();
        assert!(question.starts_with('*'), "{chapter}: begins with the question that it answers, in italics");
        assert!(text.contains("\n**Code:** [src/"), "{chapter}: does not link to the files that it explains");
        assert!(
            text.replace('\n', " ").contains("**Tests:** `cargo test "),
            "{chapter}: does not say which tests prove it"
        );
        assert!(!text.contains("`$`"), "{chapter}: maths in a line is written $`x`$");
        assert!(text.contains("<figure>"), "{chapter}: has no picture");
        assert!(text.contains("{{#include ../../src/"), "{chapter}: quotes no code");
        assert!(text.contains("```console\n$ "), "{chapter}: shows no command with what it prints");
        assert!(text.matches("\n```quiz\n").count() >= 2, "{chapter}: has two questions with choices at least");
        let quiz = text.split("## Quiz").nth(1).unwrap_or_default();
        assert!(quiz.matches("<details>").count() >= 3, "{chapter}: a quiz has three questions at least");
    }
}

/// The exercises of a chapter begin with its hands-on file. Each numbered question has a hint, or is a project, and each has an
/// answer.
#[test]
fn book_answers_its_questions() {
    let all = chapters().into_iter().filter(|(name, _)| explains_the_engine(name) || name == "first_hour.md");
    for (chapter, text) in all {
        let exercises = text.split("## Exercises").nth(1).unwrap_or_default().split("\n## ").next().unwrap_or_default();
        let hands_on = exercises.lines().find(|line| !line.is_empty()).unwrap_or_default();
        assert!(
            hands_on.starts_with("**Write it yourself:** "),
            "{chapter} does not begin with a hands-on file: {hands_on}"
        );
        let command = exercises.split_once("cargo run -q -p exercises -- ").map(|(_, rest)| rest);
        let exercise = command.and_then(|rest| rest.split('`').next()).unwrap_or_default();
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("book/exercises/src/{exercise}.rs"));
        assert!(file.is_file(), "{chapter}: there is no exercise {exercise:?}");
        let begins = |line: &str| line.split_once(". ").is_some_and(|(number, _)| number.parse::<u32>().is_ok());
        let mut questions: Vec<String> = Vec::new();
        for line in exercises.lines() {
            match questions.last_mut() {
                _ if begins(line) => questions.push(line.to_string()),
                Some(question) => question.extend(["\n", line]),
                None => {}
            }
        }
        assert!((3..=5).contains(&questions.len()), "{chapter}: {} exercises, expected 3 to 5", questions.len());
        for question in questions {
            let has = |summary: &str| question.contains(&format!("<details><summary>{summary}</summary>"));
            let answered = has("Answer") || question.contains("**Project.**") && has("What a good result shows");
            assert!(has("Hint") && answered, "{chapter}: a question without a hint or an answer: {question}");
        }
    }
}
