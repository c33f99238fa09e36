//! The operator's side: call_state.htm, `why`, `watchers`, reload, drain, counters.

use std::time::Instant;

use crate::presence::Aor;
use crate::presence::Presentity;
use crate::presence::composition::lamp;
use crate::presence::contribution::Explained;
use crate::presence::policy::Handling;
use crate::presence::subscription::Termination;
use crate::shard::compositor::Compositor;
use crate::shard::engine::Engine;
use crate::shard::mail::Command;
use crate::shard::mail::Contribution;
use crate::shard::mail::Reply;
use crate::shard::mail::WatcherReport;
use crate::shard::mail::Why;
use crate::shard::subscription::Phase;
use crate::shard::subscription::Subject;
use crate::shard::subscription::Subscription;
use crate::shard::subscription::Wants;
use crate::shard::subscriptions::Subscriptions;
use crate::shard::table::SubscriptionId;
use crate::shard::table::Table;
use crate::shard::table::Watcher;
use crate::shard::turn::Turn;
use crate::shard::winfo::WatcherInfos;

/// Subscriptions ended by one `Drain`: at 50 commands a second, 50,000 a second.
const DEACTIVATIONS_PER_DRAIN: usize = 1_000;

impl Engine {
    pub(crate) fn handle_command(&mut self, command: Command, turn: &mut Turn<'_>) -> Reply {
        match command {
            Command::Say { aor, said } => {
                if self.compositor.take_statement(&aor, said, turn) {
                    Reply::Done
                } else {
                    Reply::OverLimit
                }
            }
            Command::Why(aor) => Reply::Why(self.compositor.why(&aor, turn)),
            Command::Watchers(aor) => Reply::Watchers(self.subscriptions.winfo.watchers(
                &aor,
                &mut self.subscriptions.table,
                turn,
            )),
            Command::Loops => Reply::Loops(self.uas.shield.loops(turn)),
            Command::Refusals => Reply::Refusals(self.uas.shield.refusals(turn)),
            // The turn has the new directory.
            Command::Reload(_) => {
                self.take_directory(turn);
                Reply::Done
            }
            Command::Drain => {
                self.subscriptions.is_draining = true;
                self.subscriptions.deactivate_some(turn);
                Reply::Outstanding(
                    self.subscriptions.table.subscriptions.len() + self.notifier.outstanding(),
                )
            }
            Command::Counters => Reply::Counters(self.count(turn)),
        }
    }

    /// The counters, and how full the tables are.
    fn count(&self, turn: &mut Turn<'_>) -> Vec<(&'static str, u64)> {
        let mut counters = turn.counters.snapshot();
        counters.extend(self.uas.refusal_counters.iter());
        counters.extend([
            (
                "responses_evicted_early",
                self.uas.transactions.evicted_early(),
            ),
            (
                "subscriptions",
                self.subscriptions.table.subscriptions.len() as u64,
            ),
            ("presentities", self.compositor.presentities.len() as u64),
            ("notifies_outstanding", self.notifier.outstanding() as u64),
            (
                "notifies_queued",
                self.subscriptions.table.queue.len() as u64,
            ),
            ("timers", turn.wheel.len() as u64),
            ("phones_looping", self.uas.shield.loops(turn).len() as u64),
        ]);
        counters
    }
}

impl Subscriptions {
    /// Tells some of the phones to subscribe anew, elsewhere or to the process that follows
    /// (W:A3.10). Each command takes the next, so that the one who drains sets the pace.
    fn deactivate_some(&mut self, turn: &mut Turn<'_>) {
        let from = self.drained.0;
        let active = self
            .table
            .subscriptions
            .iter()
            .skip_while(|(id, _)| *id < from as usize);
        let ids: Vec<SubscriptionId> = active
            .filter(|(_, subscription)| subscription.phase == Phase::Active)
            .map(|(id, _)| SubscriptionId(id as u32))
            .take(DEACTIVATIONS_PER_DRAIN)
            .collect();
        for id in ids {
            self.drained = id;
            self.end_subscription(id, Termination::Deactivated, turn);
            self.table.want(id, Wants::Notify);
        }
    }
}

impl Compositor {
    fn why(&mut self, aor: &Aor, turn: &Turn<'_>) -> Why {
        let id = self.presentities.find(aor);
        match id.and_then(|id| self.presentities.get_mut(id)) {
            Some(owned) => explain(&owned.presentity, turn.now),
            // Nobody has said anything, but the configuration may.
            None => {
                let mut presentity = Presentity::default();
                presentity.set_rules(turn.directory.rules_of(aor), turn.now);
                explain(&presentity, turn.now)
            }
        }
    }
}

impl WatcherInfos {
    fn watchers(&self, aor: &Aor, table: &mut Table, turn: &Turn<'_>) -> Vec<WatcherReport> {
        let watched = table.watched_by_aor(aor);
        let watchers = watched.map_or(&[][..], |watched| &watched.watchers);
        let of_presentity = watchers.iter().copied();
        let subscriptions = turn
            .directory
            .is_list(aor)
            .then(|| table.subscriptions.iter());
        let is_to = |subscription: &Subscription| matches!(&subscription.subject, Subject::List(list) if list.aor() == aor);
        // Lists are not looked up by address anywhere else: the operator waits for a walk.
        let of_list = subscriptions
            .into_iter()
            .flatten()
            .filter(|(_, subscription)| is_to(subscription))
            .map(|(id, _)| SubscriptionId(id as u32));
        let whole = |subscription| Watcher {
            subscription,
            resource: Watcher::WHOLE,
        };
        of_presentity
            .chain(of_list.chain(self.audiences(aor)).map(whole))
            .filter_map(|watcher| table.report(watcher, turn))
            .collect()
    }
}

impl Table {
    fn report(&self, watcher: Watcher, turn: &Turn<'_>) -> Option<WatcherReport> {
        let subscription = self.subscription(watcher.subscription)?;
        let entry = self.dialog(subscription.dialog)?;
        let flow = self.flow_of(entry);
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let (list, decision) = match &subscription.subject {
            Subject::List(list) if watcher.resource != Watcher::WHOLE => (
                Some(list.aor().to_string()),
                list.resources.get(watcher.resource as usize)?.decision,
            ),
            _ => (None, subscription.decision),
        };
        Some(WatcherReport {
            shard: turn.options.id.0,
            watcher: text(entry.watcher_uri()),
            package: subscription.package.token(),
            flow: format!("{} {}", flow.transport.uri_parameter(), flow.peer),
            target: text(entry.dialog.remote_target()),
            state: match (entry.is_cut, decision.handling) {
                (true, _) => "no flow",
                (_, Handling::Confirm) => "pending",
                (_, Handling::PoliteBlock) => "polite-block",
                _ => standing(subscription),
            },
            list,
            rule: turn.directory.rule_text(decision.rule).into_owned(),
            privacy: decision.privacy as u8,
            profile: entry.profile.name.to_string(),
            notifies: subscription.version,
            remaining: subscription.expires_at.saturating_duration_since(turn.now),
            call_id: text(entry.dialog.call_id()),
        })
    }
}

fn standing(subscription: &Subscription) -> &'static str {
    if subscription.strikes > 0 || subscription.refusals > 0 {
        "probation"
    } else if subscription.in_flight.is_some() {
        "waiting"
    } else {
        "active"
    }
}

fn explain(presentity: &Presentity, now: Instant) -> Why {
    let composed = presentity.composed();
    let age = |contribution: Explained| Contribution {
        source: contribution.source,
        says: contribution.says,
        age: now.saturating_duration_since(contribution.since),
        remaining: contribution
            .until
            .map(|until| until.saturating_duration_since(now)),
        decides: contribution.decides,
    };
    Why {
        availability: composed.availability.to_string(),
        basic: if composed.open { "open" } else { "closed" },
        lamp: lamp(composed).as_str(),
        extended: composed.extended,
        because: presentity.verdict(),
        contributions: presentity.explain(now).into_iter().map(age).collect(),
    }
}
