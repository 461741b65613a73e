//! Tasks that a tiny model can learn in minutes, and how well it does them.
//!
//! Book: [effort](../../../book/effort.html)

pub mod arithmetic;
pub mod chats;
pub mod stories;
