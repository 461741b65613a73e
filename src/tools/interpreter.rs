//! A running interpreter, and the protocol with it: programs go in, their output comes out.

use crate::error::{Error, Result};
use std::hash::{BuildHasher, RandomState};
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The longest time that an interpreter may take to start.
const START: Duration = Duration::from_secs(60);

/// The longest time that an idle interpreter may take to end by itself, in which it writes what its open files hold.
const GRACE: Duration = Duration::from_millis(500);

/// The longest time to wait for the end of an interpreter that has been killed.
const END: Duration = Duration::from_secs(2);

/// A running interpreter.
pub struct Interpreter {
    child: SharedChild,
    /// The channel through which programs are sent. The interpreter ends when this is dropped.
    programs: Option<Sender<String>>,
    /// Whether no program runs, except for threads that a program has started.
    idle: bool,
    output: Receiver<Vec<u8>>,
    /// The output after the end of the last program, from threads that run on. It belongs to the next program.
    unread: Vec<u8>,
    count: u64,
}

/// The way in which a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgramEnd {
    /// The program has finished.
    Finished,
    /// The program took too long.
    TimedOut,
    /// The interpreter has exited.
    Exited,
}

/// A process that several threads may kill.
#[derive(Clone)]
pub struct SharedChild(Arc<Mutex<Child>>);

impl SharedChild {
    fn lock(&self) -> MutexGuard<'_, Child> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn id(&self) -> u32 {
        self.lock().id()
    }

    pub fn kill(&self) {
        // An error means that the process has ended already.
        _ = self.lock().kill();
    }
}

impl Drop for Interpreter {
    fn drop(&mut self) {
        self.programs = None;
        if self.idle {
            self.drain(GRACE);
        }
        // The group includes the processes that an interpreter without a sandbox has started. In the sandbox there are
        // none.
        #[cfg(unix)]
        if let Ok(group) = i32::try_from(self.child.id()) {
            use nix::{sys::signal, unistd::Pid};
            _ = signal::killpg(Pid::from_raw(group), signal::Signal::SIGKILL);
        }
        self.child.kill();
        _ = self.child.lock().wait();
        // With bubblewrap the interpreter is not the child but ends with it. Its output is closed when it has ended.
        self.drain(END);
    }
}

impl Interpreter {
    /// Drops output until there is no more, which means that the interpreter has ended, or until the time is over.
    fn drain(&self, most: Duration) {
        let deadline = Instant::now() + most;
        let left = || Some(deadline.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero());
        while left().is_some_and(|left| self.output.recv_timeout(left).is_ok()) {}
    }

    /// Starts an interpreter with the worker that reads programs.
    ///
    /// # Errors
    /// If the command cannot be run, or the worker does not answer.
    pub fn start(mut command: Command) -> Result<Self> {
        let (send, output) = sync_channel(16); // bounded, so that a program cannot write faster than we read
        let (started, starting) = channel();
        // The thread that reads the output also starts the process, because the process is killed when the thread that
        // has started it ends.
        std::thread::spawn(move || {
            let mut child = command.spawn().map_err(|e| Error::io(command.get_program(), "run", e));
            let pipe = child.as_mut().ok().and_then(|child| child.stdout.take());
            let (Ok(()), Some(mut pipe)) = (started.send(child), pipe) else { return };
            let mut chunk = [0; 8 << 10];
            while let Ok(n @ 1..) = pipe.read(&mut chunk) {
                if send.send(chunk[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        let no_pipe = || Error::argument("the interpreter has no pipes");
        let mut child = starting.recv().map_err(|_| no_pipe())??;
        let mut stdin = child.stdin.take().ok_or_else(no_pipe)?;
        // A separate thread writes, so that an interpreter that does not read cannot delay the timeout.
        let (programs, sent) = channel::<String>();
        std::thread::spawn(
            move || {
                while sent.recv().is_ok_and(|program| stdin.write_all(program.as_bytes()).is_ok()) {}
            },
        );
        let child = SharedChild(Arc::new(Mutex::new(child)));
        let programs = Some(programs);
        let mut interpreter = Self { child, programs, idle: false, output, unread: Vec::new(), count: 0 };
        match interpreter.until(b"ready\n", START, 1 << 10).1 {
            ProgramEnd::Finished => Ok(interpreter),
            _ => Err(interpreter.startup_error()),
        }
    }

    /// The process that was started. It is the interpreter, or bubblewrap around it.
    pub fn child(&self) -> &SharedChild {
        &self.child
    }

    /// Runs a program and returns its output.
    pub fn run(&mut self, program: &str, timeout: Duration, most: usize) -> (String, ProgramEnd) {
        self.count += 1;
        // If a program finds its mark and writes it, its output is cut there, and the rest appears at the start of the
        // output of the next program.
        let mark = format!("\0{:016x}{:08x}\0", RandomState::new().hash_one(self.count), self.count);
        match self.programs.as_ref().map(|programs| programs.send(format!("{} {mark}\n{program}", program.len()))) {
            Some(Ok(())) => self.until(mark.as_bytes(), timeout, most),
            _ => (String::new(), ProgramEnd::Exited),
        }
    }

    /// Ends an interpreter that has not started, and returns the last line of its error output as an error.
    fn startup_error(&mut self) -> Error {
        let mut stderr = String::new();
        self.child.kill();
        if let Some(errors) = &mut self.child.lock().stderr {
            _ = errors.take(4 << 10).read_to_string(&mut stderr);
        }
        let line = stderr.lines().last().unwrap_or("it ended at once").trim_start_matches("error: ");
        Error::argument(format!("python does not start: {line}"))
    }

    // ANCHOR: until
    /// Reads the output up to a mark, and keeps what comes after it for the next call. If there are more than `most`
    /// bytes, the rest is dropped and counted.
    fn until(&mut self, mark: &[u8], timeout: Duration, most: usize) -> (String, ProgramEnd) {
        let (mut kept, mut dropped) = (Vec::new(), 0usize);
        let mut tail = std::mem::take(&mut self.unread);
        let deadline = Instant::now() + timeout;
        let end = loop {
            // Threads of the program may write at any time, so the mark can be anywhere in what was read.
            if let Some(at) = tail.windows(mark.len()).position(|bytes| bytes == mark) {
                self.unread = tail.split_off(at + mark.len());
                tail.truncate(at);
                break ProgramEnd::Finished;
            }
            // Keeps back only the bytes that may be the beginning of the mark.
            let sure = tail.len().saturating_sub(mark.len() - 1);
            take(&mut kept, &mut dropped, tail.drain(..sure), most);
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break ProgramEnd::TimedOut; // a program that never stops writing would never be late otherwise
            }
            match self.output.recv_timeout(left) {
                Err(RecvTimeoutError::Timeout) => break ProgramEnd::TimedOut,
                Err(RecvTimeoutError::Disconnected) => break ProgramEnd::Exited,
                Ok(chunk) => tail.extend(chunk),
            }
        };
        self.idle = end == ProgramEnd::Finished;
        take(&mut kept, &mut dropped, tail.drain(..), most);
        let mut text = String::from_utf8_lossy(&kept).into_owned();
        if dropped > 0 {
            text += &format!("\n[{dropped} more bytes of output are left out]");
        }
        (text, end)
    }
    // ANCHOR_END: until
}

/// Appends bytes to `kept` up to `most`, and counts the rest.
fn take(kept: &mut Vec<u8>, dropped: &mut usize, bytes: impl ExactSizeIterator<Item = u8>, most: usize) {
    let room = most - kept.len();
    *dropped += bytes.len().saturating_sub(room);
    kept.extend(bytes.take(room));
}
