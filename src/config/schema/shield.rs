//! `[shield]` as its keys stand.

use serde::Deserialize;
use toml::Spanned;

use crate::config::quantity::Interval;
use crate::config::quantity::Octets;
use crate::config::schema::unplaced;

/// `[shield]`: see `shard::shield::ShieldOptions`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(
    missing_docs,
    reason = "named as in shard::shield::ShieldOptions, explained in default.toml"
)]
pub struct Shield {
    pub phone_rate: u32,
    pub phone_burst: Spanned<u32>,
    pub presentity_rate: u32,
    pub presentity_burst: Spanned<u32>,
    pub source_rate: u32,
    pub source_burst: Spanned<u32>,
    pub domain_rate: u32,
    pub domain_burst: Spanned<u32>,
    pub exempt: Vec<Spanned<String>>,
    pub buckets: Spanned<usize>,
    pub refusals: Spanned<usize>,
    pub refusal_life: Spanned<Interval>,
    pub stale: Spanned<u32>,
    pub wrong: Spanned<u32>,
    pub cool_down: Spanned<Interval>,
    pub backlog: Spanned<usize>,
    pub postpone: Spanned<usize>,
    pub postponed: Spanned<Octets>,
    pub crowd: u32,
    pub expires_jitter: Spanned<u32>,
    pub loop_rate: u32,
    pub loops: Spanned<usize>,
}

impl Default for Shield {
    fn default() -> Self {
        let networks = ["127.0.0.0/8", "::1/128"];
        Self {
            phone_rate: 10,
            phone_burst: unplaced(2_000),
            presentity_rate: 1_000,
            presentity_burst: unplaced(20_000),
            source_rate: 5_000,
            source_burst: unplaced(100_000),
            domain_rate: 20_000,
            domain_burst: unplaced(500_000),
            exempt: networks.map(|text| unplaced(text.to_owned())).into(),
            buckets: unplaced(65_536),
            refusals: unplaced(4_096),
            refusal_life: unplaced(Interval::from_secs(3)),
            stale: unplaced(3),
            wrong: unplaced(10),
            cool_down: unplaced(Interval::from_secs(30)),
            backlog: unplaced(100_000),
            postpone: unplaced(512),
            postponed: unplaced(Octets(16 << 20)),
            crowd: 50,
            expires_jitter: unplaced(10),
            loop_rate: 30,
            loops: unplaced(100),
        }
    }
}
