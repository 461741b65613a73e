//! The chat template of a model: a Jinja template that renders conversations in transformers and in other programs.

use super::message::{ChannelConfig, SystemContent, ToolNamespace};
use super::system::{browser_tool, namespace_text, python_tool, system_text};
use super::{Effort, Harmony};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The template without the values of a model.
const TEMPLATE: &str = include_str!("chat_template.jinja");
/// The line of the template that is replaced by the values of a model.
const MODEL: &str = "{%- set model = {} -%}";
/// The beginning of the names of the special tokens of gpt-oss that have no meaning yet.
const RESERVED: &str = "<|reserved_";

impl Harmony<'_> {
    // ANCHOR: chat_template
    /// Returns the text of the `chat_template.jinja` of a model that was trained with this system message. Its tools are
    /// offered by default, and the caller of the template can name some of them. If the system message has no tools, none
    /// is offered by default, and the caller can name the browser and the Python of gpt-oss.
    pub fn chat_template(&self, system: &SystemContent) -> String {
        let known = || [browser_tool(), python_tool()].map(|tool| (tool.name.clone(), tool)).into();
        let builtin: BTreeMap<String, ToolNamespace> = system.tools.clone().unwrap_or_else(known);
        let builtin: Map<String, Value> =
            builtin.iter().map(|(name, tool)| (name.clone(), namespace_text(tool).into())).collect();
        let model = json!({
            "identity": system.model_identity,
            "cutoff": system.knowledge_cutoff,
            "date": system.conversation_start_date,
            "effort": system.reasoning_effort.map(Effort::name),
            "channels": system.channel_config.clone().map_or_else(String::new, channels_text),
            "offered": system.tools.iter().flat_map(BTreeMap::keys).collect::<Vec<_>>(),
            "builtin": builtin,
            "specials": self.special_names(),
        });
        TEMPLATE.replacen(MODEL, &format!("{{%- set model = {} -%}}", jinja(&model)), 1)
    }
    // ANCHOR_END: chat_template

    /// Returns the names of the special tokens, with one entry for all reserved tokens.
    fn special_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.tokenizer.specials().iter().map(|(name, _)| name.as_str()).collect();
        names.iter_mut().filter(|name| name.starts_with(RESERVED)).for_each(|name| *name = RESERVED);
        names.dedup();
        names
    }
}

/// Returns the section of the system message that lists the channels.
fn channels_text(config: ChannelConfig) -> String {
    let only = SystemContent {
        model_identity: None,
        reasoning_effort: None,
        conversation_start_date: None,
        knowledge_cutoff: None,
        channel_config: Some(config),
        tools: None,
    };
    system_text(&only, false)
}

/// Returns a value as a Jinja expression. It is JSON except that `null` is called `none`; objects have strings as keys.
fn jinja(value: &Value) -> String {
    match value {
        Value::Null => "none".into(),
        Value::Array(items) => format!("[{}]", items.iter().map(jinja).collect::<Vec<_>>().join(", ")),
        Value::Object(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|(key, value)| format!("{}: {}", json!(key), jinja(value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
        other => other.to_string(),
    }
}
