//! Any text is a tokenizer that survives being written, or one line.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ossia::tokenizer::{PATTERN, Tokenizer};

const TEXT: &str = "Once upon a time, 1234 naïve foxes\n\n don't  🦊\u{301}";

/// The parts that every file must have and that a mutation rarely leaves intact: the 256 bytes with their ids, and the pattern.
static BYTES: LazyLock<String> = LazyLock::new(|| {
    let prints = |byte| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let others = (0..=255).filter(|&byte| !prints(byte)).zip('\u{100}'..);
    let characters = (0..=255).filter(|&byte| prints(byte)).map(|byte| (byte, char::from(byte)));
    let entry = |(byte, character): (u8, char)| format!("{}:{byte}", quoted(&character.to_string()));
    characters.chain(others).map(entry).collect::<Vec<_>>().join(",")
});

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    read(text);
    read(&text.replacen('@', &BYTES, 1).replacen('~', &quoted(PATTERN), 1));
});

fn read(text: &str) {
    let tokenizer = match Tokenizer::from_json(text, "t.json") {
        Ok(tokenizer) => tokenizer,
        Err(error) => {
            let line = error.to_string();
            assert!(line.starts_with("t.json: ") && !line.contains('\n'), "{line}");
            return;
        }
    };
    let ids = tokenizer.encode(TEXT);
    assert_eq!(ids, tokenizer.encode_naive(TEXT));
    assert_eq!(tokenizer.decode(&ids).expect("ids that it gave"), TEXT);

    let written = tokenizer.to_json();
    let again = Tokenizer::from_json(&written, "t.json").expect("a file that it wrote");
    assert_eq!(again.encode(TEXT), ids);
    assert_eq!(again.to_json(), written);
}
