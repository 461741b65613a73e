//! The text of system and developer messages, exactly as gpt-oss was trained on it.

use super::message::{DeveloperContent, SystemContent, Tool, ToolNamespace};
use super::tool_schema::typescript;
use serde_json::json;
use std::collections::BTreeMap;

/// Returns the text of a system message: sections separated by an empty line.
pub(super) fn system_text(content: &SystemContent, function_tools: bool) -> String {
    let identity = [
        content.model_identity.clone(),
        content.knowledge_cutoff.as_ref().map(|date| format!("Knowledge cutoff: {date}")),
        content.conversation_start_date.as_ref().map(|date| format!("Current date: {date}")),
    ];
    let identity: Vec<String> = identity.into_iter().flatten().collect();
    let channels = content.channel_config.as_ref().filter(|config| !config.valid_channels.is_empty()).map(|config| {
        let mut text = format!("# Valid channels: {}.", config.valid_channels.join(", "));
        if config.channel_required {
            text += " Channel must be included for every message.";
        }
        if function_tools {
            text += "\nCalls to these tools must go to the commentary channel: 'functions'.";
        }
        text
    });
    let sections = [
        (!identity.is_empty()).then(|| identity.join("\n")),
        content.reasoning_effort.map(|effort| format!("Reasoning: {}", effort.name())),
        tools_text(content.tools.as_ref()),
        channels,
    ];
    join(sections)
}

/// Returns the text of a developer message: instructions, then tools.
pub(super) fn developer_text(content: &DeveloperContent) -> String {
    let instructions = content.instructions.as_ref().map(|text| format!("# Instructions\n\n{text}"));
    join([instructions, tools_text(content.tools.as_ref())])
}

fn join<const N: usize>(sections: [Option<String>; N]) -> String {
    sections.into_iter().flatten().collect::<Vec<_>>().join("\n\n")
}

/// Describes all namespaces, with their functions as TypeScript types.
fn tools_text(tools: Option<&BTreeMap<String, ToolNamespace>>) -> Option<String> {
    let tools = tools.filter(|tools| !tools.is_empty())?;
    let sections = std::iter::once("# Tools".to_string()).chain(tools.values().map(namespace_text));
    Some(sections.collect::<Vec<_>>().join("\n\n"))
}

/// Returns the section that describes a namespace.
pub(super) fn namespace_text(namespace: &ToolNamespace) -> String {
    let ToolNamespace { name, description, tools } = namespace;
    let comment = |line: &str| format!("// {line}");
    let description = description.iter().flat_map(|text| text.lines());
    let mut lines = vec![format!("## {name}\n")];
    if tools.is_empty() {
        lines.extend(description.map(String::from));
        return lines.join("\n");
    }
    lines.extend(description.map(comment));
    lines.push(format!("namespace {name} {{\n"));
    for Tool { name, description, parameters } in tools {
        lines.extend(description.lines().map(comment));
        let argument = parameters.as_ref().map_or(String::new(), |schema| format!("_: {}", typescript(schema, "")));
        lines.push(format!("type {name} = ({argument}) => any;\n"));
    }
    lines.push(format!("}} // namespace {name}"));
    lines.join("\n")
}

/// Returns the built-in browser in the form that gpt-oss was trained with.
pub fn browser_tool() -> ToolNamespace {
    let description = "Tool for browsing.\n\
         The `cursor` appears in brackets before each browsing display: `[{cursor}]`.\n\
         Cite information from the tool using the following format:\n\
         `【{cursor}†L{line_start}(-L{line_end})?】`, for example: `【6†L9-L11】` or `【8†L3】`.\n\
         Do not quote more than 10 words directly from the tool output.\n\
         sources=web (default: web)";
    ToolNamespace { name: "browser".into(), description: Some(description.into()), tools: browser_functions() }
}

fn browser_functions() -> Vec<Tool> {
    let (text, number) = (json!({"type": "string"}), json!({"type": "number", "default": -1}));
    let search = json!({
        "type": "object",
        "properties": {"query": text, "topn": {"type": "number", "default": 10}, "source": text},
        "required": ["query"]
    });
    let open = json!({
        "type": "object",
        "properties": {
            "id": {"type": ["number", "string"], "default": -1},
            "cursor": number,
            "loc": number,
            "num_lines": number,
            "view_source": {"type": "boolean", "default": false},
            "source": text
        }
    });
    let find = json!({
        "type": "object",
        "properties": {"pattern": text, "cursor": number},
        "required": ["pattern"]
    });
    let tool = |name: &str, description: &str, parameters| Tool {
        name: name.into(),
        description: description.into(),
        parameters: Some(parameters),
    };
    vec![
        tool("search", "Searches for information related to `query` and displays `topn` results.", search),
        tool("open", OPEN_DESCRIPTION, open),
        tool("find", "Finds exact matches of `pattern` in the current page, or the page given by `cursor`.", find),
    ]
}

const OPEN_DESCRIPTION: &str = "Opens the link `id` from the page indicated by `cursor` starting at line number `loc`, showing \
     `num_lines` lines.\n\
     Valid link ids are displayed with the formatting: `【{id}†.*】`.\n\
     If `cursor` is not provided, the most recent page is implied.\n\
     If `id` is a string, it is treated as a fully qualified URL associated with `source`.\n\
     If `loc` is not provided, the viewport will be positioned at the beginning of the document or \
     centered on the most relevant passage, if available.\n\
     Use this function without `id` to scroll to a new location of an opened page.";

/// Returns the built-in Python in the form that gpt-oss was trained with. It takes a program instead of JSON.
pub fn python_tool() -> ToolNamespace {
    ToolNamespace {
        name: "python".into(),
        description: Some(
            "Use this tool to execute Python code in your chain of thought. The code will not be shown to the user. \
             This tool should be used for internal reasoning, but not for code that is intended to be visible to the \
             user (e.g. when creating plots, tables, or files).\n\n\
             When you send a message containing Python code to python, it will be executed in a stateful Jupyter \
             notebook environment. python will respond with the output of the execution or time out after 120.0 \
             seconds. The drive at '/mnt/data' can be used to save and persist user files. Internet access for this \
             session is UNKNOWN. Depends on the cluster."
                .into(),
        ),
        tools: Vec::new(),
    }
}
