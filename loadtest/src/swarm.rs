//! The swarm: many phones on one thread that subscribe, watch every lamp change, and unsubscribe,
//! in phases.
//!
//! A phase starts its requests at the given rate whether or not answers come (open loop), then
//! waits until every watcher has what the phase is about, then listens a little longer for what
//! should not come. When nothing new arrives for as long as patience lasts, what is still missing
//! counts as lost.
//!
//! [`Swarm`] itself has no socket: messages and time in, messages out. [`run`] connects it to
//! [`crate::ports`].

mod incoming;
mod requests;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use crate::call_state::Feeder;
use crate::dialog_info::Lamp;
use crate::exchange::Exchanges;
use crate::exchange::Purpose;
use crate::names::Names;
use crate::phone::Expectation;
use crate::phone::Subscription;
use crate::ports::Outbox;
use crate::ports::Ports;
use crate::ports::Transport;
use crate::report::PhaseReport;
use crate::report::Report;
use crate::template::Style;
use crate::template::Template;

/// Requests started in one turn, so that receiving is never kept waiting.
const STARTS_PER_TURN: usize = 64;
/// Connections for call_state.htm.
const HTTP_CONNECTIONS: usize = 4;
/// The longest wait of one turn.
const WAIT_MAX: Duration = Duration::from_millis(200);

/// What a swarm does, and against whom.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct SwarmArguments {
    /// Where the server listens for SIP.
    #[arg(long, default_value = "127.0.0.1:5060")]
    pub(crate) server: SocketAddr,
    /// The SIP domain that all users belong to.
    #[arg(long, default_value = "abc.com")]
    pub(crate) domain: String,
    /// How many subscriptions there are in all.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) subscriptions: u32,
    /// UDP ports, or TCP connections, that the phones are behind.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    pub(crate) ports: u32,
    /// Users that are watched; they watch each other.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) presentities: u32,
    /// How the phones reach the server.
    #[arg(long, value_enum, default_value = "udp")]
    pub(crate) transport: Transport,
    /// What user names start with; a number of three digits or more follows.
    #[arg(long, default_value = "1")]
    pub(crate) user_prefix: String,
    /// The account that answers challenges; without it every user answers with their own name.
    #[arg(long)]
    pub(crate) username: Option<String>,
    /// The password of the account, or of all users.
    #[arg(long)]
    pub(crate) password: Option<String>,
    /// Where call_state.htm is served; with it every round also changes each user by HTTP.
    #[arg(long, requires = "password")]
    pub(crate) http: Option<SocketAddr>,
    /// SUBSCRIBEs a second, at the beginning and at the end.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: u32,
    /// PUBLISHes a second.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) publish_rate: u32,
    /// How often each user rings, talks and hangs up.
    #[arg(long, default_value_t = 1)]
    pub(crate) rounds: u32,
    /// Expires of the SUBSCRIBEs and PUBLISHes, in seconds; the run must be shorter, nothing is
    /// refreshed.
    #[arg(long, default_value_t = 3_600)]
    pub(crate) expires: u32,
    /// Percent of what the server sends that is thrown away on arrival.
    #[arg(long, default_value_t = 0.0, value_parser = percent)]
    pub(crate) loss: f64,
    /// One of so many messages is read in full by a second parser, and the first NOTIFY of every
    /// subscription.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) sample: u32,
    /// Seconds without anything new after which what is missing counts as lost.
    #[arg(long, default_value_t = 40)]
    pub(crate) patience: u64,
    /// Milliseconds each phase listens for what should not come.
    #[arg(long, default_value_t = 300)]
    pub(crate) settle: u64,
    /// Writes the summary there as JSON.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Says nothing but the final table.
    #[arg(long)]
    pub(crate) quiet: bool,
}

fn percent(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(percent) if (0.0..=90.0).contains(&percent) => Ok(percent),
        _ => Err("a number from 0 to 90".to_owned()),
    }
}

/// Runs a swarm to its end.
pub(crate) fn run(arguments: &SwarmArguments) -> io::Result<Report> {
    let mut ports = Ports::open(arguments.ports, arguments.server, arguments.transport)?;
    let mut links = Vec::new();
    if let Some(server) = arguments.http {
        for _ in 0..HTTP_CONNECTIONS {
            links.push(ports.add_stream(server)?);
        }
    }
    let addresses = (0..arguments.ports)
        .map(|port| ports.address(port).to_owned())
        .collect();
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let run = since_epoch.as_nanos() as u32 ^ std::process::id().rotate_left(16);
    let mut swarm = Swarm::new(arguments.clone(), addresses, &links, run, Instant::now());
    let mut outbox = Outbox::default();
    while !swarm.is_done() {
        swarm.handle_timeout(Instant::now(), &mut outbox);
        ports.flush(&mut outbox)?;
        let wait = swarm
            .poll_timeout()
            .saturating_duration_since(Instant::now());
        ports.wait(wait.min(WAIT_MAX))?;
        ports.receive(|port, bytes| swarm.handle(port, bytes, Instant::now(), &mut outbox))?;
        ports.flush(&mut outbox)?;
    }
    let mut report = swarm.report;
    report.datagrams_unsent = ports.unsent;
    report.connections_closed = ports.closed;
    Ok(report)
}

/// One part of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Subscribe,
    Publish(Lamp),
    CallState { busy: bool },
    Withdraw,
    Unsubscribe,
}

/// Somebody who is watched.
#[derive(Clone, Debug)]
struct Presentity {
    /// The URI that documents must name.
    entity: String,
    expectation: Expectation,
    /// When the running change should have been sent.
    changed: Instant,
    entity_tag: Option<String>,
    /// CSeq of the last PUBLISH.
    sequence: u32,
    /// The call that is published.
    call: u32,
    /// Version of the last published document.
    version: u32,
}

/// The engine of a run.
#[derive(Debug)]
struct Swarm {
    arguments: SwarmArguments,
    names: Names,
    addresses: Vec<String>,
    subscribe: Template,
    publish: Template,
    withdraw: Template,

    subscriptions: Vec<Subscription>,
    presentities: Vec<Presentity>,
    exchanges: Exchanges,
    feeder: Feeder,
    /// What a 503 put off, by time.
    deferred: BTreeMap<(Instant, u64), (Purpose, Instant)>,
    deferrals: u64,

    phases: Vec<Phase>,
    phase: usize,
    /// When the phase's first request was due, and how many were started.
    started: Instant,
    starts: u32,
    /// When something new came last.
    progress: Instant,
    /// Subscriptions that the phase still waits for.
    waiting: u64,
    /// Counters at the beginning of the phase: requests with a 2xx, NOTIFYs.
    requests: u64,
    requests_before: u64,
    notifies_before: u64,

    random: u64,
    messages: u64,
    report: Report,
}

impl Swarm {
    fn new(
        arguments: SwarmArguments,
        addresses: Vec<String>,
        links: &[u32],
        run: u32,
        now: Instant,
    ) -> Self {
        let transport = match arguments.transport {
            Transport::Udp => rsip::Transport::Udp,
            Transport::Tcp => rsip::Transport::Tcp,
        };
        let style = Style {
            domain: arguments.domain.clone(),
            transport,
        };
        let names = Names::new(
            &arguments.domain,
            &arguments.user_prefix,
            arguments.presentities,
            run,
        );
        let http = arguments
            .http
            .map_or_else(String::new, |server| server.to_string());
        let password = arguments.password.as_deref().unwrap_or("");
        Self {
            subscribe: Template::subscribe(&style),
            publish: Template::publish(&style),
            withdraw: Template::withdraw(&style),
            subscriptions: subscriptions(&arguments),
            presentities: (0..arguments.presentities)
                .map(|number| Presentity::new(names.uri(&names.user(number)), now))
                .collect(),
            exchanges: Exchanges::new(run, arguments.transport == Transport::Tcp),
            feeder: Feeder::new(&http, &arguments.domain, password, links),
            deferred: BTreeMap::new(),
            deferrals: 0,
            phases: phases(&arguments),
            phase: 0,
            started: now,
            starts: 0,
            progress: now,
            waiting: 0,
            requests: 0,
            requests_before: 0,
            notifies_before: 0,
            random: (u64::from(run) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15),
            messages: 0,
            report: Report::new(u64::from(arguments.subscriptions)),
            names,
            addresses,
            arguments,
        }
    }

    fn is_done(&self) -> bool {
        self.phase == self.phases.len()
    }

    /// Does what is due: retransmissions, requests put off, new requests, the next phase.
    fn handle_timeout(&mut self, now: Instant, outbox: &mut Outbox) {
        self.retransmit(now, outbox);
        self.resume_deferred(now, outbox);
        for _ in 0..STARTS_PER_TURN {
            let scheduled = self.next_start();
            if self.starts == self.starts_max() || scheduled > now {
                break;
            }
            self.starts += 1;
            self.start(self.starts - 1, scheduled, now, outbox);
        }
        let settle = Duration::from_millis(self.arguments.settle);
        let patience = Duration::from_secs(self.arguments.patience);
        let quiet = now.saturating_duration_since(self.progress);
        if quiet >= patience {
            self.give_up();
        }
        if self.is_satisfied() && quiet >= settle.min(patience) {
            self.finish_phase(now);
        }
    }

    /// When [`Self::handle_timeout`] wants to be called.
    fn poll_timeout(&self) -> Instant {
        let mut next = self.progress + Duration::from_secs(self.arguments.patience);
        if self.starts < self.starts_max() {
            next = next.min(self.next_start());
        } else if self.is_satisfied() {
            next = next.min(self.progress + Duration::from_millis(self.arguments.settle));
        }
        let deferred = self.deferred.keys().next().map(|(due, _)| *due);
        let timers = [self.exchanges.poll_timeout(), deferred];
        timers.into_iter().flatten().fold(next, Instant::min)
    }

    fn starts_max(&self) -> u32 {
        match self.phases.get(self.phase) {
            None => 0,
            Some(Phase::Subscribe | Phase::Unsubscribe) => self.arguments.subscriptions,
            Some(_) => self.arguments.presentities,
        }
    }

    fn next_start(&self) -> Instant {
        let rate = match self.phases.get(self.phase) {
            Some(Phase::Subscribe | Phase::Unsubscribe) => self.arguments.rate,
            _ => self.arguments.publish_rate,
        };
        self.started + Duration::from_secs_f64(f64::from(self.starts) / f64::from(rate))
    }

    /// Everything was started, answered and seen.
    fn is_satisfied(&self) -> bool {
        self.starts == self.starts_max()
            && self.waiting == 0
            && self.exchanges.in_flight() == 0
            && self.deferred.is_empty()
            && self.feeder.is_idle()
    }

    /// Patience is over: what is still missing is lost.
    fn give_up(&mut self) {
        let phase = self.phases.get(self.phase).copied();
        for (number, subscription) in self.subscriptions.iter_mut().enumerate() {
            if !std::mem::take(&mut subscription.pending) {
                continue;
            }
            self.waiting -= 1;
            self.report.lost += 1;
            self.report
                .example(|| format!("subscription {number}: nothing came in {phase:?}"));
        }
        self.report.publishes_failed += self.feeder.abandon();
        for exchange in self.exchanges.abandon() {
            self.report.requests_timed_out += 1;
            self.fail(exchange.purpose);
        }
        for (_, (purpose, _)) in std::mem::take(&mut self.deferred) {
            self.fail(purpose);
        }
    }

    fn finish_phase(&mut self, now: Instant) {
        let Some(phase) = self.phases.get(self.phase) else {
            return;
        };
        let report = PhaseReport {
            name: phase.name().to_owned(),
            duration: self.progress.saturating_duration_since(self.started),
            requests: self.requests - self.requests_before,
            notifies: self.report.notifies - self.notifies_before,
        };
        if !self.arguments.quiet {
            eprintln!(
                "{:<24}{:>8.2} s  {:>8} requests  {:>8} NOTIFYs  {:>5} lost",
                report.name,
                report.duration.as_secs_f64(),
                report.requests,
                report.notifies,
                self.report.lost
            );
        }
        self.report.phases.push(report);
        self.requests_before = self.requests;
        self.notifies_before = self.report.notifies;
        // With nobody subscribed there is nothing left to see.
        let is_hopeless = *phase == Phase::Subscribe && self.report.established == 0;
        self.phase = if is_hopeless {
            self.phases.len()
        } else {
            self.phase + 1
        };
        self.starts = 0;
        self.started = now;
        self.progress = now;
    }

    /// What the phase wanted of that subscription is there, or will never be.
    fn satisfy(&mut self, subscription: u32) {
        let subscription = &mut self.subscriptions[subscription as usize];
        if std::mem::take(&mut subscription.pending) {
            self.waiting -= 1;
        }
    }

    /// The subscriptions that watch a presentity.
    fn watchers(&self, presentity: u32) -> impl Iterator<Item = u32> + use<> {
        (presentity..self.arguments.subscriptions).step_by(self.arguments.presentities as usize)
    }

    /// The next number of a xorshift generator: for loss alone, so quality matters little.
    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

impl Presentity {
    fn new(entity: String, now: Instant) -> Self {
        Self {
            entity,
            expectation: Expectation::default(),
            changed: now,
            entity_tag: None,
            sequence: 0,
            call: 0,
            version: 0,
        }
    }
}

impl Phase {
    const fn name(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe",
            Self::Publish(Lamp::Busy) => "publish confirmed",
            Self::Publish(Lamp::Off) => "publish terminated",
            Self::Publish(_) => "publish early",
            Self::CallState { busy: true } => "call_state.htm busy",
            Self::CallState { busy: false } => "call_state.htm free",
            Self::Withdraw => "withdraw",
            Self::Unsubscribe => "unsubscribe",
        }
    }
}

/// The phases of a run in order.
fn phases(arguments: &SwarmArguments) -> Vec<Phase> {
    let mut phases = vec![Phase::Subscribe];
    for _ in 0..arguments.rounds {
        phases.extend([Lamp::Ringing, Lamp::Busy, Lamp::Off].map(Phase::Publish));
        if arguments.http.is_some() {
            phases.extend([true, false].map(|busy| Phase::CallState { busy }));
        }
    }
    if arguments.rounds > 0 {
        phases.push(Phase::Withdraw);
    }
    phases.push(Phase::Unsubscribe);
    phases
}

/// Spreads the watchers of one presentity over the ports and over the other users.
fn subscriptions(arguments: &SwarmArguments) -> Vec<Subscription> {
    let SwarmArguments {
        subscriptions,
        presentities,
        ports,
        ..
    } = *arguments;
    (0..subscriptions)
        .map(|number| {
            let (lap, presentity) = (number / presentities, number % presentities);
            let watcher = (presentity + 1 + lap) % presentities;
            Subscription::new(presentity, watcher, (presentity % ports + lap) % ports)
        })
        .collect()
}
