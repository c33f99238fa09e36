//! The connectors of a run: where their PBXs are, what the operator orders, and the judges of what they
//! bring.
//!
//! Once the network is good and a PBX honest, every user of it is heard within a stated time
//! ([`UpstreamPlan::heals_within`](crate::upstream::plan::UpstreamPlan::heals_within)); from then on what the
//! connector said last is what is true there. What a change costs then is stated, too: an order of the operator
//! and a new process some seconds, a silent restart of the PBX half of what it granted.

mod ending;

use lamplighter::presence::source::Source;
use lamplighter::shard::contract::connector::{
    ConnectorOrder, ConnectorReport, ConnectorStatus, ConnectorUserReport,
};
use lamplighter::shard::contract::probe::{ServerStatus, UserStatus};
use lamplighter::shard::contract::report::Why;
use lamplighter::shard::{Command, Flow, Route};

use super::{Actor, Asked, Phase, World};
use crate::model::upstream::Trust;
use crate::network::{ActorId, Event, MILLISECOND, Micros, Net, SECOND, Wake};
use crate::phone::lists::Target;
use crate::sip_text::Text;
use crate::upstream::Upstream;
use crate::upstream::plan::{Ending, FIRST_USER, GRANTED_MAX, Users};
use crate::upstream::traffic::Traffic;

/// Within this time after an order of the operator, an edit or a recovery everything is heard again from a
/// PBX that is honest, even if its first location is dead: Timer F, and the pace.
const BEGINS_WITHIN: Micros = 48 * SECOND;
/// Within this time a change is heard from a PBX that is honest.
const NEWS_MAX: Micros = 2 * SECOND;
/// A user on demand stays subscribed to for longer than this after its last watcher.
const LINGERS: Micros = 100 * SECOND;
/// Requests of each shard to a PBX that serves nothing: attempts with pauses that double, users whose requests
/// were under way, and for each the answers to its challenges.
const IN_VAIN_MAX: u64 = 5 * 20;

/// A connector and its PBX.
#[derive(Debug)]
pub(super) struct Link {
    actor: ActorId,
    /// From then on what it said last is what is true there.
    settled_at: Micros,
    is_stopped: bool,
    /// When it was ordered or edited last.
    touched_at: Micros,
    traffic: Traffic,
    /// The last disturbance of an honest PBX is over.
    was_late: bool,
    /// What its reports must say at the end; None while it is not settled.
    expected: Option<Expected>,
    report: Option<ConnectorReport>,
    users: Vec<ConnectorUserReport>,
}

/// What the reports of a connector must say.
#[derive(Clone, Debug)]
struct Expected {
    status: Vec<ConnectorStatus>,
    /// Users that are subscribed to for certain, and what may be said of them.
    users: Vec<(usize, Vec<UserStatus>)>,
}

/// Since when, and until when, a user is watched.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Watched {
    since: Option<Micros>,
    last: Micros,
}

impl World {
    /// Adds the PBXs of the plan and the operator of their connectors.
    pub(super) fn add_upstreams(&mut self) {
        let Some(plan) = self.bench.net.plan.upstream.clone() else {
            return;
        };
        self.watched = vec![Watched::default(); plan.users];
        for (connector, of_connector) in plan.connectors.iter().enumerate() {
            let id = self.actors.len();
            self.links.push(Link {
                actor: id,
                settled_at: Micros::MAX,
                is_stopped: false,
                touched_at: 0,
                traffic: Traffic::new(of_connector.pace),
                was_late: false,
                expected: None,
                report: None,
                users: Vec::new(),
            });
            let upstream = Upstream::new((id, connector), of_connector.clone(), &mut self.bench);
            self.actors.push(Actor::Upstream(Box::new(upstream)));
        }
        let preferred = self.bench.realms.newest().preferred();
        self.bench.model.upstreams.prefer(0, preferred);
        let after = self.bench.net.rng.between(3 * SECOND, plan.order_every);
        self.bench.net.wake(self.actors.len(), after, Wake::Act);
        self.actors.push(Actor::Manager);
    }

    fn upstream(&self, connector: usize) -> Option<&Upstream> {
        match self.actors.get(self.links.get(connector)?.actor)? {
            Actor::Upstream(upstream) => Some(upstream),
            _ => None,
        }
    }

    pub(super) fn each_upstream(&mut self, mut change: impl FnMut(&mut Upstream)) {
        for actor in &mut self.actors {
            if let Actor::Upstream(upstream) = actor {
                change(upstream);
            }
        }
    }

    /// A shard looks for the server of a connector. Sometimes the name service knows a dead location, or
    /// nothing.
    pub(super) fn route(&mut self, shard: u16, route: &Route) {
        let name = route.question.host.split('.').next().unwrap_or_default();
        let plans = self.bench.net.plan.upstream.iter();
        let mut names = plans.flat_map(|plan| plan.connectors.iter().map(|one| one.name));
        let place = names.position(|known| known == name);
        let Some((address, is_tcp)) = place
            .and_then(|place| self.upstream(place))
            .map(|upstream| (upstream.address, upstream.plan.is_tcp))
        else {
            return self.fail("looks for a server that is not configured", name);
        };
        let net = &mut self.bench.net;
        let mut flows = vec![Net::flow_to(address, is_tcp)];
        if !net.calm && net.rng.chance(100) {
            flows.clear();
        } else if net.rng.chance(200) {
            let dead = ([10, 0, 0, 250], 5060).into();
            flows.insert(0, Net::flow_to(dead, is_tcp));
        }
        let at = net.now + net.rng.between(100, 100 * MILLISECOND);
        net.schedule(
            at,
            Event::Routed {
                shard,
                link: route.id,
                flows,
            },
        );
    }

    /// A SUBSCRIBE of a connector leaves.
    pub(super) fn observe_subscribe(&mut self, text: &Text<'_>, flow: &Flow) {
        let now = self.bench.net.now;
        let Some(place) = (0..self.links.len())
            .find(|place| self.upstream(*place).map(|it| it.address) == Some(flow.peer))
        else {
            return;
        };
        let is_in_vain = self.upstream(place).is_some_and(|it| it.is_in_vain(now));
        if let Err(fault) = self.links[place].traffic.note(now, text, is_in_vain) {
            self.fail("a SUBSCRIBE that must not be", format!("{place}: {fault}"));
        }
    }

    /// A response leaves. A 200 to a NOTIFY of a PBX takes what it says.
    pub(super) fn observe_accepted(&mut self, text: &Text<'_>) {
        let (Some(200), Some((cseq, "NOTIFY"))) = (text.status(), text.cseq()) else {
            return;
        };
        let branch = text.branch().unwrap_or_default().to_owned();
        let key = (text.call_id().to_owned(), cseq, branch);
        let now = self.bench.net.now;
        if let Err(detail) = self.bench.model.upstreams.accepted(now, &key) {
            self.fail("a NOTIFY is accepted that must not be", detail);
        }
    }

    /// The operator orders something of a connector.
    pub(super) fn manage(&mut self, actor: ActorId) {
        let Some(every) = self
            .bench
            .net
            .plan
            .upstream
            .as_ref()
            .map(|it| it.order_every)
        else {
            return;
        };
        if self.phase != Phase::Chaos {
            return;
        }
        let after = self.bench.net.rng.between(SECOND, 2 * every);
        self.bench.net.wake(actor, after, Wake::Act);
        let place = self.bench.net.rng.below(self.links.len() as u64) as usize;
        let order = self.bench.net.rng.pick(&[
            ConnectorOrder::Stop,
            ConnectorOrder::Start,
            ConnectorOrder::Start,
            ConnectorOrder::Restart,
        ]);
        self.order(place, order);
    }

    /// Orders something of a connector, unless it was touched a moment ago, or the node is recovering.
    fn order(&mut self, place: usize, order: ConnectorOrder) {
        let now = self.bench.net.now;
        let is_early =
            now < self.links[place].touched_at + SECOND || now < self.recovered_at + SECOND;
        if self.is_recovering() || is_early {
            return;
        }
        let is_running = !self.links[place].is_stopped;
        match order {
            // It goes on.
            ConnectorOrder::Start if is_running => {}
            _ => self.touch(place),
        }
        self.links[place].is_stopped = order == ConnectorOrder::Stop;
        let Some(name) = self.upstream(place).map(|it| it.plan.name) else {
            return;
        };
        for shard in 0..self.bench.net.plan.shards {
            let delay = 2 + self.bench.net.rng.below(20 * MILLISECOND);
            let name = name.into();
            let command = Command::OrderConnector { name, order };
            self.ask(shard, delay, command, Asked::Order);
        }
    }

    /// A connector begins anew.
    fn touch(&mut self, place: usize) {
        let now = self.bench.net.now;
        self.links[place].touched_at = now;
        self.bench.model.upstreams.begin(place);
        self.unsettle(place, now + BEGINS_WITHIN);
    }

    /// A connector may be believed until then, or not.
    fn unsettle(&mut self, place: usize, until: Micros) {
        let now = self.bench.net.now;
        let link = &mut self.links[place];
        link.settled_at = link.settled_at.max(until);
        for user in 0..self.watched.len() {
            let upstreams = &mut self.bench.model.upstreams;
            upstreams.trust(now, (place, user), Trust::Doubtful);
        }
    }

    /// An edit of a connector; None without one.
    pub(super) fn edited_connector(&mut self) -> Option<crate::realm::Realm> {
        let now = self.bench.net.now;
        let newest = std::rc::Rc::clone(self.bench.realms.newest());
        let (place, realm) = newest.with_edited_connector(&mut self.bench.net.rng)?;
        if realm == *newest || now < self.links[place].touched_at + SECOND {
            return None;
        }
        self.links[place].is_stopped = false;
        self.touch(place);
        // Another connector may count now, for users that this one was asked for.
        for place in 0..self.links.len() {
            self.unsettle(place, now + BEGINS_WITHIN);
        }
        let preferred = realm.preferred();
        self.bench.model.upstreams.prefer(now, preferred);
        Some(realm)
    }

    /// The calm begins.
    pub(super) fn expect_upstreams(&mut self) {
        let Some(plan) = self.bench.net.plan.upstream.clone() else {
            return;
        };
        let settled_at = self.bench.net.now + plan.heals_within();
        for place in 0..self.links.len() {
            self.links[place].settled_at = settled_at;
            let is_in_vain = self
                .upstream(place)
                .is_some_and(|it| it.is_in_vain(settled_at));
            for user in (0..plan.users).filter(|_| is_in_vain) {
                let until = settled_at + plan.stale_kept;
                let upstreams = &mut self.bench.model.upstreams;
                upstreams.ends(self.bench.net.now, (place, user), until);
            }
        }
    }

    /// A new process has all its records.
    pub(super) fn unsettle_all(&mut self) {
        let until = self.bench.net.now + BEGINS_WITHIN;
        for place in 0..self.links.len() {
            self.links[place].is_stopped = false;
            let link = &self.links[place];
            if link.settled_at < Micros::MAX {
                self.unsettle(place, until);
            }
        }
    }

    /// Which connectors to trust, and whether what these say is true.
    pub(super) fn sweep_upstreams(&mut self) {
        let now = self.bench.net.now;
        self.note_watched();
        for place in 0..self.links.len() {
            for user in 0..self.watched.len() {
                let trust = self.trust_of(place, user);
                let upstreams = &mut self.bench.model.upstreams;
                upstreams.trust(now, (place, user), trust);
                if trust == Trust::Certain {
                    self.judge_news(place, user);
                }
            }
        }
        self.disturb_late();
    }

    fn note_watched(&mut self) {
        let now = self.bench.net.now;
        for user in 0..self.watched.len() {
            let is_watched = self.actors.iter().any(|actor| match actor {
                Actor::Phone(phone) => phone.keys.iter().any(|key| {
                    let is_it = key.target == Target::One(FIRST_USER + user);
                    let dialog = key.dialog.as_ref().filter(|_| is_it);
                    dialog.is_some_and(|dialog| self.is_well(phone, key, dialog))
                }),
                _ => false,
            });
            let watched = &mut self.watched[user];
            if is_watched {
                watched.since.get_or_insert(now);
                watched.last = now;
            } else if now > watched.last + LINGERS {
                watched.since = None;
            }
        }
    }

    fn trust_of(&self, place: usize, user: usize) -> Trust {
        let now = self.bench.net.now;
        let (link, realm) = (&self.links[place], self.bench.realms.newest());
        let settings = realm.connectors.get(place);
        let is_used = settings.is_some_and(|it| it.is_enabled) && !link.is_stopped;
        let is_on_demand = settings.is_some_and(|it| it.users == Users::OnDemand);
        let watched_since = self.watched[user].since;
        let is_wanted =
            !is_on_demand || watched_since.is_some_and(|since| now > since + BEGINS_WITHIN);
        let ending = self.upstream(place).map(|it| it.plan.server.ending);
        match ending {
            _ if now < link.settled_at => Trust::Doubtful,
            _ if !is_used => Trust::Absent,
            _ if self.bench.model.upstreams.is_rejected(place, user) => Trust::Doubtful,
            Some(Ending::UserMissing | Ending::UserDeclined) if user == 0 => Trust::Absent,
            Some(Ending::Honest | Ending::UserMissing | Ending::UserDeclined) if is_wanted => {
                Trust::Certain
            }
            _ => Trust::Doubtful,
        }
    }

    /// What an honest PBX said last of a user is true, or was a moment ago.
    fn judge_news(&mut self, place: usize, user: usize) {
        let now = self.bench.net.now;
        self.news_judged += 1;
        let last = self.bench.model.upstreams.last(place, user);
        let upstream = self.upstream(place);
        let is_true = last.zip(upstream).is_some_and(|((said, _), upstream)| {
            upstream.users[user].was(said, now.saturating_sub(NEWS_MAX))
        });
        if !is_true {
            let truth = upstream.map(|upstream| upstream.users[user].legs());
            let detail = format!("{user} of connector {place}: {last:?}, but {truth:?}");
            self.fail("an upstream's state is not heard", detail);
        }
    }

    /// An honest PBX is restarted without a word, or its connector by the operator.
    fn disturb_late(&mut self) {
        let now = self.bench.net.now;
        for place in 0..self.links.len() {
            let link = &self.links[place];
            if self.phase != Phase::Calm || link.was_late || now < link.settled_at {
                continue;
            }
            self.links[place].was_late = true;
            let plan = self.upstream(place).map(|it| it.plan.server.clone());
            let Some(plan) = plan.filter(|plan| plan.ending == Ending::Honest) else {
                continue;
            };
            if plan.restarts_late {
                self.note(&[], || format!("--- PBX {place} is restarted"));
                let actor = self.links[place].actor;
                if let Actor::Upstream(upstream) = &mut self.actors[actor] {
                    upstream.restart(&mut self.bench);
                }
                self.unsettle(place, now + GRANTED_MAX * SECOND / 2 + NEWS_MAX);
            } else if !self.links[place].is_stopped && self.bench.net.rng.chance(300) {
                self.order(place, ConnectorOrder::Restart);
            }
        }
    }
}
