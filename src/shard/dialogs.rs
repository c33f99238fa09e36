//! The dialog under a subscription: accepted with a SUBSCRIBE, found again by our tag, moved with
//! its phone (RFC 3261 §12, RFC 6665 §4.4; W:A2).

use std::sync::Arc;
use std::time::Instant;

use crate::presence::profile::Profile;
use crate::shard::Shard;
use crate::shard::checks::any_address_of_record;
use crate::shard::flow::Flow;
use crate::shard::hop::moved_hop;
use crate::shard::hop::named_hop;
use crate::shard::hop::next_hop;
use crate::shard::hop::numeric_address;
use crate::shard::hop::phone_key;
use crate::shard::mark::Mark;
use crate::shard::outbox::Outbox;
use crate::shard::pace::PhoneId;
use crate::shard::respond::Refusal;
use crate::shard::respond::Request;
use crate::shard::subscription::Subject;
use crate::shard::table::DialogId;
use crate::shard::table::SubscriptionId;
use crate::shard::table::Table;
use crate::shard::table::Watcher;
use crate::shard::ways::Way;
use crate::sip::Message;
use crate::sip::Status;
use crate::sip::dialog::Dialog;
use crate::sip::dialog::Sequence;

/// Initial CSeq numbers stay this far below 2^31 (W:A3.5).
const INITIAL_SEQUENCE_MAX: u32 = (1 << 31) - (1 << 24);

impl Shard {
    /// The dialog, with the To-tag that names the place it will take.
    pub(crate) fn accept_dialog<'d>(
        &mut self,
        request: &Request<'_>,
    ) -> Result<(Dialog, Mark), Refusal<'d>> {
        let mark = Mark::mint(
            self.options.id,
            self.table.next_dialog().0,
            &mut self.random,
        );
        let sequence = 1 + self.random.below(INITIAL_SEQUENCE_MAX);
        let dialog = Dialog::accept(request.message, &mark.octets(), sequence)?;
        self.check_not_ourselves(&dialog, &request.flow)?;
        Ok((dialog, mark))
    }

    /// A NOTIFY to ourselves would come back as a request (W:E2.4, E2.5).
    fn check_not_ourselves<'d>(&self, dialog: &Dialog, flow: &Flow) -> Result<(), Refusal<'d>> {
        let address = numeric_address(dialog.remote_target(), flow.transport);
        if address.is_some_and(|address| self.is_local(address, flow)) {
            return Err(Refusal::Because(
                Status::BAD_REQUEST,
                "Contact Is This Server",
            ));
        }
        Ok(())
    }

    /// Whether a phone may have another subscription, which takes so many places.
    pub(crate) fn check_room<'d>(
        &mut self,
        phone: Option<PhoneId>,
        places: usize,
    ) -> Result<(), Refusal<'d>> {
        if self.is_draining {
            return Err(Refusal::Draining);
        }
        if self.table.octets_taken() >= self.options.subscription_octets_max {
            self.counters.subscriptions_over_octets += 1;
            return Err(Refusal::OverLimit);
        }
        let of_phone = phone.map_or(0, |phone| self.phones.subscriptions_of(phone));
        let is_full = self.table.places_taken() + places > self.options.subscriptions_max
            || of_phone >= self.options.subscriptions_per_phone_max;
        if is_full {
            Err(Refusal::OverLimit)
        } else {
            Ok(())
        }
    }

    pub(crate) fn add_dialog(
        &mut self,
        request: &Request<'_>,
        dialog: Dialog,
        mark: Mark,
        profile: Arc<Profile>,
        now: Instant,
    ) -> DialogId {
        let flow = request.flow;
        let phone = self
            .phones
            .join(phone_key(&flow, dialog.remote_target()), &profile, now);
        let destination = next_hop(request, &dialog);
        let way = Way { flow, destination };
        let id = self.table.add_dialog(dialog, way, phone, profile);
        debug_assert_eq!(id.0, mark.index, "the To-tag names the dialog's place");
        id
    }

    /// Our tag names the place; the octets decide (W:E3.6).
    pub(crate) fn find_dialog(&self, message: &Message<'_>, tag: &[u8]) -> Option<DialogId> {
        let mark = Mark::of_tag(tag)?;
        let id = DialogId(mark.index);
        // A phone of RFC 2543 may have none (RFC 3261 §12.1.1).
        let remote_tag = message.from()?.tag().unwrap_or_default();
        let dialog = &self.table.dialog(id)?.dialog;
        (mark.shard == self.options.id && dialog.matches(message.call_id(), tag, remote_tag))
            .then_some(id)
    }

    /// CSeq, Contact and flow of an in-dialog request (W:A2.3, A2.8); whether it came another way.
    pub(crate) fn take_target<'d>(
        &mut self,
        request: &Request<'_>,
        id: DialogId,
    ) -> Result<bool, Refusal<'d>> {
        let number = request.message.cseq().map_or(0, |cseq| cseq.number);
        let Some(entry) = self.table.dialogs.get_mut(id.0 as usize) else {
            return Ok(false);
        };
        if entry.dialog.take_sequence(number) == Sequence::OutOfOrder {
            return Err(Refusal::Because(
                Status::SERVER_INTERNAL_ERROR,
                "CSeq Out Of Order",
            ));
        }
        let flow = request.flow;
        let before = named_hop(&entry.dialog, flow.transport);
        self.table.refresh_target(id, request.message)?;
        let Some(entry) = self.table.dialog(id) else {
            return Ok(false);
        };
        let way = self.table.ways.of(entry.way);
        let moved = (way.flow == flow).then(|| moved_hop(way, before, &entry.dialog));
        let destination = moved
            .flatten()
            .unwrap_or_else(|| next_hop(request, &entry.dialog));
        Ok(self.take_way(id, Way { flow, destination }))
    }

    /// The Contact in a 200 to a NOTIFY may move the target, and with it where NOTIFYs go (W:A2.8);
    /// one that makes no sense moves nothing. Whether they go another way now.
    pub(crate) fn take_target_of_response(&mut self, id: DialogId, response: &Message<'_>) -> bool {
        let Some(entry) = self.table.dialog(id) else {
            return false;
        };
        let way = *self.table.ways.of(entry.way);
        let before = named_hop(&entry.dialog, way.flow.transport);
        if self.table.refresh_target(id, response).is_err() {
            return false;
        }
        let Some(entry) = self.table.dialog(id) else {
            return false;
        };
        let moved = moved_hop(&way, before, &entry.dialog);
        match moved.filter(|moved| !self.is_local(*moved, &way.flow)) {
            Some(destination) => self.take_way(id, Way { destination, ..way }),
            None => false,
        }
    }

    /// NOTIFYs of a dialog go another way, those under way included; whether it is another.
    fn take_way(&mut self, id: DialogId, way: Way) -> bool {
        let is_moved = self.table.take_way(id, way);
        if is_moved {
            self.abandon_notifies(id);
        }
        is_moved
    }

    /// Whether two subscriptions are of one watcher: an account does not end another's.
    fn have_one_watcher(&self, one: SubscriptionId, other: SubscriptionId) -> bool {
        let watcher = |id| {
            let subscription = self.table.subscription(id)?;
            let entry = self.table.dialog(subscription.dialog)?;
            any_address_of_record(entry.watcher_uri(), &self.directory)
        };
        watcher(one) == watcher(other)
    }

    /// The phone starts anew without having ended what it had: older subscriptions of its Contact
    /// to the same presentity and package go, silently, for it knows them no more (W:A2.19).
    pub(crate) fn replace_older(&mut self, id: SubscriptionId, now: Instant, out: &mut Outbox) {
        let phone_of = |table: &Table, id: SubscriptionId| {
            let subscription = table.subscription(id)?;
            Some((
                table.dialog(subscription.dialog)?.phone,
                subscription.package,
            ))
        };
        let Some(own) = phone_of(&self.table, id) else {
            return;
        };
        let Some(Subject::Presentity(post)) = self.table.subscription(id).map(|own| &own.subject)
        else {
            return;
        };
        let watched = self.table.watched(post.watched);
        let older: Vec<SubscriptionId> = watched
            .iter()
            .flat_map(|watched| &watched.watchers)
            .filter(|watcher| watcher.resource == Watcher::WHOLE && watcher.subscription != id)
            .map(|watcher| watcher.subscription)
            .filter(|other| phone_of(&self.table, *other) == Some(own))
            .filter(|other| self.have_one_watcher(id, *other))
            .collect();
        for other in older {
            self.counters.subscriptions_replaced += 1;
            self.remove_subscription(other, now, out);
        }
    }
}
