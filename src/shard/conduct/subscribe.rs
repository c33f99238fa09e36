//! SUBSCRIBE outside a dialog: new subscriptions and fetches (RFC 6665 §4.2.1).

use crate::presence::event::Package;
use crate::shard::conduct::Engine;
use crate::shard::conduct::dispatch::Admission;
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::begin::{Acceptance, Admitted};
use crate::shard::package::message_summary::mailbox;
use crate::shard::request::Request;
use crate::shard::request::headers::event_of;
use crate::shard::request::refusal::Refusal;
use crate::shard::request::sender::{Sender, sender_of};
use crate::shard::subscription::watcher::Watcher;
use crate::shard::uas::response::SubscribeAccepted;
use crate::sip::dialog::URI_OCTETS_MAX;
use crate::sip::{Fault, HeaderName, Status};

impl Engine {
    /// Serves a SUBSCRIBE without a To-tag: a new subscription, or a fetch if it expires at once.
    pub(crate) fn serve_subscribe<'d>(
        &mut self,
        request: &Request<'_>,
        admission: Admission<'d>,
        turn: &mut Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        let Admission {
            aor,
            domain,
            authentication,
        } = admission;
        let (message, principal) = (request.message, &authentication.principal);
        let event = event_of(message)?;
        let peer = turn.peer(domain, &request.flow);
        let sender = sender_of(message, principal, peer, domain, turn.directory)?;
        let aor = match event.package {
            Package::MessageSummary => mailbox(aor, message, (principal, &sender), turn),
            _ => aor,
        };
        let Sender { uri, aor: named } = sender;
        if uri.as_ref().is_some_and(|uri| uri.len() > URI_OCTETS_MAX) {
            return Err(Fault::Invalid(HeaderName::PAssertedIdentity).into());
        }
        let admitted = Admitted {
            request,
            event,
            aor: &aor,
            domain,
            sender: uri.as_deref(),
            watcher: &Watcher::of(named, peer, Some(domain)),
            salt: authentication.salt,
            claim: None,
        };
        self.subscribe(&admitted, turn)
    }

    /// Serves an admitted SUBSCRIBE: begins the subscription and sends the 2xx, or asks the owner of
    /// the line for the appearance that it names.
    pub(crate) fn subscribe<'d>(
        &mut self,
        admitted: &Admitted<'_, 'd>,
        turn: &mut Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        let request = admitted.request;
        let Some(acceptance) = self.subscriptions.subscribe(admitted, turn)? else {
            return self.seize(admitted, turn);
        };
        let accepted = acceptance.accepted;
        let contact = self.notifier.contact_of(request);
        let response = response_of(&acceptance, contact);
        self.uas.respond_to_subscribe(request, &response, turn);
        if accepted.replaces_older {
            self.notifier
                .replace_older(accepted.subscription, &mut self.subscriptions, turn);
        }
        Ok(())
    }
}

/// The 2xx to a SUBSCRIBE, with our Contact.
pub(super) fn response_of<'a>(
    acceptance: &Acceptance<'a>,
    contact: &'a [u8],
) -> SubscribeAccepted<'a> {
    let Acceptance {
        accepted,
        tag,
        is_list,
        held,
    } = *acceptance;
    SubscribeAccepted {
        status: match accepted.is_silent {
            true => Status::NO_NOTIFICATION,
            false => Status::OK,
        },
        tag,
        contact,
        granted: accepted.granted,
        is_list,
        waits: accepted.waits,
        held,
    }
}
