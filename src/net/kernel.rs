//! Kernel queries at startup: whether io_uring is permitted, how many files may be open, random
//! octets, on which CPU a thread runs.

use std::io::Read;
use std::mem::MaybeUninit;
use std::{io, thread};

/// Octets of `struct io_uring_params` since it exists.
const URING_PARAMS_OCTETS: usize = 120;

/// Sets up a ring of two entries and gives it back. The error is the kernel's (or a seccomp
/// filter's) own: ENOSYS, EPERM, ENOMEM. A thread of its own does this, because the kernel
/// interrupts the thread that made a ring when the ring has been cleaned up.
pub fn probe_io_uring() -> io::Result<()> {
    let probe = thread::Builder::new()
        .name("probe".to_owned())
        .spawn(set_up_and_close)?;
    probe
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("the probing thread panicked")))
}

#[allow(unsafe_code, reason = "io_uring_setup has no wrapper in libc")]
fn set_up_and_close() -> io::Result<()> {
    #[repr(C, align(8))]
    struct Params([u8; URING_PARAMS_OCTETS]);
    let mut params = Params([0; URING_PARAMS_OCTETS]);
    let entries: libc::c_uint = 2;
    // SAFETY: the second argument is a zeroed, aligned io_uring_params that lives through the call.
    let ring = unsafe { libc::syscall(libc::SYS_io_uring_setup, entries, params.0.as_mut_ptr()) };
    if ring < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call above has just made the descriptor, and nothing else owns it.
    unsafe { libc::close(ring as libc::c_int) };
    Ok(())
}

/// A soft and a hard resource limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceLimit {
    /// The limit in force.
    pub soft: u64,
    /// How far an unprivileged process may raise it.
    pub hard: u64,
}

/// Octets this process may lock into memory (`ulimit -l`), which the executors' rings count
/// against.
#[must_use]
pub fn memory_lock_limit() -> Option<ResourceLimit> {
    resource_limit(libc::RLIMIT_MEMLOCK)
}

/// Raises the number of files that may be open as far as an unprivileged process may; returns the
/// limit then in force. Every stream connection is a file.
#[allow(unsafe_code, reason = "setrlimit has no safe wrapper here")]
pub fn raise_open_files_limit() -> Option<u64> {
    let limit = resource_limit(libc::RLIMIT_NOFILE)?;
    let wanted = libc::rlimit {
        rlim_cur: limit.hard,
        rlim_max: limit.hard,
    };
    // SAFETY: the structure lives through the call, which only reads it.
    let raised = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const wanted) } == 0;
    Some(if raised { limit.hard } else { limit.soft })
}

/// Asks for small pages from now on. The allocator asks for huge ones, and a turn that touches a
/// new huge page may stall while the kernel frees one: up to 60 ms when 100,000 phones subscribed,
/// under 2 ms without huge pages. On a kernel without huge pages this does nothing.
#[allow(unsafe_code, reason = "prctl has no safe wrapper here")]
pub fn decline_huge_pages() {
    let [yes, unused]: [libc::c_ulong; 2] = [1, 0];
    // SAFETY: the call takes numbers and touches no memory of ours.
    unsafe {
        libc::prctl(libc::PR_SET_THP_DISABLE, yes, unused, unused, unused);
    }
}

#[allow(unsafe_code, reason = "getrlimit has no safe wrapper here")]
fn resource_limit(resource: libc::__rlimit_resource_t) -> Option<ResourceLimit> {
    let mut limit = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: the kernel fills the structure when it returns 0, and only then it is read.
    let limit = unsafe {
        if libc::getrlimit(resource, limit.as_mut_ptr()) != 0 {
            return None;
        }
        limit.assume_init()
    };
    Some(ResourceLimit {
        soft: limit.rlim_cur,
        hard: limit.rlim_max,
    })
}

/// Unguessable octets.
pub fn random_octets() -> io::Result<[u8; 32]> {
    let mut octets = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut octets)?;
    Ok(octets)
}

/// Has this thread run on that CPU alone.
///
/// # Errors
/// The process may not use it.
#[allow(unsafe_code, reason = "sched_setaffinity has no safe wrapper here")]
pub fn run_on(cpu: usize) -> io::Result<()> {
    if cpu >= libc::CPU_SETSIZE as usize {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: a set of CPUs is a bit field, for which zeros are a value; the index is below its size.
    let set = unsafe {
        let mut set = MaybeUninit::<libc::cpu_set_t>::zeroed().assume_init();
        libc::CPU_SET(cpu, &mut set);
        set
    };
    // SAFETY: the set lives through the call, which only reads it; 0 is this thread.
    match unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_answers() {
        assert_ne!(random_octets().unwrap(), random_octets().unwrap());
        assert!(memory_lock_limit().unwrap().soft > 0);
        assert!(raise_open_files_limit().unwrap() >= 64);
        probe_io_uring().unwrap();
    }

    #[test]
    fn huge_pages_are_declined() {
        decline_huge_pages();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let mut lines = status.lines();
        // Kernels before 5.0 do not say.
        let said = lines.find_map(|line| line.strip_prefix("THP_enabled:"));
        assert!(said.is_none_or(|said| said.trim() == "0"), "{said:?}");
    }
}
