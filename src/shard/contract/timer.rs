//! The timers of all rooms. One timer wheel holds them.

use crate::shard::contract::ids::{
    ClientId, ClientTransactionId, DialId, InFlightId, LinkId, PhoneId, PresentityId,
    SubscriptionId,
};

/// What a timer does when it fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// Expires a subscription, or ends the pause between its NOTIFYs.
    Subscription(SubscriptionId),
    /// Timer E or F of a NOTIFY (RFC 3261 §17.1.2.2).
    Notify(InFlightId),
    /// Expires a contribution to a presentity.
    Presentity(PresentityId),
    /// Releases NOTIFYs that the rate limit of a phone delays.
    Phone(PhoneId),
    /// A stream may be opened to an address again.
    Dial(DialId),
    /// Timer E, F or K of a request of ours other than NOTIFY (RFC 3261 §17.1.2.2).
    ClientTransaction(ClientTransactionId),
    /// Refreshes, repeats or ends a subscription or publication of ours.
    Client(ClientId),
    /// The server of a connector may be tried again.
    Link(LinkId),
    /// Goes on with what the configuration or the watchers want of connectors.
    Connectors,
    /// Drops a suspended request: the owner did not reply in time.
    SuspendedRequest(u64),
    /// Re-evaluates all subscriptions: the validity of a rule begins or ends (RFC 4745 §7.3).
    Reevaluate,
}
