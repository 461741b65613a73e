// Effort: the same question at low, medium and high reasoning effort.
import { useState } from "preact/hooks";
import { Result, Slider, TextField, useAnswer } from "./parts.jsx";

const MODEL = "sums";

export function Effort({ engine }) {
    const [text, setText] = useState("What is 347 + 285 - 120?");
    const [temperature, setTemperature] = useState(0);
    const state = useAnswer(engine, "effort", { model: MODEL, text, temperature, seed: 0 }, [MODEL]);
    const another = () => {
        const number = () => 1 + Math.floor(400 * Math.random());
        let text;
        do text = `What is ${number()} + ${number()} ${Math.random() < 0.5 ? "+" : "-"} ${number()}?`;
        while (!(sum(text) >= 0 && sum(text) < 1000)); // the model has learned no others
        setText(text);
    };
    return (
        <>
            <TextField label="A sum of two to five numbers, with results from 0 to 999" value={text} onInput={setText} rows={1} />
            <Slider label="Temperature" min={0} max={2} step={0.1} value={temperature} onInput={setTemperature} />
            <p>
                <button onClick={another}>Another question</button>
            </p>
            <Result state={state}>{({ replies }) => replies.map((reply) => <Reply {...reply} right={sum(text)} />)}</Result>
        </>
    );
}

/** The right answer of a question with a plain sum; undefined for other texts. */
function sum(text) {
    const found = /(\d+(?:\s*[+-]\s*\d+)+)/.exec(text);
    return found?.[1].replace(/\s/g, "").match(/[+-]?\d+/g).reduce((sum, term) => sum + Number(term), 0);
}

function Reply({ effort, messages, tokens, analysis, right }) {
    const said = (message) => message.content.map(({ text }) => text).join("");
    const final = messages.find(({ channel }) => channel === "final");
    const verdict = final && right !== undefined ? (said(final).trim() === String(right) ? "right" : `wrong: the sum is ${right}`) : "";
    return (
        <div class="reply" data-effort={effort}>
            <h4>{effort}</h4>
            <p>{tokens} tokens, {analysis} of them in the analysis channel</p>
            {messages.map((message) => (
                <p class={message.channel}>
                    <small>{message.channel}</small> {said(message)}
                </p>
            ))}
            {verdict && <p>{verdict === "right" ? "✓" : "✗"} {verdict}</p>}
        </div>
    );
}
