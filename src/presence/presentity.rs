//! A presentity: every contribution to it, in one order, and the state they add up to.
//!
//! Invariants: a terminated leg is never overtaken by an older `early` (tombstones, 32 s); a forked
//! loser never clears the winner; a contribution past its expiry is gone; a full document ends only
//! its own publication's legs (W:B3.14).
//!
//! The state is changed by the `apply_*` and [`Presentity::expire`] calls; each first drops what is
//! past its time, and returns whether the composed state changed. Nothing here depends on the order
//! of a hash map: the same calls give the same state.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use crate::presence::call::CallDialog;
use crate::presence::call::CallState;
use crate::presence::call_set::CallSet;
use crate::presence::composition;
use crate::presence::composition::Composed;
use crate::presence::composition::Contributor;
use crate::presence::composition::Declaration;
use crate::presence::composition::Verdict;
use crate::presence::contribution::EntityTag;
use crate::presence::contribution::Explained;
use crate::presence::document::Document;
use crate::presence::document::DocumentFault;
use crate::presence::publication::Condition;
use crate::presence::publication::Publication;
use crate::presence::publication::PublicationLimits;
use crate::presence::publication::PublishRefused;
use crate::presence::publication::Published;
use crate::presence::subscription::Package;
use crate::presence::tombstone::Owner;

mod explain;

/// A publication outlives its expiry by this, because a refresh may be under way (W:B1.9).
const GRACE: Duration = Duration::from_secs(2);

/// One watched party. Owned by one shard.
#[derive(Debug, Default)]
pub struct Presentity {
    /// What watchers are told.
    composed: Arc<Composed>,
    /// The state before, kept for its room: as soon as no watcher's shard holds it any more, the
    /// next state is composed in it. So a lamp that goes on and off allocates nothing.
    spare: Arc<Composed>,
    verdict: Verdict,
    /// Since when something was dropped without being composed.
    stale_since: Option<Instant>,

    // Contributions.
    publications: Vec<Entity>,
    call_state: Option<CallStatement>,
    calls: CallSet,
    /// The number of the next publication. An entity tag changes with every PUBLISH, this does not.
    publication_next: u64,
}

/// A publication that is held: the event state of RFC 3903 §3.
#[derive(Debug)]
struct Entity {
    number: u64,
    package: Package,
    entity_tag: EntityTag,
    publisher: u64,
    /// When its last body came.
    since: Instant,
    /// When what was granted ends, without the grace.
    until: Instant,
    /// What it declares, when the package is presence; a dialog publication's legs are in the call
    /// set.
    declaration: Option<Declaration>,
}

/// What `call_state.htm` said last.
#[derive(Debug)]
struct CallStatement {
    call: Arc<CallDialog>,
    since: Instant,
    until: Instant,
}

/// What a PUBLISH does (RFC 3903 §4.1).
enum Operation {
    /// Nothing is stored: an initial one that expires at once (W:B1.7).
    Nothing,
    /// A new publication.
    Initial(Document),
    /// Publication `index` says something else.
    Modify(usize, Document),
    /// Publication `index` lives longer.
    Refresh(usize),
    /// Publication `index` is withdrawn.
    Remove(usize),
}

impl Presentity {
    /// The state all sources add up to.
    #[must_use]
    pub fn composed(&self) -> &Arc<Composed> {
        &self.composed
    }

    /// A PUBLISH (RFC 3903 §6; W:B1). `fresh` becomes the entity tag on success. Answers what goes
    /// into the 200, and whether the composed state changed.
    ///
    /// A refused one changes nothing. (What was past its time when it came is left to
    /// [`Self::expire`] to tell of, which is then due.)
    ///
    /// # Errors
    /// See [`PublishRefused`]; checked in its order.
    pub fn apply_publication(
        &mut self,
        publication: Publication,
        fresh: EntityTag,
        limits: &PublicationLimits,
        now: Instant,
    ) -> Result<(Published, bool), PublishRefused> {
        self.drop_expired(now);
        let index = self.matching(&publication)?;
        let expires = grant(publication.expires, limits)?;
        let operation = operation(index, publication.document, publication.package, expires)?;
        let published = Published {
            entity_tag: fresh,
            expires,
        };
        let renewed = Entity {
            number: 0,
            package: publication.package,
            entity_tag: fresh,
            publisher: publication.publisher,
            since: now,
            until: now + expires,
            declaration: None,
        };
        match operation {
            Operation::Nothing => {}
            Operation::Initial(document) => self.store(renewed, document, limits, now)?,
            Operation::Modify(index, document) => {
                self.modify(index, renewed, document, limits, now)
            }
            Operation::Refresh(index) => self.refresh(index, &renewed),
            Operation::Remove(index) => {
                let removed = self.publications.remove(index);
                self.calls.remove(removed.number, now);
            }
        }
        Ok((published, self.recompose()))
    }

    /// `call_state.htm` (W:D1): the call the presentity is in until `until`, or none. The same call
    /// again only moves `until`.
    ///
    /// Watchers see a digest of the call's `id`; where the number is private, the `id` must not be
    /// made of it.
    pub fn apply_call_state(
        &mut self,
        call: Option<Arc<CallDialog>>,
        now: Instant,
        until: Instant,
    ) -> bool {
        self.drop_expired(now);
        let call = call.filter(|call| call.state != CallState::Terminated && now < until);
        self.call_state = call.map(|call| {
            let until = call
                .state
                .time_to_live_max()
                .map_or(until, |life| until.min(now + life));
            match self.call_state.take() {
                Some(same) if same.call.says_the_same(&call) => CallStatement { until, ..same },
                _ => CallStatement {
                    call,
                    since: now,
                    until,
                },
            }
        });
        self.recompose()
    }

    /// Drops what is past its time. Returns whether the composed state changed.
    pub fn expire(&mut self, now: Instant) -> bool {
        self.drop_expired(now);
        self.stale_since.is_some() && self.recompose()
    }

    /// When [`Self::expire`] has something to do next. Tombstones count: they too are forgotten in
    /// time.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Instant> {
        let publications = self.publications.iter().map(Entity::end);
        let call_state = self.call_state.iter().map(|statement| statement.until);
        publications
            .chain(call_state)
            .chain(self.calls.next_expiry())
            .chain(self.stale_since)
            .min()
    }

    /// Whether nothing is known any more, so that the presentity can be forgotten when nobody
    /// watches. While a tombstone stands, something is known.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.publications.is_empty() && self.call_state.is_none() && self.calls.is_empty()
    }

    /// Every contribution, the deciding one marked, for `lamplighter why`.
    #[must_use]
    pub fn explain(&self, now: Instant) -> Vec<Explained> {
        let publications = self
            .publications
            .iter()
            .map(|entity| entity.explain(&self.calls, &self.verdict));
        let call_state = self
            .call_state
            .iter()
            .map(|statement| statement.explain(&self.verdict));
        publications
            .chain(call_state)
            .filter(|explained| now < explained.until + GRACE)
            .collect()
    }

    /// What decided, in words: `busy: a call is confirmed`.
    #[must_use]
    pub fn verdict(&self) -> String {
        self.verdict.to_string()
    }

    /// The publication that the condition names (W:B1.4).
    fn matching(&self, publication: &Publication) -> Result<Option<usize>, PublishRefused> {
        let is_it = |entity: &Entity, entity_tag| {
            entity.entity_tag == entity_tag && entity.package == publication.package
        };
        match publication.condition {
            Condition::None => Ok(None),
            Condition::Foreign => Err(PublishRefused::ConditionFailed),
            Condition::Matches(entity_tag) => match self
                .publications
                .iter()
                .position(|entity| is_it(entity, entity_tag))
            {
                Some(index) => Ok(Some(index)),
                None => Err(PublishRefused::ConditionFailed),
            },
        }
    }

    /// Stores a new publication in place of those it stands for.
    fn store(
        &mut self,
        mut entity: Entity,
        document: Document,
        limits: &PublicationLimits,
        now: Instant,
    ) -> Result<(), PublishRefused> {
        let replaced = |old: &Entity| self.is_replaced(old, &entity, &document);
        let kept = self
            .publications
            .iter()
            .filter(|old| !replaced(old))
            .count();
        let replaced: Vec<u64> = self
            .publications
            .iter()
            .filter(|old| replaced(old))
            .map(|old| old.number)
            .collect();
        if kept >= limits.publications_max && !self.forget_idle(&replaced) {
            return Err(PublishRefused::TooMany);
        }
        entity.number = self.publication_next;
        self.publication_next += 1;
        for &number in &replaced {
            self.calls.hand_over(number, entity.owner());
        }
        self.publications
            .retain(|old| !replaced.contains(&old.number));
        self.say(&mut entity, document, limits, now);
        self.publications.push(entity);
        Ok(())
    }

    /// Whether `old` is what the publisher of a new publication left behind when it lost its entity
    /// tag (W:B1.12). A feeder that publishes each call of a presentity by itself keeps them apart.
    fn is_replaced(&self, old: &Entity, new: &Entity, document: &Document) -> bool {
        let is_same_source = old.publisher == new.publisher && old.package == new.package;
        is_same_source
            && match document {
                Document::Pidf { .. }
                | Document::Messages { .. }
                | Document::Registrations { .. } => true,
                Document::DialogInfo { dialogs, .. } => {
                    self.calls.overlaps(old.number, new.publisher, dialogs)
                }
            }
    }

    /// Makes room by forgetting the oldest dialog publication that reports no call; its publisher
    /// will be told 412 and publish anew. A feeder that ends every call with an initial PUBLISH
    /// must not shut itself out.
    fn forget_idle(&mut self, but: &[u64]) -> bool {
        let is_idle = |entity: &Entity| {
            entity.package == Package::Dialog
                && !but.contains(&entity.number)
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
        renewed: Entity,
        document: Document,
        limits: &PublicationLimits,
        now: Instant,
    ) {
        let Some(old) = self.publications.get(index) else {
            return;
        };
        let mut entity = Entity {
            number: old.number,
            publisher: old.publisher,
            ..renewed
        };
        self.say(&mut entity, document, limits, now);
        if let Some(slot) = self.publications.get_mut(index) {
            *slot = entity;
        }
    }

    fn refresh(&mut self, index: usize, renewed: &Entity) {
        if let Some(entity) = self.publications.get_mut(index) {
            entity.entity_tag = renewed.entity_tag;
            entity.until = renewed.until;
        }
    }

    /// Takes what the body says.
    fn say(
        &mut self,
        entity: &mut Entity,
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
                entity.declaration = Some(Declaration::new(statement, now))
            }
            Document::Messages { .. } | Document::Registrations { .. } => {}
        }
    }

    fn drop_expired(&mut self, now: Instant) {
        if self.next_expiry().is_none_or(|next| now < next) {
            return;
        }
        let calls = &mut self.calls;
        // Legs first: one that nobody restated is no leg its publication could leave a tombstone
        // of.
        calls.expire(now);
        self.publications.retain(|entity| {
            let lives = now < entity.end();
            if !lives {
                calls.abandon(entity.number, now);
            }
            lives
        });
        if self
            .call_state
            .as_ref()
            .is_some_and(|statement| statement.until <= now)
        {
            self.call_state = None;
        }
        self.stale_since.get_or_insert(now);
    }

    fn recompose(&mut self) -> bool {
        let by_call_state = self
            .call_state
            .iter()
            .map(|statement| (Contributor::CallState, &statement.call));
        let by_publication = self
            .calls
            .legs()
            .iter()
            .map(|leg| (Contributor::Publication(leg.owner.publication), &leg.call));
        let declarations = self.publications.iter().filter_map(|entity| {
            entity
                .declaration
                .as_ref()
                .map(|said| (Contributor::Publication(entity.number), said))
        });
        self.verdict = composition::compose(
            by_call_state.chain(by_publication),
            declarations,
            &self.composed,
            Arc::make_mut(&mut self.spare),
        );
        self.stale_since = None;
        let changed = self.spare != self.composed;
        if changed {
            std::mem::swap(&mut self.spare, &mut self.composed);
        }
        changed
    }
}

impl Entity {
    fn owner(&self) -> Owner {
        Owner {
            publication: self.number,
            publisher: self.publisher,
        }
    }

    /// When it is gone.
    fn end(&self) -> Instant {
        self.until + GRACE
    }
}

/// The expiry granted (W:B1.5).
fn grant(requested: Option<u32>, limits: &PublicationLimits) -> Result<Duration, PublishRefused> {
    let Some(seconds) = requested else {
        return Ok(limits.expires_default.min(limits.expires_max));
    };
    let requested = Duration::from_secs(seconds.into());
    if !requested.is_zero() && requested < limits.expires_min {
        return Err(PublishRefused::TooBrief(limits.expires_min));
    }
    Ok(requested.min(limits.expires_max))
}

/// What a PUBLISH does to the publication it names, if any (RFC 3903 §4.1; W:B1.6, B1.7).
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
        (None, Some(_)) if expires.is_zero() => Ok(Operation::Nothing),
        (None, Some(document)) => Ok(Operation::Initial(document)),
        (None, None) => Err(PublishRefused::NoBody),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod model_tests;
