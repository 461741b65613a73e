"""Makes each notebook from the Rust program beside it, and runs it.

usage: python notebooks/build.py            runs every notebook and writes it with what it showed
       python notebooks/build.py autograd   that one
       python notebooks/build.py --check    runs them and writes nothing: fails if one fails, or is not what its source says
needs: pip install nbclient; cargo install --locked evcxr_jupyter && evcxr_jupyter --install

A source is a Rust program. Its `//!` lines are the first cell. In `main`, a line `// %%` begins a cell of code, and
`// %% [markdown]` one of text in comments. What the program has in its Cargo.toml, the notebook has in a cell of its own.
The kernel links each cell with an engine of its own, so parameters are made in the cell that trains them.
"""

import json
import os
import re
import sys
from datetime import datetime
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

HERE = Path(__file__).resolve().parent
SECONDS = 1800  # that one cell may take; the first compiles the engine
METADATA = {"kernelspec": {"name": "rust", "display_name": "Rust", "language": "rust"}, "language_info": {"name": "rust"}}
DEPENDENCIES = {
    "ossia": '{ path = "..", default-features = false, features = ["o200k", "parallel", "tools"] }',
    "notebook": '{ path = "." }',
    "ndarray": '{ version = "0.17.2", default-features = false, features = ["std"] }',
    "rand": '{ version = "0.10.4", default-features = false, features = ["std", "chacha"] }',
    "serde_json": '"1.0.154"',
    "tempfile": '"3.27.0"',
}

# Overrides what the kernel writes into its Cargo.toml: as in the engine's own profiles, dependencies are not checked.
PROFILE = """
[profile.dev.package."*"]
debug-assertions = false
incremental = false
overflow-checks = false

[profile.dev.package]
libsqlite3-sys = { opt-level = 0 }
ring = { opt-level = 0 }
rustls = { opt-level = 0 }
rustls-webpki = { opt-level = 0 }
ureq = { opt-level = 0 }
ureq-proto = { opt-level = 0 }
"""


def cells(source):
    """The cells of a program: (is it code, its text)."""
    lines = source.splitlines()
    title = [line[3:].removeprefix(" ") for line in lines if line.startswith("//!")]
    yield False, "\n".join(title)
    used = [name for name in DEPENDENCIES if f"{name}::" in source]
    yield True, "\n".join([":opt 3"] + [f":dep {name} = {DEPENDENCIES[name]}" for name in used])
    begin = next(i for i, line in enumerate(lines) if line.startswith("fn main"))
    kind, text = None, []
    for line in [line.removeprefix("    ") for line in lines[begin + 1 :]] + ["// %%"]:
        if line.startswith("// %%"):
            if kind is not None:
                yield kind, "\n".join(text).strip()
            kind, text = "[markdown]" not in line, []
        elif kind is False:
            text.append(line.removeprefix("//").removeprefix(" "))
        else:
            text.append(line.removesuffix("\n"))


def without_end(code):
    """The last cell has the end of `main` behind it."""
    lines = code.splitlines()
    while lines and lines[-1].strip() in ("}", "Ok(())", ""):
        lines.pop()
        if lines and lines[-1].strip() == "Ok(())":
            lines.pop()
            break
    return "\n".join(lines).strip()


def notebook(path):
    parts = list(cells(path.read_text()))
    parts[-1] = (parts[-1][0], without_end(parts[-1][1]))
    make = {True: new_code_cell, False: new_markdown_cell}
    made = [make[code](text, id=f"{path.stem}-{i}") for i, (code, text) in enumerate(parts) if text]
    return new_notebook(cells=made, metadata=METADATA)


def said(book):
    return [(cell.cell_type, cell.source) for cell in book.cells]


def run(books):
    """Executes the cells of all notebooks in one kernel, which analyzes the engine once. `:clear` removes what a notebook
    has defined before the next one starts. The output of a failing cell has colours for a terminal."""
    cells = [cell for book in books for cell in [*book.cells, new_code_cell(":clear")]]
    resources = {"metadata": {"path": str(HERE)}}
    try:
        whole, limits = new_notebook(cells=cells, metadata=METADATA), {"timeout": SECONDS, "startup_timeout": SECONDS}
        NotebookClient(whole, kernel_name="rust", resources=resources, **limits).execute()
    except CellExecutionError as error:
        shown = [str(error)] + [output.get("text", output.get("evalue", "")) for cell in cells for output in cell.get("outputs", [])]
        return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(shown))


def seconds(book):
    """The time from the start of the first cell to the end of the last."""
    times = [datetime.fromisoformat(time) for cell in book.cells for time in cell.metadata.get("execution", {}).values()]
    return (max(times) - min(times)).total_seconds() if times else 0


def compile_in(directory):
    """Makes all notebooks compile in one directory, so that the engine is compiled once."""
    (directory / ".cargo").mkdir(parents=True, exist_ok=True)
    (directory / ".cargo" / "config.toml").write_text(PROFILE)
    os.environ["EVCXR_TMPDIR"] = str(directory / "session")
    if "avx2" in Path("/proc/cpuinfo").read_text():
        os.environ["OSSIA_ISA"] = "avx2"  # the committed outputs were made with it
    (directory / "session").mkdir(exist_ok=True)


def main():
    names = [name for name in sys.argv[1:] if name != "--check"]
    check = "--check" in sys.argv
    compile_in(HERE.parent / "target" / "notebooks")
    sources = sorted(path for path in HERE.glob("*.rs") if not names or path.stem in names)
    books = [notebook(path) for path in sources]
    for path, book in zip(sources, books):
        if check and said(nbformat.read(path.with_suffix(".ipynb"), 4)) != said(book):
            sys.exit(f"{path.stem}.ipynb is not what {path.name} says: python notebooks/build.py {path.stem}")
    failure = run(books)
    for path, book in zip(sources, books):
        time = seconds(book)
        for cell in book.cells:
            cell.metadata.pop("execution", None)
        if not check and not failure:
            path.with_suffix(".ipynb").write_text(json.dumps(book, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
        pictures = sum("image/svg+xml" in output.get("data", {}) for cell in book.cells for output in cell.get("outputs", []))
        print(f"{path.stem}: {len(book.cells)} cells, {pictures} pictures, {time:.0f} s", flush=True)
    sys.exit(failure)


main()
