//! Creates dialogs and subscriptions within the limits, and refreshes subscriptions, including
//! further usages of a dialog.

use std::sync::Arc;

use crate::presence::Aor;
use crate::presence::document::{Format, View};
use crate::presence::event::Package;
use crate::presence::policy::Handling;
use crate::presence::profile::Profile;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::{DialogId, PhoneId, SubscriptionId};
use crate::shard::contract::place::Place;
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::lifecycle::asked::{Asked, Beginning};
use crate::shard::list::plan::ListPlan;
use crate::shard::peer::next_hop::{next_hop, phone_key};
use crate::shard::peer::path::Path;
use crate::shard::peer::routing_token::RoutingToken;
use crate::shard::request::Request;
use crate::shard::request::refusal::{OverloadLimit, Refusal};
use crate::shard::subscription::NewSubscription;
use crate::shard::subscription::event_rate::Terms;
use crate::shard::subscription::shown::Shown;
use crate::shard::subscription::watched::begin_watch;
use crate::shard::subscription::watcher::decide;
use crate::sip::dialog::Dialog;
use crate::sip::header::NameAddr;
use crate::sip::{HeaderName, Message, Status};

impl Subscriptions {
    /// A SUBSCRIBE renews a subscription. True if it had expired, and continues.
    pub(crate) fn renew(
        &mut self,
        id: SubscriptionId,
        asked: &Asked<'_>,
        message: &Message<'_>,
        turn: &mut Turn<'_>,
    ) -> bool {
        let terms = Terms::of(message, asked.event);
        let was_over = self.table.renew(id, turn.now + asked.granted, terms);
        if was_over {
            self.winfo.note_watcher(id, &self.table);
        }
        self.table.render_anew(id);
        self.table.arm_subscription(id, turn);
        was_over
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
            version: 0,
        };
        self.add(dialog, (aor, plan), new, turn)
    }

    /// Adds a subscription to a list if there is a plan for one, otherwise to what its package is about.
    pub(super) fn add(
        &mut self,
        dialog: DialogId,
        (aor, plan): (&Aor, Option<ListPlan>),
        new: NewSubscription<'_>,
        turn: &mut Turn<'_>,
    ) -> SubscriptionId {
        if let Some(plan) = plan {
            return self.add_list(dialog, aor, &plan, new, turn);
        }
        if let Some(package) = new.package.of_watchers() {
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

impl Subscriptions {
    /// Refuses a subscription to so many resources for which a table is full, or whose path has too
    /// many dialogs that no response has proved yet.
    pub(crate) fn check_capacity<'d>(
        &self,
        request: &Request<'_>,
        dialog: &Dialog,
        resources: usize,
        turn: &mut Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        let key = phone_key(&request.flow, dialog.remote_target());
        self.check_room(self.phones.find(key), resources, turn)?;
        self.table.check_path(request, dialog, turn)
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
            turn.counters.subscriptions_over_octets += 1;
            return Err(Refusal::OverLimit);
        }
        let of_phone = phone.map_or(0, |phone| self.phones.subscriptions_of(phone));
        let is_full = self.table.capacity_used() + places > turn.options.subscriptions_max
            || of_phone >= turn.options.subscriptions_per_phone_max;
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
        token: RoutingToken,
        profile: Arc<Profile>,
        turn: &Turn<'_>,
    ) -> DialogId {
        let flow = request.flow;
        let phone = self
            .phones
            .join(phone_key(&flow, dialog.remote_target()), &profile, turn.now);
        let destination = next_hop(request, &dialog);
        let path = Path { flow, destination };
        let id = self.table.add_dialog(dialog, path, phone, profile);
        debug_assert_eq!(
            Place::of(id.0, turn.options),
            token.place,
            "the To-tag names the dialog's place"
        );
        id
    }

    /// Whether the phone a request comes from, by its address, port and Contact, has a live
    /// subscription.
    pub(crate) fn is_known_phone(&self, request: &Request<'_>) -> bool {
        let contact = request.message.header(HeaderName::Contact);
        let target = contact.and_then(NameAddr::parse).map(|contact| contact.uri);
        target.is_some_and(|target| {
            let key = phone_key(&request.flow, target);
            self.phones.find(key).is_some()
        })
    }
}
