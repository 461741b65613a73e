// RMSNorm of two numbers: the result and its gradients, in a plane.
import { useState } from "preact/hooks";
import { Choice, Result, Slider, short, useAnswer } from "./parts.jsx";
import { useWidth } from "./plot.jsx";

const EPSILONS = [[0, "0"], [1e-5, "10⁻⁵, as in gpt-oss"], [0.1, "0.1"], [1, "1"]];
const VECTORS = ["x", "w", "dy"];
const RANGE = { min: -4, max: 4, step: 0.1 };

export function RmsNorm({ engine }) {
    const [question, setQuestion] = useState({ x: [3, 1], w: [1, 1], dy: [0.5, 1], eps: 1e-5 });
    const state = useAnswer(engine, "rms_norm", question);
    const change = (name, i) => (value) => setQuestion((question) => ({ ...question, [name]: question[name].with(i, value) }));
    return (
        <>
            <div class="sliders">
                {VECTORS.flatMap((name) => ["₁", "₂"].map((index, i) => (
                    <Slider {...RANGE} label={name + index} value={question[name][i]} onInput={change(name, i)} />
                )))}
            </div>
            <Choice label="ε" value={question.eps} options={EPSILONS} onInput={(eps) => setQuestion({ ...question, eps })} />
            <Result state={state}>{(answer) => <Answered {...question} {...answer} />}</Result>
        </>
    );
}

const pair = (numbers) => `(${numbers.map((number) => short(number)).join(", ")})`;

function Answered(answer) {
    const { y, r, dx, dw, product } = answer;
    return (
        <>
            <Plane {...answer} />
            <p>
                r = {short(r)}, <b class="green">y = {pair(y)}</b>, <b class="orange">dx = {pair(dx)}</b>, dw = {pair(dw)},
                x · dx = {short(product, 3)}
            </p>
            <p>
                Change the length of x without its direction: y hardly moves, and dx becomes shorter as x becomes longer. If ε is
                0, a change of x along itself does not change y. So dx has no component in this direction: it is orthogonal to x,
                whatever the weights are. With ε = 1 it is not.
            </p>
        </>
    );
}

/** The plane: x and y from the origin, dy and dx from their ends, and the curve on which y lies. */
function Plane({ x, y, dx, dy, curve }) {
    const [element, width] = useWidth();
    const height = Math.min(width, 420);
    const ends = [x, y, [x[0] + dx[0], x[1] + dx[1]], [y[0] + dy[0], y[1] + dy[1]], ...curve];
    const unit = (height / 2 - 16) / Math.max(2, ...ends.flat().map(Math.abs));
    const at = ([a, b]) => [width / 2 + a * unit, height / 2 - b * unit];
    const lines = { x: [[0, 0], x, "blue"], y: [[0, 0], y, "green"], dy: [y, dy, "grey"], dx: [x, dx, "orange"] };
    return (
        <figure class="plot" ref={element}>
            <svg width={width} height={height} role="img" aria-label="x, y and their gradients as arrows in the plane">
                <g class="tick">
                    <line x1={0} x2={width} y1={height / 2} y2={height / 2} />
                    <line x1={width / 2} x2={width / 2} y1={0} y2={height} />
                </g>
                <polyline class="green dashed" points={curve.map((point) => at(point).join(",")).join(" ")} />
                {Object.entries(lines).map(([name, [from, to, colour]]) => (
                    <Arrow name={name} from={at(from)} to={at([from[0] + to[0], from[1] + to[1]])} colour={colour} />
                ))}
            </svg>
            <figcaption class="legend">
                <span class="blue"><span class="key" /> x</span>
                <span class="green"><span class="key" /> y</span>
                <span class="green"><span class="key dashed" /> y for every direction of x</span>
                <span class="grey"><span class="key" /> dy</span>
                <span class="orange"><span class="key" /> dx</span>
            </figcaption>
        </figure>
    );
}

function Arrow({ name, from: [ax, ay], to: [bx, by], colour }) {
    const length = Math.hypot(bx - ax, by - ay);
    if (length < 1) return null;
    const [ux, uy] = [(bx - ax) / length, (by - ay) / length];
    const head = Math.min(9, length);
    const side = (sign) => `${bx - head * ux + sign * 0.45 * head * uy},${by - head * uy - sign * 0.45 * head * ux}`;
    return (
        <g class={colour}>
            <line x1={ax} y1={ay} x2={bx - 0.7 * head * ux} y2={by - 0.7 * head * uy} />
            <polygon points={`${bx},${by} ${side(1)} ${side(-1)}`} />
            <text x={bx + 12 * ux} y={by + 12 * uy + 4} text-anchor="middle">{name}</text>
        </g>
    );
}
