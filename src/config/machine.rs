//! What the configuration must fit to: the CPUs this process may run on, the addresses this machine has.
//!
//! Read from `/proc`, which says the same as `sched_getaffinity` and `getifaddrs` without foreign calls.

use std::fs;
use std::io;
use std::io::Read;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

/// The facts of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The CPUs this process may run on, ascending; at least one.
    pub cpus: Vec<usize>,
    /// The addresses of its interfaces, for listeners on a wildcard address.
    pub addresses: Vec<IpAddr>,
}

impl Machine {
    /// This machine. Where it does not say, one CPU and the loopback addresses are assumed.
    #[must_use]
    pub fn inspect() -> Self {
        let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
        let mut cpus = allowed_cpus(&status);
        if cpus.is_empty() {
            cpus.push(0);
        }
        let mut addresses =
            ipv4_addresses(&fs::read_to_string("/proc/net/fib_trie").unwrap_or_default());
        addresses.extend(ipv6_addresses(
            &fs::read_to_string("/proc/net/if_inet6").unwrap_or_default(),
        ));
        addresses.extend([
            IpAddr::from(Ipv4Addr::LOCALHOST),
            IpAddr::from(Ipv6Addr::LOCALHOST),
        ]);
        addresses.sort_unstable();
        addresses.dedup();
        Self { cpus, addresses }
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

/// The list behind `Cpus_allowed_list:`, as in `0-3,8`.
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

/// The local hosts of a routing trie: an address line, then `/32 host LOCAL`.
fn ipv4_addresses(trie: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    let mut latest = None;
    for line in trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            latest = address.parse::<Ipv4Addr>().ok();
        } else if line == "/32 host LOCAL" {
            found.extend(latest.map(IpAddr::from));
        }
    }
    found
}

/// The first field of each line: 32 hexadecimal digits.
fn ipv6_addresses(table: &str) -> Vec<IpAddr> {
    let fields = table
        .lines()
        .filter_map(|line| line.split_ascii_whitespace().next());
    let numbers = fields
        .filter(|field| field.len() == 32)
        .filter_map(|field| u128::from_str_radix(field, 16).ok());
    numbers
        .map(|number| IpAddr::from(Ipv6Addr::from(number)))
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_cpu_and_loopback() {
        let machine = Machine::inspect();
        assert!(!machine.cpus.is_empty());
        assert!(
            machine
                .addresses
                .contains(&IpAddr::from(Ipv4Addr::LOCALHOST))
        );
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
    fn interface_addresses_are_found() {
        let trie = "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.1.2.0\n        /24 link UNICAST\n     |-- 10.1.2.3\n        /32 host LOCAL\n";
        assert_eq!(
            ipv4_addresses(trie),
            ["10.1.2.3".parse::<IpAddr>().unwrap()]
        );
        let table = "00000000000000000000000000000001 01 80 10 80       lo\n";
        assert_eq!(ipv6_addresses(table), ["::1".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn two_keys_differ() {
        assert_ne!(random_key().unwrap(), random_key().unwrap());
    }
}
