//! The options of overload control, with their defaults.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ipnet::IpNet;

/// A rate limit as configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests per second in the long run; 0 for no limit.
    pub per_second: u32,
    /// Requests at once.
    pub burst: u32,
}

/// The options of overload control, `[shield]` in the configuration.
#[derive(Clone, Debug)]
pub struct OverloadOptions {
    // Rate limits of requests outside dialogs. Beyond one of them: 503 with Retry-After.
    /// Requests of one phone: a source address and the user it proved to be, or the URI in From. The
    /// default burst allows two requests for each of a thousand keys.
    pub phone: Rate,
    /// Requests about one presentity.
    pub presentity: Rate,
    /// Requests from one IP address (an IPv6 /64) that no domain trusts.
    pub source: Rate,
    /// Requests to one domain.
    pub domain: Rate,
    /// Source addresses without rate limits.
    pub exempt: Vec<IpNet>,
    /// Token buckets of all kinds that are remembered. Beyond it: the bucket that is full first is
    /// forgotten first.
    pub buckets_max: usize,
    /// Dialogs of one address and port before it responds to its first NOTIFY. Beyond it: 503.
    pub unproven_max: usize,
    /// Octets of NOTIFYs per second, to all addresses together that have proved nothing; a minute of them
    /// at once. Beyond it: 503 to a SUBSCRIBE from such an address.
    pub unproven_octets_per_second: u64,

    // Refusals.
    /// Refusals (401, 403, 404, 489) remembered to be repeated without serving the request again.
    /// Beyond it: the oldest is forgotten first.
    pub refusals_max: usize,
    /// How long a refusal is remembered; zero for never.
    pub refusal_life: Duration,
    /// 401 responses with stale=true to one repeated request of a phone. Beyond it: 403 (W:E3.9).
    pub stale_max: u32,
    /// Wrong credentials from one address for one account. Beyond it: a lockout (RFC 7616 §5).
    pub wrong_max: u32,
    /// Wrong credentials from one address for all accounts. Beyond it: a lockout.
    pub wrong_per_address_max: u32,
    /// Wrong credentials for one account from all addresses. Beyond it: a lockout.
    pub wrong_per_account_max: u32,
    /// Length of the first lockout; also the time after which one more 401 with stale=true is sent.
    pub cool_down: Duration,

    // Load.
    /// Queued NOTIFYs. Beyond it: new subscriptions get 503, and OPTIONS at twice as many (RFC 3261
    /// §21.5.4).
    pub backlog_max: usize,
    /// Queued NOTIFYs from which on PUBLISHes are deferred.
    pub postpone_at: usize,
    /// Octets of deferred PUBLISHes. Beyond it: the oldest one is served for each that arrives.
    pub postponed_octets_max: usize,
    /// Initial SUBSCRIBEs per second that count as a mass restart, after ten seconds of them.
    pub crowd: u32,
    /// How much shorter an expiry is granted during a mass restart: up to this many percent.
    pub jitter_percent: u32,

    // Loops.
    /// Repetitions per minute of one refused or restarted request from which on its phone counts as
    /// looping; 0 for never.
    pub loop_per_minute: u32,
    /// Looping phones that are listed. Beyond it: they are counted only.
    pub loops_max: usize,
}

impl OverloadOptions {
    /// Whether an address is exempt from all limits.
    #[must_use]
    pub fn exempts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.exempt.iter().any(|network| network.contains(&address))
    }
}

impl Default for OverloadOptions {
    fn default() -> Self {
        let rate = |per_second, burst| Rate { per_second, burst };
        let network = |ip: IpAddr, bits| IpNet::new(ip, bits).ok();
        let loopback = [
            network(Ipv4Addr::new(127, 0, 0, 0).into(), 8),
            network(Ipv6Addr::LOCALHOST.into(), 128),
        ];
        Self {
            phone: rate(10, 2_000),
            presentity: rate(1_000, 20_000),
            source: rate(5_000, 100_000),
            domain: rate(20_000, 500_000),
            exempt: loopback.into_iter().flatten().collect(),
            buckets_max: 65_536,
            unproven_max: 1_000,
            unproven_octets_per_second: 64 << 10,
            refusals_max: 4_096,
            refusal_life: Duration::from_secs(3),
            stale_max: 3,
            wrong_max: 10,
            wrong_per_address_max: 50,
            wrong_per_account_max: 100,
            cool_down: Duration::from_secs(30),
            backlog_max: 100_000,
            postpone_at: 512,
            postponed_octets_max: 16 << 20,
            crowd: 50,
            jitter_percent: 10,
            loop_per_minute: 30,
            loops_max: 100,
        }
    }
}
