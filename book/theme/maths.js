// Maths stands in code, as on GitHub: ```math blocks, and $`…`$ within a line. So it can be read in the source, and
// Markdown leaves it alone.
(() => {
    if (typeof katex === "undefined") return; // not built by book/build: the source of the formulas is shown
    const render = (code, target, displayMode) => {
        const place = document.createElement(displayMode ? "div" : "span");
        try {
            katex.render(code.textContent, place, { displayMode, strict: "error" });
            target.replaceWith(place);
        } catch (error) {
            console.error(error.message); // the source stays where it is
        }
    };
    for (const code of document.querySelectorAll("pre > code.language-math")) render(code, code.parentElement, true);
    for (const code of document.querySelectorAll("main :not(pre) > code")) {
        const [before, after] = [code.previousSibling, code.nextSibling];
        if (!before?.textContent.endsWith("$") || !after?.textContent.startsWith("$")) continue;
        before.textContent = before.textContent.slice(0, -1);
        after.textContent = after.textContent.slice(1);
        render(code, code, false);
    }
})();
