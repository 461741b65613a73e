//! What every kind of ranks has to do. Each rank of a job calls these functions.

use ossia::collective::{Collective, part};

/// Numbers whose sum depends on the order in which they are added.
fn array(rank: usize, length: usize) -> Vec<f32> {
    (0..length).map(|i| ((rank * 31 + i * 17) % 23) as f32 * 10f32.powi((rank as i32 * 5 + i as i32) % 9 - 4)).collect()
}

/// The sum in the order of the ranks.
fn sum(size: usize, length: usize) -> Vec<f32> {
    let add = |sum: Vec<f32>, rank| sum.iter().zip(array(rank, length)).map(|(a, b)| a + b).collect();
    (1..size).fold(array(0, length), add)
}

pub fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

pub fn sums(ranks: &dyn Collective) {
    let (rank, size) = (ranks.rank(), ranks.size());
    for length in [0, 1, 2, 7, 64, 1001] {
        let expected = sum(size, length);
        let reversed = (0..size.saturating_sub(1)).rev().fold(array(size - 1, length), |sum, rank| {
            sum.iter().zip(array(rank, length)).map(|(a, b)| a + b).collect()
        });
        assert!(size < 3 || length < 64 || bits(&reversed) != bits(&expected), "the order makes a difference");
        let mut whole = array(rank, length);
        let own = ranks.reduce_scatter(&whole).unwrap();
        ranks.all_reduce(&mut whole).unwrap();
        assert_eq!(bits(&whole), bits(&expected), "rank {rank} of {size}, {length} numbers");
        assert_eq!(bits(&own), bits(&expected[part(length, rank, size)]), "rank {rank} of {size}");
    }
}

/// Rank r sends r + 2s bytes to rank s, and rank 1 sends nothing to rank 0. Once, rank 0 sends rank 1 five million bytes.
pub fn messages(ranks: &dyn Collective) {
    let (me, size) = (ranks.rank(), ranks.size());
    let message = |from: usize, to: usize| vec![from as u8; if (from, to) == (1, 0) { 0 } else { from + 2 * to }];
    let received = ranks.all_to_all((0..size).map(|to| message(me, to)).collect()).unwrap();
    assert_eq!(received, (0..size).map(|from| message(from, me)).collect::<Vec<_>>());
    let long = |from: usize, to: usize| match (from, to) {
        (0, 1) => (0..5_000_003).map(|i| (i % 251) as u8).collect(),
        (from, to) => message(from, to),
    };
    let received = ranks.all_to_all((0..size).map(|to| long(me, to)).collect()).unwrap();
    assert!(received == (0..size).map(|from| long(from, me)).collect::<Vec<_>>());
    let gathered = ranks.all_gather(&message(me, 3)).unwrap();
    assert_eq!(gathered, (0..size).map(|from| message(from, 3)).collect::<Vec<_>>());
    for root in 0..size {
        assert_eq!(ranks.broadcast(root, &message(me, 5)).unwrap(), message(root, 5));
    }
    ranks.barrier().unwrap();
}

/// A rank may begin several exchanges before it finishes the first one.
pub fn order(ranks: &dyn Collective) {
    for i in 0..5 {
        ranks.begin(vec![vec![10 * i + ranks.rank() as u8]; ranks.size()]);
    }
    for i in 0..5 {
        let expected: Vec<_> = (0..ranks.size()).map(|from| vec![10 * i + from as u8]).collect();
        assert_eq!(ranks.finish().unwrap(), expected);
    }
}
