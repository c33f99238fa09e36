//! The 2xx responses to SUBSCRIBE, and the NOTIFY that follows.

use std::time::Duration;

use crate::shard::conduct::Engine;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::turn::Turn;
use crate::shard::request::Request;
use crate::shard::subscription::Wants;
use crate::shard::uas::response::begin_response;
use crate::sip::{HeaderName, Status, emit};

impl Engine {
    /// Sends 200 with Expires and Contact, and queues the NOTIFY that must follow it (RFC 6665
    /// §4.2.1.2; W:A1.14-A1.16).
    pub(crate) fn accept(
        &mut self,
        request: &Request<'_>,
        id: SubscriptionId,
        granted: Duration,
        turn: &mut Turn<'_>,
    ) {
        self.respond_subscribed(request, Status::OK, id, granted, turn);
        let subscription = self.subscriptions.table_mut().subscription_mut(id);
        if let Some(subscription) = subscription.expected("its SUBSCRIBE is accepted") {
            subscription.forget_shown();
        }
        self.subscriptions.table_mut().want(id, Wants::Notify);
    }

    /// Sends 204: the watcher has the current state already, so no NOTIFY follows (RFC 5839 §4.2).
    pub(crate) fn accept_silently(
        &mut self,
        request: &Request<'_>,
        id: SubscriptionId,
        granted: Duration,
        turn: &mut Turn<'_>,
    ) {
        turn.counters.notifies_suppressed += 1;
        self.respond_subscribed(request, Status::NO_NOTIFICATION, id, granted, turn);
        if granted.is_zero() {
            self.notifier
                .remove_subscription(id, &mut self.subscriptions, turn);
        }
    }

    fn respond_subscribed(
        &mut self,
        request: &Request<'_>,
        status: Status,
        id: SubscriptionId,
        granted: Duration,
        turn: &mut Turn<'_>,
    ) {
        let table = self.subscriptions.table();
        let subscription = table.subscription(id);
        let entry = subscription.and_then(|subscription| table.dialog(subscription.dialog()));
        let entry = entry.expected("an accepted subscription is in the table");
        let (Some(subscription), Some(entry)) = (subscription, entry) else {
            return;
        };
        let is_list = subscription.is_multipart();
        let head = begin_response(request, status, None, entry.dialog().local_tag(), turn);
        for route in request.message.headers(HeaderName::RecordRoute) {
            emit::header(&mut turn.out.arena, "Record-Route", route);
        }
        emit::header(
            &mut turn.out.arena,
            "Contact",
            self.notifier.contact_of(&request.flow),
        );
        emit::header_number(&mut turn.out.arena, "Expires", granted.as_secs());
        if is_list {
            emit::header(&mut turn.out.arena, "Require", b"eventlist");
        }
        self.uas.end_response(request, head, turn);
        turn.keep_stream(&request.flow, granted);
    }
}
