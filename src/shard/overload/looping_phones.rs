//! Looping phones (W:G5): phones that repeat one request although it is refused each time, or
//! although it restarts an accepted subscription each time. They are reported to the operator.
//!
//! Each request fingerprint has a token bucket. A refusal takes a token, and so does a new
//! subscription, because a phone that ignores its 200s loops as well. Accepted credentials return a
//! token: the challenge before them was no failure. A phone that finds the bucket empty is listed.
//! If it still loops ten seconds later, an alarm is logged, and again every ten minutes.

use std::time::{Duration, Instant};

use crate::shard::contract::expected::Expected;
use crate::shard::contract::flow::ShardId;
use crate::shard::contract::report::LoopReport;
use crate::shard::contract::turn::Turn;
use crate::shard::overload::OverloadControl;
use crate::shard::overload::bucket::RateLimit;
use crate::shard::request::Request;
use crate::sip::{HeaderName, Method, Status};

/// How long a phone loops before the first alarm.
const ALARM_AFTER: Duration = Duration::from_secs(10);

/// Time between two alarms about one phone.
const ALARM_REPEAT: Duration = Duration::from_secs(600);

/// Time per alarm of a shard, after the burst.
const ALARM_INTERVAL: Duration = Duration::from_secs(6);

/// Alarms of a shard at once.
const ALARM_BURST: u32 = 10;

/// Silence after which a phone no longer counts as looping.
const QUIET: Duration = Duration::from_secs(120);

/// Octets kept of a header value.
const TEXT_OCTETS_MAX: usize = 256;

#[derive(Debug)]
struct LoopingPhone {
    fingerprint: u64,
    report: LoopReport,
    since: Instant,
    latest: Instant,
    alarm_at: Instant,
}

impl LoopingPhone {
    fn report(&self) -> LoopReport {
        LoopReport {
            age: self.latest.saturating_duration_since(self.since),
            ..self.report.clone()
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.latest) >= QUIET
    }
}

/// The phones that loop; at most `loops_max`.
#[derive(Debug, Default)]
pub(super) struct LoopingPhones {
    looping: Vec<LoopingPhone>,
    /// Time at which the token bucket of alarms is full again.
    alarms_full_at: u64,
}

impl OverloadControl {
    /// Notes that a request outside a dialog was served.
    pub(crate) fn note_acceptance(&mut self, request: &Request<'_>, turn: &mut Turn<'_>) {
        if request.message.header(HeaderName::Authorization).is_some() {
            let fingerprint = self.fingerprint("loop", request);
            let rate = self.rates.repeats;
            self.buckets.give_back(fingerprint, rate);
        }
        if request.message.method() == Method::Subscribe {
            self.note_repeat(request, Status::OK, turn);
        }
    }

    /// Notes that a request was refused or began a subscription. Many repetitions are a loop.
    pub(crate) fn note_repeat(
        &mut self,
        request: &Request<'_>,
        status: Status,
        turn: &mut Turn<'_>,
    ) {
        let overload = self;
        let (at, rate) = (overload.nanos(turn.now), overload.rates.repeats);
        let fingerprint = overload.fingerprint("loop", request);
        if overload.buckets.take(fingerprint, rate, at) {
            return;
        }
        let loops = &mut overload.loops;
        let known = loops
            .looping
            .iter()
            .position(|phone| phone.fingerprint == fingerprint);
        let place = known.or_else(|| {
            loops.looping.retain(|looping| !looping.is_over(turn.now));
            if loops.looping.len() >= overload.options.loops_max {
                turn.counters.loops_over_limit += 1;
                return None;
            }
            loops.looping.push(LoopingPhone {
                fingerprint,
                report: describe(request, turn.options.id),
                since: turn.now,
                latest: turn.now,
                alarm_at: turn.now + ALARM_AFTER,
            });
            Some(loops.looping.len() - 1)
        });
        let Some(place) = place else {
            // The list is full.
            return;
        };
        let looping = loops.looping.get_mut(place);
        let Some(looping) = looping.expected("a listed phone has its place") else {
            return;
        };
        if looping.is_over(turn.now) {
            (looping.since, looping.alarm_at) = (turn.now, turn.now + ALARM_AFTER);
            looping.report.requests = 0;
        }
        looping.latest = turn.now;
        looping.report.peer = request.flow.peer;
        looping.report.status = status.0;
        looping.report.requests += 1;
        if turn.now < looping.alarm_at {
            return;
        }
        looping.alarm_at = turn.now + ALARM_REPEAT;
        if RateLimit::new(ALARM_INTERVAL, ALARM_BURST).take(&mut loops.alarms_full_at, at) {
            turn.counters.loops_alarmed += 1;
            turn.out.alarms.push(looping.report());
        }
    }

    /// The phones that loop now, for `lamplighter loops`.
    pub(crate) fn loops(&self, turn: &Turn<'_>) -> Vec<LoopReport> {
        let looping = self.loops.looping.iter();
        looping
            .filter(|looping| !looping.is_over(turn.now))
            .map(LoopingPhone::report)
            .collect()
    }
}

fn describe(request: &Request<'_>, shard: ShardId) -> LoopReport {
    let message = request.message;
    let text = |octets: &[u8]| {
        let octets = octets.get(..TEXT_OCTETS_MAX).unwrap_or(octets);
        String::from_utf8_lossy(octets).into_owned()
    };
    LoopReport {
        shard,
        transport: request.flow.transport,
        peer: request.flow.peer,
        phone: text(message.from().map_or(b"", |from| from.uri)),
        user_agent: text(message.header(HeaderName::UserAgent).unwrap_or_default()),
        method: text(message.method().token()),
        target: text(message.to().map_or(b"", |to| to.uri)),
        status: 0,
        requests: 0,
        age: Duration::ZERO,
    }
}
