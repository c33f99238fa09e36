//! What a client is for, and where its events go: a probe, whose events an operator reads; a connector, whose news go
//! to the owner of the presentity; or a relay, whose publications the owner of the presentity remembers.

use std::sync::Arc;

use crate::presence::Aor;
use crate::presence::event::Package;
use crate::shard::contract::ids::LinkId;
use crate::shard::contract::probe::{ProbeEvent, ProbeId, ServerStatus, UserStatus};
use crate::shard::contract::turn::Turn;
use crate::shard::uac::log::Log;
use crate::shard::uac::roster::Roster;

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
    /// Failures and refusals since the server last said or took something; each kind has pauses of its own.
    pub(super) failures: u32,
    pub(super) refusals: u32,
    /// Its next request waits for the link.
    pub(super) is_held: bool,
    /// The link has set the time of its next request.
    pub(super) has_slot: bool,
}

/// A subscription of a connector. It is never over by itself: what fails is tried again.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) link: LinkUse,
    pub(super) connector: Arc<str>,
    pub(super) covers: Coverage,
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
    pub(super) status: UserStatus,
}

impl LinkUse {
    /// A client of that link that has sent nothing yet.
    pub(super) const fn new(id: LinkId) -> Self {
        Self {
            id,
            failures: 0,
            refusals: 0,
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
            Self::Upstream(upstream) => upstream.covers.set_status(status),
            Self::Relay(relayed) => relayed.status = status,
        }
    }

    /// Whether an operator reads its events.
    pub(super) const fn is_probe(&self) -> bool {
        matches!(self, Self::Probe(..))
    }

    /// What is known of its user; None for a probe or a list.
    pub(super) fn status(&self) -> Option<UserStatus> {
        match self {
            Self::Probe(..) => None,
            Self::Relay(relayed) => Some(relayed.status),
            Self::Upstream(upstream) => match &upstream.covers {
                Coverage::User(_, status) => Some(*status),
                Coverage::Roster(_) => None,
            },
        }
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

    /// The statuses of the users of a connector or relay, counted; none for a probe.
    pub(super) fn statuses(&self) -> Vec<(UserStatus, usize)> {
        match self {
            Self::Probe(..) => Vec::new(),
            Self::Upstream(upstream) => upstream.covers.statuses(),
            Self::Relay(relayed) => vec![(relayed.status, 1)],
        }
    }

    /// The subscription of a connector; None for others.
    pub(super) const fn upstream(&self) -> Option<&Upstream> {
        match self {
            Self::Upstream(upstream) => Some(upstream),
            Self::Probe(..) | Self::Relay(_) => None,
        }
    }

    /// The subscription of a connector, to be changed.
    pub(super) const fn upstream_mut(&mut self) -> Option<&mut Upstream> {
        match self {
            Self::Upstream(upstream) => Some(upstream),
            Self::Probe(..) | Self::Relay(_) => None,
        }
    }
}

/// What a subscription of a connector is about.
#[derive(Debug)]
pub(super) enum Coverage {
    /// A user here, and its status.
    User(Aor, UserStatus),
    /// Many users.
    Roster(Box<Roster>),
}

impl Coverage {
    fn statuses(&self) -> Vec<(UserStatus, usize)> {
        match self {
            Self::User(_, status) => vec![(*status, 1)],
            Self::Roster(roster) => roster.statuses(),
        }
    }

    pub(super) fn set_status(&mut self, status: UserStatus) {
        match self {
            Self::User(_, known) => *known = status,
            Self::Roster(roster) => roster.set_status(status),
        }
    }
}

impl Upstream {
    /// The users, if it is about many.
    pub(super) fn roster(&self) -> Option<&Roster> {
        match &self.covers {
            Coverage::User(..) => None,
            Coverage::Roster(roster) => Some(roster),
        }
    }

    /// The users, to be changed.
    pub(super) fn roster_mut(&mut self) -> Option<&mut Roster> {
        match &mut self.covers {
            Coverage::User(..) => None,
            Coverage::Roster(roster) => Some(roster),
        }
    }

    /// The package to try after a 489; None if none is left.
    pub(super) fn next_package(&mut self) -> Option<Package> {
        let package = self.further.get(self.tried).copied();
        self.tried += usize::from(package.is_some());
        package
    }
}
