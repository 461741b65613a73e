//! The `post_processor` of a `tokenizer.json`: the special tokens that are put around a text.
//!
//! ossia reads and writes the kinds that put nothing before a text, or one token: the token that begins every document of the
//! training text. A model that has seen every document behind this token continues a prompt without it worse, so the file has
//! to say it to other programs. <https://huggingface.co/docs/tokenizers/api/post-processors>

use super::field_error::{Checked, FieldError};
use serde_json::{Value, json};

/// Returns a template that puts a special token before every text.
pub(super) fn render((name, id): (&str, u32)) -> Value {
    let special = json!({ "SpecialToken": { "id": name, "type_id": 0 } });
    let sequence = |name: &str, kind: u32| json!({ "Sequence": { "id": name, "type_id": kind } });
    json!({
        "type": "TemplateProcessing",
        "single": [special, sequence("A", 0)],
        "pair": [special, sequence("A", 0), sequence("B", 1)],
        "special_tokens": { name: { "id": name, "ids": [id], "tokens": [name] } },
    })
}

/// Returns the id of the token that a post-processor puts before a text, if there is one.
pub(super) fn parse(processor: &Value, specials: &[(String, u32)]) -> Checked<Option<u32>> {
    let expected = "null, ByteLevel, or a TemplateProcessing that puts at most one token before a text";
    match processor["type"].as_str() {
        None if processor.is_null() => Ok(None),
        Some("ByteLevel") => Ok(None), // it only moves offsets
        Some("Sequence") => {
            let all = processor["processors"].as_array().map_or(&[][..], Vec::as_slice);
            let starts = all.iter().map(|one| parse(one, specials)).collect::<Checked<Vec<_>>>()?;
            match starts.into_iter().flatten().collect::<Vec<_>>()[..] {
                [] => Ok(None),
                [start] => Ok(Some(start)),
                _ => Err(FieldError::unexpected("post_processor", processor, expected)),
            }
        }
        Some("TemplateProcessing") => match processor["single"].as_array().map_or(&[][..], Vec::as_slice) {
            [text] if text.get("Sequence").is_some() => Ok(None),
            [start, text] if start.get("SpecialToken").is_some() && text.get("Sequence").is_some() => {
                start_of(processor, &start["SpecialToken"]["id"], specials).map(Some)
            }
            _ => Err(FieldError::unexpected("post_processor.single", &processor["single"], expected)),
        },
        _ => Err(FieldError::unexpected("post_processor.type", &processor["type"], expected)),
    }
}

/// Returns the id that a template gives to a special token, which must be that of the vocabulary.
fn start_of(processor: &Value, name: &Value, specials: &[(String, u32)]) -> Checked<u32> {
    let known = specials.iter().find(|(special, _)| Some(special.as_str()) == name.as_str());
    let Some((name, id)) = known else {
        return Err(FieldError::unexpected("post_processor.single", name, "a token of added_tokens"));
    };
    let ids = &processor["special_tokens"][name]["ids"];
    match *ids == json!([id]) {
        true => Ok(*id),
        false => {
            Err(FieldError::unexpected(format!("post_processor.special_tokens.{name}.ids"), ids, format!("[{id}]")))
        }
    }
}
