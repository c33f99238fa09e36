//! A node of several shards over a store that can be synced, crash and come back.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::directory::{AuthMode, Directory, Domain};
use crate::presence::Aor;
use crate::presence::source::StateUpdate;
use crate::shard::{
    Command, CommandId, ConnectionId, Durability, Flow, Input, Mail, Options, Outbox, RecordKey,
    Recovered, Reply, Shard, ShardId, recovering_shard,
};
use crate::sip::Transport;

/// Rows by key.
pub(super) type Store = BTreeMap<RecordKey, Vec<u8>>;

/// The records of one turn of a shard, and the number of the last.
type Batch = (Vec<(RecordKey, Option<Vec<u8>>)>, u64);

/// Messages and replies that left.
#[derive(Debug)]
pub(super) struct Done(pub(super) Vec<String>, pub(super) Vec<Reply>);

impl Done {
    /// The entity tag in the last 200 to PUBLISH.
    pub(super) fn tag(&self) -> String {
        let tagged = self.0.iter().rev().find(|sent| sent.contains("SIP-ETag: "));
        header(tagged.unwrap(), "SIP-ETag")
    }
}

/// The value of a header.
pub(super) fn header(message: &str, name: &str) -> String {
    let prefix = format!("{name}: ");
    let mut lines = message.lines();
    let value = lines.find_map(|line| line.strip_prefix(&prefix));
    value
        .unwrap_or_else(|| panic!("no {name} in {message}"))
        .to_owned()
}

/// A full dialog-info document with one dialog.
pub(super) fn dialogs(user: &str, state: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" \
         version=\"0\" state=\"full\" entity=\"sip:{user}@abc.com\"><dialog id=\"1\" \
         call-id=\"c1\" local-tag=\"l\" remote-tag=\"r\"><state>{state}</state></dialog></dialog-info>"
    )
}

/// A user of a domain that a shard owns.
pub(super) fn user_of(shard: u16, shards: u16, domain: &str) -> String {
    let is_owner = |user: &String| ShardId::owner_of(&Aor::new(user, domain), shards).0 == shard;
    let mut users = (500..).map(|user: u32| user.to_string());
    users.find(is_owner).unwrap()
}

fn aor_of(user: &str) -> Aor {
    match user.split_once('@') {
        Some((user, domain)) => Aor::new(user, domain),
        None => Aor::new(user, "abc.com"),
    }
}

/// `abc.com` and `closed.com`, whose users and registrar are elsewhere, and `reg.com`, whose registrar
/// we are.
fn directory(has_closed: bool) -> Directory {
    let mut directory = Directory::default();
    for name in ["abc.com", "closed.com", "reg.com"] {
        let domain = Domain {
            auth: AuthMode::None,
            trusted: vec!["10.0.0.0/8".parse().unwrap()],
            open: has_closed || name != "closed.com",
            is_registrar: name == "reg.com",
            ..Domain::new(name)
        };
        directory.add_domain(domain, &[]).unwrap();
    }
    directory
}

/// The node.
pub(super) struct Bench {
    shards: Vec<Shard>,
    durability: Durability,
    epoch: Instant,
    epoch_unix: u64,
    now: Instant,
    pending: Vec<VecDeque<Batch>>,
    pub(super) store: Store,
    sent: Vec<String>,
    replies: Vec<Reply>,
    mail: VecDeque<(ShardId, Mail)>,
    requests: u16,
    last: (u16, Vec<u8>, Flow),
}

impl Bench {
    pub(super) fn new(shards: u16, durability: Durability) -> Self {
        Self::with_options(shards, durability, |_| {})
    }

    pub(super) fn with_limit(shards: u16, durability: Durability, held_max: usize) -> Self {
        Self::with_options(shards, durability, |options| {
            options.acknowledgements_held_max = held_max;
        })
    }

    pub(super) fn with_options(
        shards: u16,
        durability: Durability,
        set: impl Fn(&mut Options),
    ) -> Self {
        let start = (Instant::now() + Duration::from_secs(5000), 1_800_000_000);
        Self::start(shards, durability, start, true, set)
    }

    fn start(
        shards: u16,
        durability: Durability,
        (epoch, epoch_unix): (Instant, u64),
        has_closed: bool,
        set: impl Fn(&mut Options),
    ) -> Self {
        let directory = Arc::new(directory(has_closed));
        let seed = (epoch_unix % 251) as u8;
        let shard = |id: u16| {
            let mut options = Options::new(ShardId(id), shards, epoch, [1; 32]);
            options.epoch_unix = epoch_unix;
            options.record_clock.unix_milliseconds = epoch_unix as i64 * 1000;
            options.durability = durability;
            set(&mut options);
            Shard::new(options, Arc::clone(&directory), [seed + id as u8; 32])
        };
        Self {
            shards: (0..shards).map(shard).collect(),
            durability,
            epoch,
            epoch_unix,
            now: epoch,
            pending: (0..shards).map(|_| VecDeque::new()).collect(),
            store: Store::new(),
            sent: Vec::new(),
            replies: Vec::new(),
            mail: VecDeque::new(),
            requests: 0,
            last: (0, Vec::new(), udp(0)),
        }
    }

    // What a store does.

    /// Makes all records durable. Returns what left since the last look.
    pub(super) fn sync(&mut self) -> Done {
        while let Some(shard) = self.pending.iter().position(|batches| !batches.is_empty()) {
            self.commit(shard);
        }
        self.take_done()
    }

    /// Makes the records of the oldest turn of a shard durable.
    pub(super) fn sync_one(&mut self, shard: u16) -> Done {
        self.commit(shard.into());
        self.take_done()
    }

    fn commit(&mut self, shard: usize) {
        let Some((records, through)) = self.pending[shard].pop_front() else {
            return;
        };
        for (key, octets) in records {
            match octets {
                Some(octets) => self.store.insert(key, octets),
                None => self.store.remove(&key),
            };
        }
        self.input(shard as u16, Input::Durable(through));
    }

    fn take_done(&mut self) -> Done {
        Done(self.take_sent(), std::mem::take(&mut self.replies))
    }

    // A crash, and what follows.

    /// A new process, with what is durable; it has not recovered it yet.
    pub(super) fn restart(&self, shards: u16, later: Duration) -> Self {
        self.restart_with(shards, later, true, |_| {})
    }

    pub(super) fn restart_with(
        &self,
        shards: u16,
        later: Duration,
        has_closed: bool,
        set: impl Fn(&mut Options),
    ) -> Self {
        let epoch = self.now + Duration::from_secs(5000);
        let passed = (self.now - self.epoch + later).as_secs();
        let start = (epoch, self.epoch_unix + passed);
        let mut next = Self::start(shards, self.durability, start, has_closed, set);
        next.store = self.store.clone();
        next.requests = self.requests;
        next
    }

    pub(super) fn recover(&mut self) {
        self.recover_in(false);
    }

    pub(super) fn recover_in(&mut self, is_turned: bool) {
        self.begin_recovery();
        self.recover_presentities(is_turned);
        self.end_recovery();
    }

    pub(super) fn begin_recovery(&mut self) {
        let (mut dialogs_end, mut presentities_end) = (0, 0);
        for key in self.store.keys() {
            match key {
                RecordKey::Dialog(place) => dialogs_end = dialogs_end.max(place + 1),
                RecordKey::Waiting(_) => {}
                RecordKey::Presentity(number) => {
                    presentities_end = presentities_end.max(number + 1)
                }
            }
        }
        let begin = Recovered::Begin {
            dialogs_end,
            presentities_end,
            committed_at: None,
        };
        self.input_all(begin);
    }

    pub(super) fn recover_presentities(&mut self, is_turned: bool) {
        let mut rows = self.rows(|key| matches!(key, RecordKey::Presentity(_)));
        if is_turned {
            rows.reverse();
        }
        self.give_back(&rows);
    }

    pub(super) fn end_recovery(&mut self) {
        let rows = self.rows(|key| matches!(key, RecordKey::Dialog(_)));
        self.give_back(&rows);
        self.input_all(Recovered::End);
    }

    fn rows(&self, which: impl Fn(&RecordKey) -> bool) -> Vec<(RecordKey, Vec<u8>)> {
        let rows = self.store.iter().filter(|(key, _)| which(key));
        rows.map(|(key, octets)| (*key, octets.clone())).collect()
    }

    fn give_back(&mut self, rows: &[(RecordKey, Vec<u8>)]) {
        for (key, octets) in rows {
            let shard = recovering_shard(*key, octets, self.shards.len() as u16);
            let shard = shard.unwrap_or(ShardId(0));
            self.input(shard.0, Input::Recovered(Recovered::Record(*key, octets)));
        }
    }

    fn input_all(&mut self, recovered: Recovered<'_>) {
        for shard in 0..self.shards.len() as u16 {
            self.input(shard, Input::Recovered(recovered));
        }
    }

    // Requests and commands.

    /// A PUBLISH for a user of `abc.com`. Returns what is sent.
    pub(super) fn publish(
        &mut self,
        shard: u16,
        user: &str,
        tag: Option<&str>,
        body: Option<&str>,
    ) -> Vec<String> {
        let tag = tag.map_or_else(String::new, |tag| format!("SIP-If-Match: {tag}\r\n"));
        let headers = format!("Event: dialog\r\nExpires: 3600\r\n{tag}");
        let body = body.map(|body| ("application/dialog-info+xml", body));
        self.request(shard, "PUBLISH", &aor_of(user), 1, &headers, body);
        self.take_sent()
    }

    /// A PUBLISH of another package than dialog. Returns what is sent.
    pub(super) fn publish_document(
        &mut self,
        user: &str,
        event: &str,
        (content_type, body): (&str, &str),
    ) -> Vec<String> {
        let headers = format!("Event: {event}\r\nExpires: 3600\r\n");
        let body = Some((content_type, body));
        self.request(0, "PUBLISH", &aor_of(user), 1, &headers, body);
        self.take_sent()
    }

    /// A REGISTER, all with one Call-ID.
    pub(super) fn register(
        &mut self,
        shard: u16,
        aor: &str,
        cseq: u32,
        contact: &str,
    ) -> Vec<String> {
        let contact = match contact.is_empty() {
            true => String::new(),
            false => format!("Contact: {contact}\r\n"),
        };
        self.request(shard, "REGISTER", &aor_of(aor), cseq, &contact, None);
        self.take_sent()
    }

    /// A SUBSCRIBE by a phone of its own, with all that it waits for. Returns its first NOTIFY.
    pub(super) fn subscribe(&mut self, shard: u16, user: &str, event: &str) -> String {
        let headers = format!("Event: {event}\r\nExpires: 600\r\n{CONTACT}");
        let call_id = self.request(shard, "SUBSCRIBE", &aor_of(user), 1, &headers, None);
        let sent = self.sync().0;
        let is_notify =
            |sent: &&String| sent.starts_with("NOTIFY ") && header(sent, "Call-ID") == call_id;
        let notify = sent.iter().find(is_notify);
        notify.unwrap_or_else(|| panic!("{sent:?}")).clone()
    }

    /// A phone of the user sets do-not-disturb by SUBSCRIBE. Returns its Call-ID.
    pub(super) fn switch_on(&mut self, shard: u16, user: &str) -> String {
        let headers = format!("Event: as-feature-event\r\nExpires: 600\r\n{CONTACT}");
        let body = format!(
            "<?xml version=\"1.0\"?><SetDoNotDisturb \
             xmlns=\"http://www.ecma-international.org/standards/ecma-323/csta/ed3\"><device>{user}</device>\
             <doNotDisturbOn>true</doNotDisturbOn></SetDoNotDisturb>"
        );
        let body = Some(("application/x-as-feature-event+xml", body.as_str()));
        self.request(shard, "SUBSCRIBE", &aor_of(user), 1, &headers, body)
    }

    /// The last request again, as over UDP. Returns what is sent.
    pub(super) fn repeat(&mut self) -> Vec<String> {
        let (shard, bytes, flow) = self.last.clone();
        let bytes = &bytes;
        self.input(shard, Input::Message { flow, bytes });
        self.take_sent()
    }

    /// A command to the owner. Returns the replies.
    pub(super) fn update(&mut self, user: &str, update: StateUpdate) -> Vec<Reply> {
        let aor = aor_of(user);
        self.command(
            Command::UpdateState {
                aor,
                update,
                origin: None,
            },
            user,
        );
        std::mem::take(&mut self.replies)
    }

    /// What decides on the state of a presentity.
    pub(super) fn why(&mut self, user: &str) -> String {
        let before = self.replies.len();
        self.command(Command::Why(aor_of(user)), user);
        let replies: Vec<Reply> = self.replies.drain(before..).collect();
        format!("{:?}", replies[0])
    }

    fn command(&mut self, command: Command, user: &str) {
        let owner = ShardId::owner_of(&aor_of(user), self.shards.len() as u16);
        self.input(owner.0, Input::Command(CommandId(1), command));
    }

    /// A counter, of all shards together.
    pub(super) fn counter(&mut self, name: &str) -> u64 {
        let before = self.replies.len();
        for shard in 0..self.shards.len() as u16 {
            self.input(shard, Input::Command(CommandId(1), Command::Counters));
        }
        let counted = self.replies.drain(before..).flat_map(|reply| match reply {
            Reply::Counters(counters) => counters.values,
            _ => Vec::new(),
        });
        let of_name = counted.filter(|(counter, _)| *counter == name);
        of_name.map(|(_, count)| count).sum()
    }

    /// What was sent since the last look.
    pub(super) fn take_sent(&mut self) -> Vec<String> {
        std::mem::take(&mut self.sent)
    }

    /// Lets time pass.
    pub(super) fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(next) = self.next_timeout().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.settle();
        }
        self.now = end;
        self.settle();
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.shards.iter().filter_map(Shard::poll_timeout).min()
    }

    /// Sends a request from a phone of its own. Returns its Call-ID.
    fn request(
        &mut self,
        shard: u16,
        method: &str,
        aor: &Aor,
        cseq: u32,
        headers: &str,
        body: Option<(&str, &str)>,
    ) -> String {
        self.requests += 1;
        let number = self.requests;
        let call_id = match method {
            "REGISTER" => "phone".to_owned(),
            _ => format!("call-{number}"),
        };
        let (content_type, body) = match body {
            Some((content_type, body)) => (format!("Content-Type: {content_type}\r\n"), body),
            None => (String::new(), ""),
        };
        let uri = match method {
            "REGISTER" => format!("sip:{}", aor.domain()),
            _ => format!("sip:{aor}"),
        };
        let flow = udp(number);
        let octets = body.len();
        let request = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bK{number}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{aor}>;tag=t{number}\r\nTo: <sip:{aor}>\r\n\
             Call-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n{headers}{content_type}\
             Content-Length: {octets}\r\n\r\n{body}",
            flow.peer
        );
        self.last = (shard, request.into_bytes(), flow);
        let bytes = &self.last.1.clone();
        self.input(shard, Input::Message { flow, bytes });
        call_id
    }

    fn input(&mut self, shard: u16, input: Input<'_>) {
        let mut out = Outbox::default();
        self.shards[usize::from(shard)].handle(input, self.now, &mut out);
        self.take(shard, out);
        self.settle();
    }

    /// Applies the effects of one turn, and acknowledges NOTIFYs with 200.
    fn take(&mut self, shard: u16, mut out: Outbox) {
        let records = out.records.iter();
        let records = records.map(|change| (change.key, out.octets_of(change).map(Vec::from)));
        let records: Vec<_> = records.collect();
        if !records.is_empty() {
            self.pending[usize::from(shard)].push_back((records, out.recorded_through));
        }
        self.mail.extend(out.mail.drain(..));
        self.replies
            .extend(out.replies.drain(..).map(|(_, reply)| reply));
        let mut notifies = Vec::new();
        for transmit in &out.transmits {
            let message = String::from_utf8(out.pieces(transmit).concat()).unwrap();
            if message.starts_with("NOTIFY ") {
                notifies.push((transmit.flow, response_to(&message)));
            }
            self.sent.push(message);
        }
        for (flow, response) in notifies {
            let bytes = response.as_bytes();
            let mut out = Outbox::default();
            let input = Input::Message { flow, bytes };
            self.shards[usize::from(shard)].handle(input, self.now, &mut out);
            self.take(shard, out);
        }
    }

    /// Runs all shards until nothing is due.
    fn settle(&mut self) {
        loop {
            if let Some((shard, mail)) = self.mail.pop_front() {
                let mut out = Outbox::default();
                self.shards[usize::from(shard.0)].handle(Input::Mail(mail), self.now, &mut out);
                self.take(shard.0, out);
                continue;
            }
            let is_due = |shard: &Shard| shard.poll_timeout().is_some_and(|next| next <= self.now);
            let Some(shard) = self.shards.iter().position(is_due) else {
                return;
            };
            let mut out = Outbox::default();
            self.shards[shard].handle_timeout(self.now, &mut out);
            self.take(shard as u16, out);
        }
    }
}

fn response_to(notify: &str) -> String {
    let copied = ["Via", "From", "To", "Call-ID", "CSeq"];
    let lines = copied.map(|name| format!("{name}: {}\r\n", header(notify, name)));
    format!(
        "SIP/2.0 200 OK\r\n{}Content-Length: 0\r\n\r\n",
        lines.concat()
    )
}

/// The Contact of all phones.
const CONTACT: &str = "Contact: <sip:phone@10.1.0.1:5060>\r\n";

fn udp(number: u16) -> Flow {
    let [high, low] = number.to_be_bytes();
    Flow {
        transport: Transport::Udp,
        listener: 0,
        connection: ConnectionId::default(),
        local: SocketAddr::from(([10, 0, 0, 1], 5060)),
        peer: SocketAddr::from(([10, 1, high, low], 5060)),
    }
}
