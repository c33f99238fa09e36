//! The parameters of a run, drawn from its seed: the number of peers, the quality of the network,
//! the length of the chaos.

use lamplighter::shard::Durability;
use lamplighter::shard::contract::overload_options::OverloadOptions;

use crate::crash_plan::CrashPlan;
use crate::model::Style;
use crate::network::{MILLISECOND, Micros, SECOND};
use crate::random::Rng;
use crate::upstream::plan::{FIRST_USER, UpstreamPlan};

/// All values drawn from the seed before the run begins.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) shards: u16,
    pub(crate) presentities: usize,
    /// How many presentities, the last ones, are park orbits.
    pub(crate) orbits: usize,
    /// The style that composes their state.
    pub(crate) style: Style,
    /// Phones of a thousand that subscribe to lists.
    pub(crate) lists: u64,
    /// Keys of a thousand that request a rate.
    pub(crate) rates: u64,
    /// Mean time between two edits of lists and policies; 0 for a node without policies.
    pub(crate) edit_every: Micros,
    pub(crate) phones: usize,
    pub(crate) keys_per_phone_max: u64,
    /// Subscriptions of one SBC on one source port; 0 for no SBC.
    pub(crate) storm: usize,
    /// Whether a phone loops.
    pub(crate) has_looper: bool,
    /// Its bursts of a thousand that bring a request from a forged address.
    pub(crate) forged: u64,
    /// Whether it also subscribes from ports that answer a NOTIFY late.
    pub(crate) answers_late: bool,

    // The network, in events per thousand; index 0 towards the node, 1 from it.
    pub(crate) loss: [u64; 2],
    pub(crate) duplication: [u64; 2],
    pub(crate) reordering: [u64; 2],
    pub(crate) delay_max: [Micros; 2],
    pub(crate) mail_delay_max: Micros,
    pub(crate) timer_lateness_max: Micros,
    /// Phones of a thousand that use TCP.
    pub(crate) tcp: u64,
    /// Mean time between two faults of a phone.
    pub(crate) mischief_every: Micros,
    /// Mean time between two changes of a source.
    pub(crate) change_every: Micros,

    // Times.
    pub(crate) chaos: Micros,
    /// Shortest and longest expiry that phones ask for, in seconds.
    pub(crate) expires_asked_min: u64,
    pub(crate) expires_max: u64,
    /// The run ends at this time at the latest.
    pub(crate) ends_at: Micros,

    // The node's options.
    pub(crate) subscriptions_per_flow_home: usize,
    pub(crate) expiry_grace: Micros,
    pub(crate) probation: Micros,
    pub(crate) expires_min: u64,
    pub(crate) notify_rate: u32,
    pub(crate) notify_burst: u32,
    pub(crate) notifies_per_turn: usize,
    pub(crate) notify_octets_per_turn: usize,
    pub(crate) retransmission_octets: usize,
    /// Octets of NOTIFYs per second of a shard to addresses that have proved nothing.
    pub(crate) unproven_octets: u64,
    pub(crate) postpone_at: usize,
    pub(crate) postponed_octets: usize,
    /// The store and the crashes; None for a node that keeps no records.
    pub(crate) store: Option<CrashPlan>,
    /// The PBXs that the node subscribes to; None for a node without connectors.
    pub(crate) upstream: Option<UpstreamPlan>,
}

impl Plan {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0x7069_6c6f_7421);
        let rng = &mut rng;
        // A third of the seeds have a good network, which makes faults of the engine easier to
        // find.
        let bad = u64::from(!rng.chance(333));
        let mut rates = |max: u64| [bad * rng.below(max), bad * rng.below(max)];
        let (loss, duplication, reordering) = (rates(250), rates(100), rates(200));
        let presentities = rng.between(2, 6) as usize;
        Self {
            seed,
            shards: rng.between(1, 3) as u16,
            presentities,
            orbits: rng.below(presentities as u64 / 2 + 1) as usize,
            style: rng.pick(&[Style::Standard, Style::Alceo, Style::Imagicle]),
            lists: rng.pick(&[0, 300, 700]),
            rates: rng.pick(&[0, 200, 500]),
            edit_every: rng.pick(&[0, 10, 20, 40]) * SECOND,
            phones: rng.between(2, 6) as usize,
            keys_per_phone_max: rng.between(1, 5),
            storm: if rng.chance(250) {
                rng.between(8, 30) as usize
            } else {
                0
            },
            loss,
            duplication,
            reordering,
            delay_max: [
                rng.between(1, 150) * MILLISECOND,
                rng.between(1, 150) * MILLISECOND,
            ],
            mail_delay_max: rng.pick(&[10, MILLISECOND, 10 * MILLISECOND, 50 * MILLISECOND]),
            timer_lateness_max: rng.pick(&[0, 0, MILLISECOND, 5 * MILLISECOND]),
            tcp: rng.pick(&[0, 300, 300, 700]),
            mischief_every: rng.between(10, 60) * SECOND,
            change_every: rng.between(2, 20) * SECOND,
            chaos: rng.between(60, 180) * SECOND,
            expires_asked_min: 30,
            expires_max: rng.between(60, 150),
            ends_at: Micros::MAX,
            subscriptions_per_flow_home: rng.pick(&[1, 4, 16, 1000]),
            expiry_grace: rng.between(0, 32) * SECOND,
            probation: rng.between(10, 60) * SECOND,
            expires_min: rng.between(10, 50),
            notify_rate: rng.pick(&[0, 10, 10, 20]),
            notify_burst: rng.pick(&[1, 10, 20]),
            notifies_per_turn: rng.pick(&[1, 3, 64, 1000]),
            has_looper: rng.chance(200),
            forged: 200,
            answers_late: false,
            postpone_at: rng.pick(&[1, 2, 512]),
            postponed_octets: rng.pick(&[0, 2_000, 1 << 20]),
            notify_octets_per_turn: rng.pick(&[1, 5_000, 1 << 20]),
            retransmission_octets: 1 << 20,
            unproven_octets: OverloadOptions::default().unproven_octets_per_second,
            store: None,
            upstream: None,
        }
    }

    /// The plan of the same seed for a node that subscribes to PBXs.
    pub(crate) fn with_upstreams(self) -> Self {
        let chaos = self.chaos.min(Self::CHAOS_MAX);
        Self {
            chaos,
            upstream: Some(UpstreamPlan::new(self.seed, chaos)),
            ..self
        }
    }

    /// How long the chaos with PBXs lasts at most: their users heal some times later.
    const CHAOS_MAX: Micros = 100 * SECOND;

    /// The plan of the same seed for a node with a store, which crashes. It postpones no PUBLISH, so
    /// that the turn in which the owner takes one is known before its 200, which may wait.
    pub(crate) fn with_store(seed: u64) -> Self {
        let plan = Self::new(seed);
        Self {
            store: Some(CrashPlan::new(seed, plan.chaos)),
            postpone_at: usize::MAX,
            ..plan
        }
    }

    /// The plan of a node that crashes after minutes in which nothing changed and no phone refreshed:
    /// phones and network are good, and all sources are done soon.
    pub(crate) fn without_changes(seed: u64) -> Self {
        let plan = Self::with_store(seed);
        let store = plan.store.map(|store| CrashPlan {
            crashes: Vec::new(),
            crash_in_calm: Some(500 * SECOND),
            noticed_within: None,
            ..store
        });
        Self {
            store,
            lists: 0,
            rates: 0,
            edit_every: 0,
            storm: 30,
            has_looper: false,
            tcp: 0,
            change_every: 1_000_000 * SECOND,
            chaos: SECOND,
            expires_asked_min: 1200,
            expires_max: 1800,
            ends_at: 600 * SECOND,
            ..plan
        }
    }

    /// The plan of a node with a small allowance for addresses that have proved nothing. They use it up: the
    /// addresses of a flood are forged, or answer late. All other phones come by TCP, so that what they
    /// must be shown is judged as ever.
    pub(crate) fn with_forged_addresses(seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0x666f_7267_6564);
        Self {
            has_looper: true,
            forged: 1000,
            answers_late: rng.chance(700),
            unproven_octets: rng.pick(&[50, 200, 500]),
            storm: 0,
            tcp: 1000,
            expires_min: 50,
            ..Self::new(seed)
        }
    }

    /// Whether the allowance may be used up, so that a NOTIFY to an address that has proved nothing waits.
    pub(crate) fn is_allowance_small(&self) -> bool {
        self.unproven_octets < OverloadOptions::default().unproven_octets_per_second
    }

    /// Whether acknowledgements wait for their records.
    pub(crate) fn is_synced(&self) -> bool {
        let store = self.store.as_ref();
        store.is_some_and(|store| store.durability == Durability::Synced)
    }

    /// The maximum number of NOTIFYs due to one peer at once: one for each subscription or, for a
    /// list sent one resource at a time, one for each resource.
    pub(crate) fn owed_max(&self) -> usize {
        let of_lists = if self.lists > 0 {
            Self::RESOURCES_MAX
        } else {
            0
        };
        self.storm.max(self.keys_per_phone_max as usize + of_lists)
    }

    /// More resources than any list of a run has.
    pub(crate) const RESOURCES_MAX: usize = 16;

    /// All presentities: those of the node alone, and the users of the PBXs.
    pub(crate) fn all_presentities(&self) -> impl Iterator<Item = usize> + use<> {
        let users = self.upstream.as_ref().map_or(0, |plan| plan.users);
        (0..self.presentities).chain(FIRST_USER..FIRST_USER + users)
    }

    /// How long a NOTIFY may wait for its phone's rate limit.
    pub(crate) fn pace_max(&self) -> Micros {
        2 * self.owed_max() as u64 * self.notify_interval()
    }

    /// Time between two NOTIFYs to a phone that has used up its burst.
    pub(crate) fn notify_interval(&self) -> Micros {
        match u64::from(self.notify_rate) {
            0 => 0,
            rate => SECOND / rate,
        }
    }

    /// Longest delay from a change at its owner to the octets of a NOTIFY: two hops of mail, late
    /// timers, work deferred to the next turns.
    pub(crate) fn propagation_max(&self) -> Micros {
        3 * self.mail_delay_max + 4 * self.timer_lateness_max + 100 * MILLISECOND
    }
}
