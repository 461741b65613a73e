//! Texts that a model may write, and files that do not contain a conversation.
//!
//! The first byte says who speaks first. The others are ids, two bytes each, many of them marks; and they are JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ossia::harmony::{Conversation, Harmony, Message, MessageRole, Mode, Parser, Purpose};
use ossia::tokenizer::o200k_harmony;

fn parse(ids: &[u32], role: Option<MessageRole>, mode: Mode) -> Option<(Vec<Message>, bool)> {
    let mut parser = Parser::new(Harmony::new(o200k_harmony()).unwrap(), role, mode);
    for &id in ids {
        parser.push(id).ok()?;
    }
    parser.finish().ok()?;
    let flagged = !parser.flags().is_empty();
    Some((parser.into_messages(), flagged))
}

/// Lenient parsing may take a word for a content type where strict parsing takes it for a recipient, and `user:alice` for a
/// user where strict parsing finds a tool of this name.
fn without_what_lenient_parsing_corrects(message: Message) -> Message {
    let named = message.name.as_deref().and_then(|name| name.split_once(':'));
    let author = named.and_then(|(role, name)| Some((MessageRole::from_name(role)?, Some(name.to_string()))));
    let (role, name) = author.unwrap_or((message.role, message.name));
    Message { role, name, recipient: None, content_type: None, ..message }
}

// The tokenizer is made before the first input, because under the sanitizer it takes seconds.
fuzz_target!(init: { o200k_harmony(); }, |bytes: &[u8]| {
    if let Ok(conversation) = serde_json::from_slice::<Conversation>(bytes) {
        let harmony = Harmony::new(o200k_harmony()).unwrap();
        for purpose in [Purpose::Raw, Purpose::Training, Purpose::Completion(MessageRole::Assistant)] {
            _ = harmony.render(&conversation.messages, purpose, true);
        }
    }
    let Some((first, rest)) = bytes.split_first() else { return };
    let role = MessageRole::ALL.get(usize::from(*first)).copied();
    let id = |pair: &[u8; 2]| match u16::from_le_bytes(*pair) {
        mark if mark >= 0x8000 => 200_000 + u32::from(mark % 24),
        id => u32::from(id),
    };
    let ids: Vec<u32> = rest.as_chunks::<2>().0.iter().map(id).collect();
    let (lenient, flagged) = parse(&ids, role, Mode::Lenient).expect("lenient parsing goes through");
    match parse(&ids, role, Mode::Strict) {
        Some((strict, _)) => {
            let as_meant = |messages| Vec::from_iter(Vec::into_iter(messages).map(without_what_lenient_parsing_corrects));
            assert_eq!(as_meant(lenient), as_meant(strict));
        }
        None => assert!(flagged, "what strict parsing refuses, lenient parsing flags"),
    }
});
