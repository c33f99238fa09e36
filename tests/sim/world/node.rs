//! The node of a run: its options, its shards.

use super::Core;
use crate::network::NODE;
use crate::plan::Plan;
use crate::random::Rng;
use lamplighter::directory::Directory;
use lamplighter::presence::wall_clock::WallClock;
use lamplighter::shard::contract::overload_options::{OverloadOptions, Rate};
use lamplighter::shard::{ChangeReaders, Durability, NodeId, Options, Shard, ShardId};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A shard of a process. The process was started at `start` in the time of the run, when the run had
/// lasted for whole seconds; the wall clock of the run begins at 0.
pub(super) fn core(
    id: u16,
    plan: &Plan,
    (start, seconds, process): (Instant, u64, u32),
    record_clock: WallClock,
    directory: &Arc<Directory>,
) -> Core {
    let store = plan.store.as_ref();
    let options = Options {
        tells_changes: ChangeReaders::default(),
        is_traced: false,
        epoch_unix: seconds,
        record_clock,
        durability: store.map_or(Durability::None, |store| store.durability),
        writes_history: store.is_some(),
        acknowledgements_held_max: store
            .map_or(usize::MAX, |store| store.acknowledgements_held_max),
        node: NodeId(0),
        id: ShardId(id),
        shards: plan.shards,
        epoch: start + Duration::from_secs(seconds),
        key: [7; 32],
        nonce_key: [7; 32],
        nonces_known_since: start + Duration::from_secs(seconds),
        local_addresses: vec![NODE],
        listeners: Vec::new(),
        advertise: Vec::new(),
        product: "Lamplighter".into(),
        subscriptions_max: 10_000,
        subscriptions_per_phone_max: 1000,
        subscription_octets_max: 1 << 30,
        subscriptions_per_flow_home: plan.subscriptions_per_flow_home,
        expiry_grace: Duration::from_micros(plan.expiry_grace),
        dials_max: 2,
        dial_targets_max: 100,
        dial_pause_min: Duration::from_secs(1),
        dial_pause_max: Duration::from_secs(60),
        probation: Duration::from_micros(plan.probation),
        notify_rate_per_phone: plan.notify_rate,
        notify_tcp_beyond: 1300,
        notify_burst_per_phone: plan.notify_burst,
        notifies_per_turn: plan.notifies_per_turn,
        notify_octets_per_turn: plan.notify_octets_per_turn,
        retransmission_octets_max: plan.retransmission_octets,
        timers_per_turn: 2 * plan.notifies_per_turn,
        segment_octets_max: 1400,
        presentities_max: 1000,
        contacts_max: 1_000_000,
        publications_per_presentity_max: 1000,
        calls_per_presentity_max: 1000,
        body_octets_max: 65_536,
        response_ring_octets: 1 << 22,
        nonces_max: 64,
        nonce_life: Duration::from_secs(3600),
        allow_rfc2069: false,
        clients_max: 4,
        upstream_users_max: 1000,
        client_transactions_max: 1000,
        probe_entries_max: 100,
        overload: OverloadOptions {
            phone: Rate {
                per_second: 3,
                burst: 100,
            },
            unproven_octets_per_second: plan.unproven_octets,
            postpone_at: plan.postpone_at,
            postponed_octets_max: plan.postponed_octets,
            ..OverloadOptions::default()
        },
    };
    let mut seed = [0; 32];
    let mut rng = Rng::new(plan.seed ^ u64::from(id) << 48 ^ u64::from(process) << 32);
    for chunk in seed.chunks_mut(8) {
        chunk.copy_from_slice(&rng.next().to_le_bytes());
    }
    let shard = Shard::new(options, Arc::clone(directory), seed);
    Core {
        shard,
        generation: 0,
        armed_at: None,
        spins: (0, 0),
    }
}
