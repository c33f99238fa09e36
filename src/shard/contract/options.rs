//! The options and limits of a shard, with their defaults. Each limit says what happens beyond it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::presence::wall_clock::WallClock;
use crate::shard::contract::change_readers::ChangeReaders;
use crate::shard::contract::commit::Durability;
use crate::shard::contract::flow::{Address, NodeId, ShardId};
use crate::shard::contract::overload_options::OverloadOptions;
use crate::sip::Transport;

/// The options of one shard. They are equal on all shards of a node but for `id`.
#[derive(Clone, Debug)]
pub struct Options {
    /// This node; 0 until there is a cluster.
    pub node: NodeId,
    /// This shard.
    pub id: ShardId,
    /// Number of shards of the node.
    pub shards: u16,
    /// The time origin of the node.
    pub epoch: Instant,
    /// The wall clock at `epoch`, in seconds since 1970 UTC. Nonces carry it, and rules with a
    /// validity need it (RFC 4745 §7.3).
    pub epoch_unix: u64,
    /// The clock by which times are recorded. It goes on from one process to the next, and nothing that
    /// is done to the clock of the system while the process runs changes it.
    pub record_clock: WallClock,
    /// Secret that signs stateless To-tags.
    pub key: [u8; 32],
    /// Secret that signs nonces. With a store it outlives the process, and nodes may share it.
    pub nonce_key: [u8; 32],
    /// The counts of nonces issued earlier are unknown: such a nonce is answered with stale=true.
    pub nonces_known_since: Instant,
    /// Whether state is recorded, and whether acknowledgements wait for that.
    pub durability: Durability,
    /// Whether changes of composed state are put into [`Outbox::state_changes`](crate::shard::Outbox) for the history.
    pub writes_history: bool,
    /// For which readers they are also put there.
    pub tells_changes: ChangeReaders,
    /// Whether they are also put there for a trace.
    pub is_traced: bool,
    /// Acknowledgements that wait for their records to be durable. Beyond it: 503 with Retry-After.
    /// After a restart also the requests that wait until presentities are recovered, and those that wait
    /// for their dialog. Beyond it: these are dropped over UDP, and 503 over a stream.
    pub acknowledgements_held_max: usize,
    /// The addresses of our listeners. NOTIFYs never go there: we would talk to ourselves (W:E2.5).
    pub local_addresses: Vec<SocketAddr>,
    /// For each listener, its transport and the address that it is bound to, perhaps a wildcard. By
    /// them a dialog that was recorded finds its listener again. Empty: there is one listener.
    pub listeners: Vec<(Transport, SocketAddr)>,
    /// For each listener, the `host[:port]` for Via and Contact if it is not the local address.
    pub advertise: Vec<Option<String>>,
    /// Value of the User-Agent and Server headers; empty for no header.
    pub product: String,

    // Subscriptions.
    /// Subscriptions of this shard; a subscription to a list counts once per resource. Beyond it:
    /// 503 with Retry-After.
    pub subscriptions_max: usize,
    /// Octets of memory of this shard's subscriptions. Beyond it: 503 with Retry-After.
    pub subscription_octets_max: usize,
    /// Subscriptions of one UDP 4-tuple that stay on the shard the kernel delivers it to. Beyond it:
    /// the Call-ID selects the shard of a new subscription.
    pub subscriptions_per_flow_home: usize,
    /// Subscriptions of one phone (a flow and a Contact). Beyond it: 503.
    pub subscriptions_per_phone_max: usize,
    /// Time that a subscription outlives its granted expiry, because phones refresh late (RFC 6665
    /// §4.2.2).
    pub expiry_grace: Duration,
    /// Time between a NOTIFY without a response and the next attempt (W:A3.7).
    pub probation: Duration,

    // Streams to phones: whose own ended, or whose NOTIFYs are too long for a datagram.
    /// Streams that are being opened at once. Beyond it: another attempt after `dial_pause_min`, and a
    /// NOTIFY that is too long for a datagram is sent as one. 0: none is opened, a phone is notified
    /// once it has connected again.
    pub dials_max: usize,
    /// Addresses that streams were opened to, or are to be. Beyond it: no further address is tried; the
    /// phone is notified once it has connected again, or by UDP.
    pub dial_targets_max: usize,
    /// Time from the end of an attempt to the next one to the same address. It doubles with each
    /// attempt in a row that left a NOTIFY without a response.
    pub dial_pause_min: Duration,
    /// The longest such time, and the time that NOTIFYs go by UDP after a stream for a long one failed.
    pub dial_pause_max: Duration,

    // NOTIFYs.
    /// NOTIFYs per second to one phone (W:A3.13); 0 for no limit. Beyond it: NOTIFYs wait, and only
    /// the latest state is sent.
    pub notify_rate_per_phone: u32,
    /// NOTIFYs to one phone at once before the rate applies.
    pub notify_burst_per_phone: u32,
    /// Octets of the longest NOTIFY that is always sent as a datagram. Beyond it: it is sent over a
    /// stream, if the phone can be expected to listen for one (RFC 3261 §18.1.1); `usize::MAX` for
    /// never.
    pub notify_tcp_beyond: usize,
    /// NOTIFYs written per turn, and NOTIFYs retransmitted per turn. Beyond it: the next turn.
    pub notifies_per_turn: usize,
    /// Octets of NOTIFYs written or retransmitted per turn, because long lists take time. Beyond it:
    /// the next turn. At least one NOTIFY is sent per turn.
    pub notify_octets_per_turn: usize,
    /// Octets of UDP NOTIFYs kept for retransmission. Beyond it: the full state of a list too long
    /// for one datagram waits until other NOTIFYs are answered.
    pub retransmission_octets_max: usize,
    /// Timers fired per turn. Beyond it: the next turn.
    pub timers_per_turn: usize,
    /// Octets of the longest datagram that is sent by UDP segmentation offload, together with
    /// others to the same destination; 0 sends each datagram on its own. NOTIFYs to many phones at
    /// one address are padded up to it. Keep it below the path MTU: the kernel does not fragment the
    /// datagrams of such a batch. Beyond it: the datagram is sent on its own.
    pub segment_octets_max: usize,

    // Presentities and publications.
    /// Presentities with state that this shard owns. Beyond it: a PUBLISH gets 503, other updates
    /// are refused. Presentities without state do not count.
    pub presentities_max: usize,
    /// Contacts registered with us, of all presentities that this shard owns. Beyond it: 503. The
    /// limit of one presentity is
    /// [`CONTACTS_MAX`](crate::presence::registration::CONTACTS_MAX).
    pub contacts_max: usize,
    /// Publications of one presentity. Beyond it: 503.
    pub publications_per_presentity_max: usize,
    /// Call legs of one presentity. Beyond it: further legs are ignored (RFC 4235 §4).
    pub calls_per_presentity_max: usize,
    /// Octets of a PUBLISH body. Beyond it: 413.
    pub body_octets_max: usize,

    // Transactions.
    /// Octets of responses that are kept for retransmitted requests. Beyond it: the oldest goes first.
    pub response_ring_octets: usize,
    /// Nonces whose nonce counts are remembered against replay.
    pub nonces_max: usize,
    /// Lifetime of a nonce. A later one is answered with stale=true.
    pub nonce_life: Duration,
    /// Whether digest credentials without qop are accepted (RFC 2069).
    pub allow_rfc2069: bool,

    // Requests of ours to other servers.
    /// Probes. Beyond it: a probe is refused.
    pub clients_max: usize,
    /// Users that connectors subscribe to and relays publish on this shard. Beyond it: a user is left out.
    pub upstream_users_max: usize,
    /// Client transactions of these. Beyond it: the request is not sent and counts as unanswered.
    pub client_transactions_max: usize,
    /// Events of one probe that are kept for the operator. Beyond it: further ones are left out.
    pub probe_entries_max: usize,

    // Overload.
    /// Rate limits, lockouts and queue limits.
    pub overload: OverloadOptions,
}

impl Options {
    /// A time by the system's clock as it was when the process began, since 1970 UTC.
    #[must_use]
    pub fn system_time(&self, at: Instant) -> Duration {
        Duration::from_secs(self.epoch_unix) + at.saturating_duration_since(self.epoch)
    }

    /// The highest value of `subscriptions_max` for a node with that many shards. Dialogs and
    /// outstanding NOTIFYs have places of 32 bits, which all shards share. There may be more NOTIFYs
    /// than subscriptions, because the last one of a subscription outlives it: half of the places are
    /// for these.
    #[must_use]
    pub const fn subscriptions_max_with(shards: usize) -> usize {
        u32::MAX as usize / 2 / if shards == 0 { 1 } else { shards }
    }

    /// The defaults for shard `id` of `shards`. All shards of a node get the same `epoch` and the
    /// same secret `key`, which signs nonces too unless there is a `nonce_key`.
    #[must_use]
    pub fn new(id: ShardId, shards: u16, epoch: Instant, key: [u8; 32]) -> Self {
        Self {
            node: NodeId(0),
            id,
            shards,
            epoch,
            epoch_unix: 0,
            record_clock: WallClock {
                at: epoch,
                unix_milliseconds: 0,
            },
            key,
            nonce_key: key,
            nonces_known_since: epoch,
            durability: Durability::None,
            writes_history: false,
            tells_changes: ChangeReaders::default(),
            is_traced: false,
            acknowledgements_held_max: 65_536,
            local_addresses: Vec::new(),
            listeners: Vec::new(),
            advertise: Vec::new(),
            product: "Lamplighter".to_owned(),
            subscriptions_max: 2_000_000,
            subscription_octets_max: 2 << 30,
            subscriptions_per_flow_home: 1_000,
            subscriptions_per_phone_max: 2_000,
            expiry_grace: Duration::from_secs(32),
            probation: Duration::from_secs(30),
            dials_max: 64,
            dial_targets_max: 65_536,
            dial_pause_min: Duration::from_secs(1),
            dial_pause_max: Duration::from_secs(60),
            notify_rate_per_phone: 10,
            notify_burst_per_phone: 100,
            notify_tcp_beyond: 1300,
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
            clients_max: 64,
            upstream_users_max: 200_000,
            client_transactions_max: 8_192,
            probe_entries_max: 1_000,
            overload: OverloadOptions::default(),
        }
    }

    /// The address of this shard.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.address_of(self.id)
    }

    /// The address of a shard of this node.
    #[must_use]
    pub const fn address_of(&self, shard: ShardId) -> Address {
        Address {
            node: self.node,
            shard,
        }
    }
}
