//! What touches raw memory besides the vector loops: the allocator's habits, files mapped into memory, bytes as numbers.

use std::borrow::Cow;
#[cfg(feature = "mmap")]
use std::{fs::File, io};

/// A file as memory. The system reads its pages when they are touched, and may drop them again.
///
/// # Errors
/// What the system says.
#[cfg(feature = "mmap")]
pub fn map(file: &File) -> io::Result<memmap2::Mmap> {
    // SAFETY: the map is read-only, and every byte pattern is valid for what it is read as. What Rust cannot promise is
    // that no other program changes the file meanwhile: then numbers change under the model, or, if it is cut short,
    // the process is stopped with a bus error. It is the price of not copying 13 GB, and the same for every engine that
    // maps its weights; files that ossia writes are replaced by renaming, which leaves a mapped one as it was.
    unsafe { memmap2::Mmap::map(file) }
}

/// Little-endian bytes as `f32`, without copying; `None` where they do not begin at a multiple of four, or are not
/// whole numbers, or on a big-endian machine.
pub fn as_f32(bytes: &[u8]) -> Option<&[f32]> {
    // SAFETY: any four bytes are an f32; align_to splits at addresses that fit.
    let (before, numbers, after) = unsafe { bytes.align_to::<f32>() };
    (cfg!(target_endian = "little") && before.is_empty() && after.is_empty()).then_some(numbers)
}

/// Returns the little-endian bytes of numbers: without copying on a little-endian machine.
pub fn little_endian(numbers: &[f32]) -> Cow<'_, [u8]> {
    if cfg!(target_endian = "little") {
        // SAFETY: the slice is 4·len initialised bytes, a byte has no alignment, and the lifetime is that of `numbers`.
        Cow::Borrowed(unsafe { std::slice::from_raw_parts(numbers.as_ptr().cast::<u8>(), size_of_val(numbers)) })
    } else {
        Cow::Owned(numbers.iter().flat_map(|x| x.to_le_bytes()).collect())
    }
}

/// Tells the allocator of this process to keep freed memory for the next step.
///
/// A training step allocates and frees the same few hundred megabytes again and again. By default the C library gives
/// large blocks back to the system at once and asks for them anew, and the system clears every page each time it
/// hands it out: on a virtual machine that took a third of the time of a step. Telling the allocator to keep what
/// it has costs nothing but the peak, which would be needed in the next step anyway.
///
/// For programs, at their start; a library should leave the choice to its program. Does nothing where the C library is not GNU's.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt takes two integers and may be called at any time; an unknown option is ignored.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 30); // blocks up to 1 GiB come from the heap
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX); // whose top is given back beyond 2 GiB only
        libc::mallopt(libc::M_TOP_PAD, 64 << 20); // and grows by 64 MiB
    }
}
