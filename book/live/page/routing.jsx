// Routing: which experts each token of a text visits.
import { useState } from "preact/hooks";
import { Bar, Result, Slider, TextField, percent, useAnswer, visible } from "./parts.jsx";

const MODEL = "stories";

export function Routing({ engine }) {
    const [text, setText] = useState("Once upon a time, there was a girl named Anna. Anna");
    const [active, setActive] = useState(2);
    const [layer, setLayer] = useState(1);
    const state = useAnswer(engine, "routing", { model: MODEL, text, active }, [MODEL]);
    return (
        <>
            <TextField label="A text" value={text} onInput={setText} />
            <Slider label="Experts per token (A)" min={1} max={4} value={active} onInput={setActive} shown={active === 2 ? "2 (trained)" : active} />
            <Slider label="Layer" min={0} max={3} value={layer} onInput={setLayer} />
            <Result state={state}>{(answer) => <Visits {...answer} layer={layer} />}</Result>
        </>
    );
}

function Visits({ tokens, layers, experts, loss, layer }) {
    const { visits, load } = layers[layer];
    const all = [...Array(experts).keys()];
    const most = Math.max(...load);
    return (
        <>
            {loss !== null && (
                <p>
                    The model predicts this text with a loss of <b>{loss.toFixed(4)}</b> nats per token.
                </p>
            )}
            <div class="wide">
                <table class="routing">
                    <thead>
                        <tr>
                            <th scope="col">expert</th>
                            {all.map((e) => <th scope="col">{e}</th>)}
                        </tr>
                    </thead>
                    <tbody>
                        {tokens.map(({ text }, t) => (
                            <tr>
                                <th scope="row">{visible(text)}</th>
                                {all.map((e) => {
                                    const [, weight] = visits[t].find(([expert]) => expert === e) ?? [];
                                    const first = visits[t][0][0] === e;
                                    return (
                                        <td class={weight === undefined ? "" : first ? "first" : "other"} style={weight && `--share: ${(100 * weight).toFixed(0)}%`}>
                                            {weight?.toFixed(2)}
                                        </td>
                                    );
                                })}
                            </tr>
                        ))}
                        <tr>
                            <th scope="row">visits</th>
                            {load.map((count) => (
                                <td>
                                    {count}
                                    <Bar share={count / most} />
                                </td>
                            ))}
                        </tr>
                    </tbody>
                </table>
            </div>
            <p>The busiest expert gets {percent(most / load.reduce((a, b) => a + b, 0), 0)} of the visits; an even load would be {percent(1 / experts, 1)}.</p>
        </>
    );
}
