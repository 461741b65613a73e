"""Operates every interactive part of the built book, as a reader would, and compares its numbers with those of the engine.

usage: python book/live/operate.py [PART…]     (after book/build; pictures go to target/screens/live)
needs: pip install playwright, and chromium (CHROMIUM names it, else /usr/bin/chromium)

The same questions are answered by programs: `ossia`, and `ask`, which answers like a page does, but without a browser. A part is
wrong if its numbers differ from theirs, if it is wider than the screen, if a control has no name, or if the browser complains.
"""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parent.parent.parent
BOOK = ROOT / "target" / "book"
SCREENS = ROOT / "target" / "screens" / "live"
PROGRAMS = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
STORIES = ROOT / "book" / "live" / "models" / "stories"
SUMS = ROOT / "book" / "live" / "models" / "sums"
CHROMIUM = [
    "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
THEMES = {"light": (1280, 900), "navy": (390, 844)}
# The engine rounds in another order in a browser than in a program.
TOLERANCE = 2e-3


def ask(page, **question):
    """The answer to a question of a page, without a browser."""
    answer = subprocess.run([PROGRAMS / "examples" / "ask", page, json.dumps(question)], capture_output=True, text=True, check=True)
    return json.loads(answer.stdout)


def ossia(*arguments, text=""):
    return subprocess.run([PROGRAMS / "ossia", "-q", *arguments], input=text, capture_output=True, text=True, check=True).stdout


class Part:
    """An interactive part in a page of the browser."""

    def __init__(self, tab, name):
        self.place = tab.locator(f'.live[data-live="{name}"]')
        self.tab = tab

    def result(self):
        """Waits until the engine has answered, and returns what is shown."""
        self.place.locator('.result[aria-busy="false"]').last.wait_for(timeout=60_000)
        self.place.locator('.result[aria-busy="true"]').first.wait_for(state="detached", timeout=60_000)
        return self.place.locator(".result")

    def fill(self, label, text):
        self.place.get_by_label(label, exact=True).first.fill(text)
        self.tab.wait_for_timeout(50)

    def press(self, label, *keys):
        """Moves a slider with the keyboard."""
        slider = self.place.get_by_label(label, exact=True).first
        slider.focus()
        for key in keys:
            self.tab.keyboard.press(key)
        self.tab.wait_for_timeout(50)

    def click(self, text):
        self.place.get_by_role("button", name=text).first.click()
        self.tab.wait_for_timeout(50)


def numbers(text):
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", text)]


def same(shown, computed):
    assert abs(shown - computed) <= TOLERANCE * max(1.0, abs(computed)), f"the page shows {shown}; the engine computes {computed}"


def story(part):
    part.result()
    part.click("Another story")
    told = part.result().locator(".told").inner_text().strip()
    seed = re.search(r"Seed (\d+)", part.place.inner_text())[1]
    expected = ossia("generate", str(STORIES), "--temperature", "0.7", "--seed", seed, "--max-new-tokens", "255", "--prompt", "").strip()
    assert told == expected, f"the page tells {told!r}; ossia generate tells {expected!r}"


def tokens(part):
    text = "Zwölf fröhliche Füchse 🦊 jumped."
    part.fill("A text", text)
    shown = [int(id) for id in part.result().locator(".piece small").all_inner_texts()]
    expected = ossia("tokenizer", "encode", str(STORIES), text=text)
    assert shown == [int(id) for id in numbers(expected)], f"the page shows {shown}; ossia tokenizer encode prints {expected}"
    part.place.locator(".piece").nth(1).click()
    part.press(r"Merges of “·fröhliche”", "Home")
    assert "one token each" in part.place.inner_text(), "the first step shows the bytes"
    part.fill("A text", "")
    assert "0 bytes" in part.result().inner_text()


def sampling(part):
    part.fill("The beginning of a story", "Once there was a brave girl named")
    part.press("Temperature", *["ArrowRight"] * 10)
    part.press("Top-p", *["ArrowLeft"] * 20)
    part.click("Draw 1,000 tokens")
    part.result()
    question = {"temperature": 1.5, "top_k": 0, "top_p": 0.8, "min_p": 0, "seed": 1, "draws": 1000}
    expected = ask("sampling", model="stories", text="Once there was a brave girl named", **question)
    rows = part.place.locator(".distribution tbody tr")
    for row, token in zip(rows.all()[:5], expected["tokens"]):
        name, before, after, drawn = row.locator("td").all_inner_texts()[:4]
        assert name == token["text"].replace(" ", "·"), f"the page shows {name}; the engine computes {token}"
        same(numbers(before)[0] / 100, token["before"])
        same(numbers(after)[0] / 100, token["after"])
        assert abs(int(drawn) - token["drawn"]) <= 3, f"drawn {drawn} times; expected {token['drawn']}"


def attention(part):
    part.press("Layer", "Home")
    part.press("Head", "End")
    part.press("Window of layers 0 and 2", "Home", "ArrowRight", "ArrowRight")
    part.result()
    part.press("Token that looks", "End")
    said = part.result().locator("p").first.inner_text()
    text = "Once there was a shy fox named Tom. Tom liked snow."
    row = ask("attention", model="stories", text=text, layer=0, head=3, window=3)["rows"][-1]
    for shown, computed in zip(re.findall(r"([\d.]+) %", said), sorted(row, reverse=True)):
        same(float(shown) / 100, computed)
    assert "has a window" in said, said


def routing(part):
    part.press("Experts per token (A)", "End")
    shown = numbers(part.result().locator("b").inner_text())[0]
    text = "Once upon a time, there was a girl named Anna. Anna"
    expected = ask("routing", model="stories", text=text, active=4)
    same(shown, expected["loss"])
    load = part.place.locator(".routing tbody tr").last.locator("td").all_inner_texts()
    assert [int(count) for count in load] == expected["layers"][1]["load"], f"the page shows {load}"


def kv_cache(part):
    part.click("Continue the text both ways")
    said = part.result().inner_text()
    expected = ask("kv_cache", model="stories", text="Once there was a", tokens=40, cached=True)
    assert "Both ways give the same text" in said and " ".join(expected["text"].split()) in " ".join(said.split()), said
    shown = [int(part.place.locator(f".computed-{way}").inner_text()) for way in ("cached", "without")]
    prompt = expected["computed"][0]
    assert shown == [sum(expected["computed"]), sum(range(prompt, prompt + 40))], shown


def effort(part):
    question = "What is 58 + 263 - 7?"
    part.fill("A sum of two to five numbers, with results from 0 to 999", question)
    part.result()
    for reply in ask("effort", model="sums", text=question, temperature=0, seed=0)["replies"]:
        shown = part.place.locator(f'.reply[data-effort="{reply["effort"]}"]').inner_text()
        assert numbers(shown)[:2] == [reply["tokens"], reply["analysis"]], shown
        for message in reply["messages"]:
            assert message["content"][0]["text"] in shown, shown


def harmony(part):
    part.fill("Text", "How many?")
    shown = part.result().first.locator(".token small").all_inner_texts()
    conversation = {
        "messages": [
            {"role": "user", "content": "How many?"},
            {"role": "assistant", "channel": "analysis", "content": "2+2=4"},
            {"role": "assistant", "channel": "final", "content": "4"},
            {"role": "user", "content": "And 3 more?"},
        ]
    }
    rendered = json.loads(ossia("harmony", "render", "-", "--tokenizer", str(SUMS), text=json.dumps(conversation)))
    assert [int(id) for id in shown] == rendered["tokens"], f"the page shows {shown}; ossia harmony render prints {rendered['tokens']}"
    part.place.get_by_label("Parser").select_option("false")
    assert part.result().last.locator(".error").inner_text(), "a strict parser refuses a malformed reply"


def structured_output(part):
    schema = {"type": "array", "items": {"enum": ["sun", "snow"]}, "maxItems": 2}
    part.fill("A JSON Schema", json.dumps(schema))
    part.fill("The text so far", '["s')
    shown = int(part.result().locator(".allowed").inner_text())
    expected = ask("structured_output", vocabulary="stories", schema=json.dumps(schema), text='["s')
    assert shown == expected["count"], f"the page allows {shown} tokens; the engine {expected['count']}"
    part.click("Complete it")
    assert "may end here" in part.result().inner_text()
    written = part.place.get_by_label("The text so far").input_value()
    assert json.loads(written) in (["sun"], ["snow"]), written
    part.fill("A JSON Schema", "{")
    assert "not JSON" in part.result().locator(".error").inner_text()


def rotary(part):
    part.press("Factor", "Home")
    assert "1 times as many" in part.result().inner_text(), "a factor of 1 changes nothing"
    part.press("Factor", "End")
    part.press("Pair", "End")
    said = part.result().locator("p").last.inner_text()
    expected = ask("rotary", factor=64, beta_fast=32, beta_slow=1, original_context=4096)["pairs"][31]
    shown = re.search(r"after ([\d.e+]+) positions with RoPE, and after ([\d.e+]+) with YaRN: ([\d.]+) times", said)
    for value, name in zip(shown.groups(), ["plain", "yarn", "slower"]):
        same(float(value) / expected[name], 1)
    part.fill("β_fast", "-1")
    assert part.result().locator(".error").inner_text()


def rms_norm(part):
    part.press("x₁", *["ArrowLeft"] * 20)
    part.press("w₂", *["ArrowRight"] * 5)
    said = part.result().locator("p").first.inner_text().replace("−", "-")
    expected = ask("rms_norm", x=[1, 1], w=[1, 1.5], dy=[0.5, 1], eps=1e-5)
    shown = numbers(re.sub("[₁₂]", "", said))
    for value, computed in zip(shown, [expected["r"], *expected["y"], *expected["dx"], *expected["dw"]]):
        same(value, computed)


def swiglu(part):
    part.press("Up", *["ArrowRight"] * 10)
    said = part.result().locator("p").last.inner_text().replace("−", "-")
    expected = ask("swiglu", gate=1.5, up=1.5)
    for value, computed in zip(numbers(said)[2:5], [expected["y"], expected["dgate"], expected["dup"]]):
        same(value, computed)
    part.press("Gate", "End")
    assert "The gate is at its limit" in part.result().inner_text()


def gradients(part):
    part.fill("An expression", "ln(a) * b / a")
    part.result()
    part.press("Backward pass", "End")
    answer = ask("gradients", expression="ln(a) * b / a", values={"a": 0.5, "b": 3})
    last = answer["steps"][-1]["gradients"]
    rows = part.place.locator("tbody tr").all()
    for row, node, gradient in zip(rows, answer["nodes"], last):
        name, _, value, shown = row.locator("td").all_inner_texts()
        assert name == node["name"]
        same(numbers(value.replace("−", "-"))[0], node["value"])
        same(numbers(shown.replace("−", "-"))[0], gradient)
    part.fill("An expression", "a + * b")
    assert part.result().locator(".error").inner_text()


def mxfp4(part):
    part.place.get_by_label("Numbers", exact=True).select_option("outlier")
    shown = part.result()
    expected = ask("mxfp4", preset="outlier")
    assert str(expected["scale_byte"]) in shown.locator("p").first.inner_text()
    assert [int(byte, 16) for byte in part.place.locator(".hex").all_inner_texts()] == expected["bytes"]
    part.press("number 3", "Home")
    codes = part.result().locator(".cell code").all_inner_texts()
    assert codes[3] == "1110" or codes[3] == "1111", f"the smallest number has code {codes[3]}"


def training(part):
    part.click("Start")
    part.place.get_by_text("Step 5", exact=False).first.wait_for(timeout=60_000)
    part.click("Pause")
    said = part.place.inner_text()
    losses = numbers(re.search(r"loss ([\d.]+), learning rate", said)[1])
    first = ask("training", do="start", fault="none", seed=1)
    same(numbers(re.search(r"lowest possible one is ([\d.]+)", said)[1].rstrip("."))[0], first["floor"])
    assert 0 < losses[0] < first["uniform"] + 1, f"a loss of {losses[0]}"


def speed(part):
    part.click("Measure")
    rates = part.result().locator("td").all_inner_texts()
    assert len(rates) == 4 and all(numbers(rate)[0] > 0 for rate in rates), rates
    assert "wasm128" in part.place.inner_text(), "the kernels use SIMD"
    print("   ", "; ".join(rates))


# Each part, and the chapter that it is in.
PARTS = {
    gradients: "tensor",
    mxfp4: "mxfp4",
    rms_norm: "rms_norm",
    rotary: "rotary",
    speed: "browser",
    swiglu: "swiglu",
    training: "training",
    story: "cover",
    tokens: "tokens",
    sampling: "sampling",
    attention: "attention",
    routing: "routing",
    kv_cache: "kv_cache",
    effort: "effort",
    harmony: "harmony",
    structured_output: "structured_output",
}

UNNAMED = """place => [...place.querySelectorAll('button, input, select, textarea')]
    .filter(e => !(e.labels?.length || e.getAttribute('aria-label') || e.textContent.trim()))
    .map(e => e.outerHTML)"""


def operate(browser, theme, part, chapter):
    """Returns what is wrong with a part."""
    name, (width, height) = part.__name__, THEMES[theme]
    context = browser.new_context(viewport={"width": width, "height": height})
    context.add_init_script(f"localStorage.setItem('mdbook-theme', '{theme}')")
    tab = context.new_page()
    wrong = []
    tab.goto((BOOK / f"{chapter}.html").as_uri())
    tab.on("console", lambda message: wrong.append(f"the browser says: {message.text}"))
    tab.on("pageerror", lambda error: wrong.append(f"the browser says: {error}"))
    shown = Part(tab, name)
    start = time.monotonic()
    shown.place.locator("button.start").click()
    shown.place.locator(":not(.start)").first.wait_for(timeout=60_000)
    if part not in (kv_cache, speed, training):
        shown.result()
    first = time.monotonic() - start
    if not shown.place.evaluate("place => place.contains(document.activeElement)"):
        wrong.append("the focus is lost after the start")
    try:
        part(shown)
    except Exception as error:
        wrong.append(str(error))
    wider = tab.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    if wider > 0:
        wrong.append(f"{wider} pixels wider than the screen")
    wrong.extend(f"has no name: {control}" for control in shown.place.evaluate(UNNAMED))
    shown.place.screenshot(path=SCREENS / f"{name}-{width}-{theme}.png")
    context.close()
    print(f"{name}, {width} pixels, {theme}: first answer after {first:.2f} s")
    return [f"{name}, {width} pixels, {theme}: {line}" for line in wrong]


def main():
    SCREENS.mkdir(parents=True, exist_ok=True)
    if not (BOOK / "live").exists():
        sys.exit("there are no interactive parts in target/book: run book/build")
    chosen = [part for part in PARTS if part.__name__ in sys.argv[1:] or not sys.argv[1:]]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=CHROMIUM)
        wrong = [line for part in chosen for theme in THEMES for line in operate(browser, theme, part, PARTS[part])]
        browser.close()
    print(f"{len(chosen)} interactive parts on {len(THEMES)} screens, in {SCREENS}")
    sys.exit("\n".join(wrong) if wrong else 0)


main()
