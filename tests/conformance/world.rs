//! The engine in virtual time: shards, the mail between them, the streams of the peers, and the
//! sent messages.
//!
//! It does what the contract of [`Shard`] requires of a driver: one input, then drain; timeouts
//! when they are due; mail delivered in order, immediately. Nothing is lost and nothing takes time
//! here; the simulator covers that.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lamplighter::directory::Directory;
use lamplighter::presence::call::{CallParts, CallState, Direction, Party};
use lamplighter::presence::source::StateUpdate;
use lamplighter::presence::wall_clock::WallClock;
use lamplighter::presence::{Aor, CallDialog};
use lamplighter::shard::contract::connector::{ConnectorOrder, ConnectorReport};
use lamplighter::shard::contract::probe::{ProbeId, ProbeOrder, UserStatus};
use lamplighter::shard::contract::report::LoopReport;
use lamplighter::shard::contract::report::ShardReport;
use lamplighter::shard::{
    CertificateNames, Command, CommandId, ConnectionId, Dial, Flow, Input, Lookup, Mail, Options,
    Outbox, Recovered, Reply, Route, Shard, ShardId, recovering_shard,
};
use lamplighter::sip::Transport;
use lamplighter::sip::location::Question;
use lamplighter::sip::message::PlainResponse;

use crate::dialogue::Peer;
use crate::scene::{Scene, configured, local};
use crate::store::Store;

/// Turns that a shard may request at one instant; more count as a loop.
const TURNS_MAX: usize = 10_000;

/// The maximum payload of a UDP datagram over IPv4.
const DATAGRAM_OCTETS_MAX: usize = 65_507;

/// A message the server sent.
pub(crate) struct Sent {
    /// The destination.
    pub(crate) peer: Peer,
    /// Its octets.
    pub(crate) bytes: Vec<u8>,
}

/// The engine and its surroundings.
pub(crate) struct World {
    shards: Vec<Shard>,
    /// Those of the first shard.
    options: Options,
    directory: Arc<Directory>,
    /// When the first server began.
    began: Instant,
    /// Each server has random numbers of its own.
    restarts: u8,
    now: Instant,
    store: Store,
    outbox: Outbox,
    mail: VecDeque<(ShardId, Mail)>,
    /// Messages that were sent and not checked yet.
    pub(crate) sent: VecDeque<Sent>,
    /// The replies to commands, in order.
    pub(crate) replies: Vec<(CommandId, Reply)>,
    /// Looping phones, as the log warned about them: `sip:1@abc.com SUBSCRIBE 503`.
    pub(crate) alarms: VecDeque<String>,
    commands: u64,
    /// The probe of the case, and how many of its results were checked.
    probe: Option<(ProbeId, usize)>,
    connections: BTreeMap<SocketAddr, (usize, ConnectionId)>,
    connections_opened: u32,
    /// Streams that the server wants to open, and the shard that does.
    dials: VecDeque<(usize, Dial)>,
    /// Servers of connectors that the server wants found.
    routes: VecDeque<(usize, Route)>,
    /// Names that the server wants looked up.
    lookups: VecDeque<(usize, Lookup)>,
}

impl World {
    /// An engine as described by the header lines of a case.
    pub(crate) fn new(scene: &[(String, String)]) -> Result<Self, String> {
        let now = Instant::now();
        let Scene { directory, options } = Scene::read(scene, now)?;
        let mut world = Self {
            shards: Vec::new(),
            options,
            directory: Arc::new(directory),
            began: now,
            restarts: 0,
            now,
            store: Store::default(),
            outbox: Outbox::default(),
            mail: VecDeque::new(),
            sent: VecDeque::new(),
            replies: Vec::new(),
            alarms: VecDeque::new(),
            commands: 0,
            probe: None,
            connections: BTreeMap::new(),
            connections_opened: 0,
            dials: VecDeque::new(),
            routes: VecDeque::new(),
            lookups: VecDeque::new(),
        };
        world.start();
        world.settle();
        Ok(world)
    }

    fn start(&mut self) {
        self.options.epoch = self.now;
        self.options.nonces_known_since = self.now;
        self.options.epoch_unix = self.now.duration_since(self.began).as_secs();
        self.options.record_clock = WallClock {
            at: self.began,
            unix_milliseconds: 1_800_000_000_000,
        };
        let shard = |index: u16| {
            let options = Options {
                id: ShardId(index),
                ..self.options.clone()
            };
            let seed = [7 + index.to_le_bytes()[0] + self.restarts; 32];
            Shard::new(options, Arc::clone(&self.directory), seed)
        };
        self.shards = (0..self.options.shards).map(shard).collect();
    }

    /// The server ends without a word, and another begins from the store.
    pub(crate) fn restart(&mut self, shards: Option<u16>, pause: Duration) {
        self.store.crash(self.now);
        self.mail.clear();
        self.connections.clear();
        self.dials.clear();
        self.routes.clear();
        self.lookups.clear();
        self.now += pause;
        self.restarts += 16;
        self.options.shards = shards.unwrap_or(self.options.shards);
        self.start();
        let (dialogs_end, presentities_end) = self.store.ends();
        self.recover_on_all(Recovered::Begin {
            dialogs_end,
            presentities_end,
            committed_at: self.store.committed_at(),
        });
        for (key, octets) in self.store.rows() {
            let shard = recovering_shard(key, &octets, self.options.shards);
            let record = Recovered::Record(key, &octets);
            self.input(usize::from(shard.unwrap().0), Input::Recovered(record));
            self.deliver_mail();
        }
        self.recover_on_all(Recovered::End);
        self.settle();
    }

    fn recover_on_all(&mut self, recovered: Recovered<'_>) {
        for shard in 0..self.shards.len() {
            self.input(shard, Input::Recovered(recovered));
            self.deliver_mail();
        }
    }

    /// What is recorded is not durable until the store goes on.
    pub(crate) fn stand_still(&mut self, is_still: bool) {
        self.store.stand_still(is_still, self.now);
        for shard in 0..self.shards.len() {
            self.commit(shard);
        }
        self.settle();
    }

    /// What is recorded is durable, and the server does not hear of it.
    pub(crate) fn commit_unheard(&mut self) {
        for shard in 0..self.shards.len() {
            self.store.put(shard, self.now);
        }
    }

    /// A peer's message arrives on a shard.
    pub(crate) fn receive(&mut self, peer: Peer, shard: usize, bytes: &[u8]) {
        let connection = if peer.transport.is_reliable() {
            self.connection(peer.address, shard)
        } else {
            ConnectionId::default()
        };
        let local = local(peer.address);
        let flow = Flow {
            transport: peer.transport,
            listener: 0,
            connection,
            local,
            peer: peer.address,
        };
        // As delivered by the framing of a stream.
        let response = PlainResponse::cut(bytes).filter(|_| peer.transport.is_reliable());
        let input = match response {
            Some((response, _)) => Input::Response {
                flow,
                bytes,
                response,
            },
            None => Input::Message { flow, bytes },
        };
        self.input(shard, input);
        self.settle();
    }

    /// A peer's stream begins, on the first shard, with a verified certificate.
    pub(crate) fn certify(&mut self, address: SocketAddr, names: &CertificateNames) {
        let connection = self.connection(address, 0);
        self.input(0, Input::Certified(connection, Arc::new(names.clone())));
        self.settle();
    }

    /// A peer's stream ends.
    pub(crate) fn close(&mut self, address: SocketAddr) -> Result<(), String> {
        let (shard, connection) = self
            .connections
            .remove(&address)
            .ok_or("that peer has no stream")?;
        self.input(shard, Input::Closed(connection));
        self.settle();
        Ok(())
    }

    /// The server opens a stream to a peer, or cannot; the peer takes that time.
    pub(crate) fn dial(
        &mut self,
        address: SocketAddr,
        connects: bool,
        after: Duration,
    ) -> Result<(), String> {
        let dial = self.dials.pop_front();
        let dial = dial.filter(|(_, dial)| dial.peer == address);
        let (shard, dial) = dial.ok_or("the server does not open that stream now")?;
        assert_eq!(dial.local, local(address), "it stays our address");
        self.advance(after);
        if connects {
            let connection = self.connection(address, shard);
            self.input(shard, Input::Dialed(dial.id, dial.flow(connection)));
        } else {
            self.input(shard, Input::DialFailed(dial.id));
        }
        self.settle();
        Ok(())
    }

    /// The server has a name looked up: `phone.abc.com tcp`, `phone.abc.com:5070 tls`.
    pub(crate) fn look_up(&mut self, name: &str, found: &[SocketAddr]) -> Result<(), String> {
        let lookup = self.lookups.pop_front();
        let (shard, lookup) = lookup.ok_or("the server looks no name up now")?;
        let asked = shown(&lookup.question);
        if asked != name {
            return Err(format!("the server looks {asked} up"));
        }
        self.input(shard, Input::Located(lookup.id, found));
        self.settle();
        Ok(())
    }

    /// Fails if the server wants to open a stream, or to look a name up.
    pub(crate) fn nothing_is_dialed(&self) -> Result<(), String> {
        match (self.dials.front(), self.lookups.front()) {
            (Some((_, dial)), _) => Err(format!("the server also dials {}", dial.peer)),
            (None, Some((_, lookup))) => {
                let asked = shown(&lookup.question);
                Err(format!("the server also looks {asked} up"))
            }
            (None, None) => Ok(()),
        }
    }

    /// A request of the HTTP hook.
    pub(crate) fn call_state(
        &mut self,
        aor: &str,
        number: Option<&str>,
        state: Option<&str>,
        expires: Duration,
        reveal: bool,
    ) -> Result<(), String> {
        let aor = Aor::from_key(aor).ok_or("not an address of record")?;
        let number = number.filter(|number| !number.is_empty());
        let call = |state| hook_call(&aor, number, state, reveal, self.commands);
        let call = match state {
            None if number.is_some() => Some(call(CallState::Confirmed)),
            Some("ringing") => Some(call(CallState::Early)),
            Some("busy") => Some(call(CallState::Confirmed)),
            None | Some("idle") => None,
            Some("dnd") => {
                return self.set_state(aor.as_str(), StateUpdate::CallStateDoNotDisturb(expires));
            }
            Some(_) => return Err("ringing, busy, dnd or idle?".to_owned()),
        };
        let call = call.map(Arc::new);
        self.command(&aor.clone(), Command::call_state(aor, call, expires))
    }

    /// The operator changes the state of an address.
    pub(crate) fn set_state(&mut self, aor: &str, update: StateUpdate) -> Result<(), String> {
        let aor = Aor::from_key(aor).ok_or("not an address of record")?;
        self.command(
            &aor.clone(),
            Command::UpdateState {
                aor,
                update,
                origin: None,
            },
        )
    }

    /// Sends a command to the owner of a presentity, which executes it.
    fn command(&mut self, aor: &Aor, command: Command) -> Result<(), String> {
        let owner = ShardId::owner_of(aor, u16::try_from(self.shards.len()).unwrap());
        let token = self.token();
        self.input(usize::from(owner.0), Input::Command(token, command));
        self.settle();
        match self.replies.pop() {
            Some((answered, Reply::Done)) if answered == token => Ok(()),
            other => Err(format!("the command was answered {other:?}")),
        }
    }

    /// Fails unless a connector has that status.
    pub(crate) fn expect_connector(&mut self, name: &str, status: &str) -> Result<(), String> {
        let mut merged: Option<ConnectorReport> = None;
        for shard in 0..self.shards.len() {
            let command = Command::Connectors { from: 0 };
            let Reply::Connectors(reports, _) = self.ask(shard, command)? else {
                return Err("no connectors".to_owned());
            };
            for report in reports.into_iter().filter(|report| *report.name == *name) {
                match &mut merged {
                    Some(merged) => merged.add(report),
                    None => merged = Some(report),
                }
            }
        }
        let found = merged.map(|report| report.status.as_str());
        match found == Some(status) {
            true => Ok(()),
            false => Err(format!("{name} is {found:?}")),
        }
    }

    /// Fails unless a user has that status at a connector.
    pub(crate) fn expect_user(
        &mut self,
        name: &str,
        user: &str,
        status: &str,
    ) -> Result<(), String> {
        let mut found = UserStatus::NotRequested;
        for shard in 0..self.shards.len() {
            let name = name.into();
            let command = Command::ConnectorUsers { name, from: 0 };
            let Reply::ConnectorUsers(users, _) = self.ask(shard, command)? else {
                return Err("no users".to_owned());
            };
            let own = users.iter().find(|known| known.aor.user() == user);
            found = own.map_or(found, |user| user.status);
        }
        match found.as_str() == status {
            true => Ok(()),
            false => Err(format!("{user} is {}", found.as_str())),
        }
    }

    /// The operator orders a connector to do something, on every shard.
    pub(crate) fn order_connector(
        &mut self,
        name: &str,
        order: ConnectorOrder,
    ) -> Result<(), String> {
        for shard in 0..self.shards.len() {
            let name = name.into();
            let reply = self.ask(shard, Command::OrderConnector { name, order })?;
            if !matches!(reply, Reply::Done) {
                return Err(format!("the command was answered {reply:?}"));
            }
        }
        self.settle();
        Ok(())
    }

    fn ask(&mut self, shard: usize, command: Command) -> Result<Reply, String> {
        let token = self.token();
        self.input(shard, Input::Command(token, command));
        match self.replies.pop() {
            Some((answered, reply)) if answered == token => Ok(reply),
            other => Err(format!("the command was answered {other:?}")),
        }
    }

    /// The operator starts a probe on the first shard.
    pub(crate) fn begin_probe(&mut self, order: &ProbeOrder) -> Result<(), String> {
        match self.ask_first(Command::BeginProbe(Box::new(order.clone())))? {
            Reply::ProbeBegun(id) => self.probe = Some((id, 0)),
            Reply::OverLimit => return Err("too many probes".to_owned()),
            other => return Err(format!("the command was answered {other:?}")),
        }
        self.settle();
        Ok(())
    }

    /// The probe must have reported this next; None if it must not have reported any more.
    pub(crate) fn expect_report(&mut self, expected: Option<&str>) -> Result<(), String> {
        let (id, seen) = self.probe.ok_or("there is no probe")?;
        let results = match self.ask_first(Command::ReadProbe { id, seen })? {
            Reply::Probe(report) => report.map_or_else(Vec::new, |report| report.entries),
            other => return Err(format!("the command was answered {other:?}")),
        };
        let results: Vec<String> = results
            .iter()
            .map(|entry| entry.event.to_string())
            .collect();
        if results.first().map(String::as_str) != expected {
            return Err(format!("the probe reported\n{}", results.join("\n")));
        }
        self.probe = Some((id, seen + usize::from(expected.is_some())));
        Ok(())
    }

    /// The reply of the first shard.
    fn ask_first(&mut self, command: Command) -> Result<Reply, String> {
        let token = self.token();
        self.input(0, Input::Command(token, command));
        match self.replies.pop() {
            Some((answered, reply)) if answered == token => Ok(reply),
            other => Err(format!("the command was answered {other:?}")),
        }
    }

    /// The operator's file has changed, and no shard reloads it before the next restart.
    pub(crate) fn configure_next(&mut self, text: &str) -> Result<(), String> {
        self.directory = Arc::new(configured(text)?);
        Ok(())
    }

    /// The operator's file has changed, and every shard reloads it.
    pub(crate) fn reload(&mut self, text: &str) -> Result<(), String> {
        let directory = Arc::new(configured(text)?);
        self.directory = Arc::clone(&directory);
        for shard in 0..self.shards.len() {
            let token = self.token();
            let command = Command::Reload(Arc::clone(&directory));
            self.input(shard, Input::Command(token, command));
            match self.replies.pop() {
                Some((answered, Reply::Done)) if answered == token => {}
                other => return Err(format!("the command was answered {other:?}")),
            }
        }
        self.settle();
        Ok(())
    }

    /// The driver becomes congested, or is no longer congested.
    pub(crate) fn congested(&mut self, is_congested: bool) {
        for shard in &mut self.shards {
            shard.handle_congestion(is_congested);
        }
    }

    /// The operator drains every shard. Returns the number of outstanding NOTIFYs.
    pub(crate) fn drain(&mut self) -> Result<usize, String> {
        let mut outstanding = 0;
        for shard in 0..self.shards.len() {
            let token = self.token();
            self.input(shard, Input::Command(token, Command::Drain));
            self.settle();
            match self.replies.pop() {
                Some((answered, Reply::Outstanding(count))) if answered == token => {
                    outstanding += count
                }
                other => return Err(format!("the command was answered {other:?}")),
            }
        }
        Ok(outstanding)
    }

    /// Time passes; timeouts on the way happen when they are due.
    pub(crate) fn advance(&mut self, duration: Duration) {
        let target = self.now + duration;
        while let Some(due) = self
            .shards
            .iter()
            .filter_map(Shard::poll_timeout)
            .min()
            .filter(|due| *due <= target)
        {
            self.now = self.now.max(due);
            self.settle();
        }
        self.now = target;
        self.settle();
    }

    /// Delivers mail and calls due timeouts until nothing is left to do at this instant.
    fn settle(&mut self) {
        for _ in 0..TURNS_MAX {
            self.deliver_mail();
            if let Some((shard, route)) = self.routes.pop_front() {
                let flows = flows_of(&route.question);
                self.input(shard, Input::Routed(route.id, &flows));
                continue;
            }
            let due = |shard: &Shard| shard.poll_timeout().is_some_and(|due| due <= self.now);
            let Some(shard) = self.shards.iter().position(due) else {
                return;
            };
            self.shards[shard].handle_timeout(self.now, &mut self.outbox);
            self.drain_outbox(shard);
            self.commit(shard);
        }
        panic!("the engine asked for {TURNS_MAX} turns at one instant");
    }

    fn input(&mut self, shard: usize, input: Input<'_>) {
        self.shards[shard].handle(input, self.now, &mut self.outbox);
        self.drain_outbox(shard);
        self.commit(shard);
    }

    fn deliver_mail(&mut self) {
        while let Some((to, mail)) = self.mail.pop_front() {
            self.input(usize::from(to.0), Input::Mail(mail));
        }
    }

    fn commit(&mut self, shard: usize) {
        while let Some(durable) = self.store.commit(shard, self.now) {
            let input = Input::Durable(durable);
            self.shards[shard].handle(input, self.now, &mut self.outbox);
            self.drain_outbox(shard);
        }
    }

    fn drain_outbox(&mut self, shard: usize) {
        self.store.take(shard, &self.outbox);
        for transmit in &self.outbox.transmits {
            let flow = transmit.flow;
            assert_eq!(
                flow.local,
                local(flow.peer),
                "a message leaves from where the peer spoke to"
            );
            if flow.transport.is_reliable() {
                let known = self
                    .connections
                    .get(&flow.peer)
                    .map(|(_, connection)| *connection);
                assert_eq!(
                    known,
                    Some(flow.connection),
                    "a message leaves on the stream of its peer"
                );
            }
            let peer = Peer {
                address: flow.peer,
                transport: flow.transport,
            };
            let bytes = self.outbox.pieces(transmit).concat();
            assert!(
                flow.transport != Transport::Udp || bytes.len() <= DATAGRAM_OCTETS_MAX,
                "a datagram does not hold {} octets",
                bytes.len()
            );
            self.sent.push_back(Sent { peer, bytes });
        }
        let dials = self.outbox.dials.drain(..);
        self.dials.extend(dials.map(|dial| (shard, dial)));
        let lookups = self.outbox.lookups.drain(..);
        self.lookups.extend(lookups.map(|lookup| (shard, lookup)));
        let routes = self.outbox.routes.drain(..);
        self.routes.extend(routes.map(|route| (shard, route)));
        self.mail.extend(self.outbox.mail.drain(..));
        self.replies.append(&mut self.outbox.replies);
        let alarm =
            |alarm: LoopReport| format!("{} {} {}", alarm.phone, alarm.method, alarm.status);
        self.alarms.extend(self.outbox.alarms.drain(..).map(alarm));
        self.outbox.clear();
    }

    fn connection(&mut self, address: SocketAddr, shard: usize) -> ConnectionId {
        let opened = &mut self.connections_opened;
        let (_, connection) = self.connections.entry(address).or_insert_with(|| {
            *opened += 1;
            let shard_id = ShardId(u16::try_from(shard).unwrap());
            (
                shard,
                ConnectionId {
                    shard: shard_id,
                    number: *opened,
                },
            )
        });
        *connection
    }

    fn token(&mut self) -> CommandId {
        self.commands += 1;
        CommandId(self.commands)
    }
}

/// To the server of a connector: `pbx.com` has two addresses.
fn flows_of(question: &Question) -> Vec<Flow> {
    let hosts = match &*question.host {
        "pbx.com" => vec!["10.0.0.9", "10.0.0.8"],
        host => vec![host],
    };
    let addresses = hosts.into_iter().filter_map(|host| host.parse().ok());
    let flow = |ip| {
        let peer = SocketAddr::new(ip, question.port.unwrap_or(5060));
        Flow {
            transport: question.transport.unwrap_or(Transport::Udp),
            listener: 0,
            connection: ConnectionId::default(),
            local: local(peer),
            peer,
        }
    };
    addresses.map(flow).collect()
}

/// The HTTP room's result for `number=` and `state=`: a call with its own id, whose other party is
/// hidden unless the domain reveals it.
fn hook_call(
    aor: &Aor,
    number: Option<&str>,
    state: CallState,
    reveal: bool,
    call: u64,
) -> CallDialog {
    let identity = number.map(|number| format!("sip:{number}@{}", aor.domain()));
    CallDialog::from(CallParts {
        direction: (state == CallState::Early).then_some(Direction::Recipient),
        remote: Party {
            identity: identity.as_deref().unwrap_or_default(),
            ..Party::default()
        },
        remote_is_private: !reveal,
        ..CallParts::new(&format!("call_state-{call}"), state)
    })
}

/// `phone.abc.com:5070 tls`
fn shown(question: &Question) -> String {
    let port = question.port.map(|port| format!(":{port}"));
    let transport = question.transport.map_or("any", Transport::name);
    format!("{}{} {transport}", question.host, port.unwrap_or_default())
}
