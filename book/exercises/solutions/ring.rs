use crate::ring::pass_on;
use ossia::collective::{Collective, part};

pub fn all_reduce(ranks: &dyn Collective, numbers: &mut [f32]) {
    let (rank, size, length) = (ranks.rank(), ranks.size(), numbers.len());
    // In turn t, a rank sends the part that it has received in turn t − 1.
    let back = |turns: usize| part(length, (rank + 2 * size - turns) % size, size);
    for turn in 0..2 * (size - 1) {
        let received = pass_on(ranks, &numbers[back(turn)]);
        let own = &mut numbers[back(turn + 1)];
        if turn < size - 1 {
            own.iter_mut().zip(received).for_each(|(sum, number)| *sum += number);
        } else {
            own.copy_from_slice(&received);
        }
    }
}
