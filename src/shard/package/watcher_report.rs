//! The watchers of a presentity, as the operator sees them.

use std::time::Duration;

use crate::presence::Aor;
use crate::presence::policy::Handling;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::{SubscriptionId, WatchSlot};
use crate::shard::contract::report::{WatcherReport, WatcherState};
use crate::shard::contract::turn::Turn;
use crate::shard::package::winfo::WatcherInfos;
use crate::shard::subscription::Subscription;
use crate::shard::subscription::table::Table;
use crate::shard::subscription::watched::WatcherSlot;

impl WatcherInfos {
    pub(crate) fn watchers(&self, aor: &Aor, table: &Table, turn: &Turn<'_>) -> Vec<WatcherReport> {
        let of_presentity = table.watchers_of(aor);
        let subscriptions = turn.directory.is_list(aor).then(|| table.subscriptions());
        let is_to = |subscription: &Subscription| {
            let list = subscription.subject().list();
            list.is_some_and(|list| list.aor() == aor)
        };
        // Lists are not looked up by address anywhere else: the operator waits for a walk.
        let of_list = subscriptions
            .into_iter()
            .flatten()
            .filter(|(_, subscription)| is_to(subscription))
            .map(|(id, _)| id);
        let whole = |subscription| WatcherSlot {
            subscription,
            resource: WatcherSlot::WHOLE,
        };
        of_presentity
            .chain(of_list.chain(self.audiences(aor)).map(whole))
            .filter_map(|watcher| report(table, aor.clone(), watcher, turn))
            .collect()
    }
}

/// The subscription at a place of the table; one to a list as a whole.
pub(crate) fn of_subscription(
    table: &Table,
    id: SubscriptionId,
    turn: &Turn<'_>,
) -> Option<WatcherReport> {
    let subject = table.subscription(id)?.subject();
    let watched = |slot: WatchSlot| Some(table.watched(slot.watched)?.aor());
    let presentity = subject.aor().or_else(|| subject.slot().and_then(watched))?;
    let whole = WatcherSlot {
        subscription: id,
        resource: WatcherSlot::WHOLE,
    };
    report(table, presentity.clone(), whole, turn)
}

fn report(
    table: &Table,
    presentity: Aor,
    watcher: WatcherSlot,
    turn: &Turn<'_>,
) -> Option<WatcherReport> {
    let subscription = table.subscription(watcher.subscription);
    let subscription = subscription.expected("a watcher is a subscription")?;
    let entry = table.dialog(subscription.dialog());
    let entry = entry.expected("a subscription has a dialog")?;
    let flow = table.flow_of(entry)?;
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let watched = subscription.watcher(watcher.resource);
    let watched = watched.expected("a watcher names its resource")?;
    let decision = watched.decision;
    let rule = turn
        .directory
        .deciding_rule(presentity.domain(), decision.rule);
    Some(WatcherReport {
        shard: turn.options.id,
        presentity,
        watcher: text(entry.watcher_uri()),
        package: subscription.package(),
        transport: flow.transport,
        peer: flow.peer,
        target: text(entry.dialog().remote_target()),
        state: match (entry.is_cut(), decision.handling) {
            (true, _) => WatcherState::NoFlow,
            (_, Handling::Confirm) => WatcherState::Pending,
            (_, Handling::PoliteBlock) => WatcherState::PoliteBlock,
            _ => state_of(subscription),
        },
        list: watched.list.cloned(),
        rule,
        privacy: decision.privacy,
        profile: entry.profile().name.to_string(),
        age: age_of(subscription, turn),
        notifies: subscription.version(),
        sequence: entry.dialog().local_sequence(),
        unanswered: subscription.strikes(),
        refused: subscription.refusals(),
        remaining: subscription
            .expires_at()
            .saturating_duration_since(turn.now),
        call_id: text(entry.dialog().call_id()),
    })
}

/// In whole seconds.
fn age_of(subscription: &Subscription, turn: &Turn<'_>) -> Option<Duration> {
    let (now, began) = (turn.clock().second_of(turn.now)?, subscription.began()?);
    let seconds = now.get().saturating_sub(began.get());
    Some(Duration::from_secs(seconds.into()))
}

fn state_of(subscription: &Subscription) -> WatcherState {
    if subscription.strikes() > 0 || subscription.refusals() > 0 {
        WatcherState::Probation
    } else if subscription.in_flight().is_some() {
        WatcherState::AwaitingResponse
    } else {
        WatcherState::Active
    }
}
