//! A schema, an empty line, and a text: nothing panics, a refusal is one line, and what is accepted is JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ossia::schema::{Judge, Rejection};

/// Reads the text byte by byte.
fn judge_bytes(mut judge: Judge, text: &[u8]) -> Result<(), Rejection> {
    text.iter().try_for_each(|&byte| judge.read(&[byte]))?;
    judge.finish()
}

fuzz_target!(|bytes: &[u8]| {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap_or(bytes.len());
    let (schema, text) = (&bytes[..end], bytes.get(end + 2..).unwrap_or_default());
    let Ok(schema) = serde_json::from_slice(schema) else { return };
    match (Judge::new(&schema), Judge::new(&schema)) {
        (Err(error), _) => assert_eq!(error.to_string().lines().count(), 1),
        (Ok(mut whole), Ok(single)) => {
            let verdict = whole.read(text).and_then(|()| whole.finish());
            assert_eq!(verdict, judge_bytes(single, text));
            if verdict.is_ok() {
                serde_json::from_slice::<serde_json::Value>(text).expect("an accepted text is JSON");
            }
        }
        (Ok(_), Err(error)) => panic!("refused at the second time: {error}"),
    }
});
