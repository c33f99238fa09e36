//! The judges of watchers: each NOTIFY when it leaves, and the state that phones show once they had
//! time to be notified. A state is correct if the models of presence state and of policies allow
//! it.

use super::judge::{dialog_key, hash_of};
use super::{Actor, World};
use crate::crash_plan::CrashPlan;
use crate::documents::{Shown, read, without_versions};
use crate::invariants::{LeastRate, Notify, SubscriptionState};
use crate::model::Expected;
use crate::network::{MILLISECOND, Micros, SECOND};
use crate::phone::agent::Agent;
use crate::phone::lists::Target;
use crate::phone::{Dialog, Key, Phone};
use crate::plan::Plan;
use crate::realm::{Handling, Realm, Watcher};
use crate::sip_text::{Text, parameter};
use lamplighter::shard::Flow;
use std::collections::HashMap;

/// A change of policy may wait for the response to a NOTIFY, at most Timer F, before its phone is
/// notified.
pub(super) const VERDICT_LIFE: Micros = 100 * SECOND;

/// The value of Subscription-State, and whether it is pending.
#[derive(Clone, Debug)]
pub(super) struct StateHeader {
    pub(super) state: SubscriptionState,
    pub(super) is_pending: bool,
}

impl StateHeader {
    pub(super) fn of(text: &Text<'_>) -> Option<Self> {
        let value = text.one("Subscription-State")?;
        let (state, _) = value.split_once(';')?;
        let subscription_state = match state {
            "active" | "pending" => SubscriptionState::Active {
                expires: parameter(value, "expires")?.parse().ok()?,
            },
            "terminated" => SubscriptionState::Terminated {
                reason: parameter(value, "reason")?.to_owned(),
            },
            _ => return None,
        };
        let is_pending = state == "pending";
        Some(Self {
            state: subscription_state,
            is_pending,
        })
    }

    /// Returns whether policy ended it.
    fn is_rejected(&self) -> bool {
        matches!(&self.state, SubscriptionState::Terminated { reason } if reason == "rejected")
    }
}

impl World {
    /// A NOTIFY leaves.
    pub(super) fn observe_notify(
        &mut self,
        text: &Text<'_>,
        cseq: u32,
        octets: &[u8],
        (shard, flow): (u16, &Flow),
    ) {
        let now = self.bench.net.now;
        let content_type = text.one("Content-Type").unwrap_or_default();
        let is_list = content_type.starts_with("multipart/");
        let (version, is_full) = match describe(content_type, text.body) {
            Ok(described) => described,
            Err(fault) => {
                return self.fail("a malformed document", format!("{fault}:\n{}", text.body));
            }
        };
        let Some(header) = StateHeader::of(text) else {
            return self.fail("a NOTIFY without a readable Subscription-State", text.start);
        };
        // Without a body it may belong to a list that is otherwise notified by RLMI (W:B5.3).
        let target = text.uri("From").and_then(Watcher::of);
        let is_of_list = target.is_some_and(|target| self.is_list(target.user));
        let requires_list = text.one("Require") == Some("eventlist");
        let is_fitting = match text.body {
            "" => is_of_list || !requires_list,
            _ => requires_list == is_list,
        };
        if !is_fitting {
            return self.fail(
                "Require: eventlist and the body do not go together",
                text.body,
            );
        }
        let essence = without_versions(text.body) + if header.is_pending { "pending" } else { "" };
        let key = dialog_key(text, "To", "From");
        // The last one may have waited for a stream after it was written.
        let last_at = self.bench.checker.last_notified(&key);
        let since = last_at.map_or(now, |at| at.saturating_sub(SECOND));
        let watcher = text.uri("To").and_then(Watcher::of);
        let takes_all = watcher.is_none_or(|watcher| Agent::of(watcher.user).takes_all());
        let notify = Notify {
            cseq,
            octets_hash: hash_of(octets),
            essence_hash: hash_of(essence.as_bytes()),
            version,
            is_partial: is_full == Some(false) && takes_all,
            may_go_on: is_of_list && (!is_list || is_full == Some(false) && !takes_all),
            is_reconfigured: self.bench.realms.changed(since, now),
            subscription_state: header.state.clone(),
            least_rate: least_rate(text.one("Subscription-State").unwrap_or_default()),
            connection: flow.connection,
            path: (shard, flow.peer),
            body_octets: text.body.len(),
            key,
        };
        let news = self.bench.checker.notifies;
        self.bench.checker.notify_sent(now, &notify);
        let is_from_before = self.bench.checker.is_from_before(&notify.key, cseq);
        if self.bench.checker.notifies == news || is_from_before {
            return;
        }
        let delay_max = self.bench.net.plan.propagation_max() + self.bench.net.waited(flow.peer);
        let from = now.saturating_sub(delay_max);
        let judged = self.judge_notify(text, &header, content_type, &notify.key, from);
        if let Err(fault) = judged {
            self.fail("a NOTIFY with a wrong state", fault);
        }
    }

    /// Judges the contents of a new NOTIFY, which was written since `from`.
    fn judge_notify(
        &mut self,
        text: &Text<'_>,
        header: &StateHeader,
        content_type: &str,
        key: &str,
        from: Micros,
    ) -> Result<(), String> {
        let now = self.bench.net.now;
        let watcher = text.uri("To").and_then(Watcher::of);
        let watcher = watcher.ok_or("a watcher without a name")?;
        let target = text.uri("From").and_then(Watcher::of);
        let target = target.ok_or("a NOTIFY about an unknown user")?.user;
        if header.is_rejected() {
            self.rejections += 1;
            let from = now.saturating_sub(VERDICT_LIFE);
            let mut realms = self.bench.realms.during(from, now);
            return match text.body.is_empty() && realms.any(|it| !it.admits(watcher, target)) {
                true => Ok(()),
                false => Err(format!(
                    "{watcher:?} is rejected from {target}: {}",
                    text.body
                )),
            };
        }
        let is_active =
            !header.is_pending && matches!(header.state, SubscriptionState::Active { .. });
        if is_active && text.body.is_empty() && !self.bench.checker.is_proven(key) {
            // A body too long for an unproven path follows later.
            return Ok(());
        }
        if self.is_list(target) {
            self.list_notifies += 1;
            self.judge_list_size(text, &header.state, watcher)?;
            let about = (watcher, target);
            return self.judge_list_notify(text, header, content_type, about, key, from);
        }
        let shown = match text.body {
            "" => Shown::Nothing,
            body => {
                let notified = read(body)?;
                let entity =
                    Watcher::of(&notified.entity).ok_or("a NOTIFY about an unknown user")?;
                if entity.user != target {
                    return Err(format!("{target} is reported as {}", notified.entity));
                }
                notified.shown
            }
        };
        if header.is_pending && shown != Shown::Nothing || is_active && shown == Shown::Nothing {
            return Err(format!("{header:?} with {shown:?}"));
        }
        // The expected end comes although policy now hides the state.
        let mut realms = self.bench.realms.during(from, now);
        if shown == Shown::Nothing && realms.any(|realm| !realm.admits(watcher, target)) {
            return Ok(());
        }
        self.judge_shown(watcher, None, target, &shown, from)
    }

    /// Returns whether the target is one of the run's lists.
    pub(super) fn is_list(&self, user: &str) -> bool {
        self.bench.realms.newest().unfold(user).is_some()
    }

    /// Judges whether a watcher may have been shown this state of a user, through a list or
    /// directly, at some time since `from`.
    pub(super) fn judge_shown(
        &self,
        watcher: Watcher<'_>,
        list: Option<&str>,
        user: &str,
        shown: &Shown,
        from: Micros,
    ) -> Result<(), String> {
        let now = self.bench.net.now;
        let allowed = self.bench.model.allowed_of(user, from, now);
        self.judge_among(watcher, list, user, shown, from, &allowed)
    }

    fn judge_among(
        &self,
        watcher: Watcher<'_>,
        list: Option<&str>,
        user: &str,
        shown: &Shown,
        from: Micros,
        allowed: &[Expected],
    ) -> Result<(), String> {
        let is_right = |realm: &Realm| {
            let decision = realm.decide_within(watcher, list, user);
            match decision.handling {
                Handling::Block => false,
                Handling::Confirm => *shown == Shown::Nothing,
                Handling::PoliteBlock => self.bench.model.blank().agrees_at(0, shown),
                Handling::Allow => allowed
                    .iter()
                    .any(|expected| expected.agrees_at(decision.privacy, shown)),
            }
        };
        let mut realms = self.bench.realms.during(from, self.bench.net.now);
        let decisions = realms
            .clone()
            .map(|realm| realm.decide_within(watcher, list, user));
        if realms.any(is_right) {
            return Ok(());
        }
        let decisions: Vec<_> = decisions.collect();
        Err(format!(
            "{watcher:?} is shown of {user} {shown:?}\n    by {decisions:?}\n    allowed: {allowed:?}"
        ))
    }

    /// A 2xx to the first SUBSCRIBE of a dialog leaves.
    pub(super) fn judge_admission(&mut self, text: &Text<'_>) {
        let now = self.bench.net.now;
        let delay_max = self.bench.net.plan.propagation_max() + self.hold_max();
        let from = now.saturating_sub(delay_max);
        let [watcher, target] = ["From", "To"].map(|name| text.uri(name).and_then(Watcher::of));
        let is_admitted = watcher.zip(target).is_some_and(|(watcher, target)| {
            let mut realms = self.bench.realms.during(from, now);
            realms.any(|realm| realm.admits(watcher, target.user))
        });
        if !is_admitted {
            self.fail(
                "admitted against the rules",
                format!("{watcher:?} {target:?}"),
            );
        }
    }

    /// Longest time for which anything waits for a commit.
    fn hold_max(&self) -> Micros {
        let store = self.bench.net.plan.store.as_ref();
        store.map_or(0, CrashPlan::hold_max)
    }

    /// Judges that every healthy watcher shows the current state, or a very recent one.
    pub(super) fn judge_watchers(&mut self) {
        let now = self.bench.net.now;
        let mut judged = 0;
        // Many keys watch the same user: the permitted states are computed once.
        let mut allowed: HashMap<(usize, Micros), Vec<Expected>> = HashMap::new();
        let mut verdict = Ok(());
        for actor in &self.actors {
            let Actor::Phone(phone) = actor else { continue };
            for key in &phone.keys {
                let patience = patience_with(phone, key, &self.bench.net.plan);
                let from = now.saturating_sub(patience);
                let Some(dialog) = key.dialog.as_ref() else {
                    continue;
                };
                if verdict.is_err() || !self.is_well(phone, key, dialog) {
                    continue;
                }
                judged += 1;
                verdict = match key.target {
                    _ if !dialog.was_notified() => Err("it was never notified".to_owned()),
                    Target::One(presentity) => {
                        let model = &self.bench.model;
                        let allowed = allowed
                            .entry((presentity, from))
                            .or_insert_with(|| model.allowed(presentity, from, now));
                        let shown = dialog.shown.as_ref().unwrap_or(&Shown::Nothing);
                        let user = key.target.user();
                        self.judge_among(phone.watcher(), None, &user, shown, from, allowed)
                    }
                    Target::List { user, knows_lists } => {
                        self.judge_list_key(phone.watcher(), user, knows_lists, dialog, from)
                    }
                };
                verdict = verdict.map_err(|fault| {
                    format!(
                        "{} of {:?} {:?}: {fault}",
                        dialog.call_id, key.package, key.target
                    )
                });
            }
        }
        self.judged += judged;
        if let Err(fault) = verdict {
            self.fail("a watcher shows an old state", fault);
        }
    }

    /// Returns whether a watcher is healthy: since the calm began it has refreshed from its current
    /// address, and has had time to be notified, also since it last requested a pause or was frozen
    /// until a NOTIFY timed out. The end is notified once: a phone that is busy then learns of it
    /// from the response to its next SUBSCRIBE. A dialog on a path that was not proven in time ends
    /// without a NOTIFY.
    pub(super) fn is_well(&self, phone: &Phone, key: &Key, dialog: &Dialog) -> bool {
        let now = self.bench.net.now;
        let since = self.bench.net.calm_since.max(phone.moved_at);
        let patience = patience_with(phone, key, &self.bench.net.plan);
        let judge = &self.bench.checker;
        let paused_until = judge.paused_until(&dialog.key());
        dialog.established
            && !dialog.missed_end
            && !dialog.is_forked
            && !judge.may_be_gone(now, &dialog.key())
            && now > paused_until + patience
            && now > phone.troubled_until + patience
            && dialog.asked_at > since
            && now > dialog.granted_at.max(since + 10 * SECOND) + patience
            && now > self.recovered_at + patience + self.hold_max()
            && now < dialog.expires_at
    }
}

/// The minimum rate in Subscription-State.
fn least_rate(standing: &str) -> LeastRate {
    let period = |rate: &str| (SECOND as f64 / rate.parse().unwrap_or(1.0)) as Micros;
    let (least, adaptive) = ("min-rate", "adaptive-min-rate");
    match (parameter(standing, least), parameter(standing, adaptive)) {
        (Some(rate), _) => LeastRate::Every(period(rate)),
        (None, Some(_)) => LeastRate::Adaptive,
        (None, None) => LeastRate::Nothing,
    }
}

/// How long a phone may show an old state: its rate limit and its own delay, twice, because the
/// state may change while it waits, plus the time for each NOTIFY sent before the one with the
/// current state.
fn patience_with(phone: &Phone, key: &Key, plan: &Plan) -> Micros {
    let one = 2 * phone.slowness() + key.rates.gap() + 10 * MILLISECOND;
    // The minimum rates of its keys use up the phone's rate limit as well.
    let reports = if plan.rates > 0 { 3 } else { 1 };
    let before = notifies_before(key, plan);
    2 * SECOND + reports * plan.pace_max() + before * one + plan.propagation_max()
}

/// NOTIFYs that may be sent before the one with a change: the one in flight and, in a list notified
/// one resource at a time, those of all other resources whose state changes. `max-rate` applies
/// between any two of them (RFC 6446 §5.2), except RLMI NOTIFYs that carry the full state together.
fn notifies_before(key: &Key, plan: &Plan) -> u64 {
    match key.target {
        Target::One(_) => 1,
        Target::List { .. } => 2 + plan.all_presentities().count() as u64,
    }
}

/// The version of a body, and for a list whether it is full.
fn describe(content_type: &str, body: &str) -> Result<(Option<u32>, Option<bool>), &'static str> {
    if body.is_empty() {
        return Ok((None, None));
    }
    if content_type.starts_with("multipart/") {
        let list = crate::rlmi::read(content_type, body)?;
        return Ok((Some(list.version), Some(list.is_full)));
    }
    Ok((read(body)?.version, None))
}
