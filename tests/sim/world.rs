//! One run: the shards of one node, their peers, the network between them, and the judges.
//!
//! Phases: chaos (everything goes wrong) · calm (the network is good, phones behave, sources go on:
//! every healthy watcher must show changes within seconds) · silence (no more changes: every live
//! watcher shows the composed state) · farewell (all peers leave in various ways, and the node must
//! drop all their state).

mod crash;
mod early;
mod judge;
mod lists;
mod node;
mod operator;
mod plot;
mod records;
mod summary;
mod upstreams;
mod watchers;

use crate::clock::Clocks;
use crate::crash_plan::CrashPlan;
use crate::invariants::{Bounds, Checker, NotifyResponse, Violation};
use crate::looper::Looper;
use crate::model::Model;
use crate::network::{ActorId, Event, Micros, Net, SECOND, Wake};
use crate::phone::Phone;
use crate::plan::Plan;
use crate::publisher::Source;
use crate::random::Rng;
use crate::realm::{DOMAIN, Realm, Realms};
use crate::sip_text::Text;
use crate::store::{Row, Store};
use crate::trace::{Trace, Words};
use crate::upstream::Upstream;
use early::Early;
use judge::dialog_key;
use lamplighter::presence::Aor;
use lamplighter::presence::source::StateUpdate;
use lamplighter::presence::wall_clock::WallClock;
use lamplighter::shard::{
    Command, CommandId, Dial, Flow, Input, Mail, Outbox, RecordKey, Reply, Shard,
};
use lamplighter::sip::Transport;
use lamplighter::sip::message::PlainResponse;
use lists::ListRecord;
use node::core;
use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};
use summary::{mail_summary, summary};
use upstreams::{Link, Watched};

/// Maximum timer events of one shard in one instant; more means that a timer rearms itself
/// endlessly.
const SPIN_MAX: u32 = 100_000;

/// The network and the judges: the part of a run that peers may use.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) net: Net,
    pub(crate) checker: Checker,
    pub(crate) model: Model,
    pub(crate) realms: Realms,
}

/// The URI of a presentity; `shouting` gives an equal URI with a different spelling.
pub(crate) fn presentity_uri(presentity: usize, shouting: bool) -> String {
    let domain = if shouting { "EXAMPLE.com" } else { DOMAIN };
    format!("sip:{}@{domain}", 100 + presentity)
}

fn aor_of(presentity: usize) -> Aor {
    Aor::new(&(100 + presentity).to_string(), DOMAIN)
}

/// The presentity a URI names.
fn presentity_of(uri: &str) -> Option<usize> {
    let user = uri.strip_prefix("sip:")?.split('@').next()?;
    user.parse::<usize>().ok()?.checked_sub(100)
}

#[derive(Debug)]
enum Actor {
    Phone(Box<Phone>),
    Source(Box<Source>),
    Looper(Looper),
    /// Makes statements that are not made by SIP.
    Operator,
    /// Edits the configuration.
    Administrator,
    Upstream(Box<Upstream>),
    /// Starts and stops connectors.
    Manager,
}

/// One shard and the state of its driver.
#[derive(Debug)]
struct Core {
    shard: Shard,
    generation: u64,
    armed_at: Option<Micros>,
    spins: (Micros, u32),
}

/// The input that a shard is handling.
#[derive(Clone, Debug)]
enum Context {
    Other,
    /// A timeout.
    Timeout,
    /// Octets from another shard, to be written to a stream.
    Relay(Box<[u8]>),
    /// A PUBLISH, by Call-ID and CSeq, and its length.
    Publish((String, u32), usize),
    /// A PUBLISH as mail to its owner.
    PublishMail((String, u32)),
    /// A statement that is not made by SIP.
    Statement(CommandId, usize, StateUpdate),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Chaos,
    Calm,
    Silence,
    Farewell,
    /// A query for the sizes of the tables.
    Audit,
}

/// A command, kept to judge its reply.
#[derive(Debug)]
enum Asked {
    /// A statement, and the change that it made.
    StateUpdate(usize, StateUpdate, Option<(usize, u64)>),
    Reload,
    Watchers,
    Why(usize),
    Drain,
    Counters,
    /// An order to a connector.
    Order,
    Connectors,
    /// The users of the connector at that place.
    ConnectorUsers(usize),
}

/// The summary of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) hash: u64,
    pub(crate) violation: Option<Violation>,
    pub(crate) notifies: u64,
    pub(crate) publications: u64,
    pub(crate) dialogs: usize,
    pub(crate) judged: u64,
    pub(crate) lists: u64,
    pub(crate) rejections: u64,
    /// Requests of looping phones that were refused.
    pub(crate) shed: u64,
    /// Octets of NOTIFYs to addresses that never proved themselves.
    pub(crate) unproven_octets: u64,
    pub(crate) crashes: u64,
    /// Records that came back after crashes.
    pub(crate) recovered: u64,
    /// Recovered subscriptions that got no NOTIFY, and those that got one.
    pub(crate) known: u64,
    pub(crate) notified_again: u64,
    /// Dialogs that came back early because a request waited for them, and how many of these requests
    /// ended a subscription.
    pub(crate) wanted: u64,
    pub(crate) ended_early: u64,
    /// PUBLISHes that waited until all presentities were back.
    pub(crate) publishes_waited: u64,
    /// Subscriptions that were active when a node crashed, and how many of them were notified first
    /// without a SUBSCRIBE.
    pub(crate) continued: u64,
    pub(crate) notified_unasked: u64,
    /// NOTIFYs of PBXs that were accepted.
    pub(crate) heard: u64,
    /// How often what a connector said was compared with what is true there, and how often its reports were.
    pub(crate) news_judged: u64,
    pub(crate) reports_judged: u64,
}

/// Runs one plan from beginning to end.
pub(crate) fn run(plan: Plan, words: Words) -> Outcome {
    let mut world = World::new(plan, words);
    while world.bench.checker.violations.is_empty() {
        let Some(event) = world.bench.net.next() else {
            break;
        };
        world.handle(event);
        if world.is_over || world.bench.net.now >= world.bench.net.plan.ends_at {
            break;
        }
    }
    let shed = world.actors.iter().map(|actor| match actor {
        Actor::Looper(looper) => looper.shed,
        _ => 0,
    });
    let shed = shed.sum();
    world.count_notified();
    world.judge_amplification();
    let World {
        bench,
        judged,
        list_notifies,
        rejections,
        crashes,
        recovered,
        known,
        notified_again,
        wanted,
        ended_early,
        early,
        news_judged,
        reports_judged,
        ..
    } = world;
    Outcome {
        hash: bench.net.trace.hash(),
        violation: bench.checker.violations.first().cloned(),
        notifies: bench.checker.notifies,
        publications: bench.model.taken_count,
        dialogs: bench.checker.dialogs(),
        judged,
        lists: list_notifies,
        rejections,
        shed,
        unproven_octets: bench.checker.amplification.unproven_octets(),
        crashes,
        recovered,
        known,
        notified_again,
        wanted,
        ended_early,
        publishes_waited: early.publishes_waited(),
        continued: bench.checker.continued,
        notified_unasked: bench.checker.notified_unasked,
        heard: bench.model.upstreams.accepted,
        news_judged,
        reports_judged,
    }
}

#[derive(Debug)]
struct World {
    bench: Bench,
    cores: Vec<Core>,
    actors: Vec<Actor>,
    start: Instant,
    outbox: Outbox,
    phase: Phase,
    /// PUBLISHes that wait for their owner, by the shard that waits and its number for them.
    waiting: HashMap<(u16, u64), (String, u32)>,
    /// Postponed PUBLISHes, by shard, in order.
    postponed: Vec<VecDeque<(String, u32)>>,
    commands: HashMap<CommandId, Asked>,
    /// The state notified in each list subscription, and which of them are notified as lists.
    lists: HashMap<String, ListRecord>,
    required: HashSet<String>,
    /// Call-IDs in the reports of watchers, and how often they occurred.
    reported: HashMap<String, u32>,
    reports_due: Vec<String>,
    /// How often a watcher's lamp was compared with the model.
    judged: u64,
    /// NOTIFYs of lists, and those by which the rules ended a subscription.
    list_notifies: u64,
    rejections: u64,
    is_over: bool,
    store: Store,
    clocks: Clocks,
    /// The records that still have to come back after a crash.
    recovery: VecDeque<(RecordKey, Row)>,
    early: Early,
    /// When they were all back.
    recovered_at: Micros,
    /// The presentity of each number, and our tag of the dialog at each place, as recorded.
    recorded: HashMap<u64, usize>,
    recorded_tags: HashMap<u32, String>,
    crashes: u64,
    recovered: u64,
    /// Recovered subscriptions that got no NOTIFY, and those that got one.
    known: u64,
    notified_again: u64,
    /// Dialogs that a shard asked for, and un-SUBSCRIBEs that were accepted before all records were back.
    wanted: u64,
    ended_early: u64,
    /// The connectors, and who watches their users.
    links: Vec<Link>,
    watched: Vec<Watched>,
    news_judged: u64,
    reports_judged: u64,
}

impl World {
    fn new(plan: Plan, words: Words) -> Self {
        let bounds = Bounds {
            grace: plan.expiry_grace,
            pace: plan.pace_max(),
            interval: plan.notify_interval(),
            propagation: plan.propagation_max(),
            hold: plan.store.as_ref().map_or(0, CrashPlan::hold_max),
            is_allowance_small: plan.is_allowance_small(),
        };
        let start = Instant::now();
        let mut rng = Rng::new(plan.seed ^ 0x6564_6974);
        let realm = Realm::new(&plan, &mut rng);
        let directory = realm.directory(&plan);
        let clock = WallClock {
            at: start,
            unix_milliseconds: 0,
        };
        let clocks = Clocks::new(plan.seed);
        let cores = (0..plan.shards)
            .map(|id| core(id, &plan, (start, 0, 0), clock, &directory))
            .collect();
        let postponed = vec![VecDeque::new(); plan.shards.into()];
        let bench = Bench {
            model: Model::new(
                plan.presentities,
                plan.style,
                plan.orbits,
                plan.upstream.as_ref(),
            ),
            checker: Checker::new(bounds),
            realms: Realms::new(realm),
            net: Net::new(plan, Trace::new(words)),
        };
        let mut world = Self {
            bench,
            cores,
            actors: Vec::new(),
            start,
            outbox: Outbox::default(),
            phase: Phase::Chaos,
            waiting: HashMap::new(),
            postponed,
            commands: HashMap::new(),
            lists: HashMap::new(),
            required: HashSet::new(),
            reported: HashMap::new(),
            reports_due: Vec::new(),
            judged: 0,
            list_notifies: 0,
            rejections: 0,
            is_over: false,
            store: Store::default(),
            clocks,
            recovery: VecDeque::new(),
            early: Early::default(),
            recovered_at: 0,
            recorded: HashMap::new(),
            recorded_tags: HashMap::new(),
            crashes: 0,
            recovered: 0,
            known: 0,
            notified_again: 0,
            wanted: 0,
            ended_early: 0,
            links: Vec::new(),
            watched: Vec::new(),
            news_judged: 0,
            reports_judged: 0,
        };
        world.store.open(world.cores.len() as u16);
        world.add_upstreams();
        for shard in 0..world.cores.len() {
            world.reread(shard as u16);
        }
        world.populate();
        world
    }

    fn populate(&mut self) {
        let plan = self.bench.net.plan.clone();
        for _ in 0..plan.phones {
            let keys = self.bench.net.rng.between(1, plan.keys_per_phone_max) as usize;
            let phone = Phone::new(self.actors.len(), keys, false, &mut self.bench);
            self.actors.push(Actor::Phone(Box::new(phone)));
        }
        if plan.storm > 0 {
            let phone = Phone::new(self.actors.len(), plan.storm, true, &mut self.bench);
            self.actors.push(Actor::Phone(Box::new(phone)));
        }
        let sources = self.bench.net.rng.between(1, 4);
        for _ in 0..sources {
            let is_client = self.bench.net.rng.chance(350);
            let source = Source::new(self.actors.len(), is_client, &mut self.bench);
            self.actors.push(Actor::Source(Box::new(source)));
        }
        if plan.has_looper {
            let looper = Looper::new(self.actors.len(), &mut self.bench);
            self.actors.push(Actor::Looper(looper));
        }
        if self.bench.net.rng.chance(600) {
            self.bench
                .net
                .wake(self.actors.len(), 3 * SECOND, Wake::Act);
            self.actors.push(Actor::Operator);
        }
        if plan.edit_every > 0 {
            let after = self.bench.net.rng.below(plan.edit_every);
            self.bench.net.wake(self.actors.len(), after, Wake::Act);
            self.actors.push(Actor::Administrator);
        }
        self.bench.net.schedule(SECOND, Event::Sweep);
        self.bench.net.schedule(plan.chaos, Event::Phase);
        self.schedule_crashes();
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::ToShard {
                shard,
                flow,
                octets,
            } => match self.bench.net.arrival(shard, &flow) {
                Some(shard) => self.reach_shard(shard, flow, &octets),
                None => self.note(&octets, || format!("lost: {}", summary(&octets))),
            },
            Event::Closed { shard, connection } => {
                self.note(&[], || {
                    format!("shard {shard}: stream {} closed", connection.number)
                });
                let now = self.bench.net.now;
                self.bench.checker.stream_closed(now, connection);
                self.give(shard, Input::Closed(connection), &Context::Other);
            }
            Event::Dialed { shard, dial } => self.connect(shard, dial),
            Event::Routed { shard, link, flows } => {
                self.note(&[], || format!("shard {shard} <- {link:?} at {flows:?}"));
                self.give(shard, Input::Routed(link, &flows), &Context::Other);
            }
            Event::Mail { from, to, mail } => self.deliver_mail(from, to, mail),
            Event::Command {
                shard,
                token,
                command,
            } => self.command(shard, token, command),
            Event::Commit => self.commit(),
            Event::Durable { shard, number } => {
                self.note(&[], || format!("shard {shard} <- durable {number}"));
                self.give(shard, Input::Durable(number), &Context::Other);
            }
            Event::Crash => self.crash(),
            Event::Start => self.start(),
            Event::Recover => self.recover(),
            Event::Bring { place } => self.bring(place),
            Event::ShardTimer { shard, generation } => self.shard_timer(shard, generation),
            Event::ToPeer { to, octets } => {
                let Some(actor) = self.bench.net.receiver(to) else {
                    return;
                };
                self.note(&octets, || format!("actor {actor} <- {}", summary(&octets)));
                match &mut self.actors[actor] {
                    Actor::Phone(phone) => phone.handle_message(&octets, &mut self.bench),
                    Actor::Source(source) => source.handle_message(&octets, &mut self.bench),
                    Actor::Looper(looper) => looper.handle_message(&octets, &mut self.bench),
                    Actor::Upstream(upstream) => {
                        upstream.handle_message(&octets, to, &mut self.bench);
                    }
                    Actor::Operator | Actor::Administrator | Actor::Manager => {}
                }
            }
            Event::Wake { actor, wake } => self.wake(actor, wake),
            Event::PeerClosed(actor) => {
                self.note(&[], || format!("actor {actor}: stream closed"));
                if let Actor::Phone(phone) = &mut self.actors[actor] {
                    phone.handle_closed(&mut self.bench);
                }
            }
            Event::PeerRefused(actor) => {
                self.bench.net.note_refused(actor);
                if let Actor::Phone(phone) = &mut self.actors[actor] {
                    phone.handle_refused(&mut self.bench);
                }
            }
            Event::Sweep => self.sweep(),
            Event::Phase => self.next_phase(),
        }
    }

    fn note(&mut self, octets: &[u8], words: impl FnOnce() -> String) {
        let now = self.bench.net.now;
        self.bench.net.trace.note(now, octets, words);
    }

    fn fail(&mut self, invariant: &'static str, detail: impl Into<String>) {
        let now = self.bench.net.now;
        self.bench.checker.fail(now, invariant, detail);
    }

    fn wake(&mut self, actor: ActorId, wake: Wake) {
        match &mut self.actors[actor] {
            Actor::Phone(phone) => phone.handle_wake(wake, &mut self.bench),
            Actor::Source(source) => source.handle_wake(wake, &mut self.bench),
            Actor::Looper(looper) => looper.handle_wake(&mut self.bench),
            Actor::Operator => self.operate(actor),
            Actor::Administrator => self.edit(actor),
            Actor::Upstream(upstream) => upstream.handle_wake(wake, &mut self.bench),
            Actor::Manager => self.manage(actor),
        }
    }

    // The shards.

    /// A stream that a shard opens reaches a phone that listens there, or fails.
    fn connect(&mut self, shard: u16, dial: Dial) {
        let actor = self.bench.net.listener_at(dial.peer);
        let phone = actor.and_then(|actor| match &mut self.actors[actor] {
            Actor::Phone(phone) => phone.accept(shard, dial.peer, &mut self.bench),
            Actor::Upstream(upstream) => upstream.accept(shard, &mut self.bench),
            _ => None,
        });
        self.note(&[], || {
            format!("shard {shard} dials {}: {phone:?}", dial.peer)
        });
        let input = match phone {
            Some(connection) => {
                let flow = dial.flow(connection);
                self.bench.checker.stream_dialed(flow);
                Input::Dialed(dial.id, flow)
            }
            None => Input::DialFailed(dial.id),
        };
        self.give(shard, input, &Context::Other);
    }

    fn reach_shard(&mut self, shard: u16, flow: Flow, octets: &Rc<[u8]>) {
        self.note(octets, || {
            format!("shard {shard} <- {} from {}", summary(octets), flow.peer)
        });
        let context = match Text::parse(octets) {
            Ok(text) => {
                if flow.transport == Transport::Udp {
                    self.bench.checker.amplification.received(&text, flow.peer);
                }
                // Messages over these streams may have been sent there.
                if text.tag("To").is_some() || text.one("Authorization").is_some() {
                    self.bench.checker.paths.note_proof(flow.peer);
                }
                self.before(&text)
            }
            Err(fault) => {
                self.fail("the simulation wrote a broken message", fault);
                return;
            }
        };
        let bytes = &**octets;
        // As delivered by the framing of a stream.
        let response = PlainResponse::cut(bytes).filter(|_| flow.transport.is_reliable());
        let input = match response {
            Some((response, _)) => Input::Response {
                flow,
                bytes,
                response,
            },
            None => Input::Message { flow, bytes },
        };
        self.give(shard, input, &context);
    }

    /// Informs the judges before a shard handles a message.
    fn before(&mut self, text: &Text<'_>) -> Context {
        let now = self.bench.net.now;
        let Some((cseq, method)) = text.cseq() else {
            return Context::Other;
        };
        match (text.status(), method) {
            (Some(status), "NOTIFY") => {
                // In a response to our NOTIFY we are From, the phone is To.
                let key = dialog_key(text, "To", "From");
                let response = NotifyResponse {
                    status,
                    retry_after: text.one("Retry-After").and_then(|it| it.parse().ok()),
                };
                self.bench
                    .checker
                    .notify_response(now, &key, cseq, response);
                Context::Other
            }
            (None, "PUBLISH") => {
                let length = text.octets;
                Context::Publish((text.call_id().to_owned(), cseq), length)
            }
            _ => Context::Other,
        }
    }

    fn deliver_mail(&mut self, from: u16, to: u16, mail: Mail) {
        self.note(&[to as u8], || {
            format!("shard {to} <- mail of {from}: {}", mail_summary(&mail))
        });
        let context = match &mail {
            // It was judged when it left its own shard.
            Mail::Transmit { bytes, .. } => Context::Relay(bytes.clone()),
            Mail::Publish(publish) => match self
                .waiting
                .get(&(publish.reply_to.0.shard.0, publish.reply_to.1))
            {
                Some(request) => Context::PublishMail(request.clone()),
                None => Context::Other,
            },
            Mail::Misdirected { bytes, .. } => match Text::parse(bytes) {
                Ok(text) if text.method() == Some("PUBLISH") => match self.before(&text) {
                    // It does not wait.
                    Context::Publish(request, _) => Context::Publish(request, usize::MAX),
                    context => context,
                },
                _ => Context::Other,
            },
            _ => Context::Other,
        };
        self.give(to, Input::Mail(mail), &context);
    }

    fn command(&mut self, shard: u16, token: CommandId, command: Command) {
        self.note(&[], || match &command {
            Command::Reload(_) => format!("shard {shard} <- reload"),
            command => format!("shard {shard} <- {command:?}"),
        });
        let mut context = Context::Other;
        match &command {
            Command::UpdateState { aor, update, .. } => {
                if let Some(presentity) = presentity_of(&format!("sip:{aor}")) {
                    context = Context::Statement(token, presentity, update.clone());
                }
            }
            Command::Reload(_) => self.reread(shard),
            _ => {}
        }
        self.give(shard, Input::Command(token, command), &context);
    }

    fn shard_timer(&mut self, shard: u16, generation: u64) {
        let now = self.bench.net.now;
        let core = &mut self.cores[shard as usize];
        if core.generation != generation {
            return;
        }
        core.armed_at = None;
        core.spins = if core.spins.0 == now {
            (now, core.spins.1 + 1)
        } else {
            (now, 0)
        };
        if core.spins.1 > SPIN_MAX {
            return self.fail(
                "a timer that is due again and again",
                format!("shard {shard}"),
            );
        }
        let at = self.start + Duration::from_micros(now);
        let mut outbox = std::mem::take(&mut self.outbox);
        core.shard.handle_timeout(at, &mut outbox);
        self.drain(shard, outbox, &Context::Timeout);
    }

    fn give(&mut self, shard: u16, input: Input<'_>, context: &Context) {
        let at = self.start + Duration::from_micros(self.bench.net.now);
        let mut outbox = std::mem::take(&mut self.outbox);
        self.cores[shard as usize]
            .shard
            .handle(input, at, &mut outbox);
        self.drain(shard, outbox, context);
    }

    /// Carries out the effects of a turn and passes them to the judges.
    fn drain(&mut self, shard: u16, mut outbox: Outbox, context: &Context) {
        let served = self.early.served(shard, context);
        self.observe_decisions(shard, &outbox, context, &served);
        for served in served {
            if let Context::Statement(token, presentity, said) = served
                && !is_over_limit(&outbox, token)
            {
                self.apply_update(token, presentity, &said);
            }
        }
        for transmit in &outbox.transmits {
            let octets: Rc<[u8]> = outbox.pieces(transmit).concat().into();
            self.note(&octets, || {
                format!(
                    "shard {shard} -> {} to {}",
                    summary(&octets),
                    transmit.flow.peer
                )
            });
            if !matches!(context, Context::Relay(relayed) if **relayed == *octets) {
                self.observe(shard, &octets, &transmit.flow);
            }
            if !self.bench.net.send_from_node(shard, &transmit.flow, octets) {
                let detail = format!("shard {shard}, {:?}", transmit.flow);
                self.fail("octets for a stream of another shard", detail);
            }
        }
        for dial in outbox.dials.drain(..) {
            // Phones send from there; behind a NAT their Contacts name other addresses.
            if !dial.peer.ip().to_string().starts_with("10.0.0.") {
                self.fail("dialed an address that never asked", format!("{dial:?}"));
            }
            self.bench.net.dial(shard, dial);
        }
        for route in outbox.routes.drain(..) {
            self.route(shard, &route);
        }
        if let Some(lookup) = outbox.lookups.pop() {
            self.fail(
                "looked up a name, which no phone has",
                format!("{lookup:?}"),
            );
        }
        for (to, mail) in outbox.mail.drain(..) {
            if let Mail::Transmit { flow, bytes } = &mail {
                self.observe(shard, bytes, flow);
            }
            self.bench.net.send_mail(shard, to.0, mail);
        }
        for place in outbox.wanted_dialogs.drain(..) {
            self.wanted += 1;
            self.bring_soon(place);
        }
        self.keep_records(shard, &outbox);
        for (token, reply) in outbox.replies.drain(..) {
            self.judge_reply(token, reply);
        }
        outbox.clear();
        self.outbox = outbox;
        self.arm(shard);
    }

    fn arm(&mut self, shard: u16) {
        let core = &mut self.cores[shard as usize];
        let wanted = core.shard.poll_timeout();
        // Rounded up: a timer must never fire early.
        let wanted = wanted.map(|at| {
            at.saturating_duration_since(self.start)
                .as_nanos()
                .div_ceil(1000) as Micros
        });
        if wanted == core.armed_at {
            return;
        }
        core.armed_at = wanted;
        core.generation += 1;
        if let Some(at) = wanted {
            let generation = core.generation;
            let late = self
                .bench
                .net
                .rng
                .below(self.bench.net.plan.timer_lateness_max);
            let at = at.max(self.bench.net.now) + late;
            self.bench
                .net
                .schedule(at, Event::ShardTimer { shard, generation });
        }
    }
}

/// Whether a command is refused in this turn.
fn is_over_limit(outbox: &Outbox, token: CommandId) -> bool {
    let mut replies = outbox.replies.iter();
    replies.any(|(known, reply)| *known == token && matches!(reply, Reply::OverLimit))
}
