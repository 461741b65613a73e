//! The grammar that a schema is compiled to: a graph of nodes, each of which matches some JSON.

use super::dfa::{Dfa, START};
use super::text::Text;

/// The number of a node in [`JsonGrammar::nodes`].
pub type NodeId = usize;

/// A part of a JSON text.
#[derive(Debug)]
pub enum GrammarNode {
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
    /// The first items.
    pub prefix: Vec<NodeId>,
    /// All further items.
    pub rest: NodeId,
    /// The smallest number of items.
    pub least: u32,
    /// The largest number of items, or `u32::MAX`.
    pub most: u32,
    /// The node of the comma between two items.
    pub separator: NodeId,
}

/// The members of an object.
#[derive(Debug)]
pub struct Members {
    /// The members with known names, in the order in which they are written.
    pub known: Vec<Member>,
    /// Any number of other members.
    pub others: Option<Member>,
    /// The node of the comma between two members.
    pub separator: NodeId,
}

/// A member of an object: name, colon and value.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// The node of the member.
    pub node: NodeId,
    /// Whether the member is required.
    pub required: bool,
}

/// A place in a list of items or members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListPlace {
    /// Before the first element: an element follows, or the end.
    First,
    /// After an element: a comma follows, or the end.
    AfterElement,
    /// After a comma: an element follows.
    AfterComma,
}

impl Members {
    /// Returns the members that may be written next if the known ones before number `next` were written or left out, each
    /// with the number of the known one after it. None of them is beyond a required one.
    pub fn options(&self, next: u32) -> impl Iterator<Item = (u32, Member)> {
        let rest = &self.known[next as usize..];
        let required = rest.iter().position(|member| member.required);
        let possible = required.map_or(rest.len(), |required| required + 1);
        let others = self.others.filter(|_| required.is_none()).map(|others| (self.known.len() as u32, others));
        (next + 1..).zip(rest[..possible].iter().copied()).chain(others)
    }

    /// Returns whether all required members from number `next` on were written.
    pub fn may_end(&self, next: u32) -> bool {
        !self.known[next as usize..].iter().any(|member| member.required)
    }
}

/// The nodes of a compiled schema, and the tables that they refer to.
#[derive(Debug, Default)]
pub struct JsonGrammar {
    /// All nodes.
    pub nodes: Vec<GrammarNode>,
    /// The automata of [`GrammarNode::Regular`], each with the smallest number of bytes from every state to the end.
    pub regular: Vec<(Dfa, Vec<Option<u32>>)>,
    /// The strings of [`GrammarNode::Text`].
    pub texts: Vec<Text>,
    /// The smallest number of bytes that match each node; `None` if nothing does.
    pub shortest: Vec<Option<u32>>,
    /// The smallest depth of arrays and objects that matches each node; `u32::MAX` if nothing does.
    pub depth: Vec<u32>,
}

impl JsonGrammar {
    /// Adds a node.
    pub fn add(&mut self, node: GrammarNode) -> NodeId {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// Adds a node for an automaton.
    pub fn regular(&mut self, dfa: Dfa) -> NodeId {
        let costs = dfa.costs(|_| 1);
        self.regular.push((dfa, costs));
        self.add(GrammarNode::Regular(self.regular.len() - 1))
    }

    /// Computes `shortest` and `depth`, from the leaves up, until nothing changes.
    pub fn measure(&mut self) {
        self.shortest = vec![None; self.nodes.len()];
        self.depth = vec![u32::MAX; self.nodes.len()];
        loop {
            let mut changed = false;
            // Most nodes come before the nodes that they consist of.
            for id in (0..self.nodes.len()).rev() {
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
            GrammarNode::Nothing => None,
            GrammarNode::Bytes(bytes) => Some(bytes.len() as u32),
            GrammarNode::Regular(regular) => {
                let (_, costs) = &self.regular[*regular];
                costs[START as usize]
            }
            GrammarNode::Text(text) => {
                let text = &self.texts[*text];
                text.cost(START, text.least, text.most).map(|bytes| bytes.saturating_add(1))
            }
            GrammarNode::Sequence(nodes) => sum(nodes),
            GrammarNode::Choice(nodes) => nodes.iter().filter_map(|&node| self.shortest[node]).min(),
            GrammarNode::Items(items) => self.items_left(items, 0, items.least, ListPlace::First),
            GrammarNode::Members(members) => self.members_left(members, 0, ListPlace::First),
        }
    }

    fn levels(&self, id: NodeId) -> u32 {
        let deepest = |nodes: &mut dyn Iterator<Item = NodeId>| nodes.map(|node| self.depth[node]).max().unwrap_or(0);
        match &self.nodes[id] {
            GrammarNode::Nothing => u32::MAX,
            GrammarNode::Bytes(_) | GrammarNode::Regular(_) | GrammarNode::Text(_) => 0,
            GrammarNode::Sequence(nodes) => deepest(&mut nodes.iter().copied()),
            GrammarNode::Choice(nodes) => nodes.iter().map(|&node| self.depth[node]).min().unwrap_or(u32::MAX),
            GrammarNode::Items(items) => {
                let needed = items.prefix.iter().copied().chain([items.rest]);
                let needed_nodes = items.least.min(items.prefix.len() as u32 + 1);
                deepest(&mut needed.take(needed_nodes as usize)).saturating_add(1)
            }
            GrammarNode::Members(members) => {
                let required = members.known.iter().filter(|member| member.required);
                deepest(&mut required.map(|member| member.node)).saturating_add(1)
            }
        }
    }

    /// Returns the smallest number of bytes of `needed` more items after the first `at`, with the commas between them.
    pub fn items_left(&self, items: &Items, at: u32, needed: u32, place: ListPlace) -> Option<u32> {
        let needed = if place == ListPlace::AfterComma { needed.max(1) } else { needed };
        let in_prefix = (items.prefix.len() as u32).saturating_sub(at).min(needed);
        let mut first = items.prefix.iter().skip(at as usize).take(in_prefix as usize);
        let sum = first.try_fold(0u32, |sum, &node| Some(sum.saturating_add(self.shortest[node]?)))?;
        let others = needed - in_prefix;
        let rest = if others == 0 { 0 } else { self.shortest[items.rest]?.saturating_mul(others) };
        let commas = if place == ListPlace::AfterElement { needed } else { needed.saturating_sub(1) };
        Some(sum.saturating_add(rest).saturating_add(commas))
    }

    /// Returns the smallest number of bytes of the members that are still required, from number `next` on, with the
    /// commas between them.
    pub fn members_left(&self, members: &Members, next: u32, place: ListPlace) -> Option<u32> {
        if place == ListPlace::AfterComma {
            let with_rest = |(next, member): (u32, Member)| {
                let rest = self.members_left(members, next, ListPlace::AfterElement)?;
                Some(self.shortest[member.node]?.saturating_add(rest))
            };
            return members.options(next).filter_map(with_rest).min();
        }
        let mut sum = 0u32;
        for (member, number) in members.known[next as usize..].iter().filter(|member| member.required).zip(0..) {
            let comma = u32::from(place == ListPlace::AfterElement || number > 0);
            sum = sum.saturating_add(self.shortest[member.node]?).saturating_add(comma);
        }
        Some(sum)
    }
}
