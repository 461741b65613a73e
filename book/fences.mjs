/** Changes the lines of a Markdown text that are outside of fenced code. */
export function lines(text, change) {
    let fence = null;
    return text.split("\n").map((line) => {
        const mark = /^\s*(```+)/.exec(line)?.[1];
        if (mark && (fence === null || mark.length >= fence.length)) {
            fence = fence === null ? mark : null;
            return line;
        }
        return fence === null ? change(line) : line;
    }).join("\n");
}
