use super::{Exercise, Mutant, NamedProof, Proof, equal};
use crate::solutions::structured_output as right;
use crate::structured_output::{Frame, State, begin};
use crate::zoo;
use ossia::schema::Guide;
use ossia::tokenizer::o200k_harmony;
use serde_json::json;

pub struct StructuredOutput {
    pub next: fn(&[Frame], u8) -> Option<State>,
    pub mask: fn(&[Frame], &[&[u8]], usize) -> Vec<bool>,
    pub shortest_end: fn(&[Frame]) -> Vec<u8>,
}

impl Exercise for StructuredOutput {
    const NAME: &str = "structured_output";
    const LEARNED: &str = "A stack of frames reads brackets that are nested to any depth, one byte at a time. A mask \
        needs nothing else: a token is allowed if all its bytes can be read, wherever it begins and ends in the grammar. \
        And the stack says how the text can be completed in time.";

    fn yours() -> Self {
        use crate::structured_output::{mask, next, shortest_end};
        Self { next, mask, shortest_end }
    }

    fn solution() -> Self {
        use crate::solutions::structured_output::{mask, next, shortest_end};
        Self { next, mask, shortest_end }
    }

    fn mutants() -> Vec<Mutant<Self>> {
        zoo::structured_output()
    }

    fn proofs() -> Vec<NamedProof<Self>> {
        vec![
            ("the_automaton_reads_the_examples", Self::reads),
            ("the_automaton_equals_the_engine", Self::reads_as_the_engine),
            ("the_mask_is_right_for_the_examples", Self::masks),
            ("the_mask_equals_the_engine", Self::masks_as_the_engine),
            ("the_shortest_end_equals_the_engine", Self::ends),
        ]
    }

    fn sample(&self) -> Vec<f32> {
        let texts = ACCEPTED.iter().map(|(text, _)| *text).chain(REJECTED.iter().map(|(text, _, _)| *text));
        let read = texts.map(|text| self.read(text).map_or_else(|at| at as f32 + 0.5, |state| state.len() as f32));
        let masks = PLACES.iter().flat_map(|place| {
            let mask = (self.mask)(&state_after(place), &small_vocabulary(), END);
            mask.into_iter().map(|allowed| f32::from(u8::from(allowed)))
        });
        let ends = PLACES.iter().flat_map(|place| (self.shortest_end)(&state_after(place))).map(f32::from);
        read.chain(masks).chain(ends).collect()
    }
}

/// Texts of the language, and what each of them shows.
const ACCEPTED: [(&str, &str); 6] = [
    (r#"{"stars":4}"#, "4 is a complete value, and } comes next"),
    (r#"{"stars":[]}"#, "an array may be empty"),
    (r#"{"stars":[1]}"#, "a comma or ] follows a value of an array"),
    (r#"{"stars":[1,2,3,4,5]}"#, "an array may have any number of values"),
    (r#"{"stars":[4,[5,1],[[]]]}"#, "the values of an array may be arrays"),
    (r#"{"stars":[[[[[[[[2]]]]]]]]}"#, "arrays are nested to any depth"),
];

/// Texts that are not of the language, the index of the first byte that is not allowed, and the reason.
const REJECTED: [(&str, usize, &str); 9] = [
    (r#"["stars"]"#, 0, "the text is an object"),
    (r#"{"star":4}"#, 6, "the name is stars"),
    (r#"{"stars":6}"#, 9, "a number is at least 1 and at most 5"),
    (r#"{"stars":12}"#, 10, "a number has one digit"),
    (r#"{"stars":[1,]}"#, 12, "a value has to follow a comma"),
    (r#"{"stars":[,1]}"#, 10, "a value has to come before a comma"),
    (r#"{"stars":[1 2]}"#, 11, "there is no white space"),
    (r#"{"stars":[[1]}"#, 13, "two arrays are open, and only one is closed"),
    (r#"{"stars":4}}"#, 11, "nothing follows a complete text"),
];

/// Texts that are not complete, except for the last one.
const PLACES: [&str; 7] =
    ["", r#"{"st"#, r#"{"stars":"#, r#"{"stars":4"#, r#"{"stars":["#, r#"{"stars":[4,[5"#, r#"{"stars":[4,[5,1]]}"#];

/// A vocabulary: tokens that begin and end in different parts of a text, and a token that ends the text.
const VOCABULARY: [&str; 15] =
    ["{", "{\"", "ars", "ars\":[", "1", "12", "5]", "[[", "],[", ",", ",3", "]}", "}", "[]]}", "<|return|>"];

/// The token that ends the text.
const END: usize = 14;

fn small_vocabulary() -> Vec<&'static [u8]> {
    VOCABULARY.iter().map(|token| token.as_bytes()).collect()
}

/// The state after a text of the language, or after the beginning of one.
fn state_after(text: &str) -> State {
    text.bytes().fold(begin(), |state, byte| right::next(&state, byte).unwrap_or_default())
}

/// The engine's guide for the same language. It also allows white space.
fn guide() -> Result<Guide, String> {
    let value = json!({"anyOf": [
        {"type": "integer", "minimum": 1, "maximum": 5},
        {"type": "array", "items": {"$ref": "#/$defs/value"}},
    ]});
    let schema = json!({"$defs": {"value": value}, "type": "object", "properties": {"stars": {"$ref": "#/$defs/value"}},
        "required": ["stars"], "additionalProperties": false});
    Guide::of(&schema, o200k_harmony(), RETURN).map_err(|error| error.to_string())
}

/// The token of gpt-oss that ends an answer.
const RETURN: u32 = 200_002;

impl StructuredOutput {
    /// The state after a text, or the index of the first byte that is not allowed.
    fn read(&self, text: &str) -> Result<State, usize> {
        let mut bytes = text.bytes().enumerate();
        bytes.try_fold(begin(), |state, (at, byte)| (self.next)(&state, byte).ok_or(at))
    }

    fn reads(&self) -> Proof {
        for (text, why) in ACCEPTED {
            match self.read(text) {
                Ok(state) => equal(&format!("the state after {text}"), &state, &vec![], "the text is complete")?,
                Err(at) => {
                    let (before, next) = (&text[..at], &text[at..=at]);
                    return Err(format!("after {before}, the byte {next} is not allowed, expected it to be: {why}"));
                }
            }
        }
        for (text, at, why) in REJECTED {
            equal(&format!("the first byte of {text} that is not allowed"), &self.read(text).err(), &Some(at), why)?;
        }
        let why = "the array in the array is complete; a comma or ] comes next, and } after the outer array";
        equal(
            "the state after {\"stars\":[[1]",
            &self.read("{\"stars\":[[1]"),
            &Ok(vec![Frame::Word("}"), Frame::Rest]),
            why,
        )
    }

    /// Compares all bytes but white space, after all texts with at most six bytes of a value.
    fn reads_as_the_engine(&self) -> Proof {
        let mut guide = guide()?;
        let mut texts = vec![(String::from(r#"{"stars":"#), state_after(r#"{"stars":"#))];
        let mut i = 0;
        while i < texts.len() {
            let (text, state) = texts[i].clone();
            i += 1;
            for byte in (0..=255).filter(|byte: &u8| !byte.is_ascii_whitespace()) {
                guide.restart();
                let expected = guide.read(text.as_bytes()) && guide.read(&[byte]);
                let found = (self.next)(&state, byte);
                let what = format!("whether {:?} is allowed after {text}", char::from(byte));
                equal(&what, &found.is_some(), &expected, "this is what the engine returns")?;
                if let Some(state) = found.filter(|_| text.len() < 15 && b"1[],}".contains(&byte)) {
                    texts.push((format!("{text}{}", char::from(byte)), state));
                }
            }
        }
        Ok(())
    }

    fn masks(&self) -> Proof {
        let allowed: [(&[&str], &str); 7] = [
            (&["{", "{\""], "the text begins with {\"stars\":"),
            (&["ars", "ars\":["], "the last byte of the second token belongs to the value"),
            (&["1", "[["], "a digit or an array comes next; 12 is no digit, and 5] needs an open array"),
            (&["}"], "the number is complete"),
            (&["1", "5]", "[[", "]}", "[]]}"], "an array is open; [[ opens two more, and ]} closes it and the object"),
            (&["],[", ",", ",3"], "two arrays are open; ],[ closes one and opens another, and ]} leaves one open"),
            (&["<|return|>"], "the text is complete, so only the end is allowed"),
        ];
        for (place, (expected, why)) in PLACES.iter().zip(allowed) {
            let mask = (self.mask)(&state_after(place), &small_vocabulary(), END);
            let what = format!("the mask after {place:?}");
            equal(&format!("the number of entries of {what}"), &mask.len(), &VOCABULARY.len(), "one for each token")?;
            let found: Vec<&str> =
                VOCABULARY.into_iter().zip(mask).filter(|(_, allowed)| *allowed).map(|(token, _)| token).collect();
            equal(&format!("the tokens that {what} allows"), &found, &expected.to_vec(), why)?;
        }
        Ok(())
    }

    /// Compares all tokens of gpt-oss without white space.
    fn masks_as_the_engine(&self) -> Proof {
        let (tokenizer, mut guide) = (o200k_harmony(), guide()?);
        let is_compared = |id: &u32| {
            let bytes = tokenizer.token_bytes(*id).unwrap_or_default();
            *id < 199_998 && !bytes.iter().any(u8::is_ascii_whitespace)
        };
        let ids: Vec<u32> = (0..199_998).filter(is_compared).chain([RETURN]).collect();
        let vocabulary: Vec<&[u8]> = ids.iter().map(|&id| tokenizer.token_bytes(id).unwrap_or_default()).collect();
        for place in ["", r#"{"stars":["#, r#"{"stars":[4,[5"#, r#"{"stars":3}"#] {
            guide.restart();
            guide.read(place.as_bytes());
            let expected = guide.next_tokens();
            let mask = (self.mask)(&state_after(place), &vocabulary, ids.len() - 1);
            equal("the number of entries of the mask", &mask.len(), &ids.len(), "one for each token")?;
            for (&id, allowed) in ids.iter().zip(mask) {
                let token = String::from_utf8_lossy(tokenizer.token_bytes(id).unwrap_or_default());
                let what = format!("whether the token {token:?} is allowed after {place:?}");
                equal(&what, &allowed, &expected.contains(id), "this is what the engine returns")?;
            }
        }
        Ok(())
    }

    fn ends(&self) -> Proof {
        let mut guide = guide()?;
        for place in PLACES {
            guide.restart();
            guide.read(place.as_bytes());
            let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
            let found = text((self.shortest_end)(&state_after(place)));
            equal(
                &format!("the shortest end after {place:?}"),
                &found,
                &text(guide.closing()),
                "this is what the engine returns",
            )?;
        }
        Ok(())
    }
}
