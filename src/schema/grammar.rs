//! The grammar that a schema is compiled to: a graph of nodes, each of which matches some JSON.

use super::dfa::{Dfa, START};
use super::text::Text;

/// The number of a node in [`JsonGrammar::nodes`].
pub type NodeId = usize;

/// A part of a JSON text.
#[derive(Debug)]
pub enum Node {
    /// Exactly these bytes.
    Bytes(Vec<u8>),
    /// A number, or one of several literals: the index of an automaton in [`JsonGrammar::regular`].
    Regular(usize),
    /// The rest of a string after its first quote: an index in [`JsonGrammar::texts`].
    Text(usize),
    /// These nodes one after another.
    Sequence(Vec<NodeId>),
    /// One of these nodes.
    Choice(Vec<NodeId>),
    /// Items separated by commas, without the brackets.
    Items(Items),
    /// Members separated by commas, without the braces.
    Members(Members),
    /// A node that matches nothing.
    Nothing,
}

/// The items of an array.
#[derive(Debug)]
pub struct Items {
    /// The first items, at least one. From the second item on, a node includes the comma before it.
    pub prefix: Vec<NodeId>,
    /// All further items, including the comma before each.
    pub rest: NodeId,
    /// The smallest number of items.
    pub least: u32,
    /// The largest number of items, or `u32::MAX`.
    pub most: u32,
}

/// The members of an object.
#[derive(Debug)]
pub struct Members {
    /// The members with known names, in the order in which they are written.
    pub known: Vec<Member>,
    /// Any number of other members.
    pub others: Option<Member>,
}

/// A member of an object: name, colon and value.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// The node of the member if it is the first of its object.
    pub first: NodeId,
    /// The node of the member after another one, including the comma between them.
    pub later: NodeId,
    /// Whether the member is required.
    pub required: bool,
}

impl Member {
    /// Returns the node of the member: `later` tells whether another member came before.
    pub fn node(&self, later: bool) -> NodeId {
        if later { self.later } else { self.first }
    }
}

/// The nodes of a compiled schema, and the tables that they refer to.
#[derive(Debug, Default)]
pub struct JsonGrammar {
    /// All nodes.
    pub nodes: Vec<Node>,
    /// The automata of [`Node::Regular`], each with the smallest number of bytes from every state to the end.
    pub regular: Vec<(Dfa, Vec<Option<u32>>)>,
    /// The strings of [`Node::Text`].
    pub texts: Vec<Text>,
    /// The smallest number of bytes that match each node; `None` if nothing does.
    pub shortest: Vec<Option<u32>>,
    /// The smallest depth of arrays and objects that matches each node; `u32::MAX` if nothing does.
    pub depth: Vec<u32>,
}

impl JsonGrammar {
    /// Adds a node.
    pub fn add(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// Adds a node for an automaton.
    pub fn regular(&mut self, dfa: Dfa) -> NodeId {
        let costs = dfa.costs(|_| 1);
        self.regular.push((dfa, costs));
        self.add(Node::Regular(self.regular.len() - 1))
    }

    /// Computes `shortest` and `depth`, from the leaves up, until nothing changes.
    pub fn measure(&mut self) {
        self.shortest = vec![None; self.nodes.len()];
        self.depth = vec![u32::MAX; self.nodes.len()];
        loop {
            let mut changed = false;
            for id in 0..self.nodes.len() {
                let found = (self.length(id), self.levels(id));
                changed |= found != (self.shortest[id], self.depth[id]);
                (self.shortest[id], self.depth[id]) = found;
            }
            if !changed {
                return;
            }
        }
    }

    fn length(&self, id: NodeId) -> Option<u32> {
        let sum =
            |nodes: &[NodeId]| nodes.iter().try_fold(0u32, |sum, &node| Some(sum.saturating_add(self.shortest[node]?)));
        match &self.nodes[id] {
            Node::Nothing => None,
            Node::Bytes(bytes) => Some(bytes.len() as u32),
            Node::Regular(regular) => {
                let (_, costs) = &self.regular[*regular];
                costs[START as usize]
            }
            Node::Text(text) => {
                let text = &self.texts[*text];
                text.cost(START, text.least, text.most).map(|bytes| bytes.saturating_add(1))
            }
            Node::Sequence(nodes) => sum(nodes),
            Node::Choice(nodes) => nodes.iter().filter_map(|&node| self.shortest[node]).min(),
            Node::Items(items) => self.items_left(items, 0, items.least),
            Node::Members(members) => self.members_left(members, 0, false),
        }
    }

    fn levels(&self, id: NodeId) -> u32 {
        let deepest = |nodes: &mut dyn Iterator<Item = NodeId>| nodes.map(|node| self.depth[node]).max().unwrap_or(0);
        match &self.nodes[id] {
            Node::Nothing => u32::MAX,
            Node::Bytes(_) | Node::Regular(_) | Node::Text(_) => 0,
            Node::Sequence(nodes) => deepest(&mut nodes.iter().copied()),
            Node::Choice(nodes) => nodes.iter().map(|&node| self.depth[node]).min().unwrap_or(u32::MAX),
            Node::Items(items) => {
                let needed = items.prefix.iter().copied().chain([items.rest]);
                let in_prefix = items.least.min(items.prefix.len() as u32 + 1);
                deepest(&mut needed.take(in_prefix as usize)).saturating_add(1)
            }
            Node::Members(members) => {
                let required = members.known.iter().filter(|member| member.required);
                deepest(&mut required.map(|member| member.first)).saturating_add(1)
            }
        }
    }

    /// Returns the smallest number of bytes of `needed` more items after the first `at`.
    pub fn items_left(&self, items: &Items, at: u32, needed: u32) -> Option<u32> {
        let in_prefix = (items.prefix.len() as u32).saturating_sub(at).min(needed);
        let mut first = items.prefix.iter().skip(at as usize).take(in_prefix as usize);
        let sum = first.try_fold(0u32, |sum, &node| Some(sum.saturating_add(self.shortest[node]?)))?;
        let others = needed - in_prefix;
        let rest = if others == 0 { 0 } else { self.shortest[items.rest]?.saturating_mul(others) };
        Some(sum.saturating_add(rest))
    }

    /// Returns the smallest number of bytes of the members that are still required, from number `next` on.
    pub fn members_left(&self, members: &Members, next: u32, written: bool) -> Option<u32> {
        let required = members.known.iter().skip(next as usize).filter(|member| member.required);
        let sum = |(sum, later): (u32, bool), member: &Member| {
            Some((sum.saturating_add(self.shortest[member.node(later)]?), true))
        };
        Some(required.into_iter().try_fold((0, written), sum)?.0)
    }
}
