//! The deterministic simulator: complete engines in virtual time, determined by one number.
//!
//! A seed determines a run: the number of shards, phones and sources, the quality of the network,
//! and every event. The octets that leave the node are checked immediately ([`invariants`]). The
//! state shown to watchers is compared with naive models of presence state ([`model`]) and of
//! policies and lists ([`realm`]). A failing run prints its seed, the broken invariants, and the
//! last events.
//!
//! - `LAMPLIGHTER_SEEDS=N`: that many fresh seeds beyond the fixed ones (default 50).
//! - `LAMPLIGHTER_SEED=N`: only that seed, with every event printed.
//! - `LAMPLIGHTER_CRASHES=1`: only nodes with a store, which crash and recover; otherwise every third
//!   fresh seed, and some fixed ones. A seed is the same world with and without it.
//! - `LAMPLIGHTER_UPSTREAMS=1`: only nodes that subscribe to PBXs, which misbehave; otherwise every fifth
//!   fresh seed, and some fixed ones.
//!
//! Run it with `--profile simulation`: optimized, which is ten times faster, and with the assertions
//! of the engine.

#![allow(clippy::unwrap_used, reason = "tests")]

mod amplification;
mod clock;
mod crash_plan;
mod documents;
mod invariants;
mod looper;
mod model;
mod network;
mod paths;
mod pauses;
mod phone;
mod plan;
mod publisher;
mod random;
mod realm;
mod rlmi;
mod sip_text;
mod store;
mod trace;
mod uac;
mod upstream;
mod world;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use lamplighter::shard::Durability;

use crate::crash_plan::StoreFault;
use crate::plan::Plan;
use crate::trace::Words;
use crate::upstream::plan::PlantedFault;
use crate::world::{Outcome, run};

/// Seeds that are always run, from 0: plain, with a store and crashes, with PBXs, with both.
const FIXED: [(u64, Variant); 4] = [
    (200, Variant::new(false, false)),
    (100, Variant::new(true, false)),
    (40, Variant::new(false, true)),
    (20, Variant::new(true, true)),
];
/// One in this many fresh seeds is run with a store and crashes.
const CRASHING: u64 = 3;
/// One in this many fresh seeds is run with PBXs.
const SUBSCRIBING: u64 = 5;
/// Fresh seeds by default.
const FRESH_SEEDS: u64 = 50;
/// One in this many seeds is run twice, to check that the run repeats exactly.
const REPEATED: u64 = 16;
/// Failures that are printed in full.
const FAILURES_SHOWN: usize = 3;

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// What a node has beside phones and publishers.
#[derive(Clone, Copy, Debug)]
struct Variant {
    /// A store, and it crashes.
    has_store: bool,
    /// PBXs that it subscribes to.
    has_upstreams: bool,
}

impl Variant {
    const fn new(has_store: bool, has_upstreams: bool) -> Self {
        Self {
            has_store,
            has_upstreams,
        }
    }

    /// The variant that the environment asks for at least.
    fn demanded() -> Self {
        let is_set = |variable| number_from(variable).is_some_and(|number| number > 0);
        Self::new(
            is_set("LAMPLIGHTER_CRASHES"),
            is_set("LAMPLIGHTER_UPSTREAMS"),
        )
    }

    /// Whether it has everything that another has.
    const fn includes(self, other: Self) -> bool {
        self.has_store >= other.has_store && self.has_upstreams >= other.has_upstreams
    }

    /// How the environment asks for it.
    fn variables(self) -> String {
        let crashes = ["", "LAMPLIGHTER_CRASHES=1 "][usize::from(self.has_store)];
        let upstreams = ["", "LAMPLIGHTER_UPSTREAMS=1 "][usize::from(self.has_upstreams)];
        [crashes, upstreams].concat()
    }
}

/// One run.
#[derive(Clone, Copy, Debug)]
struct Case {
    seed: u64,
    variant: Variant,
}

impl Case {
    /// The fixed cases that include a variant.
    fn fixed(demanded: Variant) -> Vec<Self> {
        let kinds = FIXED.iter().filter(|(_, it)| it.includes(demanded));
        kinds
            .flat_map(|(seeds, variant)| (0..*seeds).map(|seed| (seed, *variant)))
            .map(|(seed, variant)| Self { seed, variant })
            .collect()
    }

    /// A fresh case, drawn from the clock.
    fn fresh(number: u64, clock: u64, demanded: Variant) -> Self {
        let Variant {
            has_store,
            has_upstreams,
        } = demanded;
        Self {
            seed: random::scramble(clock + number),
            variant: Variant {
                has_store: has_store || number.is_multiple_of(CRASHING),
                has_upstreams: has_upstreams || number.is_multiple_of(SUBSCRIBING),
            },
        }
    }

    fn run(self, words: Words) -> Outcome {
        let plan = match self.variant.has_store {
            true => Plan::with_store(self.seed),
            false => Plan::new(self.seed),
        };
        let plan = match self.variant.has_upstreams {
            true => plan.with_upstreams(),
            false => plan,
        };
        run(plan, words)
    }
}

/// The report of a failed seed; None if it passed.
fn failure_of(case: Case) -> Option<String> {
    let seed = case.seed;
    let variables = case.variant.variables();
    let report = |what: String| {
        let lines = trace::last_lines().join("\n");
        Some(format!(
            "seed {seed}: {what}\nthe last events:\n{lines}\nagain with {variables}LAMPLIGHTER_SEED={seed}"
        ))
    };
    match catch_unwind(AssertUnwindSafe(|| case.run(Words::None))) {
        Ok(Outcome {
            violation: None,
            hash,
            ..
        }) => {
            if seed.is_multiple_of(REPEATED) && case.run(Words::None).hash != hash {
                return report("the same seed gives another trace".into());
            }
            None
        }
        Ok(Outcome {
            violation: Some(_), ..
        }) => {
            let Some(violation) = case.run(Words::Last).violation else {
                return report("fails once and not again".into());
            };
            let seconds = violation.at as f64 / 1e6;
            report(format!(
                "{} at {seconds:.3} s\n  {}",
                violation.invariant, violation.detail
            ))
        }
        Err(_) => {
            let _ = catch_unwind(AssertUnwindSafe(|| case.run(Words::Last)));
            report("the engine panics".into())
        }
    }
}

/// How often each fault occurred, with one seed for each.
fn table_of(failures: &[(u64, String)]) -> String {
    let mut seeds_by_reason: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for (seed, failure) in failures {
        let reason = failure.lines().next().unwrap_or_default();
        let reason = reason.split_once(": ").map_or(reason, |(_, reason)| reason);
        let reason = reason.split(" at ").next().unwrap_or_default();
        seeds_by_reason.entry(reason).or_default().push(*seed);
    }
    let line = |(reason, seeds): (&&str, &Vec<u64>)| {
        format!(
            "\n  {} x {reason}: {:?}",
            seeds.len(),
            &seeds[..seeds.len().min(5)]
        )
    };
    seeds_by_reason.iter().map(line).collect()
}

/// Bypasses libtest's capture: the speed is printed even if all seeds pass.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

#[test]
fn every_seed_keeps_the_invariants() {
    if let Some(seed) = number_from("LAMPLIGHTER_SEED") {
        let variant = Variant::demanded();
        let outcome = Case { seed, variant }.run(Words::All);
        assert!(
            outcome.violation.is_none(),
            "seed {seed}: {:#?}",
            outcome.violation
        );
        return;
    }
    let fresh = number_from("LAMPLIGHTER_SEEDS").unwrap_or(FRESH_SEEDS);
    let demanded = Variant::demanded();
    let fixed = Case::fixed(demanded);
    let total = fixed.len() as u64 + fresh;
    let clock = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos() as u64;
    let next = AtomicU64::new(0);
    let failures = Mutex::new(Vec::new());
    let started = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= total {
                        return;
                    }
                    let case = fixed.get(number as usize).copied();
                    let case = case.unwrap_or_else(|| Case::fresh(number, clock, demanded));
                    if let Some(failure) = failure_of(case) {
                        failures.lock().unwrap().push((case.seed, failure));
                    }
                }
            });
        }
    });
    let seconds = started.elapsed().as_secs_f64();
    say(&format!(
        "{total} seeds in {seconds:.1} s: {:.0} seeds a minute",
        total as f64 * 60.0 / seconds
    ));
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    let shown: Vec<&str> = failures
        .iter()
        .take(FAILURES_SHOWN)
        .map(|(_, failure)| failure.as_str())
        .collect();
    assert!(
        failures.is_empty(),
        "{} of {total} seeds fail{}\n\n{}",
        failures.len(),
        table_of(&failures),
        shown.join("\n\n")
    );
}

#[test]
fn runs_exercise_subscriptions_and_publications() {
    let outcomes: Vec<Outcome> = (0..8)
        .map(|seed| run(Plan::new(seed), Words::None))
        .collect();
    let sum = |count: fn(&Outcome) -> u64| outcomes.iter().map(count).sum::<u64>();
    assert!(
        sum(|outcome| outcome.judged) > 1000,
        "too few watchers were looked at"
    );
    assert!(sum(|outcome| outcome.notifies) > 1000, "too few NOTIFYs");
    assert!(
        sum(|outcome| outcome.publications) > 200,
        "too few publications"
    );
    assert!(
        sum(|outcome| outcome.dialogs as u64) > 100,
        "too few subscriptions"
    );
    assert!(
        sum(|outcome| outcome.lists) > 200,
        "too few NOTIFYs of lists"
    );
    assert!(sum(|outcome| outcome.shed) > 100, "too little was shed");
    assert!(
        sum(|outcome| outcome.rejections) > 5,
        "too few subscriptions that the rules ended"
    );
}

#[test]
fn runs_with_crashes_recover_records_and_check_watchers() {
    let outcomes: Vec<Outcome> = (0..16)
        .map(|seed| run(Plan::with_store(seed), Words::None))
        .collect();
    let sum = |count: fn(&Outcome) -> u64| outcomes.iter().map(count).sum::<u64>();
    assert!(sum(|outcome| outcome.crashes) >= 8, "too few crashes");
    assert!(
        sum(|outcome| outcome.recovered) > 100,
        "too few records came back"
    );
    let (known, notified_again) = (
        sum(|outcome| outcome.known),
        sum(|outcome| outcome.notified_again),
    );
    assert!(
        known > 0 && notified_again > 20,
        "too few recovered subscriptions: {known} knew the state, {notified_again} were told"
    );
    let (wanted, ended) = (
        sum(|outcome| outcome.wanted),
        sum(|outcome| outcome.ended_early),
    );
    let waited = sum(|outcome| outcome.publishes_waited);
    assert!(
        wanted > 20 && ended > 5 && waited > 1,
        "too few early requests: {wanted} dialogs were wanted, {ended} ended, {waited} PUBLISHes waited"
    );
    assert!(
        sum(|outcome| outcome.judged) > 1000,
        "too few watchers were looked at"
    );
}

#[test]
fn runs_with_upstreams_hear_and_judge_them() {
    let outcomes = play(24, |seed| Plan::new(seed).with_upstreams());
    let sum = |count: fn(&Outcome) -> u64| outcomes.iter().map(count).sum::<u64>();
    assert!(sum(|outcome| outcome.heard) > 1000, "too few NOTIFYs");
    assert!(
        sum(|outcome| outcome.news_judged) > 2000,
        "too few states were compared with the truth: {}",
        sum(|outcome| outcome.news_judged)
    );
    assert!(
        sum(|outcome| outcome.reports_judged) > 12,
        "too few reports were judged"
    );
}

/// Runs that many plans, none of which may break an invariant.
fn play(runs: u64, plan: fn(u64) -> Plan) -> Vec<Outcome> {
    let play = |seed| {
        let outcome = run(plan(seed), Words::None);
        assert!(
            outcome.violation.is_none(),
            "{seed}: {:?}",
            outcome.violation
        );
        outcome
    };
    (0..runs).map(play).collect()
}

/// No storm after a restart.
#[test]
fn a_restart_without_changes_notifies_hardly_any_phone() {
    let outcomes = play(12, Plan::without_changes);
    let sum = |count: fn(&Outcome) -> u64| outcomes.iter().map(count).sum::<u64>();
    let (continued, told) = (
        sum(|outcome| outcome.continued),
        sum(|outcome| outcome.notified_unasked),
    );
    assert!(
        continued > 400 && 100 * told <= continued,
        "{told} of {continued} subscriptions were notified"
    );
}

/// The addresses of a flood are forged, or answer late; all other phones come by TCP.
#[test]
fn forged_addresses_gain_no_more_than_the_allowance() {
    let outcomes = play(40, Plan::with_forged_addresses);
    let sum = |count: fn(&Outcome) -> u64| outcomes.iter().map(count).sum::<u64>();
    assert!(
        sum(|outcome| outcome.unproven_octets) > 1_000_000,
        "too few octets to addresses that never answer"
    );
    assert!(sum(|outcome| outcome.shed) > 100, "too little was shed");
}

/// The invariants that runs break if the store has this fault.
fn broken_by(fault: StoreFault) -> Vec<&'static str> {
    let with_fault = |seed| {
        let mut plan = Plan::with_store(seed);
        let store = plan.store.as_mut()?;
        store.durability = Durability::Synced;
        store.commit_max = store.commit_max.max(network::MILLISECOND);
        store.acknowledgements_held_max = 1000;
        store.fault = Some(fault);
        Some(run(plan, Words::None).violation?.invariant)
    };
    (0..60).filter_map(with_fault).collect()
}

#[test]
fn a_store_that_loses_a_row_is_detected() {
    let broken = broken_by(StoreFault::LosesRows);
    assert!(
        broken.contains(&"an acknowledged subscription has no record"),
        "{broken:?}"
    );
}

#[test]
fn a_store_that_reports_too_early_is_detected() {
    let broken = broken_by(StoreFault::ReportsEarly);
    let first = "a 2xx to SUBSCRIBE leaves before its record is durable";
    assert!(broken.contains(&first), "{broken:?}");
    let change = "a change is acknowledged before its record is durable";
    assert!(broken.contains(&change), "{broken:?}");
}

#[test]
fn a_store_that_keeps_old_rows_is_detected() {
    let broken = broken_by(StoreFault::KeepsFirst);
    let is_loss = |invariant: &&&str| {
        [
            "412 for an active publication",
            "a watcher shows an old state",
            "a NOTIFY with a wrong state",
        ]
        .contains(*invariant)
    };
    assert!(broken.iter().filter(is_loss).count() > 2, "{broken:?}");
}

/// The invariants that runs break if the node does not hear PBXs right.
fn broken_upstreams(fault: PlantedFault) -> Vec<&'static str> {
    let with_fault = |seed| {
        let mut plan = Plan::new(seed).with_upstreams();
        plan.upstream.as_mut()?.fault = Some(fault);
        Some(run(plan, Words::None).violation?.invariant)
    };
    (0..12).filter_map(with_fault).collect()
}

#[test]
fn a_node_that_misses_changes_of_an_upstream_is_detected() {
    let broken = broken_upstreams(PlantedFault::MissesChanges);
    let first = "an upstream's state is not heard";
    assert!(broken.contains(&first), "{broken:?}");
}

#[test]
fn a_node_that_misses_calls_of_an_upstream_is_detected() {
    let broken = broken_upstreams(PlantedFault::MissesCalls);
    let is_it = |it: &&&str| {
        [
            "a NOTIFY with a wrong state",
            "a watcher shows an old state",
        ]
        .contains(*it)
    };
    assert!(broken.iter().filter(is_it).count() > 2, "{broken:?}");
}
