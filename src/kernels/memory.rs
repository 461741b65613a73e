//! Raw memory: files mapped into memory, bytes reinterpreted as numbers, and the settings of the allocator.

use std::borrow::Cow;
use std::cell::Cell;
use std::mem::MaybeUninit;
#[cfg(feature = "mmap")]
use std::{fs::File, io};

/// Maps a file into memory, read-only. The system reads a page when it is first touched, and may drop it again.
///
/// # Errors
/// If the system cannot map the file.
#[cfg(feature = "mmap")]
pub fn map(file: &File) -> io::Result<memmap2::Mmap> {
    // SAFETY: the map is read-only, and every byte pattern is a valid value of the types that it is read as. Nobody can
    // guarantee that no other program changes the file meanwhile. If one does, the weights change under the model; if it
    // truncates the file, the process is stopped with a bus error. Every engine that maps its weights accepts this, in
    // order not to copy 13 GB. Files that ossia writes are replaced by renaming, which leaves a mapped file as it was.
    unsafe { memmap2::Mmap::map(file) }
}

/// Maps a file from which the program reads few parts, which are far from each other. The system reads only the pages that are
/// touched, and none around them.
///
/// # Errors
/// If the system cannot map the file.
#[cfg(feature = "mmap")]
pub fn map_scattered(file: &File) -> io::Result<memmap2::Mmap> {
    let map = map(file)?;
    #[cfg(unix)]
    map.advise(memmap2::Advice::Random)?;
    Ok(map)
}

/// Reinterprets little-endian bytes as `f32`, without copying. Returns `None` if the address or the length is not a
/// multiple of four, or on a big-endian machine.
pub fn as_f32(bytes: &[u8]) -> Option<&[f32]> {
    // SAFETY: any four bytes are a valid f32, and align_to returns only aligned ones in the middle.
    let (before, numbers, after) = unsafe { bytes.align_to::<f32>() };
    (cfg!(target_endian = "little") && before.is_empty() && after.is_empty()).then_some(numbers)
}

/// Reinterprets numbers as their little-endian bytes. Returns `None` on a big-endian machine.
pub fn as_bytes(numbers: &[f32]) -> Option<&[u8]> {
    // SAFETY: the slice is 4·len initialised bytes, a byte has no alignment, and the lifetime is that of `numbers`.
    let bytes = unsafe { std::slice::from_raw_parts(numbers.as_ptr().cast::<u8>(), size_of_val(numbers)) };
    cfg!(target_endian = "little").then_some(bytes)
}

/// Returns the little-endian bytes of numbers: without copying on a little-endian machine.
pub fn little_endian(numbers: &[f32]) -> Cow<'_, [u8]> {
    match as_bytes(numbers) {
        Some(bytes) => Cow::Borrowed(bytes),
        None => Cow::Owned(numbers.iter().flat_map(|x| x.to_le_bytes()).collect()),
    }
}

/// Sets numbers that were never written to 0.
pub(super) fn zeroed(numbers: &mut [MaybeUninit<f32>]) -> &mut [f32] {
    numbers.fill(MaybeUninit::new(0.0));
    // SAFETY: every number was written, the slice stays borrowed, and a `MaybeUninit<f32>` is laid out as an f32.
    unsafe { std::slice::from_raw_parts_mut(numbers.as_mut_ptr().cast(), numbers.len()) }
}

/// Returns `len` numbers in a vector that is not initialized. `write` gets all of them, and has to write each.
///
/// # Safety
/// `write` must return only if it has written every number.
pub(super) unsafe fn written(len: usize, write: impl FnOnce(&mut [MaybeUninit<f32>])) -> Vec<f32> {
    let mut numbers = Vec::with_capacity(len);
    write(&mut numbers.spare_capacity_mut()[..len]);
    // SAFETY: the vector has room for `len` numbers, and the caller promises that they were written.
    unsafe { numbers.set_len(len) };
    numbers
}

/// Calls `f` with a buffer of numbers, which the thread keeps for the next call. The numbers are those that were left there.
///
/// In a loop that runs on all threads, memory from the allocator would cost much more: threads wait for each other there.
pub fn with_scratch(numbers: usize, f: impl FnOnce(&mut [f32])) {
    thread_local! { static SCRATCH: Cell<Vec<f32>> = const { Cell::new(Vec::new()) } }
    let mut buffer = SCRATCH.take();
    if buffer.len() < numbers {
        buffer.resize(numbers, 0.0);
    }
    f(&mut buffer[..numbers]);
    SCRATCH.set(buffer);
}

/// Cuts the first numbers off a buffer.
///
/// # Panics
/// If it has fewer.
pub fn take<'a>(buffer: &mut &'a mut [f32], numbers: usize) -> &'a mut [f32] {
    buffer.split_off_mut(..numbers).expect("the buffer is large enough")
}

/// Tells the allocator of this process to keep freed memory for the next step.
///
/// A training step allocates and frees the same few hundred megabytes again and again. By default the C library returns
/// large blocks to the system at once and requests them anew, and the system clears every page each time: on a virtual
/// machine that took a third of the time of a step. If the allocator keeps the memory, the process holds its peak, which
/// the next step would need anyway.
///
/// A program should call this function at its start; a library should leave the choice to the program. The function does
/// nothing if the C library is not GNU's.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt takes two integers and may be called at any time; it ignores unknown options.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1); // all threads share one heap, so that what one frees is used by the next
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 30); // blocks up to 1 GiB come from the heap
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX); // the top of the heap is returned beyond 2 GiB only
        libc::mallopt(libc::M_TOP_PAD, 64 << 20); // the heap grows by 64 MiB
    }
}
