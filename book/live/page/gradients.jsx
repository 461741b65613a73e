// Gradients: the graph of an expression, and the backward pass step by step.
import { useState } from "preact/hooks";
import { NumberField, Result, Slider, short, useAnswer } from "./parts.jsx";

const [COLUMN, ROW, WIDTH, HEIGHT] = [148, 82, 118, 62];

export function Gradients({ engine }) {
    const [expression, setExpression] = useState("a*b + exp(a)");
    const [values, setValues] = useState({ a: 0.5, b: 3 });
    const state = useAnswer(engine, "gradients", { expression, values });
    const [variables, setVariables] = useState({}); // of the last expression without an error
    const known = state.answer?.variables ?? variables;
    if (known !== variables) setVariables(known);
    return (
        <>
            <p class="field">
                <label for="gradients-expression">An expression</label>
                <input
                    id="gradients-expression"
                    type="text"
                    spellcheck={false}
                    autocapitalize="off"
                    value={expression}
                    onInput={(event) => setExpression(event.target.value)}
                />
            </p>
            <p class="hint">Variables, numbers, + − * / ( ), exp, ln, sqrt and sigmoid.</p>
            <div class="row">
                {Object.entries(known).map(([name, value]) => (
                    <NumberField
                        key={name}
                        label={name}
                        value={value}
                        onInput={(value) => setValues((values) => ({ ...values, [name]: value }))}
                    />
                ))}
            </div>
            <Result state={state}>{(answer) => <Passes key={expression} {...answer} />}</Result>
        </>
    );
}

function Passes({ nodes, steps, start }) {
    const [step, setStep] = useState(0);
    const now = steps[step - 1];
    const gradients = now?.gradients ?? start;
    const receiver = now && nodes[now.from].inputs[now.input];
    const said = now
        ? `${nodes[now.from].name} = ${nodes[now.from].text} passes ${short(now.gradient)} to ${nodes[receiver].name}.`
        : "Before the first step: the gradient of the result with respect to itself is 1.";
    return (
        <>
            <Slider
                label="Backward pass"
                min={0}
                max={steps.length}
                value={step}
                shown={`step ${step} of ${steps.length}`}
                onInput={setStep}
            />
            <p>{said}</p>
            <Graph nodes={nodes} gradients={gradients} now={now} />
            <div class="wide">
                <table>
                    <thead><tr><th>Node</th><th>Operation</th><th>Value</th><th>Gradient so far</th></tr></thead>
                    <tbody>
                        {nodes.map(({ name, text, value, needs_grad }, i) => (
                            <tr class={now?.from === i ? "from" : receiver === i ? "to" : ""}>
                                <td>{name}</td>
                                <td>{text === name ? "" : text}</td>
                                <td class="blue">{short(value)}</td>
                                <td class="orange">{gradients[i] != null ? short(gradients[i]) : needs_grad ? "–" : "none"}</td>
                            </tr>
                        ))}
                    </tbody>
                </table>
            </div>
        </>
    );
}

/** The places of the nodes: an operation is to the right of its inputs, and a variable or number is next to its first use. */
function layout(nodes) {
    const columns = [];
    nodes.forEach(({ inputs }) => columns.push(inputs.length ? 1 + Math.max(...inputs.map((input) => columns[input])) : 0));
    nodes.forEach(({ inputs }, i) => {
        const users = columns.filter((_, user) => nodes[user].inputs.includes(i));
        if (inputs.length === 0 && users.length > 0) columns[i] = Math.min(...users) - 1;
    });
    const counts = Array(Math.max(...columns) + 1).fill(0);
    const rows = columns.map((column) => counts[column]++);
    const tallest = Math.max(...counts);
    const places = nodes.map((_, i) => [columns[i] * COLUMN + 4, (rows[i] + (tallest - counts[columns[i]]) / 2) * ROW + 6]);
    return { places, width: counts.length * COLUMN - COLUMN + WIDTH + 8, height: tallest * ROW };
}

function Graph({ nodes, gradients, now }) {
    const { places, width, height } = layout(nodes);
    const edges = nodes.flatMap(({ inputs }, to) => inputs.map((from, input) => {
        const [[ax, ay], [bx, by]] = [places[from], places[to]];
        const end = by + (HEIGHT * (input + 1)) / (inputs.length + 1);
        const active = now?.from === to && now.input === input;
        const path = `M${ax + WIDTH},${ay + HEIGHT / 2} C${ax + WIDTH + 30},${ay + HEIGHT / 2} ${bx - 30},${end} ${bx},${end}`;
        return <path class={active ? "edge active" : "edge"} d={path} />;
    }));
    return (
        <div class="wide" tabIndex={0} role="group" aria-label="The graph">
            <svg class="graph" width={width} height={height} role="img" aria-label="The graph; the table below has its numbers">
                {edges}
                {nodes.map(({ name, text, value }, i) => (
                    <g transform={`translate(${places[i].join(" ")})`} class={now?.from === i ? "node from" : "node"}>
                        <rect width={WIDTH} height={HEIGHT} rx={6} />
                        <text x={WIDTH / 2} y={18} text-anchor="middle">{text === name ? name : `${name} = ${text}`}</text>
                        <text x={WIDTH / 2} y={36} text-anchor="middle" class="blue">{short(value)}</text>
                        <text x={WIDTH / 2} y={54} text-anchor="middle" class="orange">
                            {gradients[i] != null ? short(gradients[i]) : ""}
                        </text>
                    </g>
                ))}
            </svg>
        </div>
    );
}
