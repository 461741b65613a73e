// The interactive parts of a chapter, which are below a still picture:
//
//   {{#live tokens text vocabularies: See how a text of yours becomes tokens}}
//
// names the page (book/live/page), the files that it loads (book/live/build.mjs), and what a reader can do there.
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";

const DIRECTIVE = /^\{\{#live (\w+)((?: \w+)*): (.+)\}\}$/gm;

/** Replaces each by a place that theme/live.js fills. Without the files of book/live/build.mjs, it is left out. */
export function live(text, root) {
    const file = (name) => join(root, "target", "live", "web", `${name}.js`);
    return text.replace(DIRECTIVE, (_, page, names, title) => {
        const files = ["pages", ...names.split(" ").filter(Boolean)].map(file);
        if (!files.every(existsSync)) return "";
        const bytes = files.reduce((sum, file) => sum + statSync(file).size, 0);
        const size = `${(bytes / 1e6).toFixed(1)} MB`;
        return `<section class="live" data-live="${page}" data-size="${size}" data-title="${title.replaceAll('"', "&quot;")}" aria-label="Interactive: ${page.replaceAll("_", " ")}"></section>`;
    });
}

/** Leaves them out, for paper. */
export const withoutLive = (text) => text.replace(DIRECTIVE, "");
