//! The body of one NOTIFY of a list (W:B5.3-B5.9): writes the RLMI and parts of the selected
//! resources, and marks them as sent.

use std::ops::Range;

use crate::presence::document::multipart::ContentId;
use crate::presence::document::{Format, multipart, rlmi};
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::lifecycle::notifiers_table::NotifiersTable;
use crate::shard::notify::Notifier;
use crate::shard::notify::list::ListSubscription;

/// A body of a list subscription, written.
#[derive(Debug)]
pub(crate) struct ListBody {
    pub(crate) octets: Range<usize>,
    pub(crate) format: Format,
    /// It is multipart/related with an RLMI root.
    pub(crate) is_multipart: bool,
    pub(crate) is_deflated: bool,
}

impl Notifier {
    /// Writes the selected resources and marks them as sent.
    pub(crate) fn write_resources(
        &mut self,
        id: SubscriptionId,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) -> Option<ListBody> {
        let deflated = self.selection.deflated.clone();
        let is_deflated = deflated.is_some();
        let octets = match deflated {
            Some(deflated) => deflated,
            None => self.write_list_body(id, subscriptions, turn)?,
        };
        let subscription = subscriptions.table_mut().subscription_mut(id);
        let subscription = subscription.expected("a NOTIFY is of a subscription")?;
        let format = subscription.view().format;
        let selection = &self.selection;
        let list = subscription.list_mut();
        let list = list.expected("resources are selected for a list")?;
        let reported = selection.chosen.iter().map(|chosen| chosen.reported);
        list.reported(reported, selection.leavers_end, selection.is_full);
        Some(ListBody {
            octets,
            format,
            is_multipart: selection.dialect().is_multipart,
            is_deflated,
        })
    }

    /// Appends the body of what is selected; empty if there is one NOTIFY per resource and none is
    /// selected.
    pub(super) fn write_list_body(
        &self,
        id: SubscriptionId,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) -> Option<Range<usize>> {
        let ListSubscription {
            subscription, list, ..
        } = ListSubscription::of(id, subscriptions.table())?;
        let selection = &self.selection;
        let dialect = selection.dialect();
        let arena = &mut turn.out.arena;
        let start = arena.len();
        if !dialect.is_multipart {
            arena.extend_from_slice(&selection.parts);
            return Some(start..arena.len());
        }
        let (uri, version) = (subscription.entity(), subscription.version());
        dialect.begin_part(arena, ContentId::ROOT, rlmi::CONTENT_TYPE);
        rlmi::begin(arena, uri, version, selection.is_full);
        if !list.name().is_empty() {
            rlmi::write_name(arena, list.name());
        }
        arena.extend_from_slice(&selection.elements);
        rlmi::end(arena);
        multipart::end_part(arena);
        arena.extend_from_slice(&selection.parts);
        multipart::end(arena);
        Some(start..arena.len())
    }
}
