//! Dialogs: created by a SUBSCRIBE, found by our To-tag (RFC 3261 §12, RFC 6665 §4.4).

use crate::shard::contract::flow::Flow;
use crate::shard::contract::ids::{DialogId, SubscriptionId};
use crate::shard::contract::place::Place;
use crate::shard::contract::turn::Turn;
use crate::shard::peer::next_hop::{next_hop, numeric_address, phone_key};
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

/// A dialog that a SUBSCRIBE begins, until it is added to the table.
#[derive(Debug)]
pub(crate) struct NewDialog {
    pub(crate) dialog: Dialog,
    /// Its future place, which its To-tag names.
    pub(super) place: Place,
    /// How its NOTIFYs will go.
    pub(crate) path: Path,
    /// The key of its phone.
    pub(crate) phone_key: u64,
}

impl Table {
    /// Creates a dialog whose To-tag contains its future key.
    pub(crate) fn accept_dialog<'d>(
        &mut self,
        request: &Request<'_>,
        turn: &mut Turn<'d>,
    ) -> Result<NewDialog, Refusal<'d>> {
        let token = RoutingToken::mint(
            Kind::NotifierDialog,
            self.next_dialog().0,
            turn.options,
            turn.random,
        );
        let sequence = 1 + turn.random.below(INITIAL_SEQUENCE_MAX);
        let dialog = Dialog::accept(request.message, &token.octets(), sequence)?;
        let flow = request.flow;
        check_not_ourselves(&dialog, &flow, turn)?;
        let destination = next_hop(request, &dialog);
        Ok(NewDialog {
            place: token.place,
            path: Path { flow, destination },
            phone_key: phone_key(&flow, dialog.remote_target()),
            dialog,
        })
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
