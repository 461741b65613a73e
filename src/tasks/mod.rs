//! Tasks that a tiny model can learn in minutes, and how well it does them.       Book: effort.md

pub mod arithmetic;
pub mod stories;
