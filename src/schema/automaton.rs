//! Reading a grammar byte by byte.
//!
//! A *thread* is one way to read what came so far: a stack of frames, the innermost of which waits for a byte. Where a
//! grammar leaves a choice, a state is several threads. Stacks share what lies below, and equal ones are the same
//! number; so a state is a sorted list of numbers.

use super::dfa::{DEAD, START};
use super::grammar::{Grammar, Node, NodeId};
use super::text::{Place, Read};
use std::collections::HashMap;

/// A stack; number 0 is the empty one, where the text is complete.
pub type Stack = u32;

/// Nothing is left to be read.
pub const DONE: Stack = 0;

// ANCHOR: frame
/// What a level of a stack is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Frame {
    /// The next of the bytes of a node.
    Bytes { node: NodeId, at: u32 },
    /// A state of an automaton.
    Regular { regular: usize, state: u32 },
    /// A place in a string.
    Text { text: usize, at: Place },
    /// The next node of a sequence.
    Sequence { node: NodeId, at: u32 },
    /// So many items are there; so many more must be, and may be.
    Items { node: NodeId, at: u32, least: u32, most: u32 },
    /// The next known member that may come, and whether there was any.
    Members { node: NodeId, next: u32, written: bool },
}
// ANCHOR_END: frame

/// Levels of arrays and objects within each other. Those who read JSON have a limit too; 128 is common.
pub const DEEPEST: u32 = 64;

/// The stacks that were met.
#[derive(Debug)]
pub struct Automaton {
    grammar: Grammar,
    cells: Vec<Cell>,
    numbers: HashMap<(Frame, Stack), Stack>,
    lengths: HashMap<Stack, u32>,
}

/// The innermost frame of a stack, and what lies below it.
#[derive(Debug, Clone, Copy)]
struct Cell {
    frame: Option<Frame>,
    below: Stack,
    depth: u32,
}

impl Automaton {
    /// For a grammar that was measured.
    pub fn new(grammar: Grammar) -> Self {
        let empty = Cell { frame: None, below: DONE, depth: 0 };
        Self { grammar, cells: vec![empty], numbers: HashMap::new(), lengths: HashMap::from([(DONE, 0)]) }
    }

    /// All ways to begin a node.
    pub fn begin(&mut self, node: NodeId) -> Vec<Stack> {
        let mut stacks = Vec::new();
        self.enter(node, DONE, &mut stacks);
        tidy(stacks)
    }

    /// All ways to read one more byte.
    pub fn step(&mut self, stacks: &[Stack], byte: u8) -> Vec<Stack> {
        let mut next = Vec::new();
        for &stack in stacks {
            self.read(stack, byte, &mut next);
        }
        tidy(next)
    }

    fn stack(&mut self, frame: Frame, below: Stack) -> Stack {
        let new = self.cells.len() as Stack;
        let number = *self.numbers.entry((frame, below)).or_insert(new);
        if number == new {
            let level = matches!(frame, Frame::Items { .. } | Frame::Members { .. });
            let depth = self.cells[below as usize].depth + u32::from(level);
            self.cells.push(Cell { frame: Some(frame), below, depth });
        }
        number
    }

    // ANCHOR: enter
    /// The ways to begin `node` on top of a stack. What can be nothing at all is also left again.
    fn enter(&mut self, node: NodeId, below: Stack, out: &mut Vec<Stack>) {
        // What nothing matches, or nothing that is not too deep, leads nowhere.
        if self.cells[below as usize].depth.saturating_add(self.grammar.depth[node]) > DEEPEST {
            return;
        }
        match &self.grammar.nodes[node] {
            Node::Nothing => {}
            Node::Bytes(_) => out.push(self.stack(Frame::Bytes { node, at: 0 }, below)),
            &Node::Regular(regular) => {
                if self.grammar.regular[regular].0.accepts(START) {
                    self.leave(below, out);
                }
                out.push(self.stack(Frame::Regular { regular, state: START }, below));
            }
            &Node::Text(text) => {
                let at = self.grammar.texts[text].beginning();
                out.push(self.stack(Frame::Text { text, at }, below));
            }
            Node::Choice(nodes) => {
                for node in nodes.clone() {
                    self.enter(node, below, out);
                }
            }
            Node::Sequence(_) => self.resume(Frame::Sequence { node, at: 0 }, below, out),
            Node::Items(items) => {
                let (least, most) = (items.least, items.most);
                self.resume(Frame::Items { node, at: 0, least, most }, below, out);
            }
            Node::Members(_) => self.resume(Frame::Members { node, next: 0, written: false }, below, out),
        }
    }
    // ANCHOR_END: enter

    /// Goes on with what lies below something that is complete.
    fn leave(&mut self, stack: Stack, out: &mut Vec<Stack>) {
        match self.cells[stack as usize] {
            Cell { frame: None, .. } => out.push(DONE),
            Cell { frame: Some(frame), below, .. } => self.resume(frame, below, out),
        }
    }

    /// What may come next in a sequence, an array or an object.
    fn resume(&mut self, frame: Frame, below: Stack, out: &mut Vec<Stack>) {
        let Some(node) = frame.node() else { return };
        match (frame, &self.grammar.nodes[node]) {
            (Frame::Sequence { node, at }, Node::Sequence(nodes)) => {
                let (next, count) = (nodes[at as usize], nodes.len() as u32);
                // The last one lies directly on what is below: a list in a list needs no more room than a list.
                let below =
                    if at + 1 < count { self.stack(Frame::Sequence { node, at: at + 1 }, below) } else { below };
                self.enter(next, below, out);
            }
            (Frame::Items { node, at, least, most }, Node::Items(items)) => {
                let item = items.prefix.get(at as usize).copied().unwrap_or(items.rest);
                let next = (at + 1).min(items.prefix.len() as u32); // from there on all are alike
                if least == 0 {
                    self.leave(below, out);
                }
                if most > 0 {
                    let most = if most == u32::MAX { most } else { most - 1 };
                    let below =
                        self.stack(Frame::Items { node, at: next, least: least.saturating_sub(1), most }, below);
                    self.enter(item, below, out);
                }
            }
            (Frame::Members { node, next, written }, Node::Members(members)) => {
                let rest = &members.known[next as usize..];
                let required = rest.iter().position(|member| member.required);
                let possible = required.map_or(rest.len(), |required| required + 1);
                let mut ways: Vec<(u32, NodeId)> =
                    (next + 1..).zip(rest[..possible].iter().map(|member| member.node(written))).collect();
                if required.is_none() {
                    let all = members.known.len() as u32;
                    ways.extend(members.others.map(|other| (all, other.node(written))));
                    self.leave(below, out);
                }
                for (next, member) in ways {
                    let below = self.stack(Frame::Members { node, next, written: true }, below);
                    self.enter(member, below, out);
                }
            }
            _ => {}
        }
    }

    /// What one stack becomes by a byte.
    fn read(&mut self, stack: Stack, byte: u8, out: &mut Vec<Stack>) {
        let Cell { frame: Some(frame), below, .. } = self.cells[stack as usize] else { return };
        match frame {
            Frame::Bytes { node, at } => {
                let Node::Bytes(bytes) = &self.grammar.nodes[node] else { return };
                if bytes[at as usize] != byte {
                    return;
                }
                match at as usize + 1 == bytes.len() {
                    true => self.leave(below, out),
                    false => out.push(self.stack(Frame::Bytes { node, at: at + 1 }, below)),
                }
            }
            Frame::Regular { regular, state } => {
                let dfa = &self.grammar.regular[regular].0;
                let state = dfa.next(state, byte);
                if state == DEAD {
                    return;
                }
                let (accepts, goes_on) = (dfa.accepts(state), dfa.goes_on(state));
                if accepts {
                    self.leave(below, out);
                }
                if goes_on {
                    out.push(self.stack(Frame::Regular { regular, state }, below));
                }
            }
            Frame::Text { text, at } => match self.grammar.texts[text].read(at, byte) {
                Some(Read::End) => self.leave(below, out),
                Some(Read::More(at)) => out.push(self.stack(Frame::Text { text, at }, below)),
                None => {}
            },
            _ => {}
        }
    }

    // ANCHOR: shortest
    /// The fewest bytes after which a stack is complete.
    pub fn shortest(&mut self, stack: Stack) -> u32 {
        if let Some(&length) = self.lengths.get(&stack) {
            return length;
        }
        let Cell { frame: Some(frame), below, .. } = self.cells[stack as usize] else { return 0 };
        // Of a stack that was entered everything can be completed.
        let own = self.own_shortest(frame).unwrap_or(u32::MAX);
        let length = own.saturating_add(self.shortest(below));
        self.lengths.insert(stack, length);
        length
    }
    // ANCHOR_END: shortest

    /// The stack of these that is nearest to its end. Of what could also be left it is not the one that stays.
    pub fn nearest(&mut self, stacks: &[Stack]) -> Option<Stack> {
        let stays = |cell: Cell| match cell.frame {
            Some(Frame::Regular { regular, state }) => self.grammar.regular[regular].0.accepts(state),
            _ => false,
        };
        let leaving: Vec<Stack> = stacks.iter().copied().filter(|&stack| !stays(self.cells[stack as usize])).collect();
        leaving.into_iter().min_by_key(|&stack| self.shortest(stack))
    }

    /// The next byte on a shortest way to the end of a stack.
    pub fn shortest_byte(&self, stack: Stack) -> Option<u8> {
        let frame = self.cells[stack as usize].frame?;
        match (frame, frame.node().map(|node| &self.grammar.nodes[node])) {
            (Frame::Bytes { at, .. }, Some(Node::Bytes(bytes))) => bytes.get(at as usize).copied(),
            (Frame::Regular { regular, state }, _) => {
                let (dfa, costs) = &self.grammar.regular[regular];
                let cost = |byte: u8| costs[dfa.next(state, byte) as usize];
                (0..=255).filter(|&byte| cost(byte).is_some()).min_by_key(|&byte| cost(byte))
            }
            (Frame::Text { text, at }, _) => self.grammar.texts[text].shortest_byte(at),
            _ => None,
        }
    }

    fn own_shortest(&self, frame: Frame) -> Option<u32> {
        let grammar = &self.grammar;
        match (frame, frame.node().map(|node| &grammar.nodes[node])) {
            (Frame::Bytes { at, .. }, Some(Node::Bytes(bytes))) => Some(bytes.len() as u32 - at),
            (Frame::Regular { regular, state }, _) => grammar.regular[regular].1[state as usize],
            (Frame::Text { text, at }, _) => grammar.texts[text].shortest(at),
            (Frame::Sequence { at, .. }, Some(Node::Sequence(nodes))) => nodes[at as usize..]
                .iter()
                .try_fold(0u32, |sum, &node| Some(sum.saturating_add(grammar.shortest[node]?))),
            (Frame::Items { at, least, .. }, Some(Node::Items(items))) => grammar.items_left(items, at, least),
            (Frame::Members { next, written, .. }, Some(Node::Members(members))) => {
                grammar.members_left(members, next, written)
            }
            _ => None,
        }
    }

    /// The stack of which counters beyond `longest` are cut down to it: no token of that many bytes can tell them apart.
    pub fn coarse(&mut self, stack: Stack, longest: u32) -> Stack {
        let Cell { frame: Some(mut frame), below, .. } = self.cells[stack as usize] else { return DONE };
        let below = self.coarse(below, longest);
        let cut = |least: &mut u32, most: &mut u32| {
            *least = (*least).min(longest);
            *most = if *most == u32::MAX { *most } else { (*most).min(longest) };
        };
        match &mut frame {
            Frame::Items { least, most, .. } => cut(least, most),
            Frame::Text { text, at } => *at = self.grammar.texts[*text].coarse(*at, longest),
            _ => {}
        }
        self.stack(frame, below)
    }
}

impl Frame {
    /// The node that it is about.
    fn node(self) -> Option<NodeId> {
        match self {
            Frame::Bytes { node, .. }
            | Frame::Sequence { node, .. }
            | Frame::Items { node, .. }
            | Frame::Members { node, .. } => Some(node),
            Frame::Regular { .. } | Frame::Text { .. } => None,
        }
    }
}

fn tidy(mut stacks: Vec<Stack>) -> Vec<Stack> {
    stacks.sort_unstable();
    stacks.dedup();
    stacks
}
