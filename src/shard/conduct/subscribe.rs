//! SUBSCRIBE outside a dialog: new subscriptions and fetches (RFC 6665 §4.2.1).

use std::sync::Arc;

use crate::directory::{Directory, Domain};
use crate::presence::Aor;
use crate::presence::event::{Package, Termination};
use crate::presence::policy::{Decision, Handling};
use crate::shard::conduct::Engine;
use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::mail::Claim;
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::asked::{Asked, Beginning, read_subscribe};
use crate::shard::lifecycle::body::Enclosed;
use crate::shard::list::plan::ListPlan;
use crate::shard::list::request::{plan_enclosed_list, plan_list, requires_list};
use crate::shard::package::feature_event::{check_may_switch, switch};
use crate::shard::package::message_summary::mailbox;
use crate::shard::request::Request;
use crate::shard::request::headers::{check_exists, event_of};
use crate::shard::request::refusal::Refusal;
use crate::shard::request::sender::sender_instead_of_from;
use crate::shard::request::target::Target;
use crate::shard::request::uris::{entity_uri, request_uri};
use crate::shard::subscription::watcher::{Watcher, decide};
use crate::sip::dialog::{Dialog, URI_OCTETS_MAX};
use crate::sip::{Fault, HeaderName, Status};

/// A SUBSCRIBE that passed authentication and rate limits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admitted<'a, 'd> {
    pub(crate) request: &'a Request<'a>,
    pub(crate) aor: &'a Aor,
    /// The URI of its sender, if it is not the one in From.
    pub(crate) sender: Option<&'a [u8]>,
    pub(crate) domain: &'d Domain,
    pub(crate) directory: &'d Directory,
}

impl Engine {
    /// Serves a SUBSCRIBE without a To-tag: a new subscription, or a fetch if it expires at once.
    pub(crate) fn serve_subscribe<'d>(
        &mut self,
        request: &Request<'_>,
        target: Target<'d>,
        turn: &mut Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        let (aor, domain, principal) = self.admit(request, target, turn)?;
        let aor = match event_of(request.message)? {
            (Package::MessageSummary, ..) => mailbox(aor, request, &principal, turn),
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
            directory,
        } = *admitted;
        let mut asked = read_subscribe(request.message, domain, turn)?;
        if requires_list(request.message) && asked.enclosed.list().is_none() {
            return Err(Refusal::Because(Status::BAD_REQUEST, "Missing Body"));
        }
        let (dialog, token) = self
            .subscriptions
            .table_mut()
            .accept_dialog(request, turn)?;
        let (package, profile) = (asked.package, &asked.profile);
        let plan = match asked.enclosed.list() {
            Some(list) => Some(plan_enclosed_list(list, package)?),
            None => plan_list(request.message, aor, package, profile, turn)?,
        };
        if plan.is_none() {
            check_exists(aor, directory)?;
        }
        let resources = plan.as_ref().map_or(1, ListPlan::places);
        self.subscriptions
            .check_capacity(request, &dialog, resources, turn)?;
        let decision = authorise(admitted, &dialog, &asked, plan.as_ref(), turn)?;
        if package == Package::LineSeize && claim.is_none() && !asked.granted.is_zero() {
            return self.seize(admitted, turn);
        }

        asked.granted =
            self.uas
                .overload_mut()
                .spread_expiry(asked.granted, asked.expires_min, turn);
        let id =
            self.subscriptions
                .add_dialog(request, dialog, token, Arc::clone(&asked.profile), turn);
        self.prove_path_by_digest(request, domain, id, turn);
        self.subscriptions
            .table_mut()
            .take_sender(id, sender.map(Box::from));
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
        };
        let subscription = self.subscriptions.begin(id, beginning, turn);
        self.conclude_subscribe(request, subscription, asked, claim, turn);
        Ok(())
    }

    /// Completes a subscription that has begun: holds its appearance, replaces older ones of its
    /// phone, and sends the 200.
    fn conclude_subscribe(
        &mut self,
        request: &Request<'_>,
        subscription: SubscriptionId,
        asked: Asked<'_>,
        claim: Option<&Claim>,
        turn: &mut Turn<'_>,
    ) {
        if let Some(claim) = claim {
            self.subscriptions.table_mut().hold(subscription, claim);
        }
        if asked.profile.replaces_same_contact {
            self.notifier
                .replace_older(subscription, &mut self.subscriptions, turn);
        }
        if asked.granted.is_zero() {
            turn.counters.subscriptions_fetched += 1;
            self.subscriptions
                .end_subscription(subscription, Termination::Timeout, turn);
            self.subscriptions.table_mut().fetch(subscription);
        } else {
            turn.counters.subscriptions_created += 1;
            self.subscriptions
                .table_mut()
                .arm_subscription(subscription, turn);
        }
        self.accept(request, subscription, asked.granted, turn);
        if let Enclosed::Switch(update) = asked.enclosed {
            switch(self.subscriptions.table_mut(), subscription, update, turn);
        }
    }
}

/// What the watcher may see, by the rules in force.
///
/// Refuses a watcher that is blocked, that may not subscribe to a whole domain, or that may not
/// switch the feature.
fn authorise<'d>(
    admitted: &Admitted<'_, 'd>,
    dialog: &Dialog,
    asked: &Asked<'_>,
    plan: Option<&ListPlan>,
    turn: &Turn<'_>,
) -> Result<Decision, Refusal<'d>> {
    let Admitted {
        request,
        aor,
        sender,
        domain,
        directory,
    } = *admitted;
    let peer = request.flow.peer.ip();
    let uri = sender.unwrap_or_else(|| dialog.remote_uri());
    let watcher = Watcher::new(uri, peer, &domain.name, directory);
    let decision = match plan {
        Some(plan) if plan.is_of_body() => Decision::ALLOW,
        _ => decide(&watcher, aor, asked.package, turn),
    };
    let has_whole_domain = plan.is_some_and(|plan| plan.resolved().has_whole_domain());
    let is_forbidden = decision.handling == Handling::Block
        || asked.package == Package::LineSeize && decision.handling != Handling::Allow
        || has_whole_domain && !watcher.may_any_dn(&domain.name, directory);
    if is_forbidden {
        return Err(Refusal::Plain(Status::FORBIDDEN));
    }
    if asked.enclosed.is_switch() {
        check_may_switch(&watcher, aor, directory)?;
    }
    Ok(decision)
}
