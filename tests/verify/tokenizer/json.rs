//! `tokenizer.json` goes out and comes back with the same ids.

use ossia::tokenizer::{PATTERN, Tokenizer, train};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::encode::{PIECES, ranks};
use super::{TOKENIZER, adversarial, cases, tokenizer};

fn read(file: &Value) -> Tokenizer {
    Tokenizer::from_json(&file.to_string(), "tokenizer.json").unwrap()
}

#[test]
fn reading_and_writing_gives_the_same_bytes() {
    assert_eq!(tokenizer().to_json(), TOKENIZER);
}

proptest! {
    #[test]
    fn a_trained_tokenizer_comes_back(texts in proptest::collection::vec(adversarial(), 1..20), text in adversarial()) {
        let trained = train(&texts, 300, &["<|endoftext|>", "é \n\"\\"]).unwrap();
        let read = Tokenizer::from_json(&trained.to_json(), "tokenizer.json").unwrap();
        prop_assert_eq!(read.to_json(), trained.to_json());
        prop_assert_eq!(read.encode(&text), trained.encode(&text));
        prop_assert_eq!(read.specials(), trained.specials());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// tiktoken gives one rank to all ways of making a token, the file lists them one after the other.
    #[test]
    fn ranks_written_as_a_list_of_merges_give_the_same_ids(ranks in ranks(), text in PIECES) {
        let tokenizer = Tokenizer::from_ranks(ranks, Vec::new()).unwrap();
        let read = Tokenizer::from_json(&tokenizer.to_json(), "tokenizer.json").unwrap();
        prop_assert_eq!(read.encode(&text), tokenizer.encode(&text));
    }
}

#[test]
fn a_file_is_read_from_disk() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tokenizer.json");
    assert!(Tokenizer::load(&path).unwrap_err().to_string().starts_with(&format!("{}: cannot read", path.display())));
    std::fs::write(&path, TOKENIZER).unwrap();
    assert_eq!(Tokenizer::load(&path).unwrap().vocab_size(), 640);
}

#[test]
fn merges_are_read_as_pairs_and_as_lines() {
    let mut file: Value = serde_json::from_str(TOKENIZER).unwrap();
    for merge in file["model"]["merges"].as_array_mut().unwrap() {
        *merge = format!("{} {}", merge[0].as_str().unwrap(), merge[1].as_str().unwrap()).into();
    }
    assert_eq!(read(&file).to_json(), TOKENIZER);
}

#[test]
fn special_tokens_may_stand_in_the_vocabulary_too() {
    let mut file: Value = serde_json::from_str(TOKENIZER).unwrap();
    file["model"]["vocab"]["<|endoftext|>"] = 638.into();
    assert_eq!(read(&file).to_json(), TOKENIZER);
}

#[test]
fn ignore_merges_is_honoured_as_hugging_face_does() {
    let mut reference: Value = serde_json::from_str(include_str!("../reference/tokenizer/ignore_merges.json")).unwrap();
    let text = reference["text"].as_str().unwrap().to_owned();
    for (ignore, ids) in [(false, "ids_false"), (true, "ids_true")] {
        reference["tokenizer"]["model"]["ignore_merges"] = ignore.into();
        let tokenizer = read(&reference["tokenizer"]);
        assert_eq!(json!(tokenizer.encode(&text)), reference[ids]);
        assert_eq!(tokenizer.encode(&text), tokenizer.encode_naive(&text));
        let again = Tokenizer::from_json(&tokenizer.to_json(), "tokenizer.json").unwrap();
        assert_eq!(json!(again.encode(&text)), reference[ids], "written and read again");
    }
}

/// The shape of gpt-oss-20b's file: merges ignored for whole pieces, ids in another order than the bytes, special
/// tokens with gaps, a post-processor that changes offsets only.
#[test]
fn the_structure_of_gpt_oss_is_accepted() {
    let mut file: Value = serde_json::from_str(TOKENIZER).unwrap();
    for id in file["model"]["vocab"].as_object_mut().unwrap().values_mut() {
        *id = (637 - id.as_u64().unwrap()).into();
    }
    file["model"]["ignore_merges"] = true.into();
    let byte_level =
        |trim: bool| json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": trim, "use_regex": true});
    file["post_processor"] = byte_level(false);
    file["decoder"] = byte_level(true);
    let special = |name: &str, id: u32| json!({"id": id, "content": name, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true});
    file["added_tokens"] =
        json!([special("<|startoftext|>", 638), special("<|endoftext|>", 639), special("<|return|>", 642)]);
    assert_eq!(file["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"], PATTERN);

    let (reversed, ours) = (read(&file), tokenizer());
    assert_eq!((reversed.vocab_size(), reversed.end_of_text(), reversed.token_bytes(641)), (643, Some(639), None));
    for case in cases() {
        let expected: Vec<u32> = ours.encode(&case.text).into_iter().map(|id| 637 - id).collect();
        assert_eq!(reversed.encode(&case.text), expected, "text {:?}", case.text);
    }
}

/// The start token is in the file, and an identity, as transformers writes it, is none.
#[test]
fn the_start_token_travels_with_the_file() {
    let trained = train(["a tale of a tail"], 300, &["<|endoftext|>", "<|other|>"]).unwrap();
    let id = trained.end_of_text().unwrap();
    assert_eq!(trained.start_token(), Some(("<|endoftext|>", id)));
    let back = Tokenizer::from_json(&trained.to_json(), "t.json").unwrap();
    assert_eq!(back.prompt("tale"), [&[id][..], &trained.encode("tale")].concat());
    assert_eq!(back.to_json(), trained.to_json());
    let other = trained.special_id("<|other|>");
    let changed = Tokenizer::from_json(&trained.clone().with_start(other).to_json(), "t.json").unwrap();
    assert_eq!(changed.prompt(""), [other.unwrap()]);
    // Without a start token a text is read as it is.
    let mut file: Value = serde_json::from_str(&trained.to_json()).unwrap();
    let template = file["post_processor"].take();
    let identity =
        json!({"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}], "pair": []});
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true});
    let sequence = |list: &[&Value]| json!({"type": "Sequence", "processors": list});
    for (processor, start) in [
        (Value::Null, None),
        (byte_level.clone(), None),
        (identity.clone(), None),
        (sequence(&[&byte_level, &identity]), None),
        (sequence(&[&byte_level, &template]), Some(id)),
    ] {
        file["post_processor"] = processor.clone();
        let read = read(&file);
        assert_eq!(read.start_token().map(|(_, id)| id), start, "{processor}");
        assert_eq!(read.prompt("tale").len(), trained.encode("tale").len() + usize::from(start.is_some()));
        assert_eq!(read.prompt(""), [id], "nothing to continue but a document");
    }
}

/// The settings that transformers saves after a call with `truncation=True` and `padding=True` do not change an id.
#[test]
fn truncation_and_padding_are_ignored() {
    let mut file: Value = serde_json::from_str(TOKENIZER).unwrap();
    let plain = read(&file).encode("a long enough text");
    file["truncation"] = json!({"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0});
    file["padding"] = json!({"strategy": {"Fixed": 64}, "direction": "Left", "pad_id": 0, "pad_token": "x"});
    assert_eq!(read(&file).encode("a long enough text"), plain);
}

#[test]
fn the_configuration_names_the_class_and_the_end_of_text() {
    let config: Value = serde_json::from_str(&tokenizer().tokenizer_config_json(4_096)).unwrap();
    assert_eq!(
        config,
        json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": 4096,
            "clean_up_tokenization_spaces": false,
            "eos_token": "<|endoftext|>",
            "pad_token": "<|endoftext|>",
        })
    );
    let without = Tokenizer::from_merges(&[], &[]).unwrap();
    assert!(!without.tokenizer_config_json(4_096).contains("eos_token"));
}
