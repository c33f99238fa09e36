//! Responses to REGISTER.

use crate::presence::registration::BindingRefused;
use crate::shard::contract::mail::Registered;
use crate::shard::contract::turn::Turn;
use crate::shard::request::Request;
use crate::shard::request::contacts::{OUT_OF_ORDER, TOO_MANY_CONTACTS, write_contacts};
use crate::shard::request::refusal::Refusal;
use crate::shard::uas::Uas;
use crate::shard::uas::response::begin_response;
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
        suspended.with_request(|request| match write_registered(request, outcome, turn) {
            // The owner sent the outcome when its record was durable.
            Ok(head) => self.end_response(request, head, turn),
            Err(refusal) => self.refuse(request, &refusal, turn),
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
        let head = write_registered(request, outcome, turn)?;
        self.end_acknowledgement(request, head, None, turn);
        Ok(())
    }
}

/// Begins the 200 to a REGISTER, with all headers of its own.
fn write_registered<'d>(
    request: &Request<'_>,
    outcome: Result<Registered, BindingRefused>,
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
    write_contacts(&bindings, turn.out);
    if !expires.is_zero() {
        emit::header_number(&mut turn.out.arena, "Expires", expires.as_secs());
    }
    let date = date::sip_date(turn.wall_clock());
    emit::header(&mut turn.out.arena, "Date", date.as_bytes());
    turn.keep_stream(&request.flow, expires);
    Ok(head)
}
