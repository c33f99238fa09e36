//! The limits of protection from overload, and their defaults.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::IpNet;

/// A token bucket's size and what comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// A second in the long run; 0 for no limit.
    pub per_second: u32,
    /// At once.
    pub burst: u32,
}

/// The options of the shield.
#[derive(Clone, Debug)]
pub struct OverloadOptions {
    // Requests that create work; beyond it 503 with Retry-After.
    /// Of one phone: an address and whom From names. The burst is two requests for each of a
    /// thousand keys.
    pub phone: Rate,
    /// About one address of record.
    pub presentity: Rate,
    /// Of one IP address that no domain trusts.
    pub source: Rate,
    /// To one domain.
    pub domain: Rate,
    /// Addresses that none of these hold for.
    pub exempt: Vec<IpNet>,
    /// Buckets remembered, all kinds together. Beyond it the fullest is forgotten first.
    pub buckets_max: usize,
    /// Dialogs of one address and port that may begin before it answers its first NOTIFY.
    pub unproven_max: usize,

    // Refusals.
    /// Refusals (401, 403, 404, 489) that are given again without looking into it again; beyond it
    /// the oldest is forgotten first.
    pub refusals_max: usize,
    /// For how long; zero for never.
    pub refusal_life: Duration,
    /// 401s with stale=true to one request of a phone before it is 403 (W:E3.9).
    pub stale_max: u32,
    /// Wrong credentials of one address for one account before what it says of that account is
    /// refused unseen (W:A7.10).
    pub wrong_max: u32,
    /// Wrong credentials of one address for all accounts before that.
    pub wrong_per_address_max: u32,
    /// Wrong credentials for one account from all addresses before that.
    pub wrong_per_account_max: u32,
    /// How long until one more stale answer is let through; the first lockout of wrong ones.
    pub cool_down: Duration,

    // Crowds.
    /// NOTIFYs that may wait before new subscriptions are refused; OPTIONS at twice as many
    /// (W:A1.21).
    pub backlog_max: usize,
    /// NOTIFYs that may wait before PUBLISHes wait for them, unread.
    pub postpone_at: usize,
    /// Octets of PUBLISHes that may wait; beyond it the oldest is read for each that comes.
    pub postponed_octets_max: usize,
    /// Initial SUBSCRIBEs a second that make a crowd, once ten seconds' worth of them came.
    pub crowd: u32,
    /// Subscriptions begun in a crowd are granted up to so many percent less than asked for.
    pub jitter_percent: u32,

    // Loops.
    /// Requests a minute of one kind that are refused, or begin anew what was begun, before the
    /// phone is said to loop; 0 for never.
    pub loop_per_minute: u32,
    /// Phones kept as looping; more are only counted.
    pub loops_max: usize,
}

impl OverloadOptions {
    /// Whether the operator exempts an address from all limits.
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
