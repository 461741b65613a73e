// SwiGLU of one gate and one up: the result, its gradients, and the curve over all gates.
import { useState } from "preact/hooks";
import { Result, Slider, short, useAnswer } from "./parts.jsx";
import { Plot } from "./plot.jsx";

export function SwiGlu({ engine }) {
    const [gate, setGate] = useState(1.5);
    const [up, setUp] = useState(0.5);
    const state = useAnswer(engine, "swiglu", { gate, up });
    return (
        <>
            <Slider label="Gate" min={-10} max={10} step={0.1} value={gate} onInput={setGate} />
            <Slider label="Up" min={-10} max={10} step={0.1} value={up} onInput={setUp} />
            <Result state={state}>{(answer) => <Answered {...answer} gate={gate} up={up} />}</Result>
        </>
    );
}

function Answered({ y, dgate, dup, alpha, limit, curve, gate, up }) {
    const results = curve.map(([, y]) => y);
    const [low, high] = [Math.min(-1, ...results), Math.max(1, ...results)];
    const room = 0.08 * (high - low);
    const tangent = [-3, 3].map((d) => [gate + d, y + d * dgate]);
    const series = [
        { name: `y for up = ${up}`, colour: "blue", kind: "line", points: curve },
        { name: "the tangent, with the slope dgate", colour: "orange", kind: "line", points: tangent },
        { colour: "orange", kind: "dots", size: 5, points: [[gate, y]] },
    ];
    const clamped = (name, is) => is && <> The {name} is at its limit or beyond it, so its gradient is 0.</>;
    return (
        <>
            <Plot
                label="y over the gate"
                x={{ label: "gate", low: -10, high: 10 }}
                y={{ label: "y", low: low - room, high: high + room }}
                series={series}
            />
            <p>
                α = {short(alpha)}, limit = {short(limit)}: y = {short(y)}, dgate = {short(dgate)}, dup = {short(dup)} for dy = 1.
                {clamped("gate", gate >= limit)}
                {clamped("up", Math.abs(up) >= limit)}
            </p>
        </>
    );
}
