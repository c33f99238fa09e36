//! A SUBSCRIBE in a dialog renews a subscription, or begins another one in the dialog (RFC 6665
//! §4.2.1.1, §4.4.1). The notifier conducts it, as it abandons and compares NOTIFYs meanwhile.

use crate::presence::Aor;
use crate::presence::event::Package;
use crate::presence::policy::Handling;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::{DialogId, SubscriptionId};
use crate::shard::contract::place::Place;
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::lifecycle::asked::{Asked, Beginning};
use crate::shard::package::feature_event::check_switch_in_dialog;
use crate::shard::request::Request;
use crate::shard::request::refusal::{OverloadLimit, Refusal};
use crate::shard::subscription::event_rate::Terms;
use crate::shard::subscription::watcher::decide;
use crate::sip::{Message, Status};

/// The dialog of a SUBSCRIBE.
#[derive(Debug)]
pub(crate) struct FoundDialog<'t> {
    pub(crate) id: DialogId,
    /// One of its subscriptions.
    pub(crate) first: SubscriptionId,
    /// What that is to.
    pub(crate) aor: &'t Aor,
    /// The URI of its watcher.
    pub(crate) watcher_uri: &'t [u8],
}

impl Subscriptions {
    /// The dialog that a SUBSCRIBE with that To-tag is in; None if there is none.
    pub(crate) fn find_dialog<'d>(
        &self,
        message: &Message<'_>,
        tag: &[u8],
        turn: &Turn<'d>,
    ) -> Result<Option<FoundDialog<'_>>, Refusal<'d>> {
        let table = &self.table;
        let Some(id) = table.find_dialog(message, tag, turn) else {
            return Ok(None);
        };
        let entry = table.dialog(id).expected("the dialog was found");
        let first = table.usages(id).first().copied();
        let first = first.expected("a dialog has a subscription");
        let aor = first
            .and_then(|first| table.aor_of(table.subscription(first)?))
            .expected("a subscription is to an address of record");
        match (entry, first, aor) {
            (Some(entry), Some(first), Some(aor)) => Ok(Some(FoundDialog {
                id,
                first,
                aor,
                watcher_uri: entry.watcher_uri(),
            })),
            _ => Err(Refusal::NO_SUBSCRIPTION),
        }
    }

    /// The place of the dialog with that tag of ours, if it may still be recovered.
    pub(crate) fn unrecovered(&self, tag: &[u8], turn: &Turn<'_>) -> Option<Place> {
        self.table.unrecovered(tag, turn)
    }

    /// Refuses the sender of a SUBSCRIBE in the dialog of a subscription that may not switch its
    /// features.
    pub(crate) fn check_switch<'d>(
        &self,
        request: &Request<'_>,
        id: SubscriptionId,
        turn: &Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        check_switch_in_dialog(&self.table, request, id, turn)
    }

    /// A SUBSCRIBE renews a subscription. True if it had expired, and continues.
    pub(crate) fn renew(
        &mut self,
        id: SubscriptionId,
        asked: &Asked<'_>,
        message: &Message<'_>,
        turn: &mut Turn<'_>,
    ) -> bool {
        let terms = Terms::of(message, &asked.event);
        let was_over = self.table.renew(id, turn.now + asked.granted, terms);
        if was_over {
            self.winfo.note_watcher(id, &self.table);
        }
        self.table.render_anew(id);
        self.table.arm_subscription(id, turn);
        was_over
    }

    /// Adds a subscription to another package in the dialog of `first`, and to its presentity:
    /// peers of RFC 3265 do so (RFC 6665 §4.2.1.4, §4.5.2).
    pub(crate) fn add_usage<'d>(
        &mut self,
        (id, first): (DialogId, SubscriptionId),
        asked: &Asked<'_>,
        message: &Message<'_>,
        turn: &mut Turn<'d>,
    ) -> Result<SubscriptionId, Refusal<'d>> {
        if asked.event.package == Package::LineSeize {
            return Err(Refusal::Because(
                Status::FORBIDDEN,
                "Seize In A Dialog Of Its Own",
            ));
        }
        let entry = self.table.dialog(id);
        let entry = entry
            .expected("the dialog was found")
            .ok_or(Refusal::NO_SUBSCRIPTION)?;
        let phone = entry.phone();
        self.check_room(Some(phone), 1, turn)?;
        if turn.is_store_behind() {
            return Err(Refusal::Shed(OverloadLimit::Store));
        }
        let sibling = self.table.subscription(first);
        let sibling = sibling
            .expected("a dialog has a subscription")
            .ok_or(Refusal::NO_SUBSCRIPTION)?;
        if asked.enclosed.list().is_some() || sibling.subject().list().is_some() {
            return Err(Refusal::Because(
                Status::FORBIDDEN,
                "List In A Dialog Of Its Own",
            ));
        }
        let entity = sibling.entity().to_vec();
        let aor = self.table.aor_of(sibling).cloned();
        let aor = aor.expected("a subscription is to an address of record");
        let aor = aor.ok_or(Refusal::NO_SUBSCRIPTION)?;
        let watcher = self.table.watcher_of(first, turn);
        let watcher = watcher.expected("a subscription has a watcher");
        let watcher = watcher.ok_or(Refusal::NO_SUBSCRIPTION)?;
        let decision = decide(&watcher, &aor, asked.event.package, turn);
        if decision.handling == Handling::Block {
            return Err(Refusal::Plain(Status::FORBIDDEN));
        }
        turn.counters.subscriptions_created += 1;
        let beginning = Beginning {
            aor: &aor,
            plan: None,
            decision,
            asked,
            entity: &entity,
            message,
            claim: None,
        };
        Ok(self.begin(id, beginning, turn))
    }
}
