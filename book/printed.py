"""Looks at the printed forms of the book: target/ossia.pdf and target/ossia.epub.

usage: python book/printed.py     (after book/build pdf and book/build epub; pictures of pages go to target/screens/pdf)
needs: pdftoppm and pdftotext (poppler-utils)

The PDF is wrong if pages are empty, or if a formula or Markdown is shown as it is written. The EPUB is wrong if a part of it is not XML,
or if a link within it leads nowhere.
"""

import re
import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parent.parent
PDF, EPUB, PAGES = ROOT / "target/ossia.pdf", ROOT / "target/ossia.epub", ROOT / "target/screens/pdf"


def pdf():
    text = subprocess.run(["pdftotext", "-layout", PDF, "-"], check=True, capture_output=True, text=True).stdout
    pages = text.split("\f")[:-1]
    for number, page in enumerate(pages, 1):
        if not page.strip():
            yield f"page {number} of the PDF is empty"
        for line in page.splitlines():
            if re.search(r"\$`|`\$|\{\{#", line):
                yield f"page {number} of the PDF shows what should have been drawn: {line.strip()}"
    if len(pages) < 200:
        yield f"the PDF has only {len(pages)} pages"
    PAGES.mkdir(parents=True, exist_ok=True)
    for number in range(1, len(pages), 40):  # a look at some of them
        subprocess.run(["pdftoppm", "-r", "60", "-png", "-f", str(number), "-l", str(number), PDF, PAGES / "page"], check=True)
    print(f"{len(pages)} pages in {PDF.name}; pictures of some in {PAGES}")


def epub():
    with zipfile.ZipFile(EPUB) as book:
        parts = {name: book.read(name).decode() for name in book.namelist() if name.endswith((".xhtml", ".opf", ".ncx"))}
    anchors = set()
    for name, text in parts.items():
        try:
            ElementTree.fromstring(text)
        except ElementTree.ParseError as error:
            yield f"{name} of the EPUB is not XML: {error}"
        anchors |= {Path(name).name + "#" + anchor for anchor in re.findall(r'\bid="([^"]+)"', text)}
    links = 0
    for name, text in parts.items():
        for link in re.findall(r'href="([^":]*#[^"]+)"', text):
            links += 1
            file, _, anchor = link.rpartition("#")
            if f"{Path(file).name or Path(name).name}#{anchor}" not in anchors:
                yield f"{name} of the EPUB: {link} leads nowhere"
    if not any("<math" in text for text in parts.values()):
        yield "the EPUB has no formula"
    print(f"{len(parts)} parts and {links} links in {EPUB.name}")


wrong = [*pdf(), *epub()]
sys.exit("\n".join(wrong) if wrong else 0)
