//! Exchange: rows go to the ranks that hold their experts, and their results come back.
//!
//! Each rank holds E / R of the experts of a layer. The visits (T·A, H) of its tokens are sorted by expert, so those of one
//! holder are contiguous, and one message for each rank has them all. A rank gets rows from all ranks: first those of rank 0,
//! sorted by expert, then those of rank 1, and so on. The backward pass sends gradients the other way.
//!
//! Lepikhin et al. 2020, "GShard", <https://arxiv.org/abs/2006.16668>
//!
//! Book: [many_machines](../../../../book/many_machines.html)

use super::dispatch::Dispatch;
use crate::collective::{Collective, or_unwind, to_bytes, to_numbers};
use crate::profile;
use crate::tensor::{Array, Tensor, array, slice};
use std::sync::Arc;

/// The bytes that a rank sends to others. The time is also that of waiting for them.
const EXCHANGE: profile::Op = profile::Op::per_number("exchange of visits", 0, 4);

/// How many rows go where.
pub struct Exchange {
    ranks: Arc<dyn Collective>,
    /// The rows of this rank's tokens that each rank processes. (R,)
    sent: Vec<usize>,
    /// The rows of each rank's tokens that this rank processes. (R,)
    received: Vec<usize>,
    /// Where the rows begin that came from rank r for the e-th expert of this rank, at r·E/R + e. (E + 1,)
    pub offsets: Vec<usize>,
}

impl Exchange {
    /// Sends rows that are sorted by receiver. Returns those that come, in the order of the senders.
    fn rows(&self, x: &[f32], width: usize, to: &[usize], headers: &[Vec<u8>]) -> (Vec<Vec<u8>>, Vec<f32>) {
        let sent = to.iter().enumerate().filter(|(rank, _)| *rank != self.ranks.rank());
        let _timer = EXCHANGE.start(width * sent.map(|(_, rows)| rows).sum::<usize>());
        let mut rest = x;
        let message = |(rank, rows): (usize, &usize)| {
            let (part, after) = rest.split_at(rows * width);
            rest = after;
            [headers.get(rank).map_or(&[][..], Vec::as_slice), &to_bytes(part)].concat()
        };
        let messages = to.iter().enumerate().map(message).collect();
        let mut messages = or_unwind(self.ranks.all_to_all(messages));
        let length = headers.first().map_or(0, Vec::len);
        let numbers = messages.iter().flat_map(|message| to_numbers(&message[length..])).collect();
        messages.iter_mut().for_each(|message| message.truncate(length));
        (messages, numbers)
    }

    /// Sends rows to their experts, or gradients of the rows that came back.
    fn forth(&self, x: &Array) -> Array {
        let width = *x.shape().last().expect("rows are a matrix");
        array(&[self.received.iter().sum(), width], self.rows(slice(x), width, &self.sent, &[]).1)
    }

    /// Sends results back to the ranks of their tokens, or gradients.
    fn back(&self, x: &Array) -> Array {
        let width = *x.shape().last().expect("rows are a matrix");
        array(&[self.sent.iter().sum(), width], self.rows(slice(x), width, &self.received, &[]).1)
    }
}

// ANCHOR: send
/// Sends the visits of this rank's tokens (T·A, H), which `dispatch` has sorted, to the ranks that hold their experts. Returns
/// the rows for the experts of this rank.
///
/// If a rank is gone, this unwinds with the error; see [`caught`](crate::collective::caught).
pub fn send_to_experts(x: &Tensor, dispatch: &Dispatch, ranks: &Arc<dyn Collective>) -> (Tensor, Arc<Exchange>) {
    let held = dispatch.experts() / ranks.size();
    let load = dispatch.load();
    let sent = load.chunks(held).map(|load| load.iter().sum()).collect();
    let mut exchange = Exchange { ranks: ranks.clone(), sent, received: Vec::new(), offsets: vec![0] };
    // Each message begins with how many rows it has for each expert.
    let counts = |load: &[usize]| load.iter().flat_map(|&rows| (rows as u32).to_le_bytes()).collect();
    let counts: Vec<Vec<u8>> = load.chunks(held).map(counts).collect();
    let width = x.shape()[1];
    let (counts, rows) = exchange.rows(x.data(), width, &exchange.sent, &counts);
    for counts in counts {
        let before = exchange.offsets[exchange.offsets.len() - 1];
        for count in counts.as_chunks::<4>().0 {
            exchange.offsets.push(exchange.offsets[exchange.offsets.len() - 1] + u32::from_le_bytes(*count) as usize);
        }
        exchange.received.push(exchange.offsets[exchange.offsets.len() - 1] - before);
    }
    let exchange = Arc::new(exchange);
    let rows = Tensor::from_op(array(&[rows.len() / width, width], rows), &[x], || {
        let exchange = exchange.clone();
        Box::new(move |dy| vec![Some(exchange.back(&dy))])
    });
    (rows, exchange)
}

/// Sends the results of this rank's experts back. Returns those for the tokens of this rank (T·A, H), sorted as before.
pub fn send_back(x: &Tensor, exchange: &Arc<Exchange>) -> Tensor {
    Tensor::from_op(exchange.back(x.value()), &[x], || {
        let exchange = exchange.clone();
        Box::new(move |dy| vec![Some(exchange.forth(&dy))])
    })
}
// ANCHOR_END: send
