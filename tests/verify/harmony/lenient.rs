//! Texts whose meaning differs from what openai-harmony reads.

use super::{ids, parse};
use ossia::harmony::{Message, MessageRole, Mode};

fn assistant(text: &str) -> Message {
    Message::new(MessageRole::Assistant, text)
}

/// A format on the channel `final` is no recipient: the message is an answer, for the user.
#[test]
fn harmony_lenient_parsing_finds_structured_answers() {
    let answer = |kind: &str| assistant("{}").on("final").of_type(kind);
    for (header, expected) in [
        ("final <|constrain|>json", answer("<|constrain|>json")),
        ("final<|constrain|>json", answer("<|constrain|>json")),
        ("final json", answer("json")),
        ("final json <|constrain|>json", answer("<|constrain|>json")),
        ("final to=user", assistant("{}").on("final")),
        ("final to=user <|constrain|>json", answer("<|constrain|>json")),
        ("final to=user json", answer("json")),
        ("commentary <|constrain|>json", assistant("{}").on("commentary").of_type("<|constrain|>json")),
        ("analysis <|constrain|>json", assistant("{}").on("analysis").of_type("<|constrain|>json")),
        // A call stays a call.
        ("final to=functions.f <|constrain|>json", answer("<|constrain|>json").to("functions.f")),
        ("commentary to=functions.f <|constrain|>json", {
            assistant("{}").on("commentary").to("functions.f").of_type("<|constrain|>json")
        }),
        ("commentary python", assistant("{}").on("commentary").to("python")),
        ("commentary to=user", assistant("{}").on("commentary").to("user")),
    ] {
        let tokens = ids(&format!("<|channel|>{header}<|message|>{{}}<|return|>"));
        let (messages, flags) = parse(&tokens, Some(MessageRole::Assistant), Mode::Lenient).unwrap();
        assert_eq!((messages, flags), (vec![expected], vec![]), "{header}");
    }
    // Strict parsing reads what openai-harmony 0.0.8 reads.
    let tokens = ids("<|channel|>final <|constrain|>json<|message|>{}<|return|>");
    let (messages, _) = parse(&tokens, Some(MessageRole::Assistant), Mode::Strict).unwrap();
    assert_eq!(messages, [assistant("{}").on("final").to("<|constrain|>json")]);
}

/// Tokens between two messages are reported and dropped. Where only `<|start|>` is missing, the message is there.
#[test]
fn harmony_lenient_parsing_makes_no_message_of_stray_tokens() {
    let thought = "<|start|>assistant<|channel|>analysis<|message|>x<|end|>";
    let answer = "<|start|>assistant<|channel|>final<|message|>y<|end|>";
    let both = [assistant("x").on("analysis"), assistant("y").on("final")];
    for stray in
        ["junk", "\n", "assistant", "some words of a story", "<|channel|>final", "<|constrain|>", "junk<|end|>"]
    {
        let (messages, flags) = parse(&ids(&format!("{thought}{stray}{answer}")), None, Mode::Lenient).unwrap();
        assert_eq!(messages, both, "{stray}");
        assert!(flags[0].problem.contains("<|start|> is missing"), "{stray}: {flags:?}");
        let (messages, _) = parse(&ids(&format!("{thought}{answer}{stray}")), None, Mode::Lenient).unwrap();
        assert_eq!(messages, both, "{stray} at the end");
    }
    let unstarted = answer.trim_start_matches("<|start|>");
    assert_eq!(parse(&ids(&format!("{thought}{unstarted}")), None, Mode::Lenient).unwrap().0, both);
}

/// A name behind the role is how a named message is rendered.
#[test]
fn harmony_lenient_parsing_reads_names() {
    for (role, header) in [
        (MessageRole::User, "user:alice"),
        (MessageRole::Developer, "developer:alice"),
        (MessageRole::Assistant, "assistant:alice"),
    ] {
        let tokens = ids(&format!("<|start|>{header}<|message|>x<|end|>"));
        let (messages, flags) = parse(&tokens, None, Mode::Lenient).unwrap();
        assert_eq!((messages[0].role, messages[0].name.as_deref()), (role, Some("alice")), "{header}");
        assert!(flags.is_empty(), "{header}: {flags:?}");
        assert!(parse(&tokens, None, Mode::Strict).is_err(), "openai-harmony does not read {header}");
    }
}

/// A message that ends within a character, or has no mark, is complete in its pieces (see `parse`).
#[test]
fn harmony_pieces_are_the_content_where_it_is_cut() {
    let snowman = ids("\u{26c4}");
    assert!(snowman.len() > 1, "a character of several tokens");
    for end in [vec![], ids("<|end|>"), ids("<|start|>assistant<|message|>y<|end|>")] {
        let tokens = [ids("<|start|>user<|message|>a"), snowman[..1].to_vec(), end].concat();
        for mode in [Mode::Strict, Mode::Lenient] {
            let (messages, _) = parse(&tokens, None, mode).unwrap();
            assert!(messages[0].text().starts_with("a\u{FFFD}"), "{messages:?}");
        }
    }
    let (messages, _) = parse(&ids("<|start|>assistant<|channel|>final so be it<|end|>"), None, Mode::Lenient).unwrap();
    assert_eq!(messages[0].text(), "so be it");
}
