//! Reports for the operator: the reason for a presentity's state, its watchers, refusals, looping
//! phones. They are values; the caller renders them as text or JSON.

use crate::presence::Aor;
use crate::presence::call::CallState;
use crate::presence::composition::Availability;
use crate::presence::event::Package;
use crate::presence::policy::{DecidingRule, Privacy};
use crate::presence::presentity::Assertion;
use crate::presence::source::Source;
use std::iter::Sum;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::presence::composition::Extended;
use crate::shard::contract::flow::ShardId;
use crate::sip::Transport;

/// What a shard reports under a name, a batch of its table at a time.
pub trait ShardReport {
    /// The name.
    fn name(&self) -> &str;

    /// Adds a later report of the same shard: what stands at other places.
    fn add_batch(&mut self, other: Self);

    /// Adds what another shard reports.
    fn add(&mut self, other: Self);
}

/// The composed state of a presentity, and what decided on it.
#[derive(Clone, Debug)]
pub struct Why {
    /// The composed availability.
    pub availability: Availability,
    /// The PIDF basic status (RFC 3863 §4.1.4): true for open.
    pub is_open: bool,
    /// The dialog state that a busy-lamp-field watcher sees.
    pub lamp: CallState,
    /// The state in the vocabulary of the domain's composition style; None in the standard style.
    pub extended: Option<Extended>,
    /// The rule that decided on the availability, for example `a call is confirmed`.
    pub rule: &'static str,
    /// All contributions.
    pub contributions: Vec<Contribution>,
}

/// One contribution to a presentity's state.
#[derive(Clone, Debug)]
pub struct Contribution {
    /// The source.
    pub source: Source,
    /// The state that the source asserts.
    pub asserts: Assertion,
    /// Time since the source first asserted this state.
    pub age: Duration,
    /// Time until the contribution expires; None if it has no expiry.
    pub remaining: Option<Duration>,
    /// Time since the source is not heard any more; None while it is heard.
    pub stale: Option<Duration>,
    /// Whether this contribution decided on the composed availability.
    pub decides: bool,
}

/// Where the state of others named people who were erased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForgottenMentions {
    /// Presentities of a domain that was erased.
    pub presentities: usize,
    /// Subscriptions of the people, which ended.
    pub subscriptions: usize,
    /// Waiting watchers: such people, or watchers that waited for one.
    pub waiting: usize,
    /// Calls of others with such people, who are anonymous now.
    pub calls: usize,
    /// Not erased: subscriptions of others that watch the person.
    pub watchers: usize,
}

impl Sum for ForgottenMentions {
    fn sum<I: Iterator<Item = Self>>(mentions: I) -> Self {
        mentions.fold(Self::default(), |sum, next| Self {
            presentities: sum.presentities + next.presentities,
            subscriptions: sum.subscriptions + next.subscriptions,
            waiting: sum.waiting + next.waiting,
            calls: sum.calls + next.calls,
            watchers: sum.watchers + next.watchers,
        })
    }
}

/// The composed state of a presentity, as far as its domain lets watchers see it at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresentityState {
    /// The presentity.
    pub aor: Aor,
    /// The composed availability.
    pub availability: Availability,
    /// The PIDF basic status: true for open.
    pub is_open: bool,
    /// The dialog state that a lamp shows.
    pub lamp: CallState,
    /// Whether there is a call. Do-not-disturb may light a lamp without one.
    pub has_call: bool,
    /// The state in the vocabulary of the domain's composition style; None in the standard style.
    pub extended: Option<Extended>,
    /// The other party of the call that a lamp shows; empty if there is none, or it is not known.
    pub party: Box<str>,
    /// The note; empty if there is none.
    pub note: Box<str>,
    /// Time since that call was first reported; None without a call.
    pub call_age: Option<Duration>,
}

/// A call that is parked in an orbit, as far as the watcher that asks is shown it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedCall {
    /// The orbit.
    pub orbit: Aor,
    /// The display name of the parked party; empty if unknown or not shown.
    pub display: Box<str>,
    /// The URI of the parked party; empty if unknown or not shown.
    pub identity: Box<str>,
    /// Time since it was parked; None if unknown.
    pub age: Option<Duration>,
}

/// One subscription.
#[derive(Clone, Debug)]
pub struct WatcherReport {
    /// The shard that holds the subscription.
    pub shard: ShardId,
    /// What it is to: a presentity, or a list.
    pub presentity: Aor,
    /// The URI of the watcher.
    pub watcher: String,
    /// The event package.
    pub package: Package,
    /// The transport of its NOTIFYs.
    pub transport: Transport,
    /// The address that NOTIFYs are sent to.
    pub peer: SocketAddr,
    /// The remote target, which is the Request-URI of its NOTIFYs.
    pub target: String,
    /// The state of the subscription.
    pub state: WatcherState,
    /// The list through which it watches the presentity; None for a direct subscription.
    pub list: Option<Aor>,
    /// The rule that admitted the watcher.
    pub rule: DecidingRule,
    /// The detail of calls that the watcher sees.
    pub privacy: Privacy,
    /// The name of the device profile that its User-Agent selects.
    pub profile: String,
    /// Time since it began; None if an earlier version of the server recorded it without that.
    pub age: Option<Duration>,
    /// NOTIFYs sent, without retransmissions: the version of its next document.
    pub notifies: u32,
    /// The CSeq of the last NOTIFY of its dialog.
    pub sequence: u32,
    /// NOTIFYs in a row that got no response.
    pub unanswered: u8,
    /// NOTIFYs in a row that were refused.
    pub refused: u8,
    /// Time until the subscription expires unless it is refreshed.
    pub remaining: Duration,
    /// The Call-ID of its dialog.
    pub call_id: String,
}

/// The state of a subscription, as the operator sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatcherState {
    /// The watcher has confirmed the latest state.
    Active,
    /// A NOTIFY is outstanding.
    AwaitingResponse,
    /// NOTIFYs failed recently; the next attempt is delayed (W:A3.7).
    Probation,
    /// No rule has decided on the watcher yet (RFC 3856 §6.4).
    Pending,
    /// The watcher is politely blocked: it sees a state that never changes (RFC 5025 §3.2.1).
    PoliteBlock,
    /// The stream of the dialog ended and the phone has not returned.
    NoFlow,
}

impl WatcherState {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Active,
        Self::AwaitingResponse,
        Self::Probation,
        Self::Pending,
        Self::PoliteBlock,
        Self::NoFlow,
    ];

    /// The state as the operator reads it: one or two lower-case words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::AwaitingResponse => "waiting",
            Self::Probation => "probation",
            Self::Pending => "pending",
            Self::PoliteBlock => "polite-block",
            Self::NoFlow => "no flow",
        }
    }
}

/// A request that failed authentication.
#[derive(Clone, Debug)]
pub struct AuthenticationFailure {
    /// The source address; IPv4-mapped addresses as IPv4.
    pub address: IpAddr,
    /// The transport of the request.
    pub transport: Transport,
    /// The username of its credentials; the URI in From if it has none.
    pub user: String,
    /// The reason, for the log.
    pub reason: &'static str,
}

/// A looping phone: it repeats a request that is refused, or that restarts its subscription.
#[derive(Clone, Debug)]
pub struct LoopReport {
    /// The shard that receives the requests.
    pub shard: ShardId,
    /// The transport of the requests.
    pub transport: Transport,
    /// The source address and port of the latest request.
    pub peer: SocketAddr,
    /// The URI in From.
    pub phone: String,
    /// The User-Agent.
    pub user_agent: String,
    /// The method.
    pub method: String,
    /// The URI in To.
    pub target: String,
    /// The status of the latest response; 200 if the phone restarts an accepted subscription.
    pub status: u16,
    /// Requests since the loop was detected.
    pub requests: u64,
    /// Time from the detection to the latest request.
    pub age: Duration,
}

impl LoopReport {
    /// Requests per minute, on average since the loop was detected.
    #[must_use]
    pub fn per_minute(&self) -> u64 {
        let millis = u64::try_from(self.age.as_millis()).unwrap_or(u64::MAX);
        self.requests.saturating_mul(60_000) / millis.max(1_000)
    }
}

/// Refused requests with equal source address, method, From, To and status.
#[derive(Clone, Debug)]
pub struct RefusalReport {
    /// The shard that refused.
    pub shard: ShardId,
    /// The transport of the first request.
    pub transport: Transport,
    /// The source address and port of the latest request.
    pub peer: SocketAddr,
    /// The method.
    pub method: String,
    /// The status code.
    pub status: u16,
    /// The reason phrase of the latest refusal.
    pub reason: &'static str,
    /// The URI in From.
    pub from: String,
    /// The username of the first request's credentials.
    pub user: Option<String>,
    /// The URI in To.
    pub to: String,
    /// Number of refused requests.
    pub count: u64,
    /// Time since the latest refusal.
    pub age: Duration,
}
