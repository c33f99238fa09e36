//! The event state compositor (RFC 3903 §2): the presentities that this shard owns, the state from
//! all their sources, and the shards that are notified of it.
//!
//! Other rooms use [`Compositor`] by these functions:
//! - a state update: `take_statement`, `handle_update_mail` from another shard;
//! - a PUBLISH: `apply_publication`, `handle_publish_mail` from another shard;
//! - a REGISTER: `apply_registration`, `handle_register_mail` from another shard;
//! - shards that watch: `handle_watch` and `handle_unwatch` for one presentity,
//!   `handle_watch_domain` and `handle_unwatch_domain` for all present users of a domain;
//! - the news of a connector's server: `handle_upstream`;
//! - the relays by SIP: `relayed_at` for each id below `places`, `note_published`, `drop_unrelayed`;
//! - an appearance of a shared line: `handle_seize`, `handle_release`;
//! - a feature that a phone sets by SUBSCRIBE: `handle_switch`;
//! - time and reload: `handle_presentity_timer` for what expires, `reevaluate_presentity` for each
//!   id below `places`;
//! - records: `write_records` at the end of a turn; `begin_recovery`, `recover`, `end_recovery` after
//!   a restart;
//! - the operator: `why` explains a state; `forget` erases one; `len` counts presentities;
//! - a page: `parked_in` tells the call in an orbit.

mod apart;
pub(crate) mod bindings;
mod changes;
pub(crate) mod claims;
pub(crate) mod domain_watchers;
pub(crate) mod features;
mod forget;
mod noted;
mod parked;
pub(crate) mod presentities;
pub(crate) mod publications;
pub(crate) mod record;
mod relayed;
pub(crate) mod state;
mod statements;
mod upstreams;
pub(crate) mod why;

use crate::shard::presentity::claims::Claims;
use crate::shard::presentity::domain_watchers::DomainWatchers;
use crate::shard::presentity::presentities::Presentities;

/// See [`Expected`](crate::shard::contract::expected::Expected).
const OWNED: &str = "a presentity is in the table while it is being changed";

/// Presentities owned by this shard, and their watching shards.
#[derive(Debug, Default)]
pub(crate) struct Compositor {
    presentities: Presentities,
    domain_watchers: DomainWatchers,
    claims: Claims,
}

impl Compositor {
    /// How many presentities are owned here.
    pub(crate) fn len(&self) -> usize {
        self.presentities.len()
    }

    /// One beyond the highest id that a presentity has or had.
    pub(crate) fn places(&self) -> u32 {
        self.presentities.places()
    }
}
