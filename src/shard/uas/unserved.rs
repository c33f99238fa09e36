//! Requests that need no service: CANCEL, and a NOTIFY to no subscription of ours.

use crate::presence::event::Package;
use crate::shard::contract::turn::Turn;
use crate::shard::request::Request;
use crate::shard::request::refusal::Refusal;
use crate::shard::uas::Uas;
use crate::sip::header::Event;
use crate::sip::{Fault, HeaderName, Status};

impl Uas {
    /// CANCEL: our transactions are complete as soon as they are served, so a CANCEL that matches
    /// one has no effect (RFC 3261 §9.2; RFC 6665 §4.6).
    pub(crate) fn serve_cancel<'d>(
        &mut self,
        request: &Request<'_>,
        turn: &mut Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        if !self.transactions.knows_cancelled(request.message, turn.now) {
            return Err(Refusal::Plain(Status::SUBSCRIPTION_DOES_NOT_EXIST));
        }
        self.respond_ok(request, turn);
        Ok(())
    }

    /// Refuses a NOTIFY, because we have no subscription; answers keep-alive with 200 (RFC 6665
    /// §4.1.3).
    pub(crate) fn serve_stray_notify<'d>(
        &mut self,
        request: &Request<'_>,
        turn: &mut Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        let event = request
            .message
            .header(HeaderName::Event)
            .and_then(Event::parse)
            .ok_or(Refusal::BadEvent)?;
        if event.package.eq_ignore_ascii_case(b"keep-alive") {
            self.respond_ok(request, turn);
            return Ok(());
        }
        if Package::from_token(event.package).is_none() {
            return Err(Refusal::BadEvent);
        }
        if request
            .message
            .header(HeaderName::SubscriptionState)
            .is_none()
        {
            return Err(Fault::Missing(HeaderName::SubscriptionState).into());
        }
        Err(Refusal::Plain(Status::SUBSCRIPTION_DOES_NOT_EXIST))
    }
}
