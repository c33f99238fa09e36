//! A node of two shards in virtual time, whose peers are whatever sends it octets.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use lamplighter::directory::{AuthMode, Directory, Domain};
use lamplighter::presence::policy::People;
use lamplighter::shard::contract::overload_options::OverloadOptions;
use lamplighter::shard::{
    Command, CommandId, ConnectionId, Durability, Flow, Input, Mail, Options, Outbox, Reply, Shard,
    ShardId,
};
use lamplighter::sip::Transport;
use lamplighter::sip::framing::{Frame, Limits, next_frame};

const SHARDS: u16 = 2;
/// Turns that a shard may request at one instant; more count as a loop.
const TURNS_MAX: usize = 10_000;
const LIMITS: Limits = Limits {
    head_octets_max: 65_536,
    message_octets_max: 131_072,
};

/// The domain without authentication.
pub(crate) const OPEN: &str = "abc.com";
/// The domain that wants a password, except of [`TRUSTED`].
pub(crate) const CLOSED: &str = "closed.com";
/// An address that the closed domain trusts, and from which no peer sends.
pub(crate) const TRUSTED: &str = "10.9.9.9:5060";

/// A message that the node sent.
pub(crate) struct Sent {
    pub(crate) peer: SocketAddr,
    pub(crate) octets: Vec<u8>,
}

/// The node.
pub(crate) struct Node {
    shards: Vec<Shard>,
    outbox: Outbox,
    now: Instant,
    mail: VecDeque<(ShardId, Mail)>,
    replies: Vec<Reply>,
    pub(crate) sent: Vec<Sent>,
    /// What it recorded for a store.
    pub(crate) records: Vec<Vec<u8>>,
}

fn directory() -> Arc<Directory> {
    let open = Domain {
        auth: AuthMode::None,
        open: true,
        is_registrar: true,
        any_dn: vec![People::Everyone],
        ..Domain::new(OPEN)
    };
    let closed = Domain {
        auth: AuthMode::Digest,
        trusted: vec!["10.9.9.0/24".parse().unwrap()],
        ..Domain::new(CLOSED)
    };
    let mut directory = Directory::default();
    directory.add_domain(open, &[]).unwrap();
    directory.add_domain(closed, &[]).unwrap();
    for user in ["9", "123"] {
        directory.add_account(user, OPEN, "secret").unwrap();
        directory
            .add_account(user, CLOSED, "correct horse battery staple")
            .unwrap();
    }
    let members = ["123", "124", "125"].map(|user| directory.member(user, OPEN).unwrap());
    directory.add_group("team", OPEN, members.to_vec());
    Arc::new(directory)
}

impl Node {
    pub(crate) fn new() -> Self {
        static SHARED: OnceLock<(Arc<Directory>, Instant)> = OnceLock::new();
        let (directory, epoch) = SHARED.get_or_init(|| (directory(), Instant::now()));
        let shard = |index: u16| {
            let options = Options {
                local_addresses: vec!["10.0.0.1:5060".parse().unwrap()],
                durability: Durability::Relaxed,
                subscriptions_max: 1000,
                presentities_max: 1000,
                contacts_max: 1000,
                publications_per_presentity_max: 4,
                response_ring_octets: 1 << 14,
                nonces_max: 64,
                // Small tables, because there is a new node for each input.
                overload: OverloadOptions {
                    buckets_max: 64,
                    refusals_max: 64,
                    ..OverloadOptions::default()
                },
                ..Options::new(ShardId(index), SHARDS, *epoch, [42; 32])
            };
            Shard::new(options, Arc::clone(directory), [index as u8; 32])
        };
        Self {
            shards: (0..SHARDS).map(shard).collect(),
            outbox: Outbox::default(),
            now: *epoch,
            mail: VecDeque::new(),
            replies: Vec::new(),
            sent: Vec::new(),
            records: Vec::new(),
        }
    }

    /// Octets arrive from a peer, by UDP as a datagram, by TCP as messages of a stream.
    pub(crate) fn receive(&mut self, peer: SocketAddr, transport: Transport, octets: &[u8]) {
        let number = u32::from(peer.port());
        let mut flow = Flow {
            transport,
            listener: 0,
            connection: ConnectionId::default(),
            local: "10.0.0.1:5060".parse().unwrap(),
            peer,
        };
        if !transport.is_reliable() {
            self.input(
                0,
                Input::Message {
                    flow,
                    bytes: octets,
                },
            );
            return;
        }
        let shard = ShardId(0);
        flow.connection = ConnectionId { shard, number };
        let mut rest = octets;
        loop {
            let (length, response) = match next_frame(rest, &LIMITS) {
                Ok(Frame::Ping(length) | Frame::Filler(length) | Frame::Stun(length)) => {
                    rest = &rest[length..];
                    continue;
                }
                Ok(Frame::Message(length)) => (length, None),
                Ok(Frame::Response(length, response)) => (length, Some(response)),
                Ok(Frame::Incomplete) | Err(_) => return,
            };
            let bytes = &rest[..length];
            self.input(
                0,
                match response {
                    Some(response) => Input::Response {
                        flow,
                        bytes,
                        response,
                    },
                    None => Input::Message { flow, bytes },
                },
            );
            rest = &rest[length..];
        }
    }

    /// The peer's stream ends.
    pub(crate) fn close(&mut self, peer: SocketAddr) {
        let number = u32::from(peer.port());
        let shard = ShardId(0);
        self.input(0, Input::Closed(ConnectionId { shard, number }));
    }

    /// A command for one shard.
    pub(crate) fn command(&mut self, shard: ShardId, command: Command) -> Reply {
        self.input(usize::from(shard.0), Input::Command(CommandId(1), command));
        self.replies.pop().expect("every command gets a reply")
    }

    /// The shards.
    pub(crate) fn shards() -> impl Iterator<Item = ShardId> {
        (0..SHARDS).map(ShardId)
    }

    /// The shard that owns a presentity.
    pub(crate) fn owner_of(aor: &lamplighter::presence::Aor) -> ShardId {
        ShardId::owner_of(aor, SHARDS)
    }

    /// Time passes; timeouts on the way happen when they are due.
    pub(crate) fn advance(&mut self, time: Duration) {
        let target = self.now + time;
        loop {
            let due = self.shards.iter().filter_map(Shard::poll_timeout).min();
            let Some(due) = due.filter(|due| *due <= target) else {
                break;
            };
            self.now = self.now.max(due);
            self.settle();
        }
        self.now = target;
    }

    fn input(&mut self, shard: usize, input: Input<'_>) {
        self.shards[shard].handle(input, self.now, &mut self.outbox);
        self.take_effects();
        self.settle();
    }

    /// Everything that is due now.
    fn settle(&mut self) {
        for _ in 0..TURNS_MAX {
            while let Some((shard, mail)) = self.mail.pop_front() {
                let shard = &mut self.shards[usize::from(shard.0)];
                shard.handle(Input::Mail(mail), self.now, &mut self.outbox);
                self.take_effects();
            }
            let now = self.now;
            let is_due = |shard: &Shard| shard.poll_timeout().is_some_and(|due| due <= now);
            let Some(shard) = self.shards.iter_mut().find(|shard| is_due(shard)) else {
                return;
            };
            shard.handle_timeout(now, &mut self.outbox);
            self.take_effects();
        }
        panic!("a shard wants to be called again and again");
    }

    fn take_effects(&mut self) {
        for transmit in &self.outbox.transmits {
            self.sent.push(Sent {
                peer: transmit.flow.peer,
                octets: self.outbox.pieces(transmit).concat(),
            });
        }
        let octets = self
            .outbox
            .records
            .iter()
            .filter_map(|change| self.outbox.octets_of(change));
        self.records.extend(octets.map(<[u8]>::to_vec));
        self.mail.extend(self.outbox.mail.drain(..));
        let replies = self.outbox.replies.drain(..);
        self.replies.extend(replies.map(|(_, reply)| reply));
        self.outbox.clear();
    }
}
