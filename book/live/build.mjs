// Builds the interactive pages of the book as plain files: target/live/web, which book/build copies into the book.
//
//   node book/live/build.mjs
//
//   text.js          the engine for pages that need no model, as wasm, and the worker that runs it
//   model.js         the same for pages that run a model; schema.js and training.js for one page each
//   vocabularies.js  the vocabularies of the models
//   stories.js       a model of book/live/models: its configuration, vocabulary and weights; and so on for each model
//   pages.js         what the pages show
//
// Files are scripts that hand over their content, because a page that was opened from a disk may load scripts and nothing else.
// Wasm and weights are compressed and written in base64.
//
// Needs Rust with the target wasm32-unknown-unknown (`rustup target add wasm32-unknown-unknown`), Node.js and npm.
// LIVE_CARGO adds arguments for cargo, such as -Zbuild-std=std,panic_abort for a compiler that has no standard library for wasm.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = dirname(dirname(HERE));
const TARGET = process.env.CARGO_TARGET_DIR ?? join(ROOT, "target");
const GLUE = join(ROOT, "target", "live", "glue");
const WEB = join(ROOT, "target", "live", "web");

const run = (program, ...rest) => execFileSync(program, ...rest);
const inherit = { stdio: ["ignore", "inherit", "inherit"], cwd: ROOT };

/** Compiles an engine, and writes the JavaScript through which it is called. */
function compile(feature) {
    const flags = `${process.env.RUSTFLAGS ?? ""} -C target-feature=+simd128`.trim();
    const more = ["--no-default-features", "--features", feature, ...(process.env.LIVE_CARGO ?? "").split(" ").filter(Boolean)];
    const cargo = ["build", "-p", "live", "--lib", "--target", "wasm32-unknown-unknown", "--profile", "web", ...more];
    run("cargo", cargo, { ...inherit, env: { ...process.env, RUSTFLAGS: flags } });
    const wasm = join(TARGET, "wasm32-unknown-unknown", "web", "live.wasm");
    const pack = ["run", "--quiet", "--manifest-path", join(HERE, "pack", "Cargo.toml"), "--target-dir", join(TARGET, "pack"), "--"];
    run("cargo", [...pack, wasm, GLUE], inherit);
    return readFileSync(join(GLUE, "live_bg.wasm"));
}

const packed = (bytes) => gzipSync(bytes, { level: 9 }).toString("base64");
const write = (name, content) => {
    writeFileSync(join(WEB, `${name}.js`), `ossiaLive.arrived(${JSON.stringify(name)}, ${JSON.stringify(content)});\n`);
};

/** Makes one script of a program and what it imports. */
async function bundle(entry) {
    const { build } = await import(join(HERE, "node_modules", "esbuild", "lib", "main.js"));
    const options = { bundle: true, minify: true, format: "iife", target: "es2022", write: false, legalComments: "none" };
    const jsx = { jsx: "automatic", jsxImportSource: "preact" };
    const { outputFiles } = await build({ ...options, ...jsx, entryPoints: [join(HERE, "page", entry)], alias: { glue: join(GLUE, "live.js") } });
    return outputFiles[0].text;
}

if (!existsSync(join(HERE, "node_modules", "esbuild"))) run("npm", ["ci", "--silent", "--no-audit", "--no-fund"], { ...inherit, cwd: HERE });
rmSync(WEB, { recursive: true, force: true });
mkdirSync(WEB, { recursive: true });
for (const feature of ["text", "schema", "model", "training"]) {
    const wasm = compile(feature);
    write(feature, { worker: await bundle("worker.js"), wasm: packed(wasm) });
    console.log(`${feature}: ${wasm.length} bytes of wasm, ${gzipSync(wasm, { level: 9 }).length} compressed`);
}
writeFileSync(join(WEB, "pages.js"), await bundle("main.jsx"));
const vocabularies = {};
for (const { name } of readdirSync(join(HERE, "models"), { withFileTypes: true })) {
    const file = (path) => readFileSync(join(HERE, "models", name, path));
    const [config, tokenizer] = ["config.json", "tokenizer.json"].map((path) => file(path).toString());
    vocabularies[name] = tokenizer;
    write(name, { config, tokenizer, weights: packed(file("model.safetensors")) });
}
write("vocabularies", vocabularies);
