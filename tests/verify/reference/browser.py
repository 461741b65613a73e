"""What the browser of gpt-oss answers: writes browser.json.

Needs the `gpt_oss` package of https://github.com/openai/gpt-oss on the path and what its simple_browser imports:

    pip install aiohttp chz html2text lxml openai-harmony pydantic structlog tenacity tiktoken
    PYTHONPATH=path/to/gpt-oss python browser.py

The calls go through `SimpleBrowserTool` itself; only the web behind it is made up: a page is given as its text and links,
a search as what it finds.
"""

import asyncio
import json
from pathlib import Path

import chz
from gpt_oss.tools.simple_browser.backend import Backend
from gpt_oss.tools.simple_browser.page_contents import PageContents, process_html
from gpt_oss.tools.simple_browser.simple_browser_tool import SimpleBrowserTool
from openai_harmony import Author, Message, Role, TextContent

LONG = "\n\n".join(
    f"Paragraph {i} tells of the {['fox', 'raven', 'stork', 'well-behaved hen'][i % 4]} who went to market, "
    f"and of what it found there: {i * 37 % 11} silver-plated spoons, a half-finished letter -- and nothing else."
    for i in range(90)
)
LINKED = (
    "\nURL: https://tales.example/fox\nThe fox and 【0†the raven】 met at 【1†an inn far away from here, "
    "whose name is long enough to be broken across lines†inn.example】.\n\nThe FOX spoke first.\nSo it goes.\n"
    "【2†more】\n\nA fox again, at the end of a line that is rather longer than eighty characters, as lines of the web are."
)
EDGES = "\n".join(
    [
        "",
        "x" * 200,
        "a-b " * 40,
        "well-known-facts-about-hyphens-in-very-long-words-that-do-not-end-" * 3,
        "one--two---three ----four, five!--six \"quoted\"--and e-mail, a-1, 1-a, re-enter, --option, -x-y-z",
        "tab\tseparated\tvalues\tand\tmore\tof\tthem\tuntil\tthe\tline\tis\tfull\tand\tbreaks",
        "  leading space and " + "    wide    gaps   " * 8,
        "\u00fcber-gro\u00df " * 12 + "\u4e2d\u6587" * 60,
        "na\u00efve\u2014dash\u00a0no-break " * 6,
        "\U0001f600" * 90,
        "under_score-case x_-y_ \u2167-ab \u00b2\u00b2-ab 12-ab " * 4,
        " " * 100,
        "-" * 100,
        "ab-" + "c" * 100,
        "trailing   ",
        "vertical\x0bfeed and\x0cform \rreturn " * 5,
    ]
)
PAGES = {
    "https://tales.example/fox": ("The Fox", LINKED, ["https://tales.example/raven", "https://inn.example/a%20b", "https://tales.example/gone"]),
    "https://tales.example/raven": ("The Raven", LONG, []),
    "https://inn.example/a%20b": ("Inn \u201cof lines\u201d", EDGES, []),
}
HITS = {
    "fox": [
        ("The Fox", "https://tales.example/fox", "A fox meets a raven."),
        ("An Inn", "https://inn.example/a%20b", "Where they met, " * 12 + "and dined."),
    ],
    "nobody": [("One hit", "https://tales.example/raven", "")],
}


def page(url):
    title, text, links = PAGES[url]
    return PageContents(url=url, title=title, text=text, urls={str(i): link for i, link in enumerate(links)})


@chz.chz
class Made(Backend):
    async def search(self, query, topn, session):
        if query not in HITS:
            raise RuntimeError("no such search")
        items = "".join(f"<li><a href='{url}'>{title}</a> {summary}</li>" for title, url, summary in HITS[query])
        html = f"\n<html><body>\n<h1>Search Results</h1>\n<ul>\n{items}\n</ul>\n</body></html>\n"
        return process_html(html=html, url="", title=query, display_urls=True, session=session)

    async def fetch(self, url, session):
        if url not in PAGES:
            raise RuntimeError("no such page")
        return page(url)


CALLS = [
    ("open", {"id": 0}),
    ("find", {"pattern": "x"}),
    ("search", {"query": "missing"}),
    ("search", {"query": "fox"}),
    ("open", {"id": 0}),
    ("open", {"id": 0}),
    ("open", {"loc": 40}),
    ("open", {"loc": 40, "num_lines": 3}),
    ("open", {"loc": 100000}),
    ("open", {"loc": 268}),
    ("open", {"id": 7, "cursor": 0}),
    ("open", {"id": 1, "cursor": 0}),
    ("open", {"id": 1, "cursor": 0, "num_lines": 5}),
    ("open", {"id": 1, "cursor": 0, "num_lines": 0, "loc": 3}),
    ("open", {"cursor": 99}),
    ("open", {"cursor": -2, "num_lines": 2}),
    ("open", {"cursor": -99}),
    ("open", {"id": 2, "cursor": 1}),
    ("open", {"id": "https://tales.example/raven", "num_lines": 2}),
    ("open", {"id": "https://nowhere.example/" + "x" * 1100}),
    ("find", {"pattern": "Silver-Plated"}),
    ("open", {"id": 30}),
    ("open", {"id": 0, "cursor": 11, "num_lines": 2}),
    ("find", {"pattern": "silver", "cursor": 11}),
    ("find", {"pattern": "FOX", "cursor": 1}),
    ("open", {"id": 1}),
    ("find", {"pattern": "unicorn", "cursor": 1}),
    ("find", {"pattern": "inn far away", "cursor": 1}),
    ("find", {"pattern": "\u4e2d", "cursor": 6}),
    ("find", {"pattern": "meets", "cursor": 0}),
    ("open", "not json"),
    ("open", "[1]"),
    ("close", {}),
]


async def main():
    tool = SimpleBrowserTool(backend=Made(source="web"))
    calls = []
    for function, arguments in CALLS:
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        call = Message(author=Author(role=Role.ASSISTANT), content=[TextContent(text=text)]).with_recipient(f"browser.{function}")
        answers = [answer async for answer in tool._process(call)]
        assert len(answers) == 1
        calls.append({"function": function, "arguments": text, "answer": answers[0].content[0].text})
    answer = "It met a raven【1†L2-L3】, and dined【3†L40】【3†L40】; no display【77†L1】, none【1†】 of 【a†b】 these."
    written = {
        "pages": [{"url": url, "title": title, "text": text, "links": links} for url, (title, text, links) in PAGES.items()],
        "hits": {query: [{"title": t, "url": u, "summary": s} for t, u, s in hits] for query, hits in HITS.items()},
        "calls": calls,
        "cited": {"answer": answer, "urls": [a["url"] for a in tool.normalize_citations(answer)[1]]},
    }
    path = Path(__file__).parent / "browser.json"
    path.write_text(json.dumps(written, ensure_ascii=False, indent=1) + "\n")


asyncio.run(main())
