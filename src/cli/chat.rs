//! `ossia chat`

mod commands;
mod input;
mod show;
#[cfg(feature = "tools")]
mod tools;

use self::commands::AfterCommand;
use self::input::Input;
use self::show::Show;
use super::arithmetic::ArithmeticArguments;
use super::draft::{DraftArguments, told};
use super::generate::{SamplingArguments, read_schema, report_unknown_formats};
use super::harmony::system_of;
use super::terminal::printable;
use super::{interrupt, report_model, text_or_standard_input, thousands};
use crate::chat::{Chat, Reply};
use crate::error::{Error, Result};
use crate::generate::StopReason;
use crate::harmony::{Content, Conversation, DeveloperContent, Effort, Harmony, Message, MessageRole, SystemContent};
use crate::schema::Guide;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Talk to a model
///
/// The answer goes to standard output. Thoughts (dim), tool calls and statistics go to standard error. Ctrl-C stops a
/// reply; /help lists the commands.
///
/// Example: ossia chat runs/arithmetic --reasoning high --temperature 0
#[derive(clap::Args)]
#[command(allow_negative_numbers = true)]
pub struct Arguments {
    /// A model directory whose tokenizer has the special tokens of harmony
    model: PathBuf,
    /// Send only this message, print the answer, and exit; `-` reads it from standard input
    #[arg(short, long, value_name = "TEXT")]
    prompt: Option<String>,
    /// Instructions for the model, usually called the system prompt
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// The reasoning effort: low, medium or high [default: medium]
    #[arg(long, value_name = "EFFORT", value_parser = ["low", "medium", "high"])]
    reasoning: Option<String>,
    /// The most tokens of analysis before the answer begins [default: 1024, 8192 or 65536, by effort]
    #[arg(long, value_name = "N")]
    analysis_budget: Option<usize>,
    /// The most tokens of a reply, including analysis [default: as many as the context holds]
    #[arg(short = 'n', long, value_name = "N")]
    max_new_tokens: Option<usize>,
    /// Do not show the analysis of the model
    #[arg(long)]
    hide_analysis: bool,
    /// A JSON Schema that every answer follows; the analysis is free
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// The current date for the model, as YYYY-MM-DD [default: none]
    #[arg(long, value_name = "DATE")]
    date: Option<String>,
    /// A tool that the model may call: python, in a sandbox; browser; apply_patch, to change files below --root
    #[cfg(feature = "tools")]
    #[arg(long = "tool", value_name = "NAME", value_parser = ["python", "browser", "apply_patch"])]
    tools: Vec<String>,
    #[cfg(feature = "tools")]
    #[command(flatten)]
    python: super::tool::PythonArguments,
    #[cfg(feature = "tools")]
    #[command(flatten)]
    browser: super::tool::BrowserArguments,
    /// Continue a conversation that /save wrote
    #[arg(long, value_name = "FILE", conflicts_with_all = LOADED)]
    load: Option<PathBuf>,
    /// Drop the oldest question when the context is full [default: say so and wait for /drop]
    #[arg(long)]
    drop_oldest: bool,
    #[command(flatten)]
    draft: DraftArguments,
    #[command(flatten)]
    arithmetic: ArithmeticArguments,
    #[command(flatten)]
    sampling: SamplingArguments,
}

/// The arguments that a saved conversation determines itself.
#[cfg(feature = "tools")]
const LOADED: [&str; 3] = ["system", "date", "tools"];
#[cfg(not(feature = "tools"))]
const LOADED: [&str; 2] = ["system", "date"];

/// A chat and its display.
struct Conversing<'m> {
    chat: Chat<'m>,
    name: String,                       // of the model
    first: Vec<Message>,                // what /reset leaves
    fixed_instructions: Option<String>, // the instructions about a schema and tools, which /system does not replace
    show: Show,
    analysis_budget: Option<usize>,
    drop_oldest: bool,
    interrupted: Arc<AtomicBool>,
    #[cfg(feature = "tools")]
    tools: crate::tools::Toolbox<'m>,
}

/// The most tool calls that follow one question.
const MOST_CALLS: usize = 32;

pub fn run(arguments: Arguments) -> Result<()> {
    let sampling = arguments.sampling.sampling()?;
    let (model, tokenizer) = arguments.arithmetic.open(&arguments.model)?;
    report_model(&arguments.model)?;
    let harmony = Harmony::new(&tokenizer).map_err(|e| Error::invalid(&arguments.model, e))?;
    let first = first_messages(&arguments)?;
    #[cfg(feature = "tools")]
    let (tools, first) = tools::toolbox(&arguments, first, &tokenizer, model.config.context)?;
    let written = commands::instructions(&first).unwrap_or_default();
    let own = arguments.system.as_deref().unwrap_or_default();
    let fixed = written.strip_prefix(own).map(|fixed| fixed.trim_start().to_string());
    let mut session = Conversing {
        name: arguments.model.display().to_string(),
        fixed_instructions: fixed.filter(|fixed| !fixed.is_empty()),
        chat: match arguments.draft.open(&model, &tokenizer)? {
            None => Chat::new(&model, harmony, sampling, first.clone())?,
            Some(drafter) => {
                Chat::drafting(&model, harmony, sampling, first.clone(), (drafter, arguments.draft.most()))?
            }
        },
        first,
        show: Show::new(!arguments.hide_analysis),
        analysis_budget: arguments.analysis_budget,
        drop_oldest: arguments.drop_oldest,
        interrupted: Arc::default(),
        #[cfg(feature = "tools")]
        tools,
    };
    if let Some(path) = &arguments.schema {
        let guide = Guide::of(&read_schema(path)?, &tokenizer, harmony.marks().done);
        let guide = guide.map_err(|e| Error::invalid(path, e))?;
        report_unknown_formats(guide.unknown_formats());
        session.chat.guide = Some(guide);
    }
    session.set_budget();
    session.chat.budget.reply = arguments.max_new_tokens.unwrap_or(usize::MAX);
    if let Some(path) = &arguments.load {
        session.chat.messages = load(path)?;
        let asked = arguments.reasoning.as_deref().and_then(commands::effort);
        session.set_effort(asked.unwrap_or(session.chat.effort()));
    }
    match arguments.prompt {
        Some(prompt) => session.say(&text_or_standard_input(prompt)?),
        None => session.talk(),
    }
}

/// Returns the messages before the first question.
fn first_messages(arguments: &Arguments) -> Result<Vec<Message>> {
    let own = system_of(&arguments.model)?;
    let is_own = own.is_some();
    let mut system = SystemContent { tools: None, ..own.unwrap_or_default() };
    if let Some(effort) = arguments.reasoning.as_deref().and_then(commands::effort) {
        system.reasoning_effort = Some(effort);
    }
    system.conversation_start_date = arguments.date.clone().or(system.conversation_start_date);
    let mut messages = vec![Message::new(MessageRole::System, system)];
    // A model with its own system message was not trained with schemas in the prompt.
    let schema = arguments.schema.as_deref().filter(|_| !is_own).map(read_schema).transpose()?;
    let instructions = [arguments.system.clone(), schema.as_ref().map(response_format)];
    let instructions: Vec<String> = instructions.into_iter().flatten().collect();
    if !instructions.is_empty() {
        messages.push(developer(&instructions.join("\n\n")));
    }
    Ok(messages)
}

/// Returns the instructions that describe a schema to gpt-oss: <https://cookbook.openai.com/articles/openai-harmony>, "Structured output".
fn response_format(schema: &Value) -> String {
    let name = schema["title"].as_str().unwrap_or("answer");
    format!("# Response Formats\n\n## {name}\n\n{schema}")
}

fn developer(instructions: &str) -> Message {
    Message::new(
        MessageRole::Developer,
        Content::DeveloperContent(DeveloperContent { instructions: Some(instructions.into()), tools: None }),
    )
}

/// Reads a conversation from a file.
fn load(path: &Path) -> Result<Vec<Message>> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "read", e))?;
    let conversation: Conversation = serde_json::from_str(&text)
        .map_err(|e| Error::file(path, format!("{e}; expected a conversation, {{\"messages\": […]}}")).caused_by(e))?;
    Ok(conversation.messages)
}

impl Conversing<'_> {
    /// Reads lines until the end of the input.
    fn talk(&mut self) -> Result<()> {
        let mut input = Input::new()?;
        self.interrupted = interrupt::flag()?;
        if let Input::Terminal(..) = input {
            say!("{}", self.banner());
        }
        while let Some(line) = input.line()? {
            let done = match line.trim() {
                "" => Ok(AfterCommand::Talk),
                "exit" | "quit" => Ok(AfterCommand::Leave),
                command if command.starts_with('/') => self.command(command),
                _ => self.say(&line).map(|()| AfterCommand::Talk),
            };
            match done {
                Ok(AfterCommand::Talk) => {}
                Ok(AfterCommand::Leave) => return Ok(()),
                Err(error) => complain!("{error}"),
            }
        }
        Ok(())
    }

    /// Describes the conversation: the model, its context, its tools, and how to leave.
    fn banner(&self) -> String {
        format!(
            "{}   context {} tokens   {}   effort {}\n/help for help; exit, quit or Ctrl-D to leave",
            self.name,
            thousands(self.chat.context()),
            commands::tools(&self.chat.messages),
            self.chat.effort().name()
        )
    }

    /// Sends a message to the model, or the result of the tool call for which it waits, and shows the reply.
    fn say(&mut self, text: &str) -> Result<()> {
        let before = self.chat.messages.len();
        self.chat.messages.push(match self.waiting_call() {
            Some(call) => Message::answering(call, text),
            None => Message::new(MessageRole::User, text),
        });
        let replied = self.make_room().and_then(|()| self.replies());
        if replied.is_err() && self.chat.messages.len() == before + 1 {
            self.chat.messages.truncate(before); // it was not read: it can be said again
        }
        replied
    }

    /// Returns the tool call for which the model waits.
    fn waiting_call(&self) -> Option<&Message> {
        self.chat.messages.last().filter(|last| last.role == MessageRole::Assistant && last.recipient.is_some())
    }

    /// Lets the model reply, and its tools answer, until the turn is over.
    fn replies(&mut self) -> Result<()> {
        self.interrupted.store(false, Ordering::Relaxed);
        self.reply()?;
        for _ in 0..MOST_CALLS {
            let Some(answer) = self.call() else { break };
            self.show.aside_message(&answer);
            self.chat.messages.push(answer);
            self.make_room()?;
            // Ctrl-C during a call interrupts the next reply.
            self.reply()?;
        }
        #[cfg(feature = "tools")]
        self.show_citations();
        if let Some(call) = self.waiting_call() {
            let tool = call.recipient.as_deref().unwrap_or_default();
            self.show.note(&format!("waits for {}: what you say next is its answer", printable(tool)));
        }
        Ok(())
    }

    /// Returns the answer of a tool to the call for which the model waits, if there is such a tool.
    #[cfg(feature = "tools")]
    fn call(&mut self) -> Option<Message> {
        let call = self.waiting_call().cloned()?;
        self.tools.answer(&call)
    }

    #[cfg(not(feature = "tools"))]
    fn call(&mut self) -> Option<Message> {
        None
    }

    fn reply(&mut self) -> Result<()> {
        let (start, interrupted) = (Instant::now(), self.interrupted.clone());
        let show = &mut self.show;
        let reply = self.chat.reply(&mut |event| {
            show.event(event);
            !show.is_closed() && !interrupted.load(Ordering::Relaxed)
        });
        self.show.end();
        let reply = reply?;
        let seconds = start.elapsed().as_secs_f64();
        self.after(&reply, seconds);
        self.show.check()
    }

    /// Shows the statistics of a reply.
    fn after(&self, reply: &Reply, seconds: f64) {
        let Reply { prompt, kept, tokens, analysis, .. } = reply;
        let drafts = self.chat.drafts().map_or(String::new(), |statistics| format!("; {}", told(&statistics)));
        for flag in &reply.flags {
            self.show.note(&format!("not well-formed, {flag}"));
        }
        match &reply.reason {
            StopReason::End | StopReason::ToolCall(_) => {}
            StopReason::Interrupted => self.show.note("stopped"),
            StopReason::MaxTokens => self.show.note("--max-new-tokens reached"),
            StopReason::ContextFull => {
                self.show.note("the context is full: the reply is cut off; /drop or /reset makes room")
            }
        }
        self.show.note(&format!(
            "{tokens} tokens in {seconds:.1} s, {analysis} of analysis; prompt of {prompt}, {kept} cached{drafts}"
        ));
    }

    /// Makes sure that the conversation fits, with room for an answer.
    fn make_room(&mut self) -> Result<()> {
        loop {
            let (tokens, room) = self.chat.size()?;
            if self.drop_oldest && tokens > room - room / 4 && self.chat.drop_oldest_turn() {
                self.show.note("the context is nearly full: the oldest question is forgotten");
                continue;
            }
            return match tokens <= room {
                true => Ok(()),
                false => Err(Error::argument(format!(
                    "the conversation has {tokens} tokens, the context holds {room}: /drop forgets the oldest \
                     question, /reset all of them"
                ))),
            };
        }
    }

    fn set_budget(&mut self) {
        if let Some(budget) = self.analysis_budget {
            self.chat.budget.analysis = budget;
        }
    }

    fn set_effort(&mut self, effort: Effort) {
        let reply = self.chat.budget.reply;
        self.chat.set_effort(effort);
        self.chat.budget.reply = reply;
        self.set_budget();
    }
}
