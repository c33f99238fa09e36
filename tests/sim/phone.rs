//! A watcher: a phone with its keys, or an SBC with those of a whole office on one source port.
//!
//! It subscribes, refreshes (sometimes late), unsubscribes, fetches, responds to NOTIFYs (sometimes
//! slowly or wrongly), gets another port from its NAT, loses its stream, freezes, and reboots. It
//! checks everything that it receives, which tests the node from the remote end.

pub(crate) mod agent;
mod busy;
pub(crate) mod lists;
mod mischief;
mod notified;
mod restart;

use crate::documents::Shown;
use crate::network::{Access, ActorId, MILLISECOND, Micros, Net, SECOND, Wake};
use crate::phone::agent::Agent;
use crate::phone::busy::Busy;
use crate::phone::lists::{Line, Package, Rates, Target};
use crate::realm::{DOMAIN, ELSEWHERE, Realm, Watcher};
use crate::sip_text::{Request, Text};
use crate::uac::Uac;
use crate::upstream::plan::FIRST_USER;
use crate::world::Bench;
use lamplighter::shard::ConnectionId;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;

/// One key: its target, and its subscription, if any.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) target: Target,
    pub(crate) package: Package,
    pub(crate) rates: Rates,
    /// It only fetches, at times.
    fetches: bool,
    /// Whether it wants a subscription now.
    wanted: bool,
    pub(crate) dialog: Option<Dialog>,
}

/// A subscription as the phone knows it.
#[derive(Debug)]
pub(crate) struct Dialog {
    serial: u64,
    pub(crate) call_id: String,
    tag: String,
    remote_tag: Option<String>,
    target: String,
    cseq: u32,
    /// Whether a 2xx arrived.
    pub(crate) established: bool,
    pub(crate) expires_at: Micros,
    /// When the last 2xx arrived.
    pub(crate) granted_at: Micros,
    /// When its SUBSCRIBE was sent for the first time.
    pub(crate) asked_at: Micros,
    last_notify: Option<(u32, Option<u32>)>,
    pub(crate) shown: Option<Shown>,
    /// The state it shows of each resource of a list, in order.
    pub(crate) lines: Vec<Line>,
    /// The subscription is pending.
    pub(crate) is_pending: bool,
    /// NOTIFYs came from another fork than the 2xx: it may have refused those of the right one, until
    /// its next SUBSCRIBE.
    pub(crate) is_forked: bool,
    /// Whether its end was notified while the phone was busy.
    pub(crate) missed_end: bool,
    /// Whether the phone has abandoned it, but still responds to its NOTIFYs.
    over: bool,
    agent: Agent,
}

/// The purpose of a SUBSCRIBE.
#[derive(Debug)]
struct Asked {
    key: usize,
    serial: u64,
    cseq: u32,
    expires: u64,
    /// When it was sent for the first time.
    at: Micros,
}

/// A phone.
#[derive(Debug)]
pub(crate) struct Phone {
    id: ActorId,
    user: String,
    domain: &'static str,
    access: Access,
    uac: Uac<Asked>,
    pub(crate) keys: Vec<Key>,
    /// Dialogs that have ended but may still get a NOTIFY.
    ended: VecDeque<Dialog>,
    /// Responses by branch, with their time, for retransmitted NOTIFYs.
    responses: VecDeque<(Micros, String, Rc<[u8]>)>,

    expires: u64,
    /// Delay of its responses.
    slowness: Micros,
    /// The Contact; behind a NAT it is an unreachable address.
    natted: bool,
    contact_generation: u32,
    frozen_until: Micros,
    busy: Busy,
    /// When the network around it last changed.
    pub(crate) moved_at: Micros,
    /// It froze and may have missed a NOTIFY that is not retransmitted before Timer F.
    pub(crate) troubled_until: Micros,
    serials: u64,
    /// Stops all misbehaviour; with `leaving` also new subscriptions.
    pub(crate) calm: bool,
    leaving: bool,
}

/// A presentity to watch; with PBXs every other one is a user of them.
fn a_presentity(net: &mut Net) -> usize {
    match &net.plan.upstream {
        Some(plan) if net.rng.chance(500) => FIRST_USER + net.rng.below(plan.users as u64) as usize,
        _ => net.rng.below(net.plan.presentities as u64) as usize,
    }
}

impl Dialog {
    /// Its name in reports of the judges.
    pub(crate) fn key(&self) -> String {
        let remote_tag = self.remote_tag.as_deref().unwrap_or_default();
        [&self.call_id, &self.tag, remote_tag].join(" ")
    }

    /// Drops what NOTIFYs of a fork brought.
    fn leave_fork(&mut self) {
        self.last_notify = None;
        self.shown = None;
        self.lines.clear();
        self.is_pending = false;
        self.is_forked = true;
    }

    /// Returns whether a NOTIFY arrived.
    pub(crate) fn was_notified(&self) -> bool {
        self.last_notify.is_some()
    }
}

impl Phone {
    /// A phone with that many keys, which subscribe over the next seconds.
    pub(crate) fn new(id: ActorId, keys: usize, is_sbc: bool, bench: &mut Bench) -> Self {
        let net = &mut bench.net;
        let address = net.bind(id, None);
        let tcp = !is_sbc && net.rng.chance(net.plan.tcp);
        let access = if tcp {
            Access::Tcp(address, net.connect(id, address))
        } else {
            Access::Udp(address)
        };
        let mut phone = Self {
            id,
            user: format!("w{id}"),
            domain: if net.rng.chance(150) {
                ELSEWHERE
            } else {
                DOMAIN
            },
            access,
            uac: Uac::new(id),
            keys: Vec::new(),
            ended: VecDeque::new(),
            responses: VecDeque::new(),
            expires: net
                .rng
                .between(net.plan.expires_asked_min, net.plan.expires_max),
            slowness: if net.rng.chance(150) {
                net.rng.between(1, 4) * SECOND
            } else {
                5 * MILLISECOND
            },
            natted: net.rng.chance(650),
            contact_generation: 0,
            frozen_until: 0,
            busy: Busy::default(),
            moved_at: 0,
            troubled_until: 0,
            serials: 0,
            calm: false,
            leaving: false,
        };
        let spread = if is_sbc {
            100 * MILLISECOND
        } else {
            5 * SECOND
        };
        for at in 0..keys {
            let package = if net.rng.chance(700) {
                Package::Dialog
            } else {
                Package::Presence
            };
            let presentity = a_presentity(net);
            let fetches = net.rng.chance(80);
            let rates = Rates::pick(net);
            phone.keys.push(Key {
                target: Target::One(presentity),
                package,
                rates,
                fetches,
                wanted: true,
                dialog: None,
            });
            let after = net.rng.below(spread);
            net.wake(id, after, Wake::Subscribe(at));
        }
        if !is_sbc && net.rng.chance(net.plan.lists) {
            phone.add_list(net);
        }
        let after = net.rng.below(2 * net.plan.mischief_every);
        net.wake(id, after, Wake::Act);
        phone
    }

    /// The watcher as seen by policies.
    pub(crate) fn watcher(&self) -> Watcher<'_> {
        Watcher {
            user: &self.user,
            domain: self.domain,
        }
    }

    /// It responds within this time, if it responds.
    pub(crate) fn slowness(&self) -> Micros {
        self.slowness
    }

    pub(crate) fn handle_wake(&mut self, wake: Wake, bench: &mut Bench) {
        let now = bench.net.now;
        if now < self.frozen_until {
            // Timers that fire while it is frozen are handled when it resumes.
            if !matches!(wake, Wake::Response(_)) {
                let after = self.frozen_until - now + bench.net.rng.below(SECOND);
                bench.net.wake(self.id, after, wake);
            }
            return;
        }
        match wake {
            Wake::Transaction(number) => {
                if let Some(exchange) = self.uac.wake(&mut bench.net, self.access, number) {
                    self.handle_silence(exchange.purpose, bench);
                }
            }
            Wake::Subscribe(key) => self.subscribe(key, bench),
            Wake::Refresh { key, serial } => self.refresh(key, serial, bench),
            Wake::Replace { key, serial } => self.replace(key, serial, bench),
            Wake::Response(octets) => self.send(octets, bench),
            Wake::Act => self.mischief(bench),
            Wake::Renew { .. } | Wake::Call(_) => {}
        }
    }

    pub(crate) fn handle_message(&mut self, octets: &[u8], bench: &mut Bench) {
        if bench.net.now < self.frozen_until {
            return;
        }
        let text = match Text::parse(octets) {
            Ok(text) => text,
            Err(fault) => {
                let detail = format!("{fault}: {}", String::from_utf8_lossy(octets));
                return bench
                    .checker
                    .fail(bench.net.now, "a malformed message", detail);
            }
        };
        match text.method() {
            Some("NOTIFY") => self.handle_notify(&text, bench),
            Some(_) => bench
                .checker
                .fail(bench.net.now, "an unexpected request", text.start),
            None => self.handle_response(&text, bench),
        }
    }

    /// The stream ended: the phone reconnects and, if it is of that kind, subscribes again.
    pub(crate) fn handle_closed(&mut self, bench: &mut Bench) {
        self.reconnect(bench);
        if bench.net.rng.chance(500) {
            self.forget_everything(bench);
        } else {
            for key in 0..self.keys.len() {
                if let Some(dialog) = &self.keys[key].dialog {
                    let (serial, after) = (dialog.serial, bench.net.rng.below(2 * SECOND));
                    bench
                        .net
                        .wake(self.id, after, Wake::Refresh { key, serial });
                }
            }
        }
    }

    /// The node opens a stream to it. It listens at the address that its Contact names, unless it is
    /// frozen or about to end; this is its stream from now on.
    pub(crate) fn accept(
        &mut self,
        shard: u16,
        address: SocketAddr,
        bench: &mut Bench,
    ) -> Option<ConnectionId> {
        let is_there = bench.net.now >= self.frozen_until && !self.natted;
        let Access::Tcp(own, connection) = self.access else {
            return None;
        };
        let listens = is_there && own == address && !bench.net.is_open(connection);
        if !listens || !self.calm && bench.net.rng.chance(300) {
            return None;
        }
        let connection = bench.net.accept(self.id, shard, address);
        self.access = Access::Tcp(address, connection);
        Some(connection)
    }

    /// Its stream was refused: it tries again, unless it has another by now.
    pub(crate) fn handle_refused(&mut self, bench: &mut Bench) {
        if let Access::Tcp(_, connection) = self.access
            && !bench.net.is_open(connection)
        {
            self.handle_closed(bench);
        }
    }

    /// The run ends: some phones unsubscribe, some go silent, some let their subscriptions expire.
    pub(crate) fn leave(&mut self, bench: &mut Bench) {
        self.leaving = true;
        match bench.net.rng.below(3) {
            0 => {
                for key in 0..self.keys.len() {
                    self.unsubscribe(key, bench);
                }
            }
            1 => self.frozen_until = Micros::MAX / 2,
            _ => {}
        }
        for key in &mut self.keys {
            key.wanted = false;
        }
    }

    // Subscribing.

    fn subscribe(&mut self, at: usize, bench: &mut Bench) {
        let key = &mut self.keys[at];
        let alive = key.dialog.is_some() || self.uac.any(|asked| asked.key == at);
        if !key.wanted || self.leaving || alive {
            return;
        }
        self.serials += 1;
        let (serial, random) = (self.serials, bench.net.rng.next());
        let uri = key.target.uri(random & 7 == 0);
        key.dialog = Some(Dialog {
            serial,
            call_id: format!("{:x}.{serial}@w{}", random >> 16, self.id),
            tag: format!("p{:x}", random >> 32),
            remote_tag: None,
            target: uri,
            cseq: (random & 0xffff) as u32,
            established: false,
            expires_at: 0,
            granted_at: 0,
            asked_at: 0,
            last_notify: None,
            shown: None,
            lines: Vec::new(),
            is_pending: false,
            is_forked: false,
            missed_end: false,
            over: false,
            agent: Agent::of(&self.user),
        });
        let expires = if key.fetches { 0 } else { self.expires };
        self.ask(at, expires, bench);
    }

    fn refresh(&mut self, at: usize, serial: u64, bench: &mut Bench) {
        let established = |dialog: &Dialog| dialog.serial == serial && dialog.established;
        let lives = self.keys[at].dialog.as_ref().is_some_and(established);
        let waiting = self.uac.any(|asked| asked.serial == serial);
        if lives && !waiting && !self.leaving {
            self.ask(at, self.expires, bench);
        }
    }

    fn unsubscribe(&mut self, at: usize, bench: &mut Bench) {
        let key = &mut self.keys[at];
        if key.dialog.as_ref().is_some_and(|dialog| dialog.established) {
            self.ask(at, 0, bench);
            let key = &mut self.keys[at];
            let mut dialog = key.dialog.take().unwrap();
            dialog.over = true;
            self.bury(dialog);
        }
    }

    /// Sends a SUBSCRIBE in the key's dialog.
    fn ask(&mut self, at: usize, expires: u64, bench: &mut Bench) {
        let net = &mut bench.net;
        self.repair_stream(net);
        let (contact, via) = (self.contact(), self.via());
        let agent = Agent::of(&self.user);
        let key = &mut self.keys[at];
        let Some(dialog) = &mut key.dialog else {
            return;
        };
        dialog.cseq += 1;
        let to = key.target.uri(false);
        let headers = format!(
            "Contact: <{contact}>\r\nEvent: {}{}\r\nAccept: {}\r\n{}Expires: {expires}\r\nUser-Agent: {}\r\n",
            key.package.token(),
            key.rates.parameters(),
            key.package.accept(),
            key.target.headers(),
            agent.name(),
        );
        let branch = self.uac.branch(net);
        let request = Request {
            method: "SUBSCRIBE",
            uri: &dialog.target,
            via: &via,
            branch: &branch,
            from: &format!("sip:{}@{}", self.user, self.domain),
            from_tag: &dialog.tag,
            to: &to,
            to_tag: dialog.remote_tag.as_deref().filter(|_| dialog.established),
            call_id: &dialog.call_id,
            cseq: dialog.cseq,
            headers: &headers,
            content_type: "",
            body: "",
        };
        let octets = request.write();
        let asked = Asked {
            key: at,
            serial: dialog.serial,
            cseq: dialog.cseq,
            expires,
            at: net.now,
        };
        self.uac.start(net, self.access, branch, octets, asked);
    }

    fn handle_response(&mut self, text: &Text<'_>, bench: &mut Bench) {
        let (now, status) = (bench.net.now, text.status().unwrap_or(0));
        if status < 200 {
            return;
        }
        let Some(exchange) = self.uac.finish(text.branch().unwrap_or_default()) else {
            return;
        };
        let asked = exchange.purpose;
        if text.cseq() != Some((asked.cseq, "SUBSCRIBE")) {
            return bench
                .checker
                .fail(now, "a response with another CSeq", text.start);
        }
        match status {
            200..=299 => self.handle_granted(&asked, text, bench),
            423 => {
                let min = text
                    .number("Min-Expires")
                    .filter(|min| *min > asked.expires);
                let Some(min) = min else {
                    return bench.checker.fail(
                        now,
                        "423 without a greater Min-Expires",
                        text.start,
                    );
                };
                self.expires = self.expires.max(min);
                self.restart(&asked, 10 * MILLISECOND, bench);
            }
            481 => self.restart(&asked, 200 * MILLISECOND, bench),
            503 if self.has_live(&asked) && now >= bench.net.troubled_until => {
                (bench.checker).fail(now, "a refresh is refused by overload control", text.start)
            }
            // A refresh overtaken by the next, or an overloaded node.
            500 | 503 => self.retry(&asked, bench),
            482 => self.restart(&asked, SECOND, bench),
            403 => self.handle_forbidden(&asked, bench),
            _ => bench
                .checker
                .fail(now, "a SUBSCRIBE is refused without a reason", text.start),
        }
    }

    /// Refused by policy: tries again later, because policies change.
    fn handle_forbidden(&mut self, asked: &Asked, bench: &mut Bench) {
        let now = bench.net.now;
        let user = self.keys[asked.key].target.user();
        let realms = &bench.realms;
        let admits = |realm: &Realm| realm.admits(self.watcher(), &user);
        if realms.during(asked.at, now).all(admits) {
            let detail = format!("{:?} for {user}", self.watcher());
            bench
                .checker
                .fail(now, "a subscription is refused without a rule", detail);
        }
        let after = bench.net.rng.between(2, 8) * SECOND;
        self.restart(asked, after, bench);
    }

    fn handle_granted(&mut self, asked: &Asked, text: &Text<'_>, bench: &mut Bench) {
        let now = bench.net.now;
        let Some(granted) = text.number("Expires") else {
            return bench.checker.fail(now, "a 2xx without Expires", text.start);
        };
        let (Some(tag), Some(target)) = (text.tag("To"), text.uri("Contact")) else {
            return bench
                .checker
                .fail(now, "a 2xx without To-tag or Contact", text.start);
        };
        if granted > asked.expires {
            return bench
                .checker
                .fail(now, "granted a longer expiry than requested", text.start);
        }
        let Some(dialog) = self.keys[asked.key]
            .dialog
            .as_mut()
            .filter(|dialog| dialog.serial == asked.serial)
        else {
            return;
        };
        if dialog
            .remote_tag
            .as_deref()
            .is_some_and(|known| known != tag)
        {
            // Another fork of a SUBSCRIBE that reached the node twice; its NOTIFYs get 481.
            if dialog.established {
                return;
            }
            // What was notified came from a fork that never got a 2xx.
            dialog.leave_fork();
        }
        dialog.is_forked &= !dialog.established;
        dialog.remote_tag = Some(tag.to_owned());
        dialog.target = target.to_owned();
        dialog.established = true;
        dialog.granted_at = now;
        dialog.asked_at = asked.at;
        dialog.expires_at = now + granted * SECOND;
        if asked.expires == 0 {
            let dialog = self.keys[asked.key].dialog.take().unwrap();
            self.bury(dialog);
            if !self.calm {
                let after = bench.net.rng.between(5, 30) * SECOND;
                bench.net.wake(self.id, after, Wake::Subscribe(asked.key));
            }
            return;
        }
        let rng = &mut bench.net.rng;
        // Some refresh early, some at the last moment, some too late.
        let late = !self.calm && rng.chance(50);
        let after = if late {
            granted * SECOND + rng.below(bench.net.plan.expiry_grace + 5 * SECOND)
        } else {
            granted * SECOND * rng.between(50, 90) / 100
        };
        bench.net.wake(
            self.id,
            after,
            Wake::Refresh {
                key: asked.key,
                serial: asked.serial,
            },
        );
    }

    /// A SUBSCRIBE timed out.
    fn handle_silence(&mut self, asked: Asked, bench: &mut Bench) {
        let now = bench.net.now;
        let is_there = now > self.troubled_until && asked.at > self.moved_at;
        if bench.net.is_sound() && is_there && !self.access.is_reliable() {
            let detail = format!("{asked:?}");
            (bench.checker).fail(now, "a SUBSCRIBE gets no response", detail);
        }
        let key = &mut self.keys[asked.key];
        match &mut key.dialog {
            Some(dialog) if dialog.serial == asked.serial => {
                if dialog.established && now < dialog.expires_at {
                    bench.net.wake(
                        self.id,
                        2 * SECOND,
                        Wake::Refresh {
                            key: asked.key,
                            serial: asked.serial,
                        },
                    );
                } else {
                    self.restart(&asked, 2 * SECOND, bench);
                }
            }
            _ => bench
                .net
                .wake(self.id, 2 * SECOND, Wake::Subscribe(asked.key)),
        }
    }

    /// The dialog is lost: begins a new one after a while.
    fn restart(&mut self, asked: &Asked, after: Micros, bench: &mut Bench) {
        let key = &mut self.keys[asked.key];
        if key
            .dialog
            .as_ref()
            .is_some_and(|dialog| dialog.serial == asked.serial)
        {
            key.dialog = None;
        }
        bench.net.wake(self.id, after, Wake::Subscribe(asked.key));
    }

    fn retry(&mut self, asked: &Asked, bench: &mut Bench) {
        let Some(dialog) = &self.keys[asked.key].dialog else {
            return;
        };
        if dialog.established {
            bench.net.wake(
                self.id,
                SECOND,
                Wake::Refresh {
                    key: asked.key,
                    serial: asked.serial,
                },
            );
        } else {
            self.restart(asked, SECOND, bench);
        }
    }

    fn bury(&mut self, dialog: Dialog) {
        self.ended.push_back(dialog);
        if self.ended.len() > 64 {
            self.ended.pop_front();
        }
    }

    /// Makes sure that there is a stream before a request leaves over it.
    fn repair_stream(&mut self, net: &mut Net) {
        if let Access::Tcp(_, connection) = self.access
            && !net.is_open(connection)
        {
            let address = net.bind(self.id, Some(net.peer_of(connection)));
            self.access = Access::Tcp(address, net.connect(self.id, address));
            self.moved_at = net.now;
        }
    }

    fn reconnect(&mut self, bench: &mut Bench) {
        self.repair_stream(&mut bench.net);
    }

    fn contact(&self) -> String {
        let (address, transport) = match self.access {
            Access::Udp(address) => (address, ""),
            Access::Tcp(address, _) => (address, ";transport=tcp"),
        };
        let host = if self.natted {
            format!("192.168.1.{}:5060", self.id)
        } else {
            address.to_string()
        };
        let generation = self.contact_generation;
        format!("sip:{}@{host};line={generation}{transport}", self.user)
    }

    fn via(&self) -> String {
        match self.access {
            Access::Udp(_) => format!("UDP 192.168.1.{}:5060", self.id),
            Access::Tcp(..) => format!("TCP 192.168.1.{}:5060", self.id),
        }
    }
}
