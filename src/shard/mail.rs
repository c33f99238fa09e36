//! What a shard is told: datagrams, mail from other shards, commands of the operator's side; and
//! what it answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use crate::presence::Aor;
use crate::presence::CallDialog;
use crate::presence::Composed;
use crate::presence::call::CallState;
use crate::presence::composition::Availability;
use crate::presence::composition::Extended;
use crate::presence::event::Package;
use crate::presence::event::WatcherEvent;
use crate::presence::event::WatcherInfo;
use crate::presence::policy::DecidingRule;
use crate::presence::policy::Privacy;
use crate::presence::presentity::Assertion;
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
use crate::presence::source::Source;
use crate::presence::source::StateUpdate;
use crate::shard::directory::Directory;
use crate::shard::flow::ConnectionId;
use crate::shard::flow::Flow;
use crate::shard::flow::ShardId;
use crate::shard::lists::roster::Announcement;
use crate::shard::lists::roster::WatchNumber;
use crate::shard::shield::LoopReport;
use crate::shard::shield::RefusalReport;
use crate::sip::Transport;
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
    pub availability: Availability,
    /// `basic`: open or closed.
    pub is_open: bool,
    /// What the lamp of a dialog watcher shows.
    pub lamp: CallState,
    /// The state in the words of the domain's style; None in the standard style.
    pub extended: Option<Extended>,
    /// The rule that decided on the availability: `a call is confirmed`.
    pub rule: &'static str,
    /// Every contribution.
    pub contributions: Vec<Contribution>,
}

/// One contribution, with ages instead of instants.
#[derive(Clone, Debug)]
pub struct Contribution {
    /// The source.
    pub source: Source,
    /// What it asserts.
    pub asserts: Assertion,
    /// Time since it first asserted this.
    pub age: Duration,
    /// Time until it expires; None when it stands until its source replaces it.
    pub remaining: Option<Duration>,
    /// Whether the composed state follows it.
    pub decides: bool,
}

/// One subscription, as the operator sees it.
#[derive(Clone, Debug)]
pub struct WatcherReport {
    /// The shard that holds it.
    pub shard: ShardId,
    /// The watcher's URI.
    pub watcher: String,
    /// The package.
    pub package: Package,
    /// How NOTIFYs are sent.
    pub transport: Transport,
    /// The address they are sent to.
    pub peer: SocketAddr,
    /// The URI they are addressed to.
    pub target: String,
    /// How it stands.
    pub state: WatcherState,
    /// The list it watches by; None for a subscription to the address itself.
    pub list: Option<Aor>,
    /// The rule that let it in.
    pub rule: DecidingRule,
    /// How much of a call it is shown.
    pub privacy: Privacy,
    /// The profile of its User-Agent.
    pub profile: String,
    /// NOTIFYs sent.
    pub notifies: u32,
    /// Time until it ends without a refresh.
    pub remaining: Duration,
    /// Call-ID.
    pub call_id: String,
}

/// How a subscription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatcherState {
    /// Its watcher has all there is to know.
    Active,
    /// A NOTIFY is unanswered.
    Waiting,
    /// NOTIFYs failed lately.
    Probation,
    /// Nobody has decided about it (RFC 3856 §6.4).
    Pending,
    /// Its watcher is shown a state that never changes.
    PoliteBlock,
    /// The stream it came by ended; its phone has not come back.
    NoFlow,
}

impl WatcherState {
    /// In a word or two.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Waiting => "waiting",
            Self::Probation => "probation",
            Self::Pending => "pending",
            Self::PoliteBlock => "polite-block",
            Self::NoFlow => "no flow",
        }
    }
}
