//! PUBLISH (RFC 3903 §6).

use crate::presence::document;
use crate::shard::conduct::Engine;
use crate::shard::contract::mail::{ForwardedPublish, Mail};
use crate::shard::contract::turn::Turn;
use crate::shard::request::Request;
use crate::shard::request::headers::{check_exists, event_of};
use crate::shard::request::publication::{
    check_publisher, mint_entity_tag, publication_limits, read_publication,
};
use crate::shard::request::refusal::Refusal;
use crate::shard::request::sender::check_from;
use crate::shard::request::target::Target;

impl Engine {
    /// Serves a PUBLISH: checks it, and applies it here or forwards it to the owner of the
    /// presentity.
    pub(crate) fn serve_publish<'d>(
        &mut self,
        request: &Request<'_>,
        target: Target<'d>,
        turn: &mut Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        let (aor, domain, principal) = self.admit(request, target, turn)?;
        let (package, ..) = event_of(request.message)?;
        if document::accepted(package).is_empty() {
            return Err(Refusal::BadEvent);
        }
        check_from(request.message, &principal, domain, turn.directory)?;
        check_publisher(&principal, &aor, package, turn.directory)?;
        check_exists(&aor, turn.directory)?;
        let publication = read_publication(request, package, &principal, &aor, turn)?;
        let fresh = mint_entity_tag(turn);
        let limits = publication_limits(package, domain, turn);
        let owner = turn.owner_of(&aor);
        if owner == turn.here() {
            let outcome =
                self.compositor
                    .apply_publication(&aor, publication, fresh, &limits, turn);
            return self.uas.respond_to_publish(request, package, outcome, turn);
        }
        let suspended = self.uas.suspend(request, None, package, turn)?;
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
