//! `as-feature-event` (W:C9): do-not-disturb and call forwarding, set and displayed on the phone.
//!
//! A SUBSCRIBE may have a body that switches a feature. The change goes to the owner of the presentity
//! as a state update that does not expire, and the NOTIFY that follows the SUBSCRIBE reports all
//! features as they are then. Changes by another phone or the operator are notified like any change.
//!
//! Only the user and trusted peers may set features, even if a rule lets others watch them.

use std::time::Duration;

use crate::directory::Directory;
use crate::presence::Aor;
use crate::presence::document::feature_event::FeatureCommand;
use crate::presence::document::{DocumentFault, feature_event};
use crate::presence::event::Package;
use crate::presence::source::StateUpdate;
use crate::shard::contract::commit::Durability;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::mail::Mail;
use crate::shard::contract::turn::Turn;
use crate::shard::request::Request;
use crate::shard::request::headers::{check_encoding, content_type, is_body_optional};
use crate::shard::request::refusal::Refusal;
use crate::shard::subscription::Wants;
use crate::shard::subscription::table::Table;
use crate::shard::subscription::watcher::Watcher;
use crate::sip::{Message, Status};

/// How long the NOTIFY waits for the owner to apply the change. This normally takes one turn; a
/// lost confirmation must not block the NOTIFY.
const OWNER_DELAY_MAX: Duration = Duration::from_millis(500);

/// The feature change in the body of a SUBSCRIBE.
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
    watcher: &Watcher,
    aor: &Aor,
    directory: &Directory,
) -> Result<(), Refusal<'d>> {
    if watcher.is(aor) || watcher.is_feeder(aor.domain(), directory) {
        Ok(())
    } else {
        Err(Refusal::Plain(Status::FORBIDDEN))
    }
}

/// Whether the sender of a SUBSCRIBE in the dialog of a subscription may switch its features.
pub(crate) fn check_switch_in_dialog<'d>(
    table: &Table,
    request: &Request<'_>,
    id: SubscriptionId,
    turn: &Turn<'d>,
) -> Result<(), Refusal<'d>> {
    let subscription = table.subscription(id);
    let subscription = subscription.expected("it was found in its dialog");
    let subscription = subscription.ok_or(Refusal::NO_SUBSCRIPTION)?;
    let entry = table.dialog(subscription.dialog());
    let entry = entry
        .expected("a subscription has a dialog")
        .ok_or(Refusal::NO_SUBSCRIPTION)?;
    let aor = table.aor_of(subscription);
    let aor = aor.expected("a subscription is to an address of record");
    let aor = aor.ok_or(Refusal::NO_SUBSCRIPTION)?;
    let domain = turn.directory.domain(aor.domain());
    let peer = match domain {
        Some(domain) => turn.peer(domain, &request.flow),
        None => request.flow.peer.ip().into(),
    };
    let watcher = Watcher::new(entry.watcher_uri(), peer, aor.domain(), turn.directory);
    check_may_switch(&watcher, aor, turn.directory)
}

/// Sends the feature change to the owner, and delays the 2xx and the NOTIFY until it is confirmed: the
/// 2xx until the change is recorded, if 2xx wait for that.
pub(crate) fn switch(
    table: &mut Table,
    id: SubscriptionId,
    update: StateUpdate,
    turn: &mut Turn<'_>,
) {
    let subscription = table.subscription(id);
    let aor = subscription.and_then(|subscription| table.aor_of(subscription));
    let Some(aor) = aor.expected("its SUBSCRIBE was accepted").cloned() else {
        return;
    };
    let update = Box::new(update);
    let reply_to = (turn.here(), id.0);
    let mail = Mail::Switch {
        aor: aor.clone(),
        update,
        reply_to,
    };
    let is_held = turn.options.durability == Durability::Synced;
    if is_held && turn.owner_of(&aor) != turn.here() {
        turn.commits.put_off(id);
    }
    turn.send_to_owner(&aor, mail);
    let subscription = table.subscription_mut(id);
    if let Some(subscription) = subscription.expected("its SUBSCRIBE was accepted") {
        subscription.pause(turn.now + OWNER_DELAY_MAX);
    }
    table.arm_subscription(id, turn);
}

/// The owner confirmed a feature change; the new state has arrived before this.
pub(crate) fn handle_switched(
    table: &mut Table,
    aor: &Aor,
    id: SubscriptionId,
    turn: &mut Turn<'_>,
) {
    turn.commits.go_on(id);
    let Some(subscription) = table.subscription(id) else {
        // It ended while the mail was on its way.
        return;
    };
    let is_it = subscription.package() == Package::AsFeatureEvent
        && table.aor_of(subscription) == Some(aor);
    if is_it && let Some(subscription) = table.subscription_mut(id) {
        subscription.resume();
        table.want(id, Wants::Notify);
    }
}
