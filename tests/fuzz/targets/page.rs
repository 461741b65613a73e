//! A page of the web as text: whatever its source, it is read, shown and searched, and what it shows grows with it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ossia::tools::browser::{Document, Page};

fuzz_target!(|source: String| {
    let length = source.len();
    let url = "https://a.example/b/c?d#e".to_string();
    let page = Page::of(&Document { url, title: None, text: source, html: true }, false);
    assert!(page.text.len() <= 100 * length + 100, "{} bytes of text from {length}", page.text.len());
    let lines = page.text.matches('\n').count();
    for loc in [0, 1, lines as i64, -1, i64::MAX] {
        if let Ok(shown) = page.show(0, loc, 3, str::len) {
            assert!(shown.lines().filter(|line| line.starts_with('L')).count() >= 1);
        }
    }
    _ = page.find("a").show(1, 0, -1, |text| text.len() / 2);
});
