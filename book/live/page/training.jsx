// Training: a very small model learns, a few steps at a time, so that the reader can pause it and change it.
import { useEffect, useRef, useState } from "preact/hooks";
import { Choice, Slider, short } from "./parts.jsx";
import { Plot } from "./plot.jsx";

const MEASURE_EVERY = 50; // steps
const PATIENCE = 150; // milliseconds that one question should take
const POINTS = 400; // points of a curve

// The name of a fault, what it is, and what the reader will see.
const FAULTS = [
    ["none", "nothing", "The loss falls quickly at first and then slowly, and the samples become more and more like stories."],
    [
        "high_learning_rate",
        "a learning rate 30 times as high",
        `Each step overshoots: the model learns how frequent each token is, and the loss stays there until you lower the learning
        rate.`,
    ],
    [
        "unshifted",
        "targets that are not shifted",
        `The model learns to repeat its input: its loss falls to almost 0, but on unseen stories it rises, and the samples are
        empty, because the token that begins a story also ends one.`,
    ],
    [
        "mismatched",
        "targets of another window",
        `The inputs say nothing about these targets: the model learns how frequent each token is, and the loss stays there.`,
    ],
    [
        "few_stories",
        "only six stories",
        `The model learns them by heart: its loss falls below the floor, while the loss on unseen stories rises, and the samples
        become copies of these stories.`,
    ],
    [
        "frozen_embedding",
        "a frozen embedding",
        `The embedding, which also computes the logits, keeps its random numbers: the other parameters learn, but the loss falls
        more slowly.`,
    ],
];

const fresh = () => ({ losses: [], measured: [], sample: "", started: null, step: 0 });

export function Training({ engine }) {
    const [run, setRun] = useState(fresh);
    const [running, setRunning] = useState(false);
    const [error, setError] = useState("");
    const [fault, setFault] = useState("none");
    const [exponent, setExponent] = useState(-2.3); // of the learning rate
    const rate = useRef();
    rate.current = 10 ** exponent;
    const turn = useRef(0); // counts starts and pauses: an older loop ends
    useEffect(() => () => ++turn.current, []);

    const go = async (from, fault) => {
        const mine = ++turn.current;
        const current = () => mine === turn.current;
        let now = from;
        const update = (change) => current() && setRun((now = { ...now, ...change }));
        const ask = (question) => engine.ask("training", question);
        const measure = async () => {
            const { step, loss, sample } = await ask({ do: "measure" });
            update({ measured: [...now.measured, [step, loss]], sample });
        };
        setError("");
        setRunning(true);
        try {
            if (!now.started) {
                update({ started: await ask({ do: "start", fault, seed: Date.now() % 1e6 }) });
                await measure();
            }
            for (let steps = 1; current(); ) {
                const before = performance.now();
                const { step, losses, learning_rate } = await ask({ do: "step", steps, learning_rate: rate.current });
                const each = (performance.now() - before) / steps;
                const all = [...now.losses, ...losses.map((loss, i) => [step - losses.length + 1 + i, loss])];
                update({ step, losses: all, each, learning_rate });
                if (step % MEASURE_EVERY === 0 && current()) await measure();
                steps = Math.max(1, Math.min(10, Math.floor(PATIENCE / each), MEASURE_EVERY - (step % MEASURE_EVERY)));
            }
        } catch (error) {
            if (current()) setError(error.message);
        }
        if (current()) setRunning(false);
    };
    const pause = () => {
        ++turn.current;
        setRunning(false);
    };
    const restart = (fault) => {
        const run = fresh();
        setRun(run);
        go(run, fault);
    };
    const choose = (fault) => {
        setFault(fault);
        restart(fault);
    };
    return (
        <>
            <div class="row">
                <button onClick={() => (running ? pause() : go(run, fault))}>
                    {running ? "Pause" : run.started ? "Continue" : "Start"}
                </button>
                <button onClick={() => restart(fault)} disabled={!run.started}>Start again</button>
                <Choice label="Bug:" value={fault} options={FAULTS} onInput={choose} />
            </div>
            <Slider
                label="Learning rate"
                min={-4}
                max={-1}
                step={0.1}
                value={exponent}
                shown={short(10 ** exponent, 2)}
                onInput={setExponent}
            />
            <p>{FAULTS.find(([name]) => name === fault)[2]}</p>
            <div class="result" aria-busy={running && !run.started}>
                {error && <p class="error" role="alert">{error}</p>}
                {run.started ? <Curve {...run} /> : running && <p>The engine makes a tokenizer and a model …</p>}
            </div>
        </>
    );
}

/** Fewer points, each the mean of some neighbours. */
function thinned(points) {
    const size = Math.ceil(points.length / POINTS);
    if (size < 2) return points;
    const mean = (numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
    const groups = Array.from({ length: Math.ceil(points.length / size) }, (_, i) => points.slice(i * size, (i + 1) * size));
    return groups.map((group) => [0, 1].map((axis) => mean(group.map((point) => point[axis]))));
}

function Curve({ started, losses, measured, sample, step, each, learning_rate: rate }) {
    const { parameters, vocabulary, tokens_per_step: tokens, floor, uniform } = started;
    const [measuredAt, unseen] = measured.at(-1) ?? [0, "–"];
    const last = Math.max(100, step);
    const across = (y) => [[0, y], [last, y]];
    const highest = [...losses, ...measured].reduce((highest, [, loss]) => Math.max(highest, loss), uniform);
    const series = [
        { name: "loss of each step", colour: "blue", kind: "line", points: thinned(losses) },
        { name: "loss on unseen stories", colour: "orange", kind: "dots", points: measured },
        { name: "all tokens equally probable", colour: "grey", kind: "line", dashed: true, points: across(uniform) },
        { name: "entropy floor", colour: "green", kind: "line", dashed: true, points: across(floor) },
    ];
    return (
        <>
            <Plot
                label="The loss over the steps"
                x={{ label: "step", low: 0, high: last }}
                y={{ label: "nats per token", low: 0, high: Math.min(1.05 * highest, 3 * uniform) }}
                series={series}
            />
            <p>
                Step {step}: {(step * tokens).toLocaleString("en")} tokens seen
                {losses.length > 0 && <>, loss {short(losses.at(-1)[1])}, learning rate {short(rate, 2)}</>}
                {each && <>, {Math.round(1000 / each)} steps per second</>}. The loss on unseen stories is {short(unseen)}, and
                the lowest possible one is {short(floor)}.
            </p>
            <p>A sample after {measuredAt} steps:</p>
            <blockquote class="sample">{sample || "(The text ended at once.)"}</blockquote>
            <p class="hint">
                The model: 2 layers, hidden size 64, 4 experts of which each token uses 2, {parameters.toLocaleString("en")}
                {" "}parameters, a vocabulary of {vocabulary} tokens and a context of 128. Each step sees {tokens} tokens.
            </p>
        </>
    );
}
