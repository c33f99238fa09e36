//! PUBLISH (RFC 3903 §6), and its deferral: while NOTIFYs are queued, another PUBLISH only
//! supersedes unsent state.

use crate::presence::document;
use crate::shard::conduct::Engine;
use crate::shard::conduct::dispatch::Admission;
use crate::shard::contract::flow::Arrived;
use crate::shard::contract::mail::{ForwardedPublish, Mail};
use crate::shard::contract::turn::Turn;
use crate::shard::request::Request;
use crate::shard::request::headers::{check_exists, event_of};
use crate::shard::request::publication::{
    check_publisher, mint_entity_tag, publication_limits, read_publication,
};
use crate::shard::request::refusal::Refusal;
use crate::shard::request::sender::check_from;

impl Engine {
    /// Serves a PUBLISH: checks it, and applies it here or forwards it to the owner of the
    /// presentity.
    pub(crate) fn serve_publish<'d>(
        &mut self,
        request: &Request<'_>,
        admission: Admission<'d>,
        turn: &mut Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        let Admission { aor, domain, .. } = admission;
        let principal = admission.authentication.principal;
        let package = event_of(request.message)?.package;
        if document::accepted(package).is_empty() {
            return Err(Refusal::BadEvent);
        }
        check_from(request.message, &principal, domain, turn.directory)?;
        check_publisher(&principal, &aor, package, turn.directory)?;
        check_exists(&aor, domain, turn.directory)?;
        let admission = (&aor, domain, &principal);
        let publication = read_publication(request, package, admission, &mut self.documents, turn)?;
        let fresh = mint_entity_tag(request.message, turn);
        let limits = publication_limits(package, domain, turn);
        let owner = turn.owner_of(&aor);
        if owner == turn.here() {
            let outcome =
                self.compositor
                    .apply_publication(&aor, publication, fresh, &limits, turn);
            return self.uas.respond_to_publish(request, package, outcome, turn);
        }
        let suspended = self.uas.suspend(request, package, None, turn)?;
        let reply_to = (turn.here(), suspended);
        let publish = ForwardedPublish {
            aor,
            publication,
            fresh,
            limits,
            reply_to,
        };
        turn.send(owner, Mail::Publish(Box::new(publish)));
        Ok(())
    }
}

/// Deferred PUBLISHes served per turn.
const READ_PER_TURN: usize = 64;

/// The beginning of every PUBLISH.
pub(super) const PUBLISH: &[u8] = b"PUBLISH ";

impl Engine {
    /// Defers a PUBLISH if NOTIFYs are queued. False if it is to be served now.
    pub(crate) fn postpone(
        &mut self,
        arrived: Arrived,
        octets: &[u8],
        turn: &mut Turn<'_>,
    ) -> bool {
        if !self.subscriptions.is_telling(turn) && self.publish_queue.is_empty() {
            return false;
        }
        while self.publish_queue.octets + octets.len() > turn.options.overload.postponed_octets_max
        {
            let Some((oldest_arrived, oldest)) = self.publish_queue.pop() else {
                return false;
            };
            turn.counters.postponements_cut_short += 1;
            self.handle_octets(oldest_arrived, &oldest, None, false, turn);
        }
        turn.counters.requests_postponed += 1;
        self.publish_queue.push(arrived, octets);
        true
    }

    /// Serves deferred PUBLISHes while few NOTIFYs are queued, and at least one per turn, because
    /// changes from other sources must not delay PUBLISHes for ever. A refused PUBLISH does not
    /// count, so that unauthenticated senders delay no publisher.
    pub(crate) fn read_postponed(&mut self, turn: &mut Turn<'_>) {
        let mut has_read = false;
        for _ in 0..READ_PER_TURN {
            if has_read && self.subscriptions.is_telling(turn) {
                return;
            }
            let Some((arrived, octets)) = self.publish_queue.pop() else {
                return;
            };
            let refused = turn.counters.requests_refused;
            self.handle_octets(arrived, &octets, None, false, turn);
            has_read |= turn.counters.requests_refused == refused;
        }
    }
}
