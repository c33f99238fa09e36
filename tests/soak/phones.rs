//! Phones of all transports that do what phones do to a server over the years: each keeps some lamps,
//! some of them a whole list, and now and then reboots, moves to another address, or drops a lamp for
//! another.

use std::fmt;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Scope;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::link::{Connection, Link, tcp};
use crate::phone::{Dialog, Endpoint};
use crate::random::Random;
use crate::states::{LIST, States, members, users};
use crate::websocket;

/// Of each transport.
const PHONES: usize = 12;
const LAMPS: usize = 12;
/// Seconds that a subscription is asked for; the phone refreshes it in half of that.
const EXPIRES: u32 = 10;
/// While the server is left alone: longer than that can last.
const EXPIRES_AT_REST: u32 = 600;
/// One of so many messages of a phone by UDP is lost.
const LOSS: usize = 20;
/// One of so many lamps is a list.
const LISTS: u64 = 6;
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

/// Where the server speaks SIP.
#[derive(Clone, Copy)]
pub(crate) struct Servers {
    /// By UDP and TCP.
    pub(crate) plain: SocketAddr,
    pub(crate) tls: SocketAddr,
    pub(crate) ws: SocketAddr,
    pub(crate) wss: SocketAddr,
}

/// The phones, by transport.
pub(crate) struct Phones(Vec<Vec<Phone>>);

struct Phone {
    endpoint: Endpoint,
    random: Random,
    lamps: Vec<Lamp>,
    /// Seconds.
    expires: u32,
    happened: Happened,
}

/// A subscription to a user or a list.
struct Lamp {
    users: Vec<String>,
    dialog: Dialog,
    refresh: Instant,
}

/// How often.
#[derive(Clone, Copy, Debug, Default)]
struct Happened {
    subscriptions: usize,
    /// Of these.
    lists: usize,
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
    pub(crate) fn new(servers: Servers, client: &Arc<ClientConfig>, random: &mut Random) -> Self {
        let mut phones = |name: &str, link: &dyn Fn() -> Link| -> Vec<Phone> {
            let numbers = 0..PHONES;
            let names = numbers.map(|number| format!("{name}{number}"));
            let phones = names.map(|name| Phone {
                endpoint: Endpoint::new(&name, link(), Arc::default()),
                random: random.split(),
                lamps: Vec::new(),
                expires: EXPIRES,
                happened: Happened::default(),
            });
            phones.collect()
        };
        let Servers {
            plain,
            tls,
            ws,
            wss,
        } = servers;
        Self(vec![
            phones("udp", &|| Link::udp(plain)),
            phones("tcp", &|| Link::tcp(plain)),
            phones("tls", &|| over_tls(tls, client)),
            phones("ws", &|| over_websocket(ws)),
            phones("wss", &|| over_secure_websocket(wss, client)),
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
                for user in &lamp.users {
                    phone.check(lamp, user, states.of(user));
                }
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
            sum.lists += happened.lists;
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
            lists,
            refreshes,
            ends,
            reboots,
            power_cuts,
            moves,
        } = self.happened();
        let counts = [
            subscriptions,
            lists,
            refreshes,
            ends,
            reboots,
            power_cuts,
            moves,
        ];
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

    fn check(&self, lamp: &Lamp, user: &str, state: Option<&str>) {
        let document = self.endpoint.document(&lamp.dialog, user);
        let is_right = ["early", "confirmed"].iter().all(|known| {
            let text = format!("<state>{known}</state>");
            document.is_some_and(|document| document.contains(&text) == (state == Some(known)))
        });
        let dialog = &lamp.dialog;
        let notified = || self.endpoint.notified.get(&dialog.call_id);
        assert!(
            is_right,
            "{user} is {state:?} in {dialog:?}: {:#?}",
            notified()
        );
    }

    fn refresh_soon(&mut self) {
        let now = Instant::now();
        self.lamps.iter_mut().for_each(|lamp| lamp.refresh = now);
    }

    fn add_lamp(&mut self) {
        let (users, dialog) = match self.random.below(LISTS) {
            0 => {
                self.happened.lists += 1;
                (members().collect(), self.endpoint.list_dialog(LIST))
            }
            _ => {
                let number = self.random.below(users().count() as u64) as usize;
                let user: String = users().nth(number).unwrap();
                let dialog = self.endpoint.dialog(&user);
                (vec![user], dialog)
            }
        };
        let refresh = Instant::now();
        self.lamps.push(Lamp {
            users,
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

/// A stream whose handshake is `open`, which waits for the server.
fn after<S: crate::link::Stream + 'static>(
    server: SocketAddr,
    open: impl FnOnce(TcpStream) -> Option<S>,
) -> Option<Connection> {
    let stream = tcp(server)?;
    let local = stream.local_addr().ok()?;
    let control = stream.try_clone().ok()?;
    control.set_read_timeout(None).ok()?;
    let stream = Box::new(open(stream)?);
    control
        .set_read_timeout(Some(crate::link::READ_TIMEOUT))
        .ok()?;
    Some(Connection { stream, local })
}

/// The handshake of TLS.
pub(crate) fn encrypt(
    mut stream: TcpStream,
    client: &Arc<ClientConfig>,
) -> Option<StreamOwned<ClientConnection, TcpStream>> {
    let name = ServerName::try_from("sip.a.example").unwrap();
    let mut session = ClientConnection::new(Arc::clone(client), name).unwrap();
    while session.is_handshaking() {
        session.complete_io(&mut stream).ok()?;
    }
    Some(StreamOwned::new(session, stream))
}

fn over_tls(server: SocketAddr, client: &Arc<ClientConfig>) -> Link {
    let client = Arc::clone(client);
    Link::stream(server, "TLS", move || {
        after(server, |stream| encrypt(stream, &client))
    })
}

fn over_websocket(server: SocketAddr) -> Link {
    Link::stream(server, "WS", move || {
        after(server, |stream| websocket::Link::open(stream, None).ok())
    })
}

fn over_secure_websocket(server: SocketAddr, client: &Arc<ClientConfig>) -> Link {
    let client = Arc::clone(client);
    Link::stream(server, "WSS", move || {
        after(server, |stream| {
            websocket::Link::open(encrypt(stream, &client)?, None).ok()
        })
    })
}
