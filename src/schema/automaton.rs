//! Reads a grammar byte by byte, as a pushdown automaton.
//!
//! A *stack* is one way to read the text so far: it consists of frames, and the innermost one waits for a byte. If the
//! grammar leaves a choice, a state consists of several stacks. Stacks share their lower frames, and equal stacks have
//! the same id, so a state is a sorted list of ids.

use super::dfa::{DEAD, START};
use super::grammar::{GrammarNode, JsonGrammar, ListPlace, NodeId};
use super::text::{TextPosition, TextStep};
use std::collections::HashMap;
use std::sync::Arc;

/// The id of a stack. Id 0 is the empty stack, at which the text is complete.
pub type StackId = u32;

/// The empty stack: the text is complete.
pub const DONE: StackId = 0;

// ANCHOR: frame
/// One level of a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Frame {
    /// Expects byte `at` of a [`GrammarNode::Bytes`].
    Bytes { node: NodeId, at: u32 },
    /// Is in a state of a regular automaton.
    Regular { regular: usize, state: u32 },
    /// Is at a position in a string.
    Text { text: usize, at: TextPosition },
    /// Expects node `at` of a sequence.
    Sequence { node: NodeId, at: u32 },
    /// Has read `at` items (all items after the prefix count as one), and expects from `least` to `most` more.
    Items { node: NodeId, at: u32, least: u32, most: u32, place: ListPlace },
    /// Expects a known member from number `next` on, or another one.
    Members { node: NodeId, next: u32, place: ListPlace },
}
// ANCHOR_END: frame

/// The greatest depth of arrays and objects within each other. Parsers of JSON have such a limit too; 128 is common.
pub const DEEPEST: u32 = 64;

/// All stacks that have occurred, with the grammar that they belong to.
#[derive(Debug, Clone)]
pub struct Automaton {
    grammar: Arc<JsonGrammar>,
    cells: Vec<Cell>,
    numbers: HashMap<(Frame, StackId), StackId>,
    lengths: HashMap<StackId, u32>,
}

/// The innermost frame of a stack, and the stack below it.
#[derive(Debug, Clone, Copy)]
struct Cell {
    frame: Option<Frame>,
    below: StackId,
    depth: u32,
}

const EMPTY: Cell = Cell { frame: None, below: DONE, depth: 0 };

impl Automaton {
    /// Makes an automaton for a grammar. [`JsonGrammar::measure`] must have been called.
    pub fn new(grammar: JsonGrammar) -> Self {
        let (cells, numbers, lengths) = (vec![EMPTY], HashMap::new(), HashMap::from([(DONE, 0)]));
        Self { grammar: Arc::new(grammar), cells, numbers, lengths }
    }

    /// Returns the number of stacks that have occurred.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Forgets all stacks except for those in some lists, and gives these new ids.
    pub fn forget_all_but(&mut self, lists: &mut [&mut Vec<StackId>]) {
        let old = std::mem::replace(&mut self.cells, vec![EMPTY]);
        self.numbers.clear();
        self.lengths = HashMap::from([(DONE, 0)]);
        for stack in lists.iter_mut().flat_map(|list| list.iter_mut()) {
            let frames = std::iter::successors(Some(old[*stack as usize]), |cell| Some(old[cell.below as usize]));
            let frames: Vec<Frame> = frames.map_while(|cell| cell.frame).collect();
            *stack = frames.into_iter().rev().fold(DONE, |below, frame| self.stack(frame, below));
        }
        lists.iter_mut().for_each(|list| list.sort_unstable());
    }

    /// Returns whether a stack is within a string that may go on with any characters, so that a token of at most
    /// `longest` bytes can be read if it consists of whole characters.
    pub fn is_free_text(&self, stack: StackId, longest: u32) -> bool {
        match self.cells[stack as usize].frame {
            Some(Frame::Text { text, at }) => self.grammar.texts[text].is_free(at, longest),
            _ => false,
        }
    }

    /// Returns the stacks at the start of a node.
    pub fn begin(&mut self, node: NodeId) -> Vec<StackId> {
        let mut stacks = Vec::new();
        self.enter(node, DONE, &mut stacks);
        tidy(stacks)
    }

    /// Returns the stacks after one more byte.
    pub fn step(&mut self, stacks: &[StackId], byte: u8) -> Vec<StackId> {
        let mut next = Vec::new();
        for &stack in stacks {
            self.read(stack, byte, &mut next);
        }
        tidy(next)
    }

    fn stack(&mut self, frame: Frame, below: StackId) -> StackId {
        let new = self.cells.len() as StackId;
        let number = *self.numbers.entry((frame, below)).or_insert(new);
        if number == new {
            let level = matches!(frame, Frame::Items { .. } | Frame::Members { .. });
            let depth = self.cells[below as usize].depth + u32::from(level);
            self.cells.push(Cell { frame: Some(frame), below, depth });
        }
        number
    }

    // ANCHOR: enter
    /// Appends the stacks at the start of `node`, on top of the stack `below`. If the node may be empty, the stacks
    /// after it are appended too.
    fn enter(&mut self, node: NodeId, below: StackId, out: &mut Vec<StackId>) {
        // If nothing matches the node, or only values that are nested too deep, no stack is appended.
        if self.cells[below as usize].depth.saturating_add(self.grammar.depth[node]) > DEEPEST {
            return;
        }
        match &self.grammar.nodes[node] {
            GrammarNode::Nothing => {}
            GrammarNode::Bytes(_) => out.push(self.stack(Frame::Bytes { node, at: 0 }, below)),
            &GrammarNode::Regular(regular) => {
                if self.grammar.regular[regular].0.accepts(START) {
                    self.leave(below, out);
                }
                out.push(self.stack(Frame::Regular { regular, state: START }, below));
            }
            &GrammarNode::Text(text) => {
                let at = self.grammar.texts[text].beginning();
                out.push(self.stack(Frame::Text { text, at }, below));
            }
            GrammarNode::Choice(nodes) => {
                for choice in 0..nodes.len() {
                    if let GrammarNode::Choice(nodes) = &self.grammar.nodes[node] {
                        self.enter(nodes[choice], below, out);
                    }
                }
            }
            GrammarNode::Sequence(_) => self.resume(Frame::Sequence { node, at: 0 }, below, out),
            GrammarNode::Items(items) => {
                let (least, most) = (items.least, items.most);
                self.resume(Frame::Items { node, at: 0, least, most, place: ListPlace::First }, below, out);
            }
            GrammarNode::Members(_) => {
                self.resume(Frame::Members { node, next: 0, place: ListPlace::First }, below, out)
            }
        }
    }
    // ANCHOR_END: enter

    /// Continues with the stack below a frame that is complete.
    fn leave(&mut self, stack: StackId, out: &mut Vec<StackId>) {
        match self.cells[stack as usize] {
            Cell { frame: None, .. } => out.push(DONE),
            Cell { frame: Some(frame), below, .. } => self.resume(frame, below, out),
        }
    }

    /// Returns whether an item or a member can be written one level above the stack `below`.
    fn can_enter_element(&self, node: NodeId, below: StackId) -> bool {
        self.cells[below as usize].depth.saturating_add(1).saturating_add(self.grammar.depth[node]) <= DEEPEST
    }

    /// Appends the stacks that may come next in a sequence, an array or an object.
    fn resume(&mut self, frame: Frame, below: StackId, out: &mut Vec<StackId>) {
        let Some(node) = frame.node() else { return };
        match (frame, &self.grammar.nodes[node]) {
            (Frame::Sequence { node, at }, GrammarNode::Sequence(nodes)) => {
                let (next, count) = (nodes[at as usize], nodes.len() as u32);
                // The last node goes directly on the stack below, so that lists in lists do not make the stack deeper
                // than needed.
                let below =
                    if at + 1 < count { self.stack(Frame::Sequence { node, at: at + 1 }, below) } else { below };
                self.enter(next, below, out);
            }
            (Frame::Items { node, at, least, most, place }, GrammarNode::Items(items)) => {
                let (item, separator) = (items.prefix.get(at as usize).copied().unwrap_or(items.rest), items.separator);
                let next = (at + 1).min(items.prefix.len() as u32); // after the prefix all items are alike
                if least == 0 && place != ListPlace::AfterComma {
                    self.leave(below, out);
                }
                if most == 0 || !self.can_enter_element(item, below) {
                } else if place == ListPlace::AfterElement {
                    let below = self.stack(Frame::Items { node, at, least, most, place: ListPlace::AfterComma }, below);
                    self.enter(separator, below, out);
                } else {
                    let (least, most) = (least.saturating_sub(1), if most == u32::MAX { most } else { most - 1 });
                    let place = ListPlace::AfterElement;
                    let below = self.stack(Frame::Items { node, at: next, least, most, place }, below);
                    self.enter(item, below, out);
                }
            }
            (Frame::Members { node, next, place }, GrammarNode::Members(members)) => {
                let may_end = members.may_end(next) && place != ListPlace::AfterComma;
                let separator = members.separator;
                let options: Vec<(u32, NodeId)> =
                    members.options(next).map(|(after, member)| (after, member.node)).collect();
                if may_end {
                    self.leave(below, out);
                }
                let mut possible = options.into_iter().filter(|(_, member)| self.can_enter_element(*member, below));
                if place == ListPlace::AfterElement {
                    if possible.next().is_some() {
                        let below = self.stack(Frame::Members { node, next, place: ListPlace::AfterComma }, below);
                        self.enter(separator, below, out);
                    }
                    return;
                }
                let possible: Vec<(u32, NodeId)> = possible.collect();
                for (next, member) in possible {
                    let below = self.stack(Frame::Members { node, next, place: ListPlace::AfterElement }, below);
                    self.enter(member, below, out);
                }
            }
            _ => {}
        }
    }

    /// Appends the stacks that `stack` becomes by reading one byte.
    fn read(&mut self, stack: StackId, byte: u8, out: &mut Vec<StackId>) {
        let Cell { frame: Some(frame), below, .. } = self.cells[stack as usize] else { return };
        match frame {
            Frame::Bytes { node, at } => {
                let GrammarNode::Bytes(bytes) = &self.grammar.nodes[node] else { return };
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
                let (accepts, continues) = (dfa.accepts(state), dfa.continues(state));
                if accepts {
                    self.leave(below, out);
                }
                if continues {
                    out.push(self.stack(Frame::Regular { regular, state }, below));
                }
            }
            Frame::Text { text, at } => match self.grammar.texts[text].read(at, byte) {
                Some(TextStep::End) => self.leave(below, out),
                Some(TextStep::More(at)) => out.push(self.stack(Frame::Text { text, at }, below)),
                None => {}
            },
            _ => {}
        }
    }

    // ANCHOR: shortest
    /// Returns the smallest number of bytes that complete the text of a stack.
    pub fn shortest(&mut self, stack: StackId) -> u32 {
        if let Some(&length) = self.lengths.get(&stack) {
            return length;
        }
        let Cell { frame: Some(frame), below, .. } = self.cells[stack as usize] else { return 0 };
        // Every stack that was entered can be completed.
        let own = self.own_shortest(frame).unwrap_or(u32::MAX);
        let length = own.saturating_add(self.shortest(below));
        self.lengths.insert(stack, length);
        length
    }
    // ANCHOR_END: shortest

    /// Returns the stack that needs the fewest bytes to its end. It skips a frame that already accepts; the stack that
    /// leaves this frame is listed too.
    pub fn nearest(&mut self, stacks: &[StackId]) -> Option<StackId> {
        let stays = |cell: Cell| match cell.frame {
            Some(Frame::Regular { regular, state }) => self.grammar.regular[regular].0.accepts(state),
            _ => false,
        };
        let leaving: Vec<StackId> =
            stacks.iter().copied().filter(|&stack| !stays(self.cells[stack as usize])).collect();
        leaving.into_iter().min_by_key(|&stack| self.shortest(stack))
    }

    /// Returns the next byte on a shortest path to the end of a stack.
    pub fn shortest_byte(&self, stack: StackId) -> Option<u8> {
        let frame = self.cells[stack as usize].frame?;
        match (frame, frame.node().map(|node| &self.grammar.nodes[node])) {
            (Frame::Bytes { at, .. }, Some(GrammarNode::Bytes(bytes))) => bytes.get(at as usize).copied(),
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
            (Frame::Bytes { at, .. }, Some(GrammarNode::Bytes(bytes))) => Some(bytes.len() as u32 - at),
            (Frame::Regular { regular, state }, _) => grammar.regular[regular].1[state as usize],
            (Frame::Text { text, at }, _) => grammar.texts[text].shortest(at),
            (Frame::Sequence { at, .. }, Some(GrammarNode::Sequence(nodes))) => nodes[at as usize..]
                .iter()
                .try_fold(0u32, |sum, &node| Some(sum.saturating_add(grammar.shortest[node]?))),
            (Frame::Items { at, least, place, .. }, Some(GrammarNode::Items(items))) => {
                grammar.items_left(items, at, least, place)
            }
            (Frame::Members { next, place, .. }, Some(GrammarNode::Members(members))) => {
                grammar.members_left(members, next, place)
            }
            _ => None,
        }
    }

    /// Returns the stack with all counters limited to `longest`: no token of at most so many bytes distinguishes the
    /// two.
    pub fn coarse(&mut self, stack: StackId, longest: u32) -> StackId {
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
    /// Returns the node that the frame refers to.
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

/// Sorts the stacks and removes duplicates.
fn tidy(mut stacks: Vec<StackId>) -> Vec<StackId> {
    stacks.sort_unstable();
    stacks.dedup();
    stacks
}
