//! What a schema is compiled to: nodes, each of which some JSON matches.

use super::dfa::{Dfa, START};
use super::text::Text;

/// The number of a node.
pub type NodeId = usize;

/// Some part of a JSON text.
#[derive(Debug)]
pub enum Node {
    /// These bytes.
    Bytes(Vec<u8>),
    /// What an automaton accepts: numbers, and one of several literals.
    Regular(usize),
    /// The rest of a string, behind its first quote.
    Text(usize),
    /// One after another.
    Sequence(Vec<NodeId>),
    /// One of these.
    Choice(Vec<NodeId>),
    /// Items with commas between them, without the brackets.
    Items(Items),
    /// Members with commas between them, without the braces.
    Members(Members),
    /// Nothing at all can be this.
    Nothing,
}

/// The items of an array.
#[derive(Debug)]
pub struct Items {
    /// The first ones, at least one; from the second on with the comma before them.
    pub prefix: Vec<NodeId>,
    /// All others, with the comma before them.
    pub rest: NodeId,
    /// At least so many.
    pub least: u32,
    /// At most so many, or `u32::MAX`.
    pub most: u32,
}

/// The members of an object.
#[derive(Debug)]
pub struct Members {
    /// Those with known names, in the order in which they come.
    pub known: Vec<Member>,
    /// Any others, as many as one likes.
    pub others: Option<Member>,
}

/// A member: name, colon and value.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// As the first of its object.
    pub first: NodeId,
    /// Behind another, with the comma between them.
    pub later: NodeId,
    /// Whether it must be there.
    pub required: bool,
}

impl Member {
    /// The node where there are others before it, or where there are none.
    pub fn node(&self, later: bool) -> NodeId {
        if later { self.later } else { self.first }
    }
}

/// Everything that was compiled.
#[derive(Debug, Default)]
pub struct Grammar {
    /// The nodes.
    pub nodes: Vec<Node>,
    /// What [`Node::Regular`] speaks of, with the bytes from each state to the end.
    pub regular: Vec<(Dfa, Vec<Option<u32>>)>,
    /// What [`Node::Text`] speaks of.
    pub texts: Vec<Text>,
    /// The fewest bytes that match a node; `None` if nothing does.
    pub shortest: Vec<Option<u32>>,
    /// The fewest levels of arrays and objects; `u32::MAX` if nothing matches.
    pub depth: Vec<u32>,
}

impl Grammar {
    /// A new node.
    pub fn add(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// A node of an automaton.
    pub fn regular(&mut self, dfa: Dfa) -> NodeId {
        let costs = dfa.costs(|_| 1);
        self.regular.push((dfa, costs));
        self.add(Node::Regular(self.regular.len() - 1))
    }

    /// Computes what is shortest, from the leaves up, until nothing changes.
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

    /// The fewest bytes of `needed` more items, after `at` of them.
    pub fn items_left(&self, items: &Items, at: u32, needed: u32) -> Option<u32> {
        let in_prefix = (items.prefix.len() as u32).saturating_sub(at).min(needed);
        let mut first = items.prefix.iter().skip(at as usize).take(in_prefix as usize);
        let sum = first.try_fold(0u32, |sum, &node| Some(sum.saturating_add(self.shortest[node]?)))?;
        let others = needed - in_prefix;
        let rest = if others == 0 { 0 } else { self.shortest[items.rest]?.saturating_mul(others) };
        Some(sum.saturating_add(rest))
    }

    /// The fewest bytes of the members that are still required, from number `next` on.
    pub fn members_left(&self, members: &Members, next: u32, written: bool) -> Option<u32> {
        let required = members.known.iter().skip(next as usize).filter(|member| member.required);
        let sum = |(sum, later): (u32, bool), member: &Member| {
            Some((sum.saturating_add(self.shortest[member.node(later)]?), true))
        };
        Some(required.into_iter().try_fold((0, written), sum)?.0)
    }
}
