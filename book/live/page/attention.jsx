// Attention: where each token of a text looks, in any layer and head.
import { useState } from "preact/hooks";
import { Result, Slider, TextField, percent, useAnswer, visible } from "./parts.jsx";

const MODEL = "stories";
const WINDOW = 128; // of the model

export function Attention({ engine }) {
    const [text, setText] = useState("Once there was a shy fox named Tom. Tom liked snow.");
    const [layer, setLayer] = useState(2);
    const [head, setHead] = useState(0);
    const [window, setWindow] = useState(32);
    const state = useAnswer(engine, "attention", { model: MODEL, text, layer, head, window: window === 32 ? WINDOW : window }, [MODEL]);
    return (
        <>
            <TextField label="A text" value={text} onInput={setText} />
            <Slider label="Layer" min={0} max={3} value={layer} onInput={setLayer} />
            <Slider label="Head" min={0} max={3} value={head} onInput={setHead} />
            <Slider label="Window of layers 0 and 2" min={1} max={32} value={window} onInput={setWindow} shown={window === 32 ? "128 (trained)" : window} />
            <Result state={state}>{(answer) => <Table {...answer} />}</Result>
        </>
    );
}

const SIDE = 14;
const LEFT = 100;
const TOP = 96;
const SINK = 20;

function Table({ tokens, rows, sliding }) {
    const [at, point] = useState(rows.length - 1);
    const row = Math.min(at, rows.length - 1);
    const n = tokens.length;
    const [width, height] = [LEFT + SINK + SIDE * n + 4, TOP + SIDE * n];
    const best = rows[row].map((p, column) => [p, column]).sort(([a], [b]) => b - a).slice(0, 4);
    const name = (column) => (column === n ? "the sink" : `“${visible(tokens[column].text)}”`);
    return (
        <>
            <p>
                {sliding ? "This layer has a window." : "This layer sees the whole text."} “{visible(tokens[row].text)}” looks at{" "}
                {best.map(([p, column]) => `${name(column)} ${percent(p)}`).join(", ")}.
            </p>
            <Slider label="Token that looks" min={0} max={n - 1} value={row} onInput={point} shown={visible(tokens[row].text)} />
            <div class="wide">
                <svg class="map" viewBox={`0 0 ${width} ${height}`} width={width} height={height} role="img" aria-label="A row per token that looks, a column per token that is looked at, and first the sink">
                    {tokens.map(({ text }, i) => (
                        <>
                            <text x={LEFT - 4} y={TOP + SIDE * i + 11} text-anchor="end" class={i === row ? "here" : ""}>{visible(text)}</text>
                            <text transform={`translate(${LEFT + SINK + SIDE * i + 10} ${TOP - 4}) rotate(-90)`}>{visible(text)}</text>
                        </>
                    ))}
                    <text transform={`translate(${LEFT + 11} ${TOP - 4}) rotate(-90)`} class="sink">sink</text>
                    {rows.map((shares, i) => (
                        <g onPointerMove={() => point(i)}>
                            <rect x={LEFT} y={TOP + SIDE * i} width={SIDE} height={SIDE - 1} class="sink" fill-opacity={Math.sqrt(shares[n])} />
                            {shares.slice(0, i + 1).map((p, j) => (
                                <rect x={LEFT + SINK + SIDE * j} y={TOP + SIDE * i} width={SIDE - 1} height={SIDE - 1} fill-opacity={Math.sqrt(p)} class="share">
                                    <title>{percent(p)}</title>
                                </rect>
                            ))}
                        </g>
                    ))}
                    <rect x={LEFT - 1} y={TOP - 1 + SIDE * row} width={SINK + SIDE * n + 2} height={SIDE + 1} class="frame" />
                </svg>
            </div>
        </>
    );
}
