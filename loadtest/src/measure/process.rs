//! The resource use of a server on this machine: CPU time and memory of a process and all its
//! descendants, from `/proc`; and the datagrams that the whole machine dropped.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// The resources used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) cpu: Duration,
    /// Memory; what processes share counts once.
    pub(crate) resident_octets: u64,
}

/// A server's processes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Server {
    roots: Vec<u32>,
    processes: Vec<u32>,
}

impl Server {
    /// The given processes and their known descendants.
    pub(crate) fn new(roots: &[u32]) -> Self {
        let mut server = Self {
            roots: roots.to_vec(),
            processes: Vec::new(),
        };
        server.look_again();
        server
    }

    /// Returns whether there is anything to measure.
    pub(crate) fn is_known(&self) -> bool {
        !self.roots.is_empty()
    }

    /// Finds new descendants.
    pub(crate) fn look_again(&mut self) {
        if self.is_known() {
            self.processes = descendants(&self.roots, &parents(Path::new("/proc")));
        }
    }

    /// The CPU time of all running processes; that of ended processes no longer counts.
    pub(crate) fn cpu(&self) -> Duration {
        self.processes.iter().map(|pid| cpu_of(*pid)).sum()
    }

    /// The CPU time and memory of all processes. The kernel walks through every page for it, which
    /// takes some milliseconds per GiB.
    pub(crate) fn usage(&self) -> Usage {
        Usage {
            cpu: self.cpu(),
            resident_octets: self.processes.iter().map(|pid| octets_of(*pid)).sum(),
        }
    }
}

/// The parent of each process.
fn parents(proc: &Path) -> BTreeMap<u32, u32> {
    let entries = fs::read_dir(proc).into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers
        .filter_map(|pid: u32| {
            let stat = fs::read_to_string(proc.join(pid.to_string()).join("stat")).ok()?;
            Some((pid, parent_of(&stat)?))
        })
        .collect()
}

/// The fourth field; the second is in brackets and can contain anything.
fn parent_of(stat: &str) -> Option<u32> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(1)?.parse().ok()
}

fn descendants(roots: &[u32], parents: &BTreeMap<u32, u32>) -> Vec<u32> {
    let mut found = roots.to_vec();
    let mut next = 0;
    while next < found.len() {
        let children = parents
            .iter()
            .filter(|(pid, parent)| **parent == found[next] && !found.contains(pid));
        let children: Vec<u32> = children.map(|(pid, _)| *pid).collect();
        found.extend(children);
        next += 1;
    }
    found
}

fn cpu_of(pid: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten();
    tasks
        .flatten()
        .filter_map(|task| {
            let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
            let nanoseconds = text.split_whitespace().next()?.parse().ok()?;
            Some(Duration::from_nanos(nanoseconds))
        })
        .sum()
}

/// A process's own memory and its share of shared memory; if the kernel does not report these, its
/// resident memory.
fn octets_of(pid: u32) -> u64 {
    let read = |name| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    octets_after("Pss:", &read("smaps_rollup"))
        .or_else(|| octets_after("VmRSS:", &read("status")))
        .unwrap_or(0)
}

fn octets_after(name: &str, text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// Datagrams that sockets of this machine dropped for lack of buffer space since it was started.
pub(crate) fn datagrams_dropped() -> u64 {
    let text = fs::read_to_string("/proc/net/snmp").unwrap_or_default();
    receive_buffer_errors(&text).unwrap_or(0)
}

fn receive_buffer_errors(snmp: &str) -> Option<u64> {
    let mut lines = snmp.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, values) = (lines.next()?, lines.next()?);
    let mut pairs = names.split_whitespace().zip(values.split_whitespace());
    let (_, value) = pairs.find(|(name, _)| *name == "RcvbufErrors")?;
    value.parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_process_finds_itself() {
        let server = Server::new(&[std::process::id()]);
        let before = server.usage();
        assert!(before.resident_octets > 100_000, "{before:?}");
        let mut sum = 0_u64;
        while server.usage().cpu < before.cpu + Duration::from_millis(10) {
            sum = std::hint::black_box(sum + 1);
        }
        assert_eq!(Server::new(&[]).usage(), Usage::default());
    }

    #[test]
    fn descendants_are_found_through_generations() {
        let parents = BTreeMap::from([(2, 1), (3, 2), (4, 3), (5, 1), (6, 5)]);
        assert_eq!(descendants(&[2], &parents), [2, 3, 4]);
        assert_eq!(descendants(&[5, 3], &parents), [5, 3, 6, 4]);
        assert_eq!(parent_of("17 (a) b) c) S 4 17 0"), Some(4));
    }

    #[test]
    fn the_kernel_s_texts_are_read() {
        let snmp = "Ip: a b\nIp: 1 2\nUdp: InDatagrams RcvbufErrors\nUdp: 9 7\n";
        assert_eq!(receive_buffer_errors(snmp), Some(7));
        assert_eq!(receive_buffer_errors(""), None);
        let status = "Name: x\nVmRSS:\t  12 kB\n";
        assert_eq!(octets_after("VmRSS:", status), Some(12_288));
        assert_eq!(octets_after("Pss:", status), None);
    }
}
