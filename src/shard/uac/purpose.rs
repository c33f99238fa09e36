//! What a client is for, and where its events go: a probe, whose events an operator reads; a connector, whose news go
//! to the owner of the presentity; or a relay, whose publications the owner of the presentity remembers.

use std::sync::Arc;

use crate::presence::Aor;
use crate::presence::event::Package;
use crate::shard::contract::ids::{ClientId, LinkId};
use crate::shard::contract::probe::{ProbeEvent, ProbeId, ServerStatus, UserStatus};
use crate::shard::contract::turn::Turn;
use crate::shard::uac::log::Log;

/// What a client is for.
#[derive(Debug)]
pub(super) enum Purpose {
    Probe(ProbeId, Log),
    Upstream(Upstream),
    Relay(Relayed),
}

/// What a client knows of the link that it uses.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinkUse {
    pub(super) id: LinkId,
    /// Failures in a row.
    pub(super) failures: u32,
    /// Its next request waits for the link.
    pub(super) is_held: bool,
    /// The link has set the time of its next request.
    pub(super) has_slot: bool,
}

/// A user that a connector subscribes to. It is never over by itself: what fails is tried again.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) link: LinkUse,
    pub(super) connector: Arc<str>,
    /// The user here.
    pub(super) aor: Aor,
    pub(super) status: UserStatus,
    /// The packages that were not tried yet, after the one in use.
    pub(super) further: Arc<[Package]>,
    /// How many of these were tried.
    pub(super) tried: usize,
}

/// A user whose state a relay publishes. It is over when there is nothing to be published any more.
#[derive(Debug)]
pub(super) struct Relayed {
    pub(super) link: LinkUse,
    pub(super) relay: Arc<str>,
    /// The user here.
    pub(super) aor: Aor,
    /// Its own place in the table.
    pub(super) client: ClientId,
    pub(super) status: UserStatus,
}

impl LinkUse {
    /// A client of that link that has sent nothing yet.
    pub(super) const fn new(id: LinkId) -> Self {
        Self {
            id,
            failures: 0,
            is_held: false,
            has_slot: false,
        }
    }
}

impl Purpose {
    /// Records an event for an operator who reads it.
    pub(super) fn add(&mut self, event: ProbeEvent, turn: &mut Turn<'_>) {
        if let Self::Probe(_, log) = self {
            log.add(event, turn);
        }
    }

    /// Records the server's status. That of a connector or relay is the link's.
    pub(super) fn server(&mut self, status: ServerStatus, turn: &mut Turn<'_>) {
        if let Self::Probe(_, log) = self {
            log.server(status, turn);
        }
    }

    /// Records the user's status. A failure lasts until the server says something else.
    pub(super) fn user(&mut self, status: UserStatus, turn: &mut Turn<'_>) {
        match self {
            Self::Probe(_, log) => log.user(status, turn),
            Self::Upstream(_) | Self::Relay(_) if status == UserStatus::Requesting => {}
            Self::Upstream(upstream) => upstream.status = status,
            Self::Relay(relayed) => relayed.status = status,
        }
    }

    /// Whether an operator reads its events.
    pub(super) const fn is_probe(&self) -> bool {
        matches!(self, Self::Probe(..))
    }

    /// The link that it uses; None for a probe.
    pub(super) const fn link(&self) -> Option<&LinkUse> {
        match self {
            Self::Probe(..) => None,
            Self::Upstream(upstream) => Some(&upstream.link),
            Self::Relay(relayed) => Some(&relayed.link),
        }
    }

    /// The link that it uses, to be changed.
    pub(super) const fn link_mut(&mut self) -> Option<&mut LinkUse> {
        match self {
            Self::Probe(..) => None,
            Self::Upstream(upstream) => Some(&mut upstream.link),
            Self::Relay(relayed) => Some(&mut relayed.link),
        }
    }

    /// The status of the user of a connector or relay; None for a probe.
    pub(super) const fn status(&self) -> Option<UserStatus> {
        match self {
            Self::Probe(..) => None,
            Self::Upstream(upstream) => Some(upstream.status),
            Self::Relay(relayed) => Some(relayed.status),
        }
    }

    /// The user of a connector, to be changed.
    pub(super) const fn upstream_mut(&mut self) -> Option<&mut Upstream> {
        match self {
            Self::Upstream(upstream) => Some(upstream),
            Self::Probe(..) | Self::Relay(_) => None,
        }
    }
}

impl Upstream {
    /// The package to try after a 489; None if none is left.
    pub(super) fn next_package(&mut self) -> Option<Package> {
        let package = self.further.get(self.tried).copied();
        self.tried += usize::from(package.is_some());
        package
    }
}
