//! The plot of a run: what happens when, and what the operator's side asks.

use super::Actor;
use super::Asked;
use super::Bench;
use super::DOMAIN;
use super::Phase;
use super::World;
use super::aor_of;
use crate::model::EXPIRY_SLACK;
use crate::network::ActorId;
use crate::network::Event;
use crate::network::MILLISECOND;
use crate::network::Micros;
use crate::network::SECOND;
use crate::network::Wake;
use crate::phone::Phone;
use crate::publisher::Source;
use lamplighter::presence::CallDialog;
use lamplighter::presence::call::CallState;
use lamplighter::presence::call::Party;
use lamplighter::shard::Command;
use lamplighter::shard::Shard;
use std::sync::Arc;
use std::time::Duration;

impl World {
    pub(super) fn next_phase(&mut self) {
        let now = self.bench.net.now;
        let plan = &self.bench.net.plan;
        let expires_max = plan.expires_max.max(plan.expires_min) * SECOND;
        let (phase, lasts) = match self.phase {
            Phase::Chaos => (Phase::Calm, expires_max + 100 * SECOND),
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
                self.calm_since = now;
                self.each_phone(|phone, _| phone.calm = true);
                self.each_source(|source| source.calm = true);
            }
            Phase::Silence => self.each_source(|source| source.silent = true),
            Phase::Farewell => {
                // The questions reach the shards before anything a phone does now.
                self.ask_about_everybody();
                self.expect_reports();
                self.each_phone(|phone, bench| phone.leave(bench));
                self.each_source(|source| source.gone = true);
            }
            Phase::Audit => {
                self.ask_about_everybody();
                for shard in 0..self.bench.net.plan.shards {
                    self.ask(shard, 1, Command::Drain, Asked::Drain);
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

    pub(super) fn each_source(&mut self, mut change: impl FnMut(&mut Source)) {
        for actor in &mut self.actors {
            if let Actor::Source(source) = actor {
                change(source);
            }
        }
    }

    /// `call_state.htm`: somebody is in a call, or is not any more.
    pub(super) fn operate(&mut self, actor: ActorId) {
        if !matches!(self.phase, Phase::Chaos | Phase::Calm) {
            return;
        }
        let net = &mut self.bench.net;
        let after = net.rng.between(SECOND, 2 * net.plan.change_every);
        net.wake(actor, after, Wake::Act);
        let presentity = net.rng.below(net.plan.presentities as u64) as usize;
        let number = net.rng.chance(600).then(|| net.rng.below(3));
        let expires = Duration::from_secs(net.rng.between(2, 120));
        let aor = aor_of(presentity);
        let command = Command::call_state(aor.clone(), number.map(call_state_dialog), expires);
        let delay = net.rng.below(20 * MILLISECOND);
        let shard = Shard::owner(&aor, net.plan.shards).0;
        self.ask(shard, delay, command, Asked::CallState);
    }

    pub(super) fn ask(&mut self, shard: u16, delay: Micros, command: Command, asked: Asked) {
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

    /// Asks every shard who watches, and every owner why a lamp is as it is.
    pub(super) fn ask_about_everybody(&mut self) {
        for presentity in 0..self.bench.net.plan.presentities {
            let aor = aor_of(presentity);
            let owner = Shard::owner(&aor, self.bench.net.plan.shards).0;
            self.ask(owner, 1, Command::Why(aor.clone()), Asked::Why(presentity));
            for shard in 0..self.bench.net.plan.shards {
                self.ask(shard, 1, Command::Watchers(aor.clone()), Asked::Watchers);
            }
        }
    }
}

fn call_state_dialog(number: u64) -> Arc<CallDialog> {
    Arc::new(CallDialog {
        id: "call_state".into(),
        call_id: "".into(),
        local_tag: "".into(),
        remote_tag: "".into(),
        direction: None,
        state: CallState::Confirmed,
        local: Party::default(),
        remote: Party {
            identity: format!("sip:{number}@{DOMAIN}").into(),
            ..Party::default()
        },
        remote_is_private: true,
    })
}
