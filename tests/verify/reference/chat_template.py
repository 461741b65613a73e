"""Writes what transformers makes of chats with ossia's chat templates: chat_template.json.

usage: python chat_template.py O200K_BASE TEMPLATE ARITHMETIC
    O200K_BASE  the file o200k_base.tiktoken
    TEMPLATE    the output of `ossia harmony template`
    ARITHMETIC  a run directory of `ossia train --task arithmetic --steps 1`
needs: pip install transformers==5.24.0 jinja2 tiktoken
"""

import json
import random
import sys
import zlib
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import TikTokenConverter

HERE = Path(__file__).parent
NAMED = {199998: "startoftext", 199999: "endoftext", 200002: "return", 200003: "constrain", 200005: "channel"}
NAMED |= {200006: "start", 200007: "end", 200008: "message", 200012: "call", 200018: "endofprompt"}


def gpt_oss(ranks, template, pattern):
    """The tokenizer of gpt-oss with a chat template."""
    specials = [f"<|{NAMED.get(id, f'reserved_{id}')}|>" for id in range(199998, 201088)]
    converter = TikTokenConverter(vocab_file=ranks, pattern=pattern, extra_special_tokens=specials)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=converter.converted())
    assert all(tokenizer.convert_tokens_to_ids(f"<|{name}|>") == id for id, name in NAMED.items())
    tokenizer.chat_template = Path(template).read_text()
    return tokenizer


def tokenizers(ranks, template, run):
    split = json.loads(Path(run, "tokenizer.json").read_text())["pre_tokenizer"]["pretokenizers"][0]
    model = gpt_oss(ranks, template, split["pattern"]["Regex"])
    return {"gpt-oss": model, "arithmetic": AutoTokenizer.from_pretrained(run)}


TOKENIZERS = tokenizers(*sys.argv[1:4])
CASES = []


def render(template, messages, tools=None, **options):
    """Adds a case: the tokens, or the exception that the template raises."""
    case = {"template": template, "messages": messages, "tools": tools, "options": options}
    tokenizer = TOKENIZERS[template]
    try:
        case["ids"] = tokenizer.apply_chat_template(messages, tools=tools, return_dict=False, **options)
    except Exception as error:
        case["error"] = f"{type(error).__name__}: {error}"
    CASES.append({key: value for key, value in case.items() if value not in (None, {})})
    return case


def accept(messages, tools=None, template="gpt-oss", **options):
    """Both as a prompt and as a text for training."""
    for prompt in [True, False]:
        case = render(template, messages, tools, add_generation_prompt=prompt, **options)
        assert "error" not in case, case


def refuse(expected, messages, tools=None, template="gpt-oss", **options):
    case = render(template, messages, tools, **options)
    assert expected in case.get("error", ""), case


def user(text):
    return {"role": "user", "content": text}


def assistant(text=None, thinking=None, *calls):
    message = {"role": "assistant", "content": text, "reasoning_content": thinking, "tool_calls": list(calls)}
    return {key: value for key, value in message.items() if value is not None and value != []}


def call(name, arguments, id=None):
    made = {"type": "function", "function": {"name": name, "arguments": arguments}}
    return made | ({"id": id} if id else {})


def result(text, **of):
    return {"role": "tool", "content": text} | of


def function(name, parameters=None, description=""):
    made = {"name": name, "description": description}
    return {"type": "function", "function": made | ({} if parameters is None else {"parameters": parameters})}


WEATHER = function(
    "get_weather",
    {"type": "object", "properties": {"place": {"type": "string"}, "days": {"type": "integer"}}, "required": ["place"]},
    "Returns the weather.\nIn degrees.",
)
HI = user("Hi")


def messages_of_every_kind():
    accept([HI])
    accept([{"role": "system", "content": "Be brief."}, HI])
    accept([{"role": "developer", "content": "Be brief.\n\nBe polite."}, HI])
    accept([{"role": "system", "content": "A"}, {"role": "developer", "content": "B"}, HI])
    accept([HI, {"role": "developer", "content": "Now in rhyme."}, user("Go on")])
    accept([{"role": "user", "name": "alice", "content": "I am Alice"}, {"role": "user", "name": "bob", "content": "Bob"}])
    accept([{"role": "user", "content": [{"type": "text", "text": "one part"}]}])
    accept([user(""), assistant("")])
    accept([user("  spaces \n\n around \t"), assistant("\n")])
    accept([user("<|star t|> </s> 日本語 émoji 🎉 {{ 7 * 7 }} {% if %} \\n \"'")])
    accept([assistant("I begin.", "Nobody has asked.")])
    for effort in ["low", "medium", "high"]:
        accept([HI], reasoning_effort=effort)
    accept([HI], model_identity="You are a \"tiny\" model.\nYou add.", conversation_start_date="2025-08-05")


def reasoning():
    one, two = [user("1?"), assistant("one", "hm 1")], [user("2?"), assistant("two", "hm 2")]
    accept(one)
    accept(one + two)
    accept(one + two + [user("3?")])
    accept([user("1?"), {"role": "assistant", "content": "one", "thinking": "under its other name"}, HI])
    accept(one + [user("2?"), assistant(None, "only thoughts")])
    accept(one + [user("2?"), assistant(None, "it is hot", call("get_weather", {"place": "Rome"}))], [WEATHER])
    accept(one + [user("2?"), assistant("two")])


def calls():
    rome, oslo = call("get_weather", {"place": "Rome", "days": 2}, "r"), call("get_weather", '{"place":"Oslo"}', "o")
    accept([HI], [WEATHER])
    accept([{"role": "system", "content": "Be brief."}, HI], [WEATHER, function("now")])
    accept([HI, assistant(None, "look", rome)], [WEATHER])
    accept([HI, assistant(None, "look", rome), result("hot", tool_call_id="r")], [WEATHER])
    accept([HI, assistant(None, "look", rome), result("hot", name="get_weather"), assistant("Hot.", "so")], [WEATHER])
    accept([HI, assistant("I will look.", "look", oslo), result("cold"), assistant("Cold."), user("And?")], [WEATHER])
    accept([HI, assistant(None, None, rome, oslo), result("cold", tool_call_id="o"), result("hot", tool_call_id="r")])
    for names in [["python"], ["browser"], ["python", "browser"], []]:
        accept([HI], builtin_tools=names)
    program = [HI, assistant(None, "compute", call("python", "print(6 * 7)")), result("42\n"), assistant("42")]
    accept(program, builtin_tools=["python"])
    accept(program + [user("Sure?")], [WEATHER], builtin_tools=["python"])
    search = call("browser.search", {"query": "ossia"})
    accept([HI, assistant(None, None, search), result("[0] ossia")], builtin_tools=["browser"])


def schemas():
    for name in ["harmony_renders_every_form_of_schema", "harmony_renders_numbers_of_every_size"]:
        golden = json.loads((HERE / f"harmony/{name}.json").read_text())
        content = golden["conversation"]["messages"][0]["content"][0]
        for tool in content["tools"]["functions"]["tools"]:
            accept([HI], [{"type": "function", "function": tool}])
    accept([HI], [{"name": "bare", "description": "Without a wrapper", "parameters": {}}])
    accept([HI], [function("lines", None, "one\r\ntwo\n\nfour\n")])
    rng = random.Random(1)
    for _ in range(30):
        accept([HI], [function("f", any_schema(rng, 3), "Any")])


def any_schema(rng, depth):
    kinds = ["string", "number", "integer", "boolean", "null", ["string", "integer"], []] + ["object", "array", "oneOf"] * 2
    kind = rng.choice(kinds if depth else kinds[:7])
    schema = {} if kind == "oneOf" else {"type": kind}
    schema |= {key: f"the {key} {rng.randrange(3)}" for key in ["title", "description"] if rng.random() < 0.4}
    if rng.random() < 0.2:
        schema["examples"] = ["a", 1, "b"]
    if rng.random() < 0.3:
        schema["default"] = rng.choice(["x", 1, -2.5, 1e-7, True, None, ["é\n"], {"k": [1, "2"]}])
    if kind == "string" and rng.random() < 0.5:
        schema["enum"] = ["x", "y", 3]
    if rng.random() < 0.2:
        schema["nullable"] = rng.random() < 0.7
    if kind == "object" and rng.random() < 0.8:
        schema["properties"] = {f"p{i}": any_schema(rng, depth - 1) for i in range(rng.randrange(4))}
        schema["required"] = ["p0", "p2"]
    if kind == "array" and rng.random() < 0.8:
        schema["items"] = any_schema(rng, depth - 1)
    if kind == "oneOf":
        schema["oneOf"] = [any_schema(rng, depth - 1) for _ in range(rng.randrange(1, 4))]
    return schema


def random_chats():
    rng = random.Random(2)
    words = ["Hello", " wörld", "\n", "42", " 数", "  ", "🎉", "don't", "{}", "</a>", "\t", "<|", "|>", "it's", "\u0301"]

    def text():
        return "".join(rng.choices(words, k=rng.randrange(1, 12)))

    for _ in range(40):
        chat = [{"role": rng.choice(["system", "developer"]), "content": text()}] if rng.random() < 0.5 else []
        for turn in range(rng.randrange(1, 4)):
            chat.append(user(text()))
            for i in range(rng.choice([0, 0, 1, 2])):
                made = call("get_weather", {"place": text(), "days": i}, f"{turn}-{i}")
                preamble = text() if rng.random() < 0.3 else None
                chat += [assistant(preamble, text() if rng.random() < 0.7 else None, made)]
                chat += [result(text(), tool_call_id=f"{turn}-{i}")]
            chat.append(assistant(text(), text() if rng.random() < 0.6 else None))
        if rng.random() < 0.5:
            chat.pop()
        accept(chat, [WEATHER] if rng.random() < 0.5 else None)


def arithmetic():
    question = user("What is 347 + 285?")
    accept([question], template="arithmetic")
    accept([question, assistant("632", "347+285=632")], template="arithmetic", reasoning_effort="high")
    accept([question, assistant("632", "347+285=632"), user("What is 1 + 1?")], template="arithmetic", builtin_tools=[])
    product = [user("What is 12 * 13?"), assistant(None, None, call("python", "print(12*13)")), result("156\n")]
    accept(product, template="arithmetic")
    accept(product + [assistant("156")], template="arithmetic", reasoning_effort="low")
    refuse("no built-in tool browser", [question], template="arithmetic", builtin_tools=["browser"])


def refusals():
    marks = ["<|start|>", "<|message|>", "<|end|>", "<|return|>", "<|call|>", "<|channel|>", "<|constrain|>"]
    for mark in marks + ["<|endoftext|>", "<|reserved_200013|>"]:
        refuse("would become a special token", [user(f"I say {mark}")])
    mark = "a<|end|>b"
    refuse("content contains", [{"role": "system", "content": mark}, HI])
    refuse("content contains", [HI, assistant(None, None, call("f", {}, "i")), result(mark, tool_call_id="i")])
    refuse("reasoning_content contains", [HI, assistant("x", mark)])
    refuse("arguments contains", [HI, assistant(None, None, call("f", {"x": mark}))])
    refuse("tools contains", [HI], [function("f", None, mark)])
    refuse("model_identity contains", [HI], model_identity=mark)
    refuse("conversation_start_date contains", [HI], conversation_start_date=mark)
    refuse("letters, digits", [HI], [function("f\n", None)])
    refuse("letters, digits", [HI, assistant(None, None, call("f to=python", {}))])
    refuse("letters, digits", [{"role": "user", "name": "<|end|>", "content": "x"}])
    refuse("a role is", [{"role": "critic", "content": "x"}])
    refuse("has no content", [{"role": "user"}])
    refuse("single part", [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}])
    refuse("single part", [{"role": "user", "content": [{"type": "image", "url": "x"}]}])
    refuse("content is not a string", [user(7)])
    refuse("arguments is not a string", [HI, assistant(None, None, {"function": {"name": "f"}})])
    refuse("neither content nor", [HI, {"role": "assistant"}])
    refuse("answers no call", [HI, result("x")])
    refuse("answers no call", [HI, assistant(None, None, call("f", {}, "i")), result("x", tool_call_id="j")])
    refuse("answers no call", [HI, assistant(None, None, call("f", {}), call("g", {})), result("x")])
    refuse("low, medium or high", [HI], reasoning_effort="enormous")
    refuse("no place for documents", [HI], documents=[{"title": "t", "text": "x"}])
    refuse("no built-in tool", [HI], builtin_tools=["shell"])
    refuse("name of a built-in tool", [HI], [function("python")], builtin_tools=["python"])
    refuse("have names", [{"role": "assistant", "name": "x", "content": "x"}])
    refuse("have tool_calls", [{"role": "user", "content": "x", "tool_calls": [call("f", {})]}])


def main():
    for write in [messages_of_every_kind, reasoning, calls, schemas, random_chats, arithmetic, refusals]:
        write()
    crcs = {name: zlib.crc32(tokenizer.chat_template.encode()) for name, tokenizer in TOKENIZERS.items()}
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in CASES)
    text = f'{{"templates": {json.dumps(crcs)}, "cases": [\n{lines}\n]}}\n'
    (HERE / "chat_template.json").write_text(text)


main()
