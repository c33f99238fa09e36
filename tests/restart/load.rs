//! Load on a server that is killed. The workers (a phone by UDP, another by TCP, a PBX that publishes,
//! a program that reports calls by HTTP) keep account of what the server acknowledged.
//!
//! If the server is killed while a request is outstanding, it may have served the request or not: the
//! resulting state is unknown and is not checked.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::link::Link;
use crate::phone::{Dialog, Endpoint};
use crate::random::Random;
use crate::site::{USERS, call_state};

/// Expires of subscriptions and publications: longer than the test.
const EXPIRES: u32 = 3600;
/// Dialogs of a phone at once.
const DIALOGS_MAX: usize = 50;
/// Ended dialogs that are checked to be gone.
const ENDED_MAX: usize = 20;
/// Users whose calls are reported by HTTP; the calls of the others are published.
const REPORTED: usize = USERS / 2;

/// The last acknowledged state of a user; None if unknown.
type Known = Option<&'static str>;

/// The workers, and what they know.
pub(crate) struct Load {
    pub(crate) random: Random,
    is_dead: Arc<AtomicBool>,
    watchers: [Watcher; 2],
    publisher: Publisher,
    reporter: Reporter,
}

struct Watcher {
    endpoint: Endpoint,
    random: Random,
    users: Vec<String>,
    live: Vec<Dialog>,
    ended: Vec<Dialog>,
    acknowledged: usize,
}

struct Publisher {
    endpoint: Endpoint,
    random: Random,
    publications: Vec<Publication>,
    /// Users so far.
    users: usize,
    acknowledged: usize,
}

/// The publication of a user, and its entity tag if there is one now.
struct Publication {
    user: String,
    etag: Option<String>,
    state: &'static str,
}

struct Reporter {
    http: SocketAddr,
    random: Random,
    known: BTreeMap<String, Known>,
    acknowledged: usize,
}

impl Load {
    pub(crate) fn new(sip: SocketAddr, http: SocketAddr) -> Self {
        let is_dead = Arc::new(AtomicBool::new(false));
        let endpoint = |name, link| Endpoint::new(name, link, Arc::clone(&is_dead));
        let mut random = Random::new();
        let idle = |user: usize| (user.to_string(), Some("idle"));
        let mut publisher = Publisher {
            endpoint: endpoint("pbx", Link::udp(sip)),
            random: random.split(),
            publications: Vec::new(),
            users: 0,
            acknowledged: 0,
        };
        publisher.add_users();
        let links = [("u", Link::udp(sip)), ("t", Link::tcp(sip))];
        let watchers = links.map(|(name, link)| Watcher {
            endpoint: endpoint(name, link),
            random: random.split(),
            users: Vec::new(),
            live: Vec::new(),
            ended: Vec::new(),
            acknowledged: 0,
        });
        Self {
            watchers,
            publisher,
            reporter: Reporter {
                http,
                random: random.split(),
                known: (0..REPORTED).map(idle).collect(),
                acknowledged: 0,
            },
            is_dead,
            random,
        }
    }

    /// Lets all workers work for `duration`, then kills the server by `kill`.
    pub(crate) fn run(&mut self, duration: Duration, kill: impl FnOnce()) {
        let Self {
            watchers,
            publisher,
            reporter,
            is_dead,
            ..
        } = self;
        let users: Vec<String> = reporter.known.keys().cloned().collect();
        let users: Vec<String> = users.into_iter().chain(publisher.users()).collect();
        let is_dead = &**is_dead;
        let is_alive = move || !is_dead.load(Ordering::SeqCst);
        thread::scope(|scope| {
            for watcher in watchers {
                watcher.users.clone_from(&users);
                scope.spawn(move || {
                    while is_alive() {
                        watcher.work();
                    }
                });
            }
            scope.spawn(move || {
                while is_alive() {
                    publisher.work()
                }
            });
            scope.spawn(move || {
                while is_alive() {
                    reporter.work()
                }
            });
            thread::sleep(duration);
            // Even if `kill` panics, the workers end.
            let _end = OnDrop(|| is_dead.store(true, Ordering::SeqCst));
            kill();
        });
        is_dead.store(false, Ordering::SeqCst);
        self.publisher.add_users();
    }

    /// Checks that the server still has everything that it acknowledged.
    pub(crate) fn check(&mut self) {
        let publications = self.publisher.publications.iter();
        let published = publications.map(|publication| {
            let state = publication
                .etag
                .as_ref()
                .map_or("idle", |_| publication.state);
            (publication.user.clone(), Some(state))
        });
        let mut known = self.reporter.known.clone();
        known.extend(published);
        for watcher in &mut self.watchers {
            watcher.check(&known);
            assert_eq!(watcher.endpoint.faults, [] as [String; 0]);
        }
        self.publisher.check();
        assert_eq!(self.publisher.endpoint.faults, [] as [String; 0]);
    }

    pub(crate) fn summary(&self) -> String {
        let [udp, tcp] = &self.watchers;
        format!(
            "{} SUBSCRIBEs by UDP and {} by TCP, {} PUBLISHes and {} reports acknowledged, {} dialogs live",
            udp.acknowledged,
            tcp.acknowledged,
            self.publisher.acknowledged,
            self.reporter.acknowledged,
            udp.live.len() + tcp.live.len(),
        )
    }
}

struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        self.0();
    }
}

impl Watcher {
    /// Begins, refreshes or ends a subscription.
    fn work(&mut self) {
        let kind = self.random.below(10);
        if self.live.is_empty() || (kind < 6 && self.live.len() < DIALOGS_MAX) {
            let index = self.random.below(self.users.len() as u64) as usize;
            let dialog = self.endpoint.dialog(&self.users[index]);
            return self.send(dialog, EXPIRES);
        }
        let index = self.random.below(self.live.len() as u64) as usize;
        let dialog = self.live.swap_remove(index);
        let expires = if kind == 9 { 0 } else { EXPIRES };
        self.send(dialog, expires);
    }

    fn send(&mut self, mut dialog: Dialog, expires: u32) {
        match self.endpoint.subscribe(&mut dialog, expires) {
            Some(200) if expires == 0 => self.ended.push(dialog),
            Some(200) => self.live.push(dialog),
            Some(status) => {
                let fault = format!("{status} to SUBSCRIBE of {dialog:?}");
                self.endpoint.faults.push(fault);
            }
            None => return,
        }
        self.acknowledged += 1;
    }

    /// Checks that all live dialogs exist and show the state of their users, and that ended ones do not.
    fn check(&mut self, known: &BTreeMap<String, Known>) {
        for dialog in &mut self.live {
            let before = self.endpoint.notified.get(&dialog.call_id).cloned();
            let before = before.map_or(0, |notified| notified.cseq);
            let status = self.endpoint.subscribe(dialog, EXPIRES);
            let response = &self.endpoint.last_response;
            assert_eq!(status, Some(200), "{dialog:?}: {response}");
            let state = known.get(&dialog.user).copied().flatten();
            let is_notified = self.endpoint.listen(|endpoint| {
                let notified = endpoint.notified.get(&dialog.call_id);
                let is_new = notified.is_some_and(|notified| notified.cseq > before);
                is_new && shows(endpoint, dialog, state)
            });
            let notified = self.endpoint.notified.get(&dialog.call_id);
            assert!(
                is_notified,
                "{state:?}, in {dialog:?} after {before}: {notified:#?}"
            );
        }
        for mut dialog in self.ended.split_off(0).into_iter().rev().take(ENDED_MAX) {
            let status = self.endpoint.subscribe(&mut dialog, EXPIRES);
            assert_eq!(status, Some(481), "it had been ended: {dialog:?}");
            self.ended.insert(0, dialog);
        }
    }
}

fn shows(endpoint: &Endpoint, dialog: &Dialog, state: Known) -> bool {
    match state {
        None => true,
        Some("idle") => ["confirmed", "early"]
            .iter()
            .all(|state| !endpoint.shows(dialog, &format!("<state>{state}</state>"))),
        Some(state) => endpoint.shows(dialog, &format!("<state>{state}</state>")),
    }
}

impl Publisher {
    fn users(&self) -> impl Iterator<Item = String> {
        let publications = self.publications.iter();
        publications.map(|publication| publication.user.clone())
    }

    /// Adds a new user for each whose publication is unknown: without its entity tag, it can be neither
    /// changed nor removed.
    fn add_users(&mut self) {
        while self.publications.len() < USERS - REPORTED {
            self.users += 1;
            self.publications.push(Publication {
                user: format!("published-{}", self.users),
                etag: None,
                state: "idle",
            });
        }
    }

    /// Begins, changes or removes a publication.
    fn work(&mut self) {
        let index = self.random.below(self.publications.len() as u64) as usize;
        let publication = self.publications.swap_remove(index);
        let etag = publication.etag.as_deref();
        let is_end = etag.is_some() && self.random.below(5) == 0;
        let state = match self.random.below(2) {
            0 => "early",
            _ => "confirmed",
        };
        let (body, expires) = match is_end {
            true => (None, 0),
            false => (Some(state), EXPIRES),
        };
        let user = publication.user;
        match self.endpoint.publish(&user, etag, body, expires) {
            Some((200, etag)) if is_end || etag.is_some() => {
                let etag = etag.filter(|_| !is_end);
                self.publications.push(Publication { user, etag, state });
            }
            Some(other) => {
                let fault = format!("{other:?} to PUBLISH of {user} with {etag:?}");
                self.endpoint.faults.push(fault);
                self.add_users();
            }
            None => return,
        }
        self.acknowledged += 1;
    }

    /// Checks that all entity tags are valid.
    fn check(&mut self) {
        for publication in &mut self.publications {
            let Some(etag) = &publication.etag else {
                continue;
            };
            let (user, endpoint) = (&publication.user, &mut self.endpoint);
            let response = endpoint.publish(user, Some(etag), None, EXPIRES);
            let Some((200, Some(fresh))) = response else {
                panic!("{response:?} to PUBLISH of {user} with {etag}");
            };
            publication.etag = Some(fresh);
        }
    }
}

impl Reporter {
    /// Begins or ends a call of a user.
    fn work(&mut self) {
        let user = self.random.below(REPORTED as u64).to_string();
        let is_in_call = self.random.below(2) == 0;
        self.known.insert(user.clone(), None);
        if call_state(self.http, &user, is_in_call) {
            let state = if is_in_call { "confirmed" } else { "idle" };
            self.known.insert(user, Some(state));
            self.acknowledged += 1;
        }
    }
}
