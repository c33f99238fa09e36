//! The operator's side: call_state.htm, `why`, `watchers`, reload, drain, counters.

use std::time::Instant;

use crate::presence::Aor;
use crate::presence::Presentity;
use crate::presence::composition::lamp;
use crate::presence::event::Termination;
use crate::presence::policy::Handling;
use crate::presence::presentity::Explained;
use crate::shard::Shard;
use crate::shard::mail::Command;
use crate::shard::mail::Contribution;
use crate::shard::mail::Reply;
use crate::shard::mail::WatcherReport;
use crate::shard::mail::WatcherState;
use crate::shard::mail::Why;
use crate::shard::outbox::Outbox;
use crate::shard::subscription::Phase;
use crate::shard::subscription::Subject;
use crate::shard::subscription::Subscription;
use crate::shard::subscription::Wants;
use crate::shard::table::SubscriptionId;
use crate::shard::table::Watcher;

/// Subscriptions ended by one `Drain`: at 50 commands a second, 50,000 a second.
const DEACTIVATIONS_PER_DRAIN: usize = 1_000;

impl Shard {
    pub(crate) fn handle_command(
        &mut self,
        command: Command,
        now: Instant,
        out: &mut Outbox,
    ) -> Reply {
        match command {
            Command::Say { aor, said } => {
                if self.take_statement(&aor, said, now, out) {
                    Reply::Done
                } else {
                    Reply::OverLimit
                }
            }
            Command::Why(aor) => Reply::Why(self.why(&aor, now)),
            Command::Watchers(aor) => Reply::Watchers(self.watchers(&aor, now)),
            Command::Loops => Reply::Loops(self.loops(now)),
            Command::Refusals => Reply::Refusals(self.refusals(now)),
            Command::Reload(directory) => {
                self.take_directory(directory, now);
                Reply::Done
            }
            Command::Drain => {
                self.is_draining = true;
                self.deactivate_some();
                Reply::Outstanding(self.table.subscriptions.len() + self.notifier.outstanding())
            }
            Command::Counters => Reply::Counters(self.count(now)),
        }
    }

    /// Tells some of the phones to subscribe anew, elsewhere or to the process that follows
    /// (W:A3.10). Each command takes the next, so that the one who drains sets the pace.
    fn deactivate_some(&mut self) {
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
            self.end_subscription(id, Termination::Deactivated);
            self.want(id, Wants::Notify);
        }
    }

    fn why(&mut self, aor: &Aor, now: Instant) -> Why {
        let id = self.presentities.find(aor);
        match id.and_then(|id| self.presentities.get_mut(id)) {
            Some(owned) => explain(&owned.presentity, now),
            // Nobody has said anything, but the configuration may.
            None => {
                let mut presentity = Presentity::default();
                presentity.set_rules(self.directory.rules_of(aor), now);
                explain(&presentity, now)
            }
        }
    }

    fn watchers(&self, aor: &Aor, now: Instant) -> Vec<WatcherReport> {
        let watched = self.table.watched_by_aor(aor);
        let watchers = watched.map_or(&[][..], |watched| &watched.watchers);
        let of_presentity = watchers.iter().copied();
        let subscriptions = self
            .directory
            .is_list(aor)
            .then(|| self.table.subscriptions.iter());
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
            .chain(of_list.chain(self.winfo.audiences(aor)).map(whole))
            .filter_map(|watcher| self.report(watcher, now))
            .collect()
    }

    fn report(&self, watcher: Watcher, now: Instant) -> Option<WatcherReport> {
        let subscription = self.table.subscription(watcher.subscription)?;
        let entry = self.table.dialog(subscription.dialog)?;
        let flow = self.table.flow_of(entry);
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let (list, decision) = match &subscription.subject {
            Subject::List(list) if watcher.resource != Watcher::WHOLE => (
                Some(list.aor().clone()),
                list.resources.get(watcher.resource as usize)?.decision,
            ),
            _ => (None, subscription.decision),
        };
        Some(WatcherReport {
            shard: self.options.id,
            watcher: text(entry.watcher_uri()),
            package: subscription.package,
            transport: flow.transport,
            peer: flow.peer,
            target: text(entry.dialog.remote_target()),
            state: match (entry.is_cut, decision.handling) {
                (true, _) => WatcherState::NoFlow,
                (_, Handling::Confirm) => WatcherState::Pending,
                (_, Handling::PoliteBlock) => WatcherState::PoliteBlock,
                _ => standing(subscription),
            },
            list,
            rule: self.directory.deciding_rule(decision.rule),
            privacy: decision.privacy,
            profile: entry.profile.name.to_string(),
            notifies: subscription.version,
            remaining: subscription.expires_at.saturating_duration_since(now),
            call_id: text(entry.dialog.call_id()),
        })
    }

    /// The counters, and how full the tables are.
    fn count(&self, now: Instant) -> Vec<(&'static str, u64)> {
        let mut counters = self.counters.snapshot();
        counters.extend(self.refusal_counters.iter());
        counters.extend([
            ("responses_evicted_early", self.transactions.evicted_early()),
            ("subscriptions", self.table.subscriptions.len() as u64),
            ("presentities", self.presentities.len() as u64),
            ("notifies_outstanding", self.notifier.outstanding() as u64),
            ("notifies_queued", self.queue.len() as u64),
            ("timers", self.wheel.len() as u64),
            ("phones_looping", self.loops(now).len() as u64),
        ]);
        counters
    }
}

fn standing(subscription: &Subscription) -> WatcherState {
    if subscription.strikes > 0 || subscription.refusals > 0 {
        WatcherState::Probation
    } else if subscription.in_flight.is_some() {
        WatcherState::Waiting
    } else {
        WatcherState::Active
    }
}

fn explain(presentity: &Presentity, now: Instant) -> Why {
    let composed = presentity.composed();
    let age = |contribution: Explained| Contribution {
        source: contribution.source,
        asserts: contribution.asserts,
        age: now.saturating_duration_since(contribution.since),
        remaining: contribution
            .until
            .map(|until| until.saturating_duration_since(now)),
        decides: contribution.decides,
    };
    Why {
        availability: composed.availability,
        is_open: composed.open,
        lamp: lamp(composed),
        extended: composed.extended,
        rule: presentity.rule(),
        contributions: presentity.explain(now).into_iter().map(age).collect(),
    }
}
