// Harmony: a conversation as tokens, and a text parsed as a conversation.
import { useState } from "preact/hooks";
import { Choice, Result, TextField, Token, useAnswer } from "./parts.jsx";

const VOCABULARY = "sums";
const ROLES = ["system", "developer", "user", "assistant", "tool"].map((role) => [role, role]);
const CHANNELS = [["", "no channel"], ["analysis", "analysis"], ["commentary", "commentary"], ["final", "final"]];

export function Harmony({ engine }) {
    const [messages, setMessages] = useState([
        { role: "user", content: "What is 2 + 2?" },
        { role: "assistant", channel: "analysis", content: "2+2=4" },
        { role: "assistant", channel: "final", content: "4" },
        { role: "user", content: "And 3 more?" },
    ]);
    const asked = messages.map(({ channel, ...message }) => (channel ? { channel, ...message } : message));
    const state = useAnswer(engine, "harmony", { do: "render", vocabulary: VOCABULARY, messages: asked }, [VOCABULARY]);
    const change = (i, part) => setMessages(messages.map((message, j) => (i === j ? { ...message, ...part } : message)));
    return (
        <>
            {messages.map(({ role, channel = "", content }, i) => (
                <div class="message">
                    <Choice label={`Message ${i + 1}`} value={role} options={ROLES} onInput={(role) => change(i, { role })} />
                    <Choice label="Channel" value={channel} options={CHANNELS} onInput={(channel) => change(i, { channel })} />
                    <TextField label="Text" value={content} onInput={(content) => change(i, { content })} rows={1} />
                    <button onClick={() => setMessages(messages.filter((_, j) => j !== i))} aria-label={`Remove message ${i + 1}`}>remove</button>
                </div>
            ))}
            <p>
                <button onClick={() => setMessages([...messages, { role: "user", content: "" }])}>Add a message</button>
            </p>
            <Result state={state}>{(answer) => <Tokens {...answer} />}</Result>
            <p>Analysis of earlier turns is dropped, as gpt-oss expects, and the last tokens start the assistant's answer.</p>
            <Parse engine={engine} />
        </>
    );
}

const Tokens = ({ tokens }) => (
    <>
        <p>
            <b>{tokens.length}</b> tokens: <span class="token special">special</span> <span class="token header">header</span>{" "}
            <span class="token">text</span>
        </p>
        <p class="tokens">{tokens.map(({ part, ...token }) => <Token {...token} class={part} />)}</p>
    </>
);

const MALFORMED = "<|channel|>analysis<|message|>I add.<|start|>assistant<|channel|>final<|message|>7<|end|> and more";

function Parse({ engine }) {
    const [text, setText] = useState(MALFORMED);
    const [lenient, setLenient] = useState(true);
    const state = useAnswer(engine, "harmony", { do: "parse", vocabulary: VOCABULARY, text, role: "assistant", lenient }, [VOCABULARY]);
    return (
        <>
            <TextField label="A reply as a model might write it, after <|start|>assistant" value={text} onInput={setText} rows={3} />
            <Choice
                label="Parser"
                value={lenient}
                options={[[true, "lenient: guess, and say what was wrong"], [false, "strict: as openai-harmony"]]}
                onInput={setLenient}
            />
            <Result state={state}>
                {({ messages, flags }) => (
                    <>
                        {messages.map(({ role, channel, recipient, content }) => (
                            <p class="parsed">
                                <small>{[role, channel, recipient && `to ${recipient}`].filter(Boolean).join(" · ")}</small>{" "}
                                {content.map(({ text }) => text).join("")}
                            </p>
                        ))}
                        <ul class="flags">{flags.map((flag) => <li>{flag}</li>)}</ul>
                    </>
                )}
            </Result>
        </>
    );
}
