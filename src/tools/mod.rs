//! Tools that a model calls by recipient, and what they answer.       Book: chapter 25
//!
//! What a model writes is not to be trusted, whatever it was asked: it may have read a page that asked for something
//! else. So a program runs where it can reach nothing, and a patch changes files of one directory alone.

pub mod python;
#[cfg(target_os = "linux")]
pub mod sandbox;

use crate::harmony::{Message, ToolNamespace, python_tool};
use python::Python;

/// The tools that a model may call.
#[derive(Default)]
pub struct Toolbox {
    /// Runs programs.
    pub python: Option<Python>,
}

impl Toolbox {
    /// What stands in the system message.
    pub fn namespaces(&self) -> Vec<ToolNamespace> {
        self.python.iter().map(|_| python_tool()).collect()
    }

    /// What a tool answers to a call, on the channel of the call; `None` if it is for no tool of these.
    pub fn answer(&mut self, call: &Message) -> Option<Message> {
        let name = call.recipient.as_deref()?;
        let text = match (name, &mut self.python) {
            ("python", Some(python)) => python.run(&call.text()),
            _ => return None,
        };
        let message = Message::from_tool(name, text);
        Some(match &call.channel {
            Some(channel) => message.on(channel),
            None => message,
        })
    }
}
