//! Responses to PUBLISH.

use crate::presence::document;
use crate::presence::document::DocumentFault;
use crate::presence::event::Package;
use crate::presence::presentity::{PublishRefused, Published};
use crate::shard::contract::turn::Turn;
use crate::shard::request::Request;
use crate::shard::request::refusal::Refusal;
use crate::shard::uas::Uas;
use crate::shard::uas::response::begin_response;
use crate::sip::{Status, emit};

impl Uas {
    /// Resumes a PUBLISH with the outcome that the owner reports.
    pub(crate) fn handle_publish_outcome(
        &mut self,
        suspended: u64,
        outcome: Result<Published, PublishRefused>,
        turn: &mut Turn<'_>,
    ) {
        let Some(suspended) = self.resume(suspended, turn) else {
            // The request timed out before.
            return;
        };
        suspended.with_request(|request| {
            let package = suspended.package;
            match write_published(request, package, outcome, turn) {
                // The owner sent the outcome when its record was durable.
                Ok(head) => self.end_response(request, head, turn),
                Err(refusal) => self.refuse(request, &refusal, turn),
            }
        });
    }

    /// Sends the 200 to a PUBLISH of a presentity owned here once its record is durable, or returns the
    /// refusal that the outcome means.
    pub(crate) fn respond_to_publish<'d>(
        &mut self,
        request: &Request<'_>,
        package: Package,
        outcome: Result<Published, PublishRefused>,
        turn: &mut Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        let head = write_published(request, package, outcome, turn)?;
        self.end_acknowledgement(request, head, turn);
        Ok(())
    }
}

/// Begins the 200 to a PUBLISH, with all headers of its own.
fn write_published<'d>(
    request: &Request<'_>,
    package: Package,
    outcome: Result<Published, PublishRefused>,
    turn: &mut Turn<'d>,
) -> Result<usize, Refusal<'d>> {
    let published = outcome.map_err(|refused| match refused {
        PublishRefused::ConditionFailed => {
            turn.counters.publications_unmatched += 1;
            Refusal::Plain(Status::CONDITIONAL_REQUEST_FAILED)
        }
        PublishRefused::TooBrief(min) => Refusal::TooBrief(min),
        PublishRefused::NoBody => Refusal::Because(Status::BAD_REQUEST, "Missing Body"),
        PublishRefused::Document(fault) => refusal_of(fault, package),
        PublishRefused::TooMany => Refusal::OverLimit,
    })?;
    turn.counters.publications_accepted += 1;
    let mut tag = [0; 16];
    turn.random.fill_hex(&mut tag);
    let head = begin_response(request, Status::OK, None, &tag, turn);
    emit::header(
        &mut turn.out.arena,
        "SIP-ETag",
        &published.entity_tag.to_token(),
    );
    emit::header_number(&mut turn.out.arena, "Expires", published.expires.as_secs());
    turn.keep_stream(&request.flow, published.expires);
    Ok(head)
}

fn refusal_of<'d>(fault: DocumentFault, package: Package) -> Refusal<'d> {
    match fault {
        DocumentFault::Malformed => Refusal::Because(Status::BAD_REQUEST, "Malformed Body"),
        DocumentFault::UnsupportedType => Refusal::MediaType(document::accepted(package)),
        DocumentFault::TooLarge => Refusal::Plain(Status::REQUEST_ENTITY_TOO_LARGE),
        DocumentFault::WrongEntity => Refusal::Plain(Status::FORBIDDEN),
    }
}
