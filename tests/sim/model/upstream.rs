//! What connectors may have said of the users of the PBXs, and what that makes of their state.
//!
//! A statement counts from the 200 to its NOTIFY on. It is not known here when the node stops to believe a
//! connector: as long as a PBX, the network or the operator may have given it a reason, the connector
//! may be silent, `unknown`, or be counted with what it said last. Once they gave none for long enough
//! ([`Trust::Certain`]), only what it said last counts. What it said counts no longer than its subscription
//! and the time for which the domain keeps it.

use std::collections::{HashMap, VecDeque};

use super::composition::Nature;
use super::{Claim, Expected, LegKey, Says, Snapshot, Word, key_of, time_to_live};
use crate::documents::{Document, Leg, State};
use crate::network::{Micros, SECOND};
use crate::upstream::plan::{GRANTED_MAX, UpstreamPlan};

/// What a connector said that may still count while the connector is in doubt.
const HEARD_MAX: usize = 6;
/// Time for the end of a subscription to be noticed.
const END_SLACK: Micros = 5 * SECOND;

/// A NOTIFY of a PBX: Call-ID, CSeq, branch.
pub(crate) type NotifyKey = (String, u32, String);

/// What a NOTIFY of a PBX says, until it is accepted.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub(crate) connector: usize,
    pub(crate) user: usize,
    pub(crate) says: Content,
    /// It ends the subscription, and wants no other.
    pub(crate) is_rejection: bool,
}

/// What it says about the user.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Document(Document),
    /// Nothing.
    Nothing,
    /// What no node may accept, and why.
    Wrong(&'static str),
}

/// What a connector may count with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// With what it said last.
    Certain,
    /// With that, `unknown`, or nothing.
    Doubtful,
    /// With nothing.
    Absent,
}

/// What a connector said about a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Calls(Vec<Leg>),
    Word(Word),
}

impl Said {
    /// Whether both show the user in one state.
    pub(crate) fn is_alike(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Calls(one), Self::Calls(other)) => {
                let is_in = |leg: &Leg| other.contains(leg);
                one.len() == other.len() && one.iter().all(is_in)
            }
            (Self::Word(one), Self::Word(other)) => {
                (one.open, one.activity) == (other.open, other.activity)
            }
            _ => false,
        }
    }
}

#[derive(Clone, Debug)]
struct Heard {
    said: Said,
    at: Micros,
}

/// What one connector may count with for one user.
#[derive(Clone, Debug)]
struct Belief {
    trust: Trust,
    /// The PBX wants no further subscription, until the connector begins anew.
    is_rejected: bool,
    /// The newest last.
    heard: VecDeque<Heard>,
    /// The calls that each subscription reported: one that is being ended is not heard, and a document that reports
    /// changes only is of its own.
    calls: HashMap<String, Vec<Leg>>,
    /// Nothing that it said counts from then on.
    ends_at: Micros,
}

/// What one connector counts with.
#[derive(Clone, Debug)]
enum Counted {
    Nothing,
    /// It is not heard any more, and said something that is not counted any more.
    Unknown {
        is_of_calls: bool,
    },
    Heard(Heard),
}

/// Every state that counted from a moment on.
#[derive(Debug)]
struct Possible {
    at: Micros,
    alternatives: Vec<Snapshot>,
}

#[derive(Debug)]
struct User {
    nature: Nature,
    /// Whether a connector reported on calls; None: perhaps, in a process before, or while it was being ended.
    is_known_by_calls: Option<bool>,
    beliefs: Vec<Belief>,
    history: Vec<Possible>,
}

/// All users of the PBXs.
#[derive(Debug)]
pub(crate) struct Upstreams {
    users: Vec<User>,
    stale_kept: Micros,
    /// The connector that goes before the others.
    preferred: Option<usize>,
    /// NOTIFYs that were not accepted yet.
    pub(crate) statements: HashMap<NotifyKey, Statement>,
    /// How many were accepted.
    pub(crate) accepted: u64,
}

impl Upstreams {
    /// The users of a plan; no connector has heard anything of them yet.
    pub(super) fn new(plan: Option<&UpstreamPlan>, nature: Nature) -> Self {
        let users = plan.map_or(0, |plan| plan.users);
        let connectors = plan.map_or(0, |plan| plan.connectors.len());
        let stale_kept = plan.map_or(0, |plan| plan.stale_kept);
        let belief = Belief {
            trust: Trust::Doubtful,
            is_rejected: false,
            heard: VecDeque::new(),
            calls: HashMap::new(),
            ends_at: Micros::MAX,
        };
        let user = || {
            let mut user = User {
                nature,
                is_known_by_calls: Some(false),
                beliefs: vec![belief.clone(); connectors],
                history: Vec::new(),
            };
            user.remember(0, (None, stale_kept));
            user
        };
        Self {
            users: (0..users).map(|_| user()).collect(),
            stale_kept,
            preferred: None,
            statements: HashMap::new(),
            accepted: 0,
        }
    }

    /// The node accepted a NOTIFY of a PBX; it may be a copy of the 200. The error says why it should not
    /// have.
    pub(crate) fn accepted(&mut self, now: Micros, key: &NotifyKey) -> Result<(), String> {
        let Some(statement) = self.statements.remove(key) else {
            return Ok(());
        };
        self.accepted += 1;
        let belief = &mut self.users[statement.user].beliefs[statement.connector];
        belief.is_rejected |= statement.is_rejection;
        let (user, document) = match statement.says {
            Content::Wrong(why) => return Err(format!("{key:?}: {why}")),
            Content::Nothing => return Ok(()),
            Content::Document(document) => (&mut self.users[statement.user], document),
        };
        let is_certain = user.beliefs[statement.connector].trust == Trust::Certain;
        user.is_known_by_calls = match document {
            Document::Dialogs { .. } if is_certain => Some(true),
            Document::Dialogs { .. } => user.is_known_by_calls.filter(|is_it| *is_it),
            Document::Presence { .. } => user.is_known_by_calls,
        };
        user.beliefs[statement.connector].hear(&document, &key.0, now);
        self.remember(now, statement.user);
        Ok(())
    }

    /// Whether a PBX wants no further subscription to a user.
    pub(crate) fn is_rejected(&self, connector: usize, user: usize) -> bool {
        self.users[user].beliefs[connector].is_rejected
    }

    /// A connector begins anew.
    pub(crate) fn begin(&mut self, connector: usize) {
        for user in &mut self.users {
            user.beliefs[connector].is_rejected = false;
        }
    }

    /// What a connector said last about a user, and when.
    pub(crate) fn last(&self, connector: usize, user: usize) -> Option<(&Said, Micros)> {
        let heard = self.users[user].beliefs[connector].heard.back()?;
        Some((&heard.said, heard.at))
    }

    /// From now on a connector counts so.
    pub(crate) fn trust(&mut self, now: Micros, (connector, user): (usize, usize), trust: Trust) {
        let belief = &mut self.users[user].beliefs[connector];
        if std::mem::replace(&mut belief.trust, trust) == trust {
            return;
        }
        if trust == Trust::Certain {
            let older = belief.heard.len().saturating_sub(1);
            belief.heard.drain(..older);
        }
        self.remember(now, user);
    }

    /// A connector is not heard any more: nothing that it said counts from then on.
    pub(crate) fn ends(&mut self, now: Micros, (connector, user): (usize, usize), at: Micros) {
        let belief = &mut self.users[user].beliefs[connector];
        if belief.ends_at != at {
            belief.ends_at = at;
            self.remember(now, user);
        }
    }

    /// The connector that goes before the others.
    pub(crate) fn prefer(&mut self, now: Micros, connector: Option<usize>) {
        self.preferred = connector;
        for user in 0..self.users.len() {
            self.remember(now, user);
        }
    }

    /// The process is gone: what connectors said may come back with the records.
    pub(crate) fn forget(&mut self, now: Micros) {
        self.statements.clear();
        for user in 0..self.users.len() {
            let user = &mut self.users[user];
            user.is_known_by_calls = user.is_known_by_calls.filter(|is_it| !is_it);
            for belief in &mut user.beliefs {
                belief.trust = Trust::Doubtful;
                belief.is_rejected = false;
            }
            user.remember(now, (self.preferred, self.stale_kept));
        }
    }

    /// The owner learned whether a user has an alternative number.
    pub(crate) fn alternative(&mut self, now: Micros, user: usize, has_one: bool) {
        if let Some(known) = self.users.get_mut(user) {
            known.nature.has_alternative = has_one;
            self.remember(now, user);
        }
    }

    /// Every state that a watcher may have been shown from `from` to `to`; None for a user of no PBX.
    pub(crate) fn allowed(&self, user: usize, from: Micros, to: Micros) -> Option<Vec<Expected>> {
        let history = &self.users.get(user)?.history;
        let mut allowed = Vec::new();
        for (place, possible) in history.iter().enumerate() {
            let next = history.get(place + 1).map_or(Micros::MAX, |next| next.at);
            let (start, end) = (possible.at.max(from), next.min(to));
            if possible.at <= to && start <= end {
                for snapshot in &possible.alternatives {
                    snapshot.states(start, end, &mut allowed);
                }
            }
        }
        Some(allowed)
    }

    /// Drops history that is no longer needed.
    pub(crate) fn prune(&mut self, before: Micros) {
        for user in &mut self.users {
            let keep = user
                .history
                .iter()
                .rposition(|possible| possible.at <= before);
            user.history.drain(..keep.unwrap_or(0));
        }
    }

    fn remember(&mut self, now: Micros, user: usize) {
        self.users[user].remember(now, (self.preferred, self.stale_kept));
    }
}

impl Belief {
    /// Applies a document as a source of its own would.
    fn hear(&mut self, document: &Document, call_id: &str, at: Micros) {
        let mut said = Vec::new();
        match document {
            Document::Dialogs { full, legs } => {
                let known = self.calls.entry(call_id.to_owned()).or_default();
                if *full {
                    known.clear();
                }
                let named: Vec<LegKey> = legs.iter().map(key_of).collect();
                known.retain(|leg| !named.contains(&key_of(leg)));
                let live = legs.iter().filter(|leg| leg.state != State::Terminated);
                // What it builds upon may have been dropped when the PBX was not heard.
                if !full && self.trust != Trust::Certain {
                    said.push(Said::Calls(live.clone().cloned().collect()));
                }
                known.extend(live.cloned());
                said.push(Said::Calls(known.clone()));
            }
            Document::Presence {
                open,
                activity,
                note,
            } => said.push(Said::Word(Word {
                open: Some(*open),
                activity: *activity,
                note: note.clone(),
                since: at,
            })),
        }
        if self.trust == Trust::Certain {
            self.heard.clear();
        }
        for said in said {
            self.heard.retain(|heard| !heard.said.is_alike(&said));
            self.heard.push_back(Heard { said, at });
            if self.heard.len() > HEARD_MAX {
                self.heard.pop_front();
            }
        }
    }

    fn counted(&self) -> Vec<Counted> {
        let heard = |heard: &Heard| Counted::Heard(heard.clone());
        match self.trust {
            Trust::Absent => vec![Counted::Nothing],
            Trust::Certain => match self.heard.back() {
                Some(last) => vec![heard(last)],
                None => vec![Counted::Nothing],
            },
            Trust::Doubtful => {
                let unknown = [true, false].map(|is_of_calls| Counted::Unknown { is_of_calls });
                let unsure = std::iter::once(Counted::Nothing).chain(unknown);
                unsure.chain(self.heard.iter().map(heard)).collect()
            }
        }
    }
}

impl User {
    fn remember(&mut self, now: Micros, (preferred, stale_kept): (Option<usize>, Micros)) {
        let mut combinations: Vec<Vec<Counted>> = vec![Vec::new()];
        for belief in &self.beliefs {
            let counted = belief.counted();
            let extended = combinations.iter().flat_map(|known| {
                counted.iter().map(|one| {
                    let mut all = known.clone();
                    all.push(one.clone());
                    all
                })
            });
            combinations = extended.collect();
        }
        let known = match self.is_known_by_calls {
            Some(is_it) => vec![is_it],
            None => vec![true, false],
        };
        let ends: Vec<Micros> = self.beliefs.iter().map(|belief| belief.ends_at).collect();
        let mut alternatives: Vec<Snapshot> = Vec::new();
        for combination in &combinations {
            for is_known in &known {
                let mut claims = claims_of(combination, preferred, (&ends, stale_kept));
                claims.extend(is_known.then_some(Claim {
                    until: Micros::MAX / 2,
                    says: Says::KnownByCalls,
                }));
                alternatives.push(Snapshot {
                    at: now,
                    claims,
                    nature: self.nature,
                });
            }
        }
        self.history.push(Possible {
            at: now,
            alternatives,
        });
    }
}

/// The claims of all connectors together. What others say of calls, or declare, does not count while the
/// preferred one says something of that kind.
fn claims_of(
    combination: &[Counted],
    preferred: Option<usize>,
    (ends, stale_kept): (&[Micros], Micros),
) -> Vec<Claim> {
    let kind = |counted: &Counted| match counted {
        Counted::Nothing => None,
        Counted::Unknown { is_of_calls } => Some(*is_of_calls),
        Counted::Heard(heard) => Some(matches!(heard.said, Said::Calls(_))),
    };
    let first = preferred.and_then(|place| combination.get(place));
    let first = first.filter(|first| matches!(first, Counted::Heard(_)));
    let mut claims = Vec::new();
    for (place, counted) in combination.iter().enumerate() {
        let is_hushed =
            Some(place) != preferred && first.is_some_and(|it| kind(it) == kind(counted));
        claims.extend(claims_of_one(counted, is_hushed, ends[place], stale_kept));
    }
    claims
}

fn claims_of_one(
    counted: &Counted,
    is_hushed: bool,
    ends_at: Micros,
    stale_kept: Micros,
) -> Vec<Claim> {
    let heard = match counted {
        Counted::Nothing => return Vec::new(),
        Counted::Unknown { .. } if is_hushed => return Vec::new(),
        Counted::Unknown { .. } => {
            let unknown = Word {
                activity: Some("unknown"),
                ..Word::default()
            };
            return vec![Claim {
                until: Micros::MAX / 2,
                says: Says::Declared(unknown),
            }];
        }
        Counted::Heard(heard) => heard,
    };
    let until = heard.at + GRANTED_MAX * SECOND + stale_kept + END_SLACK;
    let until = until.min(ends_at);
    match &heard.said {
        Said::Word(_) if is_hushed => Vec::new(),
        Said::Word(word) => vec![Claim {
            until,
            says: Says::Declared(word.clone()),
        }],
        Said::Calls(legs) => {
            let source = Claim {
                until,
                says: Says::CallSource,
            };
            let legs = legs.iter().filter(|_| !is_hushed).map(|leg| {
                let runs_out = heard.at + time_to_live(leg.state);
                Claim {
                    until: until.min(runs_out),
                    says: Says::Leg {
                        key: key_of(leg),
                        state: leg.state,
                        recipient: leg.recipient,
                        is_named: !leg.remote.is_empty(),
                        runs_out,
                    },
                }
            });
            std::iter::once(source).chain(legs).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::composition::Style;

    const CONNECTOR: (usize, usize) = (0, 0);

    fn upstreams() -> Upstreams {
        let plan = UpstreamPlan {
            stale_kept: 0,
            ..UpstreamPlan::new(1, 60 * SECOND)
        };
        let nature = Nature {
            style: Style::Standard,
            has_alternative: false,
            is_orbit: false,
        };
        Upstreams::new(Some(&plan), nature)
    }

    fn say(upstreams: &mut Upstreams, now: Micros, says: Content) -> Result<(), String> {
        let key = (now.to_string(), 1, String::new());
        let statement = Statement {
            connector: 0,
            user: 0,
            says,
            is_rejection: false,
        };
        upstreams.statements.insert(key.clone(), statement);
        upstreams.accepted(now, &key)
    }

    fn call(state: State, full: bool) -> Content {
        let leg = Leg {
            id: "d".into(),
            call_id: "c".into(),
            local_tag: "l".into(),
            remote_tag: "r".into(),
            recipient: true,
            state,
            remote: String::new(),
        };
        Content::Document(Document::Dialogs {
            full,
            legs: vec![leg],
        })
    }

    fn lamps(upstreams: &Upstreams, at: Micros) -> Vec<State> {
        let allowed = upstreams.allowed(0, at, at).unwrap();
        let mut lamps: Vec<State> = allowed.iter().map(|it| it.lamp.0).collect();
        lamps.sort_unstable();
        lamps.dedup();
        lamps
    }

    #[test]
    fn a_connector_in_doubt_may_be_silent_and_a_certain_one_may_not() {
        let mut upstreams = upstreams();
        say(&mut upstreams, SECOND, call(State::Confirmed, true)).unwrap();
        let unsure = [State::Terminated, State::Confirmed];
        assert_eq!(lamps(&upstreams, 2 * SECOND), unsure);
        upstreams.trust(3 * SECOND, CONNECTOR, Trust::Certain);
        assert_eq!(lamps(&upstreams, 4 * SECOND), [State::Confirmed]);
        say(&mut upstreams, 5 * SECOND, call(State::Terminated, false)).unwrap();
        assert_eq!(lamps(&upstreams, 6 * SECOND), [State::Terminated]);
    }

    #[test]
    fn no_red_lasts_longer_than_the_subscription_and_what_is_kept() {
        let mut upstreams = upstreams();
        say(&mut upstreams, 0, call(State::Confirmed, true)).unwrap();
        let over = (GRANTED_MAX + 20) * SECOND;
        assert_eq!(lamps(&upstreams, over), [State::Terminated]);
    }

    #[test]
    fn a_wrong_document_must_not_be_accepted() {
        let mut upstreams = upstreams();
        assert!(say(&mut upstreams, 0, Content::Wrong("broken")).is_err());
        let unknown = ("x".to_owned(), 1, String::new());
        assert_eq!(upstreams.accepted(0, &unknown), Ok(()));
    }
}
