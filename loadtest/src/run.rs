//! One run: a swarm connected to the network and the clock, measured every second.

use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::measure::process;
use crate::measure::process::{Server, Usage};
use crate::measure::tally::Tally;
use crate::net::ports::{Opening, Outbox, Ports};
use crate::net::security::Security;
use crate::net::sockets;
use crate::report::progress::Progress;
use crate::scenario::{Feed, Scenario};
use crate::swarm::{LocalPorts, Search, Stage, StageRecord, Swarm, Target};

/// The longest wait of one turn.
const WAIT_MAX: Duration = Duration::from_millis(100);
/// Interval between points of the timeline.
const INTERVAL: Duration = Duration::from_millis(500);

/// The settings of a run that are not part of its scenario.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) name: String,
    pub(crate) target: Target,
    pub(crate) sources: Vec<IpAddr>,
    /// For encrypted transports.
    pub(crate) security: Option<Security>,
    /// Processes of a server on this machine.
    pub(crate) server_pids: Vec<u32>,
    /// The CPU to run on.
    pub(crate) cpu: Option<usize>,
    pub(crate) quiet: bool,
}

/// One point of the timeline: counts since the previous point.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub(crate) at: Duration,
    pub(crate) length: Duration,
    pub(crate) stage: Stage,
    pub(crate) notifies: u64,
    pub(crate) requests: u64,
    pub(crate) retransmitted: u64,
    pub(crate) repeated: u64,
    /// Latencies in microseconds of the lamps in the interval; 0 if there were none.
    pub(crate) lamp_p50: u64,
    pub(crate) lamp_p99: u64,
    pub(crate) lamp_max: u64,
    /// CPU time of the server so far.
    pub(crate) server_cpu: Duration,
}

/// CPU times at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    pub(crate) at: Instant,
    pub(crate) server: Duration,
    /// This thread's.
    pub(crate) own: Duration,
}

/// A finished run.
pub(crate) struct Outcome {
    pub(crate) setting: Setting,
    pub(crate) scenario: Scenario,
    pub(crate) began: SystemTime,
    pub(crate) duration: Duration,
    pub(crate) swarm: Swarm,
    pub(crate) timeline: Vec<Point>,
    /// Of the server, before the first stage and after each.
    pub(crate) usages: Vec<Usage>,
    /// CPU time of this thread, at the same moments.
    pub(crate) own: Vec<Duration>,
    /// Where each step of the search began and ended.
    pub(crate) marks: Vec<Mark>,
    /// Datagrams that this machine dropped during the run for lack of buffer space.
    pub(crate) datagrams_dropped: u64,
}

struct Watch {
    began: Instant,
    last: Instant,
    before: Tally,
    server: Server,
    timeline: Vec<Point>,
    usages: Vec<Usage>,
    own: Vec<Duration>,
    marks: Vec<Mark>,
    progress: Progress,
}

/// Runs a scenario to its end.
pub(crate) fn run(setting: Setting, scenario: Scenario) -> io::Result<Outcome> {
    sockets::raise_descriptor_limit()?;
    if let Some(cpu) = setting.cpu {
        sockets::pin(cpu)?;
    }
    let opening = Opening {
        server: setting.target.server,
        transport: scenario.transport,
        count: scenario.ports(),
        sources: setting.sources.clone(),
        offload: scenario.offload,
        security: setting.security.clone(),
    };
    let mut ports = Ports::open(opening)?;
    let mut links = Vec::new();
    if scenario.feed == Feed::Http {
        let missing = || io::Error::other("feed = \"http\" needs --http ADDRESS and --password");
        let http = setting.target.http.ok_or_else(missing)?;
        setting.target.password.as_ref().ok_or_else(missing)?;
        for _ in 0..scenario.http_connections.max(1) {
            links.push(ports.add_stream(http)?);
        }
    }
    let addresses = (0..scenario.ports())
        .map(|port| ports.address(port).to_owned())
        .collect();
    let began = SystemTime::now();
    let since_epoch = began.duration_since(UNIX_EPOCH).unwrap_or_default();
    let run = since_epoch.as_nanos() as u32 ^ std::process::id().rotate_left(16);
    let dropped_before = process::datagrams_dropped();
    let start = Instant::now();
    let mut watch = Watch::new(&setting, &scenario, start);
    let target = setting.target.clone();
    let local = LocalPorts { addresses, links };
    let mut swarm = Swarm::new(scenario.clone(), target, local, run, start);
    drive(&mut swarm, &mut ports, &mut watch)?;
    watch.progress.finish();
    swarm.count_unsent(ports.unsent);
    Ok(Outcome {
        setting,
        scenario,
        began,
        duration: start.elapsed(),
        swarm,
        timeline: watch.timeline,
        usages: watch.usages,
        own: watch.own,
        marks: watch.marks,
        datagrams_dropped: process::datagrams_dropped() - dropped_before,
    })
}

fn drive(swarm: &mut Swarm, ports: &mut Ports, watch: &mut Watch) -> io::Result<()> {
    let mut outbox = Outbox::default();
    let mut now = Instant::now();
    while !swarm.is_done() {
        swarm.handle_timeout(now, &mut outbox);
        ports.flush(&mut outbox)?;
        watch.look(swarm, now);
        let wait = swarm.poll_timeout().saturating_duration_since(now);
        ports.wait(wait.min(WAIT_MAX))?;
        now = Instant::now();
        let mut port_before = u32::MAX;
        ports.receive(&mut outbox, |port, bytes, outbox| {
            if port != port_before {
                now = Instant::now();
                port_before = port;
            }
            swarm.handle(port, bytes, now, outbox);
        })?;
        ports.flush(&mut outbox)?;
        now = Instant::now();
        while let Some(port) = ports.next_closed() {
            let again = swarm.server_of(port);
            let opened = again.is_some_and(|server| ports.reopen(port, server).is_ok());
            swarm.handle_closed(port, opened, now, &mut outbox);
        }
    }
    watch.look(swarm, now);
    Ok(())
}

impl Outcome {
    /// CPU time of this thread in the stage of that index.
    pub(crate) fn own_cpu(&self, index: usize) -> Duration {
        match self.own.get(index..index + 2) {
            Some([before, after]) => after.saturating_sub(*before),
            _ => Duration::ZERO,
        }
    }

    /// Index and record of a stage, if the run reached it.
    pub(crate) fn stage(&self, stage: Stage) -> Option<(usize, &StageRecord)> {
        let mut records = self.swarm.records().iter().enumerate();
        records.find(|(_, record)| record.stage == stage)
    }
}

impl Watch {
    fn new(setting: &Setting, scenario: &Scenario, now: Instant) -> Self {
        let server = Server::new(&setting.server_pids);
        Self {
            began: now,
            last: now,
            before: Tally::default(),
            usages: vec![server.usage()],
            own: vec![sockets::thread_cpu_time()],
            marks: Vec::new(),
            server,
            timeline: Vec::new(),
            progress: Progress::new(&setting.name, scenario, setting.quiet),
        }
    }

    /// Records finished stages, steps of a search, and, once per interval, a point of the timeline.
    fn look(&mut self, swarm: &mut Swarm, now: Instant) {
        if self.marks.len() < swarm.search().map_or(0, Search::marks) {
            self.marks.push(Mark {
                at: now,
                server: self.server.cpu(),
                own: sockets::thread_cpu_time(),
            });
        }
        while self.usages.len() <= swarm.records().len() {
            self.server.look_again();
            self.usages.push(self.server.usage());
            self.own.push(sockets::thread_cpu_time());
            if let Some(record) = swarm.records().get(self.usages.len() - 2) {
                self.progress.stage_ended(record);
            }
        }
        let length = now.saturating_duration_since(self.last);
        if length < INTERVAL && !swarm.is_done() {
            return;
        }
        let lamps = swarm.lamps_of_interval();
        let [lamp_p50, lamp_p99, lamp_max] = [0.5, 0.99, 1.0].map(|share| lamps.quantile(share));
        lamps.clear();
        let (tally, before) = (swarm.tally(), &self.before);
        let point = Point {
            at: now.saturating_duration_since(self.began),
            length,
            stage: swarm.stage(),
            notifies: tally.notifies - before.notifies,
            requests: tally.requests() - before.requests(),
            retransmitted: tally.retransmitted - before.retransmitted,
            repeated: tally.repeated - before.repeated,
            lamp_p50,
            lamp_p99,
            lamp_max,
            server_cpu: self.server.cpu(),
        };
        self.progress.point(swarm, &point, now);
        self.timeline.push(point);
        self.before = swarm.tally().clone();
        self.last = now;
    }
}
