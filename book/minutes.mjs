// How long it takes to read a chapter: 200 words per minute, 6 seconds per line of code, 45 seconds per displayed formula.
// Folded text does not count, since few readers open all of it.
//
//   node book/minutes.mjs    prints a table
import { readFileSync, readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const LIMIT = 30;

function included(directory, path, anchor) {
    if (!path.endsWith(".rs")) return ""; // a picture
    const lines = readFileSync(join(directory, path), "utf8").split("\n");
    const mark = (kind) => lines.findIndex((line) => line.trimEnd().endsWith(`${kind}: ${anchor}`));
    const part = anchor ? lines.slice(mark("ANCHOR") + 1, mark("ANCHOR_END")) : lines;
    return part.filter((line) => !line.includes("ANCHOR")).join("\n");
}

function count(book, chapter) {
    const source = join(book, "src");
    const text = readFileSync(join(source, `${chapter}.md`), "utf8")
        .replace(/<details>[\s\S]*?<\/details>/g, "")
        .replace(/\{\{#include ([^:}]+):?(\w*)\}\}/g, (_, path, anchor) => included(source, path, anchor));
    const counted = { words: 0, code: 0, formulas: 0 };
    let language = null;
    for (const line of text.split("\n")) {
        const fence = /^\s*```(\w*)/.exec(line);
        if (fence) {
            language = language === null ? fence[1] : null;
            counted.formulas += language === "math";
        } else if (language === null || language === "quiz") {
            counted.words += line.replace(/<[^>]*>|\$`[^`]*`\$/g, "x").split(/\s+/).filter(Boolean).length;
        } else if (language !== "math" && line.trim()) {
            counted.code += 1;
        }
    }
    return counted;
}

/** The minutes that a chapter takes. */
export function minutes(book, chapter) {
    const { words, code, formulas } = count(book, chapter);
    return Math.round(words / 200 + (code * 6 + formulas * 45) / 60);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
    const book = dirname(fileURLToPath(import.meta.url));
    const chapters = readdirSync(join(book, "src")).filter((name) => name.endsWith(".md")).map((name) => basename(name, ".md"));
    const long = chapters.filter((chapter) => {
        const { words, code, formulas } = count(book, chapter);
        const time = minutes(book, chapter);
        console.log(`${chapter.padEnd(22)} ${String(time).padStart(3)} min: ${words} words, ${code} lines of code, ${formulas} formulas`);
        return time > LIMIT;
    });
    if (long.length) {
        console.error(`more than ${LIMIT} minutes: ${long.join(", ")}`);
        process.exitCode = 1;
    }
}
