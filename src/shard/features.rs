//! `as-feature-event` (W:C9): do-not-disturb and forwarding, switched at the phone and shown on it.
//!
//! The body of a SUBSCRIBE, if there is one, switches something. It is said to the presentity's
//! owner like anything else that is said of it, without an end; the NOTIFY that answers the
//! SUBSCRIBE tells all features as they are then. What is switched elsewhere, by another phone or
//! by the operator, is told like any change.
//!
//! Only its own user and trusted peers may switch something, even where a rule lets others see it.

use std::time::Duration;
use std::time::Instant;

use crate::presence::Aor;
use crate::presence::document::DocumentFault;
use crate::presence::document::feature_event;
use crate::presence::document::feature_event::FeatureCommand;
use crate::presence::event::Package;
use crate::presence::source::StateUpdate;
use crate::shard::Shard;
use crate::shard::checks::check_encoding;
use crate::shard::checks::content_type;
use crate::shard::checks::is_body_optional;
use crate::shard::directory::Directory;
use crate::shard::flow::ShardId;
use crate::shard::identity::Identity;
use crate::shard::mail::Mail;
use crate::shard::outbox::Outbox;
use crate::shard::respond::Refusal;
use crate::shard::respond::Request;
use crate::shard::subscription::Wants;
use crate::shard::table::SubscriptionId;
use crate::sip::Message;
use crate::sip::Status;

/// How long a NOTIFY waits for the owner's word on what was switched. It comes within a turn; one
/// that does not come must not keep the phone from being told anything.
const OWNER_DELAY_MAX: Duration = Duration::from_millis(500);

/// What the body of a SUBSCRIBE switches; None when there is none.
pub(crate) fn read_switch<'d>(message: &Message<'_>) -> Result<Option<StateUpdate>, Refusal<'d>> {
    if message.body().is_empty() {
        return Ok(None);
    }
    if content_type(message) != feature_event::CONTENT_TYPE {
        if is_body_optional(message) {
            return Ok(None);
        }
        return Err(Refusal::MediaType(feature_event::CONTENT_TYPE));
    }
    check_encoding(message)?;
    let command = feature_event::parse(message.body()).map_err(|fault| match fault {
        DocumentFault::TooLarge => Refusal::Plain(Status::REQUEST_ENTITY_TOO_LARGE),
        _ => Refusal::Because(Status::BAD_REQUEST, "Malformed Body"),
    })?;
    match command {
        FeatureCommand::DoNotDisturb(is_on) => Ok(Some(StateUpdate::DoNotDisturb(is_on))),
        FeatureCommand::Forward(forward) if forward.is_active && forward.target.is_empty() => {
            Err(Refusal::Because(Status::BAD_REQUEST, "Forwarded To Nobody"))
        }
        FeatureCommand::Forward(forward) => Ok(Some(StateUpdate::Forward(forward))),
    }
}

/// Whether that watcher may switch the features of a presentity.
pub(crate) fn check_may_switch<'d>(
    watcher: &Identity,
    aor: &Aor,
    directory: &Directory,
) -> Result<(), Refusal<'d>> {
    if watcher.is(aor) || watcher.is_feeder(aor.domain(), directory) {
        Ok(())
    } else {
        Err(Refusal::Plain(Status::FORBIDDEN))
    }
}

impl Shard {
    /// The same for the sender of a SUBSCRIBE in the dialog of a subscription.
    pub(crate) fn check_switch_in_dialog<'d>(
        &self,
        request: &Request<'_>,
        id: SubscriptionId,
        directory: &Directory,
    ) -> Result<(), Refusal<'d>> {
        const GONE: Refusal<'static> = Refusal::Plain(Status::SUBSCRIPTION_DOES_NOT_EXIST);
        let subscription = self.table.subscription(id).ok_or(GONE)?;
        let entry = self.table.dialog(subscription.dialog).ok_or(GONE)?;
        let aor = self.table.aor_of(subscription).ok_or(GONE)?;
        let peer = request.flow.peer.ip();
        let watcher = Identity::new(entry.watcher_uri(), peer, aor.domain(), directory);
        check_may_switch(&watcher, aor, directory)
    }

    /// Does what the SUBSCRIBE of a subscription switches. Its NOTIFY waits until it is done.
    pub(crate) fn switch(
        &mut self,
        id: SubscriptionId,
        said: StateUpdate,
        now: Instant,
        out: &mut Outbox,
    ) {
        let subscription = self.table.subscription(id);
        let aor = subscription.and_then(|subscription| self.table.aor_of(subscription));
        let Some(aor) = aor.cloned() else {
            return;
        };
        let owner = Self::owner(&aor, self.options.shards);
        if owner == self.options.id {
            // There is room for it: it is watched.
            self.take_statement(&aor, said, now, out);
            return;
        }
        let said = Box::new(said);
        let reply_to = (self.options.id, id.0);
        out.mail.push((
            owner,
            Mail::Switch {
                aor,
                said,
                reply_to,
            },
        ));
        if let Some(subscription) = self.table.subscription_mut(id) {
            subscription.not_before = Some(now + OWNER_DELAY_MAX);
        }
        self.arm_subscription(id);
    }

    /// As owner: a phone switches something by a SUBSCRIBE that arrived elsewhere. The answer
    /// follows the state on its way.
    pub(crate) fn handle_switch(
        &mut self,
        aor: Aor,
        said: StateUpdate,
        reply_to: (ShardId, u32),
        now: Instant,
        out: &mut Outbox,
    ) {
        self.take_statement(&aor, said, now, out);
        let (shard, subscription) = reply_to;
        out.mail.push((shard, Mail::Switched { aor, subscription }));
    }

    /// From the owner: what was switched is done, and its state has come.
    pub(crate) fn handle_switched(&mut self, aor: &Aor, id: SubscriptionId) {
        let Some(subscription) = self.table.subscription(id) else {
            return;
        };
        let is_it = subscription.package == Package::AsFeatureEvent
            && self.table.aor_of(subscription) == Some(aor);
        if is_it && let Some(subscription) = self.table.subscription_mut(id) {
            subscription.not_before = None;
            self.want(id, Wants::Notify);
        }
    }
}
