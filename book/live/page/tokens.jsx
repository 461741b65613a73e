// Tokens: a text becomes pieces, and a piece becomes tokens, merge by merge.
import { useState } from "preact/hooks";
import { Result, Slider, TextField, Token, useAnswer, visible } from "./parts.jsx";

const VOCABULARY = "stories";

export function Tokens({ engine }) {
    const [text, setText] = useState("Once upon a time, there was an unbelievable tokenizer.");
    const state = useAnswer(engine, "tokens", { vocabulary: VOCABULARY, text }, [VOCABULARY]);
    return (
        <>
            <TextField label="A text" value={text} onInput={setText} />
            <Result state={state}>{(answer) => <Encoded {...answer} />}</Result>
        </>
    );
}

function Encoded({ pieces, tokens, bytes }) {
    const [chosen, choose] = useState(0);
    const at = Math.min(chosen, pieces.length - 1);
    return (
        <>
            <p>
                {bytes} bytes, {pieces.length} pieces, <b class="tokens-count">{tokens}</b> tokens
                {tokens > 0 && `: ${(bytes / tokens).toFixed(2)} bytes per token`}. Choose a piece to see its merges.
            </p>
            <p class="tokens">
                {pieces.map((piece, i) => (
                    <button class="piece" aria-pressed={i === at} onClick={() => choose(i)}>
                        {piece.steps.at(-1).tokens.map((token) => <Token {...token} />)}
                    </button>
                ))}
            </p>
            {pieces.length > 0 && <Merges key={`${at} ${pieces[at].text}`} piece={pieces[at]} />}
        </>
    );
}

function Merges({ piece: { text, steps } }) {
    const [step, setStep] = useState(steps.length - 1);
    const { rank, at, tokens } = steps[step];
    return (
        <>
            <Slider label={`Merges of “${visible(text)}”`} min={0} max={steps.length - 1} value={step} onInput={setStep} />
            <p class="tokens">
                {tokens.map((token, i) => <Token {...token} class={i === at ? "merged" : ""} />)}
            </p>
            <p>
                {step === 0
                    ? "The bytes of the piece, one token each."
                    : `Merge ${step}: the pair with the lowest rank, ${rank}, becomes token ${tokens[at].id}.`}
            </p>
        </>
    );
}
