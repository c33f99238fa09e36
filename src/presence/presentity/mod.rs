//! A presentity: all contributions to it, in one order, and the state composed of them.
//!
//! Invariants: an older `early` never replaces a terminated leg (tombstones, 32 s); the loser of a
//! fork never clears the winner; an expired contribution does not count; a full document ends only
//! the legs of its own publication (W:B3.14).
//!
//! The state is changed by the `apply*` calls, [`Presentity::set_rules`] and
//! [`Presentity::expire`], and by [`Presentity::forget`]. Each of them first drops expired contributions, and returns whether the
//! composed state changed. Nothing here depends on the order of a hash map: equal calls give equal
//! states.

mod assertion;
mod durable;
mod explain;
mod forget;
mod origins;
mod publication;
mod publishing;
mod reported;
mod statement_box;
mod statements;
mod upstream;

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

pub use assertion::{Assertion, Call, CallParty, Presence};
pub use durable::{Contributions, RecoveredContributions};
pub use explain::Explained;
pub use forget::Erased;
pub use publication::{Condition, Publication, PublicationLimits, PublishRefused, Published};
pub use upstream::UpstreamNews;

use crate::presence::call::{CallDialog, CallSet};
use crate::presence::composition;
use crate::presence::composition::{
    Circumstances, Composed, Contributor, Declaration, Extras, Rules, Style, Verdict,
};
use crate::presence::event::Package;
use crate::presence::origin::Origin;
use crate::presence::presentity::origins::{Contributed, Origins};
use crate::presence::presentity::publishing::{Removal, StoredPublication};
use crate::presence::presentity::statement_box::StatementBox;
use crate::presence::presentity::statements::Statements;
use crate::presence::presentity::upstream::Upstreams;
use crate::presence::registration::{Binding, BindingChange, BindingRefused, ContactEnd, Sequence};
use crate::presence::source::{CallSource, Messages, StateUpdate};

/// How long a publication or registration is kept after its expiry, because a refresh may be in
/// transit (RFC 3903 §4.2, §6).
const GRACE: Duration = Duration::from_secs(2);

/// Reason shown when all contributions are irrelevant to availability.
const SILENT_RULE: &str = "no source speaks of calls or availability";

/// The state of a user without contributions, as most users are when a server starts. It is
/// shared until the first change.
static BLANK: LazyLock<Arc<Composed>> = LazyLock::new(Arc::default);

/// One presentity. Owned by one shard.
#[derive(Clone, Debug)]
pub struct Presentity {
    /// The state that watchers are notified of.
    composed: Arc<Composed>,
    /// The previous state, kept for its memory: once no shard holds it any more, the next state is
    /// composed in it, so that a lamp turning on and off allocates nothing.
    spare: Arc<Composed>,
    verdict: Verdict,
    /// Since when the composed state is out of date because something expired and it was not
    /// composed again.
    stale_since: Option<Instant>,
    /// The part of the state that rarely changes, and whether it may have changed.
    extras: Arc<Extras>,
    extras_are_stale: bool,

    // How contributions are composed.
    rules: Arc<Rules>,
    rules_since: Option<Instant>,

    // Contributions.
    publications: Vec<StoredPublication>,
    /// Those that are of upstreams.
    upstreams: Upstreams,
    /// Where contributions came from, if that system is told of the presentity as well.
    origins: Origins,
    /// Publications that were removed a moment ago.
    removals: Vec<Removal>,
    calls: CallSet,
    statements: StatementBox,
    /// Whether a source has ever reported its calls, even if there were none. Most sources report
    /// only during a call; a user must not seem to leave whenever a call ends.
    is_known_by_calls: bool,
    /// The number of the next publication. A publication keeps its number for as long as it exists,
    /// while its entity tag changes with every PUBLISH.
    publication_next: u64,
}

impl Default for Presentity {
    fn default() -> Self {
        Self {
            composed: Arc::clone(&BLANK),
            spare: Arc::clone(&BLANK),
            verdict: Verdict::default(),
            stale_since: None,
            extras: Arc::clone(&BLANK.extras),
            extras_are_stale: false,
            rules: Arc::default(),
            rules_since: None,
            publications: Vec::new(),
            upstreams: Upstreams::default(),
            origins: Origins::default(),
            removals: Vec::new(),
            calls: CallSet::default(),
            statements: StatementBox::default(),
            is_known_by_calls: false,
            publication_next: 0,
        }
    }
}

impl Presentity {
    /// The state composed of all contributions.
    #[must_use]
    pub fn composed(&self) -> &Arc<Composed> {
        &self.composed
    }

    /// Since when a call of the composed state is in its state; None for one that no source reports
    /// by itself.
    #[must_use]
    pub fn since_of(&self, call: &Arc<CallDialog>) -> Option<Instant> {
        let mut legs = self.calls.legs().iter();
        let leg = legs.find(|leg| Arc::ptr_eq(&leg.call, call));
        leg.map(|leg| leg.since)
            .or_else(|| self.statements.get().since_of(call))
    }

    /// Replaces the rules of composition. Returns whether the composed state changed.
    pub fn set_rules(&mut self, rules: Arc<Rules>, now: Instant) -> bool {
        self.drop_expired(now);
        if self.rules != rules {
            self.rules_since = Some(now);
            self.extras_are_stale = true;
        }
        self.rules = rules;
        (self.extras_are_stale || self.stale_since.is_some()) && self.recompose()
    }

    /// [`Self::apply`] of an update that came from a system which is told of the presentity as well.
    pub fn apply_from(&mut self, origin: Option<Origin>, said: StateUpdate, now: Instant) -> bool {
        let said = match (origin, said) {
            (
                Some(origin),
                StateUpdate::Call {
                    source: CallSource::CallState,
                    call,
                    expires,
                },
            ) => {
                return self.apply_reported_call(origin, call, expires, now);
            }
            (Some(origin), StateUpdate::CallStateDoNotDisturb(life)) => {
                return self.apply_reported_do_not_disturb(origin, life, now);
            }
            (_, said) => said,
        };
        if let Some(contributed) = Contributed::of(&said) {
            self.origins.note(contributed, origin);
        }
        let is_changed = self.apply(said, now);
        self.origins.keep(&self.publications, self.statements.get());
        is_changed
    }

    /// Applies an update of a source; it replaces the earlier update of that source. Returns
    /// whether the composed state changed.
    ///
    /// Watchers see a digest of the `id` of a call. If the number is private, the `id` must not be
    /// derived from it (W:D1.4).
    pub fn apply(&mut self, said: StateUpdate, now: Instant) -> bool {
        self.drop_expired(now);
        self.extras_are_stale |= !matches!(said, StateUpdate::Call { .. } | StateUpdate::Note(_));
        if matches!(
            said,
            StateUpdate::Call { .. } | StateUpdate::CallStateDoNotDisturb(_)
        ) {
            self.know_by_calls(None);
        }
        self.end_call_state_dnd_before(&said);
        self.statements.make().take(said, now);
        self.recompose()
    }

    /// Applies a REGISTER for which we are the registrar; at most `room` contacts may be added.
    /// Returns whether the composed state changed.
    ///
    /// # Errors
    /// The reason why the REGISTER changed nothing.
    pub fn bind(
        &mut self,
        change: BindingChange,
        sequence: Sequence,
        room: usize,
        now: Instant,
    ) -> Result<bool, BindingRefused> {
        self.drop_expired(now);
        let registrations = &mut self.statements.make().registrations;
        registrations.bind(change, sequence, room, now)?;
        self.extras_are_stale = true;
        Ok(self.recompose())
    }

    /// The contacts that the user's phones have bound, each with its remaining time.
    #[must_use]
    pub fn bindings(&self, now: Instant) -> Vec<Binding> {
        self.statements.get().registrations.bindings(now)
    }

    /// The number of registered contacts.
    #[must_use]
    pub fn contacts(&self) -> usize {
        self.statements
            .made()
            .map_or(0, |statements| statements.registrations.len())
    }

    /// Drops expired contributions. Returns whether the composed state changed.
    pub fn expire(&mut self, now: Instant) -> bool {
        self.drop_expired(now);
        self.stale_since.is_some() && self.recompose()
    }

    /// The next time at which [`Self::expire`] must be called. Tombstones count, because they
    /// expire as well.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Instant> {
        let publications = self.publications.iter().map(StoredPublication::end);
        publications
            .chain(self.statements.made().and_then(Statements::next_expiry))
            .chain(self.calls.next_expiry())
            .chain(self.stale_since)
            .min()
    }

    /// Returns whether nothing is known, so that the presentity can be removed while it has no
    /// watcher. A tombstone counts as known. Once a registrar has reported on the user, the user
    /// stays known as one that is expected to register.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        !self.has_contribution() && self.calls.is_empty()
    }

    /// Returns whether its calls were ever reported. This is remembered while there is memory.
    #[must_use]
    pub fn is_known_by_calls(&self) -> bool {
        self.is_known_by_calls
    }

    /// Returns whether it belongs in the roster of a whole domain (W:D4.3): a park orbit while a
    /// call is parked in it (W:D4.5), any other user while there is a contribution.
    #[must_use]
    pub fn is_present(&self) -> bool {
        if self.rules.is_orbit {
            !self.composed.calls.is_empty()
        } else {
            self.has_contribution()
        }
    }

    /// All contributions, with the deciding one marked, for `lamplighter why`.
    #[must_use]
    pub fn explain(&self, now: Instant) -> Vec<Explained> {
        let is_alive =
            |explained: &Explained| explained.until.is_none_or(|until| now < until + GRACE);
        let publications = self.publications.iter();
        publications
            .map(|entity| entity.explain(self))
            .chain(self.statements.get().explain(&self.verdict))
            .chain(self.explain_account())
            .filter(is_alive)
            .collect()
    }

    /// The rule that decided on the availability: `a call is confirmed`.
    #[must_use]
    pub fn rule(&self) -> &'static str {
        let is_silent = self.verdict == Verdict::default();
        if is_silent && self.has_contribution() {
            SILENT_RULE
        } else {
            self.verdict.rule
        }
    }

    fn has_contribution(&self) -> bool {
        !self.publications.is_empty() || !self.statements.get().are_blank()
    }

    fn drop_expired(&mut self, now: Instant) {
        if self.next_expiry().is_none_or(|next| now < next) {
            return;
        }
        self.forget_stale_upstreams(now);
        let calls = &mut self.calls;
        let mut statements = self.statements.made_mut();
        self.publications.retain(|entity| {
            let lives = now < entity.end();
            if !lives {
                calls.abandon(entity.number, entity.end());
                if let Some(statements) = &mut statements {
                    let registrations = &mut statements.registrations;
                    registrations.abandon(entity.number, ContactEnd::Expired, now);
                }
                self.extras_are_stale |= entity.package != Package::Dialog;
            }
            lives
        });
        calls.expire(now);
        self.upstreams.keep(&self.publications);
        self.extras_are_stale |= statements.is_some_and(|statements| statements.expire(now));
        self.origins.keep(&self.publications, self.statements.get());
        self.stale_since.get_or_insert(now);
    }

    fn recompose(&mut self) -> bool {
        if std::mem::take(&mut self.extras_are_stale) {
            let extras = self.gather_extras();
            if extras != *self.extras {
                self.extras = Arc::new(extras);
            }
        }
        let hears_all =
            self.rules.style != Style::Imagicle || feeders(&self.publications).next().is_none();
        let (upstreams, rules) = (&self.upstreams, &self.rules);
        let heard = |publication| !upstreams.is_hushed(publication, rules);
        let legs = self.calls.legs().iter();
        let legs = legs.filter(|leg| heard(leg.owner.publication));
        let legs = legs.filter(|leg| {
            let mut feeders = feeders(&self.publications);
            hears_all || feeders.any(|entity| entity.number == leg.owner.publication)
        });
        let by_publication =
            legs.map(|leg| (Contributor::Publication(leg.owner.publication), &leg.call));
        let statements = self.statements.get();
        let circumstances = Circumstances {
            rules: &self.rules,
            extras: &self.extras,
            alternative_by: self
                .alternative()
                .map_or(Contributor::NoSource, |(by, _)| by),
            note: statements.note.as_ref().map(|stated| &stated.what),
            has_registrar: statements.registrations.are_known(),
            call_source: self.call_source(),
            is_known_by_calls: self.is_known_by_calls,
            has_call_state_dnd: statements.call_state_dnd.is_some(),
        };
        self.verdict = composition::compose(
            statements.calls().chain(by_publication),
            declarations(statements, &self.publications, heard),
            &circumstances,
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

    /// The source that reports calls, even if there are none.
    fn call_source(&self) -> Option<Contributor> {
        let by_publication = || {
            let mut publications = self.publications.iter();
            let first = publications.find(|entity| entity.reports_calls())?;
            Some(Contributor::Publication(first.number))
        };
        let first = self.statements.get().calls().next().map(|(by, _)| by);
        first.or_else(by_publication)
    }

    /// The alternative number of the user, and its source: a client takes precedence over the
    /// account, because its value is more recent.
    fn alternative(&self) -> Option<(Contributor, &str)> {
        let heard = |publication| !self.upstreams.is_hushed(publication, &self.rules);
        let mut declared = declarations(self.statements.get(), &self.publications, heard)
            .filter_map(|(by, said)| Some((by, said.alternative.as_deref()?)));
        declared.next().or_else(|| {
            let number = self.rules.alternative.as_deref()?;
            Some((Contributor::Account, number))
        })
    }

    /// The mailbox: the newest statement; the operator's among equals.
    fn messages(&self) -> Option<&Messages> {
        let published = self
            .publications
            .iter()
            .filter_map(|entity| Some((entity.since, entity.messages()?)));
        let operator = self.statements.get().messages.iter();
        published
            .chain(operator.map(|stated| (stated.since, &stated.what)))
            .max_by_key(|(since, _)| *since)
            .map(|(_, messages)| messages)
    }

    fn gather_extras(&self) -> Extras {
        let statements = self.statements.get();
        let registered = statements.registrations.iter();
        let contacts: Vec<_> = registered.map(|one| one.contact.clone()).collect();
        let alternative = self.alternative().filter(|_| contacts.is_empty());
        let appearances = statements.appearances.iter();
        Extras {
            features: statements.features(),
            messages: self.messages().cloned(),
            alternative: alternative.map(|(_, number)| number.into()),
            contacts,
            ended_contacts: statements.registrations.ended().cloned().collect(),
            appearances: appearances.map(|stated| stated.what.clone()).collect(),
            display: self.rules.display.clone(),
            do_not_disturb_lamp: self.rules.do_not_disturb,
        }
    }
}

/// The publications in which a PBX reports calls. In the style of W:D3 they replace the reports of
/// phones (W:D3.18).
fn feeders(publications: &[StoredPublication]) -> impl Iterator<Item = &StoredPublication> + Clone {
    let is_feed = |entity: &&StoredPublication| entity.is_feeder && entity.reports_calls();
    publications.iter().filter(is_feed)
}

/// The declarations of the operator, and those of the publications that are heard.
fn declarations<'a>(
    statements: &'a Statements,
    publications: &'a [StoredPublication],
    heard: impl Fn(u64) -> bool + Clone,
) -> impl Iterator<Item = (Contributor, &'a Declaration)> + Clone {
    let operator = statements.presence.iter();
    let operator = operator.map(|said| (Contributor::OperatorPresence, said));
    operator.chain(publications.iter().filter_map(move |entity| {
        let said = entity.declaration()?;
        heard(entity.number).then_some((Contributor::Publication(entity.number), said))
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod model_tests;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod statement_tests;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod upstream_tests;
