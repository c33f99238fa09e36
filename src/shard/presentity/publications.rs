//! Publications of a presentity that is owned here (RFC 3903 §6).

use crate::presence::Aor;
use crate::presence::presentity::{Publication, PublicationLimits, PublishRefused, Published};
use crate::presence::source::EntityTag;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::mail::{ForwardedPublish, Mail};
use crate::shard::contract::turn::Turn;
use crate::shard::presentity::{Compositor, OWNED};

impl Compositor {
    /// As owner: a PUBLISH that arrived at another shard.
    pub(crate) fn handle_publish_mail(&mut self, publish: ForwardedPublish, turn: &mut Turn<'_>) {
        let ForwardedPublish {
            aor,
            publication,
            fresh,
            limits,
            reply_to,
        } = publish;
        let outcome = match turn.sheds_acknowledgement() {
            true => Err(PublishRefused::TooMany),
            false => self.apply_publication(&aor, publication, fresh, &limits, turn),
        };
        let (shard, request) = reply_to;
        let is_accepted = outcome.is_ok();
        let mail = Mail::PublishOutcome { request, outcome };
        turn.send_outcome(shard, mail, is_accepted);
    }

    pub(crate) fn apply_publication(
        &mut self,
        aor: &Aor,
        publication: Publication,
        fresh: EntityTag,
        limits: &PublicationLimits,
        turn: &mut Turn<'_>,
    ) -> Result<Published, PublishRefused> {
        let id = self.own(aor, turn).ok_or(PublishRefused::TooMany)?;
        if let Some(published) = self
            .presentities
            .published_before(id, &publication, fresh, turn)
        {
            return Ok(published);
        }
        let owned = self
            .presentities
            .get_mut(id)
            .expected(OWNED)
            .ok_or(PublishRefused::TooMany)?;
        let has_expired = owned.presentity.expire(turn.now);
        let says_something = publication.document.is_some();
        let applied = owned
            .presentity
            .apply_publication(publication, fresh, limits, turn.now);
        let is_changed = has_expired || applied.as_ref().is_ok_and(|(_, is_changed)| *is_changed);
        if applied.is_ok() {
            self.presentities.mark(id, turn);
        }
        self.after_contribution(id, is_changed, turn);
        if says_something && applied.is_ok() {
            self.inform_at_first_statement(id, turn);
        }
        applied.map(|(published, _)| published)
    }
}
