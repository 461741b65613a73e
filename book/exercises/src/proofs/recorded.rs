//! A recorded model for the engine's chat.

use ossia::error::Result;
use ossia::generate::{ReadProgress, Reader, Writer};
use ossia::tokenizer::TokenSet;
use std::cell::RefCell;
use std::rc::Rc;

/// A model that writes the same tokens whatever it reads, and keeps all tokens that are appended.
pub struct Recorded {
    pub writes: std::vec::IntoIter<u32>,
    pub appended: Rc<RefCell<Vec<u32>>>,
    pub context: usize,
}

impl Writer for Recorded {
    fn context(&self) -> usize {
        self.context
    }

    fn room(&self) -> usize {
        1_000
    }

    fn choose(&mut self, _: Option<&TokenSet>) -> Result<Option<u32>> {
        Ok(self.writes.next())
    }

    fn push(&mut self, token: u32) -> Result<()> {
        self.appended.borrow_mut().push(token);
        Ok(())
    }
}

impl Reader for Recorded {
    fn go_to(&mut self, _: &[u32], _: ReadProgress) -> Result<usize> {
        Ok(0)
    }
}
