//! What the configuration must fit: the CPUs that this process may run on.
//!
//! Read from `/proc`, which has the mask of `sched_getaffinity` and needs no FFI call.

use std::io::Read;
use std::{fs, io};

/// The facts of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The CPUs this process may run on, ascending; at least one.
    pub cpus: Vec<usize>,
}

impl Machine {
    /// This machine. If `/proc` does not tell, one CPU is assumed.
    #[must_use]
    pub fn inspect() -> Self {
        let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
        let mut cpus = allowed_cpus(&status);
        if cpus.is_empty() {
            cpus.push(0);
        }
        Self { cpus }
    }
}

/// 32 octets from the kernel's generator.
///
/// # Errors
/// When `/dev/urandom` cannot be read, which only a broken container does.
pub(super) fn random_key() -> io::Result<[u8; 32]> {
    let mut key = [0; 32];
    fs::File::open("/dev/urandom")?.read_exact(&mut key)?;
    Ok(key)
}

/// The list after `Cpus_allowed_list:`, as in `0-3,8`.
fn allowed_cpus(status: &str) -> Vec<usize> {
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .unwrap_or_default();
    let mut cpus = Vec::new();
    for part in list.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.trim().parse::<usize>(), last.trim().parse::<usize>())
        {
            cpus.extend(first..=last);
        }
    }
    cpus
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_cpu() {
        assert!(!Machine::inspect().cpus.is_empty());
    }

    #[test]
    fn a_cpu_list_has_ranges() {
        assert_eq!(
            allowed_cpus("Name:\tx\nCpus_allowed:\tf\nCpus_allowed_list:\t0-2,5,8-9\n"),
            [0, 1, 2, 5, 8, 9]
        );
        assert_eq!(allowed_cpus("Cpus_allowed_list:\t3\n"), [3]);
        assert!(allowed_cpus("nothing").is_empty());
    }

    #[test]
    fn two_keys_differ() {
        assert_ne!(random_key().unwrap(), random_key().unwrap());
    }
}
