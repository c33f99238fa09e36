//! One run: shards of one node, their peers, the wires between, and the judges.
//!
//! Phases: chaos (everything goes wrong) · calm (the network is good, phones behave, sources go on: every watcher that is well must follow
//! within seconds) · silence (nothing new is said: every live watcher shows the composed state) · farewell (all leave in their various
//! ways, and the node must forget them all).

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use lamplighter::presence::Aor;
use lamplighter::presence::CallDialog;
use lamplighter::presence::call::CallState;
use lamplighter::presence::call::Party;
use lamplighter::presence::publication::PublishRefused;
use lamplighter::shard::Command;
use lamplighter::shard::ConnectionId;
use lamplighter::shard::Directory;
use lamplighter::shard::Flow;
use lamplighter::shard::Input;
use lamplighter::shard::Mail;
use lamplighter::shard::Options;
use lamplighter::shard::Outbox;
use lamplighter::shard::Reply;
use lamplighter::shard::Shard;
use lamplighter::shard::ShardId;
use lamplighter::shard::Token;
use lamplighter::shard::directory::AuthMode;
use lamplighter::shard::directory::Domain;

use crate::documents::read;
use crate::invariants::Bounds;
use crate::invariants::Checker;
use crate::invariants::Notify;
use crate::invariants::Standing;
use crate::invariants::Violation;
use crate::model::EXPIRY_SLACK;
use crate::model::Expected;
use crate::model::Model;
use crate::network::ActorId;
use crate::network::Event;
use crate::network::MILLISECOND;
use crate::network::Micros;
use crate::network::NODE;
use crate::network::Net;
use crate::network::SECOND;
use crate::network::Wake;
use crate::phone::Dialog;
use crate::phone::Phone;
use crate::plan::Plan;
use crate::publisher::Source;
use crate::random::Rng;
use crate::sip_text::Text;
use crate::sip_text::parameter;
use crate::trace::Trace;
use crate::trace::Words;

const DOMAIN: &str = "example.com";
/// Timer events of one shard in one instant; more is a timer that never lets go.
const SPIN_MAX: u32 = 100_000;

/// The wires and the judges: what peers may touch.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) net: Net,
    pub(crate) checker: Checker,
    pub(crate) model: Model,
}

/// The URI by which everybody names a presentity; `shouting` spells the same one differently.
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
    /// `call_state.htm`.
    Operator,
}

/// One shard with what its driver keeps.
#[derive(Debug)]
struct Core {
    shard: Shard,
    generation: u64,
    armed_at: Option<Micros>,
    spins: (Micros, u32),
}

/// What a shard is just handling.
#[derive(Debug)]
enum Context {
    Other,
    /// Octets of another shard, to be put on a stream.
    Relay(Box<[u8]>),
    /// A PUBLISH, by Call-ID and CSeq.
    Publish((String, u32)),
    /// The same as mail to its owner; the request by which the first shard waits.
    PublishMail((String, u32), u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Chaos,
    Calm,
    Silence,
    Farewell,
    /// The tables are asked what is left.
    Audit,
}

/// What a command asked, to judge its reply.
#[derive(Debug)]
enum Asked {
    CallState,
    Watchers,
    Why(usize),
    Drain,
}

/// How a run went.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) hash: u64,
    pub(crate) violation: Option<Violation>,
    pub(crate) notifies: u64,
    pub(crate) publications: u64,
    pub(crate) dialogs: usize,
    pub(crate) judged: u64,
}

/// Runs one seed from beginning to end.
pub(crate) fn run(seed: u64, words: Words) -> Outcome {
    let mut world = World::new(Plan::new(seed), words);
    while world.bench.checker.violations.is_empty() {
        let Some(event) = world.bench.net.next() else {
            break;
        };
        world.handle(event);
        if world.is_over {
            break;
        }
    }
    let World { bench, judged, .. } = world;
    Outcome {
        hash: bench.net.trace.hash(),
        violation: bench.checker.violations.first().cloned(),
        notifies: bench.checker.notifies,
        publications: bench.model.taken_count,
        dialogs: bench.checker.dialogs(),
        judged,
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
    calm_since: Micros,
    /// PUBLISHes that wait for their owner, by the shard that waits and its number for them.
    waiting: HashMap<(u16, u32), (String, u32)>,
    commands: HashMap<Token, Asked>,
    /// Call-IDs in the reports of watchers, and how often they were there.
    reported: HashMap<String, u32>,
    reports_due: Vec<String>,
    /// How often a watcher's lamp was compared with the model.
    judged: u64,
    is_over: bool,
}

impl World {
    fn new(plan: Plan, words: Words) -> Self {
        let bounds = Bounds {
            grace: plan.expiry_grace,
            pace: plan.pace_max(),
            propagation: plan.propagation_max(),
        };
        let start = Instant::now();
        let directory = directory(&plan);
        let cores = (0..plan.shards)
            .map(|id| core(id, &plan, start, &directory))
            .collect();
        let bench = Bench {
            model: Model::new(plan.presentities),
            checker: Checker::new(bounds),
            net: Net::new(plan, Trace::new(words)),
        };
        let mut world = Self {
            bench,
            cores,
            actors: Vec::new(),
            start,
            outbox: Outbox::default(),
            phase: Phase::Chaos,
            calm_since: Micros::MAX,
            waiting: HashMap::new(),
            commands: HashMap::new(),
            reported: HashMap::new(),
            reports_due: Vec::new(),
            judged: 0,
            is_over: false,
        };
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
        if self.bench.net.rng.chance(600) {
            self.bench
                .net
                .wake(self.actors.len(), 3 * SECOND, Wake::Act);
            self.actors.push(Actor::Operator);
        }
        self.bench.net.schedule(SECOND, Event::Sweep);
        self.bench.net.schedule(plan.chaos, Event::Phase);
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::ToShard {
                shard,
                flow,
                octets,
            } => self.reach_shard(shard, flow, &octets),
            Event::Closed { shard, connection } => {
                self.note(&[], || {
                    format!("shard {shard}: stream {} closed", connection.number)
                });
                let now = self.bench.net.now;
                self.bench.checker.stream_closed(now, connection);
                self.give(shard, Input::Closed(connection), &Context::Other);
            }
            Event::Mail { from, to, mail } => self.deliver_mail(from, to, mail),
            Event::Command {
                shard,
                token,
                command,
            } => self.command(shard, token, command),
            Event::ShardTimer { shard, generation } => self.shard_timer(shard, generation),
            Event::ToPeer { to, octets } => {
                let Some(actor) = self.bench.net.receiver(to) else {
                    return;
                };
                self.note(&octets, || format!("actor {actor} <- {}", summary(&octets)));
                match &mut self.actors[actor] {
                    Actor::Phone(phone) => phone.handle_message(&octets, &mut self.bench),
                    Actor::Source(source) => source.handle_message(&octets, &mut self.bench),
                    Actor::Operator => {}
                }
            }
            Event::Wake { actor, wake } => self.wake(actor, wake),
            Event::PeerClosed(actor) => {
                self.note(&[], || format!("actor {actor}: stream closed"));
                if let Actor::Phone(phone) = &mut self.actors[actor] {
                    phone.handle_closed(&mut self.bench);
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
            Actor::Operator => self.operate(actor),
        }
    }

    // The shards.

    fn reach_shard(&mut self, shard: u16, flow: Flow, octets: &Rc<[u8]>) {
        self.note(octets, || {
            format!("shard {shard} <- {} from {}", summary(octets), flow.peer)
        });
        let context = match Text::parse(octets) {
            Ok(text) => self.before(&text),
            Err(fault) => {
                self.fail("the simulation wrote a broken message", fault);
                return;
            }
        };
        self.give(
            shard,
            Input::Datagram {
                flow,
                bytes: octets,
            },
            &context,
        );
    }

    /// What the judges must know before a shard sees a message.
    fn before(&mut self, text: &Text<'_>) -> Context {
        let now = self.bench.net.now;
        let Some((cseq, method)) = text.cseq() else {
            return Context::Other;
        };
        match (text.status(), method) {
            (Some(status), "NOTIFY") => {
                // In an answer to our NOTIFY we are From, the phone is To.
                let key = dialog_key(text, "To", "From");
                self.bench.checker.notify_answered(now, &key, cseq, status);
                Context::Other
            }
            (None, "PUBLISH") => Context::Publish((text.call_id().to_owned(), cseq)),
            _ => Context::Other,
        }
    }

    fn deliver_mail(&mut self, from: u16, to: u16, mail: Mail) {
        self.note(&[to as u8], || {
            format!("shard {to} <- mail of {from}: {}", mail_summary(&mail))
        });
        let context = match &mail {
            // It was judged when it left the shard that wrote it.
            Mail::Transmit { bytes, .. } => Context::Relay(bytes.clone()),
            Mail::Publish(publish) => match self
                .waiting
                .get(&(publish.reply_to.0.0, publish.reply_to.1))
            {
                Some(request) => Context::PublishMail(request.clone(), publish.reply_to.1),
                None => Context::Other,
            },
            Mail::Misdirected { bytes, .. } => match Text::parse(bytes) {
                Ok(text) if text.method() == Some("PUBLISH") => self.before(&text),
                _ => Context::Other,
            },
            _ => Context::Other,
        };
        self.give(to, Input::Mail(mail), &context);
    }

    fn command(&mut self, shard: u16, token: Token, command: Command) {
        self.note(&[], || format!("shard {shard} <- {command:?}"));
        let now = self.bench.net.now;
        if let Command::CallState { aor, call, expires } = &command
            && let Some(presentity) = presentity_of(&format!("sip:{aor}"))
        {
            let until = call.as_ref().map(|_| now + expires.as_micros() as Micros);
            self.bench.model.call_state(now, presentity, until);
        }
        self.give(shard, Input::Command(token, command), &Context::Other);
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
            return self.fail("a timer that never lets go", format!("shard {shard}"));
        }
        let at = self.start + Duration::from_micros(now);
        let mut outbox = std::mem::take(&mut self.outbox);
        core.shard.handle_timeout(at, &mut outbox);
        self.drain(shard, outbox, &Context::Other);
    }

    fn give(&mut self, shard: u16, input: Input<'_>, context: &Context) {
        let at = self.start + Duration::from_micros(self.bench.net.now);
        let mut outbox = std::mem::take(&mut self.outbox);
        self.cores[shard as usize]
            .shard
            .handle(input, at, &mut outbox);
        self.drain(shard, outbox, context);
    }

    /// Carries out the effects of a turn, the judges looking on.
    fn drain(&mut self, shard: u16, mut outbox: Outbox, context: &Context) {
        self.observe_decisions(shard, &outbox, context);
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
                self.observe(&octets, &transmit.flow);
            }
            if !self.bench.net.send_from_node(shard, &transmit.flow, octets) {
                let detail = format!("shard {shard}, {:?}", transmit.flow);
                self.fail("octets for a stream of another shard", detail);
            }
        }
        for (to, mail) in outbox.mail.drain(..) {
            if let Mail::Transmit { flow, bytes } = &mail {
                self.observe(bytes, flow);
            }
            self.bench.net.send_mail(shard, to.0, mail);
        }
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
        // Rounded up: a timer must never be served before its time.
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

    // The judges.

    /// A message leaves the node.
    fn observe(&mut self, octets: &[u8], flow: &Flow) {
        let now = self.bench.net.now;
        let text = match Text::parse(octets) {
            Ok(text) => text,
            Err(fault) => {
                let detail = format!("{fault}:\n{}", String::from_utf8_lossy(octets));
                return self.fail("a malformed message", detail);
            }
        };
        let Some((cseq, method)) = text.cseq() else {
            return self.fail("a message without CSeq", text.start);
        };
        match (text.status(), method) {
            (None, "NOTIFY") => self.observe_notify(&text, cseq, octets, flow.connection),
            (Some(200..=299), "SUBSCRIBE") => {
                let key = dialog_key(&text, "From", "To");
                let expires = text.number("Expires").unwrap_or(0);
                self.bench
                    .checker
                    .subscribe_accepted(now, &key, cseq, expires, flow);
            }
            _ => {}
        }
    }

    /// What was decided in a turn about a PUBLISH: the model must know it before the NOTIFYs that follow from it are judged. The owner
    /// decides: at once when the request arrived there, else in mail.
    fn observe_decisions(&mut self, shard: u16, outbox: &Outbox, context: &Context) {
        if let Context::Publish(request) = context {
            for transmit in &outbox.transmits {
                let octets = outbox.pieces(transmit).concat();
                let Ok(text) = Text::parse(&octets) else {
                    continue;
                };
                if let (Some(status), Some((_, "PUBLISH"))) = (text.status(), text.cseq()) {
                    let granted = text.number("Expires").unwrap_or(0);
                    let etag = text.one("SIP-ETag").unwrap_or_default();
                    self.decided(request, status, etag, granted);
                }
            }
        }
        for (_, mail) in &outbox.mail {
            match (mail, context) {
                (Mail::Publish(publish), Context::Publish(request)) => {
                    self.waiting
                        .insert((shard, publish.reply_to.1), request.clone());
                }
                (
                    Mail::PublishOutcome {
                        request: number,
                        outcome,
                    },
                    Context::PublishMail(request, waited),
                ) if number == waited => match outcome {
                    Ok(published) => {
                        let etag = published.entity_tag.to_token();
                        let etag = String::from_utf8_lossy(&etag);
                        self.decided(request, 200, &etag, published.expires.as_secs());
                    }
                    Err(PublishRefused::ConditionFailed) => self.decided(request, 412, "", 0),
                    Err(PublishRefused::TooBrief(_)) => self.decided(request, 423, "", 0),
                    Err(_) => self.decided(request, 500, "", 0),
                },
                _ => {}
            }
        }
    }

    fn decided(&mut self, request: &(String, u32), status: u16, etag: &str, granted: u64) {
        let now = self.bench.net.now;
        let verdict = if status < 300 {
            self.bench.model.publish_taken(now, request, etag, granted)
        } else {
            self.bench.model.publish_refused(now, request, status)
        };
        if let Err(fault) = verdict {
            self.fail(fault, format!("{status} for {request:?}"));
        }
    }

    fn observe_notify(
        &mut self,
        text: &Text<'_>,
        cseq: u32,
        octets: &[u8],
        connection: ConnectionId,
    ) {
        let now = self.bench.net.now;
        let notified = match read(text.body) {
            Ok(notified) => notified,
            Err(fault) => {
                return self.fail("a malformed document", format!("{fault}:\n{}", text.body));
            }
        };
        let Some(standing) = text.one("Subscription-State").and_then(standing_of) else {
            return self.fail("a NOTIFY without a readable Subscription-State", text.start);
        };
        let notify = Notify {
            key: dialog_key(text, "To", "From"),
            cseq,
            octets_hash: hash_of(octets),
            essence_hash: hash_of(notified.essence.as_bytes()),
            version: notified.version,
            standing,
            connection,
        };
        let news = self.bench.checker.notifies;
        self.bench.checker.notify_sent(now, &notify);
        let Some(presentity) = presentity_of(&notified.entity) else {
            return self.fail("a NOTIFY about nobody", notified.entity);
        };
        if self.bench.checker.notifies > news {
            let from = now.saturating_sub(self.bench.net.plan.propagation_max());
            let allowed = self.bench.model.allowed(presentity, from, now);
            let who = format!("a watcher of {}", 100 + presentity);
            self.bench.checker.shown(
                now,
                "a NOTIFY says what is not so",
                &who,
                &notified.shown,
                &allowed,
            );
        }
    }

    fn sweep(&mut self) {
        let now = self.bench.net.now;
        self.bench.checker.sweep(now);
        self.bench.model.prune(now.saturating_sub(120 * SECOND));
        if matches!(self.phase, Phase::Calm | Phase::Silence) {
            self.judge_watchers();
        }
        if self.phase == Phase::Farewell && self.commands.is_empty() {
            self.judge_reports();
        }
        if !self.is_over {
            self.bench.net.schedule(now + SECOND, Event::Sweep);
        }
    }

    /// Every watcher that is well shows what is so, or was until a moment ago.
    fn judge_watchers(&mut self) {
        let now = self.bench.net.now;
        let plan = &self.bench.net.plan;
        // Many keys watch the same: what they may show is asked once.
        let mut allowed: HashMap<(usize, Micros), Vec<Expected>> = HashMap::new();
        for actor in &self.actors {
            let Actor::Phone(phone) = actor else { continue };
            let from = now.saturating_sub(patience_with(phone, plan));
            for key in &phone.keys {
                let Some(dialog) = key.dialog.as_ref() else {
                    continue;
                };
                if !self.is_well(phone, dialog) {
                    continue;
                }
                let Some(shown) = &dialog.shown else {
                    let detail = dialog.call_id.clone();
                    return self
                        .bench
                        .checker
                        .fail(now, "a watcher was never told", detail);
                };
                let model = &self.bench.model;
                let allowed = allowed
                    .entry((key.presentity, from))
                    .or_insert_with(|| model.allowed(key.presentity, from, now));
                self.judged += 1;
                if !allowed.iter().any(|expected| expected.agrees(shown)) {
                    let who = format!(
                        "{} of {:?} {}",
                        dialog.call_id,
                        key.package,
                        100 + key.presentity
                    );
                    return self.bench.checker.shown(
                        now,
                        "a watcher does not follow",
                        &who,
                        shown,
                        allowed,
                    );
                }
            }
        }
    }

    /// Whether a watcher has nothing to complain of: in calm it refreshed from where it is, and had time to be told.
    fn is_well(&self, phone: &Phone, dialog: &Dialog) -> bool {
        let now = self.bench.net.now;
        let since = self.calm_since.max(phone.moved_at);
        let patience = patience_with(phone, &self.bench.net.plan);
        dialog.established
            && now > phone.troubled_until
            && dialog.asked_at > since
            && now > dialog.granted_at.max(since + 10 * SECOND) + patience
            && now < dialog.expires_at
    }

    fn judge_reply(&mut self, token: Token, reply: Reply) {
        let now = self.bench.net.now;
        match (self.commands.remove(&token), reply) {
            (Some(Asked::CallState), Reply::Done) => {}
            (Some(Asked::Watchers), Reply::Watchers(reports)) => {
                if self.phase == Phase::Audit && !reports.is_empty() {
                    self.fail(
                        "a subscription that nobody ended is left",
                        format!("{reports:?}"),
                    );
                }
                for report in reports {
                    *self.reported.entry(report.call_id).or_default() += 1;
                }
            }
            (Some(Asked::Why(presentity)), Reply::Why(why)) => {
                let allowed = self.bench.model.allowed(presentity, now, now);
                let agrees = |expected: &Expected| {
                    expected.lamp.0.text() == why.lamp && expected.open == (why.basic == "open")
                };
                if !allowed.iter().any(agrees) {
                    self.fail(
                        "the explanation is of another state",
                        format!("{why:?}\n    allowed: {allowed:?}"),
                    );
                }
                if self.phase == Phase::Audit && !why.contributions.is_empty() {
                    self.fail("a contribution is left past its time", format!("{why:?}"));
                }
            }
            (Some(Asked::Drain), Reply::Outstanding(0)) => {}
            (asked, reply) => {
                self.fail(
                    "a reply to nobody, or of another kind",
                    format!("{asked:?}: {reply:?}"),
                );
            }
        }
    }

    // The plot.

    fn next_phase(&mut self) {
        let now = self.bench.net.now;
        let plan = &self.bench.net.plan;
        let expires_max = plan.expires_max.max(plan.expires_min) * SECOND;
        let (phase, lasts) = match self.phase {
            Phase::Chaos => (Phase::Calm, expires_max + 100 * SECOND),
            Phase::Calm => (Phase::Silence, EXPIRY_SLACK + 20 * SECOND + plan.pace_max()),
            Phase::Silence => {
                let subscriptions =
                    expires_max + plan.expiry_grace + 2 * plan.probation + 120 * SECOND;
                (
                    Phase::Farewell,
                    subscriptions.max(Source::LIFE_MAX + 60 * SECOND),
                )
            }
            Phase::Farewell => (Phase::Audit, SECOND),
            Phase::Audit => {
                self.is_over = true;
                return self.judge_rest();
            }
        };
        self.phase = phase;
        self.note(&[], || format!("--- {phase:?}"));
        self.bench.net.schedule(now + lasts, Event::Phase);
        match phase {
            Phase::Calm => {
                self.bench.net.calm = true;
                self.calm_since = now;
                self.each_phone(|phone, _| phone.calm = true);
                self.each_source(|source| source.calm = true);
            }
            Phase::Silence => self.each_source(|source| source.silent = true),
            Phase::Farewell => {
                // The questions reach the shards before anything a phone does now.
                self.ask_about_everybody();
                self.expect_reports();
                self.each_phone(|phone, bench| phone.leave(bench));
                self.each_source(|source| source.gone = true);
            }
            Phase::Audit => {
                self.ask_about_everybody();
                for shard in 0..self.bench.net.plan.shards {
                    self.ask(shard, 1, Command::Drain, Asked::Drain);
                }
            }
            Phase::Chaos => {}
        }
    }

    fn each_phone(&mut self, mut change: impl FnMut(&mut Phone, &mut Bench)) {
        for actor in &mut self.actors {
            if let Actor::Phone(phone) = actor {
                change(phone, &mut self.bench);
            }
        }
    }

    fn each_source(&mut self, mut change: impl FnMut(&mut Source)) {
        for actor in &mut self.actors {
            if let Actor::Source(source) = actor {
                change(source);
            }
        }
    }

    /// `call_state.htm`: somebody is in a call, or is not any more.
    fn operate(&mut self, actor: ActorId) {
        if !matches!(self.phase, Phase::Chaos | Phase::Calm) {
            return;
        }
        let net = &mut self.bench.net;
        let after = net.rng.between(SECOND, 2 * net.plan.change_every);
        net.wake(actor, after, Wake::Act);
        let presentity = net.rng.below(net.plan.presentities as u64) as usize;
        let number = net.rng.chance(600).then(|| net.rng.below(3));
        let expires = Duration::from_secs(net.rng.between(2, 120));
        let aor = aor_of(presentity);
        let command = Command::CallState {
            aor: aor.clone(),
            call: number.map(call_state_dialog),
            expires,
        };
        let delay = net.rng.below(20 * MILLISECOND);
        let shard = Shard::owner(&aor, net.plan.shards).0;
        self.ask(shard, delay, command, Asked::CallState);
    }

    fn ask(&mut self, shard: u16, delay: Micros, command: Command, asked: Asked) {
        let token = self.bench.net.token();
        self.commands.insert(token, asked);
        let at = self.bench.net.now + delay;
        self.bench.net.schedule(
            at,
            Event::Command {
                shard,
                token,
                command,
            },
        );
    }

    /// Asks every shard who watches, and every owner why a lamp is as it is.
    fn ask_about_everybody(&mut self) {
        for presentity in 0..self.bench.net.plan.presentities {
            let aor = aor_of(presentity);
            let owner = Shard::owner(&aor, self.bench.net.plan.shards).0;
            self.ask(owner, 1, Command::Why(aor.clone()), Asked::Why(presentity));
            for shard in 0..self.bench.net.plan.shards {
                self.ask(shard, 1, Command::Watchers(aor.clone()), Asked::Watchers);
            }
        }
    }

    /// Every watcher that is well must be in the reports that come, once.
    fn expect_reports(&mut self) {
        let mut well = Vec::new();
        for actor in &self.actors {
            let Actor::Phone(phone) = actor else { continue };
            let dialogs = phone.keys.iter().filter_map(|key| key.dialog.as_ref());
            let living = dialogs.filter(|dialog| self.is_well(phone, dialog));
            well.extend(living.map(|dialog| dialog.call_id.clone()));
        }
        self.reported.clear();
        self.reports_due = well;
    }

    fn judge_reports(&mut self) {
        for call_id in std::mem::take(&mut self.reports_due) {
            let times = self.reported.get(&call_id).copied().unwrap_or(0);
            if times != 1 {
                self.fail(
                    "a live subscription is not reported once",
                    format!("{call_id}: {times} times"),
                );
            }
        }
    }

    /// At the very end: nobody waits for a reply, no timer is left.
    fn judge_rest(&mut self) {
        if !self.commands.is_empty() {
            let detail = format!("{:?}", self.commands.values());
            self.fail("a command without a reply", detail);
        }
        if let Some(at) = self
            .cores
            .iter()
            .position(|core| core.shard.poll_timeout().is_some())
        {
            self.fail("a timer is left when nothing is", format!("shard {at}"));
        }
    }
}

/// How long a phone may show what was: its pace and its own slowness, twice, because state may change while it thinks.
fn patience_with(phone: &Phone, plan: &Plan) -> Micros {
    2 * SECOND + plan.pace_max() + plan.propagation_max() + 2 * phone.slowness()
}

fn directory(plan: &Plan) -> Arc<Directory> {
    let domain = Domain {
        name: DOMAIN.into(),
        auth: AuthMode::None,
        trusted: Vec::new(),
        reveal_number: false,
        max_call_duration: Duration::from_secs(7200),
        min_expires: Duration::from_secs(plan.expires_min),
        max_expires: Duration::from_secs(7200),
        open: true,
        sha256: false,
    };
    let mut directory = Directory::default();
    directory.add_domain(domain, &[]).unwrap();
    Arc::new(directory)
}

fn core(id: u16, plan: &Plan, start: Instant, directory: &Arc<Directory>) -> Core {
    let options = Options {
        id: ShardId(id),
        shards: plan.shards,
        epoch: start,
        key: [7; 32],
        local_addresses: vec![NODE],
        advertise: Vec::new(),
        product: "Lamplighter".into(),
        subscriptions_max: 10_000,
        subscriptions_per_phone_max: 1000,
        subscriptions_per_flow_home: plan.subscriptions_per_flow_home,
        expiry_grace: Duration::from_micros(plan.expiry_grace),
        probation: Duration::from_micros(plan.probation),
        notify_rate_per_phone: plan.notify_rate,
        notify_burst_per_phone: plan.notify_burst,
        notifies_per_turn: plan.notifies_per_turn,
        presentities_max: 1000,
        publications_per_presentity_max: 1000,
        calls_per_presentity_max: 1000,
        body_octets_max: 65_536,
        response_ring_octets: 1 << 22,
        nonces_max: 64,
        nonce_life: Duration::from_secs(3600),
    };
    let mut seed = [0; 32];
    let mut rng = Rng::new(plan.seed ^ u64::from(id) << 48);
    for chunk in seed.chunks_mut(8) {
        chunk.copy_from_slice(&rng.next().to_le_bytes());
    }
    let shard = Shard::new(options, Arc::clone(directory), seed);
    Core {
        shard,
        generation: 0,
        armed_at: None,
        spins: (0, 0),
    }
}

fn call_state_dialog(number: u64) -> Arc<CallDialog> {
    Arc::new(CallDialog {
        id: "call_state".into(),
        call_id: "".into(),
        local_tag: "".into(),
        remote_tag: "".into(),
        direction: None,
        state: CallState::Confirmed,
        local: Party::default(),
        remote: Party {
            identity: format!("sip:{number}@{DOMAIN}").into(),
            ..Party::default()
        },
        remote_is_private: true,
    })
}

/// Call-ID, the phone's tag, our tag.
fn dialog_key(text: &Text<'_>, phone: &str, node: &str) -> String {
    let [phone, node] = [phone, node].map(|name| text.tag(name).unwrap_or_default());
    [text.call_id(), phone, node].join(" ")
}

fn standing_of(value: &str) -> Option<Standing> {
    if value.starts_with("active") {
        let expires = parameter(value, "expires")?.parse().ok()?;
        return Some(Standing::Active { expires });
    }
    let reason = parameter(value, "reason")?.to_owned();
    value
        .starts_with("terminated")
        .then_some(Standing::Terminated { reason })
}

fn hash_of(octets: &[u8]) -> u64 {
    octets.iter().fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
        (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A message in a line.
fn summary(octets: &[u8]) -> String {
    let Ok(text) = Text::parse(octets) else {
        return String::from_utf8_lossy(octets).into_owned();
    };
    let mut line = format!(
        "{} [{}] {}",
        text.start,
        text.one("CSeq").unwrap_or_default(),
        text.call_id()
    );
    for name in [
        "Event",
        "Subscription-State",
        "Expires",
        "SIP-If-Match",
        "SIP-ETag",
        "Retry-After",
    ] {
        if let Some(value) = text.one(name) {
            line.push_str(&format!(" {name}: {value}"));
        }
    }
    let version = text
        .body
        .split(" version=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    if let Some(version) = version {
        line.push_str(&format!(" v{version}"));
    }
    for state in text.body.split("<state>").skip(1) {
        line.push_str(&format!(
            " <{}>",
            state.split('<').next().unwrap_or_default()
        ));
    }
    line
}

fn mail_summary(mail: &Mail) -> String {
    match mail {
        Mail::Misdirected { bytes, .. } => format!("misdirected {}", summary(bytes)),
        Mail::Transmit { bytes, .. } => format!("transmit {}", summary(bytes)),
        Mail::Closed(connection) => format!("closed {}", connection.number),
        Mail::Watch { aor, .. } => format!("watch {aor}"),
        Mail::Unwatch { aor, .. } => format!("unwatch {aor}"),
        Mail::State { aor, composed } => format!("state {aor} {:?}", composed.availability),
        Mail::Publish(publish) => format!("publish {}", publish.aor),
        Mail::PublishOutcome { outcome, .. } => format!("outcome {outcome:?}"),
    }
}
