// What the pages share: questions to the engine, and controls.
import { useEffect, useId, useRef, useState } from "preact/hooks";

/**
 * Asks a question whenever it changes. Returns the last answer, or an error, and whether the engine is still working. While it
 * works on one question, only the newest of the others is kept.
 */
export function useAnswer(engine, page, question, models) {
    const [state, setState] = useState({});
    const working = useRef();
    const newest = useRef();
    const key = JSON.stringify(question);
    useEffect(() => {
        newest.current = key;
        const ask = async () => {
            await working.current;
            if (newest.current !== key) return;
            const asked = engine.ask(page, question, models);
            working.current = asked.catch(() => {});
            const result = await asked.then((answer) => ({ answer }), (error) => ({ error: error.message }));
            setState({ ...result, key });
        };
        ask();
    }, [key]);
    return { ...state, busy: state.key !== key };
}

/** Shows an error in the page, or what was computed. */
export function Result({ state: { answer, error, busy }, children }) {
    return (
        <div class="result" aria-live="polite" aria-busy={busy}>
            {error ? <p class="error">{error}</p> : answer ? children(answer) : <p>The engine is starting …</p>}
        </div>
    );
}

export function TextField({ label, value, onInput, rows = 2 }) {
    const id = useId();
    return (
        <p class="field">
            <label for={id}>{label}</label>
            <textarea id={id} rows={rows} spellcheck={false} value={value} onInput={(event) => onInput(event.target.value)} />
        </p>
    );
}

export function Slider({ label, value, onInput, shown = value, ...range }) {
    const id = useId();
    return (
        <p class="field slider">
            <label for={id}>{label}</label>
            <input id={id} type="range" {...range} value={value} aria-valuetext={String(shown)} onInput={(event) => onInput(event.target.valueAsNumber)} />
            <output for={id}>{shown}</output>
        </p>
    );
}

/** A field for a number. `onInput` gets NaN if the text is not a number. */
export function NumberField({ label, value, onInput, ...range }) {
    const id = useId();
    return (
        <p class="field">
            <label for={id}>{label}</label>
            <input
                id={id}
                type="number"
                step="any"
                {...range}
                defaultValue={value}
                onInput={(event) => onInput(event.target.valueAsNumber)}
            />
        </p>
    );
}

/** A choice among a few. `options`: a list of [value, text]. */
export function Choice({ label, value, options, onInput }) {
    const id = useId();
    return (
        <p class="field">
            <label for={id}>{label}</label>
            <select id={id} value={String(value)} onInput={(event) => onInput(options.find(([value]) => String(value) === event.target.value)[0])}>
                {options.map(([value, text]) => <option value={String(value)}>{text}</option>)}
            </select>
        </p>
    );
}

/** The text of a token with its spaces visible. */
export const visible = (text) => text.replaceAll(" ", "·").replaceAll("\n", "⏎").replaceAll("\t", "⇥");

/** A token with its id below. `title` says more when a reader points at it. */
export function Token({ text, id, class: kind = "", title }) {
    return (
        <span class={`token ${kind}`} title={title}>
            {visible(text)}
            {id !== undefined && <small>{id}</small>}
        </span>
    );
}

/** A bar whose length is a share, from 0 to 1. */
export function Bar({ share, class: kind = "" }) {
    return <span class={`bar ${kind}`} style={`width: ${(100 * share).toFixed(2)}%`} />;
}

export const percent = (p, digits = 1) => `${(100 * p).toFixed(digits)} %`;

/** A number of the engine with a few digits. Infinity and NaN arrive as texts. */
export function short(number, digits = 4) {
    if (typeof number !== "number") return String(number);
    const size = Math.abs(number);
    const exponential = size !== 0 && (size < 1e-3 || size >= 1e6);
    const text = exponential ? number.toExponential(digits - 1) : String(Number(number.toPrecision(digits)));
    return text.replaceAll("-", "−");
}
