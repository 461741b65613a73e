// Makes the pages that the book's links to the code lead to, from the sources beside it.
//
//   node source_pages.mjs DIRECTORY    (of the built book)
//
// A page has the frame of the book around it. Its links are relative to the book (`<base>`), and every line has an anchor.
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const built = process.argv[2];

const escape = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;");
const LANGUAGES = { rs: "rust", py: "python", mjs: "javascript", jsx: "javascript", js: "javascript", jsx: "javascript", toml: "toml", json: "json", md: "markdown" };

// What the pages of the book link to.
function wanted() {
    const paths = new Set();
    for (const name of readdirSync(built).filter((name) => name.endsWith(".html"))) {
        for (const [, path] of readFileSync(join(built, name), "utf8").matchAll(/href="source\/([^"#]+)\.html/g)) paths.add(path);
    }
    return paths;
}

function listing(path) {
    const lines = readFileSync(join(ROOT, path), "utf8").trimEnd().split("\n");
    const href = `source/${path}.html`;
    const numbers = lines.map((_, i) => `<a id="L${i + 1}" href="${href}#L${i + 1}">${i + 1}</a>`).join("\n");
    const language = LANGUAGES[path.split(".").pop()] ?? "plaintext";
    // A file says which chapter explains it.
    const linked = escape(lines.join("\n")).replace(/^(\/\/! Book: )(.*)$/m, (_, start, chapters) =>
        start + chapters.replace(/\[?(\w+)(?:\]\([^)]*\)|\.md)/g, (_, chapter) => `<a href="${chapter}.html">${chapter}</a>`),
    );
    const code = `<pre><code class="language-${language}">${linked}\n</code></pre>`;
    return `<div class="listing"><pre class="numbers" aria-hidden="true">${numbers}</pre>${code}</div>`;
}

function contents(path, add) {
    const names = readdirSync(join(ROOT, path)).filter((name) => !name.startsWith(".") && name !== "node_modules").sort();
    const items = names.map((name) => {
        if (name.endsWith(".safetensors")) return `<li>${escape(name)}</li>`; // numbers, not text
        const inside = posix.join(path, name);
        add(inside);
        return `<li><a href="source/${inside}.html">${escape(name)}</a></li>`;
    });
    return `<ul>${items.join("")}</ul>`;
}

const frame = readFileSync(join(built, "next.html"), "utf8");
const [before, after] = [frame.slice(0, frame.indexOf("<main>") + "<main>".length), frame.slice(frame.indexOf("</main>"))];
const paths = [...wanted()];
const known = new Set(paths);
const add = (path) => known.has(path) || (known.add(path), paths.push(path));
for (const path of paths) { // which grows by what directories hold
    const kind = statSync(join(ROOT, path));
    if (!kind.isDirectory() && kind.size > 500_000) throw new Error(`${path} is too large for a page`);
    const body = kind.isDirectory() ? contents(path, add) : listing(path);
    const target = join(built, "source", `${path}.html`);
    const up = "../".repeat(path.split("/").length);
    const head = before.replace("<head>", `<head><base href="${up}">`).replace(/<title>[^<]*/, `<title>${escape(path)}`);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, `${head}<h1><code>${escape(path)}</code></h1>\n${body}\n${after}`);
}
console.log(`${paths.length} pages of source`);
