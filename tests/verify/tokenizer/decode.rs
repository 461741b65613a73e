//! Ids become their bytes, exactly, at once or as they arrive.

use ossia::tokenizer::{Allowed, Tokenizer, Utf8Stream};
use proptest::prelude::*;

use super::{adversarial, cases, tokenizer};

proptest! {
    #[test]
    fn any_text_comes_back(text in any::<String>()) {
        let tokenizer = tokenizer();
        prop_assert_eq!(tokenizer.decode(&tokenizer.encode(&text)).unwrap(), text);
    }

    #[test]
    fn adversarial_text_comes_back(text in adversarial()) {
        let tokenizer = tokenizer();
        prop_assert_eq!(tokenizer.decode_bytes(&tokenizer.encode(&text)).unwrap(), text.as_bytes());
    }

    #[test]
    fn any_bytes_come_back(bytes in any::<Vec<u8>>()) {
        let ids: Vec<u32> = bytes.iter().map(|&byte| byte.into()).collect();
        prop_assert_eq!(tokenizer().decode_bytes(&ids).unwrap(), bytes);
    }

    /// Bytes that are often the start or the middle of a character.
    #[test]
    fn a_stream_yields_what_decoding_at_once_yields(
        parts in proptest::collection::vec(proptest::collection::vec(
            prop_oneof![any::<u8>(), Just(b'a'), 0x80u8..=0xbf, Just(0xe2), Just(0x82), Just(0xac), 0xf0u8..=0xf5], 0..5), 0..12),
    ) {
        let mut stream = Utf8Stream::new();
        let mut text: String = parts.iter().map(|part| stream.push(part)).collect();
        text += &stream.finish();
        prop_assert_eq!(text, String::from_utf8_lossy(&parts.concat()).into_owned());
    }
}

#[test]
fn special_tokens_decode_to_their_names() {
    let tokenizer = tokenizer();
    for case in cases() {
        let ids = tokenizer.encode_with_special(&case.text, Allowed::All);
        assert_eq!(tokenizer.decode(&ids).unwrap(), case.text);
    }
}

#[test]
fn a_stream_waits_for_the_rest_of_a_character() {
    let mut stream = Utf8Stream::new();
    assert_eq!(stream.push(b"a\xe2"), "a");
    assert_eq!(stream.push(b"\x82"), "");
    assert_eq!(stream.push(b"\xacb"), "€b");
    assert_eq!(stream.push(b"\xf0\x9f\x98"), "");
    assert_eq!(stream.push(b"x"), "\u{fffd}x", "😀 can no longer be completed");
    assert_eq!(stream.push(b"\xff\xe2\x82"), "\u{fffd}");
    assert_eq!(stream.finish(), "\u{fffd}");
}

#[test]
fn bytes_that_are_not_text_are_replaced_or_kept() {
    let tokenizer = Tokenizer::from_merges(&[], &[]).unwrap();
    assert_eq!(tokenizer.decode(&[0xe2, 0x82, 97]).unwrap(), "\u{fffd}a");
    assert_eq!(tokenizer.decode_bytes(&[0xe2, 0x82, 97]).unwrap(), b"\xe2\x82a");
}

#[test]
fn an_id_outside_the_vocabulary_is_an_error() {
    let tokenizer = tokenizer();
    for id in [640, u32::MAX] {
        let message = tokenizer.decode(&[97, id]).unwrap_err().to_string();
        assert_eq!(message, format!("token 1: id {id} is not in the vocabulary of 640 ids"));
        assert_eq!(tokenizer.token_bytes(id), None);
    }
}
