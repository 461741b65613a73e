// Makes one Markdown file for pandoc from the chapters, for readers of electronic books: formulas as MathML, pictures in the text, folded
// text unfolded, links within the book.
//
//   node epub.mjs DIRECTORY    (of mdBook's Markdown renderer) writes DIRECTORY/book.md
import { readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { lines } from "./fences.mjs";

const BOOK = dirname(fileURLToPath(import.meta.url));
const directory = process.argv[2];

const slug = (heading) => heading.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, "").trim().replace(/ /g, "-");

// Pandoc's own syntax for formulas. It does not know brackets of a given size, and writes arg min without a name of its own.
const formulas = (text) =>
    text
        .replace(/\\[Bb]ig[lr]?(?![a-z])/g, "")
        .replace(/\\operatorname\*\{arg\\,(min|max)\}/g, "\\arg\\$1")
        .replace(/^( *)```math\n([\s\S]*?)^ *```$/gm, "$1$$$$\n$2$1$$$$")
        .replace(/\$`([^`]*)`\$/g, "$$$1$$");

// `chapter.md#heading` becomes `#chapter-heading`, and headings have these names.
function links(text, chapter) {
    return lines(text, (line) => {
        const [, level, title] = /^(#+) (.*)$/.exec(line) ?? [];
        if (title) return `${line} {#${level === "#" ? chapter : `${chapter}-${slug(title)}`}}`;
        return line
            .replace(/\]\(#([\w-]+)\)/g, `](#${chapter}-$1)`)
            .replace(/\]\((\w+)\.md(?:#([\w-]+))?\)/g, (_, other, to) => `](#${other}${to ? `-${to}` : ""})`);
    });
}

// Not every reader folds, so nothing is folded.
const unfolded = (text) =>
    text.replace(/^( *)<details><summary>([\s\S]*?)<\/summary>/gm, "$1**$2**\n").replace(/^ *<\/details>/gm, "");

const summary = readFileSync(join(BOOK, "src/SUMMARY.md"), "utf8");
const chapters = [...summary.matchAll(/\]\((\w+)\.md\)/g)].map(([, chapter]) => chapter);
const all = chapters.map((chapter) => {
    const text = readFileSync(join(directory, `${chapter}.md`), "utf8");
    return formulas(links(unfolded(text), chapter)).replace(/^```rust,\w+$/gm, "```rust");
});
writeFileSync(join(directory, "book.md"), all.join("\n\n"));
console.log(`${chapters.length} chapters, ${basename(directory)}/book.md`);
