//! Tools that a model calls as recipients of its messages.
//!
//! Calls are not trusted, whatever the user asked for, because the model may have read a page that asks for something
//! else. So a program runs in a sandbox, a patch changes files of a single directory only, and pages come from the
//! public internet.
//!
//! Book: [tools](../../../book/tools.html)

pub mod apply_patch;
pub mod browser;
pub mod python;
mod interpreter;
pub mod launch;
mod scratch;
pub mod watch;
#[cfg(target_os = "linux")]
mod bubblewrap;
#[cfg(target_os = "linux")]
pub mod sandbox;
#[cfg(target_os = "linux")]
mod syscalls;

use crate::harmony::{Message, Tool, ToolNamespace, python_tool};
use apply_patch::Workspace;
use browser::Browser;
use python::Python;
use serde_json::json;

/// The tools that a model may call.
#[derive(Default)]
pub struct Toolbox<'t> {
    /// Runs Python programs.
    pub python: Option<Python>,
    /// The directory in which the model may change files.
    pub workspace: Option<Workspace>,
    /// Searches and opens pages.
    pub browser: Option<Browser<'t>>,
}

impl Toolbox<'_> {
    /// Returns the tools that are described in the system message.
    pub fn namespaces(&self) -> Vec<ToolNamespace> {
        let browser = self.browser.iter().map(Browser::namespace);
        browser.chain(self.python.iter().map(|_| python_tool())).collect()
    }

    /// Returns the instructions and the functions for the developer message.
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
    /// Calls a tool and returns its result, on the channel of the call. Returns `None` if the call is not for one of
    /// these tools.
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
