// What mdBook does not do by itself, before it reads a chapter: links to the code, questions with choices, notebooks, reading
// times, and the strip that shows where in the model a chapter is. mdBook calls this program; see `[preprocessor.ossia]` in book.toml.
//
//   node preprocess.mjs                  reads [context, book] on standard input and writes the book (mdBook's protocol)
//   node preprocess.mjs supports NAME    says by its exit code whether it can prepare the book for a renderer: for all
import { readFileSync, readdirSync } from "node:fs";
import { basename, dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { lines } from "./fences.mjs";
import { live, withoutLive } from "./live.mjs";
import { minutes } from "./minutes.mjs";
import { printedQuizzes, quizzes } from "./quiz.mjs";

const BOOK = dirname(fileURLToPath(import.meta.url));
const ROOT = dirname(BOOK);
const read = (path) => readFileSync(join(ROOT, path), "utf8");

// The page of a file of the project, which `source_pages.mjs` writes. Chapters link to the file itself.
const page = (path, line) => `source/${path}.html${line ? `#L${line}` : ""}`;

// Below a listing, a link to where it is from.
function listings(text) {
    const fence = /^```rust,ignore\n\{\{#include \.\.\/\.\.\/([^:}]+):(\w+)\}\}\n```$/gm;
    return text.replace(fence, (block, path, anchor) => {
        const line = read(path).split("\n").findIndex((line) => line.trimEnd().endsWith(`ANCHOR: ${anchor}`)) + 2;
        return `${block}\n\n<p class="source"><a href="${page(path, line)}">${path}</a></p>`;
    });
}

const fileLinks = (text) =>
    text.replace(/\]\(\.\.\/\.\.\/([^)#\s]+)\)/g, (link, path) =>
        path.startsWith("notebooks/") && path.endsWith(".ipynb")
            ? `](notebook_${basename(path, ".ipynb")}.md)`
            : `](${page(path.replace(/\/$/, ""))})`,
    );

// The functions of the tests: name → [path, line].
function testFunctions() {
    const functions = new Map();
    const visit = (directory) => {
        for (const entry of readdirSync(join(ROOT, directory), { withFileTypes: true })) {
            const path = posix.join(directory, entry.name);
            if (entry.isDirectory()) visit(path);
            else if (entry.name.endsWith(".rs")) {
                read(path).split("\n").forEach((line, i) => {
                    const name = /^\s*(?:pub )?fn (\w+)/.exec(line)?.[1];
                    if (name && !functions.has(name)) functions.set(name, [path, i + 1]);
                });
            }
        }
    };
    ["tests/verify", "tests/book", "tests/unsafe_code", "src"].forEach(visit);
    return functions;
}

// Markdown reads a caption only if empty lines set it apart from the tags around it.
const captions = (text) => text.replace(/<figcaption>([\s\S]*?)<\/figcaption>/g, "<figcaption>\n\n$1\n\n</figcaption>");

// The text of a `<summary>` stands in its tags, where Markdown does not read it.
const summaries = (text) => text.replace(/<summary>[\s\S]*?<\/summary>/g, (summary) => summary.replace(/`([^`]+)`/g, "<code>$1</code>"));

const readingTimes = (text) => text.replace(/\{\{#minutes (\w+)\}\}/g, (_, chapter) => `${minutes(BOOK, chapter)}`);

// Names of tests in text, but not in code, headings and links, become links to the tests.
function testLinks(text, functions) {
    return lines(text, (line) =>
        line.startsWith("#") ? line : line.replace(/(?<!\[)`([a-z0-9]+(?:_[a-z0-9]+){3,})`(?!\])/g, (code, name) => {
            const found = functions.get(name);
            return found ? `[${code}](${page(...found)})` : code;
        }),
    );
}

// `{{#notebook NAME}}`: the cells of a notebook, with what they showed.
function notebook(text) {
    return text.replace(/^\{\{#notebook (\w+)\}\}$/gm, (_, name) => {
        const shown = ({ output_type: kind, text, data }) => {
            const written = [text ?? data?.["text/plain"] ?? ""].flat().join("").replace(/\x1b\[[0-9;]*m/g, "").trimEnd();
            const picture = [data?.["image/svg+xml"] ?? ""].flat().join("");
            if (picture) return `<figure>\n${picture.split("\n").filter((line) => line.trim()).join("\n")}\n</figure>`;
            return kind && written ? `\`\`\`text\n${written}\n\`\`\`` : "";
        };
        const cells = JSON.parse(read(`notebooks/${name}.ipynb`)).cells.map(({ cell_type: kind, source, outputs = [] }) => {
            const text = [source].flat().join("");
            // Jupyter writes a formula as $x$, and the book as $`x`$.
            const formula = (_, inside) => `$\`${inside.replace(/\n/g, " ")}\`$`;
            if (kind === "markdown") return text.replace(/\$([^$]+)\$/g, formula);
            return [`\`\`\`rust,ignore\n${text}\n\`\`\``, ...outputs.map(shown)].join("\n\n");
        });
        return cells.join("\n\n");
    });
}

// The strip with the parts of the model, on top of each chapter about one of them.
function strip(text, chapter) {
    const svg = read("book/src/pictures/strip.svg");
    const stop = `href="${chapter}.html"`;
    if (!svg.includes(stop)) return text;
    const here = svg.replace(stop, `class="here" aria-current="page" ${stop}`).trimEnd();
    const nav = `<nav class="strip" aria-label="Where in the model this chapter is">\n${here}\n</nav>`;
    return text.replace("\n\n", `\n\n${nav}\n\n`);
}

const forAll = (text) => readingTimes(summaries(captions(notebook(text))));

function prepare(chapter, functions) {
    const name = basename(chapter.path, ".md");
    const text = testLinks(fileLinks(listings(strip(live(forAll(chapter.content), ROOT), name))), functions);
    chapter.content = quizzes(text, name);
}

// For a printed book or an electronic one, which has no pages of source.
function prepareForPrint(chapter) {
    const text = withoutLive(forAll(chapter.content))
        .replace(/\]\(\.\.\/\.\.\/notebooks\/(\w+)\.ipynb\)/g, "](notebook_$1.md)")
        .replace(/\[([^\]]*)\]\(\.\.\/\.\.\/[^)]*\)/g, "`$1`");
    chapter.content = printedQuizzes(text);
}

if (process.argv[2] !== "supports") {
    const [context, book] = JSON.parse(readFileSync(0, "utf8"));
    // book/build sets this for the PDF, which is made from HTML as well.
    const printed = context.renderer !== "html" || process.env.OSSIA_BOOK === "printed";
    const functions = printed ? null : testFunctions();
    const visit = (items) => {
        for (const { Chapter: chapter } of items) {
            if (!chapter) continue; // a heading of a part, or a line
            if (chapter.path && printed) prepareForPrint(chapter);
            else if (chapter.path) prepare(chapter, functions);
            visit(chapter.sub_items);
        }
    };
    visit(book.items);
    process.stdout.write(JSON.stringify(book));
}
