// Charts: points and lines over two axes.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { short } from "./parts.jsx";

const MARGIN = { top: 8, right: 12, bottom: 40, left: 58 };

/** Returns a reference for an element, and its width in pixels, which follows the size of the page. */
export function useWidth() {
    const place = useRef();
    const [width, setWidth] = useState(640);
    useLayoutEffect(() => {
        const measure = () => setWidth(Math.max(240, place.current.clientWidth));
        const observer = new ResizeObserver(measure);
        measure();
        observer.observe(place.current);
        return () => observer.disconnect();
    }, []);
    return [place, width];
}

/** Round numbers between two others, about `count` of them; powers of ten on a logarithmic axis. */
function ticks({ low, high, log }, count) {
    if (log) {
        const [first, last] = [Math.ceil(Math.log10(low) - 1e-9), Math.floor(Math.log10(high) + 1e-9)];
        const every = Math.max(1, Math.ceil((last - first + 1) / count));
        return Array.from({ length: Math.floor((last - first) / every) + 1 }, (_, i) => 10 ** (first + i * every));
    }
    const rough = (high - low) / count;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((n) => n * power).find((step) => step >= rough);
    const first = Math.ceil(low / step - 1e-9);
    const last = Math.floor(high / step + 1e-9);
    return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

const SUPERSCRIPT = "⁰¹²³⁴⁵⁶⁷⁸⁹";
const raised = (exponent) => String(exponent).replace("-", "⁻").replace(/\d/g, (digit) => SUPERSCRIPT[digit]);
const power = (value) => `10${raised(Math.round(Math.log10(value)))}`;
const named = (value, log) => (log && (value < 1e-3 || value >= 1e4) ? power(value) : short(value, 6));

const place = ({ low, high, log }, from, to) => {
    const f = log ? Math.log10 : Number;
    return (value) => from + ((f(value) - f(low)) / (f(high) - f(low))) * (to - from);
};

/**
 * A chart. An axis: {label, low, high, log}. A series: {name, colour, kind: "dots" or "line", points: [[x, y], …], dashed}.
 * A band of x: {from, to, name}. Points outside of the axes are cut off.
 */
export function Plot({ label, x, y, series, bands = [], height = 280 }) {
    const [element, width] = useWidth();
    const [right, bottom] = [width - MARGIN.right, height - MARGIN.bottom];
    const [atX, atY] = [place(x, MARGIN.left, right), place(y, bottom, MARGIN.top)];
    const clip = `clip-${label.replace(/\W/g, "")}`;
    return (
        <figure class="plot" ref={element}>
            <svg width={width} height={height} role="img" aria-label={label}>
                <clipPath id={clip}>
                    <rect x={MARGIN.left - 5} y={MARGIN.top - 5} width={right - MARGIN.left + 10} height={bottom - MARGIN.top + 5} />
                </clipPath>
                {bands.map(({ from, to, name }) => {
                    const [start, end] = [from, to].map((value) => Math.min(Math.max(atX(value), MARGIN.left), right));
                    return (
                        <g class="band">
                            <rect x={start} y={MARGIN.top} width={Math.max(end - start, 0)} height={bottom - MARGIN.top} />
                            <text x={(start + end) / 2} y={MARGIN.top + 14} text-anchor="middle">{name}</text>
                        </g>
                    );
                })}
                {ticks(x, width / 70).map((value) => (
                    <g class="tick">
                        <line x1={atX(value)} x2={atX(value)} y1={MARGIN.top} y2={bottom} />
                        <text x={atX(value)} y={bottom + 16} text-anchor="middle">{named(value, x.log)}</text>
                    </g>
                ))}
                {ticks(y, 6).map((value) => (
                    <g class="tick">
                        <line x1={MARGIN.left} x2={right} y1={atY(value)} y2={atY(value)} />
                        <text x={MARGIN.left - 6} y={atY(value) + 4} text-anchor="end">{named(value, y.log)}</text>
                    </g>
                ))}
                <text x={(MARGIN.left + right) / 2} y={height - 6} text-anchor="middle">{x.label}</text>
                <text transform={`translate(13 ${(MARGIN.top + bottom) / 2}) rotate(-90)`} text-anchor="middle">{y.label}</text>
                <g clip-path={`url(#${clip})`}>
                    {series.map((one) => <Series {...one} at={([x, y]) => [atX(x), atY(y)]} />)}
                </g>
            </svg>
            <figcaption class="legend">
                {series.filter(({ name }) => name).map(({ name, colour, dashed }) => (
                    <span class={colour}>
                        <span class={dashed ? "key dashed" : "key"} /> {name}
                    </span>
                ))}
            </figcaption>
        </figure>
    );
}

function Series({ colour, kind, points, dashed, size = 3.5, at }) {
    const places = points.filter((point) => point.every(Number.isFinite)).map(at).filter((place) => place.every(Number.isFinite));
    if (kind === "dots") return <g class={colour}>{places.map(([x, y]) => <circle cx={x} cy={y} r={size} />)}</g>;
    const path = places.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
    return <polyline class={dashed ? `${colour} dashed` : colour} points={path} />;
}
