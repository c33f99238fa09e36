//! Mail between shards, and of a shard to itself: the part of the engine that watches a presentity
//! and the part that owns it speak by mail alone.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use crate::presence::Aor;
use crate::presence::Composed;
use crate::presence::event::Package;
use crate::presence::event::WatcherEvent;
use crate::presence::event::WatcherInfo;
use crate::presence::presentity::Publication;
use crate::presence::presentity::PublicationLimits;
use crate::presence::presentity::PublishRefused;
use crate::presence::presentity::Published;
use crate::presence::registration::Binding;
use crate::presence::registration::BindingChange;
use crate::presence::registration::BindingRefused;
use crate::presence::registration::Sequence;
use crate::presence::source::EntityTag;
use crate::presence::source::StateUpdate;
use crate::shard::contract::flow::ConnectionId;
use crate::shard::contract::flow::Flow;
use crate::shard::contract::flow::ShardId;

/// Between shards.
#[derive(Debug)]
pub enum Mail {
    /// A message whose To-tag or branch names the receiver (or, for a crowded flow, whose Call-ID
    /// does).
    Misdirected {
        /// How it came.
        flow: Flow,
        /// The octets.
        bytes: Box<[u8]>,
    },
    /// Octets for a stream that the receiver accepted: a phone came back by it to a subscription of
    /// the sender.
    Transmit {
        /// The stream.
        flow: Flow,
        /// The octets.
        bytes: Box<[u8]>,
    },
    /// Something that came by a stream that the receiver accepted lives until then.
    Keep(ConnectionId, Instant),
    /// A stream of the sender ended.
    Closed(ConnectionId),
    /// To the owner: the sender has watchers of this presentity and wants its state now and at
    /// every change.
    Watch {
        /// Of whom.
        aor: Aor,
        /// For which shard.
        watcher: ShardId,
    },
    /// To the owner: the sender's last watcher is gone.
    Unwatch {
        /// Of whom.
        aor: Aor,
        /// For which shard.
        watcher: ShardId,
    },
    /// From the owner: the presentity's state.
    State {
        /// Of whom.
        aor: Aor,
        /// What all contributions add up to.
        composed: Arc<Composed>,
    },
    /// To every shard: the sender has somebody who watches everybody of a domain.
    WatchDomain {
        /// Of which domain.
        domain: Box<str>,
        /// For which shard.
        watcher: ShardId,
        /// Which of its watches.
        watch: WatchNumber,
    },
    /// To every shard: the sender has nobody any more who watches everybody of a domain.
    UnwatchDomain {
        /// Of which domain.
        domain: Box<str>,
        /// For which shard.
        watcher: ShardId,
    },
    /// From the owner: who is there in a domain, came, or went.
    Roster {
        /// Of which domain.
        domain: Box<str>,
        /// Who.
        aors: Vec<Aor>,
        /// To which watch, and whether they are there.
        announcement: Announcement,
    },
    /// To every shard: the sender has somebody who wants to know who watches a presentity
    /// (RFC 3857).
    FollowWatchers {
        /// Watchers of whom.
        aor: Aor,
        /// For which package.
        package: Package,
        /// For which shard.
        follower: ShardId,
    },
    /// To every shard: the sender has nobody any more who wants to know.
    UnfollowWatchers {
        /// Watchers of whom.
        aor: Aor,
        /// For which package.
        package: Package,
        /// For which shard.
        follower: ShardId,
    },
    /// From a shard: the watchers it has.
    WatchersHere(Box<WatchersHere>),
    /// To the owner: a phone wants an appearance of a shared line (W:C10.2).
    Seize {
        /// The line.
        aor: Aor,
        /// The appearance.
        index: u8,
        /// Which request of the sender waits for the outcome.
        reply_to: (ShardId, u32),
    },
    /// From the owner: how it went.
    SeizeOutcome {
        /// The request that waits.
        request: u32,
        /// How it went.
        outcome: Result<Claim, SeizeRefused>,
    },
    /// To the owner: a phone holds an appearance no longer.
    Release(Claim),
    /// To the owner: what somebody says about a presentity, that arrived elsewhere.
    UpdateState {
        /// About whom.
        aor: Aor,
        /// What.
        update: Box<StateUpdate>,
    },
    /// To the owner: what a phone switches by a SUBSCRIBE that arrived elsewhere.
    Switch {
        /// Whose.
        aor: Aor,
        /// What.
        update: Box<StateUpdate>,
        /// Which subscription of the sender waits for it.
        reply_to: (ShardId, u32),
    },
    /// From the owner, after the state it made: what was switched is done.
    Switched {
        /// Whose.
        aor: Aor,
        /// The subscription that waits.
        subscription: u32,
    },
    /// To the owner: a REGISTER of a phone that arrived elsewhere.
    Register(Box<ForwardedRegister>),
    /// From the owner: how it went.
    RegisterOutcome {
        /// The request that waits.
        request: u32,
        /// How it went.
        outcome: Result<Registered, BindingRefused>,
    },
    /// To the owner: a PUBLISH that arrived elsewhere.
    Publish(Box<ForwardedPublish>),
    /// From the owner: how it went.
    PublishOutcome {
        /// The request that waits.
        request: u32,
        /// How it went.
        outcome: Result<Published, PublishRefused>,
    },
}

/// The watchers of a presentity that one shard has.
#[derive(Debug)]
pub struct WatchersHere {
    /// Watchers of whom.
    pub aor: Aor,
    /// For which package.
    pub package: Package,
    /// The shard that has them.
    pub shard: ShardId,
    /// All of them, in the order of their ids.
    pub watchers: Vec<WatcherInfo>,
    /// Why some ended that were told before, by their ids.
    pub ended: Vec<(u64, WatcherEvent)>,
}

/// An appearance of a shared line that is taken (W:C10.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The line.
    pub aor: Aor,
    /// The appearance.
    pub index: u8,
    /// Tells it from the owner's other claims.
    pub number: u64,
}

/// Why an appearance cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeizeRefused {
    /// It is not idle.
    Taken,
    /// The owner has no room for the line.
    TooMany,
}

/// A REGISTER on its way to its user's owner.
#[derive(Debug)]
pub struct ForwardedRegister {
    /// Of whom.
    pub aor: Aor,
    /// What it does.
    pub change: BindingChange,
    /// Its place among those of its phone.
    pub sequence: Sequence,
    /// Which request of the sender waits for the outcome.
    pub reply_to: (ShardId, u32),
}

/// What the answer to a REGISTER says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// All contacts of the user.
    pub bindings: Vec<Binding>,
    /// The longest time that the request was granted; zero when it bound nothing.
    pub expires: Duration,
}

/// A PUBLISH on its way to the presentity's owner.
#[derive(Debug)]
pub struct ForwardedPublish {
    /// Of whom.
    pub aor: Aor,
    /// What it says.
    pub publication: Publication,
    /// Its tag on success.
    pub fresh: EntityTag,
    /// The domain's limits.
    pub limits: PublicationLimits,
    /// Which request of the sender waits for the outcome.
    pub reply_to: (ShardId, u32),
}

/// Tells one watch of a domain by a shard from its next: what was said to one that was given up
/// must not count for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchNumber(pub(crate) u32);

/// What is said of a domain to a shard that watches it.
#[derive(Clone, Copy, Debug)]
pub struct Announcement {
    pub(crate) watch: WatchNumber,
    /// They are there now, or no longer.
    pub(crate) is_present: bool,
    /// The answer to the watch: all there are.
    pub(crate) is_first: bool,
}
