//! Rollouts: what a model writes as the answer to a question, token by token, as it would write it to anyone.
//!
//! A rollout is drawn from the model itself. No token is filtered, none is forced, and the temperature is 1, so that the
//! log-probability with which each token was drawn is that of the model. If the model calls a tool, the result is appended, and the
//! model goes on.
//!
//! Book: [reinforcement](../../../../book/reinforcement.html)

use super::Problem;
use crate::error::Result;
use crate::generate::{Batch, Control, Generator, Next, Sampling, StopReason, Writer};
use crate::harmony::{Harmony, Message, MessageRole, Mode, Parser, Purpose};
use crate::model::Transformer;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use std::sync::Arc;

/// Answers the calls of one rollout; `None` if there is no such tool.
pub type Tools = Box<dyn FnMut(&Message) -> Option<Message>>;

/// How rollouts are drawn.
pub struct Rollouts<'r> {
    /// The format of the conversation.
    pub harmony: Harmony<'r>,
    /// The most tokens that the model may write in one rollout.
    pub longest: usize,
    /// 1 for the distribution of the model, 0 for the most probable token.
    pub temperature: f32,
    /// Makes the tools of a rollout: a new session each, so that rollouts do not see each other.
    pub tools: &'r dyn Fn() -> Tools,
    /// Whether to record which experts each token visited.
    pub record_routing: bool,
}

/// What a model wrote.
#[derive(Debug, Clone)]
pub struct Rollout {
    /// The prompt, and everything after it. (T,)
    pub tokens: Vec<u32>,
    /// The number of tokens of the prompt.
    pub prompt: usize,
    /// Whether the model chose each token after the prompt. Results of tools are not its own.
    pub own: Vec<bool>,
    /// ln p of each token after the prompt; 0 if it is not the model's own.
    pub log_probabilities: Vec<f32>,
    /// The experts that each token visited, except the last one, if they are recorded.
    pub routing: Vec<Arc<[u32]>>,
    /// The messages that are complete, with those of tools.
    pub messages: Vec<Message>,
    /// Whether the reply ended by itself, with an answer, and every message is as the format requires.
    pub well_formed: bool,
}

impl Rollout {
    /// Returns the text of the final answer; empty if there is none.
    pub fn answer(&self) -> String {
        let last = self.messages.iter().rfind(|message| message.is_on("final"));
        last.map(Message::text).unwrap_or_default()
    }

    /// Returns ln p of each token that the model chose, as the sampler computed it.
    pub fn own_log_probabilities(&self) -> Vec<f32> {
        let own = self.log_probabilities.iter().zip(&self.own).filter(|(_, own)| **own);
        own.map(|(log_probability, _)| *log_probability).collect()
    }

    /// Returns the number of tokens that the model chose.
    pub fn length(&self) -> usize {
        self.own.iter().filter(|own| **own).count()
    }
}

impl Rollouts<'_> {
    // ANCHOR: draw
    /// Draws `samples` rollouts for each problem, all in one batch.
    ///
    /// # Errors
    /// If a question does not fit in the context of the model.
    pub fn draw(
        &self,
        model: &Transformer,
        problems: &[Problem],
        samples: usize,
        seed: u64,
    ) -> Result<Vec<Vec<Rollout>>> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (mut batch, mut prompts): (Option<Batch<Reply>>, Vec<usize>) = (None, Vec::new());
        for problem in problems {
            let prompt = self.harmony.render(&problem.messages, Purpose::Completion(MessageRole::Assistant), true)?;
            let generator = match self.record_routing {
                true => Generator::recording(model, &prompt)?,
                false => Generator::new(model, &prompt, Sampling::default())?,
            };
            let sampling = |seed| Sampling { temperature: self.temperature, seed, ..Sampling::default() };
            let texts = (0..samples).map(|_| (sampling(rng.random()), self.reply())).collect();
            let group = Batch::new(generator, texts)?;
            prompts.extend(vec![prompt.len(); samples]);
            match &mut batch {
                Some(batch) => batch.append(group),
                None => batch = Some(group),
            }
        }
        let Some(mut batch) = batch else { return Ok(Vec::new()) };
        let mut drawn = vec![Vec::new(); batch.len()]; // ln p of each token
        loop {
            let tokens = batch.step()?;
            if tokens.is_empty() {
                break;
            }
            for (i, token) in tokens {
                let own = batch.control(i).own.last() == Some(&true);
                drawn[i].push(if own { batch.log_probability(i, token) } else { 0.0 });
            }
        }
        let finished = |(i, drawn)| self.finished(&batch, i, prompts[i], drawn);
        let rollouts: Vec<Rollout> = drawn.into_iter().enumerate().map(finished).collect();
        Ok(rollouts.chunks(samples).map(<[Rollout]>::to_vec).collect())
    }
    // ANCHOR_END: draw

    fn reply(&self) -> Reply<'_> {
        Reply {
            harmony: self.harmony,
            parser: Parser::new(self.harmony, Some(MessageRole::Assistant), Mode::Lenient),
            left: self.longest,
            own: Vec::new(),
            given: 0,
            result: Vec::new(),
            tools: (self.tools)(),
            answered: false,
        }
    }

    fn finished(&self, batch: &Batch<Reply>, i: usize, prompt: usize, log_probabilities: Vec<f32>) -> Rollout {
        let Reply { own, parser, answered, .. } = batch.control(i);
        Rollout {
            tokens: batch.tokens(i).to_vec(),
            prompt,
            own: own.clone(),
            log_probabilities,
            routing: batch.routing(i).to_vec(),
            messages: parser.messages().to_vec(),
            well_formed: *answered && parser.flags().is_empty(),
        }
    }
}

/// Follows a reply while it is written.
struct Reply<'r> {
    harmony: Harmony<'r>,
    parser: Parser<'r>,
    left: usize, // tokens that the model may still choose
    own: Vec<bool>,
    given: usize,     // tokens to come that the model does not choose
    result: Vec<u32>, // of a tool, to be appended
    tools: Tools,
    answered: bool, // whether the model has ended its turn with an answer
}

impl Reply<'_> {
    /// Returns the tokens with which the conversation goes on after a call: the result, and the header of the next message.
    fn result_of(&mut self, call: &Message) -> Result<Option<Vec<u32>>> {
        let Some(result) = (self.tools)(call) else { return Ok(None) };
        let mut ids = Vec::new();
        self.harmony.render_message(&result, false, &mut ids)?;
        ids.push(self.harmony.marks().start);
        ids.extend(self.harmony.tokenizer().encode(MessageRole::Assistant.name()));
        Ok(Some(ids))
    }
}

impl Control for Reply<'_> {
    fn next(&mut self, writer: &mut dyn Writer) -> Result<Next> {
        if !self.result.is_empty() {
            self.given = self.result.len();
            return Ok(Next::Given(std::mem::take(&mut self.result)));
        }
        if self.left == 0 {
            return Ok(Next::Stop(StopReason::MaxTokens));
        }
        Ok(writer.choose(None)?.map_or(Next::Stop(StopReason::ContextFull), Next::Chosen))
    }

    fn accept(&mut self, token: u32) -> Result<Option<StopReason>> {
        let own = self.given == 0;
        self.own.push(own);
        self.given = self.given.saturating_sub(1);
        let (marks, tokenizer) = (self.harmony.marks(), self.harmony.tokenizer());
        if own {
            self.left -= 1;
            // The end of a document ends everything, and so does a row of the model that stands for no token.
            if token as usize >= tokenizer.vocab_size() || tokenizer.end_of_text() == Some(token) {
                return Ok(Some(StopReason::End));
            }
        }
        self.parser.push(token)?;
        if !own || !marks.ends_message(token) {
            return Ok(None);
        }
        let Some(last) = self.parser.messages().last().cloned() else { return Ok(None) };
        if last.recipient.is_some() {
            return Ok(match self.result_of(&last)? {
                Some(result) => {
                    self.result = result;
                    None
                }
                None => Some(StopReason::End),
            });
        }
        let ends = marks.ends_turn(token) || last.is_on("final");
        self.answered = last.is_on("final") && token == marks.done;
        Ok(ends.then_some(StopReason::End))
    }
}
