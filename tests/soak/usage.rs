//! What the server uses and holds, by `/metrics` and by the kernel.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;

use crate::daemon::Daemon;
use crate::phones::Held;
use crate::site::get;
use crate::states::users;

#[derive(Clone, Debug)]
pub(crate) struct Usage {
    metrics: HashMap<String, u64>,
    /// Resident octets.
    pub(crate) memory: u64,
}

/// What counts up and down with the phones.
const GAUGES: [&str; 8] = [
    "subscriptions",
    "presentities",
    "connections_open",
    "notifies_outstanding",
    "notifies_queued",
    "timers",
    "records_waiting",
    "open_files",
];

impl Usage {
    pub(crate) fn read(http: SocketAddr, daemon: &Daemon<'_>) -> Self {
        let text = get(http, "/metrics").unwrap();
        let value = |line: &str| {
            let (name, value) = line.strip_prefix("lamplighter_")?.split_once(' ')?;
            Some((name.to_owned(), value.trim().parse().ok()?))
        };
        let mut metrics: HashMap<_, _> = text.lines().filter_map(value).collect();
        let memory = text
            .lines()
            .find_map(|line| line.strip_prefix("process_resident_memory_bytes "));
        let memory = memory.unwrap().trim().parse().unwrap();
        metrics.insert("open_files".to_owned(), daemon.open_files());
        Self { metrics, memory }
    }

    fn value(&self, name: &str) -> u64 {
        self.metrics[name]
    }

    /// Whether the server holds what the phones hold, and is busy with nothing.
    pub(crate) fn is_of(&self, held: Held) -> bool {
        self.value("subscriptions") == held.subscriptions
            && self.value("connections_open") == held.connections
            && self.value("notifies_outstanding") == 0
            && self.value("notifies_queued") == 0
            && self.value("records_waiting") == 0
    }

    /// Whether everything has gone that came since then, but for the users that the server knows by
    /// their past calls: it keeps them until it needs their memory.
    pub(crate) fn is_as_before(&self, before: &Self) -> bool {
        let value = |name: &str, usage: &Self| match name {
            "presentities" => usage.value(name).saturating_sub(users().count() as u64),
            _ => usage.value(name),
        };
        let mut gauges = GAUGES.iter();
        gauges.all(|name| value(name, self) <= value(name, before))
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in GAUGES {
            write!(f, "{} {name}, ", self.value(name))?;
        }
        write!(f, "{} octets of memory", self.memory)
    }
}
