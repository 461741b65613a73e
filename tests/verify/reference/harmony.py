"""Writes what OpenAI's openai-harmony makes of conversations and of tokens, one JSON file a test, named after it.

usage: TIKTOKEN_ENCODINGS_BASE=DIR python harmony.py    (DIR holds o200k_base.tiktoken; writes harmony/*.json)
needs: pip install openai-harmony==0.0.8
"""

import json
import random
from pathlib import Path

from openai_harmony import (
    Author,
    Conversation,
    DeveloperContent,
    HarmonyEncodingName,
    HarmonyError,
    Message,
    ReasoningEffort,
    RenderConversationConfig,
    Role,
    StreamableParser,
    SystemContent,
    ToolDescription,
    ToolNamespaceConfig,
    load_harmony_encoding,
)

HERE = Path(__file__).parent / "harmony"
ENCODING = load_harmony_encoding(HarmonyEncodingName.HARMONY_GPT_OSS)
MARKS = {"<|start|>", "<|message|>", "<|end|>", "<|return|>", "<|call|>", "<|channel|>", "<|constrain|>"}


def say(role, content, channel=None, recipient=None, content_type=None, name=None):
    message = Message.from_author_and_content(Author(role=role, name=name), content)
    message.channel, message.recipient, message.content_type = channel, recipient, content_type
    return message


def user(text):
    return say(Role.USER, text)


def assistant(text, channel=None, **header):
    return say(Role.ASSISTANT, text, channel, **header)


def write(name, value):
    HERE.mkdir(exist_ok=True)
    text = json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        text = "[\n" + ",\n".join(json.dumps(case, ensure_ascii=False) for case in value) + "\n]"
    (HERE / f"{name}.json").write_text(text + "\n")


def rendered(conversation):
    """The tokens for each purpose, with and without what was thought before the first final answer."""
    out = {}
    for drop in (True, False):
        config = RenderConversationConfig(auto_drop_analysis=drop)
        suffix = "" if drop else "_with_analysis"
        out[f"raw{suffix}"] = ENCODING.render_conversation(conversation, config)
        out[f"training{suffix}"] = ENCODING.render_conversation_for_training(conversation, config)
        out[f"completion{suffix}"] = ENCODING.render_conversation_for_completion(conversation, Role.ASSISTANT, config)
    return out


def render(name, *messages):
    conversation = Conversation.from_messages(messages)
    write(name, {"conversation": conversation.to_dict(), **rendered(conversation)})


def tool(name, description, properties=None, **schema):
    if properties is None:
        return ToolDescription.new(name, description)
    return ToolDescription.new(name, description, {"type": "object", "properties": properties, **schema})


def functions(*tools):
    return DeveloperContent.new().with_function_tools(list(tools))


WEATHER = tool(
    "get_weather",
    "What the sky does.\nNow, or on a day.",
    {
        "place": {"type": "string", "description": "A town"},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
        "days": {"type": "integer", "default": 1},
    },
    required=["place"],
)

# Every form that a schema can take in the TypeScript of a developer message.
SCHEMAS = {
    "no_parameters": None,
    "empty": {},
    "scalars": {
        "a": {"type": "number"},
        "b": {"type": "boolean", "default": False},
        "c": {"type": "null"},
        "d": {},
        "e": {"type": "integer", "default": 2.5},
        "f": {"type": "string", "default": 'say "hi"'},
    },
    "described": {
        "title_only": {"type": "string", "title": "A title"},
        "all": {"type": "string", "title": "T", "description": "D", "examples": ["x", 'y"', 3], "default": "z"},
        "no_examples": {"type": "number", "examples": []},
    },
    "lists": {
        "plain": {"type": "array"},
        "of_text": {"type": "array", "items": {"type": "string"}},
        "of_enum": {"type": "array", "items": {"type": "string", "enum": ["p", "q"]}, "default": ["p"]},
        "of_lists": {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}},
        "of_objects": {
            "type": "array",
            "items": {"type": "object", "description": "An item", "properties": {"x": {"type": "number"}}},
        },
    },
    "objects": {
        "outer": {
            "type": "object",
            "description": "Outside",
            "properties": {
                "inner": {
                    "type": "object",
                    "properties": {"deep": {"type": "string", "description": "Deep down"}},
                    "required": ["deep"],
                }
            },
            "required": ["inner"],
        },
        "bare": {"type": "object"},
    },
    "unions": {
        "types": {"type": ["integer", "string", "null"], "default": 1},
        "no_types": {"type": []},
        "nullable": {"type": "string", "nullable": True},
        "nullable_union": {"type": ["string", "null"], "nullable": True},
        "nullable_enum": {"type": "string", "enum": ["a"], "nullable": True, "default": "a"},
        "empty_enum": {"type": "string", "enum": [], "default": "x"},
        "number_enum": {"type": "number", "enum": [1, 2]},
    },
    "choices": {
        "plain": {"oneOf": [{"type": "string"}, {"type": "number"}]},
        "described": {
            "description": "Of all",
            "oneOf": [{"type": "string", "description": "One"}, {"type": "number", "description": "Two", "default": 3}],
        },
        "said_twice": {
            "description": "Same",
            "default": "d",
            "oneOf": [{"type": "string", "description": "Same"}, {"type": "boolean", "description": "Same"}],
        },
        "with_enum": {
            "enum": ["u", "v"],
            "default": "u",
            "oneOf": [{"type": "string", "enum": ["u", "v"], "default": "u"}, {"type": "string", "default": "w"}],
        },
        "nullable": {"oneOf": [{"type": "string", "nullable": True}, {"type": "object", "properties": {"k": {}}}]},
        "nested": {"oneOf": [{"oneOf": [{"type": "string", "default": "s"}, {"type": "array"}]}, {"type": "null"}]},
        "of_list": {
            "type": "array",
            "items": {
                "oneOf": [
                    {"type": "string", "description": "text", "enum": ["m"], "default": "m"},
                    {"type": "integer", "nullable": True, "default": 7},
                ]
            },
        },
        "none": {"oneOf": []},
        "not_a_list": {"oneOf": "x", "type": "string", "description": "lost", "default": "lost"},
    },
}


def renders():
    system, hello = say(Role.SYSTEM, SystemContent.new()), user("What is 2 + 2?")
    render("harmony_renders_nothing")
    render("harmony_renders_the_default_system_message", system, hello)
    render(
        "harmony_renders_every_part_of_a_system_message",
        say(
            Role.SYSTEM,
            SystemContent.new()
            .with_model_identity("You are Ossia.")
            .with_reasoning_effort(ReasoningEffort.HIGH)
            .with_conversation_start_date("2026-01-02")
            .with_knowledge_cutoff("2025-12")
            .with_required_channels(["analysis", "final"])
            .with_browser_tool()
            .with_python_tool(),
        ),
    )
    bare = SystemContent(model_identity=None, reasoning_effort=None, knowledge_cutoff=None, channel_config=None)
    render("harmony_renders_a_system_message_without_parts", say(Role.SYSTEM, bare))
    low = SystemContent.new().with_reasoning_effort(ReasoningEffort.LOW).with_required_channels([])
    low.model_identity = None
    render("harmony_renders_low_effort_without_channels", say(Role.SYSTEM, low))
    render("harmony_renders_system_text_as_text", say(Role.SYSTEM, "Be brief.\n\n# Valid channels: none"), hello)
    instructions = DeveloperContent.new().with_instructions("Answer in rhymes.\n\nShort ones.")
    render("harmony_renders_instructions", system, say(Role.DEVELOPER, instructions), hello)
    render(
        "harmony_renders_function_tools",
        system,
        say(Role.DEVELOPER, functions(WEATHER, tool("now", "The time")).with_instructions("Use tools.")),
        hello,
    )
    render("harmony_renders_no_functions_as_none", system, say(Role.DEVELOPER, functions()), hello)
    namespaces = DeveloperContent.new().with_tools(ToolNamespaceConfig.python())
    namespaces.with_tools(ToolNamespaceConfig(name="a", description="first\n\nof all", tools=[WEATHER]))
    namespaces.with_tools(ToolNamespaceConfig(name="b", description=None, tools=[]))
    render("harmony_renders_namespaces_by_name", system, say(Role.DEVELOPER, namespaces))
    schemas = [tool(name, f"The form {name}", properties) for name, properties in SCHEMAS.items()]
    schemas += [
        ToolDescription.new("not_an_object", "", {"type": "string"}),
        ToolDescription.new("a_choice", "Of two", {"oneOf": [{"type": "string", "description": "s"}, {"type": "null"}]}),
        ToolDescription.new("anything", "No type", {}),
        ToolDescription.new("told", "It", {"type": "object", "description": "An object", "properties": {}}),
    ]
    render("harmony_renders_every_form_of_schema", say(Role.DEVELOPER, functions(*schemas)))
    numbers = [1e16, 1e15, 123456789012345680.0, 1e20, 1e300, 1e-5, 1e-6, 1.5e-9, 5e-324, -0.0, 1.0, 2**53, 2**64, 10**30,
               -2**63, -2**63 - 1, [1e21, {"a": -1.5e-9}]]
    properties = {f"p{i}": {"type": "number", "default": number} for i, number in enumerate(numbers)}
    render("harmony_renders_numbers_of_every_size", say(Role.DEVELOPER, functions(tool("f", "Numbers", properties))))

    thinks, answers = assistant("Four.", "analysis"), assistant("4", "final")
    render("harmony_drops_thoughts_of_turns_that_are_answered", system, hello, thinks, answers, user("And 3 + 3?"))
    render(
        "harmony_keeps_thoughts_between_two_answers",
        *(hello, thinks, answers, user("And 3?"), assistant("Three.", "analysis"), assistant("3", "final")),
    )
    call = assistant('{"place": "Oslo"}', "commentary", recipient="functions.get_weather", content_type="<|constrain|>json")
    answer = say(Role.TOOL, '{"sky": "grey"}', "commentary", recipient="assistant", name="functions.get_weather")
    render("harmony_keeps_thoughts_while_a_tool_call_is_open", hello, thinks, answers, hello, thinks, call, answer)
    render("harmony_keeps_thoughts_without_an_answer", hello, thinks)
    render("harmony_drops_nothing_behind_the_first_answer", hello, answers, thinks, answers)
    render(
        "harmony_renders_tool_calls_and_answers",
        *(hello, call, answer, assistant("print(6 * 7)", "analysis", recipient="python", content_type="code")),
    )
    render("harmony_renders_other_content_types", assistant("{}", "final", content_type="<|constrain|>"), hello)
    render("harmony_renders_all_as_no_recipient", assistant("Hm.", "commentary", recipient="all"))
    render("harmony_renders_names", say(Role.USER, "Hi", name="Ada"), say(Role.ASSISTANT, "Hi", "final", name="Bo"))
    marks = "".join(sorted(MARKS)) + "<|endoftext|> to=python"
    render(
        "harmony_never_makes_marks_of_text",
        *(user(marks), say(Role.TOOL, marks, marks, marks, marks, name=marks), say(Role.DEVELOPER, marks)),
    )
    render("harmony_renders_any_unicode", user("naïve 🤖\u200d🔬 \r\n\t  日本語 ﷽ \u0000 é"), user(""))
    several = Message.from_role_and_contents(Role.USER, [user("one ").content[0], user("two").content[0]])
    render("harmony_renders_several_pieces_of_content", several)


def parsed(tokens, role, strict):
    """The messages, or the error."""
    parser = StreamableParser(ENCODING, role, strict=strict)
    try:
        for token in tokens:
            parser.process(token)
        parser.process_eos()
    except HarmonyError as error:
        return {"error": str(error)}
    return {"messages": [message.to_dict() for message in parser.messages]}


def parse(name, *cases):
    """A case: text with marks, or ids; the role that the prompt has begun."""
    out = []
    for text, role in cases:
        ids = text if isinstance(text, list) else ENCODING.encode(text, allowed_special="all")
        case = {"role": role and role.value, "tokens": ids}
        out.append({**case, "strict": parsed(ids, role, True), "lenient": parsed(ids, role, False)})
    write(name, out)


def bytes_of(text, *more):
    """Each byte as a token of its own."""
    data = text.encode() + b"".join(more)
    single = {ENCODING._inner.decode_bytes([i])[0]: i for i in range(256) if len(ENCODING._inner.decode_bytes([i])) == 1}
    return [single[byte] for byte in data]


def parses():
    begun = Role.ASSISTANT
    parse(
        "harmony_parses_what_a_model_writes",
        ("<|channel|>analysis<|message|>Two and two.<|end|><|start|>assistant<|channel|>final<|message|>4<|return|>", begun),
        ("<|start|>assistant<|channel|>final<|message|>4<|return|>", None),
        ("<|message|>no channel<|return|>", begun),
        ("<|channel|>final<|message|><|return|>", begun),
        ("<|channel|>final<|message|>cut off", begun),
        ("<|channel|>final<|message|>", begun),
        ("<|channel|>final<|message|>a <|channel|> b <|start|> c<|end|>", begun),
        (" <|channel|> final", begun),
    )
    weather, body = "functions.get_weather", '<|message|>{"place": "Oslo"}<|call|>'
    parse(
        "harmony_parses_tool_calls_in_every_order",
        (f"<|channel|>commentary to={weather} <|constrain|>json{body}", begun),
        (f"<|channel|>commentary to={weather}<|constrain|>json{body}", begun),
        (f" to={weather}<|channel|>commentary <|constrain|>json{body}", begun),
        (f" to={weather}<|channel|>commentary<|constrain|>json{body}", begun),
        (f" to={weather}<|channel|>commentary json{body}", begun),
        (f" to={weather}<|channel|>commentary{body}", begun),
        (f"<|channel|>commentary {weather} json{body}", begun),
        (f"<|channel|>commentary {weather}{body}", begun),
        (f"<|start|>assistant to=python<|channel|>analysis code<|message|>6 * 7<|call|>", None),
        (f"assistant to=python<|channel|>analysis<|message|>6 * 7<|call|>", begun),
        (f"<|channel|>commentary to={weather} <|constrain|>{body}", begun),
    )
    parse(
        "harmony_parses_every_role",
        ("<|start|>system<|message|>s<|end|><|start|>developer<|message|>d<|end|><|start|>user<|message|>u<|end|>", None),
        (f"<|start|>{weather} to=assistant<|channel|>commentary<|message|>grey<|end|>", None),
        ("<|start|>tool to=assistant<|message|>grey<|end|>", None),
        ("<|start|>python to=assistant<|channel|>analysis<|message|>42<|end|>", None),
        ("<|message|>u<|end|>", Role.USER),
        ("user<|message|>u<|end|>", Role.USER),
        ("<|message|>t<|end|>", Role.TOOL),
        ("", None),
    )
    parse(
        "harmony_parses_characters_that_are_split_across_tokens",
        (ENCODING.encode("<|message|>", allowed_special="all") + bytes_of("é€🤖!"), begun),
        (ENCODING.encode("<|message|>", allowed_special="all") + bytes_of("a", b"\xf0\x9f", b"x", b"\xff\xfe", b"\xe2\x82"), begun),
        (ENCODING.encode("<|message|>", allowed_special="all") + bytes_of("", b"\xe2\x82") + [200007] + [200006], None),
        (ENCODING.encode("<|message|>ok", allowed_special="all") + [4_000_000_000], begun),
        (ENCODING.encode("<|message|>", allowed_special="all") + bytes_of("", b"\xe2\x82") + [200007], begun),
    )
    parse(
        "harmony_parses_a_missing_message_mark",
        ("I must refuse<|end|><|start|>assistant<|channel|>final<|message|>No.<|return|>", begun),
        ("<|channel|>analysis I must refuse<|end|><|start|>assistant<|channel|>final<|message|>No.<|return|>", begun),
        ("<|channel|>commentary<|end|>", begun),
        ("<|end|>", begun),
        ("... Let's use it.<|end|><|start|>assistant to=functions.f<|channel|>commentary json<|message|>{}<|call|>", begun),
    )
    parse(
        "harmony_refuses_what_is_malformed",
        ("<|channel|>analysis some more words here<|message|>x<|end|>", begun),
        ("<|channel|><|message|>x<|end|>", begun),
        ("hello", None),
        ("<|end|>", None),
        ("<|start|>nobody<|message|>x<|end|>", None),
        ("<|start|><|message|>x<|end|>", None),
        ("<|channel|>final", begun),
        ("", begun),
        ("<|start|>", None),
        ("<|message|>a<|end|>b", begun),
    )
    # What was rendered is read again, at random.
    generator, cases = random.Random(0), []
    words = ["cat", " sat", "\n\n", "é", "🤖", " <|end|> ", "{\"a\": 1}", "  ", "日本", "to=x", "0.5"]
    for _ in range(40):
        messages = []
        for _ in range(generator.randint(1, 4)):
            text = "".join(generator.choices(words, k=generator.randint(0, 8)))
            kind = generator.randrange(4)
            if kind == 0:
                messages.append(user(text))
            elif kind == 1:
                messages.append(assistant(text, generator.choice(["analysis", "commentary", "final", None])))
            elif kind == 2:
                kind = generator.choice([None, "json", "<|constrain|>json"])
                messages.append(assistant(text, "commentary", recipient="functions.f", content_type=kind))
            else:
                messages.append(say(Role.TOOL, text, "commentary", "assistant", name="functions.f"))
        cases.append((ENCODING.render_conversation(Conversation.from_messages(messages)), None))
    parse("harmony_parses_random_conversations", *cases)


if __name__ == "__main__":
    renders()
    parses()
    write("marks", {mark: ENCODING.encode(mark, allowed_special="all")[0] for mark in sorted(MARKS)})
