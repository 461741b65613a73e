//! Tasks for reasoning that a tiny model can learn in minutes.       Book: effort.md

pub mod arithmetic;
