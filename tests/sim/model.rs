//! The naive reference model: for each presentity a list of statements with their source and
//! expiry, and the resulting lamp.
//!
//! No indexes, no sharding, no events: every query walks the lists. A statement counts from the
//! moment the owning shard accepted it (the run sees that moment, so nothing in flight has to be
//! guessed). An expired statement may count for a little longer, because timers have a resolution;
//! during that time both results are correct.
//!
//! The rules: trying lives 10 s, early 180 s (W:B1.17); a full document ends its own publication's
//! legs only (W:B3.14); older reports do not revive an ended leg for 32 s, and no leg returns to an
//! earlier state. [`composition`] computes the resulting state.

mod composition;
mod durable;
mod statements;
pub(crate) mod upstream;

pub(crate) use composition::{Expected, Style, Word};
pub(crate) use durable::Saved;
pub(crate) use statements::{Update, VOICE_MAIL};

use std::collections::HashMap;

use crate::documents::{Document, Leg, State};
use crate::model::composition::{Claim, LegKey, Nature, Says, compose};
use crate::model::durable::Tag;
use crate::model::upstream::Upstreams;
use crate::network::{ActorId, MILLISECOND, Micros, SECOND};
use crate::upstream::plan::{FIRST_USER, UpstreamPlan};

/// How long after its expiry a statement may still count (W:B1.9: 2 s).
pub(crate) const EXPIRY_SLACK: Micros = 3 * SECOND;
/// Ends of claims that may have passed or not, of which every combination is tried.
const UNSURE_MAX: usize = 12;
/// The grace of a publication after its expiry (W:B1.9).
const PUBLICATION_GRACE: Micros = 2 * SECOND;
/// How long an ended leg is remembered.
const TOMBSTONE: Micros = 32 * SECOND;

/// A source, and one of its handsets.
pub(crate) type Publisher = (ActorId, usize);

/// A PUBLISH of a source: the run remembers it until the owner accepted or refused it.
#[derive(Clone, Debug)]
pub(crate) struct Intent {
    pub(crate) presentity: usize,
    pub(crate) publisher: Publisher,
    /// SIP-If-Match.
    pub(crate) condition: Option<String>,
    pub(crate) expires: u64,
    pub(crate) document: Option<Document>,
}

#[derive(Clone, Debug)]
struct Publication {
    /// Number of the publication: it stays while the entity tag changes.
    number: u64,
    etag: Tag,
    /// The last PUBLISH to it, by Call-ID and CSeq.
    request: (String, u32),
    publisher: Publisher,
    until: Micros,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    /// Each leg with its own expiry.
    Legs(Vec<(Leg, Micros)>),
    Word(Word),
}

/// How a leg ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// A source reported it, or removed its publication: no report revives the leg.
    StateUpdate,
    /// A full document no longer lists it: its own publication may revive it, other publications
    /// may not.
    Omitted,
    /// An unanswered leg whose dialog ended, or whose publication expired: only an answered call
    /// revives it.
    RanOut,
}

/// An ended leg, remembered to recognise late reports about it.
#[derive(Clone, Debug)]
struct Tombstone {
    key: LegKey,
    /// The `id` of the dialog and its source, if all its unanswered legs ended with it.
    dialog: Option<(String, Publisher)>,
    ending: Ending,
    publication: u64,
    until: Micros,
}

/// The statements from a moment on.
#[derive(Clone, Debug)]
struct Snapshot {
    at: Micros,
    claims: Vec<Claim>,
    nature: Nature,
}

#[derive(Debug)]
struct Presentity {
    nature: Nature,
    /// Everything that counts.
    saved: Saved,
    /// The number of its last change, among those of all presentities.
    revision: u64,
    history: Vec<Snapshot>,
    /// States that may have been shown although a crash lost them, until the next statement about the
    /// presentity.
    lost: Vec<Expected>,
    lost_until: Micros,
}

fn key_of(leg: &Leg) -> LegKey {
    (
        leg.call_id.clone(),
        leg.local_tag.clone(),
        leg.remote_tag.clone(),
    )
}

/// A presentity that is configured as every other.
fn nature_of(style: Style) -> Nature {
    Nature {
        style,
        has_alternative: false,
        is_orbit: false,
    }
}

/// All presentities of a run.
#[derive(Debug)]
pub(crate) struct Model {
    style: Style,
    presentities: Vec<Presentity>,
    /// PUBLISH requests by Call-ID and CSeq, until the owner decides.
    pub(crate) intents: HashMap<(String, u32), Intent>,
    /// Accepted requests.
    taken: HashMap<(String, u32), Taken>,
    /// Refused requests, which another process may serve.
    refused: Vec<((String, u32), Intent)>,
    pub(crate) taken_count: u64,
    /// How many changes there were.
    revisions: u64,
    /// The users of PBXs.
    pub(crate) upstreams: Upstreams,
}

/// An accepted PUBLISH.
#[derive(Debug)]
struct Taken {
    intent: Intent,
    /// The entity tag it got.
    etag: Tag,
    /// None if it was granted before a crash, and some of it has passed.
    granted: Option<u64>,
    /// The number of the change; None if it may have changed nothing.
    revision: Option<u64>,
}

impl Model {
    /// A model of `presentities` in this style; the last `orbits` of them are park orbits. The users of
    /// PBXs are further presentities.
    pub(crate) fn new(
        presentities: usize,
        style: Style,
        orbits: usize,
        upstream: Option<&UpstreamPlan>,
    ) -> Self {
        let empty = |number: usize| {
            let mut presentity = Presentity {
                nature: Nature {
                    style,
                    has_alternative: false,
                    is_orbit: number + orbits >= presentities,
                },
                saved: Saved::default(),
                revision: 0,
                history: Vec::new(),
                lost: Vec::new(),
                lost_until: 0,
            };
            presentity.remember(0);
            presentity
        };
        Self {
            style,
            presentities: (0..presentities).map(empty).collect(),
            intents: HashMap::new(),
            taken: HashMap::new(),
            refused: Vec::new(),
            taken_count: 0,
            revisions: 0,
            upstreams: Upstreams::new(upstream, nature_of(style)),
        }
    }

    /// The owner accepted a PUBLISH; it may be a copy of the response. The error says why it should
    /// not have.
    pub(crate) fn publish_taken(
        &mut self,
        now: Micros,
        request: &(String, u32),
        etag: &str,
        granted: u64,
    ) -> Result<(), &'static str> {
        let Some(intent) = self.intents.remove(request) else {
            return match self.taken.get(request) {
                Some(known) if !known.etag.learn(etag) => Err("one PUBLISH was processed twice"),
                Some(known) if known.granted.is_some_and(|known| known != granted) => {
                    Err("another expiry than the model computed")
                }
                _ => Ok(()),
            };
        };
        self.take(now, request, intent, Tag::new(etag), granted)
    }

    /// The owner accepted a PUBLISH, and its 200 waits. Nothing to do if it was accepted before.
    pub(crate) fn publish_held(
        &mut self,
        now: Micros,
        request: &(String, u32),
    ) -> Result<(), &'static str> {
        let Some(intent) = self.intents.remove(request) else {
            return Ok(());
        };
        let granted = intent.expires;
        self.take(now, request, intent, Tag::default(), granted)
    }

    fn take(
        &mut self,
        now: Micros,
        request: &(String, u32),
        intent: Intent,
        etag: Tag,
        granted: u64,
    ) -> Result<(), &'static str> {
        self.taken_count += 1;
        self.revisions += 1;
        if granted > intent.expires {
            return Err("granted a longer expiry than requested");
        }
        let presentity = &mut self.presentities[intent.presentity];
        presentity.expire(now);
        if let Some(known) = presentity.published_before(request) {
            // A crash took its 200: the same again, and no change.
            if !etag.is("") && !known.learn(&etag.text()) {
                return Err("a repeated PUBLISH got another entity tag");
            }
            let taken = Taken {
                intent,
                etag: known,
                granted: None,
                revision: None,
            };
            self.taken.insert(request.clone(), taken);
            return Ok(());
        }
        let verdict = presentity.publish(now, &intent, &etag, granted);
        if intent.expires == 0 && intent.condition.is_some() {
            let removals = &mut presentity.saved.removals;
            removals.push((request.clone(), etag.clone()));
        }
        if intent.expires > 0
            && let Some(publication) = presentity.saved.publications.last_mut()
        {
            publication.request.clone_from(request);
        }
        if intent.document.is_some() {
            presentity.lost_until = presentity.lost_until.min(now);
        }
        presentity.revision = self.revisions;
        presentity.remember(now);
        // One that only reports the end of unknown calls changes nothing.
        let has_changed = intent.expires > 0 || intent.condition.is_some();
        let taken = Taken {
            revision: has_changed.then_some(self.revisions),
            intent,
            etag,
            granted: Some(granted),
        };
        self.taken.insert(request.clone(), taken);
        verdict
    }

    /// The owner refused a PUBLISH with this status.
    pub(crate) fn publish_refused(
        &mut self,
        now: Micros,
        request: &(String, u32),
        status: u16,
    ) -> Result<(), &'static str> {
        let Some(intent) = self.intents.remove(request) else {
            return Ok(());
        };
        if status == 503 {
            // A copy of the request may be served.
            self.intents.insert(request.clone(), intent);
            return Ok(());
        }
        self.refused.push((request.clone(), intent.clone()));
        let presentity = &self.presentities[intent.presentity];
        let live = presentity.saved.publications.iter().any(|publication| {
            let condition = intent.condition.as_ref();
            condition.is_some_and(|condition| publication.etag.is(condition))
                && publication.until > now + SECOND
        });
        match status {
            412 if live => Err("412 for an active publication"),
            412 if intent.condition.is_none() => Err("412 without a condition"),
            412 | 423 => Ok(()),
            _ => Err("a PUBLISH is refused without a reason"),
        }
    }

    /// The owner accepted a statement that was not made by PUBLISH. Returns the number of the change,
    /// if it changes what counts.
    pub(crate) fn update(&mut self, now: Micros, presentity: usize, update: Update) -> Option<u64> {
        self.revisions += 1;
        let presentity = &mut self.presentities[presentity];
        let is_word = !matches!(update, Update::Registered(..) | Update::Unregistered);
        let has_changed = presentity.saved.statements.apply(now, update);
        if is_word {
            presentity.lost_until = presentity.lost_until.min(now);
        }
        presentity.revision = self.revisions;
        presentity.remember(now);
        has_changed.then_some(self.revisions)
    }

    /// The owner learned whether there is an alternative number.
    pub(crate) fn alternative(&mut self, now: Micros, presentity: usize, has_one: bool) {
        let Some(known) = self.presentities.get_mut(presentity) else {
            let user = presentity.saturating_sub(FIRST_USER);
            return self.upstreams.alternative(now, user, has_one);
        };
        known.nature.has_alternative = has_one;
        known.remember(now);
    }

    /// The state of a presentity without statements.
    pub(crate) fn blank(&self) -> Expected {
        compose(std::iter::empty(), nature_of(self.style))
    }

    /// [`Self::allowed`] by the user part, also for users outside the run.
    pub(crate) fn allowed_of(&self, user: &str, from: Micros, to: Micros) -> Vec<Expected> {
        let number = user.parse::<usize>().ok();
        let number = number.and_then(|number| number.checked_sub(100));
        number.map_or_else(|| vec![self.blank()], |it| self.allowed(it, from, to))
    }

    /// Every state that a watcher may have been shown from `from` to `to`.
    pub(crate) fn allowed(&self, presentity: usize, from: Micros, to: Micros) -> Vec<Expected> {
        let Some(known) = self.presentities.get(presentity) else {
            let user = presentity.checked_sub(FIRST_USER);
            let allowed = user.and_then(|user| self.upstreams.allowed(user, from, to));
            return allowed.unwrap_or_else(|| vec![self.blank()]);
        };
        let history = &known.history;
        let mut allowed = Vec::new();
        for (at, snapshot) in history.iter().enumerate() {
            let end = history
                .get(at + 1)
                .map_or(Micros::MAX, |next| next.at)
                .min(to);
            let start = snapshot.at.max(from);
            if snapshot.at <= to && start <= end {
                snapshot.states(start, end, &mut allowed);
            }
        }
        if from <= known.lost_until {
            allowed.extend(known.lost.iter().cloned());
        }
        allowed
    }

    /// Drops history that is no longer needed.
    pub(crate) fn prune(&mut self, before: Micros) {
        self.upstreams.prune(before);
        for presentity in &mut self.presentities {
            let keep = presentity
                .history
                .iter()
                .rposition(|snapshot| snapshot.at <= before);
            presentity.history.drain(..keep.unwrap_or(0));
        }
    }
}

impl Presentity {
    /// The entity tag of the publication whose last PUBLISH was this one, or which it removed.
    fn published_before(&self, request: &(String, u32)) -> Option<Tag> {
        let mut removals = self.saved.removals.iter();
        if let Some((_, etag)) = removals.find(|(removal, _)| removal == request) {
            return Some(etag.clone());
        }
        let mut publications = self.saved.publications.iter();
        let publication = publications.find(|it| it.request == *request)?;
        Some(publication.etag.clone())
    }

    fn publish(
        &mut self,
        now: Micros,
        intent: &Intent,
        etag: &Tag,
        granted: u64,
    ) -> Result<(), &'static str> {
        self.expire(now);
        let until = now + granted * SECOND;
        let mut publication = match &intent.condition {
            Some(condition) => {
                let at = self
                    .saved
                    .publications
                    .iter()
                    .position(|known| known.etag.is(condition));
                let old = self
                    .saved
                    .publications
                    .remove(at.ok_or("a condition holds that should not")?);
                Publication {
                    etag: etag.clone(),
                    until,
                    ..old
                }
            }
            None => self.initial(now, intent, etag, until),
        };
        self.saved.statements.is_known_by_calls |= matches!(publication.content, Content::Legs(_));
        let number = publication.number;
        if intent.expires == 0 && intent.condition.is_some() {
            self.bury(publication, Ending::StateUpdate, now);
            return Ok(());
        }
        if intent.expires == 0 {
            // It only reports ended legs.
            if let Some(Document::Dialogs { legs, .. }) = &intent.document {
                let over = legs.iter().filter(|leg| leg.state == State::Terminated);
                for leg in over {
                    self.end(number, intent.publisher, leg, now);
                }
            }
            return Ok(());
        }
        self.saved.publications.push(publication.clone());
        match (&intent.document, &mut publication.content) {
            (Some(Document::Dialogs { full, legs }), _) => self.take_legs(number, *full, legs, now),
            (
                Some(Document::Presence {
                    open,
                    activity,
                    note,
                }),
                content,
            ) => {
                *content = Content::Word(Word {
                    open: Some(*open),
                    activity: *activity,
                    note: note.clone(),
                    since: now,
                });
                self.saved.publications.pop();
                self.saved.publications.push(publication);
            }
            // A refresh does not report on calls, so it does not prolong their legs.
            (None, _) => {}
        }
        Ok(())
    }

    /// Drops statements whose expiry and grace have passed.
    fn expire(&mut self, now: Micros) {
        self.saved
            .tombstones
            .retain(|tombstone| tombstone.until > now);
        let ends = |known: &Publication| known.until + PUBLICATION_GRACE;
        while let Some(at) = self
            .saved
            .publications
            .iter()
            .position(|known| ends(known) <= now)
        {
            let publication = self.saved.publications.remove(at);
            let end = ends(&publication);
            self.bury(publication, Ending::RanOut, end);
        }
        for publication in &mut self.saved.publications {
            if let Content::Legs(legs) = &mut publication.content {
                legs.retain(|(_, until)| *until > now);
            }
        }
    }

    fn bury(&mut self, publication: Publication, ending: Ending, at: Micros) {
        if let Content::Legs(legs) = publication.content {
            let live = legs.iter().filter(|(_, until)| *until > at);
            self.saved.tombstones.extend(live.map(|(leg, _)| Tombstone {
                key: key_of(leg),
                dialog: None,
                ending,
                publication: publication.number,
                until: at + TOMBSTONE,
            }));
        }
    }

    /// A PUBLISH without SIP-If-Match. If the source lost its entity tag, the new publication takes
    /// over the legs of the old one (W:B1.12); if its document has no call, they end.
    fn initial(&mut self, now: Micros, intent: &Intent, etag: &Tag, until: Micros) -> Publication {
        self.saved.numbers += 1;
        let mut content = Content::Word(Word::default());
        let mut inherited = Vec::new();
        if let Some(Document::Dialogs { full, legs }) = &intent.document {
            let live = legs.iter().filter(|leg| leg.state != State::Terminated);
            let named: Vec<LegKey> = live.map(key_of).collect();
            let until = now + TOMBSTONE;
            let own = |known: &&mut Publication| known.publisher == intent.publisher;
            for known in self.saved.publications.iter_mut().filter(own) {
                let Content::Legs(old) = &mut known.content else {
                    continue;
                };
                if legs.is_empty() && *full {
                    let omitted = std::mem::take(old).into_iter();
                    self.saved
                        .tombstones
                        .extend(omitted.map(|(leg, _)| Tombstone {
                            key: key_of(&leg),
                            dialog: None,
                            ending: Ending::Omitted,
                            publication: known.number,
                            until,
                        }));
                } else if old.iter().any(|(leg, _)| named.contains(&key_of(leg))) {
                    inherited.append(old);
                }
            }
            content = Content::Legs(inherited);
        } else {
            self.saved.publications.retain(|known| {
                matches!(known.content, Content::Legs(_)) || known.publisher != intent.publisher
            });
        }
        let publisher = intent.publisher;
        Publication {
            request: Default::default(),
            number: self.saved.numbers,
            etag: etag.clone(),
            publisher,
            until,
            content,
        }
    }

    /// A leg has ended. Its `id` and Call-ID name the dialog; a missing tag matches any.
    fn end(&mut self, number: u64, publisher: Publisher, leg: &Leg, now: Micros) {
        let (key, until) = (key_of(leg), now + TOMBSTONE);
        let mut ended = Vec::new();
        for publication in &mut self.saved.publications {
            let is_own = publication.publisher == publisher;
            let Content::Legs(known) = &mut publication.content else {
                continue;
            };
            known.retain(|(old, _)| {
                let is_over = key_of(old) == key || is_own && names(leg, old);
                if is_over {
                    ended.push((key_of(old), old.state, publication.number));
                }
                !is_over
            });
        }
        let tombstones = ended
            .into_iter()
            .map(|(old, state, publication)| Tombstone {
                dialog: None,
                ending: match state {
                    State::Confirmed => Ending::StateUpdate,
                    _ => Ending::RanOut,
                },
                key: old,
                publication,
                until,
            });
        self.saved.tombstones.extend(tombstones);
        self.saved.tombstones.push(Tombstone {
            key,
            dialog: Some((leg.id.clone(), publisher)),
            ending: Ending::StateUpdate,
            publication: number,
            until,
        });
    }

    /// Applies the legs of a document of a publication.
    fn take_legs(&mut self, number: u64, full: bool, legs: &[Leg], now: Micros) {
        let owner = self
            .saved
            .publications
            .iter()
            .find(|known| known.number == number);
        let Some(publisher) = owner.map(|known| known.publisher) else {
            return;
        };
        for leg in legs {
            let key = key_of(leg);
            if leg.state == State::Terminated {
                self.end(number, publisher, leg, now);
                continue;
            }
            let is_over = self
                .saved
                .tombstones
                .iter()
                .any(|tombstone| tombstone.covers(number, publisher, leg));
            let Some(known) = self.legs_of(number) else {
                return;
            };
            let until = now + time_to_live(leg.state);
            match known.iter_mut().find(|(old, _)| key_of(old) == key) {
                Some((old, _)) if progress(old.state) > progress(leg.state) => {}
                Some(old) => *old = (leg.clone(), until),
                None if is_over => {}
                None => known.push((leg.clone(), until)),
            }
        }
        if full {
            let named: Vec<LegKey> = legs.iter().map(key_of).collect();
            let Some(known) = self.legs_of(number) else {
                return;
            };
            let omitted: Vec<LegKey> = known
                .iter()
                .map(|(leg, _)| key_of(leg))
                .filter(|key| !named.contains(key))
                .collect();
            known.retain(|(leg, _)| named.contains(&key_of(leg)));
            let until = now + TOMBSTONE;
            self.saved
                .tombstones
                .extend(omitted.into_iter().map(|key| Tombstone {
                    key,
                    dialog: None,
                    ending: Ending::Omitted,
                    publication: number,
                    until,
                }));
        }
    }

    fn legs_of(&mut self, number: u64) -> Option<&mut Vec<(Leg, Micros)>> {
        let publication = self
            .saved
            .publications
            .iter_mut()
            .find(|known| known.number == number)?;
        match &mut publication.content {
            Content::Legs(legs) => Some(legs),
            Content::Word(_) => None,
        }
    }

    fn claims(&self) -> Vec<Claim> {
        let mut claims = Vec::new();
        // One publication of calls counts as much as several.
        let mut call_source = None;
        for publication in &self.saved.publications {
            match &publication.content {
                Content::Legs(legs) => {
                    call_source = call_source.max(Some(publication.until));
                    claims.extend(legs.iter().map(|(leg, until)| Claim {
                        until: publication.until.min(*until),
                        says: Says::Leg {
                            key: key_of(leg),
                            state: leg.state,
                            recipient: leg.recipient,
                            is_named: !leg.remote.is_empty(),
                            runs_out: *until,
                        },
                    }));
                }
                Content::Word(word) => claims.push(Claim {
                    until: publication.until,
                    says: Says::Declared(word.clone()),
                }),
            }
        }
        claims.extend(call_source.map(|until| Claim {
            until,
            says: Says::CallSource,
        }));
        claims.extend(self.saved.statements.claims());
        claims
    }

    fn remember(&mut self, now: Micros) {
        let (claims, nature) = (self.claims(), self.nature);
        self.history.push(Snapshot {
            at: now,
            claims,
            nature,
        });
    }
}

impl Tombstone {
    fn covers(&self, publication: u64, publisher: Publisher, leg: &Leg) -> bool {
        let is_unanswered = progress(leg.state) < progress(State::Confirmed);
        if let Some((id, owner)) = &self.dialog
            && is_unanswered
            && (id, owner) == (&leg.id, &publisher)
            && self.key.0 == leg.call_id
        {
            return true;
        }
        let applies = match self.ending {
            Ending::StateUpdate => true,
            Ending::Omitted => self.publication != publication,
            Ending::RanOut => is_unanswered,
        };
        applies && self.key == key_of(leg)
    }
}

/// Returns whether a report names the dialog of a leg: the same `id` and Call-ID, and no
/// contradicting tag.
fn names(report: &Leg, leg: &Leg) -> bool {
    let fits = |one: &str, other: &str| one.is_empty() || other.is_empty() || one == other;
    report.id == leg.id
        && report.call_id == leg.call_id
        && fits(&report.local_tag, &leg.local_tag)
        && fits(&report.remote_tag, &leg.remote_tag)
}

fn time_to_live(state: State) -> Micros {
    match state {
        State::Trying | State::Proceeding => 10 * SECOND,
        State::Early => 180 * SECOND,
        State::Confirmed | State::Terminated => u64::from(u32::MAX) * SECOND,
    }
}

/// The progress of a leg, which never goes back (RFC 4235 §3.7.1).
fn progress(state: State) -> u8 {
    match state {
        State::Trying => 0,
        State::Proceeding => 1,
        State::Early => 2,
        State::Confirmed => 3,
        State::Terminated => 4,
    }
}

impl Snapshot {
    /// Every state that the statements can lead to between two times: a statement that expires in
    /// between, or did shortly before, may count or not. Records tell times in milliseconds.
    fn states(&self, start: Micros, end: Micros, states: &mut Vec<Expected>) {
        let live = self
            .claims
            .iter()
            .filter(|claim| claim.until + EXPIRY_SLACK > start);
        let sure_from = end + MILLISECOND;
        let (sure, mut unsure): (Vec<&Claim>, Vec<&Claim>) =
            live.partition(|claim| claim.until > sure_from);
        // The calls of a publication end with it, all at once, but for those that run out before.
        let ends = |claim: &Claim| match claim.says {
            Says::Leg { runs_out, .. } => (claim.until, runs_out.min(sure_from)),
            _ => (claim.until, sure_from),
        };
        unsure.sort_by_key(|claim| ends(claim));
        let groups: Vec<_> = unsure
            .chunk_by(|one, next| ends(one) == ends(next))
            .collect();
        assert!(groups.len() <= UNSURE_MAX, "too many claims end at once");
        for subset in 0..1u32 << groups.len() {
            let chosen = groups
                .iter()
                .enumerate()
                .filter(|(at, _)| subset >> at & 1 == 1)
                .flat_map(|(_, group)| group.iter());
            let claims = sure.iter().chain(chosen).copied();
            let state = compose(claims, self.nature);
            if !states.contains(&state) {
                states.push(state);
            }
        }
    }
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
