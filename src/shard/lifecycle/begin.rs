//! Creates dialogs and subscriptions within the limits, and refreshes subscriptions, including
//! further usages of a dialog.

use std::sync::Arc;

use crate::presence::document::{Format, View};
use crate::presence::event::{Package, Termination};
use crate::presence::policy::Handling;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::{DialogId, PhoneId, SubscriptionId};
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::lifecycle::asked::{Asked, Beginning};
use crate::shard::request::Request;
use crate::shard::request::refusal::Refusal;
use crate::shard::subscription::NewSubscription;
use crate::shard::subscription::dialogs::NewDialog;
use crate::shard::subscription::event_rate::Terms;
use crate::shard::subscription::shown::Shown;
use crate::shard::subscription::watcher::decide;
use crate::sip::{Message, Status};

impl Subscriptions {
    pub(crate) fn renew(
        &mut self,
        id: SubscriptionId,
        asked: &Asked<'_>,
        message: &Message<'_>,
        turn: &mut Turn<'_>,
    ) {
        let subscription = self.table.subscription_mut(id);
        let Some(subscription) = subscription.expected("a usage of the dialog exists") else {
            return;
        };
        let terms = Terms::of(message, &asked.event);
        if subscription.renew(turn.now + asked.granted, terms) {
            self.winfo.note_watcher(id, &self.table);
        }
        self.table.render_anew(id);
        self.table.arm_subscription(id, turn);
    }

    /// Begins a subscription in a dialog of its own. A fetch ends at once (RFC 6665 §4.4.3).
    pub(crate) fn begin_dialog(
        &mut self,
        new: NewDialog,
        beginning: Beginning<'_>,
        turn: &mut Turn<'_>,
    ) -> SubscriptionId {
        let Asked {
            profile, granted, ..
        } = beginning.asked;
        let dialog = self.table.add_dialog(new, Arc::clone(profile), turn);
        let claim = beginning.claim;
        let id = self.begin(dialog, beginning, turn);
        if let Some(claim) = claim {
            self.table.hold(id, claim);
        }
        if granted.is_zero() {
            turn.counters.subscriptions_fetched += 1;
            self.end_subscription(id, Termination::Timeout, turn);
            self.table.fetch(id);
        } else {
            turn.counters.subscriptions_created += 1;
            self.table.arm_subscription(id, turn);
        }
        id
    }

    /// Creates the subscription and its watcher slots.
    fn begin(
        &mut self,
        dialog: DialogId,
        beginning: Beginning<'_>,
        turn: &mut Turn<'_>,
    ) -> SubscriptionId {
        let Beginning {
            aor,
            plan,
            decision,
            asked,
            entity,
            message,
            ..
        } = beginning;
        // List resources always get full documents, never pidf-diff.
        let format = match asked.format {
            Format::PidfDiff if plan.is_some() => Format::Pidf,
            format => format,
        };
        let new = NewSubscription {
            package: asked.event.package,
            view: View {
                format,
                privacy: decision.privacy,
                rendering: asked.profile.rendering,
            },
            decision,
            terms: Terms::of(message, &asked.event),
            history: Shown::of(format, asked.profile.partial_dialog_info),
            event: asked.event.value,
            entity,
            expires_at: turn.now + asked.granted,
        };
        if let Some(plan) = plan {
            return self.add_list(dialog, aor, &plan, new, turn);
        }
        if let Some(package) = asked.event.package.of_watchers() {
            return self.winfo.add_audience(
                dialog,
                (aor.clone(), package),
                new,
                &mut self.table,
                turn,
            );
        }
        let id = self.table.add_subscription(dialog, aor, new, turn);
        self.winfo.note_watcher(id, &self.table);
        id
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

impl Subscriptions {
    /// The dialog that a SUBSCRIBE to so many resources may begin. `sender`: the URI of its
    /// watcher, if it is not the one in From.
    ///
    /// Refuses it if a table is full, or if its path has too many dialogs that no response has
    /// proved yet.
    pub(crate) fn accept_dialog<'d>(
        &mut self,
        request: &Request<'_>,
        sender: Option<&[u8]>,
        resources: usize,
        turn: &mut Turn<'d>,
    ) -> Result<NewDialog, Refusal<'d>> {
        let new = self.table.accept_dialog(request, sender, turn)?;
        self.check_room(self.table.phones().find(new.phone_key), resources, turn)?;
        self.table.check_path(&new.path, turn)?;
        Ok(new)
    }

    /// Checks the limits for one more subscription with `places` resources.
    pub(super) fn check_room<'d>(
        &self,
        phone: Option<PhoneId>,
        places: usize,
        turn: &mut Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        if self.is_draining {
            return Err(Refusal::Draining);
        }
        if self.table.octets_taken() >= turn.options.subscription_octets_max {
            turn.counters.subscriptions_over_memory += 1;
            return Err(Refusal::OverLimit);
        }
        let of_phone = phone.map_or(0, |phone| self.table.phones().subscriptions_of(phone));
        let is_full = self.table.capacity_used() + places > turn.options.subscriptions_max
            || of_phone >= turn.options.subscriptions_per_phone_max;
        if is_full {
            Err(Refusal::OverLimit)
        } else {
            Ok(())
        }
    }

    /// Whether the phone that sent a request has a live subscription.
    pub(crate) fn is_known_phone(&self, request: &Request<'_>) -> bool {
        let phone = request.phone_key;
        phone.is_some_and(|key| self.table.phones().find(key).is_some())
    }
}
