use super::{Exercise, Mutant, NamedProof, Proof, because, close};
use crate::zoo;
use ossia::collective::{Alone, Collective, Messages, Threads, run_threads};
use ossia::error::{Error, Result};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

pub struct Ring {
    pub all_reduce: fn(&dyn Collective, &mut [f32]),
}

/// The number of ranks and of numbers with which each proof is tried.
const JOBS: [(usize, usize); 6] = [(2, 8), (3, 9), (4, 4), (4, 13), (3, 2), (8, 100)];

fn array(rank: usize, length: usize) -> Vec<f32> {
    (0..length).map(|i| ((rank * 7 + i * 5) % 11) as f32 - 4.5).collect()
}

/// Numbers whose sum depends on the order in which they are added.
fn rounded(rank: usize, length: usize) -> Vec<f32> {
    array(rank, length).iter().map(|x| x.exp() * 1e-3 + x / 3.0).collect()
}

fn sum(size: usize, length: usize) -> Vec<f32> {
    (0..length).map(|i| (0..size).map(|rank| array(rank, length)[i]).sum()).collect()
}

/// A rank that notes down what it sends to others.
struct Noting {
    rank: Threads,
    bytes: AtomicUsize,
    receivers: AtomicUsize,
}

impl Collective for Noting {
    fn rank(&self) -> usize {
        self.rank.rank()
    }
    fn size(&self) -> usize {
        self.rank.size()
    }
    fn begin(&self, messages: Messages) {
        for (to, message) in messages.iter().enumerate().filter(|(to, _)| *to != self.rank()) {
            self.bytes.fetch_add(message.len(), Relaxed);
            if !message.is_empty() {
                self.receivers.fetch_or(1 << to, Relaxed);
            }
        }
        self.rank.begin(messages);
    }
    fn finish(&self) -> Result<Messages> {
        self.rank.finish()
    }
    fn give_up(&self, error: &Error) {
        self.rank.give_up(error);
    }
}

/// The array of a rank after the sum, the number of bytes that it has sent, and a bit for each rank that it has sent them to.
type Left = (Vec<f32>, usize, usize);

impl Exercise for Ring {
    const NAME: &str = "ring";
    const LEARNED: &str = "A sum over R ranks needs no center: each rank sends 2 (R − 1) parts to its neighbor, so it sends less \
        than twice its array, however many ranks there are.";

    fn yours() -> Self {
        Self { all_reduce: crate::ring::all_reduce }
    }

    fn solution() -> Self {
        Self { all_reduce: crate::solutions::ring::all_reduce }
    }

    fn mutants() -> Vec<Mutant<Self>> {
        zoo::ring()
    }

    fn proofs() -> Vec<NamedProof<Self>> {
        vec![
            ("a_single_rank_has_its_sum", Self::alone),
            ("every_rank_gets_the_sum", Self::sums),
            ("all_ranks_get_the_same_bits", Self::same),
            ("a_rank_sends_two_arrays_at_most_and_only_to_the_next", Self::traffic),
        ]
    }

    fn sample(&self) -> Vec<f32> {
        let with_bytes = |(mut numbers, bytes, _): Left| {
            numbers.push(bytes as f32);
            numbers
        };
        self.job(4, 13).into_iter().flat_map(with_bytes).collect()
    }
}

impl Ring {
    fn sums_of(&self, array: fn(usize, usize) -> Vec<f32>, size: usize, length: usize) -> Vec<Vec<f32>> {
        run_threads(size, |rank| {
            let mut numbers = array(rank.rank(), length);
            (self.all_reduce)(&rank, &mut numbers);
            numbers
        })
    }

    fn job(&self, size: usize, length: usize) -> Vec<Left> {
        run_threads(size, |rank| {
            let rank = Noting { rank, bytes: AtomicUsize::new(0), receivers: AtomicUsize::new(0) };
            let mut numbers = array(rank.rank(), length);
            (self.all_reduce)(&rank, &mut numbers);
            (numbers, rank.bytes.into_inner(), rank.receivers.into_inner())
        })
    }

    fn alone(&self) -> Proof {
        let mut numbers = array(3, 5);
        (self.all_reduce)(&Alone::default(), &mut numbers);
        because(close("the sum of one rank", &numbers, &array(3, 5), 0.0), "there is nobody to send to")
    }

    fn sums(&self) -> Proof {
        JOBS.into_iter().try_for_each(|(size, length)| {
            self.job(size, length).iter().enumerate().try_for_each(|(rank, left)| {
                close(&format!("the sum on rank {rank} of {size}"), &left.0, &sum(size, length), 1e-4)
            })
        })
    }

    fn same(&self) -> Proof {
        JOBS.into_iter().try_for_each(|(size, length)| {
            let all = self.sums_of(rounded, size, length);
            let bits = |rank: usize| all[rank].iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            match (0..size).find(|&rank| bits(rank) != bits(0)) {
                Some(rank) => Err(format!("rank {rank} of {size} ends with other bits than rank 0")),
                None => Ok(()),
            }
        })
    }

    fn traffic(&self) -> Proof {
        JOBS.into_iter().try_for_each(|(size, length)| {
            let most = 2 * (size - 1) * length.div_ceil(size) * 4;
            self.job(size, length).iter().enumerate().try_for_each(|(rank, (_, bytes, receivers))| {
                let next = (rank + 1) % size;
                if receivers & !(1 << next) != 0 {
                    return Err(format!("rank {rank} of {size} sends to another rank than {next}"));
                }
                if *bytes > most {
                    return Err(format!(
                        "rank {rank} of {size} sends {bytes} bytes for {length} numbers, expected at most {most}"
                    ));
                }
                Ok(())
            })
        })
    }
}
