//! From what a schema demands to a grammar.

use super::dfa::Dfa;
use super::grammar::{Grammar, Items, Member, Members, Node, NodeId};
use super::numbers::{self, Bounds};
use super::read::{BOUNDS, Reader, refuse};
use super::rules::{Rules, kind, kind_of};
use super::strings;
use super::text::Text;
use crate::error::Result;
use serde_json::Value;
use std::collections::HashMap;

/// What may stand where JSON allows space: nothing, one space, or a new line and its indentation.
const SPACE: &str = "(?: |\n {0,16})?";

/// Compiles a schema; the node of the whole text, and the grammar, which is measured.
///
/// # Errors
/// The path of what cannot be kept, and why.
pub fn compile(schema: &Value) -> Result<(NodeId, Grammar)> {
    let mut grammar = Grammar::default();
    let space = match Dfa::new(SPACE) {
        Ok(dfa) => grammar.regular(dfa),
        Err(what) => return refuse("", what),
    };
    let mut compiler = Compiler { reader: Reader { root: schema }, grammar, space, known: HashMap::new(), depth: 0 };
    let root = compiler.schema(schema, "")?;
    let mut grammar = compiler.grammar;
    grammar.measure();
    match grammar.shortest[root] {
        Some(_) => Ok((root, grammar)),
        None => refuse("", "no value of finite depth and size fits it"),
    }
}

struct Compiler<'a> {
    reader: Reader<'a>,
    grammar: Grammar,
    space: NodeId,
    /// Schemas by what they say: the same is compiled once, also while it is being compiled.
    known: HashMap<String, NodeId>,
    depth: usize,
}

/// Schemas within schemas, and schemas in all: more cannot be meant.
const DEEPEST: usize = 200;
const MOST_SCHEMAS: usize = 20_000;

impl Compiler<'_> {
    fn schema(&mut self, schema: &Value, path: &str) -> Result<NodeId> {
        let key = schema.to_string();
        if let Some(&node) = self.known.get(&key) {
            return Ok(node);
        }
        if self.depth == DEEPEST || self.known.len() == MOST_SCHEMAS {
            return refuse(path, format!("schemas more than {DEEPEST} deep, or more than {MOST_SCHEMAS} of them"));
        }
        let node = self.grammar.add(Node::Nothing);
        self.known.insert(key, node);
        self.depth += 1;
        let mut choices = Vec::new();
        for rules in self.reader.alternatives(schema, path, 0)? {
            self.rules(&rules, path, &mut choices)?;
        }
        self.depth -= 1;
        self.grammar.nodes[node] = Node::Choice(choices);
        Ok(node)
    }

    fn rules(&mut self, rules: &Rules, path: &str, choices: &mut Vec<NodeId>) -> Result<()> {
        let is = |kind: u8| rules.kinds & kind != 0;
        if let Some(values) = &rules.values {
            choices.push(self.values(values, rules, path)?);
            return Ok(());
        }
        let constants = [(kind::NULL, "null"), (kind::BOOLEAN, "true"), (kind::BOOLEAN, "false")];
        for (_, text) in constants.into_iter().filter(|(kind, _)| is(*kind)) {
            choices.push(self.bytes(text));
        }
        if is(kind::NUMBER) {
            let dfa = number(rules, path)?;
            choices.push(self.grammar.regular(dfa));
        }
        if is(kind::STRING) {
            let text = string(rules, path)?;
            choices.push(self.string(text));
        }
        if is(kind::ARRAY) {
            choices.push(self.array(rules, path)?);
        }
        if is(kind::OBJECT) {
            choices.push(self.object(rules, path)?);
        }
        Ok(())
    }

    fn bytes(&mut self, text: &str) -> NodeId {
        self.grammar.add(Node::Bytes(text.as_bytes().to_vec()))
    }

    fn string(&mut self, text: Text) -> NodeId {
        let quote = self.bytes("\"");
        self.grammar.texts.push(text);
        let rest = self.grammar.add(Node::Text(self.grammar.texts.len() - 1));
        self.grammar.add(Node::Sequence(vec![quote, rest]))
    }

    /// One of these values, of those that fit all else that is demanded.
    fn values(&mut self, values: &[Value], rules: &Rules, path: &str) -> Result<NodeId> {
        let mut fitting = Vec::new();
        for value in values {
            if fits(value, rules, path)? {
                fitting.push(literal(&value.to_string()));
            }
        }
        if fitting.is_empty() {
            return Ok(self.grammar.add(Node::Nothing));
        }
        let dfa = Dfa::new(&fitting.join("|")).or_else(|what| refuse(path, what))?;
        Ok(self.grammar.regular(dfa))
    }

    /// `node` behind a comma.
    fn later(&mut self, node: NodeId) -> NodeId {
        let comma = self.bytes(",");
        self.grammar.add(Node::Sequence(vec![comma, self.space, node]))
    }

    fn array(&mut self, rules: &Rules, path: &str) -> Result<NodeId> {
        let prefix = rules.prefix.iter().enumerate();
        let mut prefix: Vec<NodeId> =
            prefix.map(|(i, schema)| self.schema(schema, &format!("{path}/prefixItems/{i}"))).collect::<Result<_>>()?;
        let [least, mut most] = rules.count;
        // Where items are named and no others are spoken of, there are no others.
        if rules.items.is_none() && !prefix.is_empty() && least as usize <= prefix.len() {
            most = most.min(prefix.len() as u32);
        }
        let rest = self.schema(rules.item(prefix.len()), &format!("{path}/items"))?;
        if prefix.is_empty() {
            prefix.push(rest);
        }
        let rest = self.later(rest);
        for node in prefix.iter_mut().skip(1) {
            *node = self.later(*node);
        }
        let node = if least > most { Node::Nothing } else { Node::Items(Items { prefix, rest, least, most }) };
        Ok(self.enclosed("[", node, "]"))
    }

    fn enclosed(&mut self, open: &str, node: Node, close: &str) -> NodeId {
        let (open, close) = (self.bytes(open), self.bytes(close));
        let inside = self.grammar.add(node);
        self.grammar.add(Node::Sequence(vec![open, self.space, inside, self.space, close]))
    }

    fn object(&mut self, rules: &Rules, path: &str) -> Result<NodeId> {
        let required = rules.required.iter().filter(|name| !rules.properties.iter().any(|(known, _)| known == *name));
        let names: Vec<&String> = rules.properties.iter().map(|(name, _)| name).chain(required).collect();
        let mut known = Vec::new();
        for name in &names {
            let key = self.bytes(&Value::from(name.as_str()).to_string());
            let value = self.schema(rules.property(name), &format!("{path}/properties/{name}"))?;
            known.push(self.member(key, value, rules.required.contains(name)));
        }
        // Where properties are named and no others are spoken of, there are no others.
        let free = if names.is_empty() { Value::Bool(true) } else { Value::Bool(false) };
        let schema = rules.additional.clone().unwrap_or(free);
        let others = if schema == Value::Bool(false) {
            None
        } else {
            Some(self.schema(&schema, &format!("{path}/additionalProperties"))?)
        };
        let others = match others {
            Some(value) => {
                let taken: Vec<&[u8]> = names.iter().map(|name| name.as_bytes()).collect();
                let dfa = Dfa::new(strings::ANY).and_then(|any| any.without(&taken));
                let text = dfa.and_then(|dfa| Text::new(dfa, 0, u32::MAX, taken.is_empty()));
                let key = self.string(text.or_else(|what| refuse(path, what))?);
                Some(self.member(key, value, false))
            }
            None => None,
        };
        Ok(self.enclosed("{", Node::Members(Members { known, others }), "}"))
    }

    fn member(&mut self, key: NodeId, value: NodeId, required: bool) -> Member {
        let colon = self.bytes(":");
        let first = self.grammar.add(Node::Sequence(vec![key, colon, self.space, value]));
        Member { first, later: self.later(first), required }
    }
}

fn number(rules: &Rules, path: &str) -> Result<Dfa> {
    let integer = rules.kinds & kind::FRACTION == 0;
    let mut dfa: Option<Dfa> = None;
    let most = rules.bounds.iter().map(Vec::len).max().unwrap_or(0).max(1);
    for i in 0..most {
        let bound = |at: usize| rules.bounds[at].get(i).map(String::as_str);
        let bounds = Bounds { least: bound(0), above: bound(1), most: bound(2), below: bound(3) };
        let keyword =
            (0..4).find(|&at| bound(at).is_some()).map_or(path.to_string(), |at| format!("{path}/{}", BOUNDS[at]));
        for regex in numbers::regexes(integer, bounds).or_else(|what| refuse(&keyword, what))? {
            let more = Dfa::new(&regex).or_else(|what| refuse(&keyword, what))?;
            let both = dfa.map_or(Ok(more.clone()), |dfa| dfa.and(&more));
            dfa = Some(both.or_else(|what| refuse(&keyword, what))?);
        }
    }
    dfa.map_or_else(|| refuse(path, "no number fits"), Ok)
}

fn string(rules: &Rules, path: &str) -> Result<Text> {
    let mut dfa = Dfa::new(strings::ANY);
    for pattern in &rules.patterns {
        dfa = dfa.and_then(|dfa| dfa.and(&Dfa::new(pattern)?));
    }
    let [least, most] = rules.length;
    let text = dfa.and_then(|dfa| Text::new(dfa, least, most, rules.patterns.is_empty()));
    text.or_else(|what| refuse(path, what))
}

/// Whether a value that is listed is also all else that is demanded of it.
fn fits(value: &Value, rules: &Rules, path: &str) -> Result<bool> {
    let plain = Rules { kinds: rules.kinds, values: rules.values.clone(), ..Rules::default() };
    if *rules == plain {
        return Ok(rules.kinds & kind_of(value) != 0);
    }
    match value {
        Value::Number(number) => Ok(self::number(rules, path)?.matches(number.to_string().as_bytes())),
        Value::String(text) => {
            let length = text.chars().count() as u32;
            let [least, most] = rules.length;
            Ok((least..=most).contains(&length) && string(rules, path)?.dfa.matches(text.as_bytes()))
        }
        Value::Array(_) | Value::Object(_) => refuse(path, "listed arrays and objects beside other keywords"),
        Value::Null | Value::Bool(_) => Ok(true),
    }
}

/// A text as a regular expression.
fn literal(text: &str) -> String {
    text.chars().map(|c| format!("\\x{{{:X}}}", u32::from(c))).collect()
}
