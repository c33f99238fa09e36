//! In-dialog SUBSCRIBE: refresh, unsubscribe, and further usages of the dialog (RFC 6665 §4.2.1.1).

use std::sync::Arc;

use crate::directory::Domain;
use crate::presence::event::Termination;
use crate::shard::conduct::Engine;
use crate::shard::conduct::subscribe::Accepted;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::{DialogId, SubscriptionId};
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::asked::Enclosed;
use crate::shard::lifecycle::asked::{Asked, read_subscribe};
use crate::shard::package::feature_event::{check_switch_in_dialog, switch};
use crate::shard::request::Request;
use crate::shard::request::headers::{check_extensions, event_of};
use crate::shard::request::refusal::Refusal;
use crate::shard::request::sender::{check_from, check_owner};
use crate::sip::Status;

impl Engine {
    /// Serves a SUBSCRIBE with a To-tag: a refresh, an unsubscribe, or a subscription to another
    /// package in the same dialog (W:A2.2-A2.8).
    pub(crate) fn serve_in_dialog<'d>(
        &mut self,
        request: &Request<'_>,
        tag: &[u8],
        turn: &mut Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        check_extensions(request.message)?;
        let table = self.subscriptions.table();
        let Some(id) = table.find_dialog(request.message, tag, turn) else {
            return self.refuse_unknown_dialog(request, tag, turn);
        };
        let first = table.usages(id).first().copied();
        let first = first
            .expected("a dialog has a subscription")
            .ok_or(Refusal::NO_SUBSCRIPTION)?;
        let domain = self.admit_in_dialog(request, id, first, turn)?;
        let event = event_of(request.message)?;
        let asked = read_subscribe(request.message, event, domain, turn)?;
        if asked.enclosed.is_switch() {
            check_switch_in_dialog(self.subscriptions.table(), request, first, turn)?;
        }
        let usage = self.subscriptions.table().usage_of(id, &event);
        if usage.is_some_and(|subscription| self.subscriptions.table().is_over(subscription)) {
            return Err(Refusal::NO_SUBSCRIPTION);
        }
        let is_moved = self
            .notifier
            .take_target(request, id, &mut self.subscriptions, turn)?;
        self.subscriptions
            .table_mut()
            .prove_path_by_tag(request, id);
        self.prove_path_by_digest(request, domain, first, turn);
        let profile = Arc::clone(&asked.profile);
        self.subscriptions.table_mut().take_profile(id, profile);
        let subscription = match usage {
            Some(subscription) => subscription,
            None if asked.granted.is_zero() => return Err(Refusal::NO_SUBSCRIPTION),
            None => {
                let usage = (id, first);
                self.subscriptions
                    .add_usage(usage, &asked, request.message, turn)?
            }
        };
        // The decision in force was made for the old source address, so rules about addresses must
        // be evaluated again.
        if is_moved {
            self.subscriptions.decide_moved(id, turn);
            if self.subscriptions.table().is_over(subscription) {
                return Err(Refusal::NO_SUBSCRIPTION);
            }
        }
        self.refresh(request, (subscription, usage.is_none()), asked, turn);
        self.subscriptions
            .table_mut()
            .wake_siblings(id, subscription);
        Ok(())
    }

    /// A dialog that may still be recovered is not denied: over UDP the phone repeats its SUBSCRIBE
    /// anyway, over a stream it is asked to.
    fn refuse_unknown_dialog<'d>(
        &mut self,
        request: &Request<'_>,
        tag: &[u8],
        turn: &mut Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        if !self.subscriptions.table().is_unrecovered(tag, turn) {
            return Err(Refusal::NO_SUBSCRIPTION);
        }
        turn.counters.requests_before_recovery += 1;
        if request.flow.transport.is_reliable() {
            return Err(Refusal::Recovering);
        }
        self.uas.forget(request);
        Ok(())
    }

    /// Authenticates a request in a dialog against the domain of the dialog's presentity. `first` is
    /// a subscription of the dialog.
    fn admit_in_dialog<'d>(
        &mut self,
        request: &Request<'_>,
        id: DialogId,
        first: SubscriptionId,
        turn: &mut Turn<'d>,
    ) -> Result<&'d Domain, Refusal<'d>> {
        let aor = self
            .subscriptions
            .table()
            .subscription(first)
            .and_then(|subscription| self.subscriptions.table().aor_of(subscription))
            .expected("a subscription is to an address of record")
            .ok_or(Refusal::NO_SUBSCRIPTION)?;
        // None if the domain has just been removed; its subscriptions are about to end.
        let domain = turn
            .directory
            .domain(aor.domain())
            .ok_or(Refusal::Plain(Status::NOT_FOUND))?;
        let principal = self.uas.authenticate(request, domain, turn)?;
        check_from(request.message, &principal, domain, turn.directory)?;
        let entry = self.subscriptions.table().dialog(id);
        let entry = entry
            .expected("the dialog was found above")
            .ok_or(Refusal::NO_SUBSCRIPTION)?;
        check_owner(&principal, entry.watcher_uri(), domain, turn.directory)?;
        Ok(domain)
    }

    /// Renews or ends a subscription and sends the 2xx: 204 if Suppress-If-Match matches (RFC 5839
    /// §4.2). The 2xx to a mere refresh waits for nothing.
    fn refresh(
        &mut self,
        request: &Request<'_>,
        (subscription, is_new_usage): (SubscriptionId, bool),
        asked: Asked<'_>,
        turn: &mut Turn<'_>,
    ) {
        let has_changed_list =
            self.subscriptions
                .replace_list(subscription, asked.enclosed.list(), turn);
        let is_new = has_changed_list || asked.enclosed.is_switch();
        let is_known = !is_new
            && self.notifier.apply_suppress_if_match(
                subscription,
                request.message,
                &mut self.subscriptions,
                turn,
            );
        let has_begun_or_ended = if asked.granted.is_zero() {
            turn.counters.subscriptions_ended += 1;
            self.subscriptions
                .end_subscription(subscription, Termination::Timeout, turn);
            true
        } else {
            turn.counters.subscriptions_refreshed += 1;
            let was_over = self
                .subscriptions
                .renew(subscription, &asked, request.message, turn);
            was_over || is_new_usage
        };
        let accepted = Accepted {
            subscription,
            granted: asked.granted,
            waits: has_begun_or_ended,
        };
        if is_known {
            self.accept_silently(request, accepted, turn);
        } else {
            self.accept(request, accepted, turn);
        }
        if let Enclosed::Switch(update) = asked.enclosed {
            switch(self.subscriptions.table_mut(), subscription, update, turn);
        }
    }
}
