//! Relays by SIP: our publications at other presence servers (RFC 3903). What the owner of a presentity tells, what
//! becomes of a publication, and what one shard reports on a relay.

use std::sync::Arc;

use crate::presence::elsewhere::PublishedElsewhere;
use crate::presence::policy::Privacy;
use crate::presence::{Aor, Composed};
use crate::shard::contract::connector::{ConnectorStatus, add_users};
use crate::shard::contract::ids::ClientId;
use crate::shard::contract::probe::UserStatus;
use crate::shard::contract::report::ShardReport;

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
    /// What the server has now and must be told to be otherwise after a restart; None if it is told that there is
    /// nothing, or has nothing.
    pub(crate) held: Option<PublishedElsewhere>,
    /// The server has nothing any more.
    pub(crate) is_over: bool,
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
    /// How many users the server has a state of.
    fn published(&self) -> usize {
        let users = self.users.iter();
        let published = users.filter(|(status, _)| *status == UserStatus::Published);
        published.map(|(_, count)| count).sum()
    }
}

impl ShardReport for SipRelayReport {
    fn name(&self) -> &str {
        &self.name
    }

    fn add_batch(&mut self, other: Self) {
        add_users(&mut self.users, other.users);
        self.waiting += other.waiting;
    }

    fn add(&mut self, other: Self) {
        let [one, two] = [&*self, &other].map(|it| (it.status, it.published()));
        self.status = ConnectorStatus::of_both(one, two);
        self.sent += other.sent;
        self.failures += other.failures;
        self.add_batch(other);
    }
}
