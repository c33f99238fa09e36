//! `[shield]`, converted.

use crate::config::complaint::Complainer;
use crate::config::schema;
use crate::config::text::network;
use crate::shard::contract::overload_options::{OverloadOptions, Rate};

/// The options of the shield.
pub(super) fn options(shield: &schema::Shield, complainer: &mut Complainer<'_>) -> OverloadOptions {
    let rate = |per_second, burst| Rate { per_second, burst };
    let exempt = shield.exempt.iter();
    OverloadOptions {
        phone: rate(shield.phone_rate, shield.phone_burst),
        presentity: rate(shield.presentity_rate, shield.presentity_burst),
        source: rate(shield.source_rate, shield.source_burst),
        domain: rate(shield.domain_rate, shield.domain_burst),
        exempt: exempt
            .filter_map(|text| network(text, complainer))
            .collect(),
        buckets_max: shield.buckets,
        unproven_max: shield.unproven,
        unproven_octets_per_second: shield.unproven_octets.0 as u64,
        refusals_max: shield.refusals,
        refusal_life: shield.refusal_life.0,
        stale_max: shield.stale,
        wrong_max: shield.wrong,
        wrong_per_address_max: shield.wrong_per_address,
        wrong_per_account_max: shield.wrong_per_account,
        cool_down: shield.cool_down.0,
        backlog_max: shield.backlog,
        postpone_at: shield.postpone,
        postponed_octets_max: shield.postponed.0,
        crowd: shield.crowd,
        jitter_percent: shield.expires_jitter,
        loop_per_minute: shield.loop_rate,
        loops_max: shield.loops,
    }
}
