//! `[shield]`, checked and converted.

use toml::Spanned;

use crate::config::check::between;
use crate::config::check::network;
use crate::config::check::time_between;
use crate::config::complaint::Complainer;
use crate::config::schema;
use crate::shard::shield::Rate;
use crate::shard::shield::ShieldOptions;

/// The options of the shield.
pub(super) fn options(shield: &schema::Shield, complainer: &mut Complainer<'_>) -> ShieldOptions {
    let mut count = |place: &Spanned<u32>, name, min, max| {
        between(place, *place.get_ref() as usize, name, min, max, complainer);
        *place.get_ref()
    };
    let mut rate = |per_second, burst, name| Rate {
        per_second,
        burst: count(burst, name, 1, 100_000_000),
    };
    let phone = rate(shield.phone_rate, &shield.phone_burst, "phone_burst");
    let presentity = rate(
        shield.presentity_rate,
        &shield.presentity_burst,
        "presentity_burst",
    );
    let source = rate(shield.source_rate, &shield.source_burst, "source_burst");
    let domain = rate(shield.domain_rate, &shield.domain_burst, "domain_burst");
    let stale_max = count(&shield.stale, "stale", 1, 1_000);
    let wrong_max = count(&shield.wrong, "wrong", 1, 1_000);
    let jitter_percent = count(&shield.expires_jitter, "expires_jitter", 0, 50);
    for (place, name, min, max) in [
        (&shield.buckets, "buckets", 1_024, 1 << 24),
        (&shield.refusals, "refusals", 4, 1 << 20),
        (&shield.backlog, "backlog", 1, 100_000_000),
        (&shield.postpone, "postpone", 1, 100_000_000),
        (&shield.loops, "loops", 1, 1_000),
    ] {
        between(place, *place.get_ref(), name, min, max, complainer);
    }
    let postponed = &shield.postponed;
    between(
        postponed,
        postponed.get_ref().0,
        "postponed",
        0,
        1 << 32,
        complainer,
    );
    time_between(&shield.refusal_life, "refusal_life", 0, 60, complainer);
    time_between(&shield.cool_down, "cool_down", 1, 3_600, complainer);
    let exempt = shield.exempt.iter();
    ShieldOptions {
        phone,
        presentity,
        source,
        domain,
        exempt: exempt
            .filter_map(|text| network(text, complainer))
            .collect(),
        buckets_max: *shield.buckets.get_ref(),
        refusals_max: *shield.refusals.get_ref(),
        refusal_life: shield.refusal_life.get_ref().0,
        stale_max,
        wrong_max,
        cool_down: shield.cool_down.get_ref().0,
        backlog_max: *shield.backlog.get_ref(),
        postpone_at: *shield.postpone.get_ref(),
        postponed_octets_max: shield.postponed.get_ref().0,
        crowd: shield.crowd,
        jitter_percent,
        loop_per_minute: shield.loop_rate,
        loops_max: *shield.loops.get_ref(),
    }
}
