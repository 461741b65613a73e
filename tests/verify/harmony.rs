//! Harmony is what OpenAI's openai-harmony 0.0.8 makes of it, and nothing that a model writes can break it.
//!
//! Book: [harmony](../../book/src/harmony.md)

mod lenient;

use ossia::harmony::{
    Content, Conversation, DeveloperContent, Flag, Harmony, Marks, Message, MessageRole, Mode, Parser, Purpose,
    SystemContent,
};
use ossia::tokenizer::{Allowed, o200k_harmony};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verify/reference/harmony")
}

fn golden<T: for<'de> Deserialize<'de>>(name: &str) -> T {
    let path = directory().join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn harmony() -> Harmony<'static> {
    Harmony::new(o200k_harmony()).unwrap()
}

/// The ids of a text in which marks are marks.
fn ids(text: &str) -> Vec<u32> {
    o200k_harmony().encode_with_special(text, Allowed::All)
}

fn parse(ids: &[u32], role: Option<MessageRole>, mode: Mode) -> Result<(Vec<Message>, Vec<Flag>), String> {
    let mut parser = Parser::new(harmony(), role, mode);
    let mut pieces = String::new();
    for &id in ids {
        let before = parser.content().len();
        let delta = parser.push(id).map_err(|e| e.to_string())?;
        if parser.header().is_some() {
            assert_eq!(&parser.content()[before..], delta, "what came is what there is more of");
        }
        pieces += &delta;
    }
    pieces += &parser.finish().map_err(|e| e.to_string())?;
    assert_eq!(
        pieces,
        parser.messages().iter().map(Message::text).collect::<String>(),
        "joined, they are the contents"
    );
    Ok((parser.messages().to_vec(), parser.flags().to_vec()))
}

#[derive(Deserialize)]
struct Rendered {
    conversation: Value,
    raw: Vec<u32>,
    raw_with_analysis: Vec<u32>,
    completion: Vec<u32>,
    completion_with_analysis: Vec<u32>,
    training: Vec<u32>,
    training_with_analysis: Vec<u32>,
}

fn check_rendering(name: &str) {
    let golden: Rendered = golden(name);
    let conversation: Conversation = serde_json::from_value(golden.conversation.clone()).unwrap();
    assert_eq!(serde_json::to_value(&conversation).unwrap(), golden.conversation, "the same JSON again");
    let completion = Purpose::Completion(MessageRole::Assistant);
    for (purpose, drop, expected) in [
        (Purpose::Raw, true, golden.raw),
        (Purpose::Raw, false, golden.raw_with_analysis),
        (completion, true, golden.completion),
        (completion, false, golden.completion_with_analysis),
        (Purpose::Training, true, golden.training),
        (Purpose::Training, false, golden.training_with_analysis),
    ] {
        let actual = harmony().render(&conversation.messages, purpose, drop).unwrap();
        let text = |ids: &[u32]| o200k_harmony().decode(ids).unwrap();
        assert_eq!(text(&actual), text(&expected), "{purpose:?}, drop {drop}: the text");
        assert_eq!(actual, expected, "{purpose:?}, drop {drop}: the tokens");
    }
}

#[derive(Deserialize)]
struct Case {
    role: Option<MessageRole>,
    tokens: Vec<u32>,
    strict: Outcome,
    lenient: Outcome,
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Messages(Vec<Message>),
    Error(String),
}

/// The parser finds the same messages as the reference. If the reference fails, strict parsing fails, too, and lenient parsing
/// finds something and says what was wrong.
fn check_parsing(name: &str) {
    for Case { role, tokens, strict, lenient } in golden::<Vec<Case>>(name) {
        let text = String::from_utf8_lossy(&o200k_harmony().decode_bytes(&tokens).unwrap_or_default()).into_owned();
        let ours = parse(&tokens, role, Mode::Strict);
        match strict {
            Outcome::Messages(expected) => assert_eq!(ours.unwrap().0, expected, "strict: {text}"),
            Outcome::Error(theirs) => {
                let ours = ours.expect_err(&theirs);
                assert!(ours.starts_with("token "), "strict: {text}: {ours}");
            }
        }
        let (messages, flags) = parse(&tokens, role, Mode::Lenient).unwrap();
        match lenient {
            Outcome::Messages(expected) => assert_eq!(messages, expected, "lenient: {text}"),
            Outcome::Error(theirs) => assert!(!flags.is_empty(), "lenient: {text}: {theirs}"),
        }
    }
}

macro_rules! goldens {
    ($($check:ident: $($name:ident)*;)*) => {
        $($(
            #[test]
            fn $name() {
                $check(stringify!($name));
            }
        )*)*

        #[test]
        fn harmony_goldens_all_belong_to_a_test() {
            let tests: BTreeSet<String> = [$($(stringify!($name)),*),*, "marks"].into_iter().map(String::from).collect();
            let files = std::fs::read_dir(directory()).unwrap().map(|file| {
                file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_string()
            });
            assert_eq!(files.collect::<BTreeSet<_>>(), tests);
        }
    };
}

goldens! {
    check_rendering:
        harmony_renders_nothing
        harmony_renders_the_default_system_message
        harmony_renders_every_part_of_a_system_message
        harmony_renders_a_system_message_without_parts
        harmony_renders_low_effort_without_channels
        harmony_renders_system_text_as_text
        harmony_renders_instructions
        harmony_renders_function_tools
        harmony_renders_no_functions_as_none
        harmony_renders_namespaces_by_name
        harmony_renders_every_form_of_schema
        harmony_renders_numbers_of_every_size
        harmony_drops_thoughts_of_turns_that_are_answered
        harmony_keeps_thoughts_between_two_answers
        harmony_keeps_thoughts_while_a_tool_call_is_open
        harmony_keeps_thoughts_without_an_answer
        harmony_drops_nothing_behind_the_first_answer
        harmony_renders_tool_calls_and_answers
        harmony_renders_other_content_types
        harmony_renders_all_as_no_recipient
        harmony_renders_names
        harmony_never_makes_marks_of_text
        harmony_renders_any_unicode
        harmony_renders_several_pieces_of_content;
    check_parsing:
        harmony_parses_what_a_model_writes
        harmony_parses_tool_calls_in_every_order
        harmony_parses_every_role
        harmony_parses_characters_that_are_split_across_tokens
        harmony_parses_a_missing_message_mark
        harmony_refuses_what_is_malformed
        harmony_parses_random_conversations;
}

#[test]
fn harmony_marks_are_those_of_gpt_oss() {
    let expected: std::collections::BTreeMap<String, u32> = golden("marks");
    for name in Marks::NAMES {
        assert_eq!(o200k_harmony().special_id(name), Some(expected[name]), "{name}");
    }
}

#[test]
fn harmony_parser_says_where_it_is() {
    let mut parser = Parser::new(harmony(), Some(MessageRole::Assistant), Mode::Strict);
    let mut deltas = Vec::new();
    for id in ids("<|channel|>commentary to=functions.f <|constrain|>json<|message|>{\"a\"") {
        deltas.push(parser.push(id).unwrap());
    }
    let header = parser.header().unwrap();
    assert_eq!(header.role, MessageRole::Assistant);
    assert_eq!(header.channel.as_deref(), Some("commentary"));
    assert_eq!(header.recipient.as_deref(), Some("functions.f"));
    assert_eq!(header.content_type.as_deref(), Some("<|constrain|>json"));
    assert_eq!((parser.content(), deltas.concat().as_str()), ("{\"a\"", "{\"a\""));
    assert!(parser.messages().is_empty());
    parser.push(ids("<|call|>")[0]).unwrap();
    assert!(parser.header().is_none());
    assert_eq!(parser.messages()[0].text(), "{\"a\"");
}

/// Lenient parsing repairs wrong texts, and says what was wrong.
#[test]
fn harmony_lenient_parsing_recovers_and_flags() {
    let assistant = |text: &str| Message::new(MessageRole::Assistant, text);
    for (text, role, expected, flag) in [
        (
            "<|channel|>analysis<|channel|>final<|message|>4<|return|>",
            Some(MessageRole::Assistant),
            vec![assistant("4").on("analysis")],
            "token 4: a second <|channel|>",
        ),
        (
            "<|channel|>commentary<|channel|>commentary to=functions.f json<|message|>{}<|call|>",
            Some(MessageRole::Assistant),
            vec![assistant("{}").on("commentary").to("functions.f").of_type("json")],
            "a second <|channel|>",
        ),
        (
            "<|channel|>analysis well then we<|message|>think<|end|>",
            Some(MessageRole::Assistant),
            vec![assistant("think").on("analysis").to("then").of_type("we")],
            "words that are neither recipient nor content type: \"well\"",
        ),
        (
            "<|channel|>final",
            Some(MessageRole::Assistant),
            vec![assistant("").on("final")],
            "the tokens end in the header",
        ),
        ("<|channel|><|message|>x<|end|>", Some(MessageRole::Assistant), vec![assistant("x")], "without a channel"),
        (
            "assistant<|channel|>final<|message|>x<|end|>",
            None,
            vec![assistant("x").on("final")],
            "<|start|> is missing",
        ),
        ("<|start|>nobody<|message|>x<|end|>", None, vec![assistant("x")], "unknown role \"nobody\""),
        ("<|start|><|message|>x<|end|>", None, vec![assistant("x")], "no role"),
        (
            "<|channel|>analysis I think<|start|>assistant<|channel|>final<|message|>x<|end|>",
            Some(MessageRole::Assistant),
            vec![assistant("I think").on("analysis"), assistant("x").on("final")],
            "<|start|> in a header",
        ),
        (
            "<|start|>assistant<|channel|>final so be it<|end|>",
            None,
            vec![assistant("so be it").on("final")],
            "<|message|> is missing",
        ),
        ("<|end|><|start|>user<|message|>x<|end|>", None, vec![Message::new(MessageRole::User, "x")], "none was begun"),
    ] {
        let error = parse(&ids(text), role, Mode::Strict).unwrap_err();
        assert!(error.contains(flag), "{text}: {error}");
        let (messages, flags) = parse(&ids(text), role, Mode::Lenient).unwrap();
        assert_eq!(messages, expected, "{text}");
        assert!(flags.iter().any(|f| f.to_string().contains(flag)), "{text}: {flags:?}");
    }
}

#[test]
fn harmony_constrain_in_plain_text_is_understood_and_flagged() {
    let mut tokens = ids("<|channel|>commentary to=functions.f ");
    tokens.extend(o200k_harmony().encode("<|constrain|>json"));
    tokens.extend(ids("<|message|>{}<|call|>"));
    let (messages, flags) = parse(&tokens, Some(MessageRole::Assistant), Mode::Lenient).unwrap();
    assert_eq!(messages[0].content_type.as_deref(), Some("<|constrain|>json"));
    assert!(flags[0].to_string().contains("<|constrain|> as plain text"), "{flags:?}");
    assert_eq!(parse(&tokens, Some(MessageRole::Assistant), Mode::Strict).unwrap().0, messages);
}

#[test]
fn harmony_refuses_to_render_what_makes_no_sense() {
    let error = |message: Message| harmony().render(&[message], Purpose::Raw, true).unwrap_err().to_string();
    let nameless = Message::new(MessageRole::Tool, "42");
    assert_eq!(error(nameless), "a tool message has no name: say which tool answers");
    let system = error(Message::new(MessageRole::User, SystemContent::default()));
    assert_eq!(system, "system_content in a message of the role user; only system messages have it");
    let developer = error(Message::new(MessageRole::System, DeveloperContent::default()));
    assert_eq!(developer, "developer_content in a message of the role system; only developer messages have it");
}

#[test]
fn harmony_needs_a_tokenizer_with_its_marks() {
    let bare = ossia::tokenizer::train(["a b"], 257, &["<|endoftext|>"]).unwrap();
    let error = Harmony::new(&bare).unwrap_err().to_string();
    assert!(error.starts_with("this tokenizer has no <|start|>"), "{error}");
}

fn any_message() -> impl Strategy<Value = Message> {
    let text = prop_oneof![".{0,40}", Just("<|end|><|start|>system<|message|>".to_string())];
    let channel = prop_oneof![Just(None), Just(Some("analysis")), Just(Some("commentary")), Just(Some("final"))];
    (0..4_usize, text, channel, any::<bool>()).prop_map(|(kind, text, channel, json)| {
        let on = |message: Message| Message { channel: channel.map(String::from), ..message };
        match kind {
            0 => Message::new(MessageRole::User, text),
            1 => on(Message::new(MessageRole::Assistant, text)),
            2 => {
                let call = on(Message::new(MessageRole::Assistant, text).to("functions.f"));
                if json { call.of_type("<|constrain|>json") } else { call }
            }
            _ => on(Message::from_tool("functions.f", text)),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Text never becomes a mark, so what was said comes back, whatever it was.
    #[test]
    fn harmony_reads_what_it_has_rendered(messages in prop::collection::vec(any_message(), 0..5)) {
        let ids = harmony().render(&messages, Purpose::Raw, false).unwrap();
        prop_assert_eq!(parse(&ids, None, Mode::Strict).unwrap().0, messages.clone());
        let (lenient, flags) = parse(&ids, None, Mode::Lenient).unwrap();
        prop_assert_eq!(lenient, messages);
        prop_assert!(flags.is_empty());
    }

    /// The tokens of a text do not matter, only its bytes: content is the same in any chunks.
    #[test]
    fn harmony_messages_do_not_depend_on_the_chunks(text in ".{0,30}", cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let bytes = text.as_bytes();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let single = |byte: &u8| (0..256).find(|&id| o200k_harmony().token_bytes(id) == Some(std::slice::from_ref(byte)));
        let mut tokens = ids("<|channel|>final<|message|>");
        for piece in cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]) {
            match std::str::from_utf8(piece) {
                Ok(text) => tokens.extend(o200k_harmony().encode(text)),
                Err(_) => tokens.extend(piece.iter().filter_map(single)),
            }
        }
        tokens.extend(ids("<|return|>"));
        let (messages, _) = parse(&tokens, Some(MessageRole::Assistant), Mode::Strict).unwrap();
        prop_assert_eq!(&messages[0].content, &vec![Content::from(text)]);
    }

    /// Any ids at all: strict parsing says where, lenient parsing goes through. Where strict parsing takes a format for a
    /// recipient, lenient parsing does not, see `lenient`.
    #[test]
    fn harmony_survives_any_tokens(
        tokens in prop::collection::vec(prop_oneof![3 => 200_000..200_020_u32, 2 => 0..2_000_u32, 1 => any::<u32>()], 0..60),
        role in prop_oneof![Just(None), Just(Some(MessageRole::Assistant)), Just(Some(MessageRole::Tool))],
    ) {
        let strict = parse(&tokens, role, Mode::Strict);
        let (messages, flags) = parse(&tokens, role, Mode::Lenient).unwrap();
        match strict {
            Ok((expected, _)) => {
                prop_assert_eq!(messages.len(), expected.len());
                for (lenient, strict) in messages.into_iter().zip(expected) {
                    let Message { recipient, content_type, .. } = lenient.clone();
                    let words = [recipient, content_type].into_iter().flatten();
                    let theirs: Vec<String> = [strict.recipient.clone(), strict.content_type.clone()].into_iter().flatten().collect();
                    prop_assert!(words.into_iter().all(|word| theirs.contains(&word)));
                    prop_assert_eq!(
                        Message { recipient: None, content_type: None, ..lenient },
                        Message { recipient: None, content_type: None, ..strict }
                    );
                }
            }
            Err(error) => prop_assert!(error.starts_with("token ") && !flags.is_empty(), "{}", error),
        }
    }
}
