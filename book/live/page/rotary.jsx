// Rotary positions: the wavelength of each pair of a head, with YaRN and without.
import { useState } from "preact/hooks";
import { NumberField, Result, Slider, short, useAnswer } from "./parts.jsx";
import { Plot } from "./plot.jsx";

const GPT_OSS = { factor: 32, beta_fast: 32, beta_slow: 1, original_context: 4096 };

export function Rotary({ engine }) {
    const [yarn, setYarn] = useState(GPT_OSS);
    const [fields, setFields] = useState(0); // counts how often the fields were filled again
    const state = useAnswer(engine, "rotary", yarn);
    const change = (name) => (value) => setYarn((yarn) => ({ ...yarn, [name]: value }));
    const reset = () => {
        setYarn(GPT_OSS);
        setFields(fields + 1);
    };
    return (
        <>
            <Slider label="Factor" min={1} max={64} value={yarn.factor} onInput={change("factor")} />
            <div class="row" key={fields}>
                <NumberField label="β_fast" min={0.01} value={yarn.beta_fast} onInput={change("beta_fast")} />
                <NumberField label="β_slow" min={0.01} value={yarn.beta_slow} onInput={change("beta_slow")} />
                <NumberField
                    label="Original context"
                    min={1}
                    value={yarn.original_context}
                    onInput={change("original_context")}
                />
                <button onClick={reset}>Values of gpt-oss</button>
            </div>
            <Result state={state}>{(answer) => <Wavelengths {...answer} yarn={yarn} />}</Result>
        </>
    );
}

function Wavelengths({ pairs, ramp: [low, high], concentration, yarn }) {
    const [chosen, choose] = useState(12);
    const pair = pairs[chosen];
    const of = (kind) => pairs.map((pair, i) => [i, pair[kind]]);
    const context = Number.isFinite(yarn.original_context) ? yarn.original_context : 1;
    const largest = Math.max(...pairs.map(({ yarn }) => yarn), context);
    const series = [
        { name: "RoPE", colour: "blue", kind: "dots", points: of("plain") },
        { name: "YaRN", colour: "orange", kind: "dots", points: of("yarn") },
        { colour: "ink", kind: "dots", size: 6, points: [[chosen, pair.yarn]] },
        { name: "original context", colour: "grey", kind: "line", dashed: true, points: [[-0.5, context], [31.5, context]] },
    ];
    return (
        <>
            <Plot
                label="Wavelength of each pair"
                x={{ label: "pair", low: -0.5, high: 31.5 }}
                y={{ label: "wavelength in positions", low: 1, high: 2 * largest, log: true }}
                bands={[{ from: low, to: high, name: "blended" }]}
                series={series}
            />
            <p>
                Pairs up to {short(low)} keep their frequency, and the frequencies of pairs from {short(high)} are divided
                by {yarn.factor}. cos and sin are multiplied by the concentration, {short(concentration, 5)}.
            </p>
            <Slider label="Pair" min={0} max={31} value={chosen} onInput={choose} />
            <p>
                Pair {chosen} completes one rotation after {short(pair.plain)} positions with RoPE, and after {short(pair.yarn)} with
                YaRN: {short(pair.slower)} times as many.
            </p>
        </>
    );
}
