//! A PBX that connectors of the node subscribe to: users whose true states change, and a server that
//! misbehaves by the plan of the seed until it becomes honest, or ends in some other way.
//!
//! - `plan`: what the seed says of it, and of the connectors;
//! - `user`: the true state of a user;
//! - `dialog`: its subscriptions, and its NOTIFYs;
//! - `server`: how it responds to SUBSCRIBEs;
//! - `mischief`: what it does wrong without being asked;
//! - `traffic`: how many SUBSCRIBEs it may be sent.
//!
//! Every fault is one that some PBX is known to have: see the tables of `server` and `mischief`.

pub(crate) mod dialog;
mod mischief;
pub(crate) mod plan;
mod server;
pub(crate) mod traffic;
pub(crate) mod user;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::rc::Rc;

use lamplighter::shard::ConnectionId;

use crate::network::{Access, ActorId, Destination, Micros, Wake};
use crate::sip_text::Text;
use crate::uac::Uac;
use crate::upstream::dialog::{Dialog, Notified};
use crate::upstream::plan::{ConnectorPlan, Ending, FIRST_USER, PlantedFault};
use crate::upstream::server::Fault;
use crate::upstream::user::User;
use crate::world::Bench;

/// The domain of its users there.
pub(crate) const HOST: &str = "pbx.example.net";

/// The URI there of a user.
pub(crate) fn user_uri(user: usize) -> String {
    format!("sip:{}@{HOST}", 100 + FIRST_USER + user)
}

/// A PBX.
#[derive(Debug)]
pub(crate) struct Upstream {
    id: ActorId,
    /// The connector that subscribes to it.
    pub(crate) connector: usize,
    pub(crate) plan: ConnectorPlan,
    pub(crate) address: SocketAddr,
    uac: Uac<Notified>,
    pub(crate) users: Vec<User>,
    dialogs: Vec<Dialog>,
    /// Responses by branch, for repeated requests.
    responses: HashMap<String, Rc<[u8]>>,
    /// Streams that the node opened.
    streams: Vec<ConnectionId>,
    nonces: HashSet<String>,
    /// Calls, tags and nonces are numbered.
    serial: u64,
    /// It serves nothing until then.
    silent_until: Micros,
    /// It refuses everything with this status until then.
    refuses: (u16, Micros),
    /// When it stops to misbehave.
    honest_at: Micros,
    /// The highest CSeq of a NOTIFY.
    cseq_max: u32,
    fault: Option<PlantedFault>,
    /// The fault that it repeats.
    habit: Option<Fault>,
    /// No user changes any more.
    pub(crate) is_quiet: bool,
}

impl Upstream {
    pub(crate) fn new(
        (id, connector): (ActorId, usize),
        plan: ConnectorPlan,
        bench: &mut Bench,
    ) -> Self {
        let net = &mut bench.net;
        let address = net.bind(id, None);
        let (users, honest_at, fault) = match &net.plan.upstream {
            Some(upstream) => (upstream.users, upstream.honest_at, upstream.fault),
            None => (0, 0, None),
        };
        for user in 0..users {
            let after = net.rng.below(plan.server.change_every);
            net.wake(id, after, Wake::Call(user));
        }
        net.wake(id, plan.server.mischief_every, Wake::Act);
        let habit = plan.server.has_habit.then(|| Fault::pick(&mut net.rng));
        Self {
            id,
            connector,
            plan,
            address,
            uac: Uac::new(id),
            users: (0..users).map(|_| User::default()).collect(),
            dialogs: Vec::new(),
            responses: HashMap::new(),
            streams: Vec::new(),
            nonces: HashSet::new(),
            serial: 0,
            silent_until: 0,
            refuses: (0, 0),
            honest_at,
            cseq_max: 0,
            fault,
            habit,
            is_quiet: false,
        }
    }

    /// How it behaves; None while it misbehaves at random.
    fn ending(&self, now: Micros) -> Option<Ending> {
        (now >= self.honest_at).then_some(self.plan.server.ending)
    }

    /// Whether it serves nothing any more.
    pub(crate) fn is_in_vain(&self, now: Micros) -> bool {
        matches!(
            self.ending(now),
            Some(Ending::Dead | Ending::Unavailable | Ending::Forbidden | Ending::WrongPassword)
        )
    }

    fn is_silent(&self, now: Micros) -> bool {
        now < self.silent_until || self.ending(now) == Some(Ending::Dead)
    }

    pub(crate) fn handle_wake(&mut self, wake: Wake, bench: &mut Bench) {
        match wake {
            Wake::Call(user) => self.change(user, bench),
            Wake::Act => self.mischief(bench),
            Wake::Transaction(number) => {
                let Some(access) = self.uac.purpose(number).map(|it| it.access) else {
                    return;
                };
                if let Some(exchange) = self.uac.wake(&mut bench.net, access, number) {
                    self.handle_silence(&exchange.purpose);
                }
            }
            Wake::Response(octets) => {
                // The 2xx that NOTIFYs overtook.
                if let Ok(text) = Text::parse(&octets) {
                    self.respond_late(&text, &octets, bench);
                }
            }
            _ => {}
        }
    }

    /// A user's state changes, and its watchers are told.
    fn change(&mut self, user: usize, bench: &mut Bench) {
        let now = bench.net.now;
        self.serial += 1;
        let serial = self.serial * 10 + self.connector as u64;
        let every = self.plan.server.change_every;
        let after = self.users[user].change(now, serial, every, &mut bench.net.rng);
        if !self.is_quiet {
            bench.net.wake(self.id, after, Wake::Call(user));
        }
        if self.is_silent(now) || self.fault == Some(PlantedFault::MissesChanges) {
            return;
        }
        self.expire(bench);
        for at in 0..self.dialogs.len() {
            if self.dialogs[at].user == user {
                self.notify(at, bench);
            }
        }
    }

    /// Subscriptions that were not refreshed are gone.
    fn expire(&mut self, bench: &mut Bench) {
        let now = bench.net.now;
        self.dialogs.retain(|dialog| dialog.expires_at > now);
    }

    /// A message of the node.
    pub(crate) fn handle_message(&mut self, octets: &[u8], to: Destination, bench: &mut Bench) {
        let now = bench.net.now;
        if self.is_silent(now) {
            return;
        }
        let text = match Text::parse(octets) {
            Ok(text) => text,
            Err(fault) => return bench.checker.fail(now, "a malformed message", fault),
        };
        let access = match to {
            Destination::Address(address) => Access::Udp(address),
            Destination::Connection(id) => Access::Tcp(bench.net.peer_of(id), id),
        };
        match text.method() {
            Some("SUBSCRIBE") => self.handle_subscribe(&text, access, bench),
            Some(_) => bench.checker.fail(now, "an unexpected request", text.start),
            None => self.handle_response(&text, bench),
        }
    }

    /// The node opens a stream to it.
    pub(crate) fn accept(&mut self, shard: u16, bench: &mut Bench) -> Option<ConnectionId> {
        if self.is_silent(bench.net.now) || !self.plan.is_tcp {
            return None;
        }
        let id = bench.net.accept(self.id, shard, self.address);
        self.streams.push(id);
        Some(id)
    }

    /// Subscriptions of the node's process that runs, and that were not ended.
    pub(crate) fn left_behind(&self, now: Micros, process: u32) -> usize {
        let dialogs = self.dialogs.iter();
        let left = dialogs.filter(|it| it.process == process && it.expires_at > now);
        left.count()
    }
}
