//! Relays by SIP: our publications at other presence servers (RFC 3903). What the owner of a presentity tells, what
//! becomes of a publication, and what one shard reports on a relay.

use std::sync::Arc;

use crate::presence::elsewhere::PublishedElsewhere;
use crate::presence::policy::Privacy;
use crate::presence::{Aor, Composed};
use crate::shard::contract::connector::{ConnectorStatus, add_users};
use crate::shard::contract::ids::ClientId;
use crate::shard::contract::probe::UserStatus;

/// From the owner of a presentity: its state, for a relay.
#[derive(Debug)]
pub struct RelayedState {
    /// The relay.
    pub(crate) relay: Arc<str>,
    /// The presentity.
    pub(crate) aor: Aor,
    /// The state that the relay's server is told.
    pub(crate) composed: Arc<Composed>,
    /// How much of its calls.
    pub(crate) privacy: Privacy,
    /// The publication that the server has already.
    pub(crate) held: Option<PublishedElsewhere>,
}

/// A presentity, as its relays are to have it.
#[derive(Debug)]
pub(crate) struct RelayedPresentity {
    /// Which it is.
    pub(crate) aor: Aor,
    /// Its state, for each relay that is told of it.
    pub(crate) states: Vec<RelayedState>,
}

/// To the relay and the owner of a presentity: what became of a publication.
#[derive(Debug)]
pub struct RelayOutcome {
    /// The relay.
    pub(crate) relay: Arc<str>,
    /// The presentity.
    pub(crate) aor: Aor,
    /// By which the shard knows the publication.
    pub(crate) client: ClientId,
    /// What the server has now; None if the publication is over.
    pub(crate) held: Option<PublishedElsewhere>,
}

/// A relay by SIP, as one shard sees it, or all shards together.
#[derive(Clone, Debug)]
pub struct SipRelayReport {
    /// Its name.
    pub name: Arc<str>,
    /// What is known of its server.
    pub status: ConnectorStatus,
    /// The users that it publishes, by their status.
    pub users: Vec<(UserStatus, usize)>,
    /// Of these, how many have a newer state than the server has.
    pub waiting: usize,
    /// States that the server took since the relay was started.
    pub sent: u64,
    /// Requests that brought no success, without challenges.
    pub failures: u64,
}

impl SipRelayReport {
    /// Adds the users of a later report of the same shard: those at other places.
    pub fn add_users(&mut self, other: Self) {
        add_users(&mut self.users, other.users);
        self.waiting += other.waiting;
    }

    /// Adds what another shard reports.
    pub fn add(&mut self, other: Self) {
        self.status = self.status.or_first(other.status);
        self.sent += other.sent;
        self.failures += other.failures;
        self.add_users(other);
    }
}
