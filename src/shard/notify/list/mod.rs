//! NOTIFYs of lists (RFC 4662 §5): which resources go into the next one, and how they are written.

pub(crate) mod body;
pub(crate) mod budget;
pub(crate) mod selection;

use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::SubscriptionId;
use crate::shard::list::state::ListState;
use crate::shard::subscription::Subscription;
use crate::shard::subscription::dialog_entry::DialogEntry;
use crate::shard::subscription::table::Table;

/// A subscription to a list, of which a NOTIFY is made.
struct ListSubscription<'a> {
    subscription: &'a Subscription,
    dialog: &'a DialogEntry,
    list: &'a ListState,
}

impl<'a> ListSubscription<'a> {
    fn of(id: SubscriptionId, table: &'a Table) -> Option<Self> {
        let subscription = table.subscription(id);
        let subscription = subscription.expected("a NOTIFY is of a subscription")?;
        let dialog = table.dialog(subscription.dialog());
        let list = subscription.subject().list();
        Some(Self {
            subscription,
            dialog: dialog.expected("a subscription has a dialog")?,
            list: list.expected("resources are selected for a list")?,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
