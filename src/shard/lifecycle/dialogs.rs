//! Creates dialogs and enforces the limits.

use std::sync::Arc;

use crate::presence::profile::Profile;
use crate::shard::contract::ids::{DialogId, PhoneId};
use crate::shard::contract::place::Place;
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::peer::next_hop::{next_hop, phone_key};
use crate::shard::peer::path::Path;
use crate::shard::peer::routing_token::RoutingToken;
use crate::shard::request::Request;
use crate::shard::request::refusal::Refusal;
use crate::sip::HeaderName;
use crate::sip::dialog::Dialog;
use crate::sip::header::NameAddr;

impl Subscriptions {
    /// Refuses a subscription to so many resources for which a table is full, or whose path has too
    /// many dialogs that no response has proved yet.
    pub(crate) fn check_capacity<'d>(
        &self,
        request: &Request<'_>,
        dialog: &Dialog,
        resources: usize,
        turn: &mut Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        let key = phone_key(&request.flow, dialog.remote_target());
        self.check_room(self.phones.find(key), resources, turn)?;
        self.table.check_path(request, dialog, turn)
    }

    /// Checks the limits for one more subscription with `places` resources.
    pub(super) fn check_room<'d>(
        &self,
        phone: Option<PhoneId>,
        places: usize,
        turn: &mut Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        if self.is_draining {
            return Err(Refusal::Draining);
        }
        if self.table.octets_taken() >= turn.options.subscription_octets_max {
            turn.counters.subscriptions_over_octets += 1;
            return Err(Refusal::OverLimit);
        }
        let of_phone = phone.map_or(0, |phone| self.phones.subscriptions_of(phone));
        let is_full = self.table.capacity_used() + places > turn.options.subscriptions_max
            || of_phone >= turn.options.subscriptions_per_phone_max;
        if is_full {
            Err(Refusal::OverLimit)
        } else {
            Ok(())
        }
    }

    pub(crate) fn add_dialog(
        &mut self,
        request: &Request<'_>,
        dialog: Dialog,
        token: RoutingToken,
        profile: Arc<Profile>,
        turn: &Turn<'_>,
    ) -> DialogId {
        let flow = request.flow;
        let phone = self
            .phones
            .join(phone_key(&flow, dialog.remote_target()), &profile, turn.now);
        let destination = next_hop(request, &dialog);
        let path = Path { flow, destination };
        let id = self.table.add_dialog(dialog, path, phone, profile);
        debug_assert_eq!(
            Place::of(id.0, turn.options),
            token.place,
            "the To-tag names the dialog's place"
        );
        id
    }

    /// Whether the phone a request comes from, by its address, port and Contact, has a live
    /// subscription.
    pub(crate) fn is_known_phone(&self, request: &Request<'_>) -> bool {
        let contact = request.message.header(HeaderName::Contact);
        let target = contact.and_then(NameAddr::parse).map(|contact| contact.uri);
        target.is_some_and(|target| {
            let key = phone_key(&request.flow, target);
            self.phones.find(key).is_some()
        })
    }
}
