//! SUBSCRIBE outside a dialog: new subscriptions and fetches (RFC 6665 §4.2.1); the 2xx to every
//! SUBSCRIBE.

use std::time::Duration;

use crate::directory::{Directory, Domain};
use crate::presence::Aor;
use crate::presence::event::Package;
use crate::presence::policy::{Decision, Handling};
use crate::shard::conduct::Engine;
use crate::shard::conduct::dispatch::Admission;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::mail::Claim;
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::asked::Enclosed;
use crate::shard::lifecycle::asked::{Asked, Beginning, read_subscribe};
use crate::shard::list::plan::ListPlan;
use crate::shard::package::feature_event::{check_may_switch, switch};
use crate::shard::package::message_summary::mailbox;
use crate::shard::request::Request;
use crate::shard::request::headers::{EventHeader, event_of};
use crate::shard::request::refusal::Refusal;
use crate::shard::request::sender::sender_instead_of_from;
use crate::shard::request::uris::{entity_uri, request_uri};
use crate::shard::subscription::Wants;
use crate::shard::subscription::watcher::{Watcher, decide};
use crate::shard::uas::authenticate::is_salt_for;
use crate::shard::uas::response::begin_response;
use crate::sip::dialog::URI_OCTETS_MAX;
use crate::sip::{Fault, HeaderName, Status, emit};

/// A SUBSCRIBE that passed authentication and rate limits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admitted<'a, 'd> {
    pub(crate) request: &'a Request<'a>,
    pub(crate) aor: &'a Aor,
    /// The URI of its sender, if it is not the one in From.
    pub(crate) sender: Option<&'a [u8]>,
    pub(crate) domain: &'d Domain,
    pub(crate) directory: &'d Directory,
    pub(crate) event: EventHeader<'a>,
}

impl Engine {
    /// Serves a SUBSCRIBE without a To-tag: a new subscription, or a fetch if it expires at once.
    pub(crate) fn serve_subscribe<'d>(
        &mut self,
        request: &Request<'_>,
        (aor, domain, principal): Admission<'d>,
        turn: &mut Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        let event = event_of(request.message)?;
        let aor = match event.package {
            Package::MessageSummary => mailbox(aor, request, &principal, turn),
            _ => aor,
        };
        let peer = request.flow.peer.ip();
        let sender =
            sender_instead_of_from(request.message, &principal, peer, domain, turn.directory)?;
        if sender
            .as_ref()
            .is_some_and(|uri| uri.len() > URI_OCTETS_MAX)
        {
            return Err(Fault::Invalid(HeaderName::PAssertedIdentity).into());
        }
        let admitted = Admitted {
            request,
            aor: &aor,
            sender: sender.as_deref(),
            domain,
            directory: turn.directory,
            event,
        };
        self.subscribe(&admitted, None, turn)
    }

    /// Serves an admitted SUBSCRIBE. `claim` is the appearance that the owner granted, if it had to
    /// be asked for one.
    pub(crate) fn subscribe<'d>(
        &mut self,
        admitted: &Admitted<'_, 'd>,
        claim: Option<&Claim>,
        turn: &mut Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        let Admitted {
            request,
            aor,
            sender,
            domain,
            event,
            ..
        } = *admitted;
        let package = event.package;
        let mut asked = read_subscribe(request.message, event, domain, turn)?;
        let plan = asked.plan(request.message, aor, turn)?;
        let resources = plan.as_ref().map_or(1, ListPlan::places);
        let new = self
            .subscriptions
            .accept_dialog(request, sender, resources, turn)?;
        let decision = authorise(admitted, new.watcher_uri(), &asked, plan.as_ref(), turn)?;
        if package == Package::LineSeize && claim.is_none() && !asked.granted.is_zero() {
            return self.seize(admitted, turn);
        }

        asked.granted =
            self.uas
                .overload_mut()
                .spread_expiry(asked.granted, asked.expires_min, turn);
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
        let subscription = self.subscriptions.begin_dialog(new, beginning, turn);
        self.prove_path_by_digest(request, domain, subscription, turn);
        if asked.profile.replaces_same_contact {
            self.notifier
                .replace_older(subscription, &mut self.subscriptions, turn);
        }
        let accepted = Accepted {
            subscription,
            granted: asked.granted,
            // A fetch is not recorded, nor is an appearance of a line.
            waits: !asked.granted.is_zero() && claim.is_none(),
        };
        self.accept(request, accepted, turn);
        if let Enclosed::Switch(update) = asked.enclosed {
            switch(self.subscriptions.table_mut(), subscription, update, turn);
        }
        Ok(())
    }
}

/// A SUBSCRIBE that gets a 2xx.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Accepted {
    pub(crate) subscription: SubscriptionId,
    pub(crate) granted: Duration,
    /// The 2xx, and the NOTIFY behind it, wait until the record is durable.
    pub(crate) waits: bool,
}

/// What the watcher, named by that URI, may see by the rules in force.
///
/// Refuses a watcher that is blocked, that may not subscribe to a whole domain, or that may not
/// switch the feature.
fn authorise<'d>(
    admitted: &Admitted<'_, 'd>,
    watcher: &[u8],
    asked: &Asked<'_>,
    plan: Option<&ListPlan>,
    turn: &Turn<'_>,
) -> Result<Decision, Refusal<'d>> {
    let Admitted {
        request,
        aor,
        domain,
        directory,
        event: EventHeader { package, .. },
        ..
    } = *admitted;
    let peer = request.flow.peer.ip();
    let watcher = Watcher::new(watcher, peer, &domain.name, directory);
    let decision = match plan {
        Some(plan) if plan.is_of_body() => Decision::ALLOW,
        _ => decide(&watcher, aor, package, turn),
    };
    let has_whole_domain = plan.is_some_and(|plan| plan.resolved().has_whole_domain());
    let is_forbidden = decision.handling == Handling::Block
        || package == Package::LineSeize && decision.handling != Handling::Allow
        || has_whole_domain && !watcher.may_any_dn(&domain.name, directory);
    if is_forbidden {
        return Err(Refusal::Plain(Status::FORBIDDEN));
    }
    if asked.enclosed.is_switch() {
        check_may_switch(&watcher, aor, directory)?;
    }
    Ok(decision)
}

impl Engine {
    /// Sends 200 with Expires and Contact, and queues the NOTIFY that must follow it (RFC 6665
    /// §4.2.1.2; W:A1.14-A1.16).
    pub(crate) fn accept(
        &mut self,
        request: &Request<'_>,
        accepted: Accepted,
        turn: &mut Turn<'_>,
    ) {
        let id = accepted.subscription;
        self.respond_subscribed(request, Status::OK, accepted, turn);
        let subscription = self.subscriptions.table_mut().subscription_mut(id);
        if let Some(subscription) = subscription.expected("its SUBSCRIBE is accepted") {
            subscription.forget_shown();
        }
        self.subscriptions.table_mut().want(id, Wants::Notify);
    }

    /// Sends 204: the watcher has the current state already, so no NOTIFY follows (RFC 5839 §4.2).
    pub(crate) fn accept_silently(
        &mut self,
        request: &Request<'_>,
        accepted: Accepted,
        turn: &mut Turn<'_>,
    ) {
        turn.counters.notifies_suppressed += 1;
        self.respond_subscribed(request, Status::NO_NOTIFICATION, accepted, turn);
        if accepted.granted.is_zero() {
            let id = accepted.subscription;
            self.notifier
                .remove_subscription(id, &mut self.subscriptions, turn);
        }
    }

    fn respond_subscribed(
        &mut self,
        request: &Request<'_>,
        status: Status,
        accepted: Accepted,
        turn: &mut Turn<'_>,
    ) {
        let (id, granted) = (accepted.subscription, accepted.granted);
        let table = self.subscriptions.table();
        let subscription = table.subscription(id);
        let entry = subscription.and_then(|subscription| table.dialog(subscription.dialog()));
        let entry = entry.expected("an accepted subscription is in the table");
        let (Some(subscription), Some(entry)) = (subscription, entry) else {
            return;
        };
        let is_list = subscription.is_multipart();
        let head = begin_response(request, status, None, entry.dialog().local_tag(), turn);
        for route in request.message.headers(HeaderName::RecordRoute) {
            emit::header(&mut turn.out.arena, "Record-Route", route);
        }
        emit::header(
            &mut turn.out.arena,
            "Contact",
            self.notifier.contact_of(&request.flow),
        );
        emit::header_number(&mut turn.out.arena, "Expires", granted.as_secs());
        if is_list {
            emit::header(&mut turn.out.arena, "Require", b"eventlist");
        }
        if accepted.waits {
            let table = self.subscriptions.table_mut();
            let held = table.await_acknowledgement(id, turn);
            self.uas.end_acknowledgement(request, head, held, turn);
        } else {
            self.uas.end_response(request, head, turn);
        }
        turn.keep_stream(&request.flow, granted);
    }
}

impl Engine {
    /// Marks the path of a dialog as proven if the SUBSCRIBE carries a nonce that we sent to its
    /// source address: the nonce arrived there.
    pub(crate) fn prove_path_by_digest(
        &mut self,
        request: &Request<'_>,
        domain: &Domain,
        id: SubscriptionId,
        turn: &Turn<'_>,
    ) {
        let peer = request.flow.peer;
        let Some(path) = self.subscriptions.table().unproven_path_to(id, peer) else {
            return;
        };
        let uptime = turn.now.saturating_duration_since(turn.options.epoch);
        let salt = self.uas.salt_of(request.message, &domain.name, uptime);
        if salt.is_some_and(|salt| is_salt_for(salt, request.flow.peer, turn)) {
            self.subscriptions.table_mut().prove_path(path);
        }
    }
}
