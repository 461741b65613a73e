// The engine as a page sees it: questions go to a worker, and answers come back.

const unpacked = async (base64) => {
    const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
};

export class Engine {
    #program; // the name of its file; see build.mjs
    #worker; // a promise of the worker
    #waiting = new Map(); // id → [resolve, reject]
    #opened = new Map(); // name of a model → a promise
    #last = 0;

    constructor(program) {
        this.#program = program;
    }

    /** Asks a question on a page, after the models or the vocabularies that it needs were opened. */
    async ask(page, question, needed = []) {
        await Promise.all(needed.map((name) => this.#open(name)));
        return this.#send({ do: "ask", page, question });
    }

    #open(name) {
        if (!this.#opened.has(name)) {
            const opened = this.#program === "model" ? this.#openModel(name) : this.#openVocabulary(name);
            opened.catch(() => this.#opened.delete(name));
            this.#opened.set(name, opened);
        }
        return this.#opened.get(name);
    }

    async #openVocabulary(name) {
        const vocabularies = await ossiaLive.load("vocabularies");
        await this.#send({ do: "open", name, tokenizer: vocabularies[name] });
    }

    async #openModel(name) {
        const { config, tokenizer, weights } = await ossiaLive.load(name);
        const bytes = await unpacked(weights);
        await this.#send({ do: "open", name, config, tokenizer, weights: bytes }, [bytes]);
    }

    async #send(message, transfer = []) {
        this.#worker ??= this.#start().catch((error) => {
            this.#worker = undefined; // so that the next question tries again
            throw error;
        });
        const worker = await this.#worker;
        return this.#post(worker, message, transfer);
    }

    #post(worker, message, transfer = []) {
        const id = ++this.#last;
        return new Promise((resolve, reject) => {
            this.#waiting.set(id, [resolve, reject]);
            worker.postMessage({ id, ...message }, transfer);
        });
    }

    async #start() {
        const { worker: source, wasm } = await ossiaLive.load(this.#program);
        const worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
        worker.onmessage = ({ data: { id, answer, error, panic } }) => {
            if (panic) return this.#stop(worker, `the engine stopped: ${panic}`);
            const [resolve, reject] = this.#waiting.get(id);
            this.#waiting.delete(id);
            error === undefined ? resolve(answer) : reject(new Error(error));
        };
        worker.onerror = (event) => this.#stop(worker, event.message || "this browser does not start the engine from a file");
        await this.#post(worker, { do: "start", wasm: await unpacked(wasm) });
        return worker;
    }

    /** Ends a worker that cannot go on. The next question starts a new one. */
    #stop(worker, message) {
        worker.terminate();
        this.#worker = undefined;
        this.#opened.clear();
        for (const [, reject] of this.#waiting.values()) reject(new Error(message));
        this.#waiting.clear();
    }
}
