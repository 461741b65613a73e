//! The thread that makes all calls of MPI.
//!
//! A message is cut into small pieces, of which a few at a time are on their way. So signs of life come through even if the
//! network needs a minute for the message.

use super::super::Messages;
use super::super::inbox::{Gone, Inbox, Post};
use super::pulse::{Place, Pulse};
use super::transfer::{Incoming, Outgoing};
use crate::error::Error;
use mpi::datatype::Equivalence;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, Source};
use mpi::{Threading, initialize_with_threading};
use std::collections::VecDeque;
use std::io::Write;
use std::mem::{forget, take};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

/// The bytes of a piece. Open MPI sends up to 64 KiB at once through a network. Of a longer piece, it sends the rest only when
/// the receiver has answered, so that each piece takes half as long again.
const PIECE: usize = 60 << 10;
/// The pieces that are on their way at a time: to one rank, and to all of them.
const PIECES: [usize; 2] = [8, 64];
/// The pause between two looks while messages are expected, and while none are.
const PAUSES: [Duration; 2] = [Duration::from_micros(20), Duration::from_millis(1)];
/// The time in which the others learn that this rank gives up.
const FAREWELL: Duration = Duration::from_secs(1);
/// The time in which this rank has to end after another one is gone. It may be computing for longer than that.
const GRACE: Duration = Duration::from_secs(2);

/// What MPI calls the tag of a message: what kind of message it is.
mod tag {
    /// A piece that is not the last one of its message.
    pub const PIECE: i32 = 0;
    /// The last piece of a message.
    pub const LAST: i32 = 1;
    /// A sign of life.
    pub const ALIVE: i32 = 2;
    /// Where the process is.
    pub const PLACE: i32 = 3;
    /// A rank is gone: its number, and why.
    pub const GONE: i32 = 4;
    /// The sender is done.
    pub const LEFT: i32 = 5;
}

/// An order to the courier.
pub enum Order {
    /// Send a message to each rank, except for this one.
    Send(Messages),
    /// Tell all that a rank is gone, and end.
    GiveUp(Gone),
    /// Wait until all ranks are done, and end.
    Leave,
}

/// The messages between this rank and another one.
#[derive(Default)]
struct Line {
    waiting: VecDeque<(i32, Rc<Vec<u8>>, usize)>, // the tag, the message, and how much of it was sent
    sending: Vec<Outgoing>,
    arriving: VecDeque<(i32, Incoming)>,
    arrived: Vec<u8>,           // the first pieces of a message
    expected: isize,            // messages; below 0 if they come before this rank asks for them
    knows: bool,                // that a rank is gone
    post: Option<Sender<Post>>, // none for this rank, and for one that has left
}

impl Line {
    fn is_sent(&self) -> bool {
        self.waiting.is_empty() && self.sending.is_empty()
    }
}

/// The thread that makes all calls of MPI.
pub struct Courier {
    world: SimpleCommunicator,
    rank: usize,
    lines: Vec<Line>,
    pulse: Pulse,
    leaving: bool,
}

/// The rank, the number of ranks, what arrives, and the queue from this rank to itself.
type Joined = (usize, usize, Inbox, Sender<Post>);

impl Courier {
    /// Initializes MPI, and carries out orders until all ranks are done, or one is gone.
    pub fn run(orders: &Receiver<Order>, ready: &Sender<Joined>) {
        let Some((universe, _)) = initialize_with_threading(Threading::Funneled) else { return };
        let world = universe.world();
        let (rank, size) = (world.rank() as usize, world.size() as usize);
        let (inbox, mut ends) = Inbox::new(size);
        let mut lines: Vec<Line> = ends.drain(..).map(|post| Line { post: Some(post), ..Line::default() }).collect();
        let own = lines[rank].post.take().expect("each rank has a queue");
        if ready.send((rank, size, inbox, own)).is_err() {
            return;
        }
        let mut courier = Self { world, rank, lines, pulse: Pulse::new(rank, size), leaving: false };
        courier.send_to_all(tag::PLACE, &Rc::new(Place::here().to_bytes()));
        if let Err((gone, own)) = courier.work(orders) {
            courier.say_goodbye(&gone);
            forget(universe); // MPI would wait for the rank that is gone
            if !own && matches!(orders.recv_timeout(GRACE), Err(RecvTimeoutError::Timeout)) {
                // In one piece, because several ranks may print at the same time.
                _ = std::io::stderr().write_all(format!("error: {}\n", Error::from(gone)).as_bytes());
                std::process::exit(2);
            }
        }
    }

    /// Returns which rank is gone, and whether this one knew that already and has given the order to end.
    fn work(&mut self, orders: &Receiver<Order>) -> Result<(), (Gone, bool)> {
        while !(self.leaving && self.pulse.all_have_left() && self.lines.iter().all(Line::is_sent)) {
            match orders.recv_timeout(PAUSES[usize::from(self.is_idle())]) {
                Ok(Order::Send(messages)) => {
                    let pairs = self.lines.iter_mut().zip(messages).enumerate();
                    for (_, (line, message)) in pairs.filter(|(rank, _)| *rank != self.rank) {
                        line.waiting.push_back((tag::LAST, Rc::new(message), 0));
                        line.expected += 1;
                    }
                }
                Ok(Order::GiveUp(gone)) => return Err((gone, true)),
                Ok(Order::Leave) if !self.leaving => {
                    self.leaving = true;
                    self.send_to_all(tag::LEFT, &Rc::default());
                }
                Ok(Order::Leave) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            if self.pulse.is_due() {
                self.send_to_all(tag::ALIVE, &Rc::default());
            }
            self.send();
            self.receive().map_err(|gone| (gone, false))?;
            if let Some(gone) = self.pulse.check() {
                return Err((gone, false));
            }
        }
        Ok(())
    }

    /// Returns whether nothing is sent and no message is expected.
    fn is_idle(&self) -> bool {
        self.lines.iter().all(|line| line.is_sent() && line.expected <= 0)
    }

    fn send_to_all(&mut self, tag: i32, message: &Rc<Vec<u8>>) {
        for (rank, line) in self.lines.iter_mut().enumerate() {
            // A sign of life that waits behind others says nothing new.
            if rank != self.rank && (tag != tag::ALIVE || line.waiting.is_empty()) {
                line.waiting.push_back((tag, message.clone(), 0));
            }
        }
    }

    /// Sends the next pieces to each rank.
    fn send(&mut self) {
        let mut all: usize = self.lines.iter().map(|line| line.sending.len()).sum();
        for (rank, line) in self.lines.iter_mut().enumerate() {
            all -= line.sending.len();
            line.sending.retain_mut(|piece| !piece.is_done());
            all += line.sending.len();
            while line.sending.len() < PIECES[0]
                && (all < PIECES[1] || line.sending.is_empty())
                && let Some((tag, message, sent)) = line.waiting.front_mut()
            {
                let end = (*sent + PIECE).min(message.len());
                let is_last = end == message.len();
                let to = self.world.process_at_rank(rank as i32);
                line.sending.push(Outgoing::begin(&to, message, *sent..end, if is_last { *tag } else { tag::PIECE }));
                *sent = end;
                all += 1;
                if is_last {
                    line.waiting.pop_front();
                }
            }
        }
    }

    /// Receives what has arrived.
    fn receive(&mut self) -> Result<(), Gone> {
        while let Some((message, status)) = self.world.any_process().immediate_matched_probe() {
            let length = status.count(u8::equivalent_datatype()) as usize;
            let rank = status.source_rank() as usize;
            self.pulse.heard(rank);
            self.lines[rank].arriving.push_back((status.tag(), Incoming::begin(message, length)));
        }
        for rank in 0..self.lines.len() {
            while let Some((tag, piece)) = self.lines[rank].arriving.front_mut()
                && let Some(bytes) = piece.take()
            {
                let tag = *tag;
                self.lines[rank].arriving.pop_front();
                self.pulse.heard(rank);
                self.deliver(rank, tag, bytes)?;
            }
        }
        Ok(())
    }

    /// Delivers a piece from a rank.
    fn deliver(&mut self, rank: usize, tag: i32, mut bytes: Vec<u8>) -> Result<(), Gone> {
        let line = &mut self.lines[rank];
        match tag {
            tag::PIECE | tag::LAST => {
                if line.arrived.is_empty() {
                    line.arrived = bytes
                } else {
                    line.arrived.append(&mut bytes)
                }
                if tag == tag::LAST {
                    line.expected -= 1;
                    // If the receiver is gone, so is the rank that owned it.
                    line.post.as_ref().map(|post| post.send(Ok(take(&mut line.arrived))));
                }
            }
            tag::PLACE => self.pulse.is_at(rank, Place::from_bytes(&bytes)),
            tag::LEFT => {
                self.pulse.has_left(rank);
                line.post = None;
            }
            tag::GONE => {
                line.knows = true;
                let (number, text) = bytes.split_first_chunk().unwrap_or((&[0; 8], &[]));
                let message = String::from_utf8_lossy(text).into_owned();
                return Err(Gone { rank: u64::from_le_bytes(*number) as usize, message });
            }
            _ => {}
        }
        Ok(())
    }

    /// Tells this rank and all others that a rank is gone.
    fn say_goodbye(&mut self, gone: &Gone) {
        self.lines.iter().filter_map(|line| line.post.as_ref()).for_each(|post| _ = post.send(Err(gone.clone())));
        let message = [&(gone.rank as u64).to_le_bytes(), gone.message.as_bytes()].concat();
        self.lines.iter_mut().for_each(|line| line.waiting.clear());
        self.send_to_all(tag::GONE, &Rc::new(message));
        let start = Instant::now();
        // Each rank answers with the same news. The rank that is gone does not.
        let own = self.rank;
        let knows = |(rank, line): (usize, &Line)| line.knows || rank == gone.rank || rank == own;
        while start.elapsed() < FAREWELL && !self.lines.iter().enumerate().all(knows) {
            self.send();
            _ = self.receive(); // news that this rank has already
            std::thread::sleep(PAUSES[0]);
        }
    }
}
