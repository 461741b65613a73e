// MXFP4: a block of 32 numbers as sliders, its bytes, and what they decode to.
import { useEffect, useState } from "preact/hooks";
import { Choice, Result, short, useAnswer } from "./parts.jsx";
import { Plot } from "./plot.jsx";

// The name of a preset, its description, and the largest number of its sliders.
const PRESETS = [
    ["normal", "normally distributed", 4],
    ["outlier", "the same, with one outlier", 32],
    ["small", "the same, 1,000 times smaller", 0.004],
];

export function Mxfp4({ engine }) {
    const [preset, setPreset] = useState("normal");
    const [numbers, setNumbers] = useState(null); // null: those of the preset
    const state = useAnswer(engine, "mxfp4", numbers ? { numbers } : { preset });
    const [shown, setShown] = useState();
    useEffect(() => state.answer && setShown(state.answer), [state.answer]);
    const limit = PRESETS.find(([name]) => name === preset)[2];
    const choose = (name) => {
        setPreset(name);
        setNumbers(null);
    };
    const change = (i, value) => setNumbers((numbers ?? shown.numbers).with(i, value));
    return (
        <>
            <Choice label="Numbers" value={preset} options={PRESETS} onInput={choose} />
            <Result state={state}>
                {(answer) => <Block {...answer} numbers={numbers ?? answer.numbers} limit={limit} onChange={change} />}
            </Result>
        </>
    );
}

const bits = (code) => code.toString(2).padStart(4, "0");
const hex = (byte) => byte.toString(16).padStart(2, "0").toUpperCase();

function Block({ numbers, scale_byte: byte, scale, bytes, numbers_decoded: decoded, errors, limit, onChange, ...rest }) {
    const largest = rest.largest_error;
    const points = (numbers) => numbers.map((number, i) => [i, number]);
    const worst = errors.findIndex((error) => Math.abs(error) === largest);
    return (
        <>
            <p>
                Scale: the byte {byte}, which is 2<sup>{short(byte - 127)}</sup> = {short(scale)}. The block takes 17 bytes: this
                byte and the 16 below. The largest error is {short(largest)}
                {largest > 0 && <>, at number {worst}: {short(numbers[worst])} becomes {short(decoded[worst])}</>}.
            </p>
            <Plot
                label="The numbers before and after"
                height={220}
                x={{ label: "number", low: -0.5, high: 31.5 }}
                y={{ label: "value", low: -1.05 * limit, high: 1.05 * limit }}
                series={[
                    { name: "the numbers", colour: "blue", kind: "dots", points: points(numbers) },
                    { name: "decoded", colour: "orange", kind: "dots", size: 2.5, points: points(decoded) },
                ]}
            />
            <div class="block">
                {bytes.map((code, at) => (
                    <div class="byte" role="group" aria-label={`byte ${at}`}>
                        {[0, 1].map((half) => {
                            const i = 2 * at + half;
                            return (
                                <label class={i === worst && largest > 0 ? "cell worst" : "cell"}>
                                    <input
                                        type="range"
                                        aria-label={`number ${i}`}
                                        aria-valuetext={`${short(numbers[i])}, decoded ${short(decoded[i])}`}
                                        min={-limit}
                                        max={limit}
                                        step={limit / 200}
                                        value={numbers[i]}
                                        onInput={(event) => onChange(i, event.target.valueAsNumber)}
                                    />
                                    <span class="blue">{short(numbers[i], 2)}</span>
                                    <code>{bits((code >> (4 * half)) & 15)}</code>
                                    <span class="orange">{short(decoded[i], 2)}</span>
                                    <small>{short(errors[i], 2)}</small>
                                </label>
                            );
                        })}
                        <code class="hex">{hex(code)}</code>
                    </div>
                ))}
            </div>
            <p class="hint">
                Below each slider: the number, its code, the decoded value and the error. Below each pair: their byte, with the
                first code in the low half.
            </p>
        </>
    );
}
