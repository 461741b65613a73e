//! A sum over ranks, in a ring. The chapter: many_machines.md.

use ossia::collective::{Collective, part, to_bytes, to_numbers};

/// Sends numbers to the next rank of the ring, and returns those that the previous rank sends. All ranks have to call this at
/// the same time.
pub fn pass_on(ranks: &dyn Collective, numbers: &[f32]) -> Vec<f32> {
    let mut messages = vec![Vec::new(); ranks.size()];
    let [next, previous] = [1, ranks.size() - 1].map(|step| (ranks.rank() + step) % ranks.size());
    messages[next] = to_bytes(numbers);
    let received = ranks.all_to_all(messages).expect("all ranks are there");
    to_numbers(&received[previous]).collect()
}

/// Replaces the numbers of each rank by the sum over all ranks. Use [`pass_on`] for 2 (R − 1) times, and send only the part of
/// the array that [`part`] gives to some rank, never more. In the first R − 1 turns, add what arrives; then each rank has the
/// whole sum of one part. In the other R − 1 turns, copy what arrives.
pub fn all_reduce(ranks: &dyn Collective, numbers: &mut [f32]) {
    todo!("{} of {}: {:?}", ranks.rank(), ranks.size(), part(numbers.len(), ranks.rank(), ranks.size()))
}
