//! Dialogs: created by a SUBSCRIBE, found by our To-tag (RFC 3261 §12, RFC 6665 §4.4).

use std::sync::Arc;

use crate::presence::profile::Profile;
use crate::shard::contract::flow::Flow;
use crate::shard::contract::ids::{DialogId, PhoneId, SubscriptionId};
use crate::shard::contract::turn::Turn;
use crate::shard::peer::next_hop::numeric_address;
use crate::shard::peer::path::Path;
use crate::shard::peer::routing_token::{Kind, RoutingToken};
use crate::shard::request::Request;
use crate::shard::request::headers::any_address_of_record;
use crate::shard::request::refusal::Refusal;
use crate::shard::request::target::is_local;
use crate::shard::subscription::table::Table;
use crate::sip::dialog::Dialog;
use crate::sip::{Message, Status};

/// Initial CSeq numbers stay this far below 2^31 (RFC 3261 §12.2.1.1).
const INITIAL_SEQUENCE_MAX: u32 = (1 << 31) - (1 << 24);

/// A dialog that comes back after a restart.
#[derive(Debug)]
pub(crate) struct RecoveredDialog {
    pub(crate) dialog: Dialog,
    pub(crate) path: Path,
    pub(crate) is_path_proven: bool,
    pub(crate) is_cut: bool,
    pub(crate) phone: PhoneId,
    pub(crate) profile: Arc<Profile>,
    pub(crate) sender: Option<Box<[u8]>>,
}

impl Table {
    /// Creates a dialog whose To-tag contains its future key.
    pub(crate) fn accept_dialog<'d>(
        &mut self,
        request: &Request<'_>,
        turn: &mut Turn<'d>,
    ) -> Result<(Dialog, RoutingToken), Refusal<'d>> {
        let token = RoutingToken::mint(
            Kind::NotifierDialog,
            self.next_dialog().0,
            turn.options,
            turn.random,
        );
        let sequence = 1 + turn.random.below(INITIAL_SEQUENCE_MAX);
        let dialog = Dialog::accept(request.message, &token.octets(), sequence)?;
        check_not_ourselves(&dialog, &request.flow, turn)?;
        Ok((dialog, token))
    }

    /// The To-tag gives the index; tags and Call-ID must match (RFC 3261 §12.2.2).
    pub(crate) fn find_dialog(
        &self,
        message: &Message<'_>,
        tag: &[u8],
        turn: &Turn<'_>,
    ) -> Option<DialogId> {
        let token = RoutingToken::of_tag(tag)?;
        let shards = turn.options.shards;
        let id = DialogId(token.place.index(shards));
        // An RFC 2543 client may send no From tag (RFC 3261 §12.1.1).
        let remote_tag = message.from()?.tag().unwrap_or_default();
        let dialog = &self.dialog(id)?.dialog;
        let is_here = token.kind == Kind::NotifierDialog && token.holder(shards) == turn.here();
        (is_here && dialog.matches(message.call_id(), tag, remote_tag)).then_some(id)
    }

    /// Whether a tag of ours names a dialog that may still be recovered.
    pub(crate) fn is_unrecovered(&self, tag: &[u8], turn: &Turn<'_>) -> bool {
        let shards = turn.options.shards;
        let token = RoutingToken::of_tag(tag).filter(|token| token.holder(shards) == turn.here());
        token.is_some_and(|token| {
            let id = DialogId(token.place.index(shards));
            token.kind == Kind::NotifierDialog && self.dialogs.is_withheld(id)
        })
    }

    /// Whether two subscriptions have the same watcher, so that one account cannot end the
    /// subscriptions of another.
    pub(crate) fn have_one_watcher(
        &self,
        one: SubscriptionId,
        other: SubscriptionId,
        turn: &Turn<'_>,
    ) -> bool {
        let watcher = |id| {
            let subscription = self.subscription(id)?;
            let entry = self.dialog(subscription.dialog())?;
            any_address_of_record(entry.watcher_uri(), turn.directory)
        };
        watcher(one) == watcher(other)
    }
}

/// A NOTIFY to ourselves would come back as a request (W:E2.4, E2.5).
fn check_not_ourselves<'d>(
    dialog: &Dialog,
    flow: &Flow,
    turn: &Turn<'d>,
) -> Result<(), Refusal<'d>> {
    let address = numeric_address(dialog.remote_target(), flow.transport);
    if address.is_some_and(|address| is_local(address, flow, turn)) {
        return Err(Refusal::Because(
            Status::BAD_REQUEST,
            "Contact Is This Server",
        ));
    }
    Ok(())
}
