//! The size limit of one NOTIFY of a list: by transport, phone profile and path MTU (RFC 3261
//! §18.1.1; W:B5.10).

use std::time::Duration;

use crate::presence::event::list::ListStyle;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::lifecycle::notifiers_table::NotifiersTable;
use crate::shard::list::state::Encoding;
use crate::shard::notify::Notifier;
use crate::shard::notify::list::ListSubscription;
use crate::shard::subscription::Phase;

/// Octets of a NOTIFY with full state on UDP, unless the profile of the phone sets another limit:
/// most phones reassemble fragments, and must accept datagrams of this size (RFC 3261 §18.1.1).
const UDP_OCTETS: usize = 60_000;

/// Octets of a NOTIFY of changes on UDP: fits nearly every path MTU.
const PATH_OCTETS: usize = 1400;

/// Octets of a NOTIFY on a stream: about five thousand resources, and below the send-buffer limit
/// of a connection.
const STREAM_OCTETS: usize = 4 << 20;

/// The size limit of one NOTIFY of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Octets of its body.
    pub(crate) octets: usize,
    /// Octets of the body before compression.
    pub(crate) inflated_octets: usize,
    /// Resources that it reports.
    pub(crate) resources: usize,
}

impl Notifier {
    /// The budget of the next NOTIFY of a list subscription; at least one resource is always
    /// included.
    pub(crate) fn list_budget(
        &mut self,
        id: SubscriptionId,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) -> Option<Budget> {
        let ListSubscription {
            subscription,
            dialog,
            list,
        } = ListSubscription::of(id, subscriptions.table())?;
        let is_last = matches!(subscription.phase(), Phase::Ending(_)) && !list.is_fetch();
        let tells_all =
            is_last || list.is_full_state_pending() || list.style() == ListStyle::Broadworks;
        let of_profile = dialog.profile().list_octets.map(|octets| octets as usize);
        let datagram = of_profile.unwrap_or(UDP_OCTETS);
        let flow = subscriptions.table().flow_of(dialog)?;
        let is_reliable = flow.transport.is_reliable();
        let message = match (is_reliable, tells_all) {
            (true, _) => STREAM_OCTETS,
            (false, true) => datagram,
            (false, false) => datagram.min(PATH_OCTETS),
        };
        let resources = match list.encoding() {
            Encoding::Series => 1,
            Encoding::Rlmi if is_last => usize::MAX,
            Encoding::Rlmi => {
                let resources = dialog.profile().list_resources;
                resources.map_or(usize::MAX, usize::from)
            }
        };
        let inflates = subscription.inflates();
        let may_deflate_all = inflates && list.needs_full_state();
        let octets = message.saturating_sub(self.head_octets(id, subscriptions, turn));
        let inflated_octets = match may_deflate_all {
            true => STREAM_OCTETS,
            false => octets,
        };
        Some(Budget {
            octets,
            inflated_octets,
            resources,
        })
    }

    /// If the copies of long-list NOTIFYs kept for retransmission have reached their limit,
    /// postpones this one and returns true.
    pub(crate) fn postpone_if_no_room(
        &mut self,
        id: SubscriptionId,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) -> bool {
        const PAUSE: Duration = Duration::from_secs(1);
        let octets = self.selection.octets();
        let copies = self.copies.octets();
        let fits =
            octets <= PATH_OCTETS || copies + octets <= turn.options.retransmission_octets_max;
        let flow = subscriptions
            .table()
            .flow_of_subscription(id)
            .filter(|_| !fits);
        if flow.is_none_or(|flow| flow.transport.is_reliable()) {
            return false;
        }
        turn.counters.notifies_waiting_for_memory += 1;
        let subscription = subscriptions.table_mut().subscription_mut(id);
        if let Some(subscription) = subscription.expected("a NOTIFY is of a subscription") {
            subscription.pause(turn.now + PAUSE);
        }
        subscriptions.table_mut().arm_subscription(id, turn);
        true
    }
}
