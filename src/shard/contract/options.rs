//! Every limit of a shard, with its default. What happens beyond a limit is written beside it.

use std::net::SocketAddr;
use std::time::Duration;
use std::time::Instant;

use crate::shard::contract::flow::ShardId;
use crate::shard::contract::overload_options::OverloadOptions;

/// The options of one shard. All shards of a node get the same, but for `id` and the seed.
#[derive(Clone, Debug)]
pub struct Options {
    /// This shard.
    pub id: ShardId,
    /// How many there are.
    pub shards: u16,
    /// The start of time, the same for all shards: nonces count from it.
    pub epoch: Instant,
    /// What the wall clock said then, in seconds since 1970 UTC: rules may hold for a time
    /// (RFC 4745 §7.3).
    pub epoch_unix: u64,
    /// Signs nonces and To-tags; the same for all shards.
    pub key: [u8; 32],
    /// Addresses that are ourselves: a Contact there would make us talk to ourselves (W:E2.5).
    pub local_addresses: Vec<SocketAddr>,
    /// By listener: the `host[:port]` by which peers know us, where it is not the local address.
    pub advertise: Vec<Option<String>>,
    /// User-Agent and Server; empty for none.
    pub product: String,

    // Subscriptions.
    /// Subscriptions of this shard, one to a list counted as one to each of its resources; beyond it
    /// 503 with Retry-After.
    pub subscriptions_max: usize,
    /// Octets that the subscriptions of this shard may take; beyond it 503 with Retry-After.
    pub subscription_octets_max: usize,
    /// Subscriptions of one UDP 4-tuple kept on the shard they land on; new ones beyond it go where
    /// their Call-ID says.
    pub subscriptions_per_flow_home: usize,
    /// Subscriptions of one phone (a flow and a Contact); beyond it 503.
    pub subscriptions_per_phone_max: usize,
    /// A subscription outlives its granted expiry by this, because phones refresh late (W:A3.9).
    pub expiry_grace: Duration,
    /// After a NOTIFY nobody answered, how long until the next try (W:A3.7).
    pub probation: Duration,

    // NOTIFYs.
    /// NOTIFYs a second to one phone in the long run (W:A3.13); 0 for no limit.
    pub notify_rate_per_phone: u32,
    /// NOTIFYs at once to one phone before the rate holds.
    pub notify_burst_per_phone: u32,
    /// NOTIFYs written in one turn, and as many sent again; the rest follow in the next.
    pub notifies_per_turn: usize,
    /// Octets after which no further NOTIFY is written, nor sent again, in one turn: those of long
    /// lists take time. One is always sent, the rest follow in the next.
    pub notify_octets_per_turn: usize,
    /// Octets of NOTIFYs on UDP that are kept to be sent again. Beyond it a NOTIFY of full state of a
    /// list that no path carries in one piece waits until others are answered.
    pub retransmission_octets_max: usize,
    /// Timers fired in one turn; the rest fire in the next.
    pub timers_per_turn: usize,
    /// Octets of the longest datagram that may leave together with others to its destination: the
    /// kernel cuts such a train into datagrams, but no datagram into fragments, and most paths
    /// carry no longer ones. NOTIFYs to many phones at one address are padded up to it. Longer ones
    /// leave each on its own, and all do when it is 0.
    pub segment_octets_max: usize,

    // Presentities and publications.
    /// Presentities this shard owns; beyond it nothing more is said about others, and a PUBLISH gets
    /// 503. Those that are merely watched are bounded by the watchers.
    pub presentities_max: usize,
    /// Contacts registered with us of the presentities this shard owns; a REGISTER that would bind
    /// one more is 503. [`CONTACTS_MAX`](crate::presence::registration::CONTACTS_MAX) is that of one
    /// presentity.
    pub contacts_max: usize,
    /// Publications of one presentity; one more is 503.
    pub publications_per_presentity_max: usize,
    /// Call legs of one presentity; more are not kept (W:E4.7).
    pub calls_per_presentity_max: usize,
    /// Octets of a PUBLISH body; beyond it 413.
    pub body_octets_max: usize,

    // Transactions.
    /// Octets kept for answering retransmissions.
    pub response_ring_octets: usize,
    /// Nonces whose counts are remembered.
    pub nonces_max: usize,
    /// Life of a nonce.
    pub nonce_life: Duration,
    /// Whether credentials without qop are taken (RFC 2069).
    pub allow_rfc2069: bool,

    // Storms.
    /// What is held back.
    pub overload: OverloadOptions,
}

impl Options {
    /// The defaults, for shard `id` of `shards`. `key` is secret and the same for all of them, as
    /// is `epoch`.
    #[must_use]
    pub fn new(id: ShardId, shards: u16, epoch: Instant, key: [u8; 32]) -> Self {
        Self {
            id,
            shards,
            epoch,
            epoch_unix: 0,
            key,
            local_addresses: Vec::new(),
            advertise: Vec::new(),
            product: "Lamplighter".to_owned(),
            subscriptions_max: 2_000_000,
            subscription_octets_max: 2 << 30,
            subscriptions_per_flow_home: 1_000,
            subscriptions_per_phone_max: 2_000,
            expiry_grace: Duration::from_secs(32),
            probation: Duration::from_secs(30),
            notify_rate_per_phone: 10,
            notify_burst_per_phone: 100,
            notifies_per_turn: 256,
            notify_octets_per_turn: 4 << 20,
            retransmission_octets_max: 64 << 20,
            timers_per_turn: 512,
            segment_octets_max: 1400,
            presentities_max: 1_000_000,
            contacts_max: 1_000_000,
            publications_per_presentity_max: 64,
            calls_per_presentity_max: 50,
            body_octets_max: 64 * 1024,
            response_ring_octets: 32 * 1024 * 1024,
            nonces_max: 65_536,
            nonce_life: Duration::from_secs(2 * 3600),
            allow_rfc2069: false,
            overload: OverloadOptions::default(),
        }
    }
}
