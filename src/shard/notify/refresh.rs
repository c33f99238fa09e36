//! A SUBSCRIBE in a dialog: refresh, unsubscribe, or a further usage of the dialog (RFC 6665 §4.2.1.1).
//! It is the notifier's, because a new path abandons NOTIFYs, and Suppress-If-Match is compared with
//! what the next one would carry.

use std::sync::Arc;

use crate::directory::Domain;
use crate::presence::event::Termination;
use crate::shard::contract::ids::{DialogId, SubscriptionId};
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::lifecycle::asked::{Asked, read_subscribe};
use crate::shard::lifecycle::begin::{Acceptance, Accepted};
use crate::shard::lifecycle::notifiers_table::NotifiersTable;
use crate::shard::notify::Notifier;
use crate::shard::request::Request;
use crate::shard::request::headers::event_of;
use crate::shard::request::refusal::Refusal;

/// A SUBSCRIBE in a dialog that passed authentication.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InDialog<'a> {
    pub(crate) request: &'a Request<'a>,
    pub(crate) dialog: DialogId,
    /// A subscription of the dialog.
    pub(crate) first: SubscriptionId,
    pub(crate) domain: &'a Domain,
    /// The salt of the nonce that its credentials carry.
    pub(crate) salt: Option<u32>,
}

impl Notifier {
    /// Serves a SUBSCRIBE in a dialog. If it ends a subscription silently, the caller removes the
    /// subscription after the 2xx.
    pub(crate) fn refresh<'t, 'd>(
        &mut self,
        asked_in: &InDialog<'_>,
        subscriptions: &'t mut Subscriptions,
        turn: &mut Turn<'d>,
    ) -> Result<Acceptance<'t>, Refusal<'d>> {
        let InDialog {
            request,
            dialog,
            first,
            domain,
            ..
        } = *asked_in;
        let event = event_of(request.message)?;
        let asked = read_subscribe(request.message, event, domain, turn)?;
        if asked.enclosed.is_switch() {
            subscriptions.check_switch(request, first, turn)?;
        }
        let usage = subscriptions.table().usage_of(dialog, &event);
        if usage.is_some_and(|subscription| subscriptions.table().is_over(subscription)) {
            return Err(Refusal::NO_SUBSCRIPTION);
        }
        subscriptions.table().check_held(usage.unwrap_or(first))?;
        let is_moved = self.take_phone(asked_in, &asked, subscriptions, turn)?;
        let subscription = match usage {
            Some(subscription) => subscription,
            None if asked.granted.is_zero() => return Err(Refusal::NO_SUBSCRIPTION),
            None => subscriptions.add_usage((dialog, first), &asked, request.message, turn)?,
        };
        // The decision in force was made for the old source address and certificate, so rules about
        // trusted peers must be evaluated again.
        if is_moved {
            subscriptions.decide_moved(dialog, turn);
            if subscriptions.table().is_over(subscription) {
                return Err(Refusal::NO_SUBSCRIPTION);
            }
        }
        subscriptions
            .table_mut()
            .wake_siblings(dialog, subscription);
        let renewed = (subscription, usage.is_none());
        self.renew(request, renewed, asked, subscriptions, turn)
    }

    /// What a SUBSCRIBE says of its phone: its Contact, its path and what proves that, its certificate, its
    /// User-Agent. Returns whether it came over another path, or is trusted for another certificate.
    fn take_phone<'d>(
        &mut self,
        asked_in: &InDialog<'_>,
        asked: &Asked<'_>,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'d>,
    ) -> Result<bool, Refusal<'d>> {
        let InDialog {
            request,
            dialog,
            first,
            domain,
            salt,
        } = *asked_in;
        let is_moved = self.take_target(request, dialog, subscriptions, turn)?;
        let table = subscriptions.table_mut();
        table.prove_path_by_tag(request, dialog, turn);
        table.prove_path_by_salt(first, salt, request.flow.peer, turn);
        table.take_alias(request, turn);
        table.take_profile(dialog, Arc::clone(&asked.profile));
        let voucher = turn.peer(domain, &request.flow).voucher;
        let is_trusted_anew = table.take_voucher(dialog, voucher);
        Ok(is_moved || is_trusted_anew)
    }

    /// Renews or ends a subscription: silently if Suppress-If-Match matches (RFC 5839 §4.2). The 2xx
    /// to a mere refresh waits for nothing.
    fn renew<'t, 'd>(
        &mut self,
        request: &Request<'_>,
        (subscription, is_new_usage): (SubscriptionId, bool),
        asked: Asked<'_>,
        subscriptions: &'t mut Subscriptions,
        turn: &mut Turn<'d>,
    ) -> Result<Acceptance<'t>, Refusal<'d>> {
        self.send_waiting(subscription, subscriptions, turn);
        let has_changed_list =
            subscriptions.replace_list(subscription, asked.enclosed.list(), turn);
        let is_new = has_changed_list || asked.enclosed.is_switch();
        let is_known = !is_new
            && self.apply_suppress_if_match(subscription, request.message, subscriptions, turn);
        let has_begun_or_ended = if asked.granted.is_zero() {
            turn.counters.subscriptions_ended += 1;
            subscriptions.end_subscription(subscription, Termination::Timeout, turn);
            true
        } else {
            turn.counters.subscriptions_refreshed += 1;
            let was_over = subscriptions.renew(subscription, &asked, request.message, turn);
            was_over || is_new_usage
        };
        let accepted = Accepted {
            subscription,
            granted: asked.granted,
            waits: has_begun_or_ended || asked.enclosed.is_switch(),
            is_silent: is_known,
            replaces_older: false,
        };
        subscriptions.accept(accepted, asked.enclosed, turn)
    }
}
