// Sampling: the distribution of the next token, what temperature and filters make of it, and draws.
import { useState } from "preact/hooks";
import { Bar, Result, Slider, TextField, percent, useAnswer, visible } from "./parts.jsx";

const MODEL = "stories";
const K = [1, 2, 3, 5, 10, 20, 50, 100, 0]; // 0: all tokens

export function Sampling({ engine }) {
    const [text, setText] = useState("Once there was a");
    const [temperature, setTemperature] = useState(1);
    const [k, setK] = useState(K.length - 1);
    const [top_p, setTopP] = useState(1);
    const [min_p, setMinP] = useState(0);
    const [seed, setSeed] = useState(0);
    const [draws, setDraws] = useState(0);
    const question = { model: MODEL, text, temperature, top_k: K[k], top_p, min_p, seed, draws };
    const state = useAnswer(engine, "sampling", question, [MODEL]);
    const draw = () => {
        setDraws(1000);
        setSeed(seed + 1);
    };
    return (
        <>
            <TextField label="The beginning of a story" value={text} onInput={setText} />
            <Slider label="Temperature" min={0} max={3} step={0.05} value={temperature} onInput={setTemperature} shown={temperature.toFixed(2)} />
            <Slider label="Top-k" min={0} max={K.length - 1} value={k} onInput={setK} shown={K[k] || "all"} />
            <Slider label="Top-p" min={0} max={1} step={0.01} value={top_p} onInput={setTopP} shown={top_p.toFixed(2)} />
            <Slider label="Min-p" min={0} max={1} step={0.01} value={min_p} onInput={setMinP} shown={min_p.toFixed(2)} />
            <p>
                <button onClick={draw}>Draw 1,000 tokens</button>
            </p>
            <Result state={state}>{(answer) => <Distribution {...answer} draws={draws} append={(more) => setText(text + more)} />}</Result>
        </>
    );
}

function Distribution({ tokens, kept, of, draws, append }) {
    const largest = Math.max(...tokens.map(({ before, after }) => Math.max(before, after)));
    return (
        <>
            <p>
                {kept} of {of} tokens may be drawn. Choose a token to append it to the text.
            </p>
            <div class="wide">
                <table class="distribution">
                    <thead>
                        <tr>
                            <th scope="col">token</th>
                            <th scope="col">probability</th>
                            <th scope="col">with these settings</th>
                            {draws > 0 && <th scope="col">of {draws} draws</th>}
                            <th scope="col" class="bars" aria-hidden="true" />
                        </tr>
                    </thead>
                    <tbody>
                        {tokens.map(({ text, before, after, drawn }) => (
                            <tr>
                                <td>
                                    <button class="token" onClick={() => append(text)}>{visible(text)}</button>
                                </td>
                                <td>{percent(before)}</td>
                                <td>{percent(after)}</td>
                                {draws > 0 && <td>{drawn}</td>}
                                <td class="bars" aria-hidden="true">
                                    <Bar share={before / largest} />
                                    <Bar share={after / largest} class="second" />
                                </td>
                            </tr>
                        ))}
                    </tbody>
                </table>
            </div>
        </>
    );
}
