//! Who watches, as the rules see it (RFC 3325), and what they make of it.
//!
//! The watcher URI of a dialog is fixed for its lifetime: From, or the identity that replaces it
//! (`sender` has the table).

use crate::directory::decide::WatcherIdentity;
use crate::directory::peer_systems::PeerSystemId;
use crate::directory::{Directory, Domain, Peer};
use crate::presence::event::Package;
use crate::presence::origin::Origin;
use crate::presence::policy::Decision;
use crate::presence::{Aor, DataSubject};
use crate::shard::contract::ids::{DialogId, SubscriptionId};
use crate::shard::contract::turn::Turn;
use crate::shard::request::headers::any_address_of_record;
use crate::shard::subscription::table::Table;

/// A watcher of a presentity of one domain.
#[derive(Debug)]
pub(crate) struct Watcher {
    aor: Option<Aor>,
    is_trusted_peer: bool,
    is_authenticated: bool,
}

impl Watcher {
    /// Who that URI is, of a request of that peer, to a domain of ours.
    pub(crate) fn new(uri: &[u8], peer: Peer<'_>, domain: &str, directory: &Directory) -> Self {
        let aor = any_address_of_record(uri, directory);
        Self::of(aor, peer, directory.domain(domain))
    }

    /// A watcher whose URI names that address of record; None if it names none.
    pub(crate) fn of(aor: Option<Aor>, peer: Peer<'_>, domain: Option<&Domain>) -> Self {
        let is_ours = aor
            .as_ref()
            .is_some_and(|aor| domain.is_some_and(|domain| domain.name == aor.domain()));
        let is_trusted_peer = domain.is_some_and(|domain| domain.trusts(peer));
        Self {
            is_trusted_peer,
            // A user authenticated in another domain is not authenticated in this one.
            is_authenticated: is_ours || is_trusted_peer,
            aor,
        }
    }

    /// Its address of record.
    pub(crate) fn aor(&self) -> Option<&Aor> {
        self.aor.as_ref()
    }

    /// The form the directory takes.
    pub(crate) fn identity(&self) -> WatcherIdentity<'_> {
        WatcherIdentity {
            aor: self.aor.as_ref(),
            is_trusted_peer: self.is_trusted_peer,
            is_authenticated: self.is_authenticated,
        }
    }

    /// The display name of its account.
    pub(crate) fn display(&self, directory: &Directory) -> Option<Box<str>> {
        directory.rules_of(self.aor.as_ref()?).display.clone()
    }

    /// Whether this is the presentity itself.
    pub(crate) fn is(&self, aor: &Aor) -> bool {
        self.aor.as_ref() == Some(aor)
    }

    /// Whether this watcher is erased.
    pub(crate) fn is_of(&self, erased: &DataSubject) -> bool {
        self.aor.as_ref().is_some_and(|aor| erased.has(aor))
    }

    /// Whether this watcher may act for any user of a domain: a trusted peer or a feeder account.
    pub(crate) fn is_feeder(&self, domain: &str, directory: &Directory) -> bool {
        self.is_trusted_peer || directory.is_feeder(self.aor.as_ref(), domain)
    }

    /// Whether this watcher may subscribe to the whole domain (W:D4.9).
    pub(crate) fn may_any_dn(&self, domain: &str, directory: &Directory) -> bool {
        self.aor
            .as_ref()
            .is_some_and(|aor| directory.may_any_dn(aor, domain))
    }
}

impl Table {
    /// The system that the watcher of a dialog is, if it is one that reports here as well: by its own address of
    /// record, or by its IP address.
    pub(crate) fn system_of(&self, id: DialogId, turn: &Turn<'_>) -> Option<PeerSystemId> {
        let directory = turn.directory;
        if !directory.has_peer_systems() {
            return None;
        }
        let entry = self.dialog(id)?;
        let aor = any_address_of_record(entry.watcher_uri(), directory);
        let by_aor = aor.and_then(|aor| directory.peer_system_from(Origin::of(aor.as_str())));
        by_aor.or_else(|| {
            let flow = self.flow_of(entry)?;
            directory.peer_system_from(Origin::of_address(flow.peer.ip()))
        })
    }

    /// The watcher of a subscription.
    pub(crate) fn watcher_of(&self, id: SubscriptionId, turn: &Turn<'_>) -> Option<Watcher> {
        let subscription = self.subscription(id)?;
        let entry = self.dialog(subscription.dialog())?;
        let domain = self.aor_of(subscription)?.domain();
        let peer = Peer {
            address: self.flow_of(entry)?.peer.ip(),
            voucher: entry.voucher(),
        };
        Some(Watcher::new(
            entry.watcher_uri(),
            peer,
            domain,
            turn.directory,
        ))
    }
}

/// The policy decision for a watcher at this time.
pub(crate) fn decide(watcher: &Watcher, aor: &Aor, package: Package, turn: &Turn<'_>) -> Decision {
    turn.directory
        .decide(watcher.identity(), aor, package, turn.wall_clock())
}
