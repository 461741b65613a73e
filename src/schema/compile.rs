//! Compiles the constraints of a schema to a grammar.

use super::constraints::{Constraints, kind, kind_of};
use super::dfa::Dfa;
use super::error::{SchemaProblem, SchemaResult, at, refuse};
use super::grammar::{Items, JsonGrammar, Member, Members, Node, NodeId};
use super::keywords::BOUNDS;
use super::numbers::{self, Bounds};
use super::read::SchemaReader;
use super::strings;
use super::text::Text;
use serde_json::Value;
use std::collections::HashMap;

/// The white space that may be written where JSON allows any: nothing, one space, or a line break and its indentation.
const SPACE: &str = "(?: |\n {0,16})?";

/// Compiles a schema. Returns the node of the whole text and the grammar, already measured.
///
/// # Errors
/// If a keyword cannot be enforced, or no value fits the schema.
pub fn compile(schema: &Value) -> SchemaResult<(NodeId, JsonGrammar)> {
    let mut grammar = JsonGrammar::default();
    let space = grammar.regular(Dfa::new(SPACE).map_err(at(""))?);
    let mut compiler =
        Compiler { reader: SchemaReader { root: schema }, grammar, space, known: HashMap::new(), depth: 0 };
    let root = compiler.schema(schema, "")?;
    let mut grammar = compiler.grammar;
    grammar.measure();
    match grammar.shortest[root] {
        Some(_) => Ok((root, grammar)),
        None => refuse("", SchemaProblem::NoValue),
    }
}

struct Compiler<'a> {
    reader: SchemaReader<'a>,
    grammar: JsonGrammar,
    space: NodeId,
    /// The nodes of schemas by their text. Equal schemas are compiled once. An entry exists already while its schema is
    /// being compiled, so that a schema may refer to itself.
    known: HashMap<String, NodeId>,
    depth: usize,
}

/// The greatest depth of schemas within schemas, and the greatest number of schemas.
const DEEPEST: usize = 200;
const MOST_SCHEMAS: usize = 20_000;

impl Compiler<'_> {
    fn schema(&mut self, schema: &Value, path: &str) -> SchemaResult<NodeId> {
        let key = schema.to_string();
        if let Some(&node) = self.known.get(&key) {
            return Ok(node);
        }
        if self.depth == DEEPEST || self.known.len() == MOST_SCHEMAS {
            return refuse(path, SchemaProblem::TooManySchemas { depth: DEEPEST, count: MOST_SCHEMAS });
        }
        let node = self.grammar.add(Node::Nothing);
        self.known.insert(key, node);
        self.depth += 1;
        let mut choices = Vec::new();
        for constraints in self.reader.alternatives(schema, path, 0)? {
            self.alternative(&constraints, path, &mut choices)?;
        }
        self.depth -= 1;
        self.grammar.nodes[node] = Node::Choice(choices);
        Ok(node)
    }

    fn alternative(&mut self, constraints: &Constraints, path: &str, choices: &mut Vec<NodeId>) -> SchemaResult<()> {
        let is = |kind: u8| constraints.kinds & kind != 0;
        if let Some(values) = &constraints.values {
            choices.push(self.values(values, constraints, path)?);
            return Ok(());
        }
        let constants = [(kind::NULL, "null"), (kind::BOOLEAN, "true"), (kind::BOOLEAN, "false")];
        for (_, text) in constants.into_iter().filter(|(kind, _)| is(*kind)) {
            choices.push(self.bytes(text));
        }
        if is(kind::NUMBER) {
            let dfa = number(constraints, path)?;
            choices.push(self.grammar.regular(dfa));
        }
        if is(kind::STRING) {
            let text = string(constraints, path)?;
            choices.push(self.string(text));
        }
        if is(kind::ARRAY) {
            choices.push(self.array(constraints, path)?);
        }
        if is(kind::OBJECT) {
            choices.push(self.object(constraints, path)?);
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

    /// Adds the values that fit all the other constraints as one node.
    fn values(&mut self, values: &[Value], constraints: &Constraints, path: &str) -> SchemaResult<NodeId> {
        let mut fitting = Vec::new();
        for value in values {
            if fits(value, constraints, path)? {
                fitting.push(literal(&value.to_string()));
            }
        }
        if fitting.is_empty() {
            return Ok(self.grammar.add(Node::Nothing));
        }
        let dfa = Dfa::new(&fitting.join("|")).map_err(at(path))?;
        Ok(self.grammar.regular(dfa))
    }

    /// Returns `node` with a comma before it.
    fn later(&mut self, node: NodeId) -> NodeId {
        let comma = self.bytes(",");
        self.grammar.add(Node::Sequence(vec![comma, self.space, node]))
    }

    fn array(&mut self, constraints: &Constraints, path: &str) -> SchemaResult<NodeId> {
        let prefix = constraints.prefix.iter().enumerate();
        let mut prefix: Vec<NodeId> = prefix
            .map(|(i, schema)| self.schema(schema, &format!("{path}/prefixItems/{i}")))
            .collect::<SchemaResult<_>>()?;
        let [least, mut most] = constraints.count;
        // If the schema has `prefixItems` but no `items`, no further items are written.
        if constraints.items.is_none() && !prefix.is_empty() && least as usize <= prefix.len() {
            most = most.min(prefix.len() as u32);
        }
        let rest = self.schema(constraints.item(prefix.len()), &format!("{path}/items"))?;
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

    fn object(&mut self, constraints: &Constraints, path: &str) -> SchemaResult<NodeId> {
        let required =
            constraints.required.iter().filter(|name| !constraints.properties.iter().any(|(known, _)| known == *name));
        let names: Vec<&String> = constraints.properties.iter().map(|(name, _)| name).chain(required).collect();
        let mut known = Vec::new();
        for name in &names {
            let key = self.bytes(&Value::from(name.as_str()).to_string());
            let value = self.schema(constraints.property(name), &format!("{path}/properties/{name}"))?;
            known.push(self.member(key, value, constraints.required.contains(name)));
        }
        // If the schema has `properties` but no `additionalProperties`, no further members are written.
        let free = if names.is_empty() { Value::Bool(true) } else { Value::Bool(false) };
        let schema = constraints.additional.clone().unwrap_or(free);
        let others = if schema == Value::Bool(false) {
            None
        } else {
            Some(self.schema(&schema, &format!("{path}/additionalProperties"))?)
        };
        let others = match others {
            Some(value) => {
                let taken: Vec<&[u8]> = names.iter().map(|name| name.as_bytes()).collect();
                let dfa = Dfa::new(strings::ANY).and_then(|any| any.without(&taken)).map_err(at(path))?;
                let key = self.string(Text::new(dfa, 0, u32::MAX, taken.is_empty()).map_err(at(path))?);
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

fn number(constraints: &Constraints, path: &str) -> SchemaResult<Dfa> {
    let integer = constraints.kinds & kind::FRACTION == 0;
    let mut dfa: Option<Dfa> = None;
    let most = constraints.bounds.iter().map(Vec::len).max().unwrap_or(0).max(1);
    for i in 0..most {
        let bound = |at: usize| constraints.bounds[at].get(i).map(String::as_str);
        let bounds = Bounds { least: bound(0), above: bound(1), most: bound(2), below: bound(3) };
        let keyword =
            (0..4).find(|&at| bound(at).is_some()).map_or(path.to_string(), |at| format!("{path}/{}", BOUNDS[at]));
        for regex in numbers::regexes(integer, bounds).map_err(at(&keyword))? {
            let more = Dfa::new(&regex).map_err(at(&keyword))?;
            let both = dfa.map_or(Ok(more.clone()), |dfa| dfa.and(&more));
            dfa = Some(both.map_err(at(&keyword))?);
        }
    }
    dfa.map_or_else(|| refuse(path, SchemaProblem::NoNumber), Ok)
}

fn string(constraints: &Constraints, path: &str) -> SchemaResult<Text> {
    let mut dfa = Dfa::new(strings::ANY).map_err(at(path))?;
    for pattern in &constraints.patterns {
        dfa = Dfa::new(pattern).and_then(|pattern| dfa.and(&pattern)).map_err(at(path))?;
    }
    let [least, most] = constraints.length;
    Text::new(dfa, least, most, constraints.patterns.is_empty()).map_err(at(path))
}

/// Returns whether a value that is listed in `enum` or `const` fits all the other constraints.
fn fits(value: &Value, constraints: &Constraints, path: &str) -> SchemaResult<bool> {
    let plain = Constraints { kinds: constraints.kinds, values: constraints.values.clone(), ..Constraints::default() };
    if *constraints == plain {
        return Ok(constraints.kinds & kind_of(value) != 0);
    }
    match value {
        Value::Number(number) => Ok(self::number(constraints, path)?.matches(number.to_string().as_bytes())),
        Value::String(text) => {
            let length = text.chars().count() as u32;
            let [least, most] = constraints.length;
            Ok((least..=most).contains(&length) && string(constraints, path)?.dfa.matches(text.as_bytes()))
        }
        Value::Array(_) | Value::Object(_) => refuse(path, SchemaProblem::ListedCompounds),
        Value::Null | Value::Bool(_) => Ok(true),
    }
}

/// Returns a regular expression that matches exactly `text`.
fn literal(text: &str) -> String {
    text.chars().map(|c| format!("\\x{{{:X}}}", u32::from(c))).collect()
}
