use super::recorded::Recorded;
use super::{Exercise, Mutant, NamedProof, Proof, equal};
use crate::zoo;
use ossia::chat::{Budget, Chat};
use ossia::error::Result;
use ossia::harmony::Harmony;
use ossia::tasks::arithmetic::{conversation, tokenizer};
use ossia::tokenizer::{Allowed, Tokenizer};
use std::cell::RefCell;
use std::rc::Rc;

pub struct Effort {
    pub analysis_limit: fn(usize, usize) -> usize,
    pub reply: fn(&mut dyn FnMut(&[u32]) -> u32, (usize, usize), &[u32], u32) -> Vec<u32>,
    pub vote: fn(&[Option<i64>]) -> Option<i64>,
    pub price: fn(&[(bool, usize)]) -> (f64, f64),
}

impl Exercise for Effort {
    const NAME: &str = "effort";
    const LEARNED: &str = "The program that runs the model can end the analysis with tokens, as if the model had written \
        them, so that no work is lost. Several short replies with a vote cost tokens, as one long reply does. To compare \
        them, divide the tokens of all replies by the number of right answers.";

    fn yours() -> Self {
        use crate::effort::{analysis_limit, price, reply, vote};
        Self { analysis_limit, reply, vote, price }
    }

    fn solution() -> Self {
        use crate::solutions::effort::{analysis_limit, price, reply, vote};
        Self { analysis_limit, reply, vote, price }
    }

    fn mutants() -> Vec<Mutant<Self>> {
        zoo::effort()
    }

    fn proofs() -> Vec<NamedProof<Self>> {
        vec![
            ("a_quarter_of_the_room_is_reserved", Self::limits),
            ("the_analysis_ends_in_time", Self::replies),
            ("replies_equal_the_engine", Self::equals_the_engine),
            ("the_most_frequent_answer_wins", Self::votes),
            ("the_price_counts_wrong_replies", Self::prices),
        ]
    }

    fn sample(&self) -> Vec<f32> {
        let limits =
            [(8_192, 100), (10, 100), (8_192, 7)].map(|(budget, room)| (self.analysis_limit)(budget, room) as f32);
        let replies = SCRIPTS.iter().flat_map(|&(script, budgets)| {
            let found = self.written(&script.iter().map(|&digit| u32::from(digit)).collect::<Vec<_>>(), budgets);
            [vec![found.len() as u32], found].concat()
        });
        let votes = VOTES.iter().map(|(answers, _, _)| (self.vote)(answers).map_or(-1.0, |answer| answer as f32));
        let (share, price) = (self.price)(&RESULTS);
        let numbers = limits.into_iter().chain(replies.map(|token| token as f32)).chain(votes);
        numbers.chain([share as f32, price as f32]).collect()
    }
}

/// The token `<|end|>` of the examples, and the token that ends the reply.
const END: u8 = 20;
const DONE: u8 = 30;
/// The tokens that end the analysis and begin the answer.
const SWITCH: [u32; 3] = [END as u32, 21, 22];

/// Tokens that a model writes, with the limit of the analysis and the most tokens of a reply.
const SCRIPTS: [(&[u8], (usize, usize)); 6] = [
    (&[1, 2, END, 21, 22, 5, DONE], (4, 12)),
    (&[1, 2, END, 21, 22, 5, 6, 7, 8, DONE], (4, 12)),
    (&[1, 2, 3, 4, 5, DONE], (3, 12)),
    (&[1, 2, 3, 4, 5, DONE], (0, 12)),
    (&[1, 2, 3, 4, 5, 6, 7, 8, 9], (100, 4)),
    (&[1, 2, 3, 4, 5, 6, 7, 8, 9], (3, 4)),
];

/// The replies to the scripts, and why they are right.
const REPLIES: [(&[u8], &str); 6] = [
    (&[1, 2, END, 21, 22, 5, DONE], "the model ends its analysis within the limit, and the reply ends after 30"),
    (&[1, 2, END, 21, 22, 5, 6, 7, 8, DONE], "the model has ended its analysis, so the limit does not count any more"),
    (&[1, 2, 3, END, 21, 22, 4, 5, DONE], "after 3 tokens of analysis come 20, 21, 22, and then the model goes on"),
    (&[END, 21, 22, 1, 2, 3, 4, 5, DONE], "with a limit of 0, the answer begins at once"),
    (&[1, 2, 3, 4], "the reply ends when it has 4 tokens"),
    (&[1, 2, 3, END, 21, 22], "20, 21, 22 are appended together, and then the reply has more than 4 tokens"),
];

/// Answers, the one that wins, and why.
const VOTES: [(&[Option<i64>], Option<i64>, &str); 5] = [
    (&[Some(512), Some(277), Some(512)], Some(512), "512 occurs twice, and 277 once"),
    (&[Some(3), Some(-7), Some(-7), Some(3)], Some(3), "both occur twice, and 3 occurs first"),
    (&[Some(9), Some(1), Some(2)], Some(9), "all occur once, and 9 occurs first"),
    (&[None, None, None, Some(4)], Some(4), "a reply without an answer does not count"),
    (&[None, None], None, "no reply has an answer"),
];

/// Whether each reply is right, and its number of tokens.
const RESULTS: [(bool, usize); 4] = [(true, 39), (false, 61), (true, 24), (false, 36)];

/// Writes the tokens of a script, one after the other, and then the token 99, whatever it reads.
fn writer(script: &[u32]) -> impl FnMut(&[u32]) -> u32 {
    let mut rest = script.iter().copied();
    let mut asked = 0;
    move |_| {
        asked += 1;
        assert!(asked < 1_000, "the model was asked for 1000 tokens, and the reply did not end");
        rest.next().unwrap_or(99)
    }
}

impl Effort {
    fn written(&self, script: &[u32], budgets: (usize, usize)) -> Vec<u32> {
        (self.reply)(&mut writer(script), budgets, &SWITCH, u32::from(DONE))
    }

    fn limits(&self) -> Proof {
        let check = |budget, room, expected, why| {
            let what = format!("the limit with a budget of {budget} and room for {room}");
            equal(&what, &(self.analysis_limit)(budget, room), &expected, why)
        };
        check(8_192, 100, 75, "25 tokens are reserved for the answer")?;
        check(1_024, 100_000, 1_024, "the budget is smaller than the room")?;
        check(8_192, 7, 6, "⌊7/4⌋ = 1 token is reserved")?;
        check(8_192, 0, 0, "there is no room")
    }

    fn replies(&self) -> Proof {
        for ((script, (limit, most)), (expected, why)) in SCRIPTS.iter().zip(REPLIES) {
            let tokens = |bytes: &[u8]| bytes.iter().map(|&byte| u32::from(byte)).collect::<Vec<_>>();
            let what =
                format!("the reply of a model that writes {script:?}, with a limit of {limit} and at most {most}");
            equal(&what, &self.written(&tokens(script), (*limit, *most)), &tokens(expected), why)?;
        }
        let mut read = Vec::new();
        let mut model = |reply: &[u32]| {
            read.push(reply.to_vec());
            if read.len() > 3 { u32::from(DONE) } else { 1 }
        };
        (self.reply)(&mut model, (2, 100), &SWITCH, u32::from(DONE));
        let expected = vec![vec![], vec![1], vec![1, 1, 20, 21, 22], vec![1, 1, 20, 21, 22, 1]];
        equal("what the model reads", &read, &expected, "it reads the reply so far, with all tokens that were appended")
    }

    fn equals_the_engine(&self) -> Proof {
        let tokenizer = tokenizer(600).map_err(|error| error.to_string())?;
        let encode = |text: &str| tokenizer.encode_with_special(text, Allowed::All);
        let switch = encode("<|end|><|start|>assistant<|channel|>final<|message|>");
        let done = encode("<|return|>")[0];
        let ended = "347+285=632<|end|><|start|>assistant<|channel|>final<|message|>632<|return|>";
        for (text, budget, room) in [
            (ended, 100, 200),
            (ended, 12, 200),
            (ended, 100, 40),
            ("632-120=512\n512-120=392<|return|>", 11, 200),
            ("632-120=512\n512-120=392<|return|>", 0, 200),
            ("77777777777777777777777777777777777777777777777777<|return|>", 100, 44),
        ] {
            let expected = engines(&tokenizer, text, budget, room).map_err(|error| error.to_string())?;
            let limit = crate::solutions::effort::analysis_limit(budget, room);
            let found = (self.reply)(&mut writer(&encode(text)), (limit, 500), &switch, done);
            let shown = |ids: &[u32]| tokenizer.decode(ids).unwrap_or_default();
            let why = format!("the engine writes this with a budget of {budget} and room for {room}");
            equal(&format!("the reply to {text:?}"), &shown(&found), &shown(&expected), &why)?;
        }
        Ok(())
    }

    fn votes(&self) -> Proof {
        VOTES.iter().try_for_each(|(answers, expected, why)| {
            equal(&format!("the vote of {answers:?}"), &(self.vote)(answers), expected, why)
        })
    }

    fn prices(&self) -> Proof {
        let check = |replies: &[(bool, usize)], expected, why| {
            equal(&format!("the share and the price of {replies:?}"), &(self.price)(replies), &expected, why)
        };
        check(&[(true, 39)], (1.0, 39.0), "the only answer is right, and took 39 tokens")?;
        check(&RESULTS, (0.5, 80.0), "all replies have 160 tokens, and 2 of 4 answers are right")?;
        check(&[(false, 9), (false, 9)], (0.0, f64::INFINITY), "no answer is right")
    }
}

/// The engine's reply, without the tokens that begin its analysis. `room` is what the prompt leaves of the context.
fn engines(tokenizer: &Tokenizer, text: &str, budget: usize, room: usize) -> Result<Vec<u32>> {
    let begin = tokenizer.encode_with_special("<|channel|>analysis<|message|>", Allowed::All);
    let writes = [begin.clone(), tokenizer.encode_with_special(text, Allowed::All)].concat().into_iter();
    let messages = conversation("What is 347 + 285?".into(), ossia::harmony::Effort::High, false);
    let appended = Rc::<RefCell<Vec<u32>>>::default();
    let recorded = |context| Recorded { writes: writes.clone(), appended: appended.clone(), context };
    let harmony = Harmony::new(tokenizer)?;
    let (prompt, _) = Chat::with(Box::new(recorded(0)), harmony, messages.clone()).size()?;
    let mut chat = Chat::with(Box::new(recorded(prompt + room - 1)), harmony, messages);
    chat.budget = Budget { analysis: budget, reply: usize::MAX };
    chat.reply(&mut |_| true)?;
    Ok(appended.take().split_off(begin.len()))
}
