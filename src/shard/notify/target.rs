//! Target refresh: updates the remote target and path of a dialog (RFC 3261 §12.2).

use crate::presence::event::Package;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::flow::Flow;
use crate::shard::contract::ids::{DialogId, PhoneId, SubscriptionId};
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::lifecycle::notifiers_table::NotifiersTable;
use crate::shard::notify::Notifier;
use crate::shard::peer::next_hop::{moved_hop, named_hop, next_hop};
use crate::shard::peer::path::Path;
use crate::shard::request::Request;
use crate::shard::request::refusal::Refusal;
use crate::shard::request::target::is_local;
use crate::shard::subscription::table::Table;
use crate::shard::subscription::watched::WatcherSlot;
use crate::sip::dialog::{Contact, Sequence};
use crate::sip::{Message, Status};

impl Notifier {
    /// CSeq, Contact and flow of an in-dialog request (RFC 3261 §12.2.2, RFC 6665 §4.4.1, RFC 3261
    /// §12.2). Returns whether it came over another path.
    pub(crate) fn take_target<'d>(
        &mut self,
        request: &Request<'_>,
        id: DialogId,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'d>,
    ) -> Result<bool, Refusal<'d>> {
        let number = request.message.cseq().map_or(0, |cseq| cseq.number);
        if subscriptions.table_mut().take_sequence(id, number) == Sequence::OutOfOrder {
            return Err(Refusal::Because(
                Status::SERVER_INTERNAL_ERROR,
                "CSeq Out Of Order",
            ));
        }
        let entry = subscriptions.table().dialog(id);
        let Some(entry) = entry.expected("the request was found to be in this dialog") else {
            return Ok(false);
        };
        let flow = request.flow;
        let before = named_hop(entry.dialog(), flow.transport);
        subscriptions
            .table_mut()
            .refresh_target(id, request.contact)?;
        let entry = subscriptions.table().dialog(id);
        let Some(entry) = entry.expected("its target has just been taken") else {
            return Ok(false);
        };
        let path = subscriptions.table().path_of(entry);
        let path = path.filter(|path| path.flow == flow);
        let destination = path
            .and_then(|path| moved_hop(path, before, entry.dialog()))
            .unwrap_or_else(|| next_hop(request, entry.dialog()));
        Ok(self.take_path(id, Path { flow, destination }, subscriptions, turn))
    }

    /// The Contact in a 200 to a NOTIFY may move the target, and with it where NOTIFYs go (RFC 6665
    /// §4.4.1, RFC 3261 §12.2); an invalid Contact is ignored. Returns whether the path changed.
    pub(crate) fn take_target_of_response(
        &mut self,
        id: DialogId,
        response: &Message<'_>,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) -> bool {
        let entry = subscriptions.table().dialog(id);
        let Some(entry) = entry.expected("a subscription has a dialog") else {
            return false;
        };
        let Some(path) = subscriptions.table().path_of(entry).copied() else {
            return false;
        };
        let before = named_hop(entry.dialog(), path.flow.transport);
        if subscriptions
            .table_mut()
            .refresh_target(id, Contact::of(response))
            .is_err()
        {
            return false;
        }
        let entry = subscriptions.table().dialog(id);
        let Some(entry) = entry.expected("its target has just been taken") else {
            return false;
        };
        let moved = moved_hop(&path, before, entry.dialog());
        match moved.filter(|moved| !is_local(*moved, &path.flow.local, turn)) {
            Some(destination) => self.take_path(
                id,
                Path {
                    destination,
                    ..path
                },
                subscriptions,
                turn,
            ),
            None => false,
        }
    }

    /// Sets the path of a dialog and re-sends outstanding NOTIFYs on it. Returns whether it
    /// changed.
    fn take_path(
        &mut self,
        id: DialogId,
        path: Path,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) -> bool {
        let is_moved = subscriptions.table_mut().take_path(id, path);
        if is_moved {
            self.abandon_notifies(id, subscriptions, turn);
        }
        is_moved
    }

    /// A restarted phone no longer knows its old subscriptions: removes older subscriptions of the
    /// same phone, watcher, presentity and package without a NOTIFY (W:A2.19). So does a device that
    /// says by its Contact that it comes on another flow (RFC 5626 §3.1).
    pub(crate) fn replace_older(
        &mut self,
        id: SubscriptionId,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) {
        let own = origin_of(subscriptions.table(), id);
        let subscription = subscriptions.table().subscription(id);
        let slot = subscription.and_then(|own| own.subject().presentity_slot());
        // Lists, watcher information and seized appearances replace nothing.
        let (Some(own), Some(slot)) = (own, slot) else {
            return;
        };
        let watched = subscriptions.table().watched(slot.watched);
        let older: Vec<SubscriptionId> = watched
            .expected("a subscription watches its presentity")
            .iter()
            .flat_map(|watched| watched.watchers())
            .filter(|watcher| watcher.resource == WatcherSlot::WHOLE && watcher.subscription != id)
            .map(|watcher| watcher.subscription)
            .filter(|other| {
                origin_of(subscriptions.table(), *other).is_some_and(|it| own.replaces(&it))
            })
            .filter(|other| subscriptions.table().have_one_watcher(id, *other, turn))
            .collect();
        for other in older {
            turn.counters.subscriptions_replaced += 1;
            self.remove_subscription(other, subscriptions, turn);
        }
    }
}

/// What decides whether a subscription replaces another to the same presentity.
#[derive(Debug)]
struct Origin {
    package: Package,
    phone: PhoneId,
    /// Whether the phone's profile says that it forgets its subscriptions.
    forgets: bool,
    instance: Option<u32>,
    flow: Flow,
}

impl Origin {
    fn replaces(&self, older: &Self) -> bool {
        let is_phone = self.forgets && self.phone == older.phone;
        let is_device = self.instance.is_some() && self.instance == older.instance;
        self.package == older.package && (is_phone || is_device && self.flow != older.flow)
    }
}

fn origin_of(table: &Table, id: SubscriptionId) -> Option<Origin> {
    let subscription = table.subscription(id);
    let subscription = subscription.expected("a watcher is a subscription")?;
    let entry = table.dialog(subscription.dialog());
    let entry = entry.expected("a subscription has a dialog")?;
    Some(Origin {
        package: subscription.package(),
        phone: entry.phone(),
        forgets: entry.profile().replaces_same_contact,
        instance: entry.instance(),
        flow: table.flow_of(entry)?,
    })
}
