//! SUBSCRIBE in a dialog (RFC 6665 §4.2.1.1).

use crate::shard::conduct::Engine;
use crate::shard::conduct::subscribe::response_of;
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::refresh::FoundDialog;
use crate::shard::notify::refresh::InDialog;
use crate::shard::request::Request;
use crate::shard::request::headers::check_extensions;
use crate::shard::request::privacy::check_privacy;
use crate::shard::request::refusal::Refusal;
use crate::shard::request::sender::{check_from, check_owner};
use crate::sip::Status;

impl Engine {
    /// Serves a SUBSCRIBE with a To-tag: a refresh, an unsubscribe, or a subscription to another
    /// package in the same dialog (W:A2.2-A2.8). It is authenticated against the domain of the
    /// dialog's presentity.
    pub(crate) fn serve_in_dialog<'d>(
        &mut self,
        request: &Request<'_>,
        tag: &[u8],
        turn: &mut Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        check_extensions(request.message)?;
        check_privacy(request.message)?;
        let found = self.subscriptions.find_dialog(request.message, tag, turn)?;
        let Some(found) = found else {
            return self.refuse_unknown_dialog(request, tag, turn);
        };
        let FoundDialog {
            id,
            first,
            aor,
            watcher_uri,
        } = found;
        // None if the domain has just been removed; its subscriptions are about to end.
        let domain = turn
            .directory
            .domain(aor.domain())
            .ok_or(Refusal::Plain(Status::NOT_FOUND))?;
        let authentication = self.uas.authenticate(request, domain, turn)?;
        let principal = &authentication.principal;
        check_from(request.message, principal, domain, turn.directory)?;
        check_owner(principal, watcher_uri, domain, turn.directory)?;
        let asked = InDialog {
            request,
            dialog: id,
            first,
            domain,
            salt: authentication.salt,
        };
        let acceptance = self
            .notifier
            .refresh(&asked, &mut self.subscriptions, turn)?;
        let accepted = acceptance.accepted;
        let contact = self.notifier.contact_of(request);
        let response = response_of(&acceptance, contact);
        self.uas.respond_to_subscribe(request, &response, turn);
        if accepted.is_silent && accepted.granted.is_zero() {
            self.notifier
                .remove_subscription(accepted.subscription, &mut self.subscriptions, turn);
        }
        Ok(())
    }

    /// Refuses a SUBSCRIBE in an unknown dialog with 481. If the dialog may still be recovered, the
    /// request waits for it. If too many wait, it is dropped over UDP, where the phone retransmits it,
    /// and refused over a stream so that the phone tries again.
    fn refuse_unknown_dialog<'d>(
        &mut self,
        request: &Request<'_>,
        tag: &[u8],
        turn: &mut Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        let place = self.subscriptions.unrecovered(tag, turn);
        let place = place.ok_or(Refusal::NO_SUBSCRIPTION)?;
        if self.await_dialog(place, request.arrived(), request.message.bytes(), turn) {
            turn.counters.requests_awaiting_dialog += 1;
            self.uas.forget(request);
            return Ok(());
        }
        turn.counters.requests_before_recovery += 1;
        if request.flow.transport.is_reliable() {
            return Err(Refusal::Recovering);
        }
        self.uas.forget(request);
        Ok(())
    }
}
