"""Looks at every page of the built book, as a reader would: on a phone and on a desk, light and dark.

usage: python book/screens.py     (after book/build; pictures go to target/screens)
needs: pip install playwright, and chromium (CHROMIUM names it, else /usr/bin/chromium)

A page is wrong if it is wider than the screen, if a formula was not drawn, or if the browser complains.
"""

import os
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parent.parent
BOOK = ROOT / "target" / "book"
SCREENS = ROOT / "target" / "screens"
SIZES = {"phone": (390, 844), "desk": (1280, 900)}
THEMES = {"light": "light", "dark": "navy"}
LEFT_OUT = {"404.html", "toc.html", "print.html"}
LOOK = """() => ({
    wide: document.documentElement.scrollWidth - window.innerWidth,
    sources: document.querySelectorAll('code.language-math, .katex-error').length,
    dollars: [...document.querySelectorAll('main p, main li, main td, main figcaption')].filter(e => {
        const text = e.cloneNode(true);
        text.querySelectorAll('code, .katex').forEach(part => part.remove());
        return text.textContent.includes('$');
    }).length,
    markdown: [...document.querySelectorAll('main figcaption, main .quiz, main summary')].filter(e => /\\]\\(|`|\\*\\*/.test(e.textContent)).length,
})"""


def main():
    SCREENS.mkdir(parents=True, exist_ok=True)
    pages = sorted(page for page in BOOK.glob("*.html") if page.name not in LEFT_OUT)
    if not pages:
        sys.exit("there is no book in target/book: run book/build")
    wrong = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"])
        for size, (width, height) in SIZES.items():
            for theme, name in THEMES.items():
                context = browser.new_context(viewport={"width": width, "height": height})
                context.add_init_script(f"localStorage.setItem('mdbook-theme', '{name}')")
                tab = context.new_page()
                said = []
                tab.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
                tab.on("pageerror", lambda error: said.append(str(error)))
                for page in pages:
                    said.clear()
                    tab.goto(page.as_uri(), wait_until="load")
                    seen = tab.evaluate(LOOK)
                    where = f"{page.name}, {size}, {theme}"
                    if seen["wide"] > 0:
                        wrong.append(f"{where}: {seen['wide']} pixels wider than the screen")
                    if seen["sources"] or seen["dollars"]:
                        wrong.append(f"{where}: {seen['sources'] + seen['dollars']} formulas are not drawn")
                    if seen["markdown"]:
                        wrong.append(f"{where}: Markdown is shown as it is written")
                    wrong.extend(f"{where}: {line}" for line in said)
                    tab.screenshot(path=SCREENS / f"{page.stem}-{size}-{theme}.png", full_page=True)
                context.close()
        browser.close()
    print(f"{len(pages)} pages, {len(SIZES) * len(THEMES)} screens each, in {SCREENS}")
    sys.exit("\n".join(wrong) if wrong else 0)


main()
