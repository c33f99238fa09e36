//! The users that one subscription of a connector covers: those of a list at the server (RFC 4662), those that the
//! SUBSCRIBE names (RFC 5367), or all that the server has (any-dn). What a NOTIFY says becomes news of single users, as if
//! each had a subscription of its own.
//!
//! - A user that the list names counts if the connector selects it, or selects users on demand and the domain has it.
//!   Other users are ignored, and counted.
//! - A user that a full list leaves out is not reported on any more. Servers send a full state in bursts (Grandstream:
//!   three users a NOTIFY), so that is decided when no NOTIFY has come for 5 s, at the latest after 60 s.
//! - A user that the first full state names without a state has none there: `Offline`, without a contribution. Later ones
//!   need not repeat a state.
//! - A document of any-dn is about the user of its entity; one about any-dn itself is about the local parties of its
//!   dialogs, and if it is full, users that it does not mention are in no call. Users that the documents after the first
//!   SUBSCRIBE never mention are not there: `Not Found`, without a contribution. A refresh need not repeat them, so it
//!   shows no user to be gone.
//! - Work is bounded: a NOTIFY is read and answered at once, which takes time by its octets; its news go to the owners of
//!   the users [`NEWS_AT_ONCE`] a turn.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::directory::connectors::{ENCLOSED_USERS_MAX, LIST_USERS_MAX, ListKind};
use crate::presence::Aor;
use crate::presence::document::resource_lists;
use crate::presence::event::Package;
use crate::presence::presentity::UpstreamNews;
use crate::shard::contract::connector::add_users;
use crate::shard::contract::probe::UserStatus;
use crate::sip::uri::sip_uri;

mod reading;

pub(super) use reading::Notifier;

/// News that one turn passes on; the next follow after [`NEWS_PAUSE`].
const NEWS_AT_ONCE: usize = 100;
const NEWS_PAUSE: Duration = Duration::from_millis(1);
/// News that may wait. Beyond, NOTIFYs get 503, and are counted.
const NEWS_MAX: usize = 20_000;
/// How soon a SUBSCRIBE asks for the full state after a NOTIFY is missing, or after users came or went.
const ASK_DELAY: Duration = Duration::from_secs(1);

/// What a roster begins with.
#[derive(Clone, Debug)]
pub(crate) struct RosterPlan {
    pub(crate) kind: ListKind,
    /// The domain of the users here.
    pub(crate) domain: Box<str>,
    /// The domain of the users there, and the other names of that server.
    pub(crate) hosts: Vec<Box<str>>,
    /// Whether users count that were not added, if the domain has them.
    pub(crate) is_open: bool,
}

/// The users of one subscription.
#[derive(Debug)]
pub(super) struct Roster {
    plan: RosterPlan,
    /// The package of the subscription.
    package: Package,
    users: BTreeMap<Aor, Covered>,
    /// The version of the latest list.
    version: Option<u32>,
    /// Counts the first NOTIFYs after a SUBSCRIBE.
    round: u32,
    /// The latest of these answered a refresh.
    is_audit: bool,
    /// Counts full states.
    series: u32,
    /// The subscription has had no full state yet.
    is_new: bool,
    /// The full state that is being received.
    receiving: Option<Receiving>,
    /// News that were not passed on yet.
    news: VecDeque<News>,
    news_at: Option<Instant>,
    /// When to ask for the full state.
    ask_at: Option<Instant>,
    /// A missing NOTIFY does not cause another SUBSCRIBE before.
    gap_until: Option<Instant>,
    /// The server sent the state of one resource in place of a list.
    is_no_list: bool,
}

/// A user.
#[derive(Clone, Copy, Debug)]
struct Covered {
    status: UserStatus,
    /// The connector selects it, whatever the list names.
    is_selected: bool,
    /// The round and the series in which it was last mentioned.
    round: u32,
    series: u32,
    /// The series in which more than its name was last said.
    reported: u32,
}

/// A full state that is being received.
#[derive(Clone, Copy, Debug)]
struct Receiving {
    /// It is complete if no NOTIFY comes until then.
    quiet_at: Instant,
    /// It is complete then at the latest.
    latest: Instant,
    /// It is the first of its subscription.
    is_first: bool,
}

impl Receiving {
    fn end(self) -> Instant {
        self.quiet_at.min(self.latest)
    }
}

/// What is to be told to the owner of a user.
#[derive(Debug)]
pub(super) struct News {
    pub(super) aor: Aor,
    pub(super) package: Package,
    pub(super) news: UpstreamNews,
    /// A refresh asked for it.
    pub(super) is_audit: bool,
}

impl Roster {
    pub(super) const fn new(plan: RosterPlan, package: Package) -> Self {
        Self {
            plan,
            package,
            users: BTreeMap::new(),
            version: None,
            round: 0,
            is_audit: false,
            series: 0,
            is_new: true,
            receiving: None,
            news: VecDeque::new(),
            news_at: None,
            ask_at: None,
            gap_until: None,
            is_no_list: false,
        }
    }

    // Its users.

    /// Adds a user; false if there are too many.
    pub(super) fn add(&mut self, aor: &Aor, is_selected: bool) -> bool {
        let max = match self.plan.kind {
            ListKind::Enclosed => ENCLOSED_USERS_MAX,
            ListKind::Stored | ListKind::AnyDn => LIST_USERS_MAX,
        };
        let has_room = self.users.len() < max;
        if let Some(known) = self.users.get_mut(aor) {
            known.is_selected |= is_selected;
        } else if has_room {
            let user = Covered {
                status: UserStatus::Requesting,
                is_selected,
                round: 0,
                series: 0,
                reported: 0,
            };
            self.users.insert(aor.clone(), user);
        }
        self.users.contains_key(aor)
    }

    /// Removes a user, and what was reported on it.
    pub(super) fn remove(&mut self, aor: &Aor, now: Instant) {
        if self.users.remove(aor).is_some() {
            self.push(aor.clone(), UpstreamNews::Gone, false, now);
        }
    }

    /// The users that the list named and that are not selected.
    pub(super) fn guests(&self) -> Vec<Aor> {
        let guests = self.users.iter().filter(|(_, user)| !user.is_selected);
        guests.map(|(aor, _)| aor.clone()).collect()
    }

    /// Each user with its URI there and its status.
    pub(super) fn users(&self) -> impl Iterator<Item = (&Aor, UserStatus)> {
        self.users.iter().map(|(aor, user)| (aor, user.status))
    }

    /// The statuses of its users, counted.
    pub(super) fn statuses(&self) -> Vec<(UserStatus, usize)> {
        let mut statuses = Vec::new();
        add_users(&mut statuses, self.users().map(|(_, status)| (status, 1)));
        statuses
    }

    /// The URI there of a user.
    pub(super) fn uri_of(&self, aor: &Aor) -> String {
        let host = self.plan.hosts.first();
        sip_uri(aor.user(), host.map_or("", |host| host))
    }

    /// The status of all users.
    pub(super) fn set_status(&mut self, status: UserStatus) {
        for user in self.users.values_mut() {
            user.status = status;
        }
    }

    /// The server is asked for another package.
    pub(super) const fn set_package(&mut self, package: Package) {
        self.package = package;
    }

    // What its SUBSCRIBE says.

    /// Whether the answer should be a list.
    pub(super) fn is_list(&self) -> bool {
        self.plan.kind != ListKind::AnyDn
    }

    /// The list in the body of a SUBSCRIBE; None if the server has it.
    pub(super) fn enclosed(&self) -> Option<Vec<u8>> {
        if self.plan.kind != ListKind::Enclosed {
            return None;
        }
        let uris: Vec<String> = self.users.keys().map(|aor| self.uri_of(aor)).collect();
        let mut body = Vec::new();
        resource_lists::write(&mut body, uris.iter().map(String::as_str));
        Some(body)
    }

    /// The SUBSCRIBE is to be sent: at once if there was none yet, else soon.
    pub(super) fn ask(&mut self, is_first: bool, now: Instant) {
        self.ask_after(if is_first { Duration::ZERO } else { ASK_DELAY }, now);
    }

    /// The SUBSCRIBE is to be sent after that time at the latest.
    pub(super) fn ask_after(&mut self, delay: Duration, now: Instant) {
        let at = now + delay;
        self.ask_at = Some(self.ask_at.map_or(at, |known| known.min(at)));
    }

    /// Nothing is to be asked, or awaited.
    pub(super) fn stop(&mut self) {
        (self.ask_at, self.receiving) = (None, None);
    }

    /// Whether the full state is to be asked for; then no more.
    pub(super) fn take_ask(&mut self, now: Instant) -> bool {
        let is_due = self.ask_at.is_some_and(|at| at <= now);
        if is_due {
            self.ask_at = None;
        }
        is_due
    }

    /// Whether the server sent a single state in place of a list.
    pub(super) const fn is_no_list(&self) -> bool {
        self.is_no_list
    }

    // What waits.

    /// Whether so many news wait that no NOTIFY is taken.
    pub(super) fn is_full(&self) -> bool {
        self.news.len() >= NEWS_MAX
    }

    /// Tells the owners of all users. If they are not reported on any more, those that were not selected are no users.
    pub(super) fn tell_all(&mut self, news: &UpstreamNews, now: Instant) {
        let told: Vec<Aor> = self.users.keys().cloned().collect();
        for aor in told {
            self.push(aor, news.clone(), false, now);
        }
        if matches!(news, UpstreamNews::Gone) {
            self.users.retain(|_, user| user.is_selected);
        }
    }

    fn push(&mut self, aor: Aor, news: UpstreamNews, is_audit: bool, now: Instant) {
        self.news.push_back(News {
            aor,
            package: self.package,
            news,
            is_audit,
        });
        self.news_at.get_or_insert(now);
    }

    /// The next news to be passed on in this turn.
    pub(super) fn next_news(&mut self, now: Instant) -> Vec<News> {
        let count = self.news.len().min(NEWS_AT_ONCE);
        let next = self.news.drain(..count).collect();
        self.news_at = (!self.news.is_empty()).then_some(now + NEWS_PAUSE);
        next
    }

    /// Whether no news wait.
    pub(super) fn has_told_all(&self) -> bool {
        self.news.is_empty()
    }

    /// When anything of it is due.
    pub(super) fn due(&self) -> Option<Instant> {
        let complete = self.receiving.map(Receiving::end);
        let all = [self.ask_at, self.news_at, complete];
        all.into_iter().flatten().min()
    }
}
