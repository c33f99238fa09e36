//! What a shard is told: datagrams, mail from other shards, commands of the operator's side; and
//! what it answers.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use crate::presence::Aor;
use crate::presence::CallDialog;
use crate::presence::Composed;
use crate::presence::composition::Extended;
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
use crate::presence::source::CallSource;
use crate::presence::source::EntityTag;
use crate::presence::source::StateUpdate;
use crate::shard::directory::Directory;
use crate::shard::flow::ConnectionId;
use crate::shard::flow::Flow;
use crate::shard::flow::ShardId;
use crate::shard::lists::roster::Announcement;
use crate::shard::lists::roster::WatchNumber;
use crate::shard::shield::LoopReport;
use crate::shard::shield::RefusalReport;
use crate::sip::message::PlainResponse;

/// Names a command so that its reply finds the way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token(pub u64);

/// One input of [`crate::shard::Shard::handle`].
#[derive(Debug)]
pub enum Input<'a> {
    /// A datagram, or one message cut from a stream.
    Datagram {
        /// How it came.
        flow: Flow,
        /// The octets.
        bytes: &'a [u8],
    },
    /// One message cut from a stream, which had to be read for that.
    Answer {
        /// How it came.
        flow: Flow,
        /// The octets.
        bytes: &'a [u8],
        /// What they say.
        answer: PlainResponse<'a>,
    },
    /// A stream ended; what is bound to it has no way out any more (W:A6.8).
    Closed(ConnectionId),
    /// From another shard.
    Mail(Mail),
    /// From the operator's side: HTTP, command line, signals.
    Command(Token, Command),
}

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
    Say {
        /// About whom.
        aor: Aor,
        /// What.
        said: Box<StateUpdate>,
    },
    /// To the owner: what a phone switches by a SUBSCRIBE that arrived elsewhere.
    Switch {
        /// Whose.
        aor: Aor,
        /// What.
        said: Box<StateUpdate>,
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
        outcome: Result<Bound, BindingRefused>,
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
pub struct Bound {
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

/// From the operator's side. Each gets one [`Reply`]. A command about a presentity goes to its
/// owner, see [`crate::shard::Shard::owner`]; `Watchers` goes to every shard.
#[derive(Debug)]
pub enum Command {
    /// What somebody says about a presentity: `call_state.htm`, the operator's commands.
    Say {
        /// About whom.
        aor: Aor,
        /// What.
        said: StateUpdate,
    },
    /// Everything known about a presentity: `lamplighter why`.
    Why(Aor),
    /// Who watches a presentity, or subscribes to a list, from this shard: `lamplighter watchers`.
    Watchers(Aor),
    /// The phones that loop: `lamplighter loops`.
    Loops,
    /// Recent refusals: `lamplighter refusals`.
    Refusals,
    /// New domains and accounts.
    Reload(Arc<Directory>),
    /// No new subscriptions from now on, and those that are end with `deactivated`, some with each
    /// command. Answers how many subscriptions and NOTIFYs are left: ask again until none is.
    Drain,
    /// The counters.
    Counters,
}

impl Command {
    /// `call_state.htm`: the call somebody is in for so long, or none (W:D1).
    #[must_use]
    pub fn call_state(aor: Aor, call: Option<Arc<CallDialog>>, expires: Duration) -> Self {
        let said = StateUpdate::Call {
            source: CallSource::CallState,
            call,
            expires: Some(expires),
        };
        Self::Say { aor, said }
    }
}

/// The answer to a command.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Done; watchers are being told.
    Done,
    /// Not done: a table is full.
    OverLimit,
    /// The answer to `Why`.
    Why(Why),
    /// The answer to `Watchers`.
    Watchers(Vec<WatcherReport>),
    /// The answer to `Loops`.
    Loops(Vec<LoopReport>),
    /// The answer to `Refusals`.
    Refusals(Vec<RefusalReport>),
    /// The answer to `Drain`: subscriptions and unanswered NOTIFYs that are left.
    Outstanding(usize),
    /// The answer to `Counters`: name and value, in stable order.
    Counters(Vec<(&'static str, u64)>),
}

/// Why a lamp is as it is.
#[derive(Clone, Debug)]
pub struct Why {
    /// The composed state in one word.
    pub availability: String,
    /// `open` or `closed`.
    pub basic: &'static str,
    /// What the lamp of a dialog watcher shows: `confirmed`, `early`, `terminated`.
    pub lamp: &'static str,
    /// The same in the words of the domain's style; None in ours.
    pub extended: Option<Extended>,
    /// The rule that decided: `busy: a call is confirmed`.
    pub because: String,
    /// Every contribution.
    pub contributions: Vec<Contribution>,
}

/// One contribution, with ages instead of instants.
#[derive(Clone, Debug)]
pub struct Contribution {
    /// `publish:5f3c...`
    pub source: String,
    /// In words.
    pub says: String,
    /// Since it was said.
    pub age: Duration,
    /// Until it ends by itself; None when only another word of its source ends it.
    pub remaining: Option<Duration>,
    /// Whether the composed state follows it.
    pub decides: bool,
}

/// One subscription, as the operator sees it.
#[derive(Clone, Debug)]
pub struct WatcherReport {
    /// The shard that holds it.
    pub shard: u16,
    /// The watcher's URI.
    pub watcher: String,
    /// The package.
    pub package: &'static str,
    /// `udp 10.0.0.7:5060`
    pub flow: String,
    /// Where NOTIFYs are addressed.
    pub target: String,
    /// `active`, `pending`, `probation`, `waiting` (a NOTIFY is out), `no flow`.
    pub state: &'static str,
    /// The list it watches by; None for a subscription to the address itself.
    pub list: Option<String>,
    /// The rule that decided, in words.
    pub rule: String,
    /// What it is shown: 0 to 3.
    pub privacy: u8,
    /// The profile of its User-Agent.
    pub profile: String,
    /// NOTIFYs sent.
    pub notifies: u32,
    /// Until it ends without a refresh.
    pub remaining: Duration,
    /// Call-ID.
    pub call_id: String,
}
