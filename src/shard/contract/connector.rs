//! Connectors: our subscriptions to PBXs and presence servers. What a driver finds out for them, what one
//! shard reports on them, and what the operator orders.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::presence::Aor;
use crate::presence::event::Package;
use crate::presence::presentity::UpstreamNews;
use crate::shard::contract::ids::LinkId;
use crate::shard::contract::probe::{ServerStatus, UserStatus};
use crate::shard::contract::report::ShardReport;
use crate::sip::location::Question;

/// A server to be found. The driver reports the flows to it, best first, once, by
/// [`Input::Routed`](crate::shard::Input::Routed): each from the listener of that transport that reaches the
/// address. A flow of a stream names no connection: the engine has it opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// By which they are reported.
    pub id: LinkId,
    /// The server: a name, or an IP address in its place.
    pub question: Question,
}

/// To the owner of a presentity: what an upstream says about it.
#[derive(Debug)]
pub struct UpstreamReport {
    /// The presentity.
    pub aor: Aor,
    /// The connector.
    pub connector: Arc<str>,
    /// The package of the subscription.
    pub package: Package,
    /// What it says.
    pub news: UpstreamNews,
    /// How long the subscription lasts from now on.
    pub expires: Duration,
    /// Whether a refresh asked for it, so that it should be what is known already.
    pub is_audit: bool,
    /// Whether the connector has news in one package at a time: what it said in another is gone.
    pub is_sole: bool,
}

/// A refresh found another state than the one that was held: a NOTIFY was lost, or the state changed at that
/// moment.
#[derive(Clone, Debug)]
pub struct UpstreamDifference {
    /// The connector.
    pub connector: Arc<str>,
    /// The user.
    pub aor: Aor,
}

/// Differences that one turn puts into the log; further ones are only counted.
pub const DIFFERENCES_LOGGED_MAX: usize = 16;

/// What the operator orders a connector to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectorOrder {
    /// To run, if it was stopped.
    Start,
    /// To end its subscriptions, until it is started, or changed by a reload.
    Stop,
    /// To begin all its subscriptions anew.
    Restart,
}

/// The status of a connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectorStatus {
    /// The configuration names no address.
    NotConfigured,
    /// The configuration or the operator has it out of use.
    Disabled,
    /// It subscribes to no user yet.
    NotRequested,
    /// The server was asked, and did not answer yet.
    Requesting,
    /// What its answers show.
    Known(ServerStatus),
}

impl ConnectorStatus {
    /// All, the one first that counts if shards differ.
    pub const ALL: [Self; 9] = [
        Self::NotConfigured,
        Self::Disabled,
        Self::Known(ServerStatus::CredentialsNotFound),
        Self::Known(ServerStatus::ConnectionError),
        Self::Known(ServerStatus::ListsNotSupported),
        Self::Known(ServerStatus::Forbidden),
        Self::Known(ServerStatus::UpAndRunning),
        Self::Requesting,
        Self::NotRequested,
    ];

    /// What counts if shards differ, each with the number of its users that the server serves. A server that serves
    /// the users of one shard does not refuse us, although it refuses all users of another.
    #[must_use]
    pub fn of_both(one: (Self, usize), other: (Self, usize)) -> Self {
        let up = Self::Known(ServerStatus::UpAndRunning);
        let both = [one.0, other.0];
        if [one, other]
            .into_iter()
            .any(|(status, served)| status == up && served > 0)
            && both.contains(&Self::Known(ServerStatus::Forbidden))
        {
            return up;
        }
        let mut ranked = Self::ALL.into_iter();
        let first = ranked.find(|status| both.contains(status));
        first.unwrap_or(one.0)
    }

    /// The words for the operator (W:D3.10).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotConfigured => "Server Not configured",
            Self::Disabled => "Disabled",
            Self::NotRequested => UserStatus::NotRequested.as_str(),
            Self::Requesting => UserStatus::Requesting.as_str(),
            Self::Known(status) => status.as_str(),
        }
    }
}

/// A connector, as one shard sees it, or all shards together.
#[derive(Clone, Debug)]
pub struct ConnectorReport {
    /// Its name.
    pub name: Arc<str>,
    /// The domain whose users it reports on.
    pub domain: Box<str>,
    /// Its status.
    pub status: ConnectorStatus,
    /// Time since the status changed; None if it is only configured.
    pub age: Option<Duration>,
    /// Where its server was found; None before.
    pub peer: Option<SocketAddr>,
    /// Time until the next attempt, while its server cannot be used.
    pub next_attempt: Option<Duration>,
    /// Users that it subscribes to, by their status.
    pub users: Vec<(UserStatus, usize)>,
    /// Subscriptions that the server has.
    pub subscriptions: usize,
    /// What it counted.
    pub counts: ConnectorCounts,
}

/// What a connector counted since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectorCounts {
    /// NOTIFYs that were taken.
    pub notifies: u64,
    /// PUBLISHes of a relay that the server took.
    pub published: u64,
    /// Requests that brought no success, without challenges.
    pub failures: u64,
}

/// Adds numbers of users by their status.
pub(crate) fn add_users(
    totals: &mut Vec<(UserStatus, usize)>,
    more: impl IntoIterator<Item = (UserStatus, usize)>,
) {
    for (status, count) in more {
        match totals.iter_mut().find(|(known, _)| *known == status) {
            Some((_, total)) => *total += count,
            None => totals.push((status, count)),
        }
    }
}

impl ShardReport for ConnectorReport {
    fn name(&self) -> &str {
        &self.name
    }

    fn add_batch(&mut self, other: Self) {
        add_users(&mut self.users, other.users);
        self.subscriptions += other.subscriptions;
    }

    fn add(&mut self, other: Self) {
        let [one, two] = [&*self, &other].map(|it| (it.status, it.subscriptions));
        let status = ConnectorStatus::of_both(one, two);
        if status != self.status {
            (self.status, self.age) = (status, other.age);
            self.next_attempt = other.next_attempt;
        }
        self.peer = self.peer.or(other.peer);
        self.counts.notifies += other.counts.notifies;
        self.counts.published += other.counts.published;
        self.counts.failures += other.counts.failures;
        self.add_batch(other);
    }
}

/// A user that a connector subscribes to.
#[derive(Clone, Debug)]
pub struct ConnectorUserReport {
    /// The user.
    pub aor: Aor,
    /// The URI there.
    pub target: Box<str>,
    /// The package of the subscription.
    pub package: Package,
    /// The status.
    pub status: UserStatus,
    /// Time until the subscription ends unless it is refreshed; None without one.
    pub remaining: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_serves_another_shard_does_not_refuse_us() {
        let [up, forbidden, unreached] = [
            ServerStatus::UpAndRunning,
            ServerStatus::Forbidden,
            ServerStatus::ConnectionError,
        ]
        .map(ConnectorStatus::Known);
        let cases = [
            ((forbidden, 0), (forbidden, 0), forbidden),
            ((forbidden, 0), (up, 1), up),
            // It answered before, and refused the last user for good.
            ((forbidden, 0), (up, 0), forbidden),
            // Subscriptions from before it refused us.
            ((forbidden, 2), (up, 0), forbidden),
            ((forbidden, 0), (unreached, 1), unreached),
            ((up, 1), (unreached, 0), unreached),
            ((up, 0), (ConnectorStatus::NotRequested, 0), up),
        ];
        for (one, other, both) in cases {
            assert_eq!(ConnectorStatus::of_both(one, other), both);
            assert_eq!(ConnectorStatus::of_both(other, one), both);
        }
    }
}
