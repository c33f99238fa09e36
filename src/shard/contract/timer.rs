//! The timers of all rooms, so that one wheel holds them.

use crate::shard::contract::ids::InFlightId;
use crate::shard::contract::ids::PhoneId;
use crate::shard::contract::ids::PresentityId;
use crate::shard::contract::ids::SubscriptionId;

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// A subscription expires, or its pause between NOTIFYs ends.
    Subscription(SubscriptionId),
    /// Timer E or F of a NOTIFY.
    Notify(InFlightId),
    /// A contribution to a presentity expires.
    Presentity(PresentityId),
    /// A phone can take another NOTIFY.
    Phone(PhoneId),
    /// A request whose owner did not answer in time.
    SuspendedRequest(u32),
    /// A rule begins or ceases to hold.
    Reevaluate,
}
