//! A piece of a message on its way: MPI reads or writes its bytes until the request is complete.

use mpi::point_to_point::Message;
use mpi::request::{Request, StaticScope};
use mpi::topology::Process;
use mpi::traits::Destination;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::rc::Rc;

type Pending = Request<'static, [u8]>;

/// A piece that is being sent. It shares the message with the other pieces.
pub struct Outgoing {
    request: Option<Pending>,
    message: ManuallyDrop<Rc<Vec<u8>>>,
}

impl Outgoing {
    /// Begins to send a piece of a message.
    pub fn begin(to: &Process, message: &Rc<Vec<u8>>, piece: Range<usize>, tag: i32) -> Self {
        let message = ManuallyDrop::new(message.clone());
        let bytes: *const [u8] = &raw const message[piece];
        // SAFETY: the bytes stay where they are while `message` counts as an owner of them. It is released only when the
        // request is complete, so they outlive the request. Nobody changes them.
        let bytes: &'static [u8] = unsafe { &*bytes };
        Self { request: Some(to.immediate_send_with_tag(StaticScope, bytes, tag)), message }
    }

    /// Returns whether MPI has read the piece.
    pub fn is_done(&mut self) -> bool {
        self.request = self.request.take().and_then(|request| request.test().err());
        self.request.is_none()
    }
}

impl Drop for Outgoing {
    /// Keeps the bytes for ever if MPI may still read them.
    fn drop(&mut self) {
        match self.request.take() {
            // SAFETY: this is the only place where it is released, and after it nothing uses it.
            None => unsafe { ManuallyDrop::drop(&mut self.message) },
            Some(request) => std::mem::forget(request),
        }
    }
}

/// A piece that is being received.
pub struct Incoming {
    request: Option<Pending>,
    bytes: *mut [u8],
}

impl Incoming {
    /// Begins to receive a piece of `length` bytes.
    pub fn begin(message: Message, length: usize) -> Self {
        let bytes: *mut [u8] = Box::into_raw(vec![0; length].into_boxed_slice());
        // SAFETY: the bytes are valid, and this is the only reference to them. They are released only when the request is
        // complete, so they outlive it.
        let place: &'static mut [u8] = unsafe { &mut *bytes };
        Self { request: Some(message.immediate_matched_receive_into(StaticScope, place)), bytes }
    }

    /// Returns the piece if it is complete.
    pub fn take(&mut self) -> Option<Vec<u8>> {
        self.request = self.request.take()?.test().err();
        match self.request {
            Some(_) => None,
            // SAFETY: the pointer is that of a box, and the request that wrote to it is complete. Since there is no request
            // any more, this happens once.
            None => Some(unsafe { Box::from_raw(self.bytes) }.into_vec()),
        }
    }
}

impl Drop for Incoming {
    /// Keeps the bytes for ever if MPI may still write to them.
    fn drop(&mut self) {
        self.request.take().into_iter().for_each(std::mem::forget);
    }
}
