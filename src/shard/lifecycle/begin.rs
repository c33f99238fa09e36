//! Creates and refreshes subscriptions, including further usages of a dialog.

use crate::presence::document::{Format, View};
use crate::presence::event::Package;
use crate::presence::policy::Handling;
use crate::shard::contract::ids::{DialogId, SubscriptionId};
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::lifecycle::asked::{Asked, Beginning};
use crate::shard::request::refusal::Refusal;
use crate::shard::subscription::NewSubscription;
use crate::shard::subscription::event_rate::Terms;
use crate::shard::subscription::shown::Shown;
use crate::shard::subscription::watch::begin_watch;
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
        debug_assert!(
            subscription.is_some(),
            "a usage of the dialog is in the table"
        );
        let Some(subscription) = subscription else {
            return;
        };
        let terms = Terms::of(message, asked.event);
        if subscription.renew(turn.now + asked.granted, terms) {
            self.winfo.note_watcher(id, &self.table);
        }
        self.table.render_anew(id);
        self.table.arm_subscription(id, turn);
    }

    /// Creates the subscription and its watcher slots.
    pub(crate) fn begin(
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
        } = beginning;
        // List resources always get full documents, never pidf-diff.
        let format = match asked.format {
            Format::PidfDiff if plan.is_some() => Format::Pidf,
            format => format,
        };
        let new = NewSubscription {
            package: asked.package,
            view: View {
                format,
                privacy: decision.privacy,
                rendering: asked.profile.rendering,
            },
            decision,
            terms: Terms::of(message, asked.event),
            history: Shown::of(format, asked.profile.partial_dialog_info),
            event: asked.event,
            entity,
            expires_at: turn.now + asked.granted,
        };
        if let Some(plan) = plan {
            return self.add_list(dialog, aor, &plan, new, turn);
        }
        if let Some(package) = asked.package.of_watchers() {
            return self.winfo.add_audience(
                dialog,
                (aor.clone(), package),
                new,
                &mut self.table,
                turn,
            );
        }
        let (watched, is_new) = self.table.watch(aor);
        let id = self.table.add_subscription(dialog, watched, new);
        if is_new {
            begin_watch(aor, turn);
        }
        self.winfo.note_watcher(id, &self.table);
        id
    }

    /// Another package in the dialog of a first subscription, to whom that is: peers of RFC 3265 do
    /// so (RFC 6665 §4.2.1.4, §4.5.2).
    pub(crate) fn add_usage<'d>(
        &mut self,
        (id, first): (DialogId, SubscriptionId),
        asked: &Asked<'_>,
        message: &Message<'_>,
        turn: &mut Turn<'d>,
    ) -> Result<SubscriptionId, Refusal<'d>> {
        if asked.package == Package::LineSeize {
            return Err(Refusal::Because(
                Status::FORBIDDEN,
                "Seize In A Dialog Of Its Own",
            ));
        }
        const GONE: Refusal<'static> = Refusal::Plain(Status::SUBSCRIPTION_DOES_NOT_EXIST);
        let entry = self.table.dialog(id).ok_or(GONE)?;
        let phone = entry.phone();
        self.check_room(Some(phone), 1, turn)?;
        let sibling = self.table.subscription(first).ok_or(GONE)?;
        if asked.enclosed.list().is_some() || sibling.subject().list().is_some() {
            return Err(Refusal::Because(
                Status::FORBIDDEN,
                "List In A Dialog Of Its Own",
            ));
        }
        let entity = sibling.entity().to_vec();
        let aor = self.table.aor_of(sibling).cloned().ok_or(GONE)?;
        let watcher = self.table.watcher_of(first, turn).ok_or(GONE)?;
        let decision = decide(&watcher, &aor, asked.package, turn);
        if decision.handling == Handling::Block {
            return Err(Refusal::Plain(Status::FORBIDDEN));
        }
        turn.counters.subscriptions_created += 1;
        self.phones.join_again(phone);
        let beginning = Beginning {
            aor: &aor,
            plan: None,
            decision,
            asked,
            entity: &entity,
            message,
        };
        Ok(self.begin(id, beginning, turn))
    }
}
