//! Generating text with a model.
//!
//! A [`Generator`] runs a prompt through the model and continues it. [`Generation`] is the one loop behind plain text,
//! text that follows a schema ([`Guided`]) and the replies of a [`chat`](crate::chat). [`TextStream`] turns its tokens
//! into text as they arrive. A [`Batch`] continues one prompt in several ways at once. [`Speculative`] checks several drafted tokens in
//! one pass of the model.
//!
//! Book: [sampling](../../../book/sampling.html)

pub mod sampler;
pub mod generation;
pub mod sequence;
pub mod generator;
pub mod batch;
pub mod statistics;
pub mod drafter;
pub mod speculative;
pub mod guided;
pub mod text;
pub mod trace;

pub use batch::Batch;
pub use drafter::{DraftModel, Drafter, MtpDrafter};
pub use generation::{Control, Course, Generation, Next, Plain, ReadProgress, Reader, StopReason, Writer};
pub use generator::Generator;
pub use guided::Guided;
pub use sampler::{Sampler, Sampling};
pub use sequence::Sequence;
pub use speculative::Speculative;
pub use statistics::Statistics;
pub use text::TextStream;

use crate::error::Result;
use crate::model::Transformer;
use crate::tokenizer::Tokenizer;

impl Transformer {
    /// Writes a document from its start to its end, or to the end of the context. Returns each token with the probability with
    /// which it was drawn.
    ///
    /// # Errors
    /// If the logits are not finite, which means that the weights are damaged.
    pub fn draw_document(&self, tokenizer: &Tokenizer, sampling: Sampling) -> Result<Vec<(u32, f64)>> {
        let (sampling, stop) = (sampling.within(tokenizer), self.stop_tokens(tokenizer));
        let sampler = Sampler::new(sampling.clone());
        let mut generator = Generator::new(self, &tokenizer.prompt(""), sampling)?;
        let mut drawn = Vec::new();
        while let Some(token) = generator.choose(None)?.filter(|token| !stop.contains(token)) {
            drawn.push((token, sampler.probabilities(generator.logits()?)[token as usize]));
            generator.push(token)?;
        }
        Ok(drawn)
    }

    /// Returns the tokens that end a text: those of the configuration, and the end of text of the tokenizer.
    pub fn stop_tokens(&self, tokenizer: &Tokenizer) -> Vec<u32> {
        let mut stop = self.config.eos_token_ids.clone();
        stop.extend(tokenizer.end_of_text().filter(|end| !stop.contains(end)));
        stop
    }

    /// Continues `prompt` by up to `max_new_tokens` tokens and returns the new text.
    ///
    /// # Errors
    /// If the prompt does not fit in the context, or the model has tokens that the tokenizer does not have.
    pub fn continue_text(
        &self,
        tokenizer: &Tokenizer,
        prompt: &str,
        max_new_tokens: usize,
        sampling: Sampling,
    ) -> Result<String> {
        self.stream_text(tokenizer, prompt, max_new_tokens, sampling, &mut |_| {})
    }

    /// Like [`continue_text`](Self::continue_text), and calls `show` with every piece of the text as soon as it is certain.
    ///
    /// # Errors
    /// Those of [`continue_text`](Self::continue_text).
    pub fn stream_text(
        &self,
        tokenizer: &Tokenizer,
        prompt: &str,
        max_new_tokens: usize,
        sampling: Sampling,
        show: &mut dyn FnMut(&str),
    ) -> Result<String> {
        let mut generator = Generator::new(self, &tokenizer.prompt(prompt), sampling.within(tokenizer))?;
        let mut stream = TextStream::new(tokenizer, &[]);
        let mut text = String::new();
        for token in generator.generate(max_new_tokens, &self.stop_tokens(tokenizer)) {
            let piece = stream.push(token?)?;
            show(&piece);
            text += &piece;
        }
        let rest = stream.finish();
        show(&rest);
        Ok(text + &rest)
    }
}
