//! `[shield]` as its keys stand.

use toml::Spanned;

use crate::config::quantity::{Interval, Octets};
use crate::config::reader::keys;
use crate::config::schema::unplaced;

keys! {
    /// `[shield]`: see `shard::contract::overload_options::OverloadOptions`.
    #[allow(
        missing_docs,
        reason = "named as in shard::contract::overload_options::OverloadOptions, explained in default.toml"
    )]
    pub struct Shield in "[shield]" {
        pub phone_rate: u32 = 10;
        pub phone_burst: u32 = 2_000, in 1..=100_000_000;
        pub presentity_rate: u32 = 1_000;
        pub presentity_burst: u32 = 20_000, in 1..=100_000_000;
        pub source_rate: u32 = 5_000;
        pub source_burst: u32 = 100_000, in 1..=100_000_000;
        pub domain_rate: u32 = 20_000;
        pub domain_burst: u32 = 500_000, in 1..=100_000_000;
        pub exempt: Vec<Spanned<String>> =
            ["127.0.0.0/8", "::1/128"].map(|text| unplaced(text.to_owned())).into();
        pub buckets: usize = 65_536, in 1_024..=1 << 24;
        pub unproven: usize = 1_000, in 1..=100_000_000;
        pub unproven_octets: Octets = Octets(64 << 10), in Octets(0)..=Octets(1 << 30);
        pub refusals: usize = 4_096, in 4..=1 << 20;
        pub refusal_life: Interval = Interval::from_secs(3),
            in Interval::from_secs(0)..=Interval::from_secs(60);
        pub stale: u32 = 3, in 1..=1_000;
        pub wrong: u32 = 10, in 1..=1_000;
        pub wrong_per_address: u32 = 50, in 1..=1_000_000;
        pub wrong_per_account: u32 = 100, in 1..=1_000_000;
        pub cool_down: Interval = Interval::from_secs(30), in Interval::SECOND..=Interval::HOUR;
        pub backlog: usize = 100_000, in 1..=100_000_000;
        pub postpone: usize = 512, in 1..=100_000_000;
        pub postponed: Octets = Octets(16 << 20), in Octets(0)..=Octets(1 << 32);
        pub crowd: u32 = 50;
        pub expires_jitter: u32 = 10, in 0..=50;
        pub loop_rate: u32 = 30;
        pub loops: usize = 100, in 1..=1_000;
    }
}
