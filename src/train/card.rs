//! The model card: a README.md beside a model, which says what the model is and how to open it.

use super::paths::BUILTIN;
use super::settings::RunSettings;
use crate::checkpoint::report;
use crate::config::ModelConfig;
use crate::error::Result;
use crate::files::write_atomically;
use std::path::Path;

/// The file with the model card.
pub const CARD: &str = "README.md";
/// The line of a card by which ossia recognizes its own cards.
const MARKER: &str = "# Written by ossia train, which replaces this file. Remove this line to keep your changes.";

/// The facts that a card states.
#[derive(Debug, Clone, Copy)]
pub struct Card<'s> {
    /// The settings of the run.
    pub settings: &'s RunSettings,
    /// The configuration of the model.
    pub config: &'s ModelConfig,
    /// The number of steps that the run has taken.
    pub steps: u64,
    /// The validation loss of this model in nats per token, if it was measured.
    pub loss: Option<f64>,
}

impl Card<'_> {
    /// Writes the card into a model directory, unless the directory has a README.md that ossia did not write.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn save(&self, directory: &Path) -> Result<()> {
        let path = directory.join(CARD);
        let is_foreign = match std::fs::read(&path) {
            Ok(text) => !String::from_utf8_lossy(&text).lines().any(|line| line == MARKER),
            Err(e) => e.kind() != std::io::ErrorKind::NotFound,
        };
        if is_foreign { Ok(()) } else { write_atomically(&path, self.text().as_bytes()) }
    }

    /// Returns the text of the card.
    pub fn text(&self) -> String {
        let Self { settings, config, steps, loss } = self;
        let parameters = thousands(report::published(config).total().parameters);
        let tokens = settings.settings.batch_size * settings.settings.context * settings.settings.accumulate;
        let loss = loss.map_or_else(|| "not measured yet".into(), |loss| format!("{loss:.4} nats per token"));
        let kind = if settings.task.is_some() { "byte-level BPE with harmony's marks" } else { "byte-level BPE" };
        format!(
            "---\n{MARKER}\nlibrary_name: transformers\npipeline_tag: text-generation\ntags:\n- gpt_oss\n- ossia\n---\n\n\
             # A gpt-oss model with {parameters} parameters\n\n\
             This model was trained by ossia, an engine for gpt-oss models on the CPU.\n\n\
             | | |\n|---|---|\n\
             | {} |\n\
             | parameters | {parameters} |\n\
             | training data | {} |\n\
             | steps | {} of {}, with {} tokens per step |\n\
             | validation loss | {loss} |\n\
             | tokenizer | {kind}, {} tokens |\n\
             | context | {} tokens |\n\n{}",
            self.origin(),
            self.data(),
            thousands(*steps as usize),
            thousands(settings.settings.steps as usize),
            thousands(tokens),
            thousands(config.vocab_size),
            thousands(config.context),
            if settings.task.is_some() { CHAT } else { TEXT },
        )
    }

    /// Says what the model was before it was trained.
    fn origin(&self) -> String {
        match &self.settings.init {
            Some(path) => {
                let name = path.as_ref().file_name().unwrap_or_default().to_string_lossy();
                format!("trained further from | {}", one_line(&name))
            }
            None => format!("preset | {}", one_line(&self.settings.preset)),
        }
    }

    /// Describes the training data. Only the names of files are shown, because a card may be published.
    fn data(&self) -> String {
        let Self { settings, .. } = self;
        if let Some(task) = &settings.task {
            return format!("conversations of the task {}", one_line(task));
        }
        let names = settings.data.iter().map(|path| match path.as_ref() {
            path if path == Path::new(BUILTIN) => format!("{} built-in stories", thousands(settings.stories)),
            path => one_line(&path.file_name().unwrap_or_default().to_string_lossy()),
        });
        names.collect::<Vec<_>>().join(", ")
    }
}

/// Instructions for a model that continues text.
const TEXT: &str = "## Use\n\n\
    MODEL is this directory.\n\n\
    ```sh\nossia generate MODEL --prompt \"Once upon a time\"\n```\n\n\
    ```python\n\
    from transformers import AutoModelForCausalLM, AutoTokenizer\n\n\
    tokenizer = AutoTokenizer.from_pretrained(\"MODEL\")\n\
    model = AutoModelForCausalLM.from_pretrained(\"MODEL\")\n\
    prompt = tokenizer(\"Once upon a time\", return_tensors=\"pt\")\n\
    print(tokenizer.decode(model.generate(**prompt, max_new_tokens=100)[0]))\n```\n";

/// Instructions for a model that answers in conversations.
const CHAT: &str = "## Use\n\n\
    MODEL is this directory. `chat_template.jinja` renders conversations in the format of the training data.\n\n\
    ```sh\nossia chat MODEL --prompt \"What is 347 + 285?\"\n```\n\n\
    ```python\n\
    from transformers import AutoModelForCausalLM, AutoTokenizer\n\n\
    tokenizer = AutoTokenizer.from_pretrained(\"MODEL\")\n\
    model = AutoModelForCausalLM.from_pretrained(\"MODEL\")\n\
    chat = [{\"role\": \"user\", \"content\": \"What is 347 + 285?\"}]\n\
    prompt = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=True, return_tensors=\"pt\")\n\
    print(tokenizer.decode(model.generate(**prompt, max_new_tokens=200)[0]))\n```\n";

/// Returns text for a cell of a table: without line ends and column borders.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ").replace('|', "\\|")
}

/// 2054656 → 2,054,656
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(",")
}
