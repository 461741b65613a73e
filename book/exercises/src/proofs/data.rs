use super::{Exercise, Mutant, NamedProof, Proof, equal, near};
use crate::data::{IGNORE, Piece};
use crate::zoo;
use ossia::data::story::{Grammar, log_probability};
use ossia::data::{Corpus, Windows};
use ossia::tokenizer::{END_OF_TEXT, Tokenizer, train};
use ossia::train::EvaluationSet;

/// The inputs and the targets of a window.
type Window = (Vec<u32>, Vec<u32>);

pub struct Data {
    pub entropy: fn(&[Piece]) -> f64,
    pub floor: fn(&[f64], &[usize]) -> f64,
    pub starts: fn(&[usize], usize) -> Vec<usize>,
    pub windows: fn(&[Vec<u32>], &[usize], u32, usize) -> Vec<Window>,
}

impl Exercise for Data {
    const NAME: &str = "data";
    const LEARNED: &str = "The entropy of a grammar is a sum over its choices, so it can be computed without drawing a \
        text. The floor is the mean −ln p of the very stories that a model is evaluated on, per predicted token. It can \
        be reached only if windows begin with whole stories, and if each token counts once.";

    fn yours() -> Self {
        use crate::data::{entropy, floor, starts, windows};
        Self { entropy, floor, starts, windows }
    }

    fn solution() -> Self {
        use crate::solutions::data::{entropy, floor, starts, windows};
        Self { entropy, floor, starts, windows }
    }

    fn mutants() -> Vec<Mutant<Self>> {
        zoo::data()
    }

    fn proofs() -> Vec<NamedProof<Self>> {
        vec![
            ("the_entropy_equals_the_walk_of_the_engine", Self::entropies),
            ("the_floor_is_per_predicted_token", Self::floors),
            ("a_document_that_is_cut_off_begins_the_next_window", Self::begins),
            ("each_token_is_a_target_once", Self::targets),
            ("windows_of_stories_equal_the_engine", Self::equals_the_engine),
        ]
    }

    fn sample(&self) -> Vec<f32> {
        let entropies = grammars().into_iter().map(|(pieces, ..)| (self.entropy)(&pieces) as f32);
        let starts = STARTS.iter().flat_map(|(lengths, context, ..)| (self.starts)(lengths, *context));
        let windows = (self.windows)(&documents(), &[0, 4, 9, 15], END, 6);
        let ids = windows.into_iter().flat_map(|(inputs, targets)| [inputs, targets].concat());
        let ids = ids.map(|id| if id == IGNORE { -1.0 } else { id as f32 });
        let floor = (self.floor)(&[10.0, 6.0], &[3, 11]) as f32;
        entropies.chain([floor]).chain(starts.map(|start| start as f32)).chain(ids).collect()
    }
}

/// Grammars, each with its entropy and the reason for it.
fn grammars() -> Vec<(Vec<Piece>, f64, &'static str)> {
    let text = Piece::Text;
    let choice = |options: &[&[Piece]]| Piece::Choice(options.iter().map(|option| option.to_vec()).collect());
    let two = choice(&[&[text("swam")], &[text("slept")]]);
    let three = choice(&[&[text("swam")], &[text("played ball")], &[text("slept")]]);
    let weather = |inner| choice(&[&[text("It rained.")], &[text("The sun shone. They "), inner, text(".")]]);
    vec![
        (vec![text("It rained.")], 0.0, "there is only one text"),
        (vec![text("They "), two.clone()], 2_f64.ln(), "one choice between two options: ln 2"),
        (vec![three.clone(), text(" and "), two.clone()], 6_f64.ln(), "both choices are always reached: ln 3 + ln 2"),
        (vec![weather(two)], 1.5 * 2_f64.ln(), "the inner choice is reached with probability ½: ln 2 + ½ ln 2"),
        (
            vec![weather(three)],
            2_f64.ln() + 0.5 * 3_f64.ln(),
            "the inner choice is reached with probability ½: ln 2 + ½ ln 3",
        ),
    ]
}

/// Returns pieces in the notation of the engine.
fn notation(pieces: &[Piece]) -> String {
    let of = |piece: &Piece| match piece {
        Piece::Text(text) => (*text).to_string(),
        Piece::Choice(options) => {
            let options: Vec<String> = options.iter().map(|option| notation(option)).collect();
            format!("[{}]", options.join("|"))
        }
    };
    pieces.iter().map(of).collect()
}

/// Lengths of documents, a context, the starts of the windows, and a reason.
type Starts = (&'static [usize], usize, &'static [usize], &'static str);

const STARTS: [Starts; 7] = [
    (&[3], 6, &[0], "the stream has 5 tokens, so one window has them all"),
    (&[5, 5], 6, &[0, 6], "the first window ends with the end token at 6, with which the second document begins"),
    (&[3, 4, 3], 6, &[0, 4, 9], "the windows cut off the second document, which begins at 4, and the third, at 9"),
    (
        &[1, 1, 5],
        6,
        &[0, 4],
        "of the two documents that begin after the start, the last one is cut off; it begins at 4",
    ),
    (
        &[2, 2, 5],
        6,
        &[0, 6],
        "the third document begins with the last target of the window, at 6; no later one has begun",
    ),
    (
        &[20],
        6,
        &[0, 6, 12, 18],
        "the document is longer than a window, so each window continues where the last one ended",
    ),
    (
        &[3, 4, 9],
        6,
        &[0, 4, 9, 15],
        "the third document begins at 9 and is longer than its window, so the last one continues it",
    ),
];

const END: u32 = 9;

/// The documents of the chapter's figure.
fn documents() -> Vec<Vec<u32>> {
    vec![vec![1; 3], vec![2; 4], vec![3; 9]]
}

/// Built-in stories, and a tokenizer for them.
fn stories() -> Result<(Vec<String>, Tokenizer), String> {
    let stories = Corpus::builtin(30, 1).documents;
    let tokenizer =
        train(stories.iter().map(String::as_str), 512, &[END_OF_TEXT]).map_err(|error| error.to_string())?;
    Ok((stories, tokenizer))
}

impl Data {
    fn entropies(&self) -> Proof {
        for (pieces, expected, why) in grammars() {
            let notation = notation(&pieces);
            near(&format!("the entropy of {notation}"), (self.entropy)(&pieces), expected, 1e-9, why)?;
            let grammar = Grammar::new(&format!("== story\n{notation}\n"), "").map_err(|error| error.to_string())?;
            let why = "this is what the engine computes";
            near(&format!("the entropy of {notation}"), (self.entropy)(&pieces), grammar.entropy(), 1e-9, why)?;
        }
        Ok(())
    }

    fn floors(&self) -> Proof {
        let why = "10 + 6 nats are divided by (3 + 1) + (11 + 1) targets, because each story has an end token";
        near(
            "the floor of two stories of 3 and 11 tokens with 10 and 6 nats",
            (self.floor)(&[10.0, 6.0], &[3, 11]),
            1.0,
            1e-9,
            why,
        )?;
        let (stories, tokenizer) = stories()?;
        let nats: Vec<f64> = stories.iter().filter_map(|story| Some(-log_probability(story)?)).collect();
        let tokens: Vec<usize> = stories.iter().map(|story| tokenizer.encode(story).len()).collect();
        let set = EvaluationSet::of_stories(&stories, &tokenizer, 256).map_err(|error| error.to_string())?;
        let expected = set.entropy_floor.ok_or("the built-in stories have no floor")?;
        let why = "this is the floor that `ossia train` prints for these stories";
        near("the floor of 30 built-in stories", (self.floor)(&nats, &tokens), expected, 1e-9, why)
    }

    fn begins(&self) -> Proof {
        STARTS.iter().try_for_each(|&(lengths, context, starts, why)| {
            let name = format!("the starts for documents of {lengths:?} tokens and windows of {context}");
            equal(&name, &(self.starts)(lengths, context), &starts.to_vec(), why)
        })
    }

    fn targets(&self) -> Proof {
        let windows = (self.windows)(&documents(), &[0, 4, 9, 15], END, 6);
        let no = IGNORE;
        let expected: [(&[u32], &[u32], &str); 4] = [
            (
                &[9, 1, 1, 1, 9, 2],
                &[1, 1, 1, 9, no, no],
                "the targets after 4, where the next window starts, are in that window",
            ),
            (
                &[9, 2, 2, 2, 2, 9],
                &[2, 2, 2, 2, 9, no],
                "the target 3 at position 10 is in the next window, which starts at 9",
            ),
            (
                &[9, 3, 3, 3, 3, 3],
                &[3, 3, 3, 3, 3, 3],
                "the next window starts at the last target, so all of them count",
            ),
            (
                &[3, 3, 3, 3, 9, 9],
                &[3, 3, 3, 9, no, no],
                "the stream has only four targets more, so the other two are IGNORE",
            ),
        ];
        let why = "there are four starts";
        equal("the number of windows", &windows.len(), &expected.len(), why)?;
        for (i, ((inputs, targets), (right_inputs, right_targets, why))) in windows.iter().zip(expected).enumerate() {
            let stream = "the stream is 9 1 1 1 9 2 2 2 2 9 3 3 3 3 3 3 3 3 3 9, and after it all inputs are 9";
            equal(&format!("the inputs of window {i}"), inputs, &right_inputs.to_vec(), stream)?;
            let why = format!("{why} ({no} is IGNORE)");
            equal(&format!("the targets of window {i}"), targets, &right_targets.to_vec(), &why)?;
        }
        Ok(())
    }

    fn equals_the_engine(&self) -> Proof {
        let (stories, tokenizer) = stories()?;
        let documents: Vec<Vec<u32>> = stories.iter().map(|story| tokenizer.encode(story)).collect();
        let lengths: Vec<usize> = documents.iter().map(Vec::len).collect();
        let end = tokenizer.end_of_text().unwrap_or(END);
        for context in [1, 64, 256, 1_000, 100_000] {
            let engine = Windows::new(&documents, end, context).map_err(|error| error.to_string())?;
            let found = (self.windows)(&documents, &(self.starts)(&lengths, context), end, context);
            let why = format!("the engine cuts 30 built-in stories into so many windows of {context}");
            equal("the number of windows", &found.len(), &engine.len(), &why)?;
            for (i, (found, batch)) in found.iter().zip(engine.evaluation(1)).enumerate() {
                for (what, found, expected) in
                    [("inputs", &found.0, batch.inputs), ("targets", &found.1, batch.targets)]
                {
                    let expected: Vec<u32> = expected.into_iter().collect();
                    let differs = found.iter().zip(&expected).position(|(found, expected)| found != expected);
                    let name = format!("window {i} of {context} tokens: the number of {what}");
                    equal(&name, &found.len(), &expected.len(), "it is the context")?;
                    let Some(at) = differs else { continue };
                    let name = format!("window {i} of {context} tokens: number {at} of its {what}");
                    equal(
                        &name,
                        &found[at],
                        &expected[at],
                        &format!("the engine has this id there ({IGNORE} is IGNORE)"),
                    )?;
                }
            }
        }
        Ok(())
    }
}
