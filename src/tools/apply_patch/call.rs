//! Takes the patch out of a call, as models write it.

use serde_json::Value;
use std::borrow::Cow;

/// Returns the patch of a call: the text itself, or a text in JSON.
pub fn patch_of(call: &str) -> Cow<'_, str> {
    let json = serde_json::from_str::<Value>(call).ok();
    match json.as_ref().and_then(text_of) {
        Some(text) => Cow::Owned(text.into()),
        None => Cow::Borrowed(call),
    }
}

/// Returns the patch in `"…"`, `["apply_patch", "…"]`, `["bash", "-lc", "…"]`, or in an object with one of these.
fn text_of(json: &Value) -> Option<&str> {
    match json {
        Value::String(text) => Some(text),
        Value::Object(fields) => {
            ["patch", "input", "cmd", "command"].iter().find_map(|name| text_of(fields.get(*name)?))
        }
        Value::Array(words) => match words.iter().map(|word| word.as_str()).collect::<Option<Vec<_>>>()?[..] {
            ["apply_patch" | "applypatch", patch] => Some(patch),
            ["bash" | "sh" | "zsh", "-c" | "-lc", script] => Some(script),
            _ => None,
        },
        _ => None,
    }
}
