//! Compiles the constraints of a schema to a grammar.

use super::automata::Automata;
use super::constraints::{Constraints, kind};
use super::dfa::Dfa;
use super::error::{SchemaProblem, SchemaResult, at, refuse};
use super::grammar::{GrammarNode, Items, JsonGrammar, Member, Members, NodeId};
use super::numbers::{self, Bound};
use super::pattern::ANY;
use super::read::SchemaReader;
use super::text::Text;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// The white space that may be written where JSON allows any: a few blanks, or a line break and its indentation.
const SPACE: &str = "[ \t]{0,8}(?:\r?\n[ \t]{0,128})?";

/// A schema that was compiled.
pub struct Compiled {
    /// The node of the whole text.
    pub root: NodeId,
    /// The grammar, already measured.
    pub grammar: JsonGrammar,
    /// The formats that are not enforced.
    pub unknown_formats: Vec<String>,
}

/// Compiles a schema.
///
/// # Errors
/// If a keyword cannot be enforced, or no value fits the schema.
pub fn compile(schema: &Value) -> SchemaResult<Compiled> {
    let reader = SchemaReader::new(schema)?;
    let mut grammar = JsonGrammar::default();
    let space = grammar.regular(Dfa::new(SPACE).map_err(at(""))?);
    let comma = grammar.add(GrammarNode::Bytes(b",".to_vec()));
    let separator = grammar.add(GrammarNode::Sequence(vec![space, comma, space]));
    let mut compiler = Compiler {
        reader,
        grammar,
        space,
        separator,
        schemas: HashMap::new(),
        numbers: HashMap::new(),
        strings: HashMap::new(),
        depth: 0,
    };
    let root = compiler.schema(&[schema], "")?;
    let mut grammar = compiler.grammar;
    grammar.measure();
    let unknown_formats = compiler.reader.unknown_formats().into_iter().map(String::from).collect();
    match grammar.shortest[root] {
        Some(_) => Ok(Compiled { root, grammar, unknown_formats }),
        None => refuse("", SchemaProblem::NoValue),
    }
}

/// The patterns of a string and the limits of its length.
type StringKey = (Vec<String>, [u32; 2]);

/// Compiles the schemas of one document. Equal parts are compiled once.
pub struct Compiler<'a> {
    reader: SchemaReader<'a>,
    pub grammar: JsonGrammar,
    pub space: NodeId,
    /// The node of a comma and the white space around it.
    pub separator: NodeId,
    /// The nodes of schemas by their addresses. An entry exists already while its schema is being compiled, so that a
    /// schema may refer to itself.
    schemas: HashMap<Vec<*const Value>, NodeId>,
    numbers: HashMap<(bool, Vec<Bound>), NodeId>,
    strings: HashMap<StringKey, NodeId>,
    depth: usize,
}

/// The greatest depth of schemas within schemas, and the greatest number of schemas.
const DEEPEST: usize = 200;
const MOST_SCHEMAS: usize = 50_000;

impl<'a> Compiler<'a> {
    // ANCHOR: schema
    /// Compiles schemas that all hold.
    fn schema(&mut self, schemas: &[&'a Value], path: &str) -> SchemaResult<NodeId> {
        let mut key: Vec<*const Value> = schemas.iter().map(|schema| std::ptr::from_ref(*schema)).collect();
        key.sort_unstable();
        if let Some(&node) = self.schemas.get(&key) {
            return Ok(node);
        }
        if self.depth == DEEPEST || self.schemas.len() == MOST_SCHEMAS {
            return refuse(path, SchemaProblem::TooManySchemas { depth: DEEPEST, count: MOST_SCHEMAS });
        }
        let node = self.grammar.add(GrammarNode::Nothing);
        self.schemas.insert(key, node);
        self.depth += 1;
        let mut choices = Vec::new();
        for constraints in self.reader.alternatives_of_all(schemas, path)? {
            self.alternative(&constraints, path, &mut choices)?;
        }
        self.depth -= 1;
        self.grammar.nodes[node] = GrammarNode::Choice(choices);
        Ok(node)
    }
    // ANCHOR_END: schema

    fn alternative(
        &mut self,
        constraints: &Constraints<'a>,
        path: &str,
        choices: &mut Vec<NodeId>,
    ) -> SchemaResult<()> {
        if let Some(values) = &constraints.values {
            return self.values(values, constraints, path, choices);
        }
        let is = |kind: u8| constraints.kinds & kind != 0;
        let constants = [(kind::NULL, "null"), (kind::BOOLEAN, "true"), (kind::BOOLEAN, "false")];
        for (_, text) in constants.into_iter().filter(|(kind, _)| is(*kind)) {
            choices.push(self.bytes(text));
        }
        if is(kind::NUMBER) {
            choices.push(self.number(constraints, path)?);
        }
        if is(kind::STRING) {
            choices.push(self.string(constraints, path)?);
        }
        if is(kind::ARRAY) {
            choices.push(self.array(constraints, path)?);
        }
        if is(kind::OBJECT) {
            choices.push(self.object(constraints, path)?);
        }
        Ok(())
    }

    /// Adds a node for exactly this text.
    pub fn bytes(&mut self, text: &str) -> NodeId {
        self.grammar.add(GrammarNode::Bytes(text.as_bytes().to_vec()))
    }

    fn number(&mut self, constraints: &Constraints<'a>, path: &str) -> SchemaResult<NodeId> {
        let integer = constraints.kinds & kind::FRACTION == 0;
        let key = (integer, constraints.bounds.clone());
        if let Some(&node) = self.numbers.get(&key) {
            return Ok(node);
        }
        let node =
            self.grammar.regular(numbers::within(self.automata(), integer, &constraints.bounds).map_err(at(path))?);
        self.numbers.insert(key, node);
        Ok(node)
    }

    fn string(&mut self, constraints: &Constraints<'a>, path: &str) -> SchemaResult<NodeId> {
        let key = (constraints.patterns.clone(), constraints.length);
        if let Some(&node) = self.strings.get(&key) {
            return Ok(node);
        }
        let mut dfa =
            self.automata().regex(constraints.patterns.first().map_or(ANY, |first| first)).map_err(at(path))?;
        for pattern in constraints.patterns.iter().skip(1) {
            let both = self.automata().regex(pattern).and_then(|pattern| dfa.and(&pattern));
            dfa = Rc::new(both.and_then(|both| self.automata().made(both)).map_err(at(path))?);
        }
        let [least, most] = constraints.length;
        let text = Text::new((*dfa).clone(), least, most, constraints.patterns.is_empty()).map_err(at(path))?;
        let node = self.text(text);
        self.strings.insert(key, node);
        Ok(node)
    }

    /// Returns the automata of the schema.
    pub fn automata(&self) -> &Automata {
        &self.reader.automata
    }

    /// Adds a node for a string with this content.
    pub fn text(&mut self, text: Text) -> NodeId {
        let quote = self.bytes("\"");
        self.grammar.texts.push(text);
        let rest = self.grammar.add(GrammarNode::Text(self.grammar.texts.len() - 1));
        self.grammar.add(GrammarNode::Sequence(vec![quote, rest]))
    }

    /// Adds a node for exactly these strings.
    pub fn words(&mut self, words: &[&str], path: &str) -> SchemaResult<NodeId> {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        let dfa = self.automata().words(&words).map_err(at(path))?;
        Ok(self.text(Text::words(dfa).map_err(at(path))?))
    }

    fn array(&mut self, constraints: &Constraints<'a>, path: &str) -> SchemaResult<NodeId> {
        let prefix = constraints.prefix.iter().enumerate();
        let prefix = prefix
            .map(|(i, schemas)| self.schema(schemas, &format!("{path}/prefixItems/{i}")))
            .collect::<SchemaResult<_>>()?;
        let [least, most] = constraints.count;
        let rest = self.schema(&constraints.items, &format!("{path}/items"))?;
        Ok(self.list(Items { prefix, rest, least, most, separator: self.separator }))
    }

    /// Adds a node for an array.
    pub fn list(&mut self, items: Items) -> NodeId {
        let node = if items.least > items.most { GrammarNode::Nothing } else { GrammarNode::Items(items) };
        self.enclosed("[", node, "]")
    }

    /// Adds a node between brackets.
    pub fn enclosed(&mut self, open: &str, node: GrammarNode, close: &str) -> NodeId {
        let (open, close) = (self.bytes(open), self.bytes(close));
        let inside = self.grammar.add(node);
        self.grammar.add(GrammarNode::Sequence(vec![open, self.space, inside, self.space, close]))
    }

    fn object(&mut self, constraints: &Constraints<'a>, path: &str) -> SchemaResult<NodeId> {
        let properties = constraints.by_name();
        let required: HashSet<&str> = constraints.required.iter().copied().collect();
        let unnamed = constraints.required.iter().filter(|name| !properties.contains_key(*name));
        let names: Vec<&str> = constraints.properties.iter().map(|(name, _)| name).chain(unnamed).copied().collect();
        let mut known = Vec::new();
        for name in &names {
            let schemas = properties.get(name).copied().unwrap_or(&constraints.additional);
            let value = self.schema(schemas, &format!("{path}/properties/{name}"))?;
            let key = self.words(&[name], path)?;
            known.push(self.member(key, value, required.contains(name)));
        }
        let is_closed = constraints.additional.iter().any(|schema| **schema == Value::Bool(false));
        let others = if is_closed { None } else { Some(self.other_members(&names, &constraints.additional, path)?) };
        let members = Members { known, others, separator: self.separator };
        Ok(self.enclosed("{", GrammarNode::Members(members), "}"))
    }

    /// Adds a node for a member with any other name.
    fn other_members(&mut self, known: &[&str], schemas: &[&'a Value], path: &str) -> SchemaResult<Member> {
        let value = self.schema(schemas, &format!("{path}/additionalProperties"))?;
        let known: Vec<&[u8]> = known.iter().map(|name| name.as_bytes()).collect();
        let known_names = self.automata().words(&known).map_err(at(path))?;
        let names = self.automata().regex(ANY).and_then(|any| any.minus(&known_names));
        let names = names.and_then(|names| self.automata().made(names)).map_err(at(path))?;
        let key = self.text(Text::new(names, 0, u32::MAX, known.is_empty()).map_err(at(path))?);
        Ok(self.member(key, value, false))
    }

    /// Adds a node for the name, the colon and the value of a member.
    pub fn member(&mut self, key: NodeId, value: NodeId, required: bool) -> Member {
        let colon = self.bytes(":");
        let node = self.grammar.add(GrammarNode::Sequence(vec![key, self.space, colon, self.space, value]));
        Member { node, required }
    }
}
