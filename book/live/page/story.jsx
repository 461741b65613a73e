// The cover: a new story each time.
import { useState } from "preact/hooks";
import { Result, Slider, percent, useAnswer } from "./parts.jsx";

const MODEL = "stories";

export function Story({ engine }) {
    const [seed, setSeed] = useState(() => Math.floor(1e6 * Math.random()));
    const [temperature, setTemperature] = useState(0.7);
    const state = useAnswer(engine, "story", { model: MODEL, temperature, seed }, [MODEL]);
    return (
        <>
            <Result state={state}>{({ pieces }) => <p class="told">{pieces.map(piece)}</p>}</Result>
            <Slider label="Temperature" min={0} max={2} step={0.1} value={temperature} onInput={setTemperature} />
            <p>
                <button onClick={() => setSeed(seed + 1)}>Another story</button> Seed {seed}. Underlined: tokens with a
                probability below one half, where the story could well have gone on in another way.
            </p>
        </>
    );
}

const piece = ({ text, p }) => <span class={p < 0.5 ? "open" : ""} title={percent(p)}>{text}</span>;
