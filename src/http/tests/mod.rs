//! The pages from the outside: real sockets on loopback, a real executor, and an engine that
//! remembers what it was asked.

mod api;
mod call_state;
mod commands;
mod connectors;
mod credentials;
mod crowded;
mod dashboard;
mod history;
mod json;
mod operator;
mod parks;
mod probe;
mod protocol;
mod routes;
mod trace;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::LocalBoxFuture;
use glommio::LocalExecutorBuilder;
use glommio::timer::sleep;

use super::*;
use crate::directory::connectors::{
    Connector, Preferred, Protocol, ServerAddress, SipUpstream, UserSelection,
};
use crate::directory::feeds::{Feed, Meaning};
use crate::directory::managed::{ChangeRefusal, Changed, ManagedChange, Precondition};
use crate::directory::relays::{PublishedDocument, SipRelay};
use crate::directory::tokens::{Role, Token};
use crate::directory::user_range::UserRange;
use crate::directory::{Details, Directory, Domain, ParksTokens};
use crate::dns::LookupError;
use crate::http::engine::HistoryFault;
use crate::http::facts::Scheme;
use crate::presence::call::{CallState, Direction};
use crate::presence::composition::{Availability, Extended, ImagicleStatus, Tracks};
use crate::presence::event::Package;
use crate::presence::history::{HistoryErased, HistoryPage, HistoryQuery};
use crate::presence::policy::{DecidingRule, Privacy};
use crate::presence::presentity::{Assertion, Call, CallParty};
use crate::presence::source::{CallSource, Source, StateUpdate};
use crate::presence::{Aor, CallDialog, Presentity};
use crate::relay::{Condition, RelayReport};
use crate::shard::contract::connector::{
    ConnectorCounts, ConnectorOrder, ConnectorReport, ConnectorStatus, ConnectorUserReport,
};
use crate::shard::contract::counters::{Counted, NotifyOutcomes, TransportCounters};
use crate::shard::contract::lockout::{Lifted, LockoutReport, LockoutScope};
use crate::shard::contract::probe::{
    ProbeEntry, ProbeEvent, ProbeId, ProbeOrder, ProbeReport, ServerStatus, UserStatus,
};
use crate::shard::contract::relay::SipRelayReport;
use crate::shard::contract::report::{
    Contribution, ForgottenMentions, LoopReport, ParkedCall, PresentityState, RefusalReport,
    WatcherReport, WatcherState, Why,
};
use crate::shard::{Command, Reply, ShardId};
use crate::sip::Transport;
use crate::sip::location::{Location, Question};
use crate::trace::{Target, TooManyTraces, TraceId, TraceReport, Traces};

const SHARDS: u16 = 3;
/// What shows the parked calls of `pbx.example`.
const PARKS_TOKEN: &str = "0f8c2b7d9e4a6153";

/// A call state that call_state.htm gave to the engine.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::http) struct CallUpdate {
    shard: ShardId,
    aor: String,
    call: Option<Arc<CallDialog>>,
    expires: Duration,
}

#[derive(Clone, Default)]
pub(in crate::http) struct FakeEngine {
    pub(in crate::http) calls: Arc<Mutex<Vec<CallUpdate>>>,
    is_ready: Arc<AtomicBool>,
    is_draining: Arc<AtomicBool>,
    is_silent: Arc<AtomicBool>,
    is_full: Arc<AtomicBool>,
    /// The other state updates, by address of record.
    updates: Arc<Mutex<Vec<(String, StateUpdate)>>>,
    /// Changes of domains, and why they are refused.
    changes: Arc<Mutex<Vec<ManagedChange>>>,
    change_refusal: Arc<Mutex<Option<ChangeRefusal>>>,
    /// Probes that were ordered.
    probes: Arc<Mutex<Vec<ProbeOrder>>>,
    /// Directories that each shard was given.
    reloads: Arc<Mutex<Vec<ShardId>>>,
    /// Directories that are refused before one is taken.
    refusals: Arc<AtomicU64>,
    store: Arc<Mutex<Option<StoreReport>>>,
    /// What the history answers, if one is kept, and what it was asked.
    history: Arc<Mutex<Option<HistoryPage>>>,
    history_queries: Arc<Mutex<Vec<HistoryQuery>>>,
    /// Beginnings and ends of verifications of password hashes.
    verifications: Arc<AtomicU64>,
    /// Where other processes wait for the sockets.
    heirs: Arc<Mutex<Vec<PathBuf>>>,
    /// Subscriptions left while it drains; half of them end each time.
    subscriptions: Arc<AtomicU64>,
    /// Parked calls, of any domain.
    parked: Arc<Mutex<Vec<ParkedCall>>>,
    /// Questions for parked calls.
    parked_asked: Arc<AtomicU64>,
    /// What connectors were ordered to do.
    connector_orders: Arc<Mutex<Vec<String>>>,
    /// Whether it was asked to tell changes.
    tells: Arc<AtomicBool>,
    traces: FakeTraces,
}

/// The traces of an engine without messages.
#[derive(Clone)]
struct FakeTraces(Arc<Traces>);

impl Default for FakeTraces {
    fn default() -> Self {
        Self(Arc::new(Traces::new(SHARDS)))
    }
}

impl Engine for FakeEngine {
    fn connectors(&self) -> Vec<ConnectorReport> {
        Vec::new()
    }

    fn connector_users(
        &self,
        _name: &str,
        _from: u32,
    ) -> Option<(Vec<ConnectorUserReport>, Option<u32>)> {
        None
    }

    fn order_connector(&self, _name: &str, _order: ConnectorOrder) {}

    async fn reload(&self, accepts_removal: bool) -> Result<Reloaded, Unavailable> {
        if self.is_silent.load(Ordering::SeqCst) {
            return Err(Unavailable);
        }
        Ok(match accepts_removal {
            true => Ok("reloaded".to_owned()),
            false => Err("it would remove everything\nand more".to_owned()),
        })
    }

    /// Takes every change of a domain that exists, and of one that is called `new.example`.
    async fn change_managed(
        &self,
        change: ManagedChange,
        precondition: Precondition,
    ) -> Result<Result<Changed, ChangeRefusal>, Unavailable> {
        if self.is_full.load(Ordering::SeqCst) {
            return Err(Unavailable);
        }
        let mut directory = directory();
        if let Err(refusal) = precondition(&directory, change.domain()) {
            return Ok(Err(refusal));
        }
        if let Some(refusal) = self.change_refusal.lock().unwrap().clone() {
            return Ok(Err(refusal));
        }
        let domain = change.domain().to_owned();
        let is_new = directory.domain(&domain).is_none();
        if is_new {
            directory.add_domain(Domain::new(&domain), &[]).unwrap();
        }
        if let ManagedChange::PutGroup { domain, group, .. } = &change {
            directory.add_group(group, domain, Vec::new());
        }
        self.changes.lock().unwrap().push(change);
        Ok(Ok(Changed {
            domain,
            is_new,
            directory: Arc::new(directory),
        }))
    }

    /// One name is known.
    async fn locate(&self, question: Question) -> Result<Vec<Location>, LookupError> {
        if *question.host != *"pbx.example.com" {
            return Err(LookupError::Unknown);
        }
        let location = |port| Location {
            transport: Transport::Udp,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
        };
        Ok([5070, 5080].map(location).into())
    }

    fn hand_over(&self, place: PathBuf) -> Result<(), Unavailable> {
        self.heirs.lock().unwrap().push(place);
        Ok(())
    }

    fn shards(&self) -> u16 {
        SHARDS
    }

    async fn ask(&self, shard: ShardId, command: Command) -> Result<Reply, Unavailable> {
        if self.is_silent.load(Ordering::SeqCst) {
            return Err(Unavailable);
        }
        // An engine replies from another core: not at once.
        sleep(Duration::from_millis(1)).await;
        Ok(match command {
            Command::UpdateState { .. } if self.is_full.load(Ordering::SeqCst) => Reply::OverLimit,
            Command::UpdateState {
                aor,
                update:
                    StateUpdate::Call {
                        source: CallSource::CallState,
                        call,
                        expires: Some(expires),
                    },
                ..
            } => {
                let update = CallUpdate {
                    shard,
                    aor: aor.as_str().to_owned(),
                    call,
                    expires,
                };
                self.calls.lock().unwrap().push(update);
                Reply::Done
            }
            Command::UpdateState { aor, update, .. } => {
                assert_eq!(shard, ShardId::owner_of(&aor, SHARDS));
                self.updates.lock().unwrap().push((aor.to_string(), update));
                Reply::Done
            }
            Command::Forget(_) => {
                let mut presentity = Presentity::default();
                let note = StateUpdate::Note(Some("away".into()));
                presentity.apply(note, Instant::now());
                Reply::Forgotten(Some(presentity.forget().0))
            }
            Command::ForgetMentions { from: 0, .. } => {
                Reply::MentionsForgotten(ForgottenMentions::default(), Some(2_000))
            }
            Command::ForgetMentions { .. } => {
                let mentions = ForgottenMentions {
                    subscriptions: 1,
                    watchers: usize::from(shard.0 == 1),
                    ..ForgottenMentions::default()
                };
                Reply::MentionsForgotten(mentions, None)
            }
            Command::Stated { from } => {
                let next = (from == 0).then_some(2_000);
                let stated = match next {
                    Some(_) => Vec::new(),
                    None => vec![(
                        Aor::new(&shard.0.to_string(), "abc.com"),
                        why(&Aor::new("123", "abc.com")).contributions,
                    )],
                };
                Reply::Stated(stated, next)
            }
            Command::States { aors, .. } => Reply::States(aors.into_iter().map(state).collect()),
            Command::KnownStates { from, .. } => {
                let next = (from == 0).then_some(2_000);
                let aor = Aor::new(&format!("known{}", shard.0), "abc.com");
                let states = match next {
                    Some(_) => Vec::new(),
                    None => vec![state(aor)],
                };
                Reply::KnownStates(states, next)
            }
            Command::UpdateStates { updates, .. } => {
                let is_full = self.is_full.load(Ordering::SeqCst);
                let taken = vec![!is_full; updates.len()];
                for (aor, update) in updates {
                    assert_eq!(shard, ShardId::owner_of(&aor, SHARDS));
                    self.updates.lock().unwrap().push((aor.to_string(), update));
                }
                Reply::Updated(taken)
            }
            Command::Subscriptions { from } => {
                let next = (from == 0).then_some(2_000);
                let reports = match (next, shard.0) {
                    (None, 1) => vec![watcher()],
                    _ => Vec::new(),
                };
                Reply::Subscriptions(reports, next)
            }
            Command::NotifyAnew(_) => Reply::NotifiedAnew(usize::from(shard.0)),
            Command::TellChanges(_, tells) => {
                self.tells.store(tells, Ordering::SeqCst);
                Reply::Done
            }
            Command::Parked { watcher, orbits } => {
                self.parked_asked.fetch_add(1, Ordering::SeqCst);
                for orbit in &orbits {
                    assert_eq!(shard, ShardId::owner_of(orbit, SHARDS));
                    assert_eq!(watcher, Aor::new("parks", orbit.domain()));
                }
                let parked = self.parked.lock().unwrap();
                let parked = parked.iter().filter(|call| orbits.contains(&call.orbit));
                Reply::Parked(parked.cloned().collect())
            }
            Command::Why(aor) => Reply::Why(why(&aor)),
            Command::Loops if shard.0 == 2 => Reply::Loops(vec![looping(5), looping(500)]),
            Command::Loops => Reply::Loops(Vec::new()),
            Command::Refusals if shard.0 == 2 => Reply::Refusals(vec![refused(90), refused(3)]),
            Command::Refusals => Reply::Refusals(Vec::new()),
            Command::Lockouts if shard.0 == 1 => Reply::Lockouts(vec![locked_out()]),
            Command::Lockouts => Reply::Lockouts(Vec::new()),
            Command::ReportUpstreams(_) => Reply::Done,
            Command::Connectors { from: 0 } => {
                Reply::Connectors(vec![connector(shard)], Some(2_000))
            }
            Command::Connectors { .. } => Reply::Connectors(Vec::new(), None),
            Command::SipRelays { from } => {
                let next = (from == 0).then_some(2_000);
                Reply::SipRelays(vec![sip_relay(from)], next)
            }
            Command::ConnectorUsers { name, from } => {
                assert_eq!(&*name, "pbx");
                let next = (from == 0).then_some(2_000);
                let users = match next {
                    Some(_) => Vec::new(),
                    None => vec![connector_user(shard)],
                };
                Reply::ConnectorUsers(users, next)
            }
            Command::OrderConnector { name, order } => {
                let order = format!("{order:?} {name} on {}", shard.0);
                self.connector_orders.lock().unwrap().push(order);
                Reply::Done
            }
            Command::LiftLockouts(lifted) => {
                let is_it = lifted == Lifted::Account("200@abc.com".into());
                Reply::Lifted(usize::from(is_it && shard.0 == 1))
            }
            Command::Watchers(_) if shard.0 == 1 => Reply::Watchers(vec![watcher()]),
            Command::Watchers(_) => Reply::Watchers(Vec::new()),
            Command::Counters => Reply::Counters(Counted {
                values: vec![
                    ("subscriptions", 2),
                    ("notifies_sent", 10 + u64::from(shard.0)),
                ],
                subscriptions: vec![("dialog", 1), ("presence", 1)],
                domains: vec![("abc.com".into(), 2)],
                transports: [TransportCounters {
                    messages_received: 1,
                    notifies_sent: 2,
                }; Transport::ALL.len()],
                notify_outcomes: vec![NotifyOutcomes {
                    profile: "yealink".into(),
                    status: Some(481),
                    count: 1 + u64::from(shard.0),
                }],
            }),
            Command::Reload(_) => {
                let left = self.refusals.load(Ordering::SeqCst);
                if left > 0 {
                    self.refusals.store(left - 1, Ordering::SeqCst);
                    return Err(Unavailable);
                }
                self.reloads.lock().unwrap().push(shard);
                Reply::Done
            }
            Command::BeginProbe(order) => {
                let number = order.duration.as_secs();
                self.probes.lock().unwrap().push(*order);
                Reply::ProbeBegun(ProbeId { shard, number })
            }
            Command::ReadProbe { id, seen } => Reply::Probe(probe_report(id, seen)),
            Command::SetClock(_) => Reply::Done,
            Command::Drain => {
                let left = self.subscriptions.load(Ordering::SeqCst);
                self.subscriptions.store(left / 2, Ordering::SeqCst);
                Reply::Outstanding(left as usize)
            }
        })
    }

    fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::SeqCst)
    }

    fn decline_work(&self) {
        self.is_draining.store(true, Ordering::SeqCst);
        self.is_ready.store(false, Ordering::SeqCst);
    }

    fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::SeqCst)
    }

    async fn history(&self, query: HistoryQuery) -> Result<HistoryPage, HistoryFault> {
        self.history_queries.lock().unwrap().push(query);
        self.history
            .lock()
            .unwrap()
            .clone()
            .ok_or(HistoryFault::Off)
    }

    async fn erase_history(&self, _: &Aor) -> Result<HistoryErased, HistoryFault> {
        let page = self.history.lock().unwrap().clone();
        let page = page.ok_or(HistoryFault::Off)?;
        Ok(HistoryErased {
            changes: page.changes.len() as u64,
            mentions: 1,
        })
    }

    fn keep_edits(&self, _: &[Aor], _: &Directory) -> LocalBoxFuture<'static, bool> {
        let report = self.store.lock().unwrap().clone();
        let is_kept = report.is_none_or(|report| report.failure.is_none());
        Box::pin(async move { is_kept })
    }

    async fn write_store_anew(&self) -> Result<Result<Vec<String>, String>, Unavailable> {
        let report = self.store.lock().unwrap().clone();
        let failure = report.and_then(|report| report.failure);
        let files = vec!["/state/state.sqlite.damaged-1".to_owned()];
        Ok(failure.map_or(Ok(files), Err))
    }

    async fn back_up(&self, file: PathBuf) -> Result<Result<u64, String>, Unavailable> {
        Ok(match file.exists() {
            true => Err(format!("{}: exists", file.display())),
            false => Ok(4096),
        })
    }

    /// A hash of the tests is the password itself after `slow:`.
    async fn verify_password(&self, hash: &str, password: &str) -> Result<bool, Unavailable> {
        let running = self.verifications.fetch_add(1, Ordering::SeqCst);
        assert_eq!(running & 1, 0, "one at a time");
        sleep(Duration::from_millis(20)).await;
        self.verifications.fetch_add(1, Ordering::SeqCst);
        Ok(hash.strip_prefix("slow:") == Some(password))
    }

    fn begin_trace(&self, target: Target) -> Result<TraceId, TooManyTraces> {
        self.traces.0.begin(target, Instant::now())
    }

    fn read_trace(&self, id: TraceId) -> Option<TraceReport> {
        self.traces.0.read(id, Instant::now(), SystemTime::now())
    }

    fn end_trace(&self, id: TraceId) {
        self.traces.0.end(id);
    }

    fn relays(&self) -> Vec<RelayReport> {
        vec![failing_relay()]
    }

    fn store(&self) -> Option<StoreReport> {
        self.store.lock().unwrap().clone()
    }
}

/// The configuration of [`sip_relay`].
fn there() -> SipRelay {
    SipRelay {
        name: "there".into(),
        domains: Vec::new(),
        users: Vec::new(),
        address: ServerAddress {
            host: "sip.example.com".into(),
            port: None,
        },
        transport: Transport::Udp,
        remote_domain: None,
        uri: None,
        login: None,
        document: PublishedDocument::DialogInfo,
        expires: Duration::from_secs(600),
        pace: 1,
        parties: true,
        notes: true,
    }
}

/// A relay by SIP that refuses a user at the second places of each shard.
fn sip_relay(from: u32) -> SipRelayReport {
    let status = match from {
        0 => UserStatus::Published,
        _ => UserStatus::NotFound,
    };
    SipRelayReport {
        name: "there".into(),
        status: ConnectorStatus::Known(ServerStatus::UpAndRunning),
        users: vec![(status, 2)],
        waiting: 1,
        sent: 5,
        failures: 3,
    }
}

fn failing_relay() -> RelayReport {
    RelayReport {
        name: "crm".into(),
        kind: "webhook",
        condition: Condition::Failing,
        fault: Some("HTTP 500".to_owned()),
        queued: 3,
        oldest: Duration::from_secs(90),
        sent: 7,
        failed: 5,
        retried: 4,
        dead_letters: 1,
        unknown: 0,
        overflows: 0,
        snapshots: 2,
    }
}

fn looping(requests: u64) -> LoopReport {
    LoopReport {
        shard: ShardId(2),
        transport: Transport::Udp,
        peer: SocketAddr::from(([10, 0, 0, 7], 5060)),
        phone: format!("sip:{requests}@abc.com"),
        user_agent: "baresip v1.0.0\u{1b}[2J".to_owned(),
        method: "SUBSCRIBE".to_owned(),
        target: "sip:9@abc.com".to_owned(),
        status: 503,
        requests,
        age: Duration::from_secs(30),
    }
}

fn refused(seconds: u64) -> RefusalReport {
    RefusalReport {
        shard: ShardId(2),
        transport: Transport::Tcp,
        peer: SocketAddr::from(([10, 0, 0, 7], 5060)),
        method: "SUBSCRIBE".to_owned(),
        status: 403,
        reason: "Too Many Attempts",
        from: "sip:1@abc.com".to_owned(),
        user: (seconds > 60).then(|| "200\u{1b}[2J".to_owned()),
        to: "sip:9@abc.com".to_owned(),
        count: 7,
        age: Duration::from_secs(seconds),
    }
}

/// The connector of the configuration.
fn pbx() -> Connector {
    Connector {
        name: "pbx".into(),
        domain: "abc.com".into(),
        is_enabled: true,
        address: None,
        login: None,
        users: UserSelection::default(),
        preferred: Preferred::default(),
        protocol: Protocol::Sip(SipUpstream {
            transport: Transport::Udp,
            remote_domain: "pbx.example.com".into(),
            uri: "sip:lamps@pbx.example.com".into(),
            packages: vec![Package::Dialog],
            expires: Duration::from_secs(3600),
            pace: 200,
            list: None,
        }),
    }
}

/// What a shard reports of the connector: one is behind.
fn connector(shard: ShardId) -> ConnectorReport {
    let status = match shard.0 {
        1 => ServerStatus::ConnectionError,
        _ => ServerStatus::UpAndRunning,
    };
    ConnectorReport {
        name: "pbx".into(),
        domain: "abc.com".into(),
        status: ConnectorStatus::Known(status),
        age: Some(Duration::from_secs(100 + u64::from(shard.0))),
        peer: Some(SocketAddr::from(([192, 0, 2, 7], 5060))),
        next_attempt: (shard.0 == 1).then_some(Duration::from_secs(9)),
        users: vec![(connector_user(shard).status, 1)],
        subscriptions: 1,
        counts: ConnectorCounts {
            notifies: 5,
            failures: u64::from(shard.0),
            published: 0,
        },
    }
}

fn connector_user(shard: ShardId) -> ConnectorUserReport {
    let status = match shard.0 {
        1 => UserStatus::Error,
        _ => UserStatus::Busy,
    };
    ConnectorUserReport {
        aor: Aor::new(&format!("10{}", shard.0), "abc.com"),
        target: format!("sip:10{}@pbx.example.com", shard.0).into(),
        package: Package::Dialog,
        status,
        remaining: (shard.0 != 1).then_some(Duration::from_secs(90)),
    }
}

fn locked_out() -> LockoutReport {
    LockoutReport {
        shard: Some(ShardId(1)),
        scope: LockoutScope {
            address: None,
            account: Some("200\u{1b}[2J@abc.com".into()),
        },
        remaining: Duration::from_secs(70),
    }
}

fn state(aor: Aor) -> PresentityState {
    let is_busy = aor.user() == "123";
    PresentityState {
        aor,
        availability: if is_busy {
            Availability::Busy
        } else {
            Availability::Offline
        },
        is_open: is_busy,
        lamp: if is_busy {
            CallState::Confirmed
        } else {
            CallState::Terminated
        },
        has_call: is_busy,
        extended: None,
        party: if is_busy { "sip:12@abc.com" } else { "" }.into(),
        note: "".into(),
        call_age: is_busy.then_some(Duration::from_secs(61)),
    }
}

fn why(aor: &Aor) -> Why {
    let imagicle = Tracks {
        combined: ImagicleStatus::Busy,
        telephony: Some(ImagicleStatus::Busy),
        rich: None,
    };
    let call = Call {
        state: CallState::Early,
        direction: Some(Direction::Recipient),
        party: CallParty::Known("sip:12@abc.com\u{1b}[2J".into()),
        is_on_hold: false,
    };
    let contribution = Contribution {
        source: Source::Register("5f3c".into()),
        asserts: Assertion::Calls(vec![call]),
        age: Duration::from_secs(3),
        remaining: Some(Duration::from_secs(177)),
        stale: None,
        decides: true,
    };
    let forever = Contribution {
        source: Source::Note,
        asserts: Assertion::Note("x".repeat(200).into()),
        age: Duration::from_secs(90_061),
        remaining: None,
        stale: Some(Duration::from_secs(75)),
        decides: false,
    };
    Why {
        availability: Availability::Ringing,
        is_open: true,
        lamp: CallState::Early,
        extended: match aor.domain() {
            "abc.com" => None,
            _ => Some(Extended::Imagicle(imagicle)),
        },
        rule: "a call is early",
        contributions: vec![contribution, forever],
    }
}

fn probe_report(id: ProbeId, seen: usize) -> Option<ProbeReport> {
    let entry = |event| ProbeEntry {
        at: Duration::from_secs(1),
        event,
    };
    let server = ProbeEvent::Server(ServerStatus::UpAndRunning);
    let entries = [entry(server), entry(ProbeEvent::Over)];
    (id.number == 60).then(|| ProbeReport {
        entries: entries[seen.min(2)..].to_vec(),
        is_over: true,
    })
}

fn watcher() -> WatcherReport {
    WatcherReport {
        shard: ShardId(1),
        presentity: Aor::new("123", "abc.com"),
        watcher: "sip:9@abc.com".to_owned(),
        package: Package::Dialog,
        transport: Transport::Udp,
        peer: SocketAddr::from(([10, 0, 0, 7], 5060)),
        target: "sip:9@10.0.0.7".to_owned(),
        state: WatcherState::Active,
        list: None,
        rule: DecidingRule::Default,
        privacy: Privacy::Pickup,
        profile: "yealink".to_owned(),
        age: Some(Duration::from_secs(7261)),
        notifies: 4,
        sequence: 7,
        unanswered: 0,
        refused: 0,
        remaining: Duration::from_secs(3599),
        call_id: "x@10.0.0.7".to_owned(),
    }
}

pub(in crate::http) fn directory() -> Directory {
    let domain = |name: &str, reveal_number| Domain {
        reveal_number,
        ..Domain::new(name)
    };
    let mut directory = Directory::default();
    directory
        .add_domain(domain("abc.com", false), &["pbx.abc.com".to_owned()])
        .unwrap();
    directory
        .add_domain(domain("open.example", true), &[])
        .unwrap();
    directory
        .add_account("123", "abc.com", "s3cret pass")
        .unwrap();
    directory.add_account("7", "open.example", "x").unwrap();
    let otto = Details {
        display: Some("Otto".into()),
        ..Details::default()
    };
    directory.describe(&Aor::new("7", "open.example"), otto);
    let orbits = Domain {
        orbits: vec![UserRange::parse("700-701").unwrap()],
        parks_tokens: ParksTokens::new("pbx.example", [PARKS_TOKEN].into_iter()),
        ..Domain::new("pbx.example")
    };
    directory.add_domain(orbits, &[]).unwrap();
    let token = |name: &str, role, domains: &[&str]| Token {
        name: name.into(),
        role,
        domains: domains.iter().map(|name| (*name).into()).collect(),
        hash: "slow:secret".into(),
    };
    directory.set_feeds(vec![Feed {
        name: "pbx".into(),
        domain: "abc.com".into(),
        events: "".into(),
        user: "/msg/extension".into(),
        state: "/msg/status".into(),
        party: Some("/msg/caller".into()),
        meanings: vec![
            ("ringing".into(), Meaning::Ringing),
            ("hangup".into(), Meaning::Idle),
            ("lunch".into(), Meaning::Away),
        ],
    }]);
    directory.set_connectors(vec![pbx()]);
    directory.set_sip_relays(vec![there()]);
    directory.set_tokens(vec![
        token("reader", Role::Reader, &[]),
        token("feeder", Role::Feeder, &["abc.com"]),
        token("editor", Role::DomainAdmin, &["abc.com"]),
        token("admin", Role::Admin, &[]),
    ]);
    directory
}

/// A server on loopback, ended when dropped.
struct Server {
    address: SocketAddr,
    control: PathBuf,
    engine: FakeEngine,
    directory: SharedDirectory,
    feed: ChangeFeed,
    is_over: Arc<AtomicBool>,
    thread: Option<glommio::ExecutorJoinHandle<()>>,
}

impl Server {
    fn start() -> Self {
        Self::start_with(OverloadOptions::default())
    }

    fn start_with(shield: OverloadOptions) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let number = COUNT.fetch_add(1, Ordering::SeqCst);
        let control =
            std::env::temp_dir().join(format!("lamplighter-{}-{number}.sock", std::process::id()));
        let control_listener = UnixListener::bind(&control).unwrap();
        let engine = FakeEngine::default();
        let is_over = Arc::new(AtomicBool::new(false));
        let (served, ended) = (engine.clone(), Arc::clone(&is_over));
        let builder = LocalExecutorBuilder::default().io_memory(64 << 10);
        let shared = SharedDirectory::new(Arc::new(directory()));
        let directory = shared.clone();
        let feed = ChangeFeed::default();
        let fed = feed.clone();
        let thread = builder.spawn(move || async move {
            let plan = HttpPlan {
                listeners: vec![(listener, None)],
                control: Some(control_listener),
                connections: ConnectionLimits {
                    connections_max: 32,
                    per_address_max: 16,
                },
                handshakes: HandshakeLimits::default(),
                engine: served,
                directory,
                changes: fed,
                facts: Facts {
                    keyrings: Vec::new(),
                    sip: vec![(Transport::Udp, SocketAddr::from(([127, 0, 0, 1], 5060)))],
                    http: vec![(Scheme::Http, SocketAddr::from(([127, 0, 0, 1], 8080)))],
                    started: Instant::now(),
                },
                shield,
                first_call_number: 1,
                password_key: [7; 32],
            };
            let end = async {
                while !ended.load(Ordering::SeqCst) {
                    sleep(Duration::from_millis(5)).await;
                }
            };
            serve(plan, end).await;
        });
        Self {
            address,
            control,
            engine,
            directory: shared,
            feed,
            is_over,
            thread: Some(thread.unwrap()),
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        stream
    }

    /// Sends octets on a connection of their own, closes the sending side and reads to the end.
    fn raw(&self, octets: &[u8]) -> String {
        let mut stream = self.connect();
        // The server may respond and close before it has read everything.
        let _ = stream.write_all(octets);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text);
        String::from_utf8(text).unwrap()
    }

    fn request(&self, method: &str, target: &str) -> Response {
        Response::new(
            &self.raw(
                format!("{method} {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
                    .as_bytes(),
            ),
        )
    }

    fn get(&self, target: &str) -> Response {
        self.request("GET", target)
    }

    /// A GET of call_state.htm with good credentials.
    fn call(&self, rest: &str) -> Response {
        self.get(&format!(
            "/call_state.htm?domain=abc.com&user=123&password=s3cret+pass{rest}"
        ))
    }

    fn post(&self, query: &str, content_type: &str, body: &str) -> Response {
        let head =
            format!("POST /call_state.htm{query} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n");
        let length = body.len();
        Response::new(
            &self.raw(
                format!("{head}{content_type}Content-Length: {length}\r\n\r\n{body}").as_bytes(),
            ),
        )
    }

    fn operator(&self, target: &str) -> Response {
        self.socket(&format!("GET {target} HTTP/1.0\r\n\r\n"))
    }

    /// A command: its page, and its fields as they stand in a form.
    fn command(&self, page: &str, form: &str) -> Response {
        let length = form.len();
        self.socket(&format!(
            "POST {page} HTTP/1.0\r\nContent-Length: {length}\r\n\r\n{form}"
        ))
    }

    /// The response of a page of the operator in JSON.
    fn json(&self, target: &str) -> serde_json::Value {
        let response = self.socket(&format!(
            "GET {target} HTTP/1.0\r\nAccept: application/json\r\n\r\n"
        ));
        assert_eq!(response.status, 200, "{target}: {}", response.body);
        assert_eq!(response.header("content-type"), Some("application/json"));
        assert_eq!(response.header("vary"), Some("accept"));
        serde_json::from_str(&response.body).unwrap()
    }

    fn socket(&self, request: &str) -> Response {
        let mut stream = UnixStream::connect(&self.control).unwrap();
        // The server may respond and close before it has read everything.
        let _ = stream.write_all(request.as_bytes());
        let mut octets = Vec::new();
        let end = stream.read_to_end(&mut octets).map_err(|it| it.kind());
        assert!(
            matches!(end, Ok(_) | Err(ErrorKind::ConnectionReset)),
            "{end:?}"
        );
        Response::new(str::from_utf8(&octets).unwrap())
    }

    fn call_updates(&self) -> Vec<CallUpdate> {
        std::mem::take(&mut self.engine.calls.lock().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = std::fs::remove_file(&self.control);
    }
}

#[derive(Debug, PartialEq)]
struct Response {
    status: u16,
    head: String,
    body: String,
}

impl Response {
    fn new(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or(0);
        Self {
            status,
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}
