//! How this process asks the system for memory.

/// Blocks from this size on go back to the system when they are freed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE: libc::c_int = 1 << 20;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ARENAS: libc::c_int = 2;

/// Makes freed memory go back to the system. To be called first of all, before there are threads.
///
/// Columns, row groups and compressors are buffers of many megabytes that live for milliseconds, on several threads. Left to
/// itself glibc soon takes them from the heap of the thread (its threshold grows to 32 MiB) and keeps what was freed there:
/// an archiver that needs 270 MB held 470 MB.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[allow(unsafe_code, reason = "no safe call sets what the allocator does")]
    // SAFETY: mallopt only changes numbers of the allocator, and no other thread runs yet. A refusal changes nothing.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
        libc::mallopt(libc::M_ARENA_MAX, ARENAS);
    }
}
