//! Writes the records of dialogs (see `record::dialog`), and removes the records of dialogs without an
//! active subscription.
//!
//! Active subscriptions are recorded, except those that hold an appearance of a shared line: these last
//! some seconds, and the phone seizes again. Fetches, and subscriptions that ended, are not recorded.

use std::borrow::Cow;
use std::ops::Range;

use crate::directory::Directory;
use crate::presence::event::list::Member;
use crate::record::dialog::{DialogRecord, FlowRecord, SubscriptionRecord};
use crate::shard::contract::commit::RecordKey;
use crate::shard::contract::flow::Flow;
use crate::shard::contract::ids::DialogId;
use crate::shard::contract::place::Place;
use crate::shard::contract::turn::Turn;
use crate::shard::list::state::ListState;
use crate::shard::subscription::changes::Change;
use crate::shard::subscription::event_rate::Terms;
use crate::shard::subscription::recorded::RESERVED;
use crate::shard::subscription::table::Table;
use crate::shard::subscription::up_to_date::appearance;
use crate::shard::subscription::{Phase, Subscription};

impl Table {
    /// Writes the record of each dialog that changed in this turn.
    pub(crate) fn write_records(&mut self, turn: &mut Turn<'_>) {
        while let Some(change) = self.changes.next() {
            self.write_record(change, turn);
        }
    }

    fn write_record(&mut self, change: Change, turn: &mut Turn<'_>) {
        let id = change.dialog;
        let key = RecordKey::Dialog(Place::of(id.0, turn.options).0);
        let was_marked = self.take_mark(id);
        let octets = was_marked.then(|| self.encode(id, turn)).flatten();
        if let Some(octets) = octets {
            let number = turn.commits.record(key, Some(octets), turn.out);
            if let Some(entry) = self.dialogs.get_mut(id) {
                let sequence = entry.dialog.local_sequence();
                entry.recorded.write(number, sequence, turn.commits);
            }
            return;
        }
        match self.dialogs.get_mut(id).map(|entry| &mut entry.recorded) {
            Some(recorded) if was_marked && recorded.is_there() => {
                let number = turn.commits.record(key, None, turn.out);
                recorded.remove(number, turn.commits);
            }
            // Another dialog with the same place has replaced the record.
            Some(recorded) if recorded.is_there() => {}
            Some(_) | None if change.has_left_record => {
                turn.commits.record(key, None, turn.out);
            }
            Some(_) | None => {}
        }
    }

    fn take_mark(&mut self, id: DialogId) -> bool {
        let entry = self.dialogs.get_mut(id);
        entry.is_some_and(|entry| std::mem::take(&mut entry.recorded.is_marked))
    }

    /// Appends the record of a dialog to the arena; None if no subscription of it is to be recorded.
    fn encode(&self, id: DialogId, turn: &mut Turn<'_>) -> Option<Range<usize>> {
        let entry = self.dialog(id)?;
        let path = self.path_of(entry)?;
        let mut subscriptions = Vec::with_capacity(entry.subscriptions.len());
        let mut began = None;
        for usage in &entry.subscriptions {
            let subscription = self.subscription(*usage);
            if let Some(subscription) = subscription.filter(|it| it.is_recorded()) {
                subscriptions.extend(self.record_of(subscription, turn.directory));
                // Nearly all dialogs have one subscription.
                began = began.into_iter().chain(subscription.began()).min();
            }
        }
        if subscriptions.is_empty() {
            return None;
        }
        let is_path_proven = self.is_path_proven(entry.path);
        let record = DialogRecord {
            place: Place::of(id.0, turn.options).0,
            dialog: Cow::Borrowed(&entry.dialog),
            sequence_limit: entry.dialog.local_sequence().saturating_add(RESERVED),
            flow: flow_record(&path.flow),
            destination: path.destination,
            is_path_proven,
            profile: Cow::Borrowed(&entry.profile.name),
            up_to_date_by: entry
                .recorded
                .up_to_date_within(is_path_proven)
                .map(|within| turn.now + within),
            sender: entry.sender().map(Cow::Borrowed),
            subscriptions,
            instance: entry.instance().unwrap_or_default(),
            voucher: entry.voucher().map(|name| Cow::Borrowed(&**name)),
            began,
        };
        let start = turn.out.arena.len();
        record.encode(turn.clock(), &mut turn.out.arena);
        Some(start..turn.out.arena.len())
    }

    fn record_of<'a>(
        &'a self,
        subscription: &'a Subscription,
        directory: &Directory,
    ) -> Option<SubscriptionRecord<'a>> {
        let aor = self.aor_of(subscription)?;
        Some(SubscriptionRecord {
            aor: aor.clone(),
            package: subscription.package(),
            format: subscription.view().format,
            subject: subscription
                .subject()
                .record(|list| self.members_of(list))?,
            listed: listed(subscription),
            event: Cow::Borrowed(subscription.event()),
            entity: Cow::Borrowed(subscription.entity()),
            terms: subscription.terms().map(Terms::record).unwrap_or_default(),
            handling: subscription.decision().handling,
            privacy: subscription.decision().privacy,
            appearance: appearance(subscription, aor, directory),
            version: subscription.version().saturating_add(RESERVED),
            expires_at: subscription.expires_at(),
        })
    }

    /// The members of a list that came in the body of a SUBSCRIBE. A member that is not a user of this
    /// server has no address of record.
    fn members_of(&self, list: &ListState) -> Vec<Member> {
        let members = list.resources().map(|resource| Member {
            uri: resource.uri().into(),
            aor: resource
                .slot()
                .and_then(|slot| Some(self.watched(slot.watched)?.aor().clone())),
            name: resource.name().into(),
        });
        members.collect()
    }
}

impl Subscription {
    /// Whether it survives a restart.
    fn is_recorded(&self) -> bool {
        self.phase() == Phase::Active && self.subject().is_recorded()
    }
}

/// The URIs that the phone of a list subscription may show.
fn listed(subscription: &Subscription) -> Vec<Cow<'_, str>> {
    let list = subscription.subject().list().into_iter();
    list.flat_map(ListState::listed)
        .map(Cow::Borrowed)
        .collect()
}

fn flow_record(flow: &Flow) -> FlowRecord {
    FlowRecord {
        transport: flow.transport,
        local: flow.local,
        peer: flow.peer,
    }
}
