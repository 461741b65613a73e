//! OpenAI's chat format: which messages a model should learn, and the first wrong field of a chat. That the tokens are those of
//! the chat template is shown in [`crate::chat_template`].
//!
//! Book: [harmony](../../book/src/harmony.md)

use ossia::harmony::{Effort, Message, SystemContent, messages_of_chat};
use serde_json::{Value, json};

fn messages(chat: &Value) -> Vec<(Message, bool)> {
    let messages = messages_of_chat(chat, SystemContent::default()).unwrap();
    messages.into_iter().map(|message| (message.message, message.learned)).collect()
}

#[test]
fn chat_format_marks_what_the_assistant_wrote() {
    let chat = json!({
        "reasoning_effort": "high",
        "tools": [{"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": null}}],
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "2 + 2?"}]},
            {"role": "assistant", "thinking": "Add.", "content": "One moment.", "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "add", "arguments": {"x": [2, 2], "y": null}}}
            ]},
            {"role": "tool", "tool_call_id": "a", "content": "4"},
            {"role": "assistant", "content": "4", "weight": 0},
            {"role": "user", "content": "Sure?"},
            {"role": "assistant", "reasoning_content": "Yes.", "thinking": "Yes.", "content": "Yes.", "weight": 1}
        ]
    });
    let messages = messages(&chat);
    let shown: Vec<String> = messages
        .iter()
        .map(|(m, learned)| {
            let to = m.recipient.as_deref().map_or(String::new(), |to| format!(" to={to}"));
            let on = m.channel.as_deref().map_or(String::new(), |channel| format!(" on {channel}"));
            format!("{}{to}{on}: {}{}", m.role.name(), m.text(), if *learned { " (learned)" } else { "" })
        })
        .collect();
    let expected = [
        "system: ",
        "developer: ",
        "user: 2 + 2?",
        "assistant on analysis: Add. (learned)",
        "assistant on commentary: One moment. (learned)",
        "assistant to=functions.add on commentary: {\"x\": [2, 2], \"y\": null} (learned)",
        "tool to=assistant on commentary: 4",
        "assistant on final: 4",
        "user: Sure?",
        "assistant on analysis: Yes. (learned)",
        "assistant on final: Yes. (learned)",
    ];
    assert_eq!(shown, expected);
    let ossia::harmony::Content::SystemContent(system) = &messages[0].0.content[0] else { panic!("a system message") };
    assert_eq!(system.reasoning_effort, Some(Effort::High));
}

#[test]
fn chat_format_names_the_first_wrong_field() {
    let user = json!({"role": "user", "content": "Hi"});
    let call =
        |function: Value| json!({"messages": [user, {"role": "assistant", "tool_calls": [{"function": function}]}]});
    let second = |message: Value| json!({ "messages": [user, message] });
    let table = [
        (json!([]), "found a list, expected an object with messages"),
        (json!({}), "messages is missing"),
        (json!({"messages": "Hi"}), "messages: found a string, expected a list"),
        (json!({"messages": []}), "messages: found none, expected at least 1"),
        (
            json!({"messages": [user], "reasoning_effort": "max"}),
            "reasoning_effort: expected low, medium or high, not \"max\"",
        ),
        (json!({"messages": [user], "reasoning_effort": 3}), "reasoning_effort: found a number, expected a string"),
        (
            json!({"messages": [user], "tools": [{"function": {"name": "f"}}]}),
            "tools[0].function: missing field `description`",
        ),
        (json!({"messages": [user], "tools": [{}]}), "tools[0]: name is missing"),
        (second(json!("Hi")), "messages[1]: role is missing"),
        (second(json!({"role": 1})), "messages[1].role: found a number, expected a string"),
        (second(json!({"role": "robot"})), "messages[1].role: expected system, developer, user, assistant or tool"),
        (second(json!({"role": "user"})), "messages[1]: content is missing"),
        (
            second(json!({"role": "user", "content": 1})),
            "messages[1].content: found a number, expected a string, or a list",
        ),
        (
            second(json!({"role": "user", "content": [{"type": "image_url"}]})),
            "messages[1].content: found a list, expected",
        ),
        (
            second(json!({"role": "user", "content": "x", "name": "a b"})),
            "messages[1].name: a name may consist of letters",
        ),
        (
            second(json!({"role": "user", "content": "x", "tool_calls": []})),
            "messages[1].tool_calls: only messages of the assistant",
        ),
        (second(json!({"role": "assistant", "content": null})), "messages[1]: the assistant has neither content nor"),
        (second(json!({"role": "assistant", "content": "x", "weight": 2})), "messages[1].weight: expected 0 or 1"),
        (
            second(json!({"role": "assistant", "reasoning_content": "a", "thinking": "b"})),
            "messages[1].thinking: differs from reasoning_content",
        ),
        (
            second(json!({"role": "assistant", "thinking": 1})),
            "messages[1].thinking: found a number, expected a string",
        ),
        (second(json!({"role": "tool", "content": "x"})), "messages[1]: answers no call"),
        (call(json!({"arguments": "{}"})), "messages[1].tool_calls[0].function: name is missing"),
        (call(json!({"name": "f"})), "messages[1].tool_calls[0].function: arguments is missing"),
        (
            call(json!({"name": "f", "arguments": 1})),
            "messages[1].tool_calls[0].function.arguments: found a number, expected a",
        ),
        (call(json!(1)), "messages[1].tool_calls[0].function: name is missing"),
    ];
    for (chat, expected) in table {
        let message = messages_of_chat(&chat, SystemContent::default()).unwrap_err().to_string();
        assert!(
            message.starts_with(expected) && message.lines().count() == 1,
            "{chat}: {message}\nexpected: {expected}"
        );
    }
}
