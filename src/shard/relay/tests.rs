//! A relay by SIP and a presence server that misbehaves: what is published, when, and what is left there.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::directory::connectors::ServerAddress;
use crate::directory::peer_systems::PeerSystem;
use crate::directory::relays::{PublishedDocument, SipRelay};
use crate::directory::{Directory, Domain};
use crate::presence::Aor;
use crate::presence::call::{CallParts, CallState, Party};
use crate::presence::origin::Origin;
use crate::presence::policy::{Handling, Pattern, People, Policy, Privacy, WatcherCondition};
use crate::presence::source::StateUpdate;
use crate::shard::contract::relay::SipRelayReport;
use crate::shard::uac::tests::bench::{Bench, header, response_to};
use crate::shard::{
    Command, ConnectionId, Durability, Flow, Input, Options, Outbox, RecordKey, Recovered, Reply,
    Shard, ShardId,
};
use crate::sip::Transport;
use crate::sip::digest::client::Login;

/// A request that the shard sent.
#[derive(Clone, Debug)]
struct Sent(String);

impl Sent {
    fn header(&self, name: &str) -> &str {
        header(&self.0, name)
    }

    fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").unwrap().1
    }

    /// The state in a `dialog-info`; empty without a body.
    fn state(&self) -> &str {
        let after = self.body().split_once("<state>");
        after.map_or("", |(_, rest)| rest.split('<').next().unwrap())
    }
}

/// A shard with a relay.
struct World {
    shard: Shard,
    directory: Directory,
    now: Instant,
    out: Outbox,
    sent: Vec<Sent>,
    /// The Vias of requests that were looked at.
    seen: HashSet<String>,
    tags: u32,
    restarts: u8,
    store: BTreeMap<RecordKey, Vec<u8>>,
}

fn relay(change: impl FnOnce(&mut SipRelay)) -> SipRelay {
    let mut relay = SipRelay {
        name: "out".into(),
        domains: Vec::new(),
        users: Vec::new(),
        address: ServerAddress {
            host: "sip.example.com".into(),
            port: None,
        },
        transport: Transport::Udp,
        remote_domain: Some("example.com".into()),
        uri: None,
        login: None,
        document: PublishedDocument::DialogInfo,
        expires: Duration::from_secs(600),
        pace: 100,
        parties: true,
        notes: true,
    };
    change(&mut relay);
    relay
}

fn options(now: Instant) -> Options {
    Options {
        durability: Durability::Relaxed,
        ..Options::new(ShardId(0), 1, now, [1; 32])
    }
}

fn flow() -> Flow {
    Flow {
        transport: Transport::Udp,
        listener: 0,
        connection: ConnectionId::GONE,
        local: ([10, 0, 0, 1], 5060).into(),
        peer: ([10, 0, 0, 9], 5060).into(),
    }
}

impl Bench for World {
    fn parts(&mut self) -> (&mut Shard, &mut Instant, &mut Outbox) {
        (&mut self.shard, &mut self.now, &mut self.out)
    }

    fn drain(&mut self) {
        for transmit in &self.out.transmits {
            let octets = self.out.pieces(transmit).concat();
            self.sent.push(Sent(String::from_utf8(octets).unwrap()));
        }
        for change in &self.out.records {
            match self.out.octets_of(change) {
                Some(octets) => self.store.insert(change.key, octets.to_vec()),
                None => self.store.remove(&change.key),
            };
        }
        let routes: Vec<_> = self.out.routes.drain(..).collect();
        self.out.clear();
        for route in routes {
            self.input(Input::Routed(route.id, &[flow()]));
        }
    }
}

impl World {
    fn new(change: impl FnOnce(&mut SipRelay)) -> Self {
        let now = Instant::now();
        let mut directory = Directory::default();
        let domain = Domain {
            open: true,
            reveal_number: true,
            ..Domain::new("abc.com")
        };
        directory.add_domain(domain, &[]).unwrap();
        directory.set_sip_relays(vec![relay(change)]);
        let options = options(now);
        let mut world = Self {
            shard: Shard::new(options, Arc::new(directory.clone()), [2; 32]),
            directory,
            now,
            out: Outbox::default(),
            sent: Vec::new(),
            seen: HashSet::new(),
            tags: 0,
            restarts: 2,
            store: BTreeMap::new(),
        };
        world.wait(Duration::from_millis(100));
        world
    }

    /// With a publication of the confirmed call of user 1.
    fn busy() -> (Self, Sent) {
        let mut world = Self::new(|_| ());
        world.call("1", Some(CallState::Confirmed));
        let publish = world.request();
        assert_eq!(publish.state(), "confirmed");
        world.accept(&publish);
        (world, publish)
    }

    /// The process is killed, and another begins with what is durable.
    fn restart(&mut self) {
        let directory = Arc::new(self.directory.clone());
        self.restarts += 1;
        self.shard = Shard::new(options(self.now), directory, [self.restarts; 32]);
        self.sent.clear();
        // Time passes before what is recorded is there.
        self.wait(Duration::from_millis(100));
        self.input(Input::Recovered(Recovered::Begin {
            dialogs_end: 0,
            presentities_end: 1_000,
            committed_at: Some(self.now),
        }));
        for (key, octets) in self.store.clone() {
            let record = Recovered::Record(key, &octets);
            self.input(Input::Recovered(record));
        }
        self.input(Input::Recovered(Recovered::End));
        self.wait(Duration::from_millis(300));
    }

    fn call(&mut self, user: &str, state: Option<CallState>) {
        self.call_from(user, state, None);
    }

    fn call_from(&mut self, user: &str, state: Option<CallState>, origin: Option<Origin>) {
        let call = state.map(|state| {
            let parts = CallParts {
                remote: Party {
                    identity: "sip:5551@abc.com",
                    ..Party::default()
                },
                ..CallParts::new("1", state)
            };
            Arc::new(parts.into())
        });
        let aor = Aor::new(user, "abc.com");
        let Command::UpdateState { aor, update, .. } =
            Command::call_state(aor, call, Duration::from_secs(3600))
        else {
            panic!("an update")
        };
        self.update(aor, update, origin);
    }

    fn update(&mut self, aor: Aor, update: StateUpdate, origin: Option<Origin>) {
        let command = Command::UpdateState {
            aor,
            update,
            origin,
        };
        assert!(matches!(self.ask(command), Reply::Done));
        self.wait(Duration::from_millis(50));
    }

    /// The PUBLISHes since the last look, without retransmissions.
    fn requests(&mut self) -> Vec<Sent> {
        let sent = std::mem::take(&mut self.sent).into_iter();
        let is_new = |sent: &Sent| self.seen.insert(sent.header("Via").to_owned());
        sent.filter(|sent| sent.0.starts_with("PUBLISH "))
            .filter(is_new)
            .collect()
    }

    /// The one PUBLISH since the last look.
    fn request(&mut self) -> Sent {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:#?}");
        requests.into_iter().next().unwrap()
    }

    /// The next PUBLISH within so many seconds.
    fn request_within(&mut self, seconds: u64) -> Sent {
        for _ in 0..seconds {
            self.wait(Duration::from_secs(1));
            if !self.sent.is_empty() {
                return self.request();
            }
        }
        panic!("no request comes")
    }

    fn respond(&mut self, request: &Sent, status: &str, lines: &str) {
        let response = response_to(&request.0, status, lines);
        let bytes = response.as_bytes();
        let flow = flow();
        self.input(Input::Message { flow, bytes });
        self.wait(Duration::from_millis(50));
    }

    /// The server takes a PUBLISH, and gives the publication a new entity tag.
    fn accept(&mut self, request: &Sent) {
        self.tags += 1;
        let lines = format!("SIP-ETag: tag{}\r\nExpires: 600\r\n", self.tags);
        self.respond(request, "200 OK", &lines);
    }

    fn report(&mut self) -> SipRelayReport {
        let Reply::SipRelays(mut reports, None) = self.ask(Command::SipRelays { from: 0 }) else {
            panic!("no relays")
        };
        reports.remove(0)
    }

    fn reload(&mut self, change: impl FnOnce(&mut Directory)) {
        change(&mut self.directory);
        let directory = Arc::new(self.directory.clone());
        assert!(matches!(self.ask(Command::Reload(directory)), Reply::Done));
        self.wait(Duration::from_millis(100));
    }
}

#[test]
fn a_call_is_published_changed_refreshed_and_told_to_be_over() {
    let (mut world, first) = World::busy();
    assert!(first.0.starts_with("PUBLISH sip:1@example.com SIP/2.0\r\n"));
    assert_eq!(first.header("Event"), "dialog");
    assert_eq!(first.header("Expires"), "600");
    assert_eq!(first.header("SIP-If-Match"), "");
    assert_eq!(first.header("Content-Type"), "application/dialog-info+xml");
    assert!(first.header("From").starts_with("<sip:1@example.com>"));
    assert!(first.body().contains("entity=\"sip:1@example.com\""));
    assert!(
        first.body().contains("sip:5551@abc.com"),
        "{}",
        first.body()
    );
    let report = world.report();
    assert_eq!(report.status.as_str(), "UpAndRunning");
    assert_eq!((report.sent, report.waiting, report.failures), (1, 0, 0));

    world.call("1", Some(CallState::Early));
    let change = world.request();
    assert_eq!(
        (change.state(), change.header("SIP-If-Match")),
        ("early", "tag1")
    );
    world.accept(&change);
    world.call("1", Some(CallState::Confirmed));
    let answered = world.request();
    world.accept(&answered);

    let refresh = world.request_within(301);
    assert_eq!(
        (refresh.body(), refresh.header("SIP-If-Match")),
        ("", "tag3")
    );
    assert_eq!(refresh.header("Content-Type"), "");
    world.accept(&refresh);

    world.call("1", None);
    let over = world.request();
    assert_eq!(
        (over.state(), over.header("SIP-If-Match")),
        ("terminated", "tag4")
    );
    world.accept(&over);

    // The next call is a publication of its own: Kamailio ignores what comes after the end of a dialog.
    world.call("1", Some(CallState::Confirmed));
    let removal = world.request();
    assert_eq!(
        (removal.header("Expires"), removal.header("SIP-If-Match")),
        ("0", "tag5")
    );
    assert_eq!(removal.body(), "");
    world.respond(&removal, "200 OK", "SIP-ETag: gone\r\nExpires: 0\r\n");
    let next = world.request();
    assert_eq!(
        (next.state(), next.header("SIP-If-Match")),
        ("confirmed", "")
    );
    world.accept(&next);

    // A user without a call is told to be so, and is not published any more.
    world.call("1", None);
    let over = world.request();
    assert_eq!(over.state(), "terminated");
    world.accept(&over);
    let removal = world.request_within(301);
    assert_eq!(
        (removal.header("Expires"), removal.header("SIP-If-Match")),
        ("0", "tag7")
    );
    world.respond(&removal, "200 OK", "");
    world.wait(Duration::from_secs(1_000));
    assert_eq!(world.requests().len(), 0);
    assert_eq!(world.report().users.len(), 0);
}

#[test]
fn a_newer_state_replaces_the_one_that_waits() {
    let mut world = World::new(|_| ());
    world.call("1", Some(CallState::Early));
    let first = world.request();
    // While the request is under way nothing else is sent.
    world.call("1", Some(CallState::Confirmed));
    world.call("1", None);
    world.call("1", Some(CallState::Confirmed));
    assert_eq!(world.requests().len(), 0);
    assert_eq!(world.report().waiting, 1);
    world.accept(&first);
    let second = world.request();
    assert_eq!(
        (second.state(), second.header("SIP-If-Match")),
        ("confirmed", "tag1")
    );
    world.accept(&second);
    assert_eq!((world.requests().len(), world.report().waiting), (0, 0));
}

#[test]
fn a_publication_that_the_server_forgot_begins_anew() {
    let (mut world, _) = World::busy();
    world.call("1", Some(CallState::Early));
    let change = world.request();
    world.respond(&change, "412 Conditional Request Failed", "");
    let anew = world.request();
    assert_eq!((anew.state(), anew.header("SIP-If-Match")), ("early", ""));
    world.accept(&anew);
    world.call("1", Some(CallState::Confirmed));
    let answered = world.request();
    world.accept(&answered);
    // A refresh carries no state: it is told anew after a 412.
    let refresh = world.request_within(301);
    world.respond(&refresh, "412 Conditional Request Failed", "");
    let anew = world.request();
    assert_eq!(
        (anew.state(), anew.header("SIP-If-Match")),
        ("confirmed", "")
    );
}

#[test]
fn after_a_restart_the_server_is_told_what_stands_in_place_of_what_it_was_told() {
    let (mut world, _) = World::busy();
    world.restart();
    let again = world.request();
    assert_eq!(
        (again.state(), again.header("SIP-If-Match")),
        ("confirmed", "tag1")
    );
    world.accept(&again);
    // What ended before the shard is there again, and what the server forgot meanwhile.
    world.call("1", None);
    world.requests();
    world.restart();
    let over = world.request();
    assert_eq!(
        (over.state(), over.header("SIP-If-Match")),
        ("terminated", "tag2")
    );
    world.respond(&over, "412 Conditional Request Failed", "");
    world.wait(Duration::from_secs(1_000));
    assert_eq!(world.requests().len(), 0);
    world.restart();
    assert_eq!(world.requests().len(), 0, "it is forgotten");
}

#[test]
fn the_next_call_after_a_restart_is_a_publication_of_its_own() {
    let (mut world, _) = World::busy();
    world.call("1", None);
    let over = world.request();
    world.accept(&over);
    // The server takes nothing more in that publication, so it is not remembered.
    world.restart();
    assert_eq!(world.requests().len(), 0);
    world.call("1", Some(CallState::Confirmed));
    let next = world.request();
    assert_eq!(
        (next.state(), next.header("SIP-If-Match")),
        ("confirmed", "")
    );
}

#[test]
fn a_policy_that_hides_parties_is_in_force_at_once() {
    let (mut world, first) = World::busy();
    assert!(first.body().contains("5551"), "{}", first.body());
    world.reload(|_| ());
    assert_eq!(world.requests().len(), 0, "nothing changed");
    world.reload(|directory| {
        let relays = People::Named(Pattern::new("relays", "abc.com"));
        let hidden = Policy {
            number: 1,
            watcher: WatcherCondition::People(relays),
            presentity: People::Everyone,
            package: None,
            handling: Handling::Allow,
            privacy: Some(Privacy::StateOnly),
            text: "relays".into(),
        };
        directory.add_policy("abc.com", hidden);
    });
    let hidden = world.request();
    assert!(!hidden.body().contains("5551"), "{}", hidden.body());
    assert_eq!(
        (hidden.state(), hidden.header("SIP-If-Match")),
        ("confirmed", "tag1")
    );
}

#[test]
fn credentials_and_a_longer_expiry_are_given_where_they_are_asked_for() {
    let mut world = World::new(|relay| {
        relay.login = Some(Login {
            user: "lamps".into(),
            password: "secret".into(),
        });
        relay.uri = Some("sip:lamps@example.com".into());
    });
    world.call("1", Some(CallState::Confirmed));
    let first = world.request();
    assert!(first.header("From").starts_with("<sip:lamps@example.com>"));
    let challenge = "WWW-Authenticate: Digest realm=\"example.com\", nonce=\"n\", qop=\"auth\"\r\n";
    world.respond(&first, "401 Unauthorized", challenge);
    let second = world.request();
    assert!(
        second
            .header("Authorization")
            .contains("username=\"lamps\"")
    );
    assert_eq!(second.state(), "confirmed");
    world.respond(&second, "423 Interval Too Brief", "Min-Expires: 1800\r\n");
    let third = world.request();
    assert_eq!(
        (third.header("Expires"), third.state()),
        ("1800", "confirmed")
    );
    world.respond(&third, "403 Forbidden", "");
    world.wait(Duration::from_secs(1));
    let report = world.report();
    assert_eq!(report.users.len(), 1, "{report:?}");
    assert!(report.users[0].0.is_failure());
}

#[test]
fn a_server_that_does_not_answer_is_told_the_latest_state_once_it_does() {
    let (mut world, _) = World::busy();
    world.call("1", Some(CallState::Early));
    let lost = world.request();
    world.wait(Duration::from_secs(20));
    world.call("1", None);
    world.wait(Duration::from_secs(15));
    assert_eq!(world.report().status.as_str(), "ConnectionError");
    assert_eq!(world.report().waiting, 1);
    let again = world.requests().pop().unwrap();
    assert_ne!(again.header("Via"), lost.header("Via"));
    assert_eq!(again.state(), "terminated");
    world.accept(&again);
    let report = world.report();
    assert_eq!(
        (report.status.as_str(), report.waiting),
        ("UpAndRunning", 0)
    );
}

#[test]
fn all_that_stands_is_told_at_the_pace_when_a_relay_is_added_and_removed_with_it() {
    let mut world = World::new(|relay| relay.name = "before".into());
    world.reload(|directory| directory.set_sip_relays(Vec::new()));
    for user in 100..150 {
        world.call(&user.to_string(), Some(CallState::Confirmed));
    }
    assert_eq!(world.requests().len(), 0);
    world.reload(|directory| directory.set_sip_relays(vec![relay(|relay| relay.pace = 10)]));
    let first = world.request();
    world.accept(&first);
    world.wait(Duration::from_millis(2_050));
    let paced = world.requests();
    assert!((19..=22).contains(&paced.len()), "{}", paced.len());
    for publish in &paced {
        world.accept(publish);
    }
    world.requests();
    world.reload(|directory| directory.set_sip_relays(Vec::new()));
    world.wait(Duration::from_secs(10));
    let removals = world.requests();
    assert!(removals.len() > paced.len(), "{}", removals.len());
    for removal in removals {
        assert_eq!((removal.header("Expires"), removal.body()), ("0", ""));
        assert!(removal.header("SIP-If-Match").starts_with("tag"));
    }
}

#[test]
fn a_user_of_whom_nothing_is_known_is_told_so_and_then_removed() {
    let mut world = World::new(|relay| relay.document = PublishedDocument::Pidf);
    let aor = Aor::new("1", "abc.com");
    let note = |text: Option<&str>| StateUpdate::Note(text.map(Into::into));
    world.update(aor.clone(), note(Some("lunch")), None);
    let first = world.request();
    assert_eq!(first.header("Event"), "presence");
    assert!(first.body().contains("lunch"), "{}", first.body());
    world.accept(&first);
    world.update(aor.clone(), note(None), None);
    let second = world.request();
    assert!(
        second.body().contains("<basic>closed</basic>"),
        "{}",
        second.body()
    );
    world.accept(&second);
    let removal = world.request_within(301);
    assert_eq!((removal.header("Expires"), removal.body()), ("0", ""));
    assert_eq!(removal.header("SIP-If-Match"), "tag2");
    // What is said while it is removed begins a publication of its own.
    world.update(aor, note(Some("back")), None);
    let anew = world.request();
    assert_eq!(anew.header("SIP-If-Match"), "");
    world.respond(&removal, "200 OK", "SIP-ETag: gone\r\nExpires: 0\r\n");
    world.accept(&anew);
    assert_eq!(world.report().users.len(), 1);
}

#[test]
fn lync_is_told_that_a_user_is_on_the_phone_and_no_more() {
    let mut world = World::new(|relay| relay.document = PublishedDocument::Lync);
    world.call("1", Some(CallState::Early));
    assert_eq!(world.requests().len(), 0);
    world.call("1", Some(CallState::Confirmed));
    let first = world.request();
    assert_eq!(first.header("Event"), "presence");
    assert_eq!(first.header("Content-Type"), "application/pidf+xml");
    assert_eq!(
        first.body().replace('\n', ""),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><presence xmlns=\"urn:ietf:params:xml:ns:pidf\" \
         xmlns:ep=\"urn:ietf:params:xml:ns:pidf:status:rpid-status\" entity=\"sip:1@example.com\">\
         <tuple id=\"0\"><status><basic>open</basic><ep:activities>\
         <ep:activity>on-the-phone</ep:activity></ep:activities></status></tuple></presence>"
    );
    world.accept(&first);
    world.call("1", None);
    let removal = world.request();
    assert_eq!((removal.header("Expires"), removal.body()), ("0", ""));
    assert_eq!(removal.header("SIP-If-Match"), "tag1");
}

#[test]
fn only_what_the_relay_may_show_is_published_and_never_what_the_server_said_itself() {
    let mut world = World::new(|relay| {
        relay.parties = false;
        relay.users = vec![People::Named(Pattern::new("1*", "abc.com"))];
    });
    world.reload(|directory| {
        directory.set_peer_systems(vec![PeerSystem {
            connectors: Vec::new(),
            relays: vec!["out".into()],
            origins: vec![Origin::of("there")],
        }]);
    });
    world.call("2", Some(CallState::Confirmed));
    assert_eq!(world.requests().len(), 0);
    world.call_from("1", Some(CallState::Confirmed), Some(Origin::of("there")));
    assert_eq!(world.requests().len(), 0);
    world.call("1", Some(CallState::Confirmed));
    let own = world.request();
    assert!(!own.body().contains("5551"), "{}", own.body());
    assert_eq!(own.state(), "confirmed");
}
