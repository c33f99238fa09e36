//! A presentity compared with a naive model: lists that are searched linearly, and no stored value
//! that can be computed.
//!
//! The model handles only legs whose tags are all known, because wild cards have their own tests
//! (in the neighbouring file). It implements each rule once: keys, tombstones, lifetimes, the legs
//! that a full document ends, the publications that an initial PUBLISH supersedes, reachability,
//! precedence.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::presence::call::{CallDialog, CallParts, CallState};
use crate::presence::composition::{Availability, Composed, ForwardedTo};
use crate::presence::document::Document;
use crate::presence::event::Package;
use crate::presence::presentity::tests::{LIMITS, full, leg};
use crate::presence::presentity::{
    Condition, Presentity, Publication, PublicationLimits, PublishRefused,
};
use crate::presence::source::{CallSource, EntityTag, Forward, ForwardKind, StateUpdate};

/// Call-ID and remote tag.
type Key = (u8, u8);
type Dialogs = BTreeMap<Key, CallState>;

#[derive(Clone, Debug)]
enum Step {
    Initial {
        publisher: u64,
        full: bool,
        dialogs: Dialogs,
    },
    /// `which` counts all publications so far.
    Modify {
        which: usize,
        full: bool,
        dialogs: Dialogs,
    },
    Refresh {
        which: usize,
    },
    Remove {
        which: usize,
    },
    CallState {
        seconds: Option<u64>,
    },
    DoNotDisturb(bool),
    Forward(bool),
    /// A contact, and its duration.
    Register(u8, u64),
    Unregister,
    Pass {
        seconds: u64,
    },
}

#[derive(Debug)]
struct Held {
    tag: u128,
    publisher: u64,
    end: u64,
    /// State, and when it was last reported.
    legs: BTreeMap<Key, (CallState, u64)>,
}

/// How a leg ended: who may report it again, and in which state.
#[derive(Debug)]
struct Tombstone {
    key: Key,
    end: u64,
    /// Reportable only by the publication (by its first tag) that omitted it.
    omitted_by: Option<u64>,
    expired: bool,
}

/// Seconds since the start, and all state.
#[derive(Debug, Default)]
struct Model {
    now: u64,
    tags: u128,
    publications: Vec<(u64, Held)>,
    tombstones: Vec<Tombstone>,
    call_state: Option<u64>,
    /// Whether a source has ever reported its calls.
    is_known_by_calls: bool,
    do_not_disturb: bool,
    is_forwarded: bool,
    /// Whether a registrar has ever reported; the contacts, and when each ends.
    has_registrar: bool,
    contacts: BTreeMap<u8, u64>,
}

const EXPIRES: u64 = 100;

impl Model {
    fn expire(&mut self) {
        let now = self.now;
        let lives = |(state, stated): &(CallState, u64), at| match state {
            CallState::Confirmed => true,
            CallState::Early => at < *stated + 180,
            _ => at < *stated + 10,
        };
        for (_, held) in self
            .publications
            .extract_if(.., |(_, held)| held.end + 2 <= now)
        {
            let end = held.end + 2;
            for (key, _) in held.legs.into_iter().filter(|(_, leg)| lives(leg, end)) {
                self.tombstones.push(Tombstone {
                    key,
                    end: end + 32,
                    omitted_by: None,
                    expired: true,
                });
            }
        }
        for (_, held) in &mut self.publications {
            held.legs.retain(|_, leg| lives(leg, now));
        }
        self.tombstones.retain(|tombstone| now < tombstone.end);
        self.call_state = self.call_state.filter(|end| now < *end);
        self.contacts.retain(|_, end| now < *end + 2);
    }

    fn bury(&mut self, key: Key, omitted_by: Option<u64>) {
        self.tombstones.push(Tombstone {
            key,
            end: self.now + 32,
            omitted_by,
            expired: false,
        });
    }

    fn say(&mut self, number: u64, is_full: bool, dialogs: &Dialogs) {
        for (&key, &state) in dialogs {
            if state == CallState::Terminated {
                for (_, held) in &mut self.publications {
                    held.legs.remove(&key);
                }
                self.bury(key, None);
                continue;
            }
            let buried = self.tombstones.iter().any(|tombstone| {
                let is_forgiven = tombstone.omitted_by == Some(number)
                    || (tombstone.expired && state == CallState::Confirmed);
                tombstone.key == key && !is_forgiven
            });
            let now = self.now;
            let legs = &mut self
                .publications
                .iter_mut()
                .find(|(other, _)| *other == number)
                .unwrap()
                .1
                .legs;
            match legs.get_mut(&key) {
                Some(known) if known.0.progress() <= state.progress() => *known = (state, now),
                Some(_) => {}
                None if buried => {}
                None => {
                    legs.insert(key, (state, now));
                }
            }
        }
        if is_full {
            let legs = &mut self
                .publications
                .iter_mut()
                .find(|(other, _)| *other == number)
                .unwrap()
                .1
                .legs;
            let gone: Vec<Key> = legs
                .keys()
                .copied()
                .filter(|key| !dialogs.contains_key(key))
                .collect();
            legs.retain(|key, _| dialogs.contains_key(key));
            for key in gone {
                self.bury(key, Some(number));
            }
        }
    }

    fn initial(&mut self, publisher: u64, is_full: bool, dialogs: &Dialogs) {
        let number = self.tags as u64;
        let mut legs = BTreeMap::new();
        let is_left_over = |held: &Held| {
            let live = |(key, state): (&Key, &CallState)| {
                *state != CallState::Terminated && held.legs.contains_key(key)
            };
            held.publisher == publisher && dialogs.iter().any(live)
        };
        let left_over = self.publications.iter_mut().map(|(_, held)| held);
        for held in left_over.filter(|held| is_left_over(held)) {
            for (key, (state, stated)) in std::mem::take(&mut held.legs) {
                match legs.get(&key) {
                    Some((known, _)) if CallState::progress(*known) >= state.progress() => {}
                    _ => {
                        legs.insert(key, (state, stated));
                    }
                }
            }
        }
        if is_full && dialogs.is_empty() {
            let end = self.now + 32;
            let own = |(_, held): &&mut (u64, Held)| held.publisher == publisher;
            for (number, held) in self.publications.iter_mut().filter(own) {
                let legs = std::mem::take(&mut held.legs);
                self.tombstones
                    .extend(legs.into_keys().map(|key| Tombstone {
                        key,
                        end,
                        omitted_by: Some(*number),
                        expired: false,
                    }));
            }
        }
        let held = Held {
            tag: self.tags,
            publisher,
            end: self.now + EXPIRES,
            legs,
        };
        self.publications.push((number, held));
        self.say(number, is_full, dialogs);
    }

    /// The legs that a watcher is shown.
    fn shown(&self) -> Vec<(String, CallState)> {
        let mut furthest: BTreeMap<Key, CallState> = BTreeMap::new();
        for (key, (state, _)) in self.publications.iter().flat_map(|(_, held)| &held.legs) {
            let known = furthest.entry(*key).or_insert(*state);
            if known.progress() < state.progress() {
                *known = *state;
            }
        }
        let answered: Vec<u8> = furthest
            .iter()
            .filter(|(_, state)| **state == CallState::Confirmed)
            .map(|((call, _), _)| *call)
            .collect();
        furthest
            .retain(|(call, _), state| *state == CallState::Confirmed || !answered.contains(call));
        let mut shown: Vec<_> = furthest
            .into_iter()
            .map(|((call, tag), state)| (format!("{call} {tag}"), state))
            .collect();
        if self.call_state.is_some() {
            shown.push(("http ".into(), CallState::Confirmed));
        }
        shown.sort();
        shown
    }
}

impl Model {
    /// The order of the style `standard`, from the strongest.
    fn availability(&self) -> Availability {
        let shown = self.shown();
        let is = |wanted| shown.iter().any(|(_, state)| *state == wanted);
        if self.do_not_disturb {
            Availability::DoNotDisturb
        } else if self.is_forwarded {
            Availability::Forwarded(ForwardedTo::Number)
        } else if is(CallState::Early) || !shown.is_empty() && !is(CallState::Confirmed) {
            Availability::Ringing
        } else if !shown.is_empty() {
            Availability::Busy
        } else if !self.contacts.is_empty() {
            Availability::Available
        } else if self.has_registrar {
            Availability::Unreachable
        } else if self.is_known_by_calls {
            Availability::Available
        } else {
            Availability::Offline
        }
    }

    /// Returns whether there is state that does not expire.
    fn has_lasting(&self) -> bool {
        self.do_not_disturb || self.is_forwarded || self.has_registrar
    }
}

fn shown(composed: &Composed) -> Vec<(String, CallState)> {
    let name = |call: &CallDialog| {
        (
            format!("{} {}", call.call_id(), call.remote_tag()),
            call.state,
        )
    };
    let mut shown: Vec<_> = composed.calls.iter().map(|call| name(call)).collect();
    shown.sort();
    shown
}

fn document(is_full: bool, dialogs: &Dialogs) -> Document {
    let dialogs: Vec<_> = dialogs
        .iter()
        .map(|((call, tag), state)| {
            let dialog = leg(&call.to_string(), "l", &tag.to_string(), *state);
            CallDialog::from(CallParts {
                id: &format!("{call}-{tag}"),
                ..dialog.parts()
            })
        })
        .collect();
    match full(dialogs) {
        Document::DialogInfo {
            entity, dialogs, ..
        } => Document::DialogInfo {
            entity,
            full: is_full,
            dialogs,
        },
        other => other,
    }
}

fn any_dialogs() -> impl Strategy<Value = Dialogs> {
    let state = prop_oneof![
        Just(CallState::Trying),
        Just(CallState::Proceeding),
        Just(CallState::Early),
        Just(CallState::Confirmed),
        Just(CallState::Terminated),
    ];
    proptest::collection::btree_map((0u8..3, 0u8..2), state, 0..4)
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1u64..3, any::<bool>(), any_dialogs())
            .prop_map(|(publisher, full, dialogs)| Step::Initial { publisher, full, dialogs }),
        4 => (0usize..6, any::<bool>(), any_dialogs())
            .prop_map(|(which, full, dialogs)| Step::Modify { which, full, dialogs }),
        1 => (0usize..6).prop_map(|which| Step::Refresh { which }),
        1 => (0usize..6).prop_map(|which| Step::Remove { which }),
        1 => proptest::option::of(0u64..60).prop_map(|seconds| Step::CallState { seconds }),
        1 => any::<bool>().prop_map(Step::DoNotDisturb),
        1 => any::<bool>().prop_map(Step::Forward),
        2 => (0u8..3, prop_oneof![Just(0u64), 1u64..60])
            .prop_map(|(contact, seconds)| Step::Register(contact, seconds)),
        1 => Just(Step::Unregister),
        3 => prop_oneof![0u64..4, 5u64..40, 90u64..200].prop_map(|seconds| Step::Pass { seconds }),
    ]
}

/// Presentity, model, and the time.
struct Pair {
    start: Instant,
    model: Model,
    presentity: Presentity,
    limits: PublicationLimits,
}

impl Pair {
    fn now(&self) -> Instant {
        self.start + Duration::from_secs(self.model.now)
    }

    /// Applies the PUBLISH to the presentity. Returns whether the state changed.
    fn publish(
        &mut self,
        publisher: u64,
        condition: Condition,
        expires: u64,
        document: Option<Document>,
    ) -> Result<bool, PublishRefused> {
        self.model.tags += 1;
        let publication = Publication {
            package: Package::Dialog,
            condition,
            expires: Some(expires as u32),
            document: document.map(Ok),
            publisher,
            is_feeder: false,
            origin: None,
        };
        let fresh = EntityTag(self.model.tags);
        let now = self.now();
        let outcome = self
            .presentity
            .apply_publication(publication, fresh, &self.limits, now);
        self.model.is_known_by_calls |= outcome.is_ok();
        outcome.map(|(published, changed)| {
            assert_eq!(
                (published.entity_tag, published.expires.as_secs()),
                (fresh, expires)
            );
            changed
        })
    }

    fn say(&mut self, said: StateUpdate) -> bool {
        let now = self.now();
        self.presentity.apply(said, now)
    }

    /// Executes a step. Returns whether the presentity reported a change of its state.
    fn step(&mut self, step: Step) -> bool {
        let held = |model: &Model, which: usize| {
            let at = which.checked_rem(model.publications.len())?;
            model
                .publications
                .get(at)
                .map(|(number, held)| (at, *number, EntityTag(held.tag), held.publisher))
        };
        match step {
            Step::Initial {
                publisher,
                full,
                dialogs,
            } => {
                let changed = self
                    .publish(
                        publisher,
                        Condition::None,
                        EXPIRES,
                        Some(document(full, &dialogs)),
                    )
                    .unwrap();
                self.model.initial(publisher, full, &dialogs);
                changed
            }
            Step::Modify {
                which,
                full,
                dialogs,
            } => {
                let Some((at, number, tag, publisher)) = held(&self.model, which) else {
                    return false;
                };
                let condition = Condition::Matches(tag);
                let changed = self
                    .publish(
                        publisher,
                        condition,
                        EXPIRES,
                        Some(document(full, &dialogs)),
                    )
                    .unwrap();
                self.renew(at);
                self.model.say(number, full, &dialogs);
                changed
            }
            Step::Refresh { which } => {
                let Some((at, _, tag, publisher)) = held(&self.model, which) else {
                    return false;
                };
                let changed = self
                    .publish(publisher, Condition::Matches(tag), EXPIRES, None)
                    .unwrap();
                self.renew(at);
                let stale = self.publish(publisher, Condition::Matches(tag), EXPIRES, None);
                assert_eq!(stale, Err(PublishRefused::ConditionFailed));
                changed
            }
            Step::Remove { which } => {
                let Some((at, _, tag, publisher)) = held(&self.model, which) else {
                    return false;
                };
                let changed = self
                    .publish(publisher, Condition::Matches(tag), 0, None)
                    .unwrap();
                for key in self.model.publications.remove(at).1.legs.into_keys() {
                    self.model.bury(key, None);
                }
                changed
            }
            Step::CallState { seconds } => {
                let call = seconds.map(|_| Arc::new(leg("http", "-", "-", CallState::Confirmed)));
                self.model.is_known_by_calls = true;
                self.model.call_state = seconds
                    .filter(|seconds| *seconds > 0)
                    .map(|seconds| self.model.now + seconds);
                self.say(StateUpdate::Call {
                    source: CallSource::CallState,
                    call,
                    expires: seconds.map(Duration::from_secs),
                })
            }
            Step::DoNotDisturb(is_on) => {
                self.model.do_not_disturb = is_on;
                self.say(StateUpdate::DoNotDisturb(is_on))
            }
            Step::Forward(is_active) => {
                self.model.is_forwarded = is_active;
                let target = if is_active { "0123" } else { "" };
                self.say(StateUpdate::Forward(Forward {
                    kind: ForwardKind::Immediate,
                    is_active,
                    target: target.into(),
                    ring_count: None,
                }))
            }
            Step::Register(contact, seconds) => {
                self.model.has_registrar = true;
                self.model.contacts.remove(&contact);
                if seconds > 0 {
                    let end = self.model.now + seconds;
                    self.model.contacts.insert(contact, end);
                }
                let uri = format!("sip:{contact}@10.0.0.9").into();
                let expires = Duration::from_secs(seconds);
                self.say(StateUpdate::Registered(vec![(uri, expires)]))
            }
            Step::Unregister => {
                self.model.has_registrar = true;
                self.model.contacts.clear();
                self.say(StateUpdate::Unregistered)
            }
            Step::Pass { seconds } => {
                self.model.now += seconds;
                self.model.expire();
                let now = self.now();
                self.presentity.expire(now)
            }
        }
    }

    fn renew(&mut self, at: usize) {
        let held = &mut self.model.publications[at].1;
        held.tag = self.model.tags;
        held.end = self.model.now + EXPIRES;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_presentity_does_what_the_model_does(steps in proptest::collection::vec(any_step(), 1..30)) {
        let limits = PublicationLimits { publications_max: 100, calls_max: 100, ..LIMITS };
        let mut pair = Pair { start: Instant::now(), model: Model::default(), presentity: Presentity::default(), limits };
        for step in steps {
            let before = Arc::clone(pair.presentity.composed());
            let changed = pair.step(step.clone());
            let after = pair.presentity.composed();
            prop_assert_eq!(shown(after), pair.model.shown(), "after {:?} with {:?}", step, pair.model);
            prop_assert_eq!(changed, *before != **after, "{:?}", step);
            prop_assert!(pair.presentity.next_expiry().is_none_or(|next| pair.now() < next), "{:?}", step);
            prop_assert_eq!(after.availability, pair.model.availability(), "after {:?} with {:?}", step, pair.model);
            let is_open = !matches!(after.availability, Availability::DoNotDisturb | Availability::Unreachable | Availability::Offline);
            prop_assert_eq!(after.open, is_open);
            let uris: Vec<_> = pair.model.contacts.keys().map(|contact| format!("sip:{contact}@10.0.0.9")).collect();
            let mut registered: Vec<_> = after.extras.contacts.iter().map(|contact| contact.uri.to_string()).collect();
            registered.sort();
            prop_assert_eq!(registered, uris);
            prop_assert_eq!(after.is_unregistered, pair.model.has_registrar && pair.model.contacts.is_empty());
            let is_blank = pair.presentity.next_expiry().is_none() && !pair.model.has_lasting();
            prop_assert_eq!(pair.presentity.is_blank(), is_blank);
        }
        // Without further input everything expires, except features and the fact that a registrar
        // has reported.
        pair.step(Step::DoNotDisturb(false));
        pair.step(Step::Forward(false));
        for _ in 0..3 {
            pair.step(Step::Pass { seconds: 200 });
        }
        prop_assert_eq!(pair.presentity.is_blank(), !pair.model.has_registrar);
        let availability = pair.model.availability();
        let open = availability == Availability::Available;
        let left = Composed { availability, open, is_unregistered: pair.model.has_registrar, ..Composed::default() };
        prop_assert_eq!(&**pair.presentity.composed(), &left);
    }
}

/// A tag that may be missing.
fn any_tag() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("-"), Just("a"), Just("b")]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// With wild cards, reused ids and low limits: invariants that hold for any input.
    #[test]
    fn a_terminated_leg_never_comes_back(
        statements in proptest::collection::vec(
            (1u64..4, 0u8..3, any_tag(), any_tag(), 0usize..5, any::<bool>(), any::<bool>(), 0u64..12),
            1..40,
        )
    ) {
        const STATES: [CallState; 5] = [
            CallState::Trying, CallState::Proceeding, CallState::Early, CallState::Confirmed, CallState::Terminated,
        ];
        let mut now = Instant::now();
        let mut presentity = Presentity::default();
        let mut tags: BTreeMap<u64, EntityTag> = BTreeMap::new();
        let mut over: Vec<(String, String, String, Instant)> = Vec::new();
        for (at, (publisher, call, local, remote, state, is_full, is_initial, seconds)) in statements.into_iter().enumerate() {
            now += Duration::from_secs(seconds);
            let dialog = leg(&format!("call {call}"), local, remote, STATES[state]);
            let end = now + Duration::from_secs(32);
            let key = (dialog.call_id().to_owned(), dialog.local_tag().to_owned(), dialog.remote_tag().to_owned(), end);
            let is_end = dialog.state == CallState::Terminated;
            let fresh = EntityTag(at as u128);
            let condition = match tags.get(&publisher) {
                Some(tag) if !is_initial => Condition::Matches(*tag),
                _ => Condition::None,
            };
            let document = match full([dialog]) {
                Document::DialogInfo { entity, dialogs, .. } => Document::DialogInfo { entity, full: is_full, dialogs },
                other => other,
            };
            let publication = Publication {
                package: Package::Dialog, condition, expires: None, document: Some(Ok(document)), publisher, is_feeder: false,
                origin: None,
            };
            if presentity.apply_publication(publication, fresh, &LIMITS, now).is_ok() {
                tags.insert(publisher, fresh);
                over.extend(is_end.then_some(key));
            } else {
                tags.remove(&publisher);
            }
            let composed = presentity.composed();
            prop_assert!(composed.calls.len() <= LIMITS.calls_max);
            prop_assert!(presentity.explain(now).len() <= LIMITS.publications_max);
            for call in &composed.calls {
                let is_it = |(call_id, local, remote, end): &&(String, String, String, Instant)| {
                    **call_id == *call.call_id() && **local == *call.local_tag() && **remote == *call.remote_tag() && now < *end
                };
                prop_assert!(!over.iter().any(|gone| is_it(&gone)), "{:?}", call);
            }
        }
    }
}
