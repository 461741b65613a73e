//! The files that describe a model: the model card, a README.md that says what the model is and how to open it; and of a chat
//! model the system message and the chat template.

use super::paths::BUILTIN;
use super::run::RunDirectory;
use super::settings::RunSettings;
use crate::checkpoint::{self, report};
use crate::config::ModelConfig;
use crate::error::Result;
use crate::files::write_atomically;
use crate::harmony::{Effort, Harmony};
use crate::tasks::arithmetic;
use crate::tokenizer::Tokenizer;
use std::fs;
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
        let kind = if settings.is_chat() { "byte-level BPE with harmony's marks" } else { "byte-level BPE" };
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
            self.use_of(),
        )
    }

    /// Says how the model is used.
    fn use_of(&self) -> String {
        let Self { settings, .. } = self;
        if settings.lora.is_some() {
            return ADAPTER.replace("COMMAND", if settings.is_chat() { "chat" } else { "generate" });
        }
        let question = if settings.task.is_some() { "What is 347 + 285?" } else { "Hello" };
        if settings.is_chat() { CHAT.replace("QUESTION", question) } else { TEXT.into() }
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
        let names = names.collect::<Vec<_>>().join(", ");
        if settings.chats.is_some() { format!("conversations: {names}") } else { names }
    }
}

/// Writes the files that describe the model before it is trained: the model card and, for a chat model, the system message and the
/// chat template. A model that is trained further keeps those that it has.
///
/// # Errors
/// Those of the operating system, and if the tokenizer lacks harmony's marks.
pub fn describe(
    settings: &RunSettings,
    config: &ModelConfig,
    tokenizer: &Tokenizer,
    directory: &RunDirectory,
) -> Result<()> {
    let write = |name: &str, content: &[u8]| write_atomically(&directory.file(name), content);
    let mut system = settings.chats.clone();
    let mut has_template = false;
    if settings.task.is_some() {
        let own = arithmetic::system(Effort::Medium, true);
        let json = serde_json::to_string_pretty(&own).expect("plain text");
        write(checkpoint::SYSTEM, format!("{json}\n").as_bytes())?;
        system = Some(own);
    } else if let Some(first) = &settings.init {
        let first = checkpoint::locate(first.as_ref())?;
        for name in [checkpoint::SYSTEM, checkpoint::CHAT_TEMPLATE] {
            if let Ok(content) = fs::read(first.join(name)) {
                write(name, &content)?;
                has_template |= name == checkpoint::CHAT_TEMPLATE;
            }
        }
    }
    if let Some(system) = system.filter(|_| !has_template) {
        write(checkpoint::CHAT_TEMPLATE, Harmony::new(tokenizer)?.chat_template(&system).as_bytes())?;
    }
    Card { settings, config, steps: 0, loss: None }.save(directory.path())
}

/// Instructions for an adapter.
const ADAPTER: &str = "## Use\n\n\
    This directory is a LoRA adapter, and MODEL is the model that it was trained for.\n\n\
    ```sh\nossia COMMAND MODEL --adapter .\nossia merge MODEL . merged\n```\n\n\
    ```python\n\
    from peft import PeftModel\n\
    from transformers import AutoModelForCausalLM\n\n\
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(\"MODEL\"), \".\")\n```\n";

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
    ```sh\nossia chat MODEL --prompt \"QUESTION\"\n```\n\n\
    ```python\n\
    from transformers import AutoModelForCausalLM, AutoTokenizer\n\n\
    tokenizer = AutoTokenizer.from_pretrained(\"MODEL\")\n\
    model = AutoModelForCausalLM.from_pretrained(\"MODEL\")\n\
    chat = [{\"role\": \"user\", \"content\": \"QUESTION\"}]\n\
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
