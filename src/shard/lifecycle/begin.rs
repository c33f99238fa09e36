//! A SUBSCRIBE outside a dialog: from the request to the new subscription, within the limits (RFC 6665
//! §4.2.1), and what its 2xx says.

use std::sync::Arc;
use std::time::Duration;

use crate::directory::Domain;
use crate::presence::Aor;
use crate::presence::document::{Format, View};
use crate::presence::event::{Package, Termination};
use crate::presence::policy::{Decision, Handling};
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::{DialogId, PhoneId, SubscriptionId};
use crate::shard::contract::mail::Claim;
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::lifecycle::asked::{Asked, Beginning, Enclosed, read_subscribe};
use crate::shard::list::plan::ListPlan;
use crate::shard::package::feature_event::{check_may_switch, switch};
use crate::shard::request::Request;
use crate::shard::request::headers::EventHeader;
use crate::shard::request::refusal::Refusal;
use crate::shard::request::uris::{entity_uri, request_uri};
use crate::shard::subscription::dialog_entry::Standing;
use crate::shard::subscription::dialogs::NewDialog;
use crate::shard::subscription::event_rate::Terms;
use crate::shard::subscription::shown::Shown;
use crate::shard::subscription::watcher::{Watcher, decide};
use crate::shard::subscription::{NewSubscription, Wants};
use crate::sip::Status;

/// A SUBSCRIBE outside a dialog that passed authentication and rate limits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admitted<'a, 'd> {
    pub(crate) request: &'a Request<'a>,
    pub(crate) event: EventHeader<'a>,
    pub(crate) aor: &'a Aor,
    pub(crate) domain: &'d Domain,
    /// The URI of its sender, if it is not the one in From.
    pub(crate) sender: Option<&'a [u8]>,
    pub(crate) watcher: &'a Watcher,
    /// The salt of the nonce that its credentials carry.
    pub(crate) salt: Option<u32>,
    /// The appearance that the owner of the line granted.
    pub(crate) claim: Option<&'a Claim>,
}

/// A SUBSCRIBE that gets a 2xx.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Accepted {
    pub(crate) subscription: SubscriptionId,
    pub(crate) granted: Duration,
    /// The 2xx, and the NOTIFY behind it, wait until the record is durable.
    pub(crate) waits: bool,
    /// The watcher has the current state already: a 204, which no NOTIFY follows (RFC 5839 §4.2).
    pub(crate) is_silent: bool,
    /// Older subscriptions of its phone are to be removed.
    pub(crate) replaces_older: bool,
}

/// What the 2xx to a SUBSCRIBE says of the dialog and the subscription.
#[derive(Debug)]
pub(crate) struct Acceptance<'t> {
    pub(crate) accepted: Accepted,
    /// Our tag.
    pub(crate) tag: &'t [u8],
    pub(crate) is_list: bool,
    /// The subscription, if its NOTIFY waits for the 2xx.
    pub(crate) held: Option<SubscriptionId>,
}

impl Subscriptions {
    /// Begins the subscription, or the fetch, that a SUBSCRIBE asks for. None if the owner of the line
    /// must be asked first for the appearance that it names.
    pub(crate) fn subscribe<'d>(
        &mut self,
        admitted: &Admitted<'_, 'd>,
        turn: &mut Turn<'d>,
    ) -> Result<Option<Acceptance<'_>>, Refusal<'d>> {
        let Admitted {
            request,
            event,
            aor,
            claim,
            ..
        } = *admitted;
        let mut asked = read_subscribe(request.message, event, admitted.domain, turn)?;
        let plan = asked.plan(request.message, (aor, admitted.domain), turn)?;
        let new = self.accept_dialog(admitted, plan.as_ref(), turn)?;
        let decision = authorise(admitted, &asked, plan.as_ref(), turn)?;
        if event.package == Package::LineSeize && claim.is_none() && !asked.granted.is_zero() {
            return Ok(None);
        }
        asked.granted = self
            .expiry_jitter
            .spread(asked.granted, asked.expires_min, turn);
        let entity = match plan {
            Some(_) => request_uri(request.message).to_vec(),
            None => entity_uri(request.message, aor),
        };
        let beginning = Beginning {
            aor,
            plan,
            decision,
            asked: &asked,
            entity: &entity,
            message: request.message,
            claim,
        };
        let names_device = new.instance != 0;
        let id = self.begin_dialog(new, beginning, turn);
        let peer = request.flow.peer;
        self.table.prove_path_by_salt(id, admitted.salt, peer, turn);
        // The stream may have ended while the owner of the line was asked.
        if claim.is_none() {
            self.table.take_alias(request, turn);
        }
        let accepted = Accepted {
            subscription: id,
            granted: asked.granted,
            // A fetch is not recorded, nor is an appearance of a line. A feature that it switches is.
            waits: !asked.granted.is_zero() && claim.is_none() || asked.enclosed.is_switch(),
            is_silent: false,
            replaces_older: asked.profile.replaces_same_contact || names_device,
        };
        self.accept(accepted, asked.enclosed, turn).map(Some)
    }

    /// The dialog that a SUBSCRIBE to these resources may begin.
    ///
    /// Refuses it if a table is full, or if its path is not proven and no more may be sent there.
    fn accept_dialog<'d>(
        &mut self,
        admitted: &Admitted<'_, 'd>,
        plan: Option<&ListPlan>,
        turn: &mut Turn<'d>,
    ) -> Result<NewDialog, Refusal<'d>> {
        let Admitted {
            request,
            domain,
            sender,
            salt,
            ..
        } = *admitted;
        let standing = Standing {
            uri: sender.map(Box::from),
            voucher: turn.peer(domain, &request.flow).voucher.cloned(),
        };
        let new = self.table.accept_dialog(request, standing, turn)?;
        let phone = self.table.phones().find(new.phone_key);
        self.check_room(phone, plan.map_or(1, ListPlan::places), turn)?;
        self.table
            .check_path(&new.path, request.flow.peer, salt, turn)?;
        Ok(new)
    }

    /// Accepts a SUBSCRIBE: its subscription owes a NOTIFY (RFC 6665 §4.2.1.2), after the 2xx and, if
    /// a feature is switched, once the owner has applied the change.
    pub(crate) fn accept<'d>(
        &mut self,
        accepted: Accepted,
        enclosed: Enclosed,
        turn: &mut Turn<'d>,
    ) -> Result<Acceptance<'_>, Refusal<'d>> {
        let id = accepted.subscription;
        let held = match accepted.waits {
            true => self.table.await_acknowledgement(id, turn),
            false => None,
        };
        if accepted.is_silent {
            turn.counters.notifies_suppressed += 1;
        } else {
            let subscription = self.table.subscription_mut(id);
            if let Some(subscription) = subscription.expected("its SUBSCRIBE is accepted") {
                subscription.forget_shown();
            }
            self.table.want(id, Wants::Notify);
        }
        if let Enclosed::Switch(update) = enclosed {
            switch(&mut self.table, id, update, turn);
        }
        let subscription = self.table.subscription(id);
        let entry = subscription.and_then(|subscription| self.table.dialog(subscription.dialog()));
        let entry = entry.expected("an accepted subscription is in the table");
        let (Some(subscription), Some(entry)) = (subscription, entry) else {
            return Err(Refusal::NO_SUBSCRIPTION);
        };
        Ok(Acceptance {
            accepted,
            tag: entry.dialog().local_tag(),
            is_list: subscription.is_multipart(),
            held,
        })
    }
}

/// What the watcher may see by the rules in force.
///
/// Refuses a watcher that is blocked, that may not subscribe to a whole domain, or that may not
/// switch the feature.
fn authorise<'d>(
    admitted: &Admitted<'_, 'd>,
    asked: &Asked<'_>,
    plan: Option<&ListPlan>,
    turn: &Turn<'_>,
) -> Result<Decision, Refusal<'d>> {
    let Admitted {
        aor,
        domain,
        watcher,
        event: EventHeader { package, .. },
        ..
    } = *admitted;
    let directory = turn.directory;
    let decision = match plan {
        Some(plan) if plan.is_of_body() => Decision::ALLOW,
        _ => decide(watcher, aor, package, turn),
    };
    let has_whole_domain = plan.is_some_and(|plan| plan.resolved().has_whole_domain());
    let is_forbidden = decision.handling == Handling::Block
        || package == Package::LineSeize && decision.handling != Handling::Allow
        || has_whole_domain && !watcher.may_any_dn(&domain.name, directory);
    if is_forbidden {
        return Err(Refusal::Plain(Status::FORBIDDEN));
    }
    if asked.enclosed.is_switch() {
        check_may_switch(watcher, aor, directory)?;
    }
    Ok(decision)
}

impl Subscriptions {
    /// Begins a subscription in a dialog of its own. A fetch ends at once (RFC 6665 §4.4.3).
    fn begin_dialog(
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
    pub(super) fn begin(
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
            began: turn.clock().second_of(turn.now),
            version: 0,
            is_recovered: false,
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
        let id = self.table.add_subscription(dialog, aor, new, turn);
        self.winfo.note_watcher(id, &self.table);
        id
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

    /// Whether the phone with that key has a subscription.
    pub(crate) fn is_known_phone(&self, key: u64) -> bool {
        self.table.phones().find(key).is_some()
    }
}
