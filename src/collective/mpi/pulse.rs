//! The signs of life of other ranks.

use super::super::inbox::Gone;
use std::path::Path;
use std::time::{Duration, Instant};

/// The time between two signs of life.
const BEAT: Duration = Duration::from_millis(500);
/// A rank that is silent for so long is gone.
const SILENCE: Duration = Duration::from_secs(5);
/// The time between two looks at the processes of this machine.
const LOOK: Duration = Duration::from_millis(100);

/// Returns what tells this machine from all others: the id of its boot, and its name, since copies of a virtual machine have the
/// same id. `None` if the system does not say.
pub fn machine() -> Option<String> {
    let read = |name| std::fs::read_to_string(format!("/proc/sys/kernel/{name}")).ok();
    Some(format!("{} {}", read("random/boot_id")?.trim(), read("hostname")?.trim()))
}

/// Where a process is: on which machine, and its number there.
pub struct Place {
    machine: String,
    process: u32,
}

impl Place {
    /// Returns the place of this process. Processes have the same numbers for all that share a namespace of processes, which
    /// containers do not.
    pub fn here() -> Self {
        let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        let machine = machine().map(|machine| format!("{machine} {}", namespace.display()));
        Self { machine: machine.unwrap_or_default(), process: std::process::id() }
    }

    /// Returns the place as a message.
    pub fn to_bytes(&self) -> Vec<u8> {
        format!("{} {}", self.process, self.machine).into_bytes()
    }

    /// Returns the place in a message.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (process, machine) = str::from_utf8(bytes).ok()?.split_once(' ')?;
        Some(Self { machine: machine.into(), process: process.parse().ok()? })
    }

    /// Returns whether this process can see that the process at another place has ended, and it has.
    fn sees_end_of(&self, other: &Self) -> bool {
        let known = !self.machine.is_empty() && self.machine == other.machine;
        known && !Path::new(&format!("/proc/{}", other.process)).exists()
    }
}

/// What is known about another rank.
struct Peer {
    heard: Instant,
    place: Option<Place>,
    ended: bool, // at the last look
    left: bool,
}

/// The signs of life of all ranks.
pub struct Pulse {
    here: Place,
    peers: Vec<Peer>,
    rank: usize,
    seen: Instant, // when this rank was last known to run
    beat: Instant,
    look: Instant,
}

impl Pulse {
    /// Starts to listen to `size` ranks, of which this one is number `rank`.
    pub fn new(rank: usize, size: usize) -> Self {
        let now = Instant::now();
        let peer = |_| Peer { heard: now, place: None, ended: false, left: false };
        Self { here: Place::here(), peers: (0..size).map(peer).collect(), rank, seen: now, beat: now, look: now }
    }

    /// Notes that something has arrived from a rank.
    pub fn heard(&mut self, rank: usize) {
        self.peers[rank].heard = Instant::now();
    }

    /// Notes where a rank is.
    pub fn is_at(&mut self, rank: usize, place: Option<Place>) {
        self.peers[rank].place = place;
    }

    /// Notes that a rank is done and sends nothing any more.
    pub fn has_left(&mut self, rank: usize) {
        self.peers[rank].left = true;
    }

    /// Returns whether all other ranks are done.
    pub fn all_have_left(&self) -> bool {
        self.peers.iter().enumerate().all(|(rank, peer)| peer.left || rank == self.rank)
    }

    /// Returns whether it is time to send a sign of life.
    pub fn is_due(&mut self) -> bool {
        let due = self.beat.elapsed() >= BEAT;
        if due {
            self.beat = Instant::now();
        }
        due
    }

    /// Returns a rank that is gone, if there is one.
    pub fn check(&mut self) -> Option<Gone> {
        let now = Instant::now();
        // A process that was stopped has heard nobody meanwhile.
        if now - std::mem::replace(&mut self.seen, now) > SILENCE / 2 {
            self.peers.iter_mut().for_each(|peer| peer.heard = now);
        }
        if now - self.look < LOOK {
            return None;
        }
        self.look = now;
        let others = self.peers.iter_mut().enumerate().filter(|(rank, peer)| *rank != self.rank && !peer.left);
        for (rank, peer) in others {
            let ended = peer.place.as_ref().is_some_and(|place| self.here.sees_end_of(place));
            // Its last messages may still be on their way.
            if std::mem::replace(&mut peer.ended, ended) && ended {
                let process = peer.place.as_ref().map_or(0, |place| place.process);
                return Some(Gone { rank, message: format!("its process, number {process}, has ended") });
            }
            if now - peer.heard > SILENCE {
                let message = format!(
                    "has given no sign of life for {} seconds; its process, its machine or the network may be down",
                    SILENCE.as_secs()
                );
                return Some(Gone { rank, message });
            }
        }
        None
    }
}
