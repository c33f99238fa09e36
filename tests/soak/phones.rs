//! Phones by UDP, TCP and TLS that do what phones do to a server over the years: each keeps some
//! lamps, and now and then reboots, moves to another address, or drops a lamp for another.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Scope;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::link::{Connection, Link, tcp};
use crate::phone::{Dialog, Endpoint};
use crate::random::Random;
use crate::states::{States, users};

/// Of each transport.
const PHONES: usize = 12;
const LAMPS: usize = 12;
/// Seconds that a subscription is asked for; the phone refreshes it in half of that.
const EXPIRES: u32 = 10;
/// While the server is left alone: longer than that can last.
const EXPIRES_AT_REST: u32 = 600;
/// One of so many messages of a phone by UDP is lost.
const LOSS: usize = 20;
/// One in so many turns of a phone brings a mishap, another a change of a lamp.
const MISHAPS: u64 = 40;

/// What the phones hold, and the server should.
#[derive(Clone, Copy)]
pub(crate) struct Held {
    pub(crate) subscriptions: u64,
    pub(crate) connections: u64,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (subscriptions, connections) = (self.subscriptions, self.connections);
        write!(
            f,
            "{subscriptions} subscriptions, {connections} connections, and no NOTIFY"
        )
    }
}

/// The phones, by transport.
pub(crate) struct Phones(Vec<Vec<Phone>>);

struct Phone {
    endpoint: Endpoint,
    random: Random,
    users: Vec<String>,
    lamps: Vec<Lamp>,
    /// Seconds.
    expires: u32,
    happened: Happened,
}

/// A subscription to a user.
struct Lamp {
    user: usize,
    dialog: Dialog,
    refresh: Instant,
}

/// How often.
#[derive(Clone, Copy, Debug, Default)]
struct Happened {
    subscriptions: usize,
    refreshes: usize,
    ends: usize,
    /// It answers NOTIFYs for what it knows nothing of.
    reboots: usize,
    /// It never comes back to its address.
    power_cuts: usize,
    /// It goes on elsewhere: a NAT rebinding, or a new connection.
    moves: usize,
}

impl Phones {
    pub(crate) fn new(
        sip: SocketAddr,
        tls: SocketAddr,
        client: &Arc<ClientConfig>,
        random: &mut Random,
    ) -> Self {
        let mut phones = |name: &str, link: &dyn Fn() -> Link| -> Vec<Phone> {
            let numbers = 0..PHONES;
            let names = numbers.map(|number| format!("{name}{number}"));
            let phones = names.map(|name| Phone {
                endpoint: Endpoint::new(&name, link(), Arc::default()),
                random: random.split(),
                users: users().collect(),
                lamps: Vec::new(),
                expires: EXPIRES,
                happened: Happened::default(),
            });
            phones.collect()
        };
        Self(vec![
            phones("udp", &|| Link::udp(sip)),
            phones("tcp", &|| Link::tcp(sip)),
            phones("tls", &|| over_tls(tls, client)),
        ])
    }

    /// Lets all phones live and have mishaps until the round is over.
    pub(crate) fn churn<'s>(&'s mut self, scope: &'s Scope<'s, '_>, is_over: &'s AtomicBool) {
        for phone in self.0.iter_mut().flatten() {
            phone.expires = EXPIRES;
            phone.endpoint.link.loss = LOSS;
            phone.refresh_soon();
        }
        self.run(scope, is_over, Phone::churn);
    }

    /// Lets all phones refresh their subscriptions for a long time, and then only answer.
    pub(crate) fn rest<'s>(&'s mut self, scope: &'s Scope<'s, '_>, is_over: &'s AtomicBool) {
        for phone in self.0.iter_mut().flatten() {
            phone.expires = EXPIRES_AT_REST;
            phone.endpoint.link.loss = 0;
            phone.refresh_soon();
        }
        self.run(scope, is_over, Phone::live);
    }

    fn run<'s>(
        &'s mut self,
        scope: &'s Scope<'s, '_>,
        is_over: &'s AtomicBool,
        turn: fn(&mut Phone),
    ) {
        for phones in &mut self.0 {
            scope.spawn(move || {
                while !is_over.load(Ordering::SeqCst) {
                    phones.iter_mut().for_each(turn);
                }
            });
        }
    }

    pub(crate) fn held(&self) -> Held {
        let phones = self.0.iter().flatten();
        let (mut subscriptions, mut connections) = (0, 0);
        for phone in phones {
            subscriptions += phone.lamps.len() as u64;
            connections += u64::from(phone.endpoint.link.is_connected());
        }
        Held {
            subscriptions,
            connections,
        }
    }

    /// Every lamp shows the state of its user, and the server did nothing that it must not do.
    pub(crate) fn check(&mut self, states: &States) {
        for phone in self.0.iter_mut().flatten() {
            phone.endpoint.receive_all();
            for lamp in &phone.lamps {
                let state = states.of(lamp.user);
                let notified = phone.endpoint.notified.get(&lamp.dialog.call_id);
                let is_right = ["early", "confirmed"].iter().all(|known| {
                    let text = format!("<state>{known}</state>");
                    phone.endpoint.shows(&lamp.dialog, &text) == (state == Some(known))
                });
                let dialog = &lamp.dialog;
                assert!(is_right, "{state:?} in {dialog:?}: {notified:#?}");
            }
            assert_eq!(phone.endpoint.faults, [] as [String; 0]);
            phone.endpoint.forgotten.clear();
            let lamps = &phone.lamps;
            let is_live = |id: &String| lamps.iter().any(|lamp| lamp.dialog.call_id == *id);
            phone.endpoint.notified.retain(|id, _| is_live(id));
        }
    }

    /// Ends all subscriptions and connections.
    pub(crate) fn end(&mut self) {
        for phone in self.0.iter_mut().flatten() {
            while let Some(lamp) = phone.lamps.pop() {
                phone.drop_lamp(lamp);
            }
            phone.endpoint.receive_all();
            phone.endpoint.link.leave();
        }
    }

    fn happened(&self) -> Happened {
        let mut sum = Happened::default();
        for phone in self.0.iter().flatten() {
            let happened = phone.happened;
            sum.subscriptions += happened.subscriptions;
            sum.refreshes += happened.refreshes;
            sum.ends += happened.ends;
            sum.reboots += happened.reboots;
            sum.power_cuts += happened.power_cuts;
            sum.moves += happened.moves;
        }
        sum
    }

    pub(crate) fn summary(&self) -> String {
        format!("{:?}", self.happened())
    }

    pub(crate) fn assert_all_happened(&self) {
        let Happened {
            subscriptions,
            refreshes,
            ends,
            reboots,
            power_cuts,
            moves,
        } = self.happened();
        let counts = [subscriptions, refreshes, ends, reboots, power_cuts, moves];
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    }
}

impl Phone {
    /// A turn with what may go wrong.
    fn churn(&mut self) {
        self.live();
        match self.random.below(MISHAPS) {
            0 => self.reboot(),
            1 => self.cut_power(),
            2 => self.move_away(),
            3 if !self.lamps.is_empty() => {
                let index = self.random.below(self.lamps.len() as u64) as usize;
                let lamp = self.lamps.swap_remove(index);
                self.drop_lamp(lamp);
            }
            _ => {}
        }
        if self.lamps.len() < LAMPS {
            self.add_lamp();
        }
    }

    /// A turn without.
    fn live(&mut self) {
        self.endpoint.receive_all();
        let now = Instant::now();
        for index in 0..self.lamps.len() {
            if self.lamps[index].refresh <= now {
                self.refresh(index);
            }
        }
    }

    fn refresh_soon(&mut self) {
        let now = Instant::now();
        self.lamps.iter_mut().for_each(|lamp| lamp.refresh = now);
    }

    fn add_lamp(&mut self) {
        let user = self.random.below(self.users.len() as u64) as usize;
        let dialog = self.endpoint.dialog(&self.users[user]);
        let refresh = Instant::now();
        self.lamps.push(Lamp {
            user,
            dialog,
            refresh,
        });
        self.happened.subscriptions += 1;
        self.refresh(self.lamps.len() - 1);
    }

    fn refresh(&mut self, index: usize) {
        let lamp = &mut self.lamps[index];
        let status = self.endpoint.subscribe(&mut lamp.dialog, self.expires);
        assert_eq!(
            status,
            Some(200),
            "{:?}: {}",
            lamp.dialog,
            self.endpoint.last_response
        );
        lamp.refresh = Instant::now() + Duration::from_secs(u64::from(self.expires / 2));
        self.happened.refreshes += 1;
    }

    fn drop_lamp(&mut self, mut lamp: Lamp) {
        let status = self.endpoint.subscribe(&mut lamp.dialog, 0);
        assert_eq!(status, Some(200), "{:?}", lamp.dialog);
        self.happened.ends += 1;
    }

    fn forget(&mut self) {
        let lamps = self.lamps.drain(..);
        let ids = lamps.map(|lamp| lamp.dialog.call_id);
        self.endpoint.forgotten.extend(ids);
    }

    /// It is back at once, and at a stream comes over a new connection.
    fn reboot(&mut self) {
        self.forget();
        self.happened.reboots += 1;
    }

    fn cut_power(&mut self) {
        self.forget();
        self.endpoint.link.leave();
        self.happened.power_cuts += 1;
    }

    /// The lamps follow by a refresh.
    fn move_away(&mut self) {
        self.endpoint.link.leave();
        for index in 0..self.lamps.len() {
            self.refresh(index);
        }
        self.happened.moves += 1;
    }
}

fn over_tls(server: SocketAddr, client: &Arc<ClientConfig>) -> Link {
    let client = Arc::clone(client);
    Link::stream(server, "TLS", move || {
        let mut stream = tcp(server)?;
        let local = stream.local_addr().ok()?;
        let name = ServerName::try_from("sip.a.example").unwrap();
        let mut session = ClientConnection::new(Arc::clone(&client), name).unwrap();
        stream.set_read_timeout(None).ok()?;
        while session.is_handshaking() {
            session.complete_io(&mut stream).ok()?;
        }
        stream
            .set_read_timeout(Some(crate::link::READ_TIMEOUT))
            .ok()?;
        let stream = Box::new(StreamOwned::new(session, stream));
        Some(Connection { stream, local })
    })
}
