//! Dialogs come back after a restart, each to the place that its To-tag names.
//!
//! A record holds what was agreed with the phone: the dialog, its route, its subscriptions and when
//! they expire. What the server decides (profile, rules, members of lists) is decided again by the
//! directory in force. A subscription that expired meanwhile, or whose resource no longer exists, ends
//! as it would have without the restart.
//!
//! A subscription that a phone ended has no record any more. If its 200 was lost with the process, the phone
//! repeats its SUBSCRIBE with `Expires: 0` to a process that never knew the dialog, and gets 481. That ends
//! the dialog for the phone, as the 200 would have (RFC 3261 §12.2.1.2); no tombstone is kept for it.
//!
//! A phone that knew everything when the earlier process ended is not notified (`subscription/up_to_date.rs`).
//!
//! Guarantees: CSeq and versions are higher than any that may have been sent; the first NOTIFY carries
//! full state; dialogs on a connection that ended with the process wait for the next SUBSCRIBE.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use crate::directory::Peer;
use crate::presence::document::View;
use crate::presence::event::Termination;
use crate::presence::event::list::Resolved;
use crate::presence::policy::Decision;
use crate::presence::profile::Profile;
use crate::record::dialog::{DialogRecord, FlowRecord, SubjectRecord, SubscriptionRecord};
use crate::shard::contract::commit::RecordKey;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::flow::{ConnectionId, Flow};
use crate::shard::contract::ids::{DialogId, SubscriptionId};
use crate::shard::contract::options::Options;
use crate::shard::contract::place::Place;
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::lifecycle::recovered_phones::{KnownPhone, watcher_uri};
use crate::shard::list::plan::ListPlan;
use crate::shard::list::state::Encoding;
use crate::shard::peer::path::Path;
use crate::shard::request::headers::any_address_of_record;
use crate::shard::subscription::dialog_entry::{DialogEntry, Standing};
use crate::shard::subscription::dialogs::RecoveredDialog;
use crate::shard::subscription::event_rate::Terms;
use crate::shard::subscription::shown::Shown;
use crate::shard::subscription::watcher::{Watcher, decide};
use crate::shard::subscription::{NewSubscription, Phase, Wants, up_to_date};

impl Subscriptions {
    /// Reserves the places below `dialogs_end` for recorded dialogs. The last
    /// commit before was at `committed_at`.
    pub(crate) fn begin_recovery(
        &mut self,
        dialogs_end: u32,
        committed_at: Option<Instant>,
        turn: &Turn<'_>,
    ) {
        self.committed_at = committed_at;
        let (shards, id) = (turn.options.shards.max(1), turn.options.id.0);
        let indexes = dialogs_end
            .saturating_sub(u32::from(id))
            .div_ceil(u32::from(shards));
        self.table.withhold_dialogs(indexes);
    }

    /// Recovers a dialog with its subscriptions. A record that cannot be decoded is removed. The record
    /// of a dialog that began after the restart may be read too, and is ignored.
    pub(crate) fn recover(&mut self, place: u32, octets: &[u8], turn: &mut Turn<'_>) {
        let (shards, here) = (turn.options.shards, turn.options.id);
        let id = DialogId(Place(place).index(shards));
        let is_here = Place(place).shard(shards) == here;
        debug_assert!(is_here, "a record comes to the shard that holds its place");
        if !is_here || !self.table.is_withheld(id) {
            return;
        }
        let record = DialogRecord::decode(octets, turn.clock());
        let record = record.ok().filter(|record| record.place == place);
        let is_kept = match record.filter(|record| !record.subscriptions.is_empty()) {
            Some(record) if self.is_begun_again(id, &record, turn) => {
                turn.counters.records_obsolete += 1;
                false
            }
            Some(record) => {
                self.continue_dialog(id, record, turn);
                true
            }
            None => {
                turn.counters.records_unreadable += 1;
                false
            }
        };
        if !is_kept {
            let key = RecordKey::Dialog(place);
            turn.commits.record(key, None, turn.out);
        }
    }

    /// Whether the phone repeated the SUBSCRIBE that began a dialog before its record came, and so knows
    /// another dialog. If it may still repeat it, that is noted.
    fn is_begun_again(
        &mut self,
        id: DialogId,
        record: &DialogRecord<'_>,
        turn: &mut Turn<'_>,
    ) -> bool {
        let is_young = record
            .up_to_date_by
            .is_none_or(|up_to_date_by| up_to_date_by > turn.now);
        is_young && !self.table.note_young(id, record, turn)
    }

    /// There is no record for this place: if it is still reserved, it becomes free.
    pub(crate) fn release(&mut self, place: u32, turn: &Turn<'_>) {
        let index = Place(place).index(turn.options.shards);
        self.table.release_dialog(DialogId(index));
    }

    /// A stream was handed over: dialogs that come back go on on it.
    pub(crate) fn continue_stream(&mut self, flow: Flow) {
        self.streams.add(flow);
    }

    /// A stream has ended.
    pub(crate) fn forget_stream(&mut self, connection: ConnectionId) {
        self.streams.remove(connection);
    }

    /// Whether recorded dialogs are still to come.
    pub(crate) fn is_recovering(&self) -> bool {
        self.table.is_recovering()
    }

    /// Another directory is in force.
    pub(crate) fn directory_changed(&mut self) {
        self.recovered_phones.clear();
    }

    /// Ends recovery: places that are still reserved become free.
    pub(crate) fn end_recovery(&mut self, turn: &mut Turn<'_>) {
        self.streams.clear();
        self.recovered_phones.clear();
        self.table.release_dialogs(turn.now);
    }

    fn continue_dialog(&mut self, id: DialogId, mut record: DialogRecord<'_>, turn: &mut Turn<'_>) {
        let subscriptions = std::mem::take(&mut record.subscriptions);
        let committed_at = self.committed_at;
        let is_up_to_date = |up_to_date_by| committed_at.is_some_and(|at| up_to_date_by <= at);
        let is_up_to_date = record.up_to_date_by.is_some_and(is_up_to_date);
        let is_behind = record.up_to_date_by.is_none();
        let began = record.began;
        let phone = self.take_back(id, record, turn);
        for record in subscriptions {
            let appearance = record.appearance;
            let subscription = self.recover_subscription((id, began), &phone, record, turn);
            self.resume(subscription, (is_up_to_date, appearance), turn);
        }
        if is_behind {
            self.table.fall_behind_in(id);
        }
    }

    /// Takes back a dialog without its subscriptions. Returns what is known of its phone.
    fn take_back(
        &mut self,
        id: DialogId,
        record: DialogRecord<'_>,
        turn: &mut Turn<'_>,
    ) -> KnownPhone {
        let known = self.recovered_phones.find(&record).cloned();
        let was_known = known.is_some();
        let mut phone = known.unwrap_or_else(|| self.find_out(&record, turn));
        let path = (record.flow, record.destination);
        let seat = self
            .table
            .recover_dialog(id, recovered_dialog(record, &phone), turn);
        if !was_known || phone.seat != Some(seat) {
            phone.seat = Some(seat);
            let entry = self.table.dialog(id);
            if let Some(entry) = entry.expected("it was just recovered") {
                self.recovered_phones.remember(path, entry, phone.clone());
            }
        }
        phone
    }

    /// What a record says of the phone of its dialog.
    fn find_out(&self, record: &DialogRecord<'_>, turn: &Turn<'_>) -> KnownPhone {
        let (flow, is_there) = self.flow_of(&record.flow, turn.options);
        KnownPhone {
            profile: profile_of(&record.profile, turn),
            flow,
            is_there,
            watcher: any_address_of_record(watcher_uri(record), turn.directory),
            seat: None,
        }
    }

    /// Recovers a subscription: as it was decided about, if the directory in force decides alike about
    /// the subscription to one presentity; any other is re-evaluated.
    fn recover_subscription(
        &mut self,
        (dialog, began): (DialogId, Option<NonZeroU32>),
        phone: &KnownPhone,
        record: SubscriptionRecord<'_>,
        turn: &mut Turn<'_>,
    ) -> SubscriptionId {
        let entry = self.table.dialog(dialog);
        let voucher = entry.and_then(DialogEntry::voucher);
        let in_force = decision_in_force(&record, (phone, voucher), turn);
        let decision = in_force.unwrap_or(Decision {
            handling: record.handling,
            privacy: record.privacy,
            ..Decision::ALLOW
        });
        let plan = plan_of(&record, turn);
        let new = NewSubscription {
            package: record.package,
            view: View {
                format: record.format,
                privacy: decision.privacy,
                rendering: phone.profile.rendering,
            },
            decision,
            terms: Terms::recovered(record.terms, turn.now),
            history: Shown::of(record.format, phone.profile.partial_dialog_info),
            event: &record.event,
            entity: &record.entity,
            expires_at: record.expires_at,
            began,
            version: record.version,
            is_recovered: true,
        };
        let id = self.add(dialog, (&record.aor, plan), new, turn);
        self.continue_list(id, &record.listed, record.package, turn);
        turn.counters.subscriptions_recovered += 1;
        if in_force.is_none() {
            self.reevaluate_subscription(id, turn);
        }
        id
    }

    /// The flow of a dialog, and whether it is there.
    fn flow_of(&self, record: &FlowRecord, options: &Options) -> (Flow, bool) {
        if let Some(flow) = self.streams.find(record) {
            return (flow, true);
        }
        let listener = listener_of(record, options);
        let is_stream = record.transport.is_reliable();
        let flow = Flow {
            transport: record.transport,
            listener: listener.unwrap_or_default(),
            connection: match is_stream {
                true => ConnectionId::GONE,
                false => ConnectionId::default(),
            },
            local: record.local,
            peer: record.peer,
        };
        (flow, listener.is_some() && !is_stream)
    }

    /// Continues a subscription, or ends it if it has expired. `is_up_to_date`: its phone knew everything when
    /// the earlier process ended, in documents of that appearance.
    fn resume(
        &mut self,
        id: SubscriptionId,
        (is_up_to_date, appearance): (bool, u64),
        turn: &mut Turn<'_>,
    ) {
        let subscription = self.table.subscription(id);
        let Some(subscription) = subscription.expected("it was just recovered") else {
            return;
        };
        if subscription.phase() == Phase::Active
            && subscription.lives_until(turn.options) <= turn.now
        {
            turn.counters.subscriptions_expired += 1;
            self.end_subscription(id, Termination::Timeout, turn);
        } else {
            self.table.arm_subscription(id, turn);
        }
        if !is_up_to_date || self.has_news(id, appearance, turn) {
            return self.tell_again(id, turn);
        }
        match self.table.knows_state(id) {
            Some(true) => turn.counters.subscriptions_known += 1,
            Some(false) => self.tell_again(id, turn),
            // Its owner is about to answer.
            None => {}
        }
    }

    fn tell_again(&mut self, id: SubscriptionId, turn: &mut Turn<'_>) {
        turn.counters.subscriptions_notified_again += 1;
        let subscription = self.table.subscription(id);
        if let Some(subscription) = subscription.expected("it was just recovered") {
            self.table.require_notify(subscription.dialog());
        }
        self.table.want(id, Wants::Notify);
    }

    /// Whether a phone that knew everything has to be notified all the same: that its
    /// subscription ends, what is not the state of one presentity, or that its view changed.
    fn has_news(&self, id: SubscriptionId, appearance: u64, turn: &Turn<'_>) -> bool {
        let subscription = self.table.subscription(id);
        let subscription = subscription.filter(|it| it.phase() == Phase::Active);
        subscription.is_none_or(|subscription| {
            let aor = self.table.aor_of(subscription);
            let is_alike = aor.is_some_and(|aor| {
                up_to_date::appearance(subscription, aor, turn.directory) == appearance
            });
            let is_of_one = subscription.subject().presentity_slot().is_some();
            !is_of_one || !is_alike || subscription.wants() > Wants::Nothing
        })
    }
}

/// The decision of the directory in force about a subscription to one presentity that exists, if the
/// phone was notified by the same; None if the subscription must be re-evaluated.
fn decision_in_force(
    record: &SubscriptionRecord<'_>,
    (phone, voucher): (&KnownPhone, Option<&Arc<str>>),
    turn: &Turn<'_>,
) -> Option<Decision> {
    let aor = &record.aor;
    let is_of_one = record.subject == SubjectRecord::Presentity;
    let domain = turn.directory.domain(aor.domain())?;
    if !is_of_one || !turn.directory.exists_in(domain, aor) {
        return None;
    }
    let peer = Peer {
        address: phone.flow.peer.ip(),
        voucher,
    };
    let watcher = Watcher::of(phone.watcher.clone(), peer, Some(domain));
    let decision = decide(&watcher, aor, record.package, turn);
    let is_alike = decision.handling == record.handling && decision.privacy == record.privacy;
    is_alike.then_some(decision)
}

fn recovered_dialog(record: DialogRecord<'_>, phone: &KnownPhone) -> RecoveredDialog {
    let mut dialog = record.dialog.into_owned();
    dialog.continue_after(record.sequence_limit);
    RecoveredDialog {
        dialog,
        path: Path {
            flow: phone.flow,
            destination: record.destination,
        },
        is_path_proven: record.is_path_proven,
        is_cut: !phone.is_there,
        instance: record.instance,
        profile: Arc::clone(&phone.profile),
        standing: Standing {
            uri: record.sender.as_deref().map(Box::from),
            voucher: record.voucher.as_deref().map(Arc::from),
        },
        seat: phone.seat,
    }
}

/// The profile with this name; the generic one if it no longer exists.
fn profile_of(name: &str, turn: &Turn<'_>) -> Arc<Profile> {
    let profile = turn.directory.profile_named(name);
    Arc::clone(profile.unwrap_or_else(|| turn.directory.profile(b"")))
}

/// The list of a subscription. A list that no longer exists has no members, and its subscription is
/// about to end.
fn plan_of(record: &SubscriptionRecord<'_>, turn: &Turn<'_>) -> Option<ListPlan> {
    let configured = || turn.directory.list(&record.aor).unwrap_or_default();
    match &record.subject {
        SubjectRecord::Presentity | SubjectRecord::Watchers => None,
        SubjectRecord::List => Some(ListPlan::recovered(configured(), Encoding::Rlmi, false)),
        SubjectRecord::ListInSeries => {
            Some(ListPlan::recovered(configured(), Encoding::Series, false))
        }
        SubjectRecord::ListOfBody(members) => {
            let resolved = Resolved {
                members: members.to_vec(),
                ..Resolved::default()
            };
            Some(ListPlan::recovered(resolved.into(), Encoding::Rlmi, true))
        }
    }
}

/// The listener at the address where a SUBSCRIBE arrived; None if it no longer exists, so that the
/// phone cannot be reached before its next SUBSCRIBE.
fn listener_of(flow: &FlowRecord, options: &Options) -> Option<u16> {
    if options.listeners.is_empty() {
        return Some(0);
    }
    let local = flow.local;
    let is_ours = options.local_addresses.contains(&local);
    let position = |is_it: &dyn Fn(SocketAddr) -> bool| {
        let mut listeners = options.listeners.iter();
        listeners.position(|(transport, bound)| *transport == flow.transport && is_it(*bound))
    };
    let exact = position(&|bound| bound == local);
    let wildcard = || {
        position(&|bound| {
            let is_alike = bound.is_ipv4() == local.is_ipv4() && bound.port() == local.port();
            is_ours && is_alike && bound.ip().is_unspecified()
        })
    };
    exact.or_else(wildcard).map(|listener| listener as u16)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
