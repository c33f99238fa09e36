//! The swarm: many phones on one thread that subscribe, watch lamps change while a load goes on,
//! check every NOTIFY, and leave.
//!
//! ```text
//! subscribe ─► (search) ─► load ─► drain ─► withdraw ─► leave
//! ```
//!
//! The load is an open loop: every event has its moment, whether or not answers come. Only the
//! stages around it wait: until all is answered and every watcher shows the newest state, then a
//! little longer for what should not come. When nothing new arrives for as long as patience lasts,
//! what is still missing counts as lost.
//!
//! [`Swarm`] has no socket and no clock: messages and time in, messages out.

mod call_state;
mod exchange;
mod incoming;
mod judge;
mod load;
mod pace;
mod presentity;
mod requests;
mod search;
mod stages;
mod subscription;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use std::time::Instant;

pub(crate) use search::Search;
pub(crate) use search::SearchStep;
pub(crate) use stages::Stage;
pub(crate) use stages::StageRecord;

use crate::measure::latency::Latencies;
use crate::measure::tally::Tally;
use crate::net::ports::Outbox;
use crate::net::ports::Transport;
use crate::scenario::Scenario;
use crate::swarm::call_state::Feeder;
use crate::swarm::exchange::Exchanges;
use crate::swarm::exchange::Purpose;
use crate::swarm::load::Load;
use crate::swarm::pace::Pacer;
use crate::swarm::pace::Random;
use crate::swarm::presentity::Presentity;
use crate::swarm::presentity::Sight;
use crate::swarm::subscription::Subscription;
use crate::wire::dialog_info::Lamp;
use crate::wire::digest::Challenge;
use crate::wire::names::Life;
use crate::wire::names::Names;
use crate::wire::template::Style;
use crate::wire::template::Template;

/// The server under test, and who we are to it.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) server: SocketAddr,
    pub(crate) domain: String,
    pub(crate) user_prefix: String,
    /// The account that answers challenges; without it every user answers with their own name.
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) http: Option<SocketAddr>,
}

/// Something to do at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    /// A call goes on.
    Call { presentity: u32, lamp: Lamp },
    /// A request that a 503 put off, with the moment it was due first.
    Retry(Purpose, Instant),
}

/// An account's last challenge, and how often it was answered.
#[derive(Clone, Debug)]
struct Login {
    challenge: Challenge,
    count: u32,
}

/// The engine of a run.
pub(crate) struct Swarm {
    scenario: Scenario,
    target: Target,
    names: Names,
    addresses: Vec<String>,
    subscribe: Template,
    publish: Template,
    withdraw: Template,

    subscriptions: Vec<Subscription>,
    /// What each subscription shows: as many for each as a list has users, or one.
    sights: Vec<Sight>,
    presentities: Vec<Presentity>,
    exchanges: Exchanges,
    feeder: Feeder,
    logins: BTreeMap<u32, Login>,

    stage: Stage,
    records: Vec<StageRecord>,
    stage_began: Instant,
    tally_before: Tally,
    /// Starts of the stages that go through all subscriptions or presentities.
    starts: Pacer,
    started: u32,
    load: Load,
    search: Option<Search>,
    /// When the load ended, and when a lamp last caught up after that.
    load_ended: Option<Instant>,
    caught_up: Option<Instant>,
    /// What is to be done later, in order; the number tells apart what is due at once.
    agenda: BTreeMap<(Instant, u64), Task>,
    task_serial: u64,
    /// When watchers were last compared with what they should show.
    compared: Instant,

    /// When something new came last.
    progress: Instant,
    /// Subscriptions that wait for their 2xx or their NOTIFY.
    waiting: u64,
    random: Random,
    messages: u64,
    pub(crate) tally: Tally,
    pub(crate) latencies: Latencies,
}

impl Swarm {
    /// `addresses` are those of the ports, `links` the numbers of the HTTP connections, `run` tells
    /// this run from every other.
    pub(crate) fn new(
        scenario: Scenario,
        target: Target,
        addresses: Vec<String>,
        links: &[u32],
        run: u32,
        now: Instant,
    ) -> Self {
        let transport = match scenario.transport {
            Transport::Udp => rsip::Transport::Udp,
            Transport::Tcp => rsip::Transport::Tcp,
        };
        let style = Style {
            domain: target.domain.clone(),
            transport,
        };
        let names = Names::new(
            &target.domain,
            &target.user_prefix,
            scenario.presentities,
            run,
        );
        let http = target.http.map_or_else(String::new, |one| one.to_string());
        let password = target.password.as_deref().unwrap_or("");
        let subscriptions = scenario.subscriptions();
        let sights = subscriptions as usize * scenario.sights_per_subscription() as usize;
        let tally = Tally {
            subscriptions: u64::from(subscriptions),
            ..Tally::default()
        };
        Self {
            subscribe: Template::subscribe(&style, scenario.list_size > 0),
            publish: Template::publish(&style),
            withdraw: Template::withdraw(&style),
            subscriptions: vec![Subscription::default(); subscriptions as usize],
            sights: vec![Sight::default(); sights],
            presentities: (0..scenario.presentities)
                .map(|number| Presentity::new(names.uri(&names.user(number)), now))
                .collect(),
            exchanges: Exchanges::new(run, scenario.transport == Transport::Tcp),
            feeder: Feeder::new(&http, &target.domain, password, links),
            logins: BTreeMap::new(),
            stage: Stage::Subscribe,
            records: Vec::new(),
            stage_began: now,
            tally_before: tally.clone(),
            starts: stages::starts(&scenario, Stage::Subscribe, now),
            started: 0,
            load: Load::default(),
            search: None,
            load_ended: None,
            caught_up: None,
            agenda: BTreeMap::new(),
            task_serial: 0,
            compared: now,
            progress: now,
            waiting: 0,
            random: Random::new(scenario.seed),
            messages: 0,
            tally,
            latencies: Latencies::new(),
            names,
            addresses,
            target,
            scenario,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    pub(crate) fn stage(&self) -> Stage {
        self.stage
    }

    /// The stages that are over.
    pub(crate) fn records(&self) -> &[StageRecord] {
        &self.records
    }

    /// The search for the best rate, if there was or is one.
    pub(crate) fn search(&self) -> Option<&Search> {
        self.search.as_ref()
    }

    /// How long after the load the last lamp was stale.
    pub(crate) fn stale_after_load(&self) -> Option<Duration> {
        let ended = self.load_ended?;
        let last = self.caught_up.unwrap_or(ended);
        Some(last.saturating_duration_since(ended))
    }

    /// Requests and tasks that wait for something.
    pub(crate) fn in_flight(&self) -> usize {
        self.exchanges.in_flight()
    }

    /// How far the running stage is, from 0 to 1.
    pub(crate) fn share_done(&self, now: Instant) -> f64 {
        let all = f64::from(self.starts_max().max(1));
        match self.stage {
            Stage::Subscribe => (self.tally.established as f64 / all).min(1.0),
            Stage::Load => {
                let spent = now
                    .saturating_duration_since(self.stage_began)
                    .as_secs_f64();
                (spent / self.scenario.duration.as_secs_f64().max(1e-3)).min(1.0)
            }
            Stage::Withdraw | Stage::Leave => f64::from(self.started) / all,
            Stage::Search | Stage::Drain => 0.0,
            Stage::Done => 1.0,
        }
    }

    /// Does what is due: retransmissions, what was put off, new requests, the next stage.
    pub(crate) fn handle_timeout(&mut self, now: Instant, outbox: &mut Outbox) {
        self.retransmit(now, outbox);
        self.do_tasks(now, outbox);
        self.do_starts(now, outbox);
        self.do_load(now, outbox);
        self.do_stage(now);
    }

    /// When [`Self::handle_timeout`] wants to be called.
    pub(crate) fn poll_timeout(&self) -> Instant {
        let starts = match self.started < self.starts_max() {
            true => self.starts.next(),
            false => None,
        };
        let task = self.agenda.keys().next().map(|(due, _)| *due);
        let timers = [
            self.exchanges.poll_timeout(),
            task,
            starts,
            self.load.next(),
            Some(self.stage_timeout()),
        ];
        let far = self.progress + self.scenario.patience;
        timers.into_iter().flatten().fold(far, Instant::min)
    }

    // ---- Who is who

    /// The phone's life that a subscription is in.
    fn life(&self, number: u32) -> Life {
        Life {
            subscription: number,
            generation: self.subscriptions[number as usize].generation,
        }
    }

    /// The phone that a subscription is of.
    fn phone(&self, number: u32) -> u32 {
        number / self.scenario.keys
    }

    /// The user whose phone that is.
    fn watcher(&self, number: u32) -> u32 {
        self.phone(number) % self.scenario.presentities
    }

    fn port(&self, number: u32) -> u32 {
        self.phone(number) % self.scenario.ports()
    }

    /// The presentity that a subscription sees at that place.
    fn watched(&self, number: u32, place: u32) -> u32 {
        let (phone, key) = (self.phone(number), number % self.scenario.keys);
        let from = match self.scenario.list_size {
            // Where there are fewer phones than users, nobody in between is left unwatched.
            0 => {
                let apart = (self.scenario.presentities / self.scenario.phones.max(1)).max(1);
                u64::from(phone) * u64::from(apart) + u64::from(key) + 1
            }
            size => u64::from(number) * u64::from(size),
        };
        ((from + u64::from(place)) % u64::from(self.scenario.presentities)) as u32
    }

    /// Where the sights of a subscription are.
    fn places(&self, number: u32) -> std::ops::Range<usize> {
        let size = self.scenario.sights_per_subscription() as usize;
        number as usize * size..(number as usize + 1) * size
    }

    // ---- What is to be done later

    fn remember(&mut self, due: Instant, task: Task) {
        self.task_serial += 1;
        self.agenda.insert((due, self.task_serial), task);
    }

    fn do_tasks(&mut self, now: Instant, outbox: &mut Outbox) {
        while let Some(entry) = self.agenda.first_entry() {
            let due = entry.key().0;
            if due > now {
                return;
            }
            match entry.remove() {
                Task::Call { presentity, lamp } => self.go_on(presentity, lamp, due, now, outbox),
                Task::Retry(purpose, scheduled) => {
                    self.progress = now;
                    self.send(purpose, scheduled, now, outbox);
                }
            }
        }
    }
}
