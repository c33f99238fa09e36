//! Publishing: what a PUBLISH does to the publications of a presentity (RFC 3903 §6).

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::presence::call::{CallState, Owner};
use crate::presence::composition::Declaration;
use crate::presence::document::{Document, DocumentFault};
use crate::presence::event::Package;
use crate::presence::origin::Origin;
use crate::presence::presentity::origins::Contributed;
use crate::presence::presentity::{
    Condition, GRACE, Presentity, Publication, PublicationLimits, PublishRefused, Published,
};
use crate::presence::registration::ContactEnd;
use crate::presence::source::{EntityTag, Messages};
use crate::presence::wall_clock;

/// A stored publication: the event state of RFC 3903 §3.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StoredPublication {
    pub(super) number: u64,
    pub(super) package: Package,
    pub(super) entity_tag: EntityTag,
    pub(super) publisher: u64,
    /// Whether its publisher is a PBX.
    pub(super) is_feeder: bool,
    /// When its last body was received.
    #[serde(with = "wall_clock::instant")]
    pub(super) since: Instant,
    /// When the granted expiry ends, not counting the grace period.
    #[serde(with = "wall_clock::instant")]
    pub(super) until: Instant,
    pub(super) holding: Holding,
}

/// The content of a publication, or where it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Holding {
    /// Legs, which are stored in the call set.
    Legs,
    /// The declaration of a client.
    Declaration(Declaration),
    /// A mailbox.
    Messages(Messages),
    /// Contacts, which are stored among the registrations.
    Contacts,
}

impl StoredPublication {
    pub(super) fn owner(&self) -> Owner {
        Owner {
            publication: self.number,
            publisher: self.publisher,
            is_feeder: self.is_feeder,
        }
    }

    /// When it is removed.
    pub(super) fn end(&self) -> Instant {
        self.until + GRACE
    }

    /// Whether it reports calls, even if there is none.
    pub(super) fn reports_calls(&self) -> bool {
        self.package == Package::Dialog && matches!(self.holding, Holding::Legs)
    }

    /// Its declaration, if it has one.
    pub(super) fn declaration(&self) -> Option<&Declaration> {
        match &self.holding {
            Holding::Declaration(declaration) => Some(declaration),
            Holding::Legs | Holding::Messages(_) | Holding::Contacts => None,
        }
    }

    /// Its mailbox, if it is of the message-summary package.
    pub(super) fn messages(&self) -> Option<&Messages> {
        match &self.holding {
            Holding::Messages(messages) => Some(messages),
            Holding::Legs | Holding::Declaration(_) | Holding::Contacts => None,
        }
    }
}

/// How many removals of publications of one presentity are remembered; the latest are kept.
const REMOVALS_MAX: usize = 8;
/// How long a removal is remembered: for so long its PUBLISH may be repeated (Timer F).
const REMOVAL_REPEATED: Duration = Duration::from_secs(32);

/// A publication that was removed, so that the repeated PUBLISH gets a 200 after a restart, too.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Removal {
    package: Package,
    publisher: u64,
    /// The entity tag of the 200.
    entity_tag: EntityTag,
    #[serde(with = "wall_clock::instant")]
    until: Instant,
}

/// The effect of a PUBLISH (RFC 3903 §4.1).
enum Operation {
    /// Nothing is stored: an initial publication that expires at once (RFC 3903 §4.1). It can still
    /// end calls.
    ApplyOnce(Document),
    /// A new publication.
    Initial(Document),
    /// Publication `index` gets a new body.
    Modify(usize, Document),
    /// Publication `index` gets a new expiry.
    Refresh(usize),
    /// Publication `index` is removed.
    Remove(usize),
}

impl Presentity {
    /// Applies a PUBLISH (RFC 3903 §6). `fresh` becomes the entity tag on success. Returns the
    /// content of the 200, and whether the composed state changed.
    ///
    /// A refused PUBLISH stores nothing. (Expired contributions are dropped all the same; their
    /// change is reported by [`Self::expire`], which is due then.)
    ///
    /// # Errors
    /// See [`PublishRefused`]; its variants are checked in order.
    pub fn apply_publication(
        &mut self,
        publication: Publication,
        fresh: EntityTag,
        limits: &PublicationLimits,
        now: Instant,
    ) -> Result<(Published, bool), PublishRefused> {
        self.drop_expired(now);
        let index = self.matching(&publication)?;
        let until = index.map(|index| self.publications[index].until);
        let expires = grant(&publication, until, limits, now)?;
        let operation = operation(index, publication.document, publication.package, expires)?;
        let published = Published {
            entity_tag: fresh,
            expires,
        };
        let renewed = StoredPublication {
            number: 0,
            package: publication.package,
            entity_tag: fresh,
            publisher: publication.publisher,
            is_feeder: publication.is_feeder,
            since: now,
            until: now + expires,
            holding: Holding::Legs,
        };
        match operation {
            Operation::ApplyOnce(document) => self.apply_once(renewed, document, limits, now),
            Operation::Initial(document) => {
                let number = self.store(renewed, document, limits, now)?;
                self.note_publication(number, publication.origin);
            }
            Operation::Modify(index, document) => {
                self.note_publication(self.publications[index].number, publication.origin);
                self.modify(index, renewed, document, limits, now);
            }
            Operation::Refresh(index) => self.refresh(index, &renewed),
            Operation::Remove(index) => {
                let removed = self.publications.remove(index);
                self.note_publication(removed.number, None);
                self.remember_removal(&renewed, now);
                self.calls.remove(removed.number, now);
                if let Some(statements) = self.statements.made_mut() {
                    let registrations = &mut statements.registrations;
                    registrations.abandon(removed.number, ContactEnd::Deactivated, now);
                }
            }
        }
        // Legs are not among the extras and cannot change them.
        self.extras_are_stale |= publication.package != Package::Dialog;
        if publication.package == Package::Dialog {
            self.know_by_calls(publication.origin);
        }
        Ok((published, self.recompose()))
    }

    /// The content of the 200 to a PUBLISH that was applied already; None if it is new. `fresh`: the
    /// entity tag that it would get.
    #[must_use]
    pub fn published_before(
        &self,
        publication: &Publication,
        fresh: EntityTag,
        now: Instant,
    ) -> Option<Published> {
        let is_of_it = |entity_tag: EntityTag, publisher, package| {
            entity_tag.is_for_request_of(fresh)
                && publisher == publication.publisher
                && package == publication.package
        };
        let mut removals = self.removals.iter();
        let removed =
            removals.find(|it| it.until > now && is_of_it(it.entity_tag, it.publisher, it.package));
        if let Some(removal) = removed {
            return Some(Published {
                entity_tag: removal.entity_tag,
                expires: Duration::ZERO,
            });
        }
        let mut stored = self.publications.iter();
        let stored = stored
            .find(|it| it.end() > now && is_of_it(it.entity_tag, it.publisher, it.package))?;
        Some(Published {
            entity_tag: stored.entity_tag,
            expires: stored.until.saturating_duration_since(now),
        })
    }

    fn remember_removal(&mut self, removed: &StoredPublication, now: Instant) {
        self.removals.retain(|removal| removal.until > now);
        if self.removals.len() >= REMOVALS_MAX {
            self.removals.remove(0);
        }
        self.removals.push(Removal {
            package: removed.package,
            publisher: removed.publisher,
            entity_tag: removed.entity_tag,
            until: now + REMOVAL_REPEATED,
        });
    }

    /// Until when the PUBLISH that removed a publication may be repeated.
    #[must_use]
    pub fn removals_repeated_until(&self) -> Option<Instant> {
        self.removals.iter().map(|removal| removal.until).max()
    }

    /// The publication that the condition of a PUBLISH names (RFC 3903 §6).
    fn matching(&self, publication: &Publication) -> Result<Option<usize>, PublishRefused> {
        let is_named = |entity: &StoredPublication, entity_tag| {
            let is_published = entity.entity_tag != EntityTag::UNPUBLISHED;
            is_published && entity.entity_tag == entity_tag && entity.package == publication.package
        };
        match publication.condition {
            Condition::None => Ok(None),
            Condition::Foreign => Err(PublishRefused::ConditionFailed),
            Condition::Matches(entity_tag) => match self
                .publications
                .iter()
                .position(|entity| is_named(entity, entity_tag))
            {
                Some(index) => Ok(Some(index)),
                None => Err(PublishRefused::ConditionFailed),
            },
        }
    }

    pub(super) fn note_publication(&mut self, number: u64, origin: Option<Origin>) {
        self.origins.note(Contributed::Publication(number), origin);
    }

    /// Stores a new publication, which takes over the content of those that it supersedes. Of the
    /// superseded ones, dialog publications are kept, with their entity tags: an initial PUBLISH
    /// creates event state of its own (RFC 3903 §4), and if PUBLISHes crossed, the publisher still
    /// refreshes them. They are removed first if there is no room. Returns its number.
    fn store(
        &mut self,
        mut entity: StoredPublication,
        document: Document,
        limits: &PublicationLimits,
        now: Instant,
    ) -> Result<u64, PublishRefused> {
        let is_full = self.publications.len() >= limits.publications_max;
        let superseded: Vec<u64> = self
            .publications
            .iter()
            .filter(|old| self.is_superseded(old, &entity, &document))
            .map(|old| old.number)
            .collect();
        let goes = |old: &StoredPublication| {
            superseded.contains(&old.number) && (is_full || old.package != Package::Dialog)
        };
        let kept = self.publications.iter().filter(|old| !goes(old)).count();
        if kept >= limits.publications_max && !self.forget_idle(&superseded) {
            return Err(PublishRefused::TooMany);
        }
        self.number(&mut entity);
        for &number in &superseded {
            self.calls.hand_over(number, entity.owner());
            if let Some(statements) = self.statements.made_mut() {
                let registrations = &mut statements.registrations;
                registrations.hand_over(number, entity.number);
            }
        }
        self.publications.retain(|old| !goes(old));
        self.end_calls_of_others(&entity, &document, now);
        self.apply_document(&mut entity, document, limits, now);
        let number = entity.number;
        self.publications.push(entity);
        self.origins.keep(&self.publications, self.statements.get());
        Ok(number)
    }

    /// Applies an initial publication that is not stored: it can only end calls.
    fn apply_once(
        &mut self,
        mut entity: StoredPublication,
        mut document: Document,
        limits: &PublicationLimits,
        now: Instant,
    ) {
        self.number(&mut entity);
        self.end_calls_of_others(&entity, &document, now);
        if let Document::DialogInfo { dialogs, .. } = &mut document {
            dialogs.retain(|dialog| dialog.state == CallState::Terminated);
            self.apply_document(&mut entity, document, limits, now);
        }
    }

    fn number(&mut self, entity: &mut StoredPublication) {
        entity.number = self.publication_next;
        self.publication_next += 1;
    }

    /// A full document without a dialog, in an initial PUBLISH, says that its publisher knows of no
    /// call, so the calls of its other publications are over too.
    fn end_calls_of_others(
        &mut self,
        entity: &StoredPublication,
        document: &Document,
        now: Instant,
    ) {
        if let Document::DialogInfo { full, dialogs, .. } = document
            && *full
            && dialogs.is_empty()
        {
            self.calls.end_calls_of_others(entity.owner(), now);
        }
    }

    /// Returns whether a new publication supersedes `old`, because its publisher lost the entity
    /// tag of `old` (W:B1.12). A feeder that sends one publication per call is not affected: those
    /// stay separate.
    fn is_superseded(
        &self,
        old: &StoredPublication,
        new: &StoredPublication,
        document: &Document,
    ) -> bool {
        let is_same_source = old.publisher == new.publisher && old.package == new.package;
        is_same_source
            && match document {
                Document::Pidf { .. }
                | Document::Messages { .. }
                | Document::Registrations { .. } => true,
                Document::DialogInfo { dialogs, .. } => {
                    self.calls.overlaps(old.number, new.owner(), dialogs)
                }
            }
    }

    /// Makes room by removing the oldest dialog publication without a call, except those in `but`;
    /// its next refresh gets 412 and its publisher publishes again. A feeder that ends every call
    /// with an initial PUBLISH must not lock itself out. Returns whether there is room now.
    fn forget_idle(&mut self, but: &[u64]) -> bool {
        let is_idle = |entity: &StoredPublication| {
            entity.package == Package::Dialog
                && !but.contains(&entity.number)
                && self.upstreams.of(entity.number).is_none()
                && !self.calls.has_legs(entity.number)
        };
        let Some(index) = self.publications.iter().position(is_idle) else {
            return false;
        };
        self.publications.remove(index);
        true
    }

    fn modify(
        &mut self,
        index: usize,
        renewed: StoredPublication,
        document: Document,
        limits: &PublicationLimits,
        now: Instant,
    ) {
        let old = &self.publications[index];
        let mut entity = StoredPublication {
            number: old.number,
            publisher: old.publisher,
            ..renewed
        };
        self.apply_document(&mut entity, document, limits, now);
        self.publications[index] = entity;
    }

    fn refresh(&mut self, index: usize, renewed: &StoredPublication) {
        let entity = &mut self.publications[index];
        entity.entity_tag = renewed.entity_tag;
        entity.until = renewed.until;
    }

    /// Applies the body of a publication.
    pub(super) fn apply_document(
        &mut self,
        entity: &mut StoredPublication,
        document: Document,
        limits: &PublicationLimits,
        now: Instant,
    ) {
        match document {
            Document::DialogInfo { full, dialogs, .. } => {
                self.calls
                    .apply(entity.owner(), dialogs, full, limits.calls_max, now);
            }
            Document::Pidf { statement, .. } => {
                entity.holding = Holding::Declaration(Declaration::new(statement, now));
            }
            Document::Messages { messages } => entity.holding = Holding::Messages(messages),
            Document::Registrations { full, contacts, .. } => {
                entity.holding = Holding::Contacts;
                let registrations = &mut self.statements.make().registrations;
                registrations.publish(entity.number, contacts, full, now);
            }
        }
    }
}

/// The expiry granted (W:B1.5); `until` is the current end of the publication. A PUBLISH that ends
/// calls or shortens a publication is never too brief: refusing it would leave a lamp on.
fn grant(
    publication: &Publication,
    until: Option<Instant>,
    limits: &PublicationLimits,
    now: Instant,
) -> Result<Duration, PublishRefused> {
    let Some(seconds) = publication.expires else {
        return Ok(limits.expires_default.min(limits.expires_max));
    };
    let requested = Duration::from_secs(seconds.into());
    let is_brief = !requested.is_zero() && requested < limits.expires_min;
    let shortens = until.is_some_and(|until| now + requested <= until);
    if is_brief && !shortens && !publication.ends_calls() {
        return Err(PublishRefused::TooBrief(limits.expires_min));
    }
    Ok(requested.min(limits.expires_max))
}

/// The effect of a PUBLISH on publication `index`, if it names one (RFC 3903 §4.1).
fn operation(
    index: Option<usize>,
    document: Option<Result<Document, DocumentFault>>,
    package: Package,
    expires: Duration,
) -> Result<Operation, PublishRefused> {
    if let Some(index) = index
        && expires.is_zero()
    {
        return Ok(Operation::Remove(index));
    }
    let document = document.transpose().map_err(PublishRefused::Document)?;
    if document
        .as_ref()
        .is_some_and(|document| document.package() != package)
    {
        return Err(PublishRefused::Document(DocumentFault::UnsupportedType));
    }
    match (index, document) {
        (Some(index), Some(document)) => Ok(Operation::Modify(index, document)),
        (Some(index), None) => Ok(Operation::Refresh(index)),
        (None, Some(document)) if expires.is_zero() => Ok(Operation::ApplyOnce(document)),
        (None, Some(document)) => Ok(Operation::Initial(document)),
        (None, None) => Err(PublishRefused::NoBody),
    }
}
