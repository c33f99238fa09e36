//! The state that all requests share.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use crate::changes::ChangeFeed;
use crate::directory::Directory;
use crate::http::attempts::Attempts;
use crate::http::change_counters::ChangeCounters;
use crate::http::connections::Connections;
use crate::http::directory::SharedDirectory;
use crate::http::engine::{Engine, Unavailable};
use crate::http::events::EventLog;
use crate::http::facts::Facts;
use crate::http::transport_counters::TransportCounters;
use crate::http::verified_passwords::VerifiedPasswords;
use crate::net::stream::handshakes::Handshakes;
use crate::presence::Aor;
use crate::presence::origin::Origin;
use crate::presence::source::StateUpdate;
use crate::relay::RelayReport;
use crate::shard::contract::connector::ConnectorReport;
use crate::shard::contract::report::ShardReport;
use crate::shard::{Command, Reply, ShardId};
use crate::sip::digest::Secret;
use crate::telemetry::durations::Durations;

/// The endpoint at which a connection arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// The TCP listeners.
    Public,
    /// The operator's Unix socket.
    Control,
}

impl Endpoint {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Public, Self::Control];
}

/// The state of the HTTP core.
pub(crate) struct Site<E> {
    pub(crate) public: Connections,
    pub(crate) control: Connections,
    pub(crate) engine: E,
    pub(crate) directory: SharedDirectory,
    /// Changes, from the shards.
    pub(crate) changes: ChangeFeed,
    /// Changes, for readers of events.
    pub(crate) events: Rc<EventLog>,
    pub(crate) facts: Facts,
    /// Compared with when there is no account, so that a wrong user costs what a wrong password
    /// costs (W:D1.8).
    pub(crate) decoy: Secret,
    pub(crate) attempts: Attempts,
    pub(crate) passwords: VerifiedPasswords,
    pub(crate) call_numbers: CallNumbers,
    pub(crate) handshakes: Handshakes,
    pub(crate) counters: TransportCounters,
    /// How long accepted requests of `call_state.htm` took, from their head to their response.
    pub(crate) call_state_durations: Durations,
    pub(crate) change_counters: ChangeCounters,
    /// Octets just read from a connection; borrowed only while they are read.
    pub(crate) scratch: RefCell<Box<[u8]>>,
}

impl<E> Site<E> {
    /// The connections of one endpoint.
    pub(crate) fn connections(&self, endpoint: Endpoint) -> &Connections {
        match endpoint {
            Endpoint::Public => &self.public,
            Endpoint::Control => &self.control,
        }
    }

    /// Closes connections without a request, and the others after their response. Whether none is
    /// left.
    pub(crate) fn close_connections(&self) -> bool {
        let closed = Endpoint::ALL.map(|endpoint| self.connections(endpoint).close_all());
        closed.iter().all(|is_closed| *is_closed)
    }

    /// The directory in force now.
    pub(crate) fn directory(&self) -> Arc<Directory> {
        self.directory.current()
    }

    /// Whether a domain trusts an address.
    pub(crate) fn trusts(&self, peer: IpAddr) -> bool {
        self.directory().trusts(peer)
    }
}

impl<E: Engine> Site<E> {
    /// Gives every shard the same command, one after the other. Returns their results in shard
    /// order and the shards that did not reply. `pick` extracts the result from a reply.
    pub(crate) async fn ask_all<T>(
        &self,
        command: impl Fn() -> Command,
        pick: impl Fn(Reply) -> Option<Vec<T>>,
    ) -> (Vec<T>, Vec<u16>) {
        let (mut found, mut silent) = (Vec::new(), Vec::new());
        for shard in 0..self.engine.shards() {
            let reply = self.engine.ask(ShardId(shard), command()).await;
            match reply.ok().and_then(&pick) {
                Some(of_shard) => found.extend(of_shard),
                None => silent.push(shard),
            }
        }
        (found, silent)
    }

    /// All connectors as all shards see them, in the order of the configuration, and the shards that did not
    /// reply.
    pub(crate) async fn connectors(&self) -> (Vec<ConnectorReport>, Vec<u16>) {
        let pick = |reply| match reply {
            Reply::Connectors(found, next) => Some((found, next)),
            _ => None,
        };
        let command = |from| Command::Connectors { from };
        let (mut merged, silent) = self.merged(command, pick).await;
        for report in self.engine.connectors() {
            if let Some(known) = merged.iter_mut().find(|known| known.name == report.name) {
                *known = report;
            }
        }
        (merged, silent)
    }

    /// All relays: those beside the shards, then those by SIP as all shards see them; and the shards that did not reply.
    pub(crate) async fn relays(&self) -> (Vec<RelayReport>, Vec<u16>) {
        let mut reports = self.engine.relays();
        if self.directory().sip_relays().is_empty() {
            return (reports, Vec::new());
        }
        let pick = |reply| match reply {
            Reply::SipRelays(found, next) => Some((found, next)),
            _ => None,
        };
        let command = |from| Command::SipRelays { from };
        let (merged, silent) = self.merged(command, pick).await;
        reports.extend(merged.into_iter().map(RelayReport::from));
        (reports, silent)
    }

    /// What all shards report, one report for each name, and the shards that did not reply. `command` asks for what
    /// stands from a place of a shard's table on; `pick` extracts that from a reply, and the next place.
    async fn merged<R: ShardReport>(
        &self,
        command: impl Fn(u32) -> Command,
        pick: impl Fn(Reply) -> Option<(Vec<R>, Option<u32>)>,
    ) -> (Vec<R>, Vec<u16>) {
        let (mut merged, mut silent) = (Vec::new(), Vec::new());
        for shard in 0..self.engine.shards() {
            let mut of_shard = Vec::new();
            let mut place = Some(0);
            while let Some(from) = place {
                let reply = self.engine.ask(ShardId(shard), command(from)).await;
                let Some((found, next)) = reply.ok().and_then(&pick) else {
                    silent.push(shard);
                    of_shard.clear();
                    break;
                };
                merge(&mut of_shard, found, R::add_batch);
                place = next;
            }
            merge(&mut merged, of_shard, R::add);
        }
        (merged, silent)
    }

    /// Takes a report to the shard that owns the address. `origin`: the system that it came from, if that is told of
    /// presentities as well.
    pub(crate) async fn update_state(
        &self,
        aor: Aor,
        update: StateUpdate,
        origin: Option<Origin>,
    ) -> Result<Reply, Unavailable> {
        let owner = ShardId::owner_of(&aor, self.engine.shards());
        let command = Command::UpdateState {
            aor,
            update,
            origin,
        };
        self.engine.ask(owner, command).await
    }
}

/// Items by the shard that owns the address of each, in their order.
pub(crate) fn by_owner<T>(
    items: impl IntoIterator<Item = T>,
    aor: impl Fn(&T) -> &Aor,
    shards: u16,
) -> impl Iterator<Item = (ShardId, Vec<T>)> {
    let mut by_owner: Vec<Vec<T>> = (0..shards).map(|_| Vec::new()).collect();
    for item in items {
        let owner = ShardId::owner_of(aor(&item), shards);
        if let Some(its) = by_owner.get_mut(usize::from(owner.0)) {
            its.push(item);
        }
    }
    (0..).map(ShardId).zip(by_owner)
}

/// Numbers the calls that are reported by HTTP, so that no two of them show watchers the same
/// dialog `id` (W:B3.5). The first number is random: a dialog that outlives the process keeps its
/// id, and the next process must not give it to another call.
#[derive(Debug)]
pub(crate) struct CallNumbers(Cell<u64>);

impl CallNumbers {
    /// From `first` on.
    pub(crate) fn new(first: u64) -> Self {
        Self(Cell::new(first))
    }

    /// The id of one more call: `call_state-1f`. `source` says who reports it.
    pub(crate) fn next(&self, source: &str) -> Box<str> {
        let number = self.0.get();
        self.0.set(number.wrapping_add(1));
        format!("{source}-{number:x}").into()
    }
}

/// Adds reports to those of the same name.
fn merge<R: ShardReport>(known: &mut Vec<R>, found: Vec<R>, add: impl Fn(&mut R, R)) {
    for report in found {
        match known.iter_mut().find(|one| one.name() == report.name()) {
            Some(one) => add(one, report),
            None => known.push(report),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_ids_differ_between_processes_too() {
        let before = CallNumbers::new(0xffff_ffff_ffff_fffe);
        let ids = ["a", "a", "b"].map(|source| before.next(source));
        let [first, second, third] = ids.each_ref().map(|id| &**id);
        assert_eq!(
            [first, second, third],
            ["a-fffffffffffffffe", "a-ffffffffffffffff", "b-0"]
        );
        let after = CallNumbers::new(0x1234);
        assert!((0..3).all(|_| !ids.contains(&after.next("a"))));
    }
}
