//! What calls there are: some users' calls are reported by HTTP or HTTPS, others' are published.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Scope;
use std::time::Duration;

use rustls::ClientConfig;

use crate::Server;
use crate::link::Link;
use crate::phone::Endpoint;
use crate::phones::encrypt;
use crate::random::Random;
use crate::site::call_state;

/// Users whose calls are reported, and as many whose calls are published.
const USERS: usize = 20;
/// Seconds; longer than a round.
const EXPIRES: u32 = 3600;
/// Between two changes of one kind.
const PACE: Duration = Duration::from_millis(10);

/// All users, those whose calls are reported first.
pub(crate) fn users() -> impl Iterator<Item = String> {
    (0..2 * USERS).map(|number| format!("u{number}"))
}

/// A list of some users of both kinds.
pub(crate) const LIST: &str = "team";

/// Its members.
pub(crate) fn members() -> impl Iterator<Item = String> {
    users().step_by(4)
}

pub(crate) struct States {
    reporter: Reporter,
    publisher: Publisher,
}

struct Reporter {
    http: SocketAddr,
    https: SocketAddr,
    client: Arc<ClientConfig>,
    random: Random,
    is_in_call: [bool; USERS],
    changes: usize,
}

struct Publisher {
    pbx: Endpoint,
    random: Random,
    /// The entity tag and the state of each publication.
    publications: [Option<(String, &'static str)>; USERS],
    changes: usize,
}

impl States {
    pub(crate) fn new(server: &Server, client: Arc<ClientConfig>, random: &mut Random) -> Self {
        let pbx = Endpoint::new("pbx", Link::udp(server.sip.plain), Arc::default());
        Self {
            reporter: Reporter {
                http: server.http,
                https: server.https,
                client,
                random: random.split(),
                is_in_call: [false; USERS],
                changes: 0,
            },
            publisher: Publisher {
                pbx,
                random: random.split(),
                publications: [const { None }; USERS],
                changes: 0,
            },
        }
    }

    /// Changes states until the round is over.
    pub(crate) fn churn<'s>(&'s mut self, scope: &'s Scope<'s, '_>, is_over: &'s AtomicBool) {
        let Self {
            reporter,
            publisher,
        } = self;
        scope.spawn(move || {
            while !is_over.load(Ordering::SeqCst) {
                reporter.work();
                std::thread::sleep(PACE);
            }
        });
        scope.spawn(move || {
            while !is_over.load(Ordering::SeqCst) {
                publisher.work();
                std::thread::sleep(PACE);
            }
        });
    }

    /// The state of a user's call, if there is one.
    pub(crate) fn of(&self, user: &str) -> Option<&'static str> {
        let user: usize = user.strip_prefix('u').unwrap().parse().unwrap();
        match user.checked_sub(USERS) {
            None => self.reporter.is_in_call[user].then_some("confirmed"),
            Some(user) => self.publisher.publications[user].as_ref().map(|it| it.1),
        }
    }

    /// Ends all calls.
    pub(crate) fn end(&mut self) {
        for user in 0..USERS {
            self.reporter.report(user, false);
            self.publisher.publish(user, None);
        }
    }

    pub(crate) fn summary(&self) -> String {
        let (reporter, publisher) = (&self.reporter, &self.publisher);
        format!(
            "{} reports, {} PUBLISHes",
            reporter.changes, publisher.changes
        )
    }
}

impl Reporter {
    fn work(&mut self) {
        let user = self.random.below(USERS as u64) as usize;
        self.report(user, !self.is_in_call[user]);
    }

    fn report(&mut self, user: usize, is_in_call: bool) {
        let name = format!("u{user}");
        let is_done = match self.changes % 2 {
            0 => call_state(self.http, &name, is_in_call),
            _ => self.report_by_https(&name, is_in_call).is_some(),
        };
        assert!(is_done, "a report of {name}");
        self.is_in_call[user] = is_in_call;
        self.changes += 1;
    }

    fn report_by_https(&self, name: &str, is_in_call: bool) -> Option<()> {
        let number = if is_in_call { "&number=5551" } else { "" };
        let mut stream = encrypt(TcpStream::connect(self.https).ok()?, &self.client)?;
        write!(
            stream,
            "GET /call_state.htm?domain=a.example&user={name}&password=x{number} HTTP/1.1\r\n\
             Host: sip.a.example\r\nConnection: close\r\n\r\n"
        )
        .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.starts_with("HTTP/1.1 200").then_some(())
    }
}

impl Publisher {
    fn work(&mut self) {
        let user = self.random.below(USERS as u64) as usize;
        let states = [None, Some("early"), Some("confirmed")];
        let state = states[self.random.below(3) as usize];
        self.publish(user, state);
    }

    fn publish(&mut self, user: usize, state: Option<&'static str>) {
        let name = format!("u{}", USERS + user);
        let known = self.publications[user].take();
        if known.is_none() && state.is_none() {
            return;
        }
        let etag = known.as_ref().map(|(etag, _)| etag.as_str());
        let expires = state.map_or(0, |_| EXPIRES);
        let response = self.pbx.publish(&name, etag, state, expires);
        let Some((200, fresh)) = response else {
            panic!("{response:?} to PUBLISH of {name} with {known:?}");
        };
        self.publications[user] = state.and_then(|state| Some((fresh?, state)));
        self.changes += 1;
    }
}
