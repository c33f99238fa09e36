//! A connector and a PBX that misbehaves: what is sent, what is shown, how fast, and what is left behind.

mod refusals;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::directory::connectors::{
    Connector, Preferred, Protocol, ServerAddress, SipUpstream, UserSelection,
};
use crate::directory::user_range::UserRange;
use crate::directory::{Directory, Domain};
use crate::presence::Aor;
use crate::presence::call::CallState;
use crate::presence::composition::UpstreamRules;
use crate::presence::event::Package;
use crate::shard::contract::connector::{ConnectorOrder, ConnectorReport, ConnectorUserReport};
use crate::shard::contract::ids::WatchedId;
use crate::shard::contract::mail::NamedWatch;
use crate::shard::contract::report::Why;
use crate::shard::uac::tests::bench::{Bench, header, response_to};
use crate::shard::{
    Address, Command, ConnectionId, Dial, Flow, Input, Mail, Options, Outbox, Reply, Shard, ShardId,
};
use crate::sip::Transport;
use crate::sip::digest::client::Login;

mod lists;

const SERVERS: [[u8; 4]; 2] = [[10, 0, 0, 9], [10, 0, 0, 8]];

/// A request that the shard sent, and where to.
#[derive(Clone, Debug)]
struct Sent {
    flow: Flow,
    text: String,
}

impl Sent {
    fn header(&self, name: &str) -> &str {
        header(&self.text, name)
    }

    fn is_request(&self) -> bool {
        self.text.starts_with("SUBSCRIBE ")
    }

    fn user(&self) -> &str {
        let (_, rest) = self.header("To").split_once("sip:").unwrap();
        rest.split('@').next().unwrap()
    }
}

/// A shard with a connector, and the server that it subscribes to.
struct World {
    shard: Shard,
    directory: Directory,
    connector: Connector,
    now: Instant,
    out: Outbox,
    /// Messages that were not looked at yet.
    sent: Vec<Sent>,
    /// The Vias of requests that were looked at.
    seen: HashSet<String>,
    dials: Vec<Dial>,
    /// Where the server is found.
    servers: Vec<[u8; 4]>,
    streams: u32,
    notifies: u32,
    branches: u32,
}

fn connector(change: impl FnOnce(&mut Connector, &mut SipUpstream)) -> Connector {
    let mut upstream = SipUpstream {
        transport: Transport::Udp,
        remote_domain: "pbx.com".into(),
        uri: "sip:lamps@pbx.com".into(),
        packages: vec![Package::Dialog, Package::Presence],
        expires: Duration::from_secs(600),
        pace: 200,
        list: None,
    };
    let mut connector = Connector {
        name: "pbx".into(),
        domain: "abc.com".into(),
        is_enabled: true,
        address: Some(ServerAddress {
            host: "pbx.com".into(),
            port: None,
        }),
        login: None,
        users: UserSelection {
            ranges: vec![UserRange::parse("1").unwrap()],
            ..UserSelection::default()
        },
        preferred: Preferred::default(),
        protocol: Protocol::Sip(upstream.clone()),
    };
    change(&mut connector, &mut upstream);
    connector.protocol = Protocol::Sip(upstream);
    connector
}

impl Bench for World {
    fn parts(&mut self) -> (&mut Shard, &mut Instant, &mut Outbox) {
        (&mut self.shard, &mut self.now, &mut self.out)
    }

    fn drain(&mut self) {
        for transmit in &self.out.transmits {
            let octets = self.out.pieces(transmit).concat();
            self.sent.push(Sent {
                flow: transmit.flow,
                text: String::from_utf8_lossy(&octets).into_owned(),
            });
        }
        self.dials.append(&mut self.out.dials);
        let routes: Vec<_> = self.out.routes.drain(..).collect();
        self.out.clear();
        for route in routes {
            let transport = route.question.transport.unwrap();
            let flows: Vec<Flow> = self.servers.iter().map(|ip| flow(transport, *ip)).collect();
            self.input(Input::Routed(route.id, &flows));
        }
    }
}

impl World {
    fn new(change: impl FnOnce(&mut Connector, &mut SipUpstream)) -> Self {
        let now = Instant::now();
        let mut directory = Directory::default();
        let domain = Domain {
            open: true,
            upstreams: UpstreamRules {
                stale_kept: Duration::from_secs(3600),
                ..UpstreamRules::default()
            },
            ..Domain::new("abc.com")
        };
        directory.add_domain(domain, &[]).unwrap();
        let connector = connector(change);
        directory.set_connectors(vec![connector.clone()]);
        let options = Options::new(ShardId(0), 1, now, [1; 32]);
        let mut world = Self {
            shard: Shard::new(options, Arc::new(directory.clone()), [2; 32]),
            directory,
            connector,
            now,
            out: Outbox::default(),
            sent: Vec::new(),
            seen: HashSet::new(),
            dials: Vec::new(),
            servers: vec![SERVERS[0]],
            streams: 0,
            notifies: 0,
            branches: 0,
        };
        world.wait(Duration::from_millis(100));
        world
    }

    /// One user, the first SUBSCRIBE is on its way.
    fn one() -> Self {
        Self::new(|_, _| ())
    }

    fn users(range: &str) -> Self {
        Self::new(|connector, _| connector.users.ranges = vec![UserRange::parse(range).unwrap()])
    }

    fn wait_seconds(&mut self, seconds: u64) {
        self.wait(Duration::from_secs(seconds));
    }

    /// The SUBSCRIBEs since the last look, without retransmissions.
    fn requests(&mut self) -> Vec<Sent> {
        let mut requests: Vec<Sent> = Vec::new();
        for sent in std::mem::take(&mut self.sent) {
            if sent.is_request() && self.seen.insert(sent.header("Via").to_owned()) {
                requests.push(sent);
            }
        }
        requests
    }

    /// The next SUBSCRIBE, whenever it comes.
    fn next_request(&mut self) -> Sent {
        for _ in 0..4_000 {
            let requests = self.requests();
            assert!(requests.len() <= 1, "{requests:#?}");
            if let Some(request) = requests.into_iter().next() {
                return request;
            }
            self.wait_seconds(1);
        }
        panic!("no request comes")
    }

    /// The one SUBSCRIBE since the last look.
    fn request(&mut self) -> Sent {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:#?}");
        requests.into_iter().next().unwrap()
    }

    fn respond(&mut self, request: &Sent, status: &str, lines: &str) {
        let lines = format!("Contact: <sip:10.0.0.9:5060>\r\n{lines}");
        let response = response_to(&request.text, status, &lines);
        self.receive(&response, request.flow);
    }

    fn receive(&mut self, message: &str, flow: Flow) {
        let bytes = message.as_bytes();
        self.input(Input::Message { flow, bytes });
    }

    /// A NOTIFY to the subscription of a request; returns the status of the response.
    fn notify(&mut self, request: &Sent, state: &str, body: &str) -> String {
        self.notifies += 1;
        self.notify_at(request, self.notifies, state, body)
    }

    fn notify_at(&mut self, request: &Sent, cseq: u32, state: &str, body: &str) -> String {
        self.notify_from("theirs", request, cseq, (state, body))
    }

    fn notify_from(
        &mut self,
        tag: &str,
        request: &Sent,
        cseq: u32,
        (state, body): (&str, &str),
    ) -> String {
        let [from, to, call_id, event] =
            ["From", "To", "Call-ID", "Event"].map(|name| request.header(name));
        let to = to.split(";tag=").next().unwrap();
        let kind = match event {
            _ if body.starts_with("--") => lists::CONTENT_TYPE,
            "dialog" => "application/dialog-info+xml",
            _ => "application/pidf+xml",
        };
        let kind = match body {
            "" => String::new(),
            _ => format!("Content-Type: {kind}\r\n"),
        };
        let length = body.len();
        self.branches += 1;
        let branch = self.branches;
        let message = format!(
            "NOTIFY sip:10.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK{tag}-{branch}-{cseq}\r\n\
             Max-Forwards: 70\r\nFrom: {to};tag={tag}\r\nTo: {from}\r\nCall-ID: {call_id}\r\n\
             CSeq: {cseq} NOTIFY\r\nContact: <sip:10.0.0.9:5060>\r\nEvent: {event}\r\n\
             Subscription-State: {state}\r\n{kind}Content-Length: {length}\r\n\r\n{body}"
        );
        let seen = self.sent.len();
        self.receive(&message, request.flow);
        let response = self.sent[seen..]
            .iter()
            .position(|sent| sent.text.starts_with("SIP/2.0 "));
        let response = self.sent.remove(seen + response.unwrap());
        response.text.lines().next().unwrap()[8..11].to_owned()
    }

    /// The server accepts, and says that the user is in that state.
    fn accept(&mut self, request: &Sent, expires: u32, call: &str) {
        let body = dialog_info(call).replace("sip:1@", &format!("sip:{}@", request.user()));
        let granted = format!("Expires: {expires}\r\n");
        self.respond(request, "200 OK", &granted);
        let state = format!("active;expires={expires}");
        assert_eq!(self.notify(request, &state, &body), "200");
    }

    /// One user, whose call is confirmed.
    fn busy() -> (Self, Sent) {
        let mut world = Self::one();
        let request = world.request();
        world.accept(&request, 600, "confirmed");
        assert_eq!(
            (world.status(), world.user_status()),
            ("UpAndRunning", "Busy")
        );
        assert_eq!(world.lamp(), CallState::Confirmed);
        (world, request)
    }

    fn report(&mut self) -> ConnectorReport {
        let Reply::Connectors(mut reports, _) = self.ask(Command::Connectors { from: 0 }) else {
            panic!("no connectors")
        };
        reports.remove(0)
    }

    fn status(&mut self) -> &'static str {
        self.report().status.as_str()
    }

    fn listed(&mut self) -> Vec<ConnectorUserReport> {
        let command = Command::ConnectorUsers {
            name: "pbx".into(),
            from: 0,
        };
        let Reply::ConnectorUsers(users, _) = self.ask(command) else {
            panic!("no users")
        };
        users
    }

    fn user_status(&mut self) -> &'static str {
        self.listed()[0].status.as_str()
    }

    fn why(&mut self, user: &str) -> Why {
        match self.ask(Command::Why(Aor::new(user, "abc.com"))) {
            Reply::Why(why) => why,
            other => panic!("{other:?}"),
        }
    }

    fn lamp(&mut self) -> CallState {
        self.why("1").lamp
    }

    fn is_stale(&mut self) -> bool {
        self.why("1").contributions[0].stale.is_some()
    }

    fn order(&mut self, order: ConnectorOrder) {
        let name = "pbx".into();
        let reply = self.ask(Command::OrderConnector { name, order });
        assert!(matches!(reply, Reply::Done));
        self.wait(Duration::from_millis(100));
    }

    fn reload(&mut self, connectors: Vec<Connector>) {
        self.directory.set_connectors(connectors);
        let directory = Arc::new(self.directory.clone());
        self.ask(Command::Reload(directory));
        self.wait(Duration::from_millis(100));
    }

    fn counter(&mut self, name: &str) -> u64 {
        let Reply::Counters(counters) = self.ask(Command::Counters) else {
            panic!("no counters")
        };
        let mut values = counters.values.iter();
        values.find(|(known, _)| *known == name).unwrap().1
    }

    /// A stream is opened to the server.
    fn connect(&mut self) -> ConnectionId {
        let dial = self.dials.remove(0);
        self.streams += 1;
        let connection = ConnectionId {
            shard: ShardId(0),
            number: self.streams,
        };
        self.input(Input::Dialed(dial.id, dial.flow(connection)));
        connection
    }
}

fn flow(transport: Transport, ip: [u8; 4]) -> Flow {
    Flow {
        transport,
        listener: 0,
        connection: ConnectionId::default(),
        local: SocketAddr::from(([10, 0, 0, 1], 5060)),
        peer: SocketAddr::from((ip, 5060)),
    }
}

/// A full document with a call in that state; none for `idle`.
fn dialog_info(call: &str) -> String {
    let dialog = match call {
        "idle" => String::new(),
        state => format!("<dialog id=\"d\"><state>{state}</state></dialog>"),
    };
    format!(
        "<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"1\" state=\"full\" \
         entity=\"sip:1@pbx.com\">{dialog}</dialog-info>"
    )
}

#[test]
fn a_call_at_the_pbx_lights_the_lamp() {
    let mut world = World::one();
    let request = world.request();
    assert_eq!(
        (world.status(), world.user_status()),
        ("Requesting", "Requesting")
    );
    assert!(request.text.starts_with("SUBSCRIBE sip:1@pbx.com SIP/2.0"));
    assert!(
        request
            .header("From")
            .starts_with("<sip:lamps@pbx.com>;tag=")
    );
    assert_eq!(
        (request.header("Event"), request.header("Expires")),
        ("dialog", "600")
    );
    world.accept(&request, 600, "early");
    assert_eq!(world.lamp(), CallState::Early);
    let why = world.why("1");
    assert_eq!(why.contributions[0].source.to_string(), "upstream:pbx");
    assert_eq!(why.contributions[0].stale, None);
    world.notify(&request, "active", &dialog_info("idle"));
    assert_eq!(
        (world.lamp(), world.user_status()),
        (CallState::Terminated, "Available")
    );
}

#[test]
fn the_refresh_comes_at_half_of_what_was_granted_at_the_latest() {
    for granted in [60, 600, 7200] {
        let mut world = World::one();
        let request = world.request();
        world.accept(&request, granted, "idle");
        let accepted = world.now;
        let refresh = world.next_request();
        let after = world.now - accepted;
        let half = Duration::from_secs(u64::from(granted) / 2);
        assert!(
            after >= half * 7 / 10 && after <= half + Duration::from_secs(1),
            "{after:?}"
        );
        assert_eq!(refresh.header("Call-ID"), request.header("Call-ID"));
        assert!(refresh.header("To").contains("tag=theirs"));
    }
}

#[test]
fn a_notify_may_come_before_the_2xx_and_forks_are_refused() {
    let mut world = World::one();
    let request = world.request();
    let state = "active;expires=300";
    assert_eq!(
        world.notify(&request, state, &dialog_info("confirmed")),
        "200"
    );
    let fork = (state, &*dialog_info("idle"));
    assert_eq!(world.notify_from("fork", &request, 1, fork), "481");
    world.respond(&request, "202 Accepted", "Expires: 300\r\n");
    assert_eq!(world.lamp(), CallState::Confirmed);
    assert_eq!(world.listed()[0].remaining, Some(Duration::from_secs(300)));
}

#[test]
fn without_an_expiry_in_subscription_state_the_timer_is_kept() {
    let mut world = World::one();
    let request = world.request();
    world.respond(&request, "200 OK", "Expires: 100\r\n");
    world.notify(&request, "active", &dialog_info("idle"));
    world.wait_seconds(20);
    world.notify(&request, "active", &dialog_info("confirmed"));
    let before = world.now;
    world.next_request();
    assert!(world.now - before <= Duration::from_secs(31));
}

#[test]
fn gaps_and_setbacks_of_cseq_are_taken() {
    let (mut world, request) = World::busy();
    let idle = dialog_info("idle");
    let busy = dialog_info("confirmed");
    assert_eq!(world.notify_at(&request, 400_000, "active", &idle), "200");
    assert_eq!(
        world.notify_at(&request, 399_990, "active", &busy),
        "500",
        "it was overtaken"
    );
    assert_eq!(world.lamp(), CallState::Terminated);
    world.wait_seconds(33);
    assert_eq!(
        world.notify_at(&request, 7, "active", &busy),
        "200",
        "the server counts anew"
    );
    assert_eq!(world.lamp(), CallState::Confirmed);
    assert_eq!(world.notify_at(&request, 3, "active", &idle), "500");
    assert_eq!(world.notify_at(&request, 4, "active", &idle), "500");
    assert_eq!(
        world.notify_at(&request, 5, "active", &idle),
        "200",
        "not for ever"
    );
    for _ in 0..300 {
        let repeated = world.notify_at(&request, 5, "active", &busy);
        assert_eq!(repeated, "500", "the latest number again");
    }
    assert_eq!(world.lamp(), CallState::Terminated);
}

#[test]
fn a_423_without_a_minimum_doubles_what_is_asked_for() {
    let mut world = World::one();
    let mut asked = Vec::new();
    for _ in 0..4 {
        let request = world.request();
        asked.push(request.header("Expires").to_owned());
        if asked.len() < 4 {
            world.respond(&request, "423 Interval Too Brief", "");
        } else {
            world.accept(&request, 3600, "confirmed");
        }
    }
    assert_eq!(asked, ["600", "1200", "2400", "3600"]);
    assert_eq!(world.lamp(), CallState::Confirmed);
}

#[test]
fn the_next_package_is_asked_for_after_489() {
    let mut world = World::one();
    let request = world.request();
    world.respond(&request, "489 Bad Event", "");
    let request = world.request();
    assert_eq!(request.header("Event"), "presence");
    world.respond(&request, "200 OK", "Expires: 600\r\n");
    let pidf = "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:1@pbx.com\" \
                xmlns:r=\"urn:ietf:params:xml:ns:pidf:rpid\" xmlns:d=\"urn:ietf:params:xml:ns:pidf:data-model\">\
                <tuple id=\"t\"><status><basic>closed</basic></status></tuple>\
                <d:person id=\"p\"><r:activities><r:busy/></r:activities></d:person></presence>";
    world.notify(&request, "active", pidf);
    assert_eq!(world.lamp(), CallState::Confirmed, "CUCM: closed and busy");
    let refresh = world.next_request();
    world.respond(&refresh, "489 Bad Event", "");
    assert_eq!(world.user_status(), "Error");
    assert!(world.is_stale());
}

#[test]
fn a_subscription_that_the_server_forgot_begins_anew() {
    let (mut world, request) = World::busy();
    let refresh = world.next_request();
    world.respond(&refresh, "481 Subscription Does Not Exist", "");
    let anew = world.request();
    assert_ne!(anew.header("Call-ID"), request.header("Call-ID"));
    assert_eq!(
        world.lamp(),
        CallState::Confirmed,
        "until the server says something else"
    );
    world.accept(&anew, 600, "idle");
    assert_eq!(world.lamp(), CallState::Terminated);
}

#[test]
fn a_server_that_lost_its_state_clears_the_lamp() {
    let (mut world, _) = World::busy();
    let refresh = world.next_request();
    world.respond(&refresh, "481 Subscription Does Not Exist", "");
    let anew = world.request();
    world.respond(&anew, "200 OK", "Expires: 600\r\n");
    world.notify(&anew, "active;expires=600", "");
    assert_eq!(
        (world.lamp(), world.user_status()),
        (CallState::Terminated, "Offline")
    );
    assert!(world.why("1").contributions.is_empty());
}

fn with_login() -> World {
    World::new(|connector, _| {
        connector.login = Some(Login {
            user: "lamps".into(),
            password: "secret".into(),
        });
    })
}

const CHALLENGE: &str = "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n1\", qop=\"auth\"\r\n";

#[test]
fn an_old_nonce_that_is_refused_without_a_challenge_is_given_up() {
    let mut world = with_login();
    let request = world.request();
    world.respond(&request, "401 Unauthorized", CHALLENGE);
    let request = world.request();
    assert!(request.header("Authorization").contains("nonce=\"n1\""));
    world.accept(&request, 600, "confirmed");
    let refresh = world.next_request();
    assert!(refresh.header("Authorization").contains("nc=00000002"));
    world.respond(&refresh, "401 Unauthorized", "");
    let bare = world.request();
    assert_eq!(bare.header("Authorization"), "");
    world.respond(&bare, "401 Unauthorized", &CHALLENGE.replace("n1", "n2"));
    let again = world.request();
    assert!(again.header("Authorization").contains("nonce=\"n2\""));
    world.accept(&again, 600, "idle");
    assert_eq!(
        (world.status(), world.user_status()),
        ("UpAndRunning", "Available")
    );
}

#[test]
fn a_server_that_refuses_us_is_forbidden_and_tried_by_one_user_at_a_time() {
    let mut world = World::users("1-3");
    let mut tried = Vec::new();
    for _ in 0..3 {
        let request = world.request();
        world.respond(&request, "403 Forbidden", "");
        assert_eq!(world.status(), "Forbidden");
        assert!(world.report().next_attempt.is_some());
        tried.push(request.user().to_owned());
        world.wait_seconds(6);
    }
    tried.sort_unstable();
    assert_eq!(tried, ["1", "2", "3"]);
    let mut request = world.requests();
    while request.is_empty() {
        world.wait_seconds(1);
        request = world.requests();
    }
    world.accept(&request[0], 600, "idle");
    world.wait_seconds(1);
    assert_eq!(
        (world.status(), world.requests().len()),
        ("UpAndRunning", 2)
    );
}

#[test]
fn one_user_that_is_refused_does_not_stop_the_others() {
    let mut world = World::users("1-2");
    let first = world.request();
    world.accept(&first, 600, "idle");
    world.wait_seconds(1);
    let second = world.request();
    world.respond(&second, "403 Forbidden", "");
    assert_eq!(world.status(), "UpAndRunning");
    let listed = world.listed();
    let statuses = listed.iter().map(|user| user.status.as_str());
    let mut statuses: Vec<&str> = statuses.collect();
    statuses.sort_unstable();
    assert_eq!(statuses, ["Access denied", "Available"]);
    let report = world.report();
    assert_eq!((report.subscriptions, report.counts.failures), (1, 1));
}

#[test]
fn a_user_that_is_unknown_there_is_asked_for_slowly() {
    let (mut world, _) = World::busy();
    let refresh = world.next_request();
    world.respond(&refresh, "404 Not Found", "");
    assert_eq!(
        (world.status(), world.user_status()),
        ("UpAndRunning", "Not Found")
    );
    assert_eq!(world.lamp(), CallState::Terminated);
    for pause in [60, 120, 240] {
        let before = world.now;
        let request = world.next_request();
        let after = (world.now - before).as_secs();
        assert!(
            (pause * 3 / 4..=pause * 5 / 4 + 1).contains(&after),
            "{pause}: {after}"
        );
        world.respond(&request, "404 Not Found", "");
    }
}

#[test]
fn our_own_user_that_is_unknown_there_is_told_apart() {
    let mut world = World::new(|connector, upstream| {
        upstream.uri = "sip:1@pbx.com".into();
        connector.login = Some(Login {
            user: "1".into(),
            password: "secret".into(),
        });
    });
    let request = world.request();
    world.respond(&request, "404 Not Found", "");
    assert_eq!(world.status(), "Credentials entered not found");
}

#[test]
fn a_server_that_does_not_answer_is_tried_by_one_client_and_the_lamps_are_stale() {
    let mut world = World::users("1-20");
    let first = world.request();
    world.accept(&first, 600, "confirmed");
    world.wait_seconds(1);
    let others = world.requests();
    assert_eq!(others.len(), 19);
    for request in &others {
        world.accept(request, 600, "idle");
    }
    assert!(!world.is_stale());
    for request in std::iter::once(&first).chain(&others) {
        world.notify(request, "active", &dialog_info("confirmed"));
    }
    world.wait_seconds(310);
    assert!(!world.requests().is_empty(), "refreshes");
    world.wait_seconds(25);
    assert_eq!(world.status(), "ConnectionError");
    assert!(world.is_stale());
    assert_eq!(
        world.lamp(),
        CallState::Confirmed,
        "it is kept, with a mark"
    );
    let mut tries = 0;
    for _ in 0..600 {
        world.wait_seconds(1);
        let requests = world.requests();
        assert!(requests.len() <= 1, "one client tries");
        tries += requests.len();
    }
    assert!((5..=16).contains(&tries), "{tries}");
    let request = loop {
        world.wait_seconds(1);
        if let Some(request) = world.requests().pop() {
            break request;
        }
    };
    world.accept(&request, 600, "idle");
    assert_eq!(world.status(), "UpAndRunning");
    world.wait_seconds(1);
    assert_eq!(world.requests().len(), 19, "all are asked again");
}

#[test]
fn an_old_red_ends_though_the_server_is_never_heard_again() {
    let (mut world, _) = World::busy();
    world.wait_seconds(345);
    assert!(world.is_stale());
    world.wait_seconds(3500);
    assert_eq!(world.lamp(), CallState::Confirmed);
    world.wait_seconds(200);
    assert_eq!(world.lamp(), CallState::Terminated);
    let why = world.why("1");
    assert!(why.contributions[0].asserts.to_string().contains("unknown"));
}

#[test]
fn the_next_location_is_tried_at_once() {
    let mut world = World::one();
    world.servers = SERVERS.to_vec();
    world.order(ConnectorOrder::Restart);
    let requests = world.requests();
    let request = requests.last().unwrap();
    assert_eq!(request.flow.peer.ip().to_string(), "10.0.0.9");
    world.respond(request, "503 Service Unavailable", "Retry-After: 100\r\n");
    let request = world.request();
    assert_eq!(request.flow.peer.ip().to_string(), "10.0.0.8");
    world.respond(&request, "503 Service Unavailable", "Retry-After: 100\r\n");
    assert_eq!(
        (world.status(), world.requests().len()),
        ("ConnectionError", 0)
    );
    world.wait_seconds(99);
    assert!(world.requests().is_empty(), "Retry-After");
    world.wait_seconds(30);
    let request = world.request();
    world.accept(&request, 600, "confirmed");
    assert_eq!(world.status(), "UpAndRunning");
}

#[test]
fn each_reason_of_an_end_has_its_consequence() {
    // The reason, seconds without a request, and whether one comes by then.
    for (reason, quiet, comes_within, status, is_kept) in [
        ("deactivated", 0, 5, "Busy", true),
        ("timeout", 0, 5, "Busy", true),
        ("probation;retry-after=50", 49, 20, "Error", true),
        ("giveup", 7, 10, "Error", true),
        ("noresource", 44, 31, "Not Found", false),
        ("unheard-of", 7, 10, "Error", true),
        ("rejected", 4000, 0, "Access denied", false),
    ] {
        let (mut world, request) = World::busy();
        world.notify(&request, &format!("terminated;reason={reason}"), "");
        assert_eq!(world.user_status(), status, "{reason}");
        let is_lit = world.lamp() == CallState::Confirmed;
        assert_eq!(is_lit, is_kept, "{reason}");
        world.wait_seconds(quiet);
        assert!(world.requests().is_empty(), "{reason}");
        world.wait_seconds(comes_within);
        let requests = world.requests();
        assert_eq!(requests.len(), usize::from(comes_within > 0), "{reason}");
        for anew in requests {
            assert_ne!(anew.header("Call-ID"), request.header("Call-ID"));
        }
    }
}

#[test]
fn subscriptions_keep_to_the_pace() {
    let mut world = World::new(|connector, upstream| {
        connector.users.ranges = vec![UserRange::parse("1000-1999").unwrap()];
        upstream.pace = 50;
    });
    let first = world.request();
    world.accept(&first, 600, "idle");
    for second in 1..=10 {
        world.wait_seconds(1);
        let requests = world.requests();
        assert!(
            (49..=52).contains(&requests.len()),
            "{second}: {}",
            requests.len()
        );
        for request in requests {
            world.accept(&request, 600, "idle");
        }
    }
    assert_eq!(
        world.report().subscriptions,
        world
            .listed()
            .iter()
            .filter(|user| user.remaining.is_some())
            .count()
    );
}

/// A shard begins or ends to watch a user.
fn watch(world: &mut World, user: &str, begins: bool) {
    let aor = Aor::new(user, "abc.com");
    let watcher = Address::default();
    let mail = match begins {
        true => Mail::Watch {
            watcher,
            watched: NamedWatch {
                aor,
                system: None,
                likely: WatchedId(0),
            },
        },
        false => Mail::Unwatch {
            aor,
            watcher,
            system: None,
        },
    };
    world.input(Input::Mail(mail));
    world.wait(Duration::from_millis(100));
}

#[test]
fn on_demand_a_user_is_subscribed_to_while_it_is_watched() {
    let mut world = World::new(|connector, _| {
        connector.users = UserSelection {
            on_demand: true,
            ..UserSelection::default()
        };
    });
    assert_eq!(world.status(), "Not requested by anyone");
    watch(&mut world, "7", true);
    let request = world.request();
    assert_eq!(request.user(), "7");
    world.accept(&request, 3600, "confirmed");
    watch(&mut world, "7", false);
    world.wait_seconds(60);
    watch(&mut world, "7", true);
    world.wait_seconds(100);
    assert!(world.requests().is_empty(), "the watcher came back");
    watch(&mut world, "7", false);
    world.wait_seconds(121);
    let end = world.request();
    assert_eq!(end.header("Expires"), "0");
    world.respond(&end, "200 OK", "Expires: 0\r\n");
    world.notify(&end, "terminated;reason=timeout", "");
    assert!(world.listed().is_empty());
    assert!(world.why("7").contributions.is_empty());
    world.wait_seconds(300);
    assert_eq!((world.counter("clients"), world.requests().len()), (0, 0));
}

#[test]
fn an_account_more_or_less_is_a_user_more_or_less() {
    let mut world = World::new(|connector, _| {
        connector.users = UserSelection {
            accounts: true,
            ..UserSelection::default()
        };
    });
    let connectors = vec![world.connector.clone()];
    assert_eq!(world.status(), "Not requested by anyone");
    for user in ["1", "2"] {
        world.directory.add_account(user, "abc.com", "secret");
        world.reload(connectors.clone());
        let request = world.request();
        assert_eq!(request.user(), user);
        world.accept(&request, 3600, "confirmed");
    }
    world.reload(connectors.clone());
    assert!(world.requests().is_empty(), "nothing changed");
    world
        .directory
        .take_account(&Aor::new("1", "abc.com"))
        .unwrap();
    world.reload(connectors);
    let end = world.request();
    assert_eq!((end.user(), end.header("Expires")), ("1", "0"));
    assert_eq!(world.listed().len(), 1);
}

#[test]
fn a_stopped_connector_says_nothing_until_it_is_started() {
    let (mut world, _) = World::busy();
    world.order(ConnectorOrder::Stop);
    assert_eq!(world.status(), "Disabled");
    assert_eq!(world.lamp(), CallState::Terminated);
    let end = world.request();
    assert_eq!(end.header("Expires"), "0");
    world.respond(&end, "200 OK", "Expires: 0\r\n");
    world.notify(&end, "terminated", "");
    let unchanged = vec![world.connector.clone()];
    world.reload(unchanged);
    world.wait_seconds(700);
    assert_eq!((world.status(), world.requests().len()), ("Disabled", 0));
    world.order(ConnectorOrder::Start);
    let request = world.request();
    world.accept(&request, 600, "confirmed");
    assert_eq!(
        (world.status(), world.lamp()),
        ("UpAndRunning", CallState::Confirmed)
    );
    world.order(ConnectorOrder::Restart);
    let requests = world.requests();
    let expires: Vec<&str> = requests.iter().map(|sent| sent.header("Expires")).collect();
    assert_eq!(expires, ["0", "600"], "it begins anew");
    assert_eq!(world.lamp(), CallState::Confirmed, "meanwhile it counts");
}

#[test]
fn a_reload_is_in_force_at_once() {
    let (mut world, _) = World::busy();
    let more = connector(|connector, _| {
        connector.users.ranges = vec![UserRange::parse("1-2").unwrap()];
    });
    world.reload(vec![more]);
    let requests = world.requests();
    assert_eq!(
        requests[0].header("Expires"),
        "0",
        "a changed connector begins anew"
    );
    let disabled = connector(|connector, _| connector.is_enabled = false);
    world.reload(vec![disabled]);
    assert_eq!(world.status(), "Disabled");
    let unknown = connector(|connector, _| connector.address = None);
    world.reload(vec![unknown]);
    assert_eq!(world.status(), "Server Not configured");
    world.reload(Vec::new());
    let Reply::Connectors(reports, _) = world.ask(Command::Connectors { from: 0 }) else {
        panic!("no connectors")
    };
    assert!(reports.is_empty());
    world.wait_seconds(100);
    assert_eq!(world.counter("clients"), 0);
    assert_eq!(world.lamp(), CallState::Terminated);
}

#[test]
fn over_a_stream_there_is_one_and_another_after_it_closed() {
    let mut world = World::new(|connector, upstream| {
        upstream.transport = Transport::Tcp;
        connector.users.ranges = vec![UserRange::parse("1-3").unwrap()];
    });
    assert_eq!((world.dials.len(), world.requests().len()), (1, 0));
    let dial = world.dials[0].clone();
    assert_eq!(
        (dial.transport, dial.host.as_deref()),
        (Transport::Tcp, Some("pbx.com"))
    );
    let connection = world.connect();
    let first = world.request();
    assert_eq!(first.flow.connection, connection);
    assert!(first.header("Via").starts_with("SIP/2.0/TCP "));
    world.accept(&first, 600, "confirmed");
    world.wait_seconds(1);
    for request in world.requests() {
        world.accept(&request, 600, "idle");
    }
    world.input(Input::Closed(connection));
    assert!(!world.is_stale(), "it may be open again at once");
    world.wait_seconds(2);
    assert_eq!((world.dials.len(), world.status()), (1, "UpAndRunning"));
    let dial = world.dials.remove(0);
    world.input(Input::DialFailed(dial.id));
    world.wait(Duration::from_millis(50));
    assert_eq!(world.status(), "ConnectionError");
    assert!(world.is_stale());
    world.wait_seconds(5);
    let connection = world.connect();
    let refresh = world.request();
    assert_eq!(refresh.flow.connection, connection);
    world.respond(&refresh, "481 Subscription Does Not Exist", "");
    world.wait_seconds(1);
    assert_eq!(world.requests().len(), 3, "a new dialog, and two refreshes");
    assert_eq!(world.status(), "UpAndRunning");
}

#[test]
fn a_2xx_without_a_notify_proves_nothing() {
    let (mut world, request) = World::busy();
    let refresh = world.next_request();
    world.respond(&refresh, "200 OK", "Expires: 600\r\n");
    world.wait_seconds(33);
    assert!(world.is_stale());
    assert_eq!(world.user_status(), "Error");
    let anew = world.next_request();
    assert_ne!(anew.header("Call-ID"), request.header("Call-ID"));
}

#[test]
fn a_refresh_corrects_what_was_missed_and_that_is_counted() {
    let (mut world, _) = World::busy();
    for (call, lamp, differences) in [
        ("confirmed", CallState::Confirmed, 0),
        ("idle", CallState::Terminated, 1),
        ("idle", CallState::Terminated, 1),
    ] {
        let refresh = world.next_request();
        world.accept(&refresh, 600, call);
        assert_eq!(world.lamp(), lamp);
        assert_eq!(
            world.counter("connector_differences"),
            differences,
            "{call}"
        );
        world.notify(&refresh, "active", &dialog_info(call));
    }
    let refresh = world.next_request();
    world.respond(&refresh, "481 Subscription Does Not Exist", "");
    let anew = world.request();
    world.accept(&anew, 600, "early");
    assert_eq!(
        world.counter("connector_differences"),
        1,
        "a new dialog is no audit"
    );
}

#[test]
fn damaged_messages_do_no_harm() {
    let mut random = crate::sip::random::Random::new([6; 32]);
    for _ in 0..200 {
        let mut world = World::users("1-2");
        for _ in 0..6 {
            let Some(request) = world.requests().pop() else {
                world.wait_seconds(u64::from(random.below(40)));
                continue;
            };
            let status = [
                "200 OK",
                "401 Unauthorized",
                "423 Too Brief",
                "481 Gone",
                "503 Busy",
            ];
            let status = status[random.below(5) as usize];
            let lines = [
                "Expires: 9\r\n",
                CHALLENGE,
                "Min-Expires: 4\r\n",
                "Retry-After: 3\r\n",
            ];
            let mut octets = format!(
                "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=t\r\nCall-ID: {}\r\nCSeq: {}\r\n{}\
                 Content-Length: 0\r\n\r\n",
                request.header("Via"),
                request.header("From"),
                request.header("To"),
                request.header("Call-ID"),
                request.header("CSeq"),
                lines[random.below(4) as usize],
            )
            .into_bytes();
            for _ in 0..random.below(3) {
                let at = random.below(octets.len() as u32) as usize;
                octets[at] = random.next_u64() as u8;
            }
            let flow = request.flow;
            world.input(Input::Message {
                flow,
                bytes: &octets,
            });
            world.wait_seconds(u64::from(random.below(20)));
        }
        world.reload(Vec::new());
        world.wait_seconds(300);
        assert_eq!((world.counter("clients"), world.counter("timers")), (0, 0));
    }
}
