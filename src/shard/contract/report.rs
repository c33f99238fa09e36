//! What the engine reports to the operator: why a lamp is as it is, watchers, refusals, looping
//! phones. Values, not text: who asks renders them.

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
