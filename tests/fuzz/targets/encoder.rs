//! Any text is encoded as the naive encoder and tiktoken-rs do, and comes back whole, byte for byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ossia::tokenizer::{Allowed, END_OF_TEXT, Tokenizer, Utf8Stream, o200k_harmony, split, train};

// The tokenizers are made before the first input, because under the sanitizer they take seconds.
fuzz_target!(init: { o200k_harmony(); tiktoken_rs::o200k_base_singleton(); }, |data: &[u8]| {
    let text = &*String::from_utf8_lossy(data);
    assert_eq!(split(text).collect::<String>(), text);

    let harmony = o200k_harmony();
    assert_eq!(harmony.encode(text), tiktoken_rs::o200k_base_singleton().encode_ordinary(text));
    comes_back(harmony, text);

    let own = train([text], 300, &[END_OF_TEXT]).expect("room for the bytes and the special token");
    assert_eq!(own.encode(text), own.encode_naive(text));
    comes_back(&own, text);
});

fn comes_back(tokenizer: &Tokenizer, text: &str) {
    for ids in [tokenizer.encode(text), tokenizer.encode_with_special(text, Allowed::All)] {
        assert_eq!(tokenizer.decode(&ids).expect("ids that it gave"), text);
        let mut stream = Utf8Stream::new();
        let token = |&id| tokenizer.token_bytes(id).expect("an id that it gave");
        let mut streamed: String = ids.iter().map(|id| stream.push(token(id))).collect();
        streamed += &stream.finish();
        assert_eq!(streamed, text);
    }
}
