//! The display of a reply.

use crate::chat::Event;
use crate::cli::print;
use crate::cli::terminal::{Prefill, printable};
use crate::error::{Error, Result};
use crate::harmony::{Header, Message};
use std::io::{self, IsTerminal, Write};

const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// Shows answers on standard output, and everything else on standard error.
pub struct Show {
    analysis: bool,
    dims: bool,
    to_terminal: bool,
    place: Place,
    prefill: Prefill,
    failed: Option<Error>,
}

/// The stream to which the text of the current message goes.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Nowhere,
    Answer,
    Aside,
}

impl Show {
    /// Creates a display, with or without the analysis of the model.
    pub fn new(analysis: bool) -> Self {
        let dims = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let to_terminal = io::stdout().is_terminal();
        Self { analysis, dims, to_terminal, place: Place::Nowhere, prefill: Prefill::default(), failed: None }
    }

    /// Shows an event.
    pub fn event(&mut self, event: Event) {
        match event {
            Event::Reading { read, of } => self.prefill.show(read, of),
            Event::Begin(header) => self.begin(header),
            Event::Text(text) => self.text(text),
            Event::End => self.end(),
            Event::Spent => {
                self.end();
                self.note("the budget for analysis is spent");
            }
        }
    }

    fn begin(&mut self, header: &Header) {
        let thinks = header.channel.as_deref() == Some("analysis");
        self.place = match &header.recipient {
            Some(tool) => {
                self.note(&format!("to {}:", printable(tool)));
                Place::Aside
            }
            None if thinks && !self.analysis => Place::Nowhere,
            None if thinks => Place::Aside,
            None => Place::Answer,
        };
        if self.place == Place::Aside && self.dims {
            self.aside(DIM);
        }
    }

    fn text(&mut self, text: &str) {
        match self.place {
            Place::Nowhere => {}
            Place::Aside => self.aside(&printable(text)),
            Place::Answer => {
                let text = if self.to_terminal { printable(text) } else { text.into() };
                self.failed = self.failed.take().or(print(&text).err());
            }
        }
    }

    /// Ends the current message.
    pub fn end(&mut self) {
        match self.place {
            Place::Nowhere => {}
            Place::Aside => self.aside(if self.dims { "\x1b[0m\n" } else { "\n" }),
            Place::Answer => self.failed = self.failed.take().or(print("\n").err()),
        }
        self.place = Place::Nowhere;
    }

    /// Shows the answer of a tool.
    pub fn aside_message(&self, message: &Message) {
        self.note(&format!("{} says:", printable(message.name.as_deref().unwrap_or("the tool"))));
        let text = printable(message.text().trim_end());
        self.aside(&if self.dims { format!("{DIM}{text}{PLAIN}\n") } else { format!("{text}\n") });
    }

    /// Shows a note on a line of its own.
    pub fn note(&self, line: &str) {
        match self.dims {
            true => say!("{DIM}[{line}]{PLAIN}"),
            false => say!("[{line}]"),
        }
    }

    /// Writes to standard error. Ignores the error if standard error is closed.
    fn aside(&self, text: &str) {
        let mut out = io::stderr().lock();
        _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// Returns whether the answer can no longer be written.
    pub fn is_closed(&self) -> bool {
        self.failed.is_some()
    }

    /// Checks that the answer could be written.
    ///
    /// # Errors
    /// The error that a write of the answer returned.
    pub fn check(&mut self) -> Result<()> {
        self.failed.take().map_or(Ok(()), Err)
    }
}
