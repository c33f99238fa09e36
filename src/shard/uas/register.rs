//! Responses to REGISTER.

use std::time::Duration;

use crate::presence::registration::BindingRefused;
use crate::shard::contract::mail::Registered;
use crate::shard::contract::turn::Turn;
use crate::shard::request::contacts::{
    OUT_OF_ORDER, TOO_MANY_CONTACTS, write_contacts, write_contacts_within,
};
use crate::shard::request::refusal::Refusal;
use crate::shard::request::{Request, covered_octets};
use crate::shard::uas::Uas;
use crate::shard::uas::admission::returns_nonce;
use crate::shard::uas::response::{END_OCTETS, begin_response, is_amplified};
use crate::sip::digest::Authenticator;
use crate::sip::{Status, date, emit};

impl Uas {
    /// Resumes a REGISTER with the outcome that the owner reports.
    pub(crate) fn handle_register_outcome(
        &mut self,
        suspended: u64,
        outcome: Result<Registered, BindingRefused>,
        turn: &mut Turn<'_>,
    ) {
        let Some(suspended) = self.resume(suspended, turn) else {
            // The request timed out before.
            return;
        };
        suspended.with_request(|request| {
            match write_registered(request, outcome, &self.authenticator, turn) {
                // The owner sent the outcome when its record was durable.
                Ok(head) => self.end_response(request, head, turn),
                Err(refusal) => self.refuse(request, &refusal, turn),
            }
        });
    }

    /// Sends the 200 to a REGISTER of a presentity owned here once its record is durable, or returns
    /// the refusal that the outcome means.
    pub(crate) fn respond_to_register<'d>(
        &mut self,
        request: &Request<'_>,
        outcome: Result<Registered, BindingRefused>,
        turn: &mut Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        let head = write_registered(request, outcome, &self.authenticator, turn)?;
        self.end_acknowledgement(request, head, turn);
        Ok(())
    }
}

/// Begins the 200 to a REGISTER, with all headers of its own. Over UDP, to a sender whose address may be
/// forged, it lists only as many contacts as its length allows, those of the request first (W:E3.8).
fn write_registered<'d>(
    request: &Request<'_>,
    outcome: Result<Registered, BindingRefused>,
    authenticator: &Authenticator,
    turn: &mut Turn<'d>,
) -> Result<usize, Refusal<'d>> {
    let Registered { bindings, expires } = outcome.map_err(|refused| match refused {
        BindingRefused::OutOfOrder => OUT_OF_ORDER,
        BindingRefused::TooManyContacts => {
            turn.counters.registrations_over_limit += 1;
            TOO_MANY_CONTACTS
        }
        BindingRefused::OverLimit => {
            turn.counters.registrations_over_limit += 1;
            Refusal::OverLimit
        }
    })?;
    turn.counters.registrations_accepted += 1;
    let mut tag = [0; 16];
    turn.random.fill_hex(&mut tag);
    let head = begin_response(request, Status::OK, None, &tag, turn);
    let brief = turn.out.arena.len();
    write_contacts(&bindings, turn.out);
    write_expires(expires, turn);
    let date = date::sip_date(turn.wall_clock());
    emit::header(&mut turn.out.arena, "Date", date.as_bytes());
    if is_amplified(request, head, turn.out)
        && !returns_nonce(authenticator, request.message, request.flow.peer, turn)
    {
        turn.out.arena.truncate(brief);
        write_expires(expires, turn);
        let octets_max = covered_octets(request.message) + head - END_OCTETS;
        write_contacts_within(&bindings, request.message, octets_max, turn.out);
    }
    turn.keep_stream(&request.flow, expires);
    Ok(head)
}

fn write_expires(expires: Duration, turn: &mut Turn<'_>) {
    if !expires.is_zero() {
        emit::header_number(&mut turn.out.arena, "Expires", expires.as_secs());
    }
}
