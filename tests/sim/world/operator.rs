//! The operator's side: `call_state.htm`, features, notes, registrations, and edits
//! to the configuration while phones are subscribed.

use super::{Asked, DOMAIN, Phase, World, aor_of};
use crate::model;
use crate::model::Update;
use crate::network::{ActorId, MILLISECOND, Micros, SECOND, Wake};
use crate::realm::Realm;
use lamplighter::presence::CallDialog;
use lamplighter::presence::call::{CallParts, CallState, Party};
use lamplighter::presence::source::{CallSource, Forward, ForwardKind, RichPresence, StateUpdate};
use lamplighter::shard::{Command, CommandId, ShardId};
use std::sync::Arc;
use std::time::Duration;

/// Targets of forwarded calls.
const TARGETS: [&str; 4] = ["", "5551234", model::VOICE_MAIL[0], model::VOICE_MAIL[1]];
/// An operator's declarations.
const ACTIVITIES: [&str; 4] = ["away", "busy", "on-the-phone", "dnd"];

impl World {
    /// A random statement about a random presentity.
    pub(super) fn operate(&mut self, actor: ActorId) {
        if !matches!(self.phase, Phase::Chaos | Phase::Calm) {
            return;
        }
        let net = &mut self.bench.net;
        let after = net.rng.between(SECOND, 2 * net.plan.change_every);
        net.wake(actor, after, Wake::Act);
        let presentity = net.rng.below(net.plan.presentities as u64) as usize;
        let said = self.something();
        let delay = self.bench.net.rng.below(20 * MILLISECOND);
        self.say(presentity, said, delay);
    }

    pub(super) fn say(&mut self, presentity: usize, said: StateUpdate, delay: Micros) {
        let aor = aor_of(presentity);
        let shard = ShardId::owner_of(&aor, self.bench.net.plan.shards).0;
        let asked = Asked::StateUpdate(presentity, said.clone(), None);
        self.ask(
            shard,
            delay,
            Command::UpdateState {
                aor,
                update: said,
                origin: None,
            },
            asked,
        );
    }

    fn something(&mut self) -> StateUpdate {
        let rng = &mut self.bench.net.rng;
        match rng.below(20) {
            0..9 => StateUpdate::Call {
                source: match rng.chance(700) {
                    true => CallSource::CallState,
                    false => CallSource::Operator,
                },
                call: rng.chance(600).then(|| call_with(rng.below(3))),
                expires: Some(Duration::from_secs(rng.between(2, 120))),
            },
            9 | 10 => StateUpdate::DoNotDisturb(rng.chance(400)),
            11 | 12 => StateUpdate::Forward(forward(rng.chance(600), rng.pick(&TARGETS))),
            13 | 14 => {
                let note = rng.chance(600).then(|| format!("back at {}", rng.below(3)));
                StateUpdate::Note(note.map(Arc::from))
            }
            15 | 16 => StateUpdate::Presence(rng.chance(500).then(|| RichPresence {
                open: rng.pick(&[None, Some(true), Some(false)]),
                activities: match rng.chance(700) {
                    true => vec![rng.pick(&ACTIVITIES).into()],
                    false => Vec::new(),
                },
                note: rng.chance(300).then(|| "says the operator".into()),
                alternative: None,
            })),
            17 => StateUpdate::Unregistered,
            _ => {
                let contact = format!("sip:phone@10.9.9.{}", rng.below(2)).into();
                let seconds = rng.pick(&[0, 5, 30, 90]);
                StateUpdate::Registered(vec![(contact, Duration::from_secs(seconds))])
            }
        }
    }

    /// Withdraws every statement that would never expire.
    pub(super) fn take_back(&mut self) {
        for presentity in 0..self.bench.net.plan.presentities {
            for said in [
                StateUpdate::DoNotDisturb(false),
                StateUpdate::Forward(forward(false, "")),
                StateUpdate::Note(None),
                StateUpdate::Presence(None),
            ] {
                self.say(presentity, said, 2);
            }
        }
    }

    /// The owner applies a statement, and so does the model.
    pub(super) fn apply_update(&mut self, token: CommandId, presentity: usize, said: &StateUpdate) {
        let now = self.bench.net.now;
        let after = |duration: Duration| now + duration.as_micros() as Micros;
        let update = match said {
            StateUpdate::Call {
                source,
                call,
                expires,
            } => {
                let until = call.as_ref().and_then(|_| expires.map(after));
                match source {
                    CallSource::CallState => Update::CallState(until),
                    CallSource::Operator => Update::Lamp(until),
                }
            }
            StateUpdate::DoNotDisturb(is_on) => Update::DoNotDisturb(*is_on),
            StateUpdate::CallStateDoNotDisturb(_) => {
                unreachable!("the hook of this world reports calls only")
            }
            StateUpdate::Forward(forward) => Update::Forward {
                is_active: forward.is_active,
                target: known(&TARGETS, &forward.target),
            },
            StateUpdate::Note(note) => Update::Note(note.as_deref().map(str::to_owned)),
            StateUpdate::Presence(statement) => {
                Update::Presence(statement.as_ref().map(|statement| {
                    model::Word {
                        open: statement.open,
                        activity: statement
                            .activities
                            .first()
                            .map(|activity| known(&ACTIVITIES, activity)),
                        note: statement.note.as_deref().map(str::to_owned),
                        since: now,
                    }
                }))
            }
            StateUpdate::Registered(contacts) => {
                let (uri, expires) = &contacts[0];
                Update::Registered(uri.as_bytes()[uri.len() - 1], after(*expires))
            }
            StateUpdate::Unregistered => Update::Unregistered,
            other => {
                return self.fail(
                    "the simulation sent an update that the model does not know",
                    format!("{other:?}"),
                );
            }
        };
        let revision = self.bench.model.update(now, presentity, update);
        if let Some(Asked::StateUpdate(.., change)) = self.commands.get_mut(&token) {
            *change = revision.map(|revision| (presentity, revision));
        }
    }

    /// Edits the configuration; every shard loads it.
    pub(super) fn edit(&mut self, actor: ActorId) {
        if !matches!(self.phase, Phase::Chaos | Phase::Calm) {
            return;
        }
        let net = &mut self.bench.net;
        let after = net.rng.between(SECOND, 2 * net.plan.edit_every);
        net.wake(actor, after, Wake::Act);
        let has_connectors = self.phase == Phase::Chaos && !self.links.is_empty();
        if has_connectors && self.bench.net.rng.chance(300) {
            if let Some(realm) = self.edited_connector() {
                self.load(realm);
            }
            return;
        }
        let net = &mut self.bench.net;
        let realm = self.bench.realms.newest().edited(&net.plan, &mut net.rng);
        self.load(realm);
    }

    /// Every shard loads another configuration.
    pub(super) fn load(&mut self, realm: Realm) {
        let net = &mut self.bench.net;
        let directory = realm.directory(&net.plan);
        let delays: Vec<Micros> = (0..net.plan.shards)
            .map(|_| net.rng.below(20 * MILLISECOND))
            .collect();
        let first = net.now + delays.iter().min().copied().unwrap_or_default();
        let last = net.now + delays.iter().max().copied().unwrap_or_default();
        self.note(&[], || format!("edited: {realm:?}"));
        self.bench.realms.change(realm, first, last);
        for (shard, delay) in delays.into_iter().enumerate() {
            let command = Command::Reload(Arc::clone(&directory));
            self.ask(shard as u16, delay, command, Asked::Reload);
        }
    }

    /// A shard loads the configuration; the model copies its facts about the presentities that the
    /// shard owns.
    pub(super) fn reread(&mut self, shard: u16) {
        let now = self.bench.net.now;
        let shards = self.bench.net.plan.shards;
        let realm = std::rc::Rc::clone(self.bench.realms.newest());
        for (user, has_alternative) in &realm.accounts {
            let presentity = user.parse::<usize>().unwrap_or_default() - 100;
            if ShardId::owner_of(&aor_of(presentity), shards).0 == shard {
                let model = &mut self.bench.model;
                model.alternative(now, presentity, *has_alternative);
            }
        }
    }
}

fn known(names: &[&'static str], name: &str) -> &'static str {
    let known = names.iter().find(|known| **known == name);
    known.copied().unwrap_or_default()
}

fn forward(is_active: bool, target: &str) -> Forward {
    Forward {
        kind: ForwardKind::Immediate,
        is_active,
        target: target.into(),
        ring_count: None,
    }
}

/// A call whose remote party is never revealed.
fn call_with(number: u64) -> Arc<CallDialog> {
    let call = CallParts {
        remote: Party {
            identity: &format!("sip:{number}@{DOMAIN}"),
            ..Party::default()
        },
        remote_is_private: true,
        ..CallParts::new("call_state", CallState::Confirmed)
    };
    Arc::new(call.into())
}
