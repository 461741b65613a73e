//! Something to reason about that a tiny model can learn in minutes.       Book: chapter 23

pub mod arithmetic;
