//! The end of a run with connectors: their reports say how their PBXs were last, and once they are stopped
//! nothing is left of them.

use lamplighter::shard::contract::report::ShardReport;

use super::*;

/// What may be said of a user that is heard.
const HEARD: [UserStatus; 3] = [UserStatus::Available, UserStatus::Busy, UserStatus::Offline];

impl World {
    /// Asks for the reports, then ends all connectors: the operator stops them, or the configuration has none any
    /// more.
    pub(in crate::world) fn end_connectors(&mut self) {
        for place in 0..self.links.len() {
            self.links[place].expected = self.expected(place);
            self.judge_in_vain(place);
        }
        self.ask_connectors();
        match self.bench.net.rng.chance(500) {
            true => {
                for place in 0..self.links.len() {
                    self.links[place].touched_at = 0;
                    self.order(place, ConnectorOrder::Stop);
                }
            }
            false if self.links.is_empty() => {}
            false => {
                let mut realm = (**self.bench.realms.newest()).clone();
                realm.connectors.clear();
                for place in 0..self.links.len() {
                    self.touch(place);
                }
                self.bench.model.upstreams.prefer(self.bench.net.now, None);
                self.load(realm);
            }
        }
    }

    /// Asks every shard for its connectors and their users.
    fn ask_connectors(&mut self) {
        for shard in 0..self.bench.net.plan.shards {
            if self.links.is_empty() {
                return;
            }
            let command = Command::Connectors { from: 0 };
            self.ask(shard, 1, command, Asked::Connectors);
            for place in 0..self.links.len() {
                let name = self.upstream(place).map_or("", |it| it.plan.name).into();
                let command = Command::ConnectorUsers { name, from: 0 };
                self.ask(shard, 1, command, Asked::ConnectorUsers(place));
            }
        }
    }

    fn expected(&self, place: usize) -> Option<Expected> {
        let link = &self.links[place];
        let (now, plan) = (self.bench.net.now, &self.upstream(place)?.plan);
        let settings = self.bench.realms.newest().connectors.get(place)?;
        if now < link.settled_at {
            return None;
        }
        if link.is_stopped || !settings.is_enabled {
            return Some(Expected {
                status: vec![ConnectorStatus::Disabled],
                users: Vec::new(),
            });
        }
        let all = 0..self.watched.len();
        let is_demanded = |user: &usize| {
            let since = self.watched[*user].since;
            let is_rejected = self.bench.model.upstreams.is_rejected(place, *user);
            let is_watched = since.is_some_and(|it| now > it + BEGINS_WITHIN);
            !is_rejected && (settings.users != Users::OnDemand || is_watched)
        };
        let demanded: Vec<usize> = all.filter(is_demanded).collect();
        let (mut server, mut users) = said_of(plan.server.ending, &demanded);
        let is_own = plan.has_login && plan.is_first_user && demanded.contains(&0);
        if is_own && plan.server.ending == Ending::UserMissing {
            server = ServerStatus::CredentialsNotFound;
        }
        let mut status = vec![ConnectorStatus::Known(server)];
        if plan.has_login && plan.is_first_user && !demanded.contains(&0) {
            // It may have been asked for before.
            status.push(ConnectorStatus::Known(ServerStatus::CredentialsNotFound));
        }
        match &*demanded {
            [] => return None,
            // No other user is served: perhaps the PBX serves none.
            [0] if plan.server.ending == Ending::UserDeclined => {
                status.push(ConnectorStatus::Known(ServerStatus::Forbidden));
                // It may be demanded again while the server is left alone.
                users = vec![(0, vec![UserStatus::AccessDenied, UserStatus::Error])];
            }
            _ => {}
        }
        Some(Expected { status, users })
    }

    pub(in crate::world) fn take_connectors(&mut self, reports: Vec<ConnectorReport>) {
        for (link, report) in self.links.iter_mut().zip(reports) {
            match &mut link.report {
                Some(known) => known.add(report),
                None => link.report = Some(report),
            }
        }
    }

    pub(in crate::world) fn take_connector_users(
        &mut self,
        place: usize,
        users: Vec<ConnectorUserReport>,
    ) {
        self.links[place].users.extend(users);
    }

    /// The reports say how each PBX was last.
    pub(in crate::world) fn judge_connectors(&mut self) {
        for place in 0..self.links.len() {
            let link = &self.links[place];
            let Some((expected, report)) = link.expected.clone().zip(link.report.clone()) else {
                continue;
            };
            self.reports_judged += 1;
            if !expected.status.contains(&report.status) {
                let detail = format!("{place}: {report:?}, expected {expected:?}");
                self.fail("a connector reports another status", detail);
            }
            let users = self.links[place].users.clone();
            for (user, may_be) in &expected.users {
                let name = (100 + FIRST_USER + user).to_string();
                let mut own = users.iter().filter(|it| it.aor.user() == name);
                let is_right = own.next().is_some_and(|it| may_be.contains(&it.status));
                if !is_right || own.next().is_some() {
                    let detail = format!("{place}: {name} in {users:?}, expected {may_be:?}");
                    self.fail("a user of a connector has another status", detail);
                }
            }
        }
    }

    /// Nothing is sent to a PBX that serves nothing but attempts that become rarer.
    fn judge_in_vain(&mut self, place: usize) {
        let link = &self.links[place];
        let processes = u64::from(self.bench.net.process) + 1;
        let most = IN_VAIN_MAX * processes * 3;
        if link.traffic.in_vain > most {
            let detail = format!(
                "{place}: {} of {}",
                link.traffic.in_vain, link.traffic.total
            );
            self.fail("too many SUBSCRIBEs to a PBX that serves nothing", detail);
        }
    }

    /// At the very end: an honest PBX has no subscription of ours any more.
    pub(in crate::world) fn judge_left_behind(&mut self) {
        let (now, process) = (self.bench.net.now, self.bench.net.process);
        for place in 0..self.links.len() {
            let was_settled = self.links[place].expected.is_some();
            let Some(upstream) = self.upstream(place).filter(|_| was_settled) else {
                continue;
            };
            let left = upstream.left_behind(now, process);
            if left > 0 && !upstream.is_in_vain(now) {
                self.fail(
                    "a PBX is left with subscriptions",
                    format!("{place}: {left}"),
                );
            }
        }
    }

    /// What a PBX said that is not heard any more is marked.
    pub(in crate::world) fn judge_marks(&mut self, why: &Why) {
        let now = self.bench.net.now;
        for place in 0..self.links.len() {
            let Some(upstream) = self.upstream(place) else {
                continue;
            };
            let is_old = now >= self.links[place].settled_at && upstream.is_in_vain(now);
            let is_its = |source: &Source| matches!(source, Source::Upstream(name) if **name == *upstream.plan.name);
            let mut own = why.contributions.iter().filter(|it| is_its(&it.source));
            if is_old && own.any(|it| it.stale.is_none()) {
                self.fail("a stale contribution is not marked", format!("{why:?}"));
            }
        }
    }
}

/// The status of a connector and of its users.
fn said_of(ending: Ending, users: &[usize]) -> (ServerStatus, Vec<(usize, Vec<UserStatus>)>) {
    let all = |status: &[UserStatus]| users.iter().map(|user| (*user, status.to_vec())).collect();
    let but_first = |status: UserStatus| {
        let of_user = |user: &usize| match user {
            0 => (0, vec![status]),
            user => (*user, HEARD.to_vec()),
        };
        users.iter().map(of_user).collect()
    };
    let refused = [UserStatus::AccessDenied, UserStatus::Error];
    match ending {
        Ending::Honest => (ServerStatus::UpAndRunning, all(&HEARD)),
        Ending::Dead | Ending::Unavailable => {
            (ServerStatus::ConnectionError, all(&[UserStatus::Error]))
        }
        Ending::Forbidden | Ending::WrongPassword => (ServerStatus::Forbidden, all(&refused)),
        Ending::UserMissing => (ServerStatus::UpAndRunning, but_first(UserStatus::NotFound)),
        Ending::UserDeclined => (
            ServerStatus::UpAndRunning,
            but_first(UserStatus::AccessDenied),
        ),
    }
}
