//! Collective operations, over ranks that are threads: sums in the order of the ranks, messages of any length, and ranks that
//! are gone.
//!
//! Book: [many_machines](../../book/src/many_machines.md)

pub mod cases;

use self::cases::bits;
use ossia::collective::{Alone, Collective, Threads, part, run_threads, to_bytes, to_numbers};
use ossia::error::Error;

/// The numbers of ranks with which everything is tried.
const SIZES: [usize; 5] = [1, 2, 3, 4, 8];

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
    SIZES.into_iter().for_each(|size| drop(run_threads(size, |rank| cases::sums(&rank))));
    cases::sums(&Alone::default());
}

#[test]
fn collective_messages_may_have_any_length() {
    SIZES.into_iter().for_each(|size| drop(run_threads(size, |rank| cases::messages(&rank))));
    cases::messages(&Alone::default());
}

/// A rank may begin several exchanges before it finishes the first one.
#[test]
fn collective_exchanges_finish_in_the_order_in_which_they_begin() {
    SIZES.into_iter().for_each(|size| drop(run_threads(size, |rank| cases::order(&rank))));
    cases::order(&Alone::default());
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

/// All others name the rank that has failed, and its reason.

#[test]
fn collective_tells_all_ranks_why_one_gives_up() {
    let errors = run_threads(3, |rank| {
        let (rank, me): (&dyn Collective, _) = (&rank, rank.rank());
        let fail = || Err::<(), _>(Error::argument("no more disk"));
        let failed = if me == 1 { rank.attempt(fail) } else { rank.attempt(|| rank.barrier()) };
        failed.unwrap_err().to_string()
    });
    assert_eq!(errors, ["rank 1: no more disk", "no more disk", "rank 1: no more disk"]);
}

#[test]
fn collective_numbers_are_the_same_behind_a_message() {
    let numbers = [0.0, -0.0, f32::MIN_POSITIVE / 8.0, f32::INFINITY, -1.5];
    assert_eq!(bits(&to_numbers(&to_bytes(&numbers)).collect::<Vec<_>>()), bits(&numbers));
    assert_eq!(Threads::job(2)[1].rank(), 1);
}
