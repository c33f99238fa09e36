//! Recent refusals, for `lamplighter refusals`.
//!
//! A table of fixed size. A refusal that is listed already increments its count, without
//! allocation. A new one takes a token of the shard; without a token it is counted only, so that a
//! flood costs nothing. In a full table it replaces the one seen least recently.

use std::time::{Duration, Instant};

use crate::shard::contract::flow::ShardId;
use crate::shard::contract::report::RefusalReport;
use crate::shard::contract::turn::Turn;
use crate::shard::overload::OverloadControl;
use crate::shard::overload::bucket::RateLimit;
use crate::shard::request::Request;
use crate::shard::request::refusal::Refusal;
use crate::sip::{Status, digest};

/// Refusals listed.
pub(super) const REFUSALS_MAX: usize = 256;

/// New refusals listed per second; also the burst.
const NEW_PER_SECOND: u32 = 20;

/// Octets kept of a header value.
const TEXT_OCTETS_MAX: usize = 256;

#[derive(Debug)]
struct Entry {
    latest: Instant,
    report: RefusalReport,
}

/// The table of refusals.
#[derive(Debug, Default)]
pub(super) struct RefusalList {
    /// The keys of `entries`, in the same order; a short array to search.
    keys: Vec<u64>,
    entries: Vec<Entry>,
    /// Time at which the token bucket of new entries is full again.
    new_full_at: u64,
}

impl RefusalList {
    fn find(&mut self, key: u64) -> Option<&mut Entry> {
        let place = self.keys.iter().position(|known| *known == key)?;
        self.entries.get_mut(place)
    }

    /// Adds an entry. A full table loses the entry seen least recently.
    fn insert(&mut self, key: u64, entry: Entry) {
        if self.keys.len() >= REFUSALS_MAX {
            let places = self.entries.iter().enumerate();
            let oldest = places.min_by_key(|(_, entry)| entry.latest);
            let oldest = oldest.map_or(0, |(place, _)| place);
            self.keys.swap_remove(oldest);
            self.entries.swap_remove(oldest);
        }
        self.keys.push(key);
        self.entries.push(entry);
    }
}

impl OverloadControl {
    /// Adds a refusal to the list.
    pub(crate) fn list_refusal(
        &mut self,
        request: &Request<'_>,
        refusal: &Refusal<'_>,
        turn: &mut Turn<'_>,
    ) {
        let overload = self;
        let (at, status) = (overload.nanos(turn.now), refusal.status());
        let key = overload.fingerprint(("refused", status.0), request);
        if let Some(entry) = overload.refused.find(key) {
            entry.latest = turn.now;
            entry.report.count += 1;
            entry.report.peer = request.flow.peer;
            entry.report.reason = phrase(refusal);
            return;
        }
        let rate = RateLimit::per_second(NEW_PER_SECOND, NEW_PER_SECOND);
        if !rate.take(&mut overload.refused.new_full_at, at) {
            turn.counters.refusals_unlisted += 1;
            return;
        }
        let report = describe(request, refusal, turn.options.id);
        let entry = Entry {
            latest: turn.now,
            report,
        };
        overload.refused.insert(key, entry);
    }

    /// All listed refusals.
    pub(crate) fn refusals(&self, turn: &Turn<'_>) -> Vec<RefusalReport> {
        let entries = self.refused.entries.iter();
        let report = |entry: &Entry| RefusalReport {
            age: turn.now.saturating_duration_since(entry.latest),
            ..entry.report.clone()
        };
        entries.map(report).collect()
    }
}

fn phrase(refusal: &Refusal<'_>) -> &'static str {
    refusal
        .reason()
        .unwrap_or_else(|| refusal.status().reason())
}

fn describe(request: &Request<'_>, refusal: &Refusal<'_>, shard: ShardId) -> RefusalReport {
    let message = request.message;
    let Status(status) = refusal.status();
    RefusalReport {
        shard,
        transport: request.flow.transport,
        peer: request.flow.peer,
        method: text(message.method().token()),
        status,
        reason: phrase(refusal),
        from: text(message.from().map_or(b"", |from| from.uri)),
        user: digest::named_user(message),
        to: text(message.to().map_or(b"", |to| to.uri)),
        count: 1,
        age: Duration::ZERO,
    }
}

/// A header value as text, cut to the octets that are kept.
pub(super) fn text(octets: &[u8]) -> String {
    let octets = octets.get(..TEXT_OCTETS_MAX).unwrap_or(octets);
    String::from_utf8_lossy(octets).into_owned()
}
