//! Subscriptions continue after a restart, and no acknowledgement is lost by it.
//!
//! Recovery of a node of some shards from the records that its shards wrote. The phones acknowledge
//! each NOTIFY.

mod acknowledged;
mod early;
mod forgotten;
mod keys;
mod kinds;
mod repeated;
mod restarted;
mod stale;
mod streams;
mod trusted;
mod up_to_date;
mod wanted;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::directory::{AuthMode, Directory, Domain};
use crate::presence::Aor;
use crate::presence::call::{CallParts, CallState};
use crate::presence::wall_clock::WallClock;
use crate::shard::contract::place::Place;
use crate::shard::{
    Answered, AnsweredRequest, Command, CommandId, ConnectionId, Durability, Flow, Input, Mail,
    NotedChange, Options, Outbox, RecordKey, Recovered, Reply, Shard, ShardId, recovering_shard,
};
use crate::sip::Transport;

/// 2026-11-29 00:00:00 UTC.
const MIDNIGHT: u64 = 1_795_910_400;
const SERVER: &str = "192.0.2.1:5060";

/// A record, or its removal, by the number that the shard gave it.
type Written = (u64, RecordKey, Option<Vec<u8>>);

struct Node {
    shards: Vec<Shard>,
    options: Options,
    directory: Arc<Directory>,
    now: Instant,
    started: Instant,
    out: Outbox,
    /// What each shard wrote, and is not durable yet.
    unwritten: Vec<Vec<Written>>,
    store: BTreeMap<RecordKey, Vec<u8>>,
    /// The changes that the shards noted, in memory that outlives them.
    noted: Vec<NotedChange>,
    /// The places of dialogs that the shards want first.
    wanted: Vec<u32>,
    /// The time of the last commit.
    committed_at: Option<Instant>,
    /// Whether what is written is durable at once.
    commits_at_once: bool,
    /// The replies to commands.
    replies: Vec<(CommandId, Reply)>,
    /// The messages since they were taken last.
    sent: Vec<(Flow, String)>,
    /// How many of them were searched for NOTIFYs to acknowledge.
    seen: usize,
    /// The requests that were answered with 2xx, and how long each took.
    answered: Vec<(AnsweredRequest, Duration)>,
    /// Whether phones respond to NOTIFYs.
    phones_respond: bool,
}

fn directory() -> Directory {
    let mut directory = Directory::default();
    let domain = Domain {
        auth: AuthMode::None,
        open: true,
        ..Domain::new("abc.com")
    };
    directory.add_domain(domain, &[]).unwrap();
    directory
}

fn udp(port: u16) -> Flow {
    Flow {
        transport: Transport::Udp,
        listener: 0,
        connection: ConnectionId::default(),
        local: SERVER.parse().unwrap(),
        peer: SocketAddr::from(([198, 51, 100, 7], port)),
    }
}

fn tcp(port: u16, number: u32) -> Flow {
    Flow {
        transport: Transport::Tcp,
        connection: ConnectionId {
            shard: ShardId(0),
            number,
        },
        ..udp(port)
    }
}

impl Node {
    fn new(shards: u16, durability: Durability) -> Self {
        Self::with_directory(shards, durability, directory())
    }

    fn with_directory(shards: u16, durability: Durability, directory: Directory) -> Self {
        let now = Instant::now();
        let options = Options {
            durability,
            epoch_unix: MIDNIGHT,
            response_ring_octets: 1 << 16,
            nonces_max: 64,
            notify_tcp_beyond: usize::MAX,
            ..Options::new(ShardId(0), shards, now, [1; 32])
        };
        let mut node = Self {
            shards: Vec::new(),
            options,
            directory: Arc::new(directory),
            now,
            started: now,
            out: Outbox::default(),
            unwritten: Vec::new(),
            store: BTreeMap::new(),
            noted: Vec::new(),
            wanted: Vec::new(),
            committed_at: None,
            commits_at_once: true,
            replies: Vec::new(),
            sent: Vec::new(),
            answered: Vec::new(),
            seen: 0,
            phones_respond: true,
        };
        node.start(shards);
        node
    }

    fn start(&mut self, shards: u16) {
        let uptime = self.now.duration_since(self.started).as_secs();
        self.options.shards = shards;
        self.options.epoch = self.now;
        self.options.epoch_unix = MIDNIGHT + uptime;
        self.options.record_clock = WallClock {
            at: self.started,
            unix_milliseconds: MIDNIGHT as i64 * 1000,
        };
        let shard = |id| {
            let options = Options {
                id: ShardId(id),
                ..self.options.clone()
            };
            let seed = [uptime as u8 ^ id as u8; 32];
            Shard::new(options, Arc::clone(&self.directory), seed)
        };
        self.shards = (0..shards).map(shard).collect();
        self.unwritten = (0..shards).map(|_| Vec::new()).collect();
        self.replies.clear();
        self.sent.clear();
        self.seen = 0;
        self.wanted.clear();
    }

    /// The process ends at once and another begins, `pause` later. What is not durable is lost.
    fn restart(&mut self, shards: u16, pause: Duration) {
        self.begin_restart(shards, pause);
        self.finish_restart();
    }

    fn begin_restart(&mut self, shards: u16, pause: Duration) {
        self.now += pause;
        self.start(shards);
        let (mut dialogs_end, mut presentities_end) = (0, 0);
        for key in self.store.keys() {
            match key {
                RecordKey::Dialog(place) => dialogs_end = place + 1,
                RecordKey::Waiting(_) => {}
                RecordKey::Presentity(number) => presentities_end = number + 1,
            }
        }
        let begin = Recovered::Begin {
            dialogs_end,
            presentities_end,
            committed_at: self.committed_at,
        };
        self.recover_on_all(begin);
        let noted = self.noted.clone();
        self.recover_on_all(Recovered::Changes(&noted));
    }

    fn finish_restart(&mut self) {
        let shards = self.options.shards;
        // Presentities are before dialogs in the order of keys.
        for (key, octets) in self.store.clone() {
            if let Some(shard) = recovering_shard(key, &octets, shards) {
                let record = Input::Recovered(Recovered::Record(key, &octets));
                self.handle(usize::from(shard.0), record);
            }
        }
        self.recover_on_all(Recovered::End);
    }

    /// Recovers the dialogs that the shards want first.
    fn bring_wanted(&mut self) {
        for place in std::mem::take(&mut self.wanted) {
            self.bring(place);
        }
    }

    fn bring(&mut self, place: u32) {
        let shard = usize::from(Place(place).shard(self.options.shards).0);
        let key = RecordKey::Dialog(place);
        let octets = self.store.get(&key).cloned();
        let recovered = match &octets {
            Some(octets) => Recovered::Record(key, octets),
            None => Recovered::Absent(place),
        };
        self.handle(shard, Input::Recovered(recovered));
    }

    fn recover_on_all(&mut self, recovered: Recovered<'_>) {
        for shard in 0..self.shards.len() {
            self.handle(shard, Input::Recovered(recovered));
        }
    }

    fn handle(&mut self, shard: usize, input: Input<'_>) {
        let mut mail = self.turn(shard, |shard, now, out| shard.handle(input, now, out));
        while let Some((to, next)) = mail.pop() {
            let to = usize::from(to.0);
            let more = self.turn(to, |shard, now, out| {
                shard.handle(Input::Mail(next), now, out)
            });
            mail.splice(0..0, more.into_iter().rev());
        }
        if self.commits_at_once {
            self.commit();
        }
    }

    fn turn(
        &mut self,
        shard: usize,
        turn: impl FnOnce(&mut Shard, Instant, &mut Outbox),
    ) -> Vec<(ShardId, Mail)> {
        let out = &mut self.out;
        turn(&mut self.shards[shard], self.now, out);
        let first = out.recorded_through + 1 - out.records.len() as u64;
        for (number, change) in (first..).zip(&out.records) {
            let octets = out.octets_of(change).map(<[u8]>::to_vec);
            self.unwritten[shard].push((number, change.key, octets));
        }
        for transmit in &out.transmits {
            let octets = out.pieces(transmit).concat();
            let text = String::from_utf8_lossy(&octets).into_owned();
            self.sent.push((transmit.flow, text));
        }
        for Answered { request, arrived } in &out.answered {
            self.answered.push((*request, self.now - *arrived));
        }
        self.noted.append(&mut out.changes);
        self.wanted.append(&mut out.wanted_dialogs);
        self.replies.append(&mut out.replies);
        let mail = std::mem::take(&mut out.mail);
        out.clear();
        mail
    }

    /// Makes durable what was written.
    fn commit(&mut self) {
        for shard in 0..self.shards.len() {
            self.commit_first(shard, self.unwritten[shard].len());
        }
    }

    /// Makes the first `count` records of a shard durable.
    fn commit_first(&mut self, shard: usize, count: usize) {
        let mut durable = None;
        for (number, key, octets) in self.unwritten[shard].drain(..count) {
            match octets {
                Some(octets) => self.store.insert(key, octets),
                None => self.store.remove(&key),
            };
            durable = Some(number);
        }
        if let Some(number) = durable {
            self.handle(shard, Input::Durable(number));
        }
    }

    /// Lets time pass; phones respond to NOTIFYs.
    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let due = |shard: &Shard| shard.poll_timeout();
            let next = (0..self.shards.len()).min_by_key(|shard| {
                due(&self.shards[*shard]).map_or(end + time, |due| due.max(self.now))
            });
            let shard = next.unwrap();
            let Some(at) = due(&self.shards[shard]).filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(at);
            let mail = self.turn(shard, |shard, now, out| shard.handle_timeout(now, out));
            for (to, mail) in mail {
                self.handle(usize::from(to.0), Input::Mail(mail));
            }
            if self.commits_at_once {
                self.commit();
            }
            self.respond();
        }
        self.now = end;
    }

    /// Acknowledges the new NOTIFYs.
    fn respond(&mut self) {
        let news = self.sent[self.seen.min(self.sent.len())..].to_vec();
        self.seen = self.sent.len();
        for (flow, text) in news {
            if self.phones_respond && text.starts_with("NOTIFY ") {
                self.receive(flow, &response_to(&text));
            }
        }
    }

    /// A message arrives, on the shard that the kernel chooses.
    fn receive(&mut self, flow: Flow, text: &str) {
        let shard = match flow.transport.is_reliable() {
            true => flow.connection.shard.0,
            false => flow.peer.port() % self.options.shards,
        };
        let bytes = text.as_bytes();
        self.handle(usize::from(shard), Input::Message { flow, bytes });
    }

    fn take_sent(&mut self) -> Vec<String> {
        self.respond();
        self.seen = 0;
        let sent = std::mem::take(&mut self.sent);
        sent.into_iter().map(|(_, text)| text).collect()
    }

    /// The responses and the NOTIFYs of one dialog after a moment.
    fn exchange(&mut self, phone: &Phone, request: &str) -> Vec<String> {
        self.take_sent();
        self.receive(phone.flow, request);
        self.wait(Duration::from_millis(200));
        let mut sent = self.take_sent();
        sent.retain(|text| header(text, "Call-ID") == phone.call_id);
        sent
    }

    /// The configuration changes.
    fn reload(&mut self, directory: Arc<Directory>) {
        self.directory = directory;
        for shard in 0..self.shards.len() {
            let reload = Command::Reload(Arc::clone(&self.directory));
            self.handle(shard, Input::Command(CommandId(3), reload));
        }
    }

    /// 123 has a call, or none.
    fn call(&mut self, is_busy: bool) {
        let aor = Aor::new("123", "abc.com");
        let call = is_busy.then(|| {
            let call = CallParts::new("1", CallState::Confirmed);
            Arc::new(call.into())
        });
        let owner = ShardId::owner_of(&aor, self.options.shards);
        let update = Command::call_state(aor, call, Duration::from_secs(3600));
        self.handle(usize::from(owner.0), Input::Command(CommandId(1), update));
    }

    fn counter(&mut self, name: &str) -> u64 {
        let mut sum = 0;
        for shard in 0..self.shards.len() {
            let (now, out) = (self.now, &mut self.out);
            self.shards[shard].handle(Input::Command(CommandId(2), Command::Counters), now, out);
            let Some((_, Reply::Counters(counters))) = out.replies.pop() else {
                panic!("no counters")
            };
            sum += counters
                .values
                .iter()
                .find(|(known, _)| *known == name)
                .unwrap()
                .1;
            out.clear();
        }
        sum
    }

    fn dialogs_stored(&self) -> usize {
        let keys = self.store.keys();
        keys.filter(|key| matches!(key, RecordKey::Dialog(_)))
            .count()
    }
}

/// A phone with one dialog.
#[derive(Clone)]
struct Phone {
    flow: Flow,
    call_id: String,
    package: &'static str,
    user: &'static str,
    /// The user in From.
    watcher: &'static str,
    /// Further headers and the body of its SUBSCRIBEs.
    rest: String,
    cseq: u32,
    to: String,
    /// CSeq and version of its last NOTIFY.
    last: Option<(u32, Option<u32>)>,
}

impl Phone {
    fn new(flow: Flow, user: &'static str, package: &'static str) -> Self {
        Self {
            flow,
            call_id: format!("{user}-{package}-{}", flow.peer.port()),
            package,
            user,
            watcher: "200",
            rest: "Content-Length: 0\r\n\r\n".to_owned(),
            cseq: 0,
            to: format!("<sip:{user}@abc.com>"),
            last: None,
        }
    }

    fn subscribe(&mut self, expires: u32) -> String {
        self.cseq += 1;
        let Self {
            flow,
            call_id,
            package,
            user,
            watcher,
            rest,
            cseq,
            to,
            ..
        } = self;
        let (peer, name) = (flow.peer, flow.transport.via_token());
        format!(
            "SUBSCRIBE sip:{user}@abc.com SIP/2.0\r\n\
             Via: SIP/2.0/{name} {peer};branch=z9hG4bK{call_id}-{cseq};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:{watcher}@abc.com>;tag=f\r\nTo: {to}\r\nCall-ID: {call_id}\r\n\
             CSeq: {cseq} SUBSCRIBE\r\nContact: <sip:200@{peer}>\r\nEvent: {package}\r\n\
             Expires: {expires}\r\n{rest}"
        )
    }

    /// Subscribes, and takes the 200 and the first NOTIFY.
    fn begin(&mut self, node: &mut Node, expires: u32) {
        let request = self.subscribe(expires);
        let sent = node.exchange(self, &request);
        assert!(sent[0].starts_with("SIP/2.0 200 "), "{sent:?}");
        self.to = header(&sent[0], "To");
        assert!(self.take_notifies(&sent) > 0, "{sent:?}");
    }

    /// Refreshes: 200, and a NOTIFY.
    fn refresh(&mut self, node: &mut Node, expires: u32) -> Vec<String> {
        let request = self.subscribe(expires);
        let sent = node.exchange(self, &request);
        assert!(sent[0].starts_with("SIP/2.0 200 "), "{sent:?}");
        assert!(self.take_notifies(&sent) > 0, "{sent:?}");
        sent
    }

    /// Takes the NOTIFYs of this dialog: their CSeqs and versions only rise. Returns their number.
    fn take_notifies(&mut self, sent: &[String]) -> usize {
        let of_dialog =
            |text: &&String| text.starts_with("NOTIFY ") && header(text, "Call-ID") == self.call_id;
        let notifies: Vec<&String> = sent.iter().filter(of_dialog).collect();
        for text in &notifies {
            let cseq = header(text, "CSeq").replace(" NOTIFY", "").parse().unwrap();
            let mut versions = text
                .split("version=\"")
                .filter_map(|rest| rest.split('"').next()?.parse::<u32>().ok());
            let version = versions.next();
            if let Some((last, before)) = self.last {
                assert!(cseq > last, "{cseq} after {last}");
                assert!(
                    version.is_none() || version > before,
                    "{version:?}, {before:?}"
                );
            }
            self.last = Some((
                cseq,
                version.or_else(|| self.last.and_then(|(_, version)| version)),
            ));
        }
        notifies.len()
    }
}

fn header(text: &str, name: &str) -> String {
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    value.unwrap_or_default().to_owned()
}

fn response_to(notify: &str) -> String {
    let names = ["Via", "From", "To", "Call-ID", "CSeq"];
    let headers = names.map(|name| format!("{name}: {}\r\n", header(notify, name)));
    format!(
        "SIP/2.0 200 OK\r\n{}Content-Length: 0\r\n\r\n",
        headers.concat()
    )
}
