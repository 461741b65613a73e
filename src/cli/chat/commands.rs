//! The commands of a chat, which begin with `/`.

use super::{Conversing, developer, load};
use crate::cli::print;
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::harmony::{Content, Conversation, Effort, Message, MessageRole};
use std::path::Path;

/// The next step after a command.
pub enum AfterCommand {
    Talk,
    Leave,
}

/// The commands, and whether an argument follows.
pub const COMMANDS: [(&str, bool); 9] = [
    ("/effort", true),
    ("/system", true),
    ("/tools", false),
    ("/drop", false),
    ("/reset", false),
    ("/save", true),
    ("/load", true),
    ("/help", false),
    ("/quit", false),
];

const HELP: &str = "\
/effort LEVEL   think little, more, long: low, medium, high
/system TEXT    instructions for the model; without a text, show them
/tools          what the model can call
/drop           forget the oldest question
/reset          forget all questions
/save FILE      write the conversation, as JSON
/load FILE      continue a saved conversation
/quit           leave; exit, quit and Ctrl-D do so, too
Tab completes a command. Ctrl-C stops a reply. If the model calls a tool that ossia does not have, your next line is the
answer of the tool.
";

/// Returns an effort by its name.
pub fn effort(name: &str) -> Option<Effort> {
    Effort::ALL.into_iter().find(|effort| effort.name() == name)
}

impl Conversing<'_> {
    /// Runs a line that begins with `/`.
    ///
    /// # Errors
    /// If the line is not a command, or the command fails. The conversation then stays unchanged.
    pub fn command(&mut self, line: &str) -> Result<AfterCommand> {
        let (command, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let argument = argument.trim();
        match (command, argument) {
            ("/help", _) => print(HELP)?,
            ("/quit" | "/exit", _) => return Ok(AfterCommand::Leave),
            ("/effort", "") => self.show.note(&format!("effort {}", self.chat.effort().name())),
            ("/effort", name) => {
                let found = effort(name);
                let found =
                    found.ok_or_else(|| Error::argument(format!("/effort {name}: expected low, medium or high")))?;
                self.set_effort(found);
                self.show.note(&format!("effort {name}"));
            }
            ("/system", "") => {
                self.show.note(&instructions(&self.chat.messages).unwrap_or_else(|| "no instructions".into()));
            }
            ("/system", text) => {
                let all: Vec<&str> = [text].into_iter().chain(self.fixed_instructions.as_deref()).collect();
                set_instructions(&mut self.first, &all.join("\n\n"));
                set_instructions(&mut self.chat.messages, &all.join("\n\n"));
                self.show.note("instructions changed");
            }
            ("/tools", _) => self.show.note(&tools(&self.chat.messages)),
            ("/drop", _) => {
                let dropped = self.chat.drop_oldest_turn();
                let (tokens, room) = self.chat.size()?;
                let what = if dropped { "forgotten" } else { "there is only one question left, or none" };
                self.show.note(&format!("{what}; {tokens} of {room} tokens in use"));
            }
            ("/reset", _) => {
                let effort = self.chat.effort();
                self.chat.messages.clone_from(&self.first);
                self.set_effort(effort);
                self.show.note("all questions are forgotten");
            }
            ("/save" | "/load", "") => return Err(Error::argument(format!("{command} needs a FILE"))),
            ("/save", path) => {
                self.save(Path::new(path))?;
                self.show.note(&format!("saved to {path}"));
            }
            ("/load", path) => self.load(Path::new(path))?,
            _ => return Err(Error::argument(format!("there is no {command}; /help lists what there is"))),
        }
        Ok(AfterCommand::Talk)
    }

    /// Replaces the conversation with the conversation in a file, if it fits in the context.
    fn load(&mut self, path: &Path) -> Result<()> {
        let before = std::mem::replace(&mut self.chat.messages, load(path)?);
        if let Err(error) = self.make_room() {
            self.chat.messages = before;
            return Err(error);
        }
        self.set_effort(self.chat.effort());
        self.show.note(&format!("{} messages, effort {}", self.chat.messages.len(), self.chat.effort().name()));
        Ok(())
    }

    /// Writes the conversation to a file. It may replace an older conversation, but no other file.
    fn save(&self, path: &Path) -> Result<()> {
        if path.exists() && load(path).is_err() {
            return Err(Error::file(path, "is there already, and is not a conversation"));
        }
        let conversation = Conversation { messages: self.chat.messages.clone() };
        let text = serde_json::to_string_pretty(&conversation).expect("plain text");
        write_atomically(path, format!("{text}\n").as_bytes())
    }
}

/// Returns the instructions of the developer message.
pub fn instructions(messages: &[Message]) -> Option<String> {
    messages.iter().flat_map(|message| &message.content).find_map(|content| match content {
        Content::DeveloperContent(developer) => developer.instructions.clone(),
        _ => None,
    })
}

/// Replaces the instructions, or adds them after the system message.
fn set_instructions(messages: &mut Vec<Message>, text: &str) {
    for content in messages.iter_mut().flat_map(|message| &mut message.content) {
        if let Content::DeveloperContent(developer) = content {
            developer.instructions = Some(text.into());
            return;
        }
    }
    let at = messages.iter().take_while(|message| message.role == MessageRole::System).count();
    messages.insert(at, developer(text));
}

/// Returns the names of the tools that the messages offer.
pub fn tools(messages: &[Message]) -> String {
    let offered = messages.iter().flat_map(|message| &message.content).flat_map(|content| match content {
        Content::SystemContent(content) => content.tools.iter().flatten().collect(),
        Content::DeveloperContent(content) => content.tools.iter().flatten().collect::<Vec<_>>(),
        Content::Text { .. } => Vec::new(),
    });
    let names: Vec<String> = offered
        .flat_map(|(name, namespace)| match namespace.tools.is_empty() {
            true => vec![name.clone()],
            false => namespace.tools.iter().map(|tool| format!("{name}.{}", tool.name)).collect(),
        })
        .collect();
    if names.is_empty() { "no tools".into() } else { names.join(", ") }
}
