//! Bugs of sums over ranks.

use crate::proofs::{Mutant, Ring};
use crate::ring::pass_on;
use ossia::collective::part;

pub fn ring() -> Vec<Mutant<Ring>> {
    vec![
        Mutant {
            says: "the second round adds what arrives instead of copying it: whole sums are added again",
            layer: Ring {
                all_reduce: |ranks, numbers| {
                    let (rank, size, length) = (ranks.rank(), ranks.size(), numbers.len());
                    let back = |turns: usize| part(length, (rank + 2 * size - turns) % size, size);
                    for turn in 0..2 * (size - 1) {
                        let received = pass_on(ranks, &numbers[back(turn)]);
                        let own = &mut numbers[back(turn + 1)];
                        own.iter_mut().zip(received).for_each(|(sum, number)| *sum += number);
                    }
                },
            },
            caught_by: "every_rank_gets_the_sum",
        },
        Mutant {
            says: "whole arrays go around the ring: each rank adds in an order of its own, and sends R − 1 arrays",
            layer: Ring {
                all_reduce: |ranks, numbers| {
                    let mut passed = numbers.to_vec();
                    for _ in 1..ranks.size() {
                        passed = pass_on(ranks, &passed);
                        numbers.iter_mut().zip(&passed).for_each(|(sum, number)| *sum += number);
                    }
                },
            },
            caught_by: "all_ranks_get_the_same_bits",
        },
        Mutant {
            says: "all parts are as long as the first one, so that the last numbers are not added",
            layer: Ring {
                all_reduce: |ranks, numbers| {
                    let even = numbers.len() / ranks.size() * ranks.size();
                    crate::solutions::ring::all_reduce(ranks, &mut numbers[..even]);
                },
            },
            caught_by: "every_rank_gets_the_sum",
        },
    ]
}
