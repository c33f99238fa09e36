//! All the contacts of a presentity, and the source of each.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::presence::registration::{
    Binding, BindingChange, BindingRefused, CONTACTS_MAX, ContactEnd, ContactEvent, EndedContact,
    RegisteredContact, Sequence,
};
use crate::presence::wall_clock;

/// Maximum ended contacts of one presentity that are remembered; the latest are kept.
const ENDED_MAX: usize = 16;
/// How long an ended contact is remembered: until the slowest watcher has been notified of it.
const ENDED_LIFE: Duration = Duration::from_secs(60);

/// The source that last reported a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reporter {
    /// A REGISTER.
    Register,
    /// A publication, by the number that the presentity assigned to it.
    Publication(u64),
}

/// A contact and what is known about it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Registration {
    /// The contact as reported to watchers.
    pub(crate) contact: RegisteredContact,
    /// The source that last reported it.
    pub(crate) reporter: Reporter,
    /// Since when it is registered.
    #[serde(with = "wall_clock::instant")]
    pub(crate) since: Instant,
    /// When it ends unless it is reported again; None if only its publication ends it.
    #[serde(with = "wall_clock::optional_instant")]
    pub(crate) until: Option<Instant>,
    /// The REGISTER that bound it; None if we are not the registrar.
    sequence: Option<Sequence>,
    /// See [`Binding::parameters`].
    parameters: Box<str>,
}

impl Registration {
    /// Whether one of the user's phones bound it by a REGISTER.
    pub(crate) const fn is_bound(&self) -> bool {
        self.sequence.is_some()
    }

    /// Returns whether the REGISTER at `sequence`, or a later one of its phone, bound this contact.
    fn is_later(&self, sequence: Sequence) -> bool {
        self.sequence.is_some_and(|known| {
            known.call_id == sequence.call_id && known.number >= sequence.number
        })
    }
}

/// All registrations of a presentity, each URI once, in the order in which they came.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Registrations {
    registrations: Vec<Registration>,
    /// Contacts that ended recently, each with the time of its end, the oldest first. They are not
    /// recorded: after a restart documents are full (RFC 3680 §5.1), so that a phone drops what they omit.
    #[serde(skip)]
    ended: VecDeque<(Instant, EndedContact)>,
    /// The `id` of the next contact.
    id_next: u64,
    /// When the last contact ended. Before the first contact: when a registrar first reported on
    /// the user. None if no registrar ever did.
    #[serde(with = "wall_clock::optional_instant")]
    empty_since: Option<Instant>,
}

impl Registrations {
    /// No registrations, on which no registrar ever reported.
    pub(crate) const NONE: Self = Self {
        registrations: Vec::new(),
        ended: VecDeque::new(),
        id_next: 0,
        empty_since: None,
    };

    /// The registered contacts.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Registration> {
        self.registrations.iter()
    }

    /// Contacts that ended recently, for watchers that were sent them.
    pub(crate) fn ended(&self) -> impl Iterator<Item = &EndedContact> {
        self.ended.iter().map(|(_, contact)| contact)
    }

    /// Returns whether a registrar has ever reported on the user.
    pub(crate) fn are_known(&self) -> bool {
        self.empty_since.is_some()
    }

    /// Since when a registrar reports no contact; None while it reports one, or if none ever
    /// reported.
    pub(crate) fn empty_since(&self) -> Option<Instant> {
        self.empty_since.filter(|_| self.registrations.is_empty())
    }

    /// Registers each of `contacts` from now on for its duration; zero removes it.
    pub(crate) fn register(&mut self, contacts: Vec<(Box<str>, Duration)>, now: Instant) {
        self.empty_since.get_or_insert(now);
        for (uri, expires) in contacts {
            if expires.is_zero() {
                self.end_where(now, |registration| registration.contact.uri == uri);
            } else {
                self.add(Reporter::Register, uri, now.checked_add(expires), now);
            }
        }
    }

    /// Applies a REGISTER of one of the user's phones, either completely or not at all (RFC 3261
    /// §10.3). At most `room` contacts may be added.
    pub(crate) fn bind(
        &mut self,
        change: BindingChange,
        sequence: Sequence,
        room: usize,
        now: Instant,
    ) -> Result<(), BindingRefused> {
        let is_touched = |one: &Registration| match &change {
            BindingChange::Query => false,
            BindingChange::Bind(bindings) => {
                let mut uris = bindings.iter().map(|binding| &binding.uri);
                uris.any(|uri| *uri == one.contact.uri)
            }
            BindingChange::Clear => true,
        };
        if self
            .iter()
            .any(|one| is_touched(one) && one.is_later(sequence))
        {
            return Err(BindingRefused::OutOfOrder);
        }
        match change {
            BindingChange::Query => {}
            BindingChange::Clear => self.unregister(now),
            BindingChange::Bind(bindings) => {
                // Expired contacts take up no room.
                self.expire(Duration::ZERO, now);
                self.check_room(&bindings, room)?;
                self.empty_since.get_or_insert(now);
                for binding in bindings {
                    self.bind_one(binding, sequence, now);
                }
            }
        }
        Ok(())
    }

    /// The contacts that phones have bound, each with its remaining time.
    pub(crate) fn bindings(&self, now: Instant) -> Vec<Binding> {
        let bound = self.iter().filter_map(|one| {
            let until = one.until.filter(|until| *until > now)?;
            (one.reporter == Reporter::Register).then(|| Binding {
                uri: one.contact.uri.clone(),
                expires: until.saturating_duration_since(now),
                parameters: one.parameters.clone(),
            })
        });
        bound.collect()
    }

    /// The number of registered contacts.
    pub(crate) fn len(&self) -> usize {
        self.registrations.len()
    }

    fn check_room(&self, bindings: &[Binding], room: usize) -> Result<(), BindingRefused> {
        let is_known = |binding: &&Binding| self.iter().any(|one| one.contact.uri == binding.uri);
        let (gone, bound): (Vec<_>, Vec<_>) = bindings
            .iter()
            .partition(|binding| binding.expires.is_zero());
        let gone = gone.into_iter().filter(is_known).count();
        let new = bound
            .into_iter()
            .filter(|binding| !is_known(binding))
            .count();
        if new > 0 && self.len() + new > CONTACTS_MAX + gone {
            Err(BindingRefused::TooManyContacts)
        } else if new > room + gone {
            Err(BindingRefused::OverLimit)
        } else {
            Ok(())
        }
    }

    fn bind_one(&mut self, binding: Binding, sequence: Sequence, now: Instant) {
        let Binding {
            uri,
            expires,
            parameters,
        } = binding;
        if expires.is_zero() {
            self.end_where(now, |one| one.contact.uri == uri);
            return;
        }
        let until = now.checked_add(expires);
        // The room was checked for all bindings together: a binding removed later in this REGISTER
        // makes room for this one.
        let place = self
            .restate(Reporter::Register, &uri, until, now)
            .unwrap_or_else(|| self.insert(Reporter::Register, uri, until, now));
        let bound = &mut self.registrations[place];
        bound.sequence = Some(sequence);
        bound.parameters = parameters;
    }

    /// Removes every contact.
    pub(crate) fn unregister(&mut self, now: Instant) {
        self.empty_since.get_or_insert(now);
        self.end_where(now, |_| true);
    }

    /// Applies a `reg` document of a publication: for each contact the reason of its end, if it
    /// ended, and for how many seconds it is registered. `full`: contacts that the publication
    /// reported before and does not list now are removed.
    pub(crate) fn publish(
        &mut self,
        publication: u64,
        contacts: Vec<(Box<str>, Option<ContactEnd>, Option<u32>)>,
        full: bool,
        now: Instant,
    ) {
        self.empty_since.get_or_insert(now);
        if full {
            self.end_where(now, |registration| {
                registration.reporter == Reporter::Publication(publication)
                    && !contacts
                        .iter()
                        .any(|(uri, ..)| *uri == registration.contact.uri)
            });
        }
        for (uri, end, expires) in contacts {
            let end = end.or_else(|| (expires == Some(0)).then_some(ContactEnd::Expired));
            if let Some(end) = end {
                self.end_by(end, now, |registration| registration.contact.uri == uri);
            } else {
                let expires = expires.map(|seconds| Duration::from_secs(seconds.into()));
                let until = expires.and_then(|expires| now.checked_add(expires));
                self.add(Reporter::Publication(publication), uri, until, now);
            }
        }
    }

    /// Publication `heir` takes over the contacts of `publication`.
    pub(crate) fn hand_over(&mut self, publication: u64, heir: u64) {
        for registration in &mut self.registrations {
            if registration.reporter == Reporter::Publication(publication) {
                registration.reporter = Reporter::Publication(heir);
            }
        }
    }

    /// A publication ended, and with it the contacts that it reported last.
    pub(crate) fn abandon(&mut self, publication: u64, end: ContactEnd, now: Instant) {
        self.end_by(end, now, |registration| {
            registration.reporter == Reporter::Publication(publication)
        });
    }

    /// Ends contacts that expired at least `grace` ago, and forgets contacts that ended long ago.
    /// Returns whether there were any.
    pub(crate) fn expire(&mut self, grace: Duration, now: Instant) -> bool {
        let is_due = self.next_expiry(grace).is_some_and(|next| next <= now);
        if is_due {
            self.end_by(ContactEnd::Expired, now, |registration| {
                registration.until.is_some_and(|until| until + grace <= now)
            });
            self.ended.retain(|(since, _)| *since + ENDED_LIFE > now);
        }
        is_due
    }

    /// The next time at which [`Self::expire`] must be called.
    pub(crate) fn next_expiry(&self, grace: Duration) -> Option<Instant> {
        let ends = self.registrations.iter().filter_map(|one| one.until);
        let forgotten = self.ended.front().map(|(since, _)| *since + ENDED_LIFE);
        ends.map(|until| until + grace).chain(forgotten).min()
    }

    /// Registers a contact, unless there are already [`super::CONTACTS_MAX`].
    fn add(&mut self, reporter: Reporter, uri: Box<str>, until: Option<Instant>, now: Instant) {
        let is_known = self.restate(reporter, &uri, until, now).is_some();
        if !is_known && self.registrations.len() < CONTACTS_MAX {
            self.insert(reporter, uri, until, now);
        }
    }

    /// Prolongs or shortens a contact. Returns its index; None if it is not registered.
    fn restate(
        &mut self,
        reporter: Reporter,
        uri: &str,
        until: Option<Instant>,
        now: Instant,
    ) -> Option<usize> {
        let mut registrations = self.registrations.iter();
        let place = registrations.position(|known| &*known.contact.uri == uri)?;
        let known = &mut self.registrations[place];
        let is_sooner = |until: &Instant| known.until.is_none_or(|before| *until < before);
        known.contact.event = match until.filter(is_sooner) {
            Some(until) => ContactEvent::Shortened {
                expires: until.saturating_duration_since(now).as_secs(),
            },
            None => ContactEvent::Refreshed,
        };
        known.reporter = reporter;
        known.until = until;
        Some(place)
    }

    /// Registers a new contact. Returns its index.
    fn insert(
        &mut self,
        reporter: Reporter,
        uri: Box<str>,
        until: Option<Instant>,
        now: Instant,
    ) -> usize {
        let contact = RegisteredContact {
            uri,
            id: self.id_next,
            event: ContactEvent::Registered,
        };
        self.id_next += 1;
        self.registrations.push(Registration {
            contact,
            reporter,
            since: now,
            until,
            sequence: None,
            parameters: Box::default(),
        });
        self.registrations.len() - 1
    }

    /// Ends contacts that a phone removed.
    fn end_where(&mut self, now: Instant, is_over: impl Fn(&Registration) -> bool) {
        self.end_by(ContactEnd::Unregistered, now, is_over);
    }

    fn end_by(&mut self, end: ContactEnd, now: Instant, is_over: impl Fn(&Registration) -> bool) {
        let over = self.registrations.extract_if(.., |one| is_over(one));
        let over: Vec<RegisteredContact> = over.map(|one| one.contact).collect();
        if over.is_empty() {
            return;
        }
        if self.registrations.is_empty() {
            self.empty_since = Some(now);
        }
        for RegisteredContact { uri, id, .. } in over {
            if self.ended.len() == ENDED_MAX {
                self.ended.pop_front();
            }
            self.ended.push_back((now, EndedContact { uri, id, end }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(uri: &str, seconds: u64) -> Binding {
        Binding {
            uri: uri.into(),
            expires: Duration::from_secs(seconds),
            parameters: Box::default(),
        }
    }

    fn bind(
        registrations: &mut Registrations,
        bindings: Vec<Binding>,
        number: u32,
        room: usize,
        now: Instant,
    ) -> Result<(), BindingRefused> {
        let sequence = Sequence { call_id: 1, number };
        registrations.bind(BindingChange::Bind(bindings), sequence, room, now)
    }

    #[test]
    fn one_refused_contact_changes_none() {
        let now = Instant::now();
        let mut registrations = Registrations::default();
        let all = |first: usize, count: usize| {
            (first..first + count).map(|place| binding(&format!("sip:{place}@a"), 60))
        };
        assert_eq!(
            bind(&mut registrations, all(0, 16).collect(), 1, 99, now),
            Ok(())
        );
        let before = registrations.bindings(now);
        let with_one_gone = |count| std::iter::once(binding("sip:0@a", 0)).chain(all(16, count));
        assert_eq!(
            bind(&mut registrations, with_one_gone(2).collect(), 2, 99, now),
            Err(BindingRefused::TooManyContacts)
        );
        assert_eq!(registrations.bindings(now), before);
        assert_eq!(
            bind(&mut registrations, with_one_gone(1).collect(), 2, 0, now),
            Ok(())
        );
        assert_eq!(registrations.len(), 16);
    }

    /// RFC 3261 §10.3: a REGISTER is applied as a whole, whatever the order of its contacts.
    #[test]
    fn a_contact_that_is_removed_makes_room_for_one_before_it() {
        let now = Instant::now();
        let mut registrations = Registrations::default();
        let all = (0..16).map(|place| binding(&format!("sip:{place}@a"), 60));
        assert_eq!(bind(&mut registrations, all.collect(), 1, 16, now), Ok(()));
        let swap = vec![binding("sip:new@a", 60), binding("sip:0@a", 0)];
        assert_eq!(bind(&mut registrations, swap, 2, 0, now), Ok(()));
        let bound = registrations.bindings(now);
        assert_eq!(bound.len(), 16);
        assert!(bound.contains(&binding("sip:new@a", 60)));
        assert!(!bound.iter().any(|binding| &*binding.uri == "sip:0@a"));
    }

    #[test]
    fn a_refresh_needs_no_room() {
        let now = Instant::now();
        let mut registrations = Registrations::default();
        let mut bind = |uri, number, room| {
            bind(
                &mut registrations,
                vec![binding(uri, 60)],
                number,
                room,
                now,
            )
        };
        assert_eq!(bind("sip:1@a", 1, 0), Err(BindingRefused::OverLimit));
        assert_eq!(bind("sip:1@a", 2, 1), Ok(()));
        assert_eq!(bind("sip:1@a", 3, 0), Ok(()));
        assert_eq!(bind("sip:1@a", 3, 0), Err(BindingRefused::OutOfOrder));
    }

    #[test]
    fn an_expired_contact_is_not_listed_and_takes_no_room() {
        let now = Instant::now();
        let later = now + Duration::from_secs(61);
        let mut registrations = Registrations::default();
        let all = (0..16).map(|place| binding(&format!("sip:{place}@a"), 60));
        assert_eq!(bind(&mut registrations, all.collect(), 1, 16, now), Ok(()));
        assert_eq!(registrations.bindings(later), []);
        let next = vec![binding("sip:next@a", 60)];
        assert_eq!(bind(&mut registrations, next, 2, 1, later), Ok(()));
        assert_eq!(registrations.len(), 1);
    }

    #[test]
    fn contacts_from_a_document_are_not_listed_as_bindings() {
        let now = Instant::now();
        let mut registrations = Registrations::default();
        registrations.publish(7, vec![("sip:1@a".into(), None, Some(60))], true, now);
        assert_eq!(registrations.bindings(now), []);
        let other_phone = Sequence {
            call_id: 2,
            number: 1,
        };
        assert_eq!(
            registrations.bind(BindingChange::Clear, other_phone, 0, now),
            Ok(())
        );
        assert_eq!(registrations.len(), 0);
    }
}
