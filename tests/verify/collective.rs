//! Collective operations, over ranks that are threads: sums in the order of the ranks, messages of any length, and ranks that
//! are gone.
//!
//! Book: [many_machines](../../book/src/many_machines.md)

use ossia::collective::{Alone, Collective, Threads, part, run_threads, to_bytes, to_numbers};
use ossia::error::Error;

/// The numbers of ranks with which everything is tried.
const SIZES: [usize; 5] = [1, 2, 3, 4, 8];

/// Numbers whose sum depends on the order in which they are added.
fn array(rank: usize, length: usize) -> Vec<f32> {
    (0..length).map(|i| ((rank * 31 + i * 17) % 23) as f32 * 10f32.powi((rank as i32 * 5 + i as i32) % 9 - 4)).collect()
}

/// The sum in the order of the ranks.
fn sum(size: usize, length: usize) -> Vec<f32> {
    let add = |sum: Vec<f32>, rank| sum.iter().zip(array(rank, length)).map(|(a, b)| a + b).collect();
    (1..size).fold(array(0, length), add)
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

#[test]
fn collective_parts_cover_an_array() {
    for (length, size) in [(0, 3), (1, 4), (7, 3), (8, 8), (1000, 7)] {
        let parts: Vec<_> = (0..size).map(|rank| part(length, rank, size)).collect();
        assert_eq!(parts.iter().cloned().flatten().collect::<Vec<_>>(), (0..length).collect::<Vec<_>>());
        let lengths = parts.iter().map(|part| part.len());
        assert!(lengths.clone().max().unwrap() - lengths.min().unwrap() <= 1, "{parts:?}");
    }
}

#[test]
fn collective_sums_are_taken_in_the_order_of_the_ranks() {
    for size in SIZES {
        for length in [0, 1, 2, 7, 64, 1001] {
            let expected = sum(size, length);
            let reversed = (0..size.saturating_sub(1)).rev().fold(array(size - 1, length), |sum, rank| {
                sum.iter().zip(array(rank, length)).map(|(a, b)| a + b).collect()
            });
            assert!(size < 3 || length < 64 || bits(&reversed) != bits(&expected), "the order makes a difference");
            let results = run_threads(size, |rank| {
                let (rank, mut numbers): (&dyn Collective, _) = (&rank, array(rank.rank(), length));
                let own = rank.reduce_scatter(&numbers).unwrap();
                rank.all_reduce(&mut numbers).unwrap();
                (own, numbers)
            });
            for (rank, (own, whole)) in results.iter().enumerate() {
                assert_eq!(bits(whole), bits(&expected), "rank {rank} of {size}, {length} numbers");
                assert_eq!(bits(own), bits(&expected[part(length, rank, size)]), "rank {rank} of {size}");
            }
        }
    }
    let (alone, mut numbers): (&dyn Collective, _) = (&Alone::default(), array(0, 7));
    alone.all_reduce(&mut numbers).unwrap();
    assert_eq!(bits(&numbers), bits(&array(0, 7)));
}

/// Rank r sends r + 2s bytes to rank s, and rank 1 sends nothing to rank 0.
#[test]
fn collective_messages_may_have_any_length() {
    let message = |from: usize, to: usize| vec![from as u8; if (from, to) == (1, 0) { 0 } else { from + 2 * to }];
    for size in SIZES {
        run_threads(size, |rank| {
            let (rank, me): (&dyn Collective, _) = (&rank, rank.rank());
            let received = rank.all_to_all((0..size).map(|to| message(me, to)).collect()).unwrap();
            assert_eq!(received, (0..size).map(|from| message(from, me)).collect::<Vec<_>>());
            let gathered = rank.all_gather(&message(me, 3)).unwrap();
            assert_eq!(gathered, (0..size).map(|from| message(from, 3)).collect::<Vec<_>>());
            for root in 0..size {
                assert_eq!(rank.broadcast(root, &message(me, 5)).unwrap(), message(root, 5));
            }
            rank.barrier().unwrap();
        });
    }
}

/// A rank may begin several exchanges before it finishes the first one.
#[test]
fn collective_exchanges_finish_in_the_order_in_which_they_begin() {
    run_threads(3, |rank| {
        for i in 0..5 {
            rank.begin(vec![vec![10 * i + rank.rank() as u8]; 3]).unwrap();
        }
        for i in 0..5 {
            assert_eq!(rank.finish().unwrap(), [[10 * i], [10 * i + 1], [10 * i + 2]]);
        }
    });
}

#[test]
fn collective_names_a_rank_that_is_gone() {
    let errors = run_threads(3, |rank| {
        let me = rank.rank();
        if me == 1 {
            return None;
        }
        let rank: &dyn Collective = &rank;
        let error = (0..).find_map(|_| rank.barrier().err());
        error.map(|error| (matches!(error, Error::Rank { .. }), error.to_string()))
    });
    assert_eq!(errors[1], None);
    // A rank may see that another one has ended, which has seen that rank 1 has.
    let gone = |rank: usize| Some((true, format!("rank {rank}: has ended before the others")));
    assert!(errors.contains(&gone(1)), "{errors:?}");
    assert!([gone(1), gone(2)].contains(&errors[0]) && [gone(1), gone(0)].contains(&errors[2]), "{errors:?}");
}

#[test]
fn collective_numbers_are_the_same_behind_a_message() {
    let numbers = [0.0, -0.0, f32::MIN_POSITIVE / 8.0, f32::INFINITY, -1.5];
    assert_eq!(bits(&to_numbers(&to_bytes(&numbers)).collect::<Vec<_>>()), bits(&numbers));
    assert_eq!(Threads::job(2)[1].rank(), 1);
}
