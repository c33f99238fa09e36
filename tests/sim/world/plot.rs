//! The course of a run: its phases, and the operator's queries.

use super::{Actor, Asked, Bench, Phase, World, aor_of};
use crate::model::EXPIRY_SLACK;
use crate::network::{Event, Micros, SECOND};
use crate::phone::Phone;
use crate::publisher::Source;
use crate::upstream::plan::UpstreamPlan;
use lamplighter::shard::{Command, ShardId};

impl World {
    pub(super) fn next_phase(&mut self) {
        let now = self.bench.net.now;
        let plan = &self.bench.net.plan;
        let expires_max = plan.expires_max.max(plan.expires_min) * SECOND;
        let (phase, lasts) = match self.phase {
            Phase::Chaos => {
                let lasts = expires_max + 100 * SECOND;
                let upstream = plan.upstream.as_ref().map_or(0, UpstreamPlan::calm);
                (Phase::Calm, lasts.max(upstream))
            }
            Phase::Calm => (Phase::Silence, EXPIRY_SLACK + 20 * SECOND + plan.pace_max()),
            Phase::Silence => {
                let subscriptions =
                    expires_max + plan.expiry_grace + 2 * plan.probation + 120 * SECOND;
                (
                    Phase::Farewell,
                    subscriptions.max(Source::LIFE_MAX + 60 * SECOND),
                )
            }
            Phase::Farewell => (Phase::Audit, SECOND),
            Phase::Audit => {
                self.is_over = true;
                return self.judge_rest();
            }
        };
        self.phase = phase;
        self.note(&[], || format!("--- {phase:?}"));
        self.bench.net.schedule(now + lasts, Event::Phase);
        match phase {
            Phase::Calm => {
                self.bench.net.calm = true;
                self.bench.net.calm_since = now;
                self.each_phone(|phone, _| phone.calm = true);
                self.each_source(|source, _| source.calm = true);
                self.expect_upstreams();
                self.schedule_last_crash();
            }
            Phase::Silence => {
                self.each_source(|source, _| source.silent = true);
                self.each_upstream(|upstream| upstream.is_quiet = true);
                self.switch_loopers_off();
            }
            Phase::Farewell => {
                // The queries reach the shards before any message that a phone sends now.
                self.ask_about_all();
                self.expect_reports();
                self.take_back();
                self.end_connectors();
                self.each_phone(|phone, bench| phone.leave(bench));
                self.each_source(|source, _| source.gone = true);
            }
            Phase::Audit => {
                self.ask_about_all();
                for shard in 0..self.bench.net.plan.shards {
                    self.ask(shard, 1, Command::Drain, Asked::Drain);
                    self.ask(shard, 1, Command::Counters, Asked::Counters);
                }
            }
            Phase::Chaos => {}
        }
    }

    pub(super) fn each_phone(&mut self, mut change: impl FnMut(&mut Phone, &mut Bench)) {
        for actor in &mut self.actors {
            if let Actor::Phone(phone) = actor {
                change(phone, &mut self.bench);
            }
        }
    }

    pub(super) fn each_source(&mut self, mut change: impl FnMut(&mut Source, &mut Bench)) {
        for actor in &mut self.actors {
            if let Actor::Source(source) = actor {
                change(source, &mut self.bench);
            }
        }
    }

    /// Looping phones continue while watchers must follow, and stop early enough for their state to
    /// expire.
    fn switch_loopers_off(&mut self) {
        for actor in &mut self.actors {
            if let Actor::Looper(looper) = actor {
                looper.gone = true;
            }
        }
    }

    /// Sends a command to a shard. A node that is down has no control socket.
    pub(super) fn ask(&mut self, shard: u16, delay: Micros, command: Command, asked: Asked) {
        if !self.bench.net.is_up {
            return;
        }
        let token = self.bench.net.token();
        self.commands.insert(token, asked);
        let at = self.bench.net.now + delay;
        self.bench.net.schedule(
            at,
            Event::Command {
                shard,
                token,
                command,
            },
        );
    }

    /// Asks every shard for its watchers, and every owner for the reasons of a lamp.
    pub(super) fn ask_about_all(&mut self) {
        for presentity in self.bench.net.plan.all_presentities() {
            let aor = aor_of(presentity);
            let owner = ShardId::owner_of(&aor, self.bench.net.plan.shards).0;
            self.ask(owner, 1, Command::Why(aor.clone()), Asked::Why(presentity));
            for shard in 0..self.bench.net.plan.shards {
                self.ask(shard, 1, Command::Watchers(aor.clone()), Asked::Watchers);
            }
        }
    }
}
