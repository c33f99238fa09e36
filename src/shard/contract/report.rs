//! What the engine reports to the operator: why a lamp is as it is, watchers, refusals, looping
//! phones. Values, not text: who asks renders them.

use crate::presence::Aor;
use crate::presence::call::CallState;
use crate::presence::composition::Availability;
use crate::presence::event::Package;
use crate::presence::policy::DecidingRule;
use crate::presence::policy::Privacy;
use crate::presence::presentity::Assertion;
use crate::presence::source::Source;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::time::Duration;

use crate::presence::composition::Extended;
use crate::shard::contract::flow::ShardId;
use crate::sip::Transport;

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
    AwaitingResponse,
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
            Self::AwaitingResponse => "waiting",
            Self::Probation => "probation",
            Self::Pending => "pending",
            Self::PoliteBlock => "polite-block",
            Self::NoFlow => "no flow",
        }
    }
}

/// A request whose sender did not prove to be who it claims to be.
#[derive(Clone, Debug)]
pub struct AuthenticationFailure {
    /// The address it came from; IPv4 as IPv4.
    pub address: IpAddr,
    /// How it came.
    pub transport: Transport,
    /// The user of its credentials; its From without any.
    pub user: String,
    /// What is wrong.
    pub reason: &'static str,
}

/// A phone that loops, as the operator sees it.
#[derive(Clone, Debug)]
pub struct LoopReport {
    /// The shard it meets.
    pub shard: ShardId,
    /// How it comes.
    pub transport: Transport,
    /// The address its latest request came from.
    pub peer: SocketAddr,
    /// Who it says it is.
    pub phone: String,
    /// Its User-Agent.
    pub user_agent: String,
    /// What it sends.
    pub method: String,
    /// To whom.
    pub target: String,
    /// What it was answered last; 200 when it begins anew what was begun.
    pub answered: u16,
    /// Requests since it was noticed.
    pub requests: u64,
    /// Since then.
    pub age: Duration,
}

impl LoopReport {
    /// Requests a minute, on average.
    #[must_use]
    pub fn per_minute(&self) -> u64 {
        let millis = u64::try_from(self.age.as_millis()).unwrap_or(u64::MAX);
        self.requests.saturating_mul(60_000) / millis.max(1_000)
    }
}

/// A refusal as the operator sees it. Requests of one address, method, From and To that get one
/// status are one.
#[derive(Clone, Debug)]
pub struct RefusalReport {
    /// The shard that refused.
    pub shard: ShardId,
    /// How the request came.
    pub transport: Transport,
    /// The address its latest came from.
    pub peer: SocketAddr,
    /// Its method.
    pub method: String,
    /// The status.
    pub status: u16,
    /// The reason phrase of the latest.
    pub reason: &'static str,
    /// The URI in From.
    pub from: String,
    /// The user of the first one's credentials.
    pub user: Option<String>,
    /// The URI in To.
    pub to: String,
    /// Requests refused.
    pub count: u64,
    /// Time since the latest.
    pub age: Duration,
}
