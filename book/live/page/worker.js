// Runs the engine beside the page, so that the page never waits for it.
//
// Messages to it: {id, do: "start", wasm}, {id, do: "open", name, config, tokenizer, weights} for a model,
// {id, do: "open", name, tokenizer} for a vocabulary, and {id, do: "ask", page, question}.
// Its answers: {id, answer} or {id, error}, and {panic} after which it does not answer any more.
import init, { Engine } from "glue";

let engine;
let panic; // the message of a panic
globalThis.panicked = (message) => (panic = message);

// ANCHOR: tasks
const tasks = {
    async start({ wasm }) {
        await init({ module_or_path: wasm });
        engine = new Engine();
    },
    open({ name, config, tokenizer, weights }) {
        if (weights) engine.open(name, config, tokenizer, new Uint8Array(weights));
        else engine.open_vocabulary(name, tokenizer);
    },
    ask({ page, question }) {
        return JSON.parse(engine.ask(page, JSON.stringify(question)));
    },
};

// One after the other, although `start` waits.
let last = Promise.resolve();
onmessage = ({ data }) => {
    last = last.then(async () => {
        try {
            postMessage({ id: data.id, answer: await tasks[data.do](data) });
        } catch (error) {
            // The engine's own errors are of the class Error; a trap and an exhausted stack have classes of their own.
            const stopped = panic ?? (error?.constructor === Error ? undefined : String(error));
            postMessage(stopped ? { panic: stopped } : { id: data.id, error: error.message ?? String(error) });
        }
    });
};
// ANCHOR_END: tasks
