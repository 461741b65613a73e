// Speed: how fast the engine is in this browser.
import { useState } from "preact/hooks";
import { short } from "./parts.jsx";

const MODEL = "stories";
const ROWS = [
    ["encode", "encode text", "MB/s"],
    ["prefill", "read a prompt of 128 tokens", "tokens/s"],
    ["decode", "write tokens", "tokens/s"],
    ["product", "matrix product, 256 × 256", "GFLOP/s"],
];

export function Speed({ engine }) {
    const [state, setState] = useState({ rates: {}, busy: false });
    const measure = async () => {
        const rates = {};
        setState({ rates, busy: true });
        try {
            for (const [what] of ROWS) {
                const { rate, isa } = await engine.ask("speed", { model: MODEL, what }, [MODEL]);
                rates[what] = rate;
                setState({ rates: { ...rates }, isa, busy: true });
            }
            setState((state) => ({ ...state, busy: false }));
        } catch (error) {
            setState({ rates, error: error.message, busy: false });
        }
    };
    return (
        <>
            <p>
                <button disabled={state.busy} onClick={measure}>Measure</button> This takes about two seconds.
            </p>
            <div class="result" aria-live="polite" aria-busy={state.busy}>
                {state.error && <p class="error">{state.error}</p>}
                {state.isa && <p>One thread, kernels for {state.isa}:</p>}
                <table>
                    <tbody>
                        {ROWS.map(([what, name, unit]) => (
                            <tr>
                                <th scope="row">{name}</th>
                                <td data-what={what}>{state.rates[what] ? `${short(state.rates[what], 3)} ${unit}` : "–"}</td>
                            </tr>
                        ))}
                    </tbody>
                </table>
            </div>
        </>
    );
}
