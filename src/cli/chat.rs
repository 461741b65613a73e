//! `ossia chat`

mod commands;
mod show;
#[cfg(feature = "tools")]
mod tools;

use self::commands::Next;
use self::show::Show;
use super::arithmetic::ArithmeticArguments;
use super::generate::{SamplingArguments, read_schema};
use crate::chat::{Chat, Reply};
use crate::checkpoint;
use crate::error::{Error, Result};
use crate::generate::StopReason;
use crate::harmony::{Content, Conversation, DeveloperContent, Effort, Harmony, Message, Role, SystemContent};
use crate::schema::Guide;
use crate::tasks::arithmetic;
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use serde_json::Value;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Talk to a model
///
/// The answer goes to standard output; what the model thinks (dim), its calls, and how fast it went go to standard
/// error. Ctrl-C stops a reply; /help lists what else can be said.
///
/// Example: ossia chat runs/arithmetic --reasoning high --temperature 0
#[derive(clap::Args)]
#[command(allow_negative_numbers = true)]
pub struct Arguments {
    /// A model directory whose tokenizer has harmony's marks
    model: PathBuf,
    /// Say only this, print the answer, and leave
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// Instructions, what is usually called the system prompt
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// How long the model thinks: low, medium or high [default: medium]
    #[arg(long, value_name = "EFFORT", value_parser = ["low", "medium", "high"])]
    reasoning: Option<String>,
    /// So many tokens of thought, then the answer begins [default: 1024, 8192 or 65536, by effort]
    #[arg(long, value_name = "N")]
    analysis_budget: Option<usize>,
    /// Stop a reply after so many tokens, thoughts included [default: as many as the context holds]
    #[arg(long, value_name = "N")]
    max_new_tokens: Option<usize>,
    /// Do not show what the model thinks
    #[arg(long)]
    hide_analysis: bool,
    /// A JSON Schema that every answer follows; what the model thinks stays free
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// Today, as YYYY-MM-DD, for the model to know [default: it is not told]
    #[arg(long, value_name = "DATE")]
    date: Option<String>,
    /// What the model may call: python, in a sandbox; browser; apply_patch, to change files below --root
    #[cfg(feature = "tools")]
    #[arg(long = "tool", value_name = "NAME", value_parser = ["python", "browser", "apply_patch"])]
    tools: Vec<String>,
    #[cfg(feature = "tools")]
    #[command(flatten)]
    python: super::tool::PythonArguments,
    #[cfg(feature = "tools")]
    #[command(flatten)]
    browser: super::tool::BrowserArguments,
    /// Go on with a conversation that /save wrote
    #[arg(long, value_name = "FILE", conflicts_with_all = LOADED)]
    load: Option<PathBuf>,
    /// When the context is full, forget the oldest question and go on [default: say so and wait for /drop]
    #[arg(long)]
    drop_oldest: bool,
    #[command(flatten)]
    arithmetic: ArithmeticArguments,
    #[command(flatten)]
    sampling: SamplingArguments,
}

/// What a conversation that was saved says itself.
#[cfg(feature = "tools")]
const LOADED: [&str; 3] = ["system", "date", "tools"];
#[cfg(not(feature = "tools"))]
const LOADED: [&str; 2] = ["system", "date"];

/// A chat, and how it is shown.
struct Session<'m> {
    chat: Chat<'m>,
    first: Vec<Message>,  // what /reset leaves
    told: Option<String>, // what the instructions say of a schema and of tools, whatever else they say
    show: Show,
    analysis_budget: Option<usize>,
    drop_oldest: bool,
    interrupted: Arc<AtomicBool>,
    #[cfg(feature = "tools")]
    tools: crate::tools::Toolbox<'m>,
}

/// Calls of tools that one question may lead to.
const MOST_CALLS: usize = 32;

pub fn run(arguments: Arguments) -> Result<()> {
    let sampling = arguments.sampling.sampling()?;
    let (model, tokenizer) = checkpoint::open_with(&arguments.model, arguments.arithmetic.arithmetic())?;
    let harmony = Harmony::new(&tokenizer).map_err(|e| Error::file(&arguments.model, e.to_string()))?;
    let first = first_messages(&arguments)?;
    #[cfg(feature = "tools")]
    let (tools, first) = tools::toolbox(&arguments, first, &tokenizer, model.config.context)?;
    let written = commands::instructions(&first).unwrap_or_default();
    let told =
        written.strip_prefix(arguments.system.as_deref().unwrap_or_default()).map(|told| told.trim_start().into());
    let mut session = Session {
        told: told.filter(|told: &String| !told.is_empty()),
        chat: Chat::new(&model, harmony, sampling, first.clone())?,
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
        session.chat.guide = Some(guide.map_err(|e| Error::file(path, e.to_string()))?);
    }
    session.set_budget();
    session.chat.budget.reply = arguments.max_new_tokens.unwrap_or(usize::MAX);
    if let Some(path) = &arguments.load {
        session.chat.messages = load(path)?;
        let asked = arguments.reasoning.as_deref().and_then(commands::effort);
        session.set_effort(asked.unwrap_or(session.chat.effort()));
    }
    match arguments.prompt {
        Some(prompt) => session.say(&prompt),
        None => session.talk(),
    }
}

/// What stands before the first question.
fn first_messages(arguments: &Arguments) -> Result<Vec<Message>> {
    let own = system_of(&arguments.model)?;
    let is_own = own.is_some();
    let mut system = SystemContent { tools: None, ..own.unwrap_or_default() };
    if let Some(effort) = arguments.reasoning.as_deref().and_then(commands::effort) {
        system.reasoning_effort = Some(effort);
    }
    system.conversation_start_date = arguments.date.clone().or(system.conversation_start_date);
    let mut messages = vec![Message::new(Role::System, system)];
    // A model with a system message of its own was never told of schemas.
    let schema = arguments.schema.as_deref().filter(|_| !is_own).map(read_schema).transpose()?;
    let instructions = [arguments.system.clone(), schema.as_ref().map(response_format)];
    let instructions: Vec<String> = instructions.into_iter().flatten().collect();
    if !instructions.is_empty() {
        messages.push(developer(&instructions.join("\n\n")));
    }
    Ok(messages)
}

/// The system message that a model was trained with, where it is not gpt-oss's own.
fn system_of(model: &Path) -> Result<Option<SystemContent>> {
    let path = model.join(arithmetic::SYSTEM);
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).map_err(|e| Error::io(&path, "read", e))?;
    serde_json::from_str(&text).map(Some).map_err(|e| Error::file(&path, e.to_string()))
}

/// How gpt-oss is told of a schema: <https://cookbook.openai.com/articles/openai-harmony>, "Structured output".
fn response_format(schema: &Value) -> String {
    let name = schema["title"].as_str().unwrap_or("answer");
    format!("# Response Formats\n\n## {name}\n\n{schema}")
}

fn developer(instructions: &str) -> Message {
    Message::new(
        Role::Developer,
        Content::DeveloperContent(DeveloperContent { instructions: Some(instructions.into()), tools: None }),
    )
}

/// A conversation from a file.
fn load(path: &Path) -> Result<Vec<Message>> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "read", e))?;
    let conversation: Conversation = serde_json::from_str(&text)
        .map_err(|e| Error::file(path, format!("{e}; expected a conversation, {{\"messages\": […]}}")))?;
    Ok(conversation.messages)
}

impl Session<'_> {
    /// Reads lines until there are no more.
    fn talk(&mut self) -> Result<()> {
        let flag = self.interrupted.clone();
        // A second Ctrl-C does not wait for the end of a long prompt.
        _ = ctrlc::set_handler(move || {
            if flag.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
        });
        let terminal = |e: ReadlineError| Error::argument(format!("the terminal cannot be read: {e}"));
        let mut editor = DefaultEditor::new().map_err(terminal)?;
        if std::io::stdin().is_terminal() {
            say!("effort {}; /help for help, Ctrl-D to leave", self.chat.effort().name());
        }
        loop {
            let line = match editor.readline("> ") {
                Ok(line) => line,
                Err(ReadlineError::Interrupted) => continue, // the line is thrown away
                Err(ReadlineError::Eof) => return Ok(()),
                Err(error) => return Err(terminal(error)),
            };
            _ = editor.add_history_entry(&line); // of this session only; a line that is not kept is no loss
            let done = match line.trim() {
                "" => Ok(Next::Talk),
                command if command.starts_with('/') => self.command(command),
                _ => self.say(&line).map(|()| Next::Talk),
            };
            match done {
                Ok(Next::Talk) => {}
                Ok(Next::Leave) => return Ok(()),
                Err(error) => say!("{error}"),
            }
        }
    }

    /// Says something to the model, or answers the tool call for which it waits, and shows what it replies.
    fn say(&mut self, text: &str) -> Result<()> {
        let before = self.chat.messages.len();
        self.chat.messages.push(match self.waiting_call() {
            Some(call) => Message::answering(call, text),
            None => Message::new(Role::User, text),
        });
        let replied = self.make_room().and_then(|()| self.replies());
        if replied.is_err() && self.chat.messages.len() == before + 1 {
            self.chat.messages.truncate(before); // it was not read: it can be said again
        }
        replied
    }

    /// The call for which the model waits.
    fn waiting_call(&self) -> Option<&Message> {
        self.chat.messages.last().filter(|last| last.role == Role::Assistant && last.recipient.is_some())
    }

    /// Lets the model reply, and its tools answer, until it is done.
    fn replies(&mut self) -> Result<()> {
        self.interrupted.store(false, Ordering::Relaxed);
        self.reply()?;
        for _ in 0..MOST_CALLS {
            let Some(answer) = self.call() else { break };
            self.show.aside_message(&answer);
            self.chat.messages.push(answer);
            self.make_room()?;
            // Ctrl-C during a call stops what would follow it.
            self.reply()?;
        }
        #[cfg(feature = "tools")]
        self.show_citations();
        if let Some(call) = self.waiting_call() {
            let tool = call.recipient.as_deref().unwrap_or_default();
            self.show.note(&format!("waits for {}: what you say next is its answer", show::printable(tool)));
        }
        Ok(())
    }

    /// What a tool answers to the call for which the model waits, if there is one for it.
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

    /// What is to be said about a reply.
    fn after(&self, reply: &Reply, seconds: f64) {
        let Reply { prompt, kept, tokens, analysis, .. } = reply;
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
            "{tokens} tokens in {seconds:.1} s, {analysis} of analysis; prompt of {prompt}, {kept} of them known"
        ));
    }

    /// Sees to it that the conversation fits, with room for an answer.
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
