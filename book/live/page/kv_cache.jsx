// The KV cache: how many tokens run through the model with it and without it.
import { useState } from "preact/hooks";
import { Result, Slider, TextField, useAnswer } from "./parts.jsx";

const MODEL = "stories";

export function KvCache({ engine }) {
    const [text, setText] = useState("Once there was a");
    const [tokens, setTokens] = useState(40);
    const [state, compare] = useTimed(engine);
    const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
    return (
        <>
            <TextField label="The beginning of a story" value={text} onInput={setText} />
            <Slider label="New tokens" min={1} max={150} value={tokens} onInput={setTokens} />
            <p>
                <button disabled={state?.busy} onClick={() => compare({ model: MODEL, text, tokens })}>Continue the text both ways</button>
            </p>
            {state && (
                <Result state={state}>
                    {([without, cached]) => (
                        <>
                            <p>{cached.text === without.text ? "Both ways give the same text:" : "The texts differ, which is a fault:"} <q>{cached.text}</q></p>
                            <table>
                                <thead>
                                    <tr>
                                        <th scope="col" />
                                        <th scope="col">tokens through the model</th>
                                        <th scope="col">time</th>
                                    </tr>
                                </thead>
                                <tbody>
                                    <tr>
                                        <th scope="row">without a cache</th>
                                        <td class="computed-without">{sum(without.computed)}</td>
                                        <td>{without.ms.toFixed(0)} ms</td>
                                    </tr>
                                    <tr>
                                        <th scope="row">with a cache</th>
                                        <td class="computed-cached">{sum(cached.computed)}</td>
                                        <td>{cached.ms.toFixed(0)} ms</td>
                                    </tr>
                                </tbody>
                            </table>
                            <p>
                                For the last token, {without.computed.at(-1)} tokens ran through the model without a cache, and {cached.computed.at(-1)} with it.
                            </p>
                        </>
                    )}
                </Result>
            )}
        </>
    );
}

/** Asks the same question without and with a cache, and measures the time of both. */
function useTimed(engine) {
    const [state, setState] = useState();
    const compare = async (question) => {
        setState({ ...state, busy: true });
        try {
            const answer = [];
            await engine.ask("kv_cache", { ...question, tokens: 1, cached: true }, [MODEL]); // so that the model is open
            for (const cached of [false, true]) {
                const start = performance.now();
                const result = await engine.ask("kv_cache", { ...question, cached }, [MODEL]);
                answer.push({ ...result, ms: performance.now() - start });
            }
            setState({ answer, busy: false });
        } catch (error) {
            setState({ error: error.message, busy: false });
        }
    };
    return [state, compare];
}
