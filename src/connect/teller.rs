//! Tells the shards what a PBX reports, in batches, and remembers what they were told.
//!
//! Guarantee: of each user the newest report is told; while a batch is under way, changes of a user become one. At
//! most [`FACTS_MAX`] users are reported; further users are left out.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::time::{sleep, timeout};

use crate::background::Shards;
use crate::connect::board::{Board, FACTS_MAX, Report};
use crate::connect::status::Status;
use crate::presence::Aor;
use crate::presence::document::Document;
use crate::presence::event::Package;
use crate::presence::presentity::UpstreamNews;
use crate::shard::contract::connector::UpstreamReport;
use crate::shard::contract::probe::UserStatus;
use crate::shard::{Command, Reply, ShardId};

/// Users of one batch.
pub(super) const USERS_AT_ONCE: usize = 200;
/// How long a batch may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the shards are told that all is stale or over, if one does not take it.
const ATTEMPTS: u32 = 20;
/// The pause before that is repeated.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a report is trusted without another one. While the PBX is connected, it is told again before.
const TRUST: Duration = Duration::from_secs(24 * 3600);
/// After this time a report is told again.
const AGAIN: Duration = Duration::from_secs(12 * 3600);
/// After this time one with a call that is not answered is: such calls are trusted for minutes only.
const UNANSWERED_AGAIN: Duration = Duration::from_secs(60);

/// The reports of one connector. Another worker of the connector goes on with it.
#[derive(Clone)]
pub(super) struct Teller(Rc<Inner>);

struct Inner {
    connector: Arc<str>,
    domain: Box<str>,
    /// Whether a user without a call is told to have none. A system that does not see the phone cannot know that.
    knows_phones: bool,
    /// When it began, in milliseconds.
    epoch: u64,
    shards: Rc<dyn Shards>,
    told: RefCell<HashMap<Box<str>, Told>>,
}

/// What was told of a user.
#[derive(Debug)]
struct Told {
    report: Report,
    at: Instant,
    /// Told over an earlier connection.
    is_stale: bool,
}

impl Told {
    fn is_due(&self) -> bool {
        let calls = &self.report.calls;
        let is_unanswered = calls.iter().any(|call| call.state.is_unanswered());
        let limit = if is_unanswered {
            UNANSWERED_AGAIN
        } else {
            AGAIN
        };
        self.is_stale || self.at.elapsed() >= limit
    }
}

impl Teller {
    /// For the users of a domain. `knows_phones`: a user of which no call is reported has none.
    pub(super) fn new(
        connector: Arc<str>,
        domain: &str,
        knows_phones: bool,
        shards: Rc<dyn Shards>,
    ) -> Self {
        Self(Rc::new(Inner {
            connector,
            domain: domain.into(),
            knows_phones,
            epoch: shards.unix_milliseconds().unsigned_abs(),
            shards,
            told: RefCell::default(),
        }))
    }

    /// The domain of its users.
    pub(super) fn domain(&self) -> &str {
        &self.0.domain
    }

    /// What tells its calls from those of others of this connector.
    pub(super) fn epoch(&self) -> u64 {
        self.0.epoch
    }

    /// The status of a user for the operator; None if nothing is reported of it.
    fn status_of(&self, user: &str) -> Option<UserStatus> {
        let told = self.0.told.borrow();
        let report = &told.get(user)?.report;
        let said = report.presence.clone().map(|statement| Document::Pidf {
            entity: None,
            statement,
        });
        Some(match said {
            _ if !report.calls.is_empty() => UserStatus::Busy,
            Some(said) => UserStatus::of_document(&said).unwrap_or(UserStatus::Available),
            None => UserStatus::Available,
        })
    }

    /// Marks on the board the users that are due for a report. `all`: everything was read after a connection. Then all
    /// users of the board are due, and the named ones, which an earlier process may have reported.
    pub(super) fn mark_due(&self, board: &mut Board, all: Option<Vec<Box<str>>>) {
        for (user, told) in &*self.0.told.borrow() {
            if told.is_due() {
                board.mark(user);
            }
        }
        if let Some(named) = all {
            for user in board.users().into_iter().chain(named) {
                board.mark(&user);
            }
        }
    }

    /// Reports these users to the shards as the board has them. Returns the users to repeat: all of them, if a shard
    /// did not take its part.
    pub(super) async fn tell(
        &self,
        users: Vec<Box<str>>,
        board: &RefCell<Board>,
        status: &Status,
    ) -> Vec<Box<str>> {
        let mut batch = Vec::new();
        {
            let board = board.borrow();
            let known = board.known_of(&users);
            for user in &users {
                self.compare(user, known.contains(user), board.report(user), &mut batch);
                status.user(user, self.status_of(user));
            }
        }
        if self.deliver(batch).await {
            return Vec::new();
        }
        let mut told = self.0.told.borrow_mut();
        for user in &users {
            if let Some(told) = told.get_mut(user) {
                told.is_stale = true;
            }
        }
        users
    }

    /// Appends what differs from what was told of a user.
    fn compare(&self, user: &str, is_known: bool, report: Report, batch: &mut Vec<UpstreamReport>) {
        let mut all = self.0.told.borrow_mut();
        let told = all.get(user);
        let is_fresh = told.is_some_and(|told| !told.is_stale);
        if !is_known && !is_fresh {
            batch.extend(self.both(user, || UpstreamNews::Gone));
            all.remove(user);
            return;
        }
        if told.is_none() && all.len() >= FACTS_MAX {
            return;
        }
        let same = told.filter(|told| !told.is_due());
        if same.is_none_or(|told| told.report.calls != report.calls) {
            let news = match report.calls.is_empty() && !self.0.knows_phones {
                true => UpstreamNews::Gone,
                false => UpstreamNews::Document(Document::DialogInfo {
                    entity: None,
                    full: true,
                    dialogs: report.calls.clone(),
                }),
            };
            batch.push(self.news(user, Package::Dialog, news));
        }
        if same.is_none_or(|told| told.report.presence != report.presence) {
            let news = match report.presence.clone() {
                Some(statement) => UpstreamNews::Document(Document::Pidf {
                    entity: None,
                    statement,
                }),
                None => UpstreamNews::Gone,
            };
            batch.push(self.news(user, Package::Presence, news));
        }
        let told = Told {
            report,
            at: Instant::now(),
            is_stale: false,
        };
        all.insert(user.into(), told);
    }

    /// The PBX is not heard any more.
    pub(super) async fn suspect_all(&self) {
        let users = self.users();
        for told in self.0.told.borrow_mut().values_mut() {
            told.is_stale = true;
        }
        self.tell_all(users, || UpstreamNews::Stale).await;
    }

    /// The connector is not in use any more.
    pub(super) async fn forget_all(&self) {
        let users = self.users();
        self.0.told.borrow_mut().clear();
        self.tell_all(users, || UpstreamNews::Gone).await;
    }

    async fn tell_all(&self, users: Vec<Box<str>>, news: impl Fn() -> UpstreamNews) {
        for users in users.chunks(USERS_AT_ONCE) {
            let reports = || users.iter().flat_map(|user| self.both(user, &news));
            let mut attempts = 0..ATTEMPTS;
            while !self.deliver(reports().collect()).await && attempts.next().is_some() {
                sleep(PAUSE).await;
            }
        }
    }

    fn users(&self) -> Vec<Box<str>> {
        self.0.told.borrow().keys().cloned().collect()
    }

    fn both(&self, user: &str, news: impl Fn() -> UpstreamNews) -> [UpstreamReport; 2] {
        [Package::Dialog, Package::Presence].map(|package| self.news(user, package, news()))
    }

    fn news(&self, user: &str, package: Package, news: UpstreamNews) -> UpstreamReport {
        UpstreamReport {
            aor: Aor::new(user, &self.0.domain),
            connector: Arc::clone(&self.0.connector),
            package,
            news,
            expires: TRUST,
            is_audit: false,
            is_sole: false,
        }
    }

    /// Whether every shard took its part.
    async fn deliver(&self, batch: Vec<UpstreamReport>) -> bool {
        let shards = &self.0.shards;
        let mut by_shard: HashMap<u16, Vec<UpstreamReport>> = HashMap::new();
        for report in batch {
            let owner = ShardId::owner_of(&report.aor, shards.count());
            by_shard.entry(owner.0).or_default().push(report);
        }
        let ask = |(shard, reports)| shards.ask(ShardId(shard), Command::ReportUpstreams(reports));
        let replies = timeout(PATIENCE, join_all(by_shard.into_iter().map(ask))).await;
        let is_done = |reply: &Option<Reply>| matches!(reply, Some(Reply::Done));
        replies.is_ok_and(|replies| replies.iter().all(is_done))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::cell::Cell;
    use std::net::SocketAddr;

    use futures_util::future::{FutureExt, LocalBoxFuture, ready};

    use super::*;
    use crate::directory::Directory;
    use crate::directory::connectors::ServerAddress;
    use crate::presence::call::CallState;

    /// Two shards, which write down what they are told, or refuse it.
    #[derive(Default)]
    struct Log {
        lines: RefCell<Vec<String>>,
        refuses: Cell<bool>,
    }

    impl Shards for Log {
        fn count(&self) -> u16 {
            2
        }

        fn ask(&self, shard: ShardId, command: Command) -> LocalBoxFuture<'static, Option<Reply>> {
            let Command::ReportUpstreams(reports) = command else {
                panic!("{command:?}");
            };
            if self.refuses.get() {
                return ready(Some(Reply::OverLimit)).boxed_local();
            }
            for UpstreamReport {
                aor, package, news, ..
            } in reports
            {
                assert_eq!(ShardId::owner_of(&aor, 2), shard);
                let news = match news {
                    UpstreamNews::Document(Document::DialogInfo { dialogs, .. }) => {
                        format!("{} calls", dialogs.len())
                    }
                    UpstreamNews::Document(_) => "presence".to_owned(),
                    other => format!("{other:?}"),
                };
                let line = format!("{} {} {news}", aor.user(), package.token());
                self.lines.borrow_mut().push(line);
            }
            ready(Some(Reply::Done)).boxed_local()
        }

        fn directory(&self) -> Arc<Directory> {
            Arc::default()
        }

        fn locate(
            &self,
            _: &ServerAddress,
            _: u16,
        ) -> LocalBoxFuture<'static, Result<Vec<SocketAddr>, String>> {
            ready(Ok(Vec::new())).boxed_local()
        }

        fn unix_milliseconds(&self) -> i64 {
            1
        }
    }

    impl Log {
        fn take(&self) -> Vec<String> {
            let mut lines = self.lines.take();
            lines.sort_unstable();
            lines
        }
    }

    fn wait<T>(future: impl Future<Output = T>) -> T {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().build().unwrap();
        runtime.block_on(future)
    }

    #[test]
    fn a_system_that_does_not_see_phones_says_nothing_of_a_user_without_a_call() {
        let log = Rc::new(Log::default());
        let shards = Rc::clone(&log) as Rc<dyn Shards>;
        let teller = Teller::new("teams".into(), "abc.com", false, shards);
        let board = RefCell::new(Board::new("abc.com", 1, 1));
        let tell = |state| {
            board.borrow_mut().lamp("101", state);
            wait(teller.tell(vec!["101".into()], &board, &Status::default()));
            log.take()
        };
        let in_call = tell(Some(CallState::Confirmed));
        assert_eq!(in_call, ["101 dialog 1 calls", "101 presence Gone"]);
        assert_eq!(tell(None), ["101 dialog Gone"]);
    }

    #[test]
    fn only_what_changed_is_told_and_what_was_refused_is_told_again() {
        let log = Rc::new(Log::default());
        let shards = Rc::clone(&log) as Rc<dyn Shards>;
        let teller = Teller::new("pbx".into(), "abc.com", true, shards);
        let board = RefCell::new(Board::new("abc.com", 1, 1));
        board.borrow_mut().phone("a", "101", true);
        let tell = |users: &[&str]| {
            let users = users.iter().map(|user| (*user).into()).collect();
            wait(teller.tell(users, &board, &Status::default()))
        };

        log.refuses.set(true);
        assert_eq!(tell(&["101"]), ["101".into()]);
        log.refuses.set(false);
        assert!(tell(&["101", "102"]).is_empty());
        let told = [
            "101 dialog 0 calls",
            "101 presence Gone",
            "102 dialog Gone",
            "102 presence Gone",
        ];
        assert_eq!(log.take(), told);
        assert_eq!(teller.users().len(), 1);
        tell(&["101"]);
        assert!(log.take().is_empty(), "it is known");
        board.borrow_mut().phone("a", "101", false);
        tell(&["101"]);
        assert_eq!(log.take(), ["101 presence presence"]);

        // After a new connection each user is reported again; a user without facts is reported as gone.
        wait(teller.suspect_all());
        assert_eq!(log.take(), ["101 dialog Stale", "101 presence Stale"]);
        let mut fresh = Board::new("abc.com", 1, 2);
        teller.mark_due(&mut fresh, Some(vec!["103".into()]));
        let mut due = fresh.take_changed(10);
        due.sort_unstable();
        assert_eq!(due, ["101".into(), "103".into()]);
        let fresh = RefCell::new(fresh);
        wait(teller.tell(due, &fresh, &Status::default()));
        assert_eq!(log.take().len(), 4);
        assert_eq!(teller.users().len(), 0);
    }
}
