//! The tools of a chat.

use super::{Arguments, developer, system_of};
use crate::cli::terminal::printable;
use crate::error::{Error, Result};
use crate::harmony::{Content, Message, MessageRole};
use crate::tokenizer::Tokenizer;
use crate::tools::Toolbox;
use crate::tools::apply_patch::Workspace;
use crate::tools::browser::Citation;
use std::collections::BTreeMap;

impl super::Conversing<'_> {
    /// Shows the addresses of the pages that an answer cites.
    pub fn show_citations(&self) {
        let answer =
            self.chat.messages.last().filter(|last| last.role == MessageRole::Assistant && last.recipient.is_none());
        let (Some(answer), Some(browser)) = (answer, &self.tools.browser) else { return };
        for Citation { cursor, lines, title, url } in browser.citations(&answer.text()) {
            self.show.note(&printable(&format!("{cursor}, {lines}: {title} {url}")));
        }
    }
}

/// Returns the requested tools, and the first messages with their descriptions.
///
/// # Errors
/// If a tool is not available.
pub fn toolbox<'t>(
    arguments: &Arguments,
    mut messages: Vec<Message>,
    tokenizer: &'t Tokenizer,
    context: usize,
) -> Result<(Toolbox<'t>, Vec<Message>)> {
    let mut tools = Toolbox::default();
    let wanted = |name: &str| arguments.tools.iter().any(|tool| tool == name);
    if wanted("python") {
        tools.python = Some(arguments.python.start()?);
    }
    if wanted("browser") {
        let mut browser = arguments.browser.start(tokenizer)?;
        browser.view_tokens = browser.view_tokens.min(context / 4);
        tools.browser = Some(browser);
    }
    if wanted("apply_patch") {
        let root = arguments.python.root.as_ref();
        let root =
            root.ok_or_else(|| Error::argument("--tool apply_patch needs --root DIR, whose files it may change"))?;
        tools.workspace = Some(Workspace::open(root)?);
    }
    // The tools are described as in the training of the model, if its system message has a description.
    let known = system_of(&arguments.model)?.and_then(|system| system.tools).unwrap_or_default();
    for content in messages.iter_mut().flat_map(|message| &mut message.content) {
        if let Content::SystemContent(system) = content {
            let namespaces = tools.namespaces().into_iter().map(|namespace| {
                let name = namespace.name.clone();
                let namespace = known.get(&name).cloned().unwrap_or(namespace);
                (name, namespace)
            });
            system.tools = Some(namespaces.collect::<BTreeMap<_, _>>()).filter(|tools| !tools.is_empty());
        }
    }
    if let Some((instructions, functions)) = tools.functions() {
        if !messages.iter().any(|message| message.role == MessageRole::Developer) {
            messages.push(developer(""));
        }
        for content in messages.iter_mut().flat_map(|message| &mut message.content) {
            if let Content::DeveloperContent(content) = content {
                let before = content.instructions.take().filter(|text| !text.is_empty());
                let all: Vec<String> = before.into_iter().chain([instructions.trim_end().to_string()]).collect();
                content.instructions = Some(all.join("\n\n"));
                content.tools = Some(BTreeMap::from([(functions.name.clone(), functions.clone())]));
            }
        }
    }
    Ok((tools, messages))
}
