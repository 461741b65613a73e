// Structured output: which tokens a schema allows next.
import { useState } from "preact/hooks";
import { Result, TextField, useAnswer, visible } from "./parts.jsx";

const VOCABULARY = "stories";
const SCHEMA = `{
  "type": "object",
  "properties": {
    "name": { "enum": ["Anna", "Ben", "Tom"] },
    "age": { "type": "integer", "minimum": 3, "maximum": 12 }
  },
  "required": ["name", "age"],
  "additionalProperties": false
}`;

export function StructuredOutput({ engine }) {
    const [schema, setSchema] = useState(SCHEMA);
    const [text, setText] = useState('{"name": "');
    const state = useAnswer(engine, "structured_output", { vocabulary: VOCABULARY, schema, text }, [VOCABULARY]);
    return (
        <>
            <TextField label="A JSON Schema" value={schema} onInput={setSchema} rows={9} />
            <TextField label="The text so far" value={text} onInput={setText} rows={2} />
            <Result state={state}>{(answer) => <Allowed {...answer} text={text} setText={setText} />}</Result>
        </>
    );
}

function Allowed({ read, complete, allowed, count, of, closing, text, setText }) {
    const bytes = new TextEncoder().encode(text);
    const good = new TextDecoder().decode(bytes.subarray(0, read));
    return (
        <>
            {read < bytes.length && (
                <p class="error">
                    The schema allows {good ? <>the text up to <code>{good}</code></> : "nothing of the text"}, and not what follows. The tokens below could follow there.
                </p>
            )}
            <p>
                <b class="allowed">{count}</b> of {of} tokens are allowed next{complete && ", and the text may end here"}. The shortest way to complete it:{" "}
                <code>{closing || "nothing"}</code>{" "}
                {closing && <button onClick={() => setText(good + closing)}>Complete it</button>}
            </p>
            <p class="tokens">
                {allowed.map((token) => <button class="token" onClick={() => setText(good + token.text)}>{visible(token.text)}</button>)}
                {count > allowed.length && <span>and {count - allowed.length} more</span>}
            </p>
        </>
    );
}
