//! Mail: the messages between shards.
//!
//! The shard that holds a subscription and the shard that owns its presentity exchange mail only,
//! also when they are the same shard. "Owner" below is the shard that owns the presentity.
//! Mail is reliable and ordered between any two shards.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::directory::peer_systems::PeerSystemId;
use crate::presence::event::{Package, WatcherEvent, WatcherInfo};
use crate::presence::presentity::{Publication, PublicationLimits, PublishRefused, Published};
use crate::presence::registration::{Binding, BindingChange, BindingRefused, Sequence};
use crate::presence::source::{EntityTag, StateUpdate};
use crate::presence::{Aor, Composed};
use crate::shard::contract::certificates::CertificateNames;
use crate::shard::contract::connector::UpstreamReport;
use crate::shard::contract::flow::{Address, ConnectionId, Flow};
use crate::shard::contract::ids::{Beginning, WatchedId};
use crate::shard::contract::relay::{RelayOutcome, RelayedState};

/// Whether watchers of a presentity may know its state already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// It changed.
    Changed,
    /// A shard asked. Watchers of an earlier process may not have been notified of it.
    Doubtful,
    /// A shard asked. Watchers of an earlier process were notified of it.
    Known,
}

/// A presentity that a shard watches, as its owner names it in mail.
#[derive(Clone, Debug)]
pub struct NamedWatch {
    /// The presentity.
    pub aor: Aor,
    /// The peer system that the watchers are: it is told the state without its own reports.
    pub system: Option<PeerSystemId>,
    /// The shard's key of it, as of its last [`Mail::Watch`]. The shard may have given that key to
    /// another presentity since.
    pub likely: WatchedId,
}

/// One message between shards.
#[derive(Debug)]
pub enum Mail {
    /// A SIP message for the receiver: its To-tag or branch names that shard. An initial request of
    /// a flow with very many subscriptions goes to the shard that its Call-ID selects.
    Misdirected {
        /// The flow it arrived on.
        flow: Flow,
        /// When it arrived there.
        at: Instant,
        /// The message.
        bytes: Box<[u8]>,
        /// The names in the certificate of the peer.
        certified: Option<Arc<CertificateNames>>,
    },
    /// To every shard: the dialog of that SUBSCRIBE came back after a restart, and is held by
    /// `holder`. A retransmission of the SUBSCRIBE may arrive on any shard.
    Begun {
        /// The SUBSCRIBE.
        beginning: Beginning,
        /// The shard of the dialog.
        holder: Address,
    },
    /// A SIP message to send on a stream of the receiver. The sender holds a dialog on that stream.
    Transmit {
        /// The stream.
        flow: Flow,
        /// The message.
        bytes: Box<[u8]>,
    },
    /// Keeps a stream of the receiver open until that time, even when idle: a dialog or a contact of
    /// the sender depends on it.
    Keep(ConnectionId, Instant),
    /// A stream of the sender ended.
    Closed(ConnectionId),
    /// To the owner: send the presentity's state to `watcher` now and after every change.
    Watch {
        /// The shard that has watchers.
        watcher: Address,
        /// The presentity, as every state names it.
        watched: NamedWatch,
    },
    /// To the owner: `watcher` has no watchers of the presentity any more.
    Unwatch {
        /// The presentity.
        aor: Aor,
        /// The shard that had watchers.
        watcher: Address,
        /// As in the [`Mail::Watch`] that it takes back.
        system: Option<PeerSystemId>,
    },
    /// From the owner: the presentity's composed state.
    State {
        /// The presentity.
        watched: NamedWatch,
        /// The composed state.
        composed: Arc<Composed>,
        /// Whether watchers may know it already.
        news: News,
    },
    /// To every shard: announce to `watcher` which presentities of a domain have state, now and
    /// after every change. A subscription to `any-dn` needs it.
    WatchDomain {
        /// The domain.
        domain: Box<str>,
        /// The shard that has the subscription.
        watcher: Address,
        /// Number of this watch; the announcements repeat it.
        watch: WatchNumber,
    },
    /// To every shard: `watcher` no longer watches the domain.
    UnwatchDomain {
        /// The domain.
        domain: Box<str>,
        /// The shard that had the subscription.
        watcher: Address,
    },
    /// From an owner: presentities of a domain that appeared or disappeared.
    Roster {
        /// The domain.
        domain: Box<str>,
        /// The presentities.
        aors: Vec<Aor>,
        /// The watch that it concerns, and whether the presentities appeared or disappeared.
        announcement: Announcement,
    },
    /// To every shard: report the watchers of a presentity to `follower` now and after every change
    /// (watcher information, RFC 3857).
    FollowWatchers {
        /// The presentity.
        aor: Aor,
        /// The package whose subscriptions are reported.
        package: Package,
        /// The shard that has a watcher-information subscription.
        follower: Address,
    },
    /// To every shard: `follower` no longer needs the watchers of the presentity.
    UnfollowWatchers {
        /// The presentity.
        aor: Aor,
        /// The package.
        package: Package,
        /// The shard that had a watcher-information subscription.
        follower: Address,
    },
    /// To a follower: the watchers that the sender holds.
    WatchersHere(Box<WatchersHere>),
    /// To the owner: a phone seizes an appearance of a shared line (W:C10.2).
    Seize {
        /// The line.
        aor: Aor,
        /// The appearance, from 1.
        index: u8,
        /// The sender, and the number of its suspended request that waits for the outcome.
        reply_to: (Address, u64),
    },
    /// From the owner: the outcome of a seizure.
    SeizeOutcome {
        /// The number of the suspended request.
        request: u64,
        /// The claim, or why there is none.
        outcome: Result<Claim, SeizeRefused>,
    },
    /// To the owner: a phone released an appearance.
    Release(Claim),
    /// To the owner: a state update that arrived on another shard.
    UpdateState {
        /// The presentity.
        aor: Aor,
        /// The update.
        update: Box<StateUpdate>,
        /// The sender, and the number of its suspended request that waits for the outcome.
        reply_to: (Address, u64),
    },
    /// From the owner: the outcome of a state update.
    UpdateOutcome {
        /// The number of the suspended request.
        request: u64,
        /// Whether the owner had room for it.
        is_taken: bool,
    },
    /// To the owner: a feature that a phone switched by SUBSCRIBE (`as-feature-event`).
    Switch {
        /// The presentity.
        aor: Aor,
        /// The update.
        update: Box<StateUpdate>,
        /// The sender, and its subscription that waits for [`Mail::Switched`].
        reply_to: (Address, u32),
    },
    /// From the owner: the feature is switched, and the [`Mail::State`] with it was sent before.
    Switched {
        /// The presentity.
        aor: Aor,
        /// The subscription that waits.
        subscription: u32,
    },
    /// To the owner: a REGISTER that arrived on another shard.
    Register(Box<ForwardedRegister>),
    /// From the owner: the outcome of a REGISTER.
    RegisterOutcome {
        /// The number of the suspended request.
        request: u64,
        /// The contacts, or why they were not changed.
        outcome: Result<Registered, BindingRefused>,
    },
    /// To the owner: a PUBLISH that arrived on another shard.
    Publish(Box<ForwardedPublish>),
    /// To the owner: what a connector's server says about a presentity.
    Upstream(Box<UpstreamReport>),
    /// From the owner of a presentity to its relays, in the same shard: its state changed.
    Relay(Box<RelayedState>),
    /// From a publication of ours to its relay and to the owner, in the same shard: what became of it.
    Relayed(Box<RelayOutcome>),
    /// From the owner: the outcome of a PUBLISH.
    PublishOutcome {
        /// The number of the suspended request.
        request: u64,
        /// The entity tag and expiry, or why the PUBLISH was refused.
        outcome: Result<Published, PublishRefused>,
    },
}

/// The watchers of one presentity that one shard holds.
#[derive(Debug)]
pub struct WatchersHere {
    /// The presentity.
    pub aor: Aor,
    /// The package of the watchers' subscriptions.
    pub package: Package,
    /// The shard that holds them.
    pub holder: Address,
    /// All watchers, ordered by id.
    pub watchers: Vec<WatcherInfo>,
    /// Watchers of earlier reports that ended: id and reason.
    pub ended: Vec<(u64, WatcherEvent)>,
}

/// A seized appearance of a shared line (W:C10.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The line.
    pub aor: Aor,
    /// The appearance, from 1.
    pub index: u8,
    /// Unique among the claims of the owner.
    pub number: u64,
}

/// Why an appearance cannot be seized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeizeRefused {
    /// The appearance is in use.
    Taken,
    /// The owner's table of presentities is full.
    TooMany,
}

/// A REGISTER forwarded to the owner of the address of record.
#[derive(Debug)]
pub struct ForwardedRegister {
    /// The address of record in To.
    pub aor: Aor,
    /// The change of the contacts.
    pub change: BindingChange,
    /// Call-ID and CSeq, which order the REGISTERs of one phone (RFC 3261 §10.3, step 7).
    pub sequence: Sequence,
    /// The sender, and the number of its suspended request that waits for the outcome.
    pub reply_to: (Address, u64),
}

/// The contents of the 200 to a REGISTER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// All contacts of the address of record.
    pub bindings: Vec<Binding>,
    /// The longest expiry granted to this request; zero when it added no contact.
    pub expires: Duration,
}

/// A PUBLISH forwarded to the owner of the presentity.
#[derive(Debug)]
pub struct ForwardedPublish {
    /// The presentity.
    pub aor: Aor,
    /// The parsed request.
    pub publication: Publication,
    /// The entity tag to assign on success.
    pub fresh: EntityTag,
    /// The limits of the domain.
    pub limits: PublicationLimits,
    /// The sender, and the number of its suspended request that waits for the outcome.
    pub reply_to: (Address, u64),
}

/// Number of a shard's watch of a domain. A shard that ends a watch and begins another ignores late
/// announcements to the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchNumber(pub(crate) u32);

/// How to read the presentities of a [`Mail::Roster`].
#[derive(Clone, Copy, Debug)]
pub struct Announcement {
    pub(crate) watch: WatchNumber,
    /// The presentities appeared; false: they disappeared.
    pub(crate) is_present: bool,
    /// The first announcement to this watch, which names all presentities with state.
    pub(crate) is_first: bool,
}
