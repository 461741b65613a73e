//! Tools that a model calls by recipient, and what they answer.       Book: tools.md
//!
//! What a model writes is not to be trusted, whatever it was asked: it may have read a page that asked for something
//! else. So a program runs where it can reach nothing, a patch changes files of one directory alone, and pages come from
//! the public internet.

pub mod apply_patch;
pub mod browser;
pub mod python;
#[cfg(target_os = "linux")]
mod bubblewrap;
#[cfg(target_os = "linux")]
pub mod sandbox;

use crate::harmony::{Message, Tool, ToolNamespace, python_tool};
use apply_patch::Workspace;
use browser::Browser;
use python::Python;
use serde_json::json;

/// The tools that a model may call.
#[derive(Default)]
pub struct Toolbox<'t> {
    /// Runs programs.
    pub python: Option<Python>,
    /// Where files may be changed.
    pub workspace: Option<Workspace>,
    /// Searches and reads.
    pub browser: Option<Browser<'t>>,
}

impl Toolbox<'_> {
    /// What stands in the system message.
    pub fn namespaces(&self) -> Vec<ToolNamespace> {
        let browser = self.browser.iter().map(Browser::namespace);
        browser.chain(self.python.iter().map(|_| python_tool())).collect()
    }

    /// What stands in the developer message: instructions, and functions.
    pub fn functions(&self) -> Option<(&'static str, ToolNamespace)> {
        self.workspace.as_ref()?;
        let tool = Tool {
            name: "apply_patch".into(),
            description: "Change files of the workspace.".into(),
            parameters: Some(json!({"type": "string", "description": "A patch"})),
        };
        let functions = ToolNamespace { name: "functions".into(), description: None, tools: vec![tool] };
        Some((apply_patch::INSTRUCTIONS, functions))
    }

    // ANCHOR: answer
    /// What a tool answers to a call, on the channel of the call; `None` if it is for no tool of these.
    pub fn answer(&mut self, call: &Message) -> Option<Message> {
        let name = call.recipient.as_deref()?;
        let text = match name {
            "python" => self.python.as_mut()?.run(&call.text()),
            "functions.apply_patch" | "apply_patch" => self.workspace.as_ref()?.answer(&call.text()),
            _ if name.starts_with("browser.") => self.browser.as_mut()?.answer(call),
            _ => return None,
        };
        Some(Message::answering(call, text))
    }
    // ANCHOR_END: answer
}
