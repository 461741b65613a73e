//! Python for rollouts: a sandbox for each, started in advance.
//!
//! Book: [tools](../../../../book/tools.html)

use crate::harmony::Message;
use crate::tasks::Tools;
#[cfg(feature = "tools")]
use {
    super::tool::python_of_rollout,
    crate::error::{Error, Result},
    crate::tools::python::Python,
    std::sync::mpsc::{Receiver, sync_channel},
    std::sync::{Arc, Mutex},
    std::thread::JoinHandle,
};

/// Runs the programs of rollouts in sandboxes, a new one for each rollout. A thread starts the next ones while the model
/// computes.
#[cfg(feature = "tools")]
pub struct Sandboxes {
    ready: Arc<Mutex<Receiver<Result<Python>>>>,
    starter: JoinHandle<()>,
}

#[cfg(feature = "tools")]
impl Sandboxes {
    /// The most sandboxes that wait to be used.
    const READY: usize = 8;

    /// Starts the first sandboxes. Says why Python cannot be used, if it cannot.
    pub fn new() -> Self {
        if let Err(error) = python_of_rollout() {
            say!("calls of python are answered with this error: {error}");
        }
        let (send, ready) = sync_channel(Self::READY);
        let starter = std::thread::spawn(move || while send.send(python_of_rollout()).is_ok() {});
        Self { ready: Arc::new(Mutex::new(ready)), starter }
    }

    /// Makes the tools of a rollout. Its sandbox is taken at the first call.
    pub fn tools(&self) -> Tools {
        let (ready, mut python) = (self.ready.clone(), None);
        Box::new(move |call: &Message| {
            if call.recipient.as_deref() != Some("python") {
                return None;
            }
            let next = || ready.lock().expect("nothing panics here").recv().map_err(Error::unusable).flatten();
            let text = match python.get_or_insert_with(next) {
                Ok(python) => python.run(&call.text()),
                Err(error) => format!("[{error}]"),
            };
            Some(Message::answering(call, text))
        })
    }

    /// Removes the sandboxes that were not used.
    pub fn end(self) {
        drop(self.ready);
        _ = self.starter.join();
    }
}

/// Without the feature `tools`, calls have no answer.
#[cfg(not(feature = "tools"))]
pub struct Sandboxes;

#[cfg(not(feature = "tools"))]
impl Sandboxes {
    /// Does nothing.
    pub fn new() -> Self {
        Self
    }

    /// Makes tools that have no answer.
    pub fn tools(&self) -> Tools {
        Box::new(|_: &Message| None)
    }

    /// Does nothing.
    pub fn end(self) {}
}
