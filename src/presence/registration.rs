//! Where a user is registered (RFC 3680; W:B7.4): contacts learned from REGISTER requests of
//! trusted peers and from `reg` documents.

use std::collections::VecDeque;
use std::time::Duration;
use std::time::Instant;

/// Contacts of one presentity; one more is not heard of.
pub const CONTACTS_MAX: usize = 16;
/// Octets of a contact's URI; whoever reads one from outside refuses a longer one.
pub const URI_OCTETS_MAX: usize = 1024;

/// Contacts of one presentity that ended and are remembered, the latest.
const ENDED_MAX: usize = 16;
/// How long one that ended is remembered: until the slowest watcher that answers has been told.
const ENDED_LIFE: Duration = Duration::from_secs(60);

/// What last happened to a contact that is registered (RFC 3680 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContactEvent {
    /// It is new.
    Registered,
    /// Its life was prolonged.
    Refreshed,
    /// Its life was cut short.
    Shortened {
        /// Seconds that were left to it then.
        expires: u64,
    },
}

/// Why a contact is not registered any more (RFC 3680 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContactEnd {
    /// Its time was over.
    Expired,
    /// The registrar took it away.
    Deactivated,
    /// The phone took it away.
    Unregistered,
    /// The user may not be registered any more.
    Rejected,
}

/// A contact that is not registered any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedContact {
    /// Its URI.
    pub uri: Box<str>,
    /// The `id` its documents gave it.
    pub id: u64,
    /// Why.
    pub end: ContactEnd,
}

/// One contact that is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredContact {
    /// Its URI.
    pub uri: Box<str>,
    /// The `id` its documents give it: stable for the life of the contact.
    pub id: u64,
    /// The last thing that happened to it. When it ends is not told unless that was cut short:
    /// watchers of a contact that is refreshed again and again need not hear of it again and again.
    pub event: ContactEvent,
}

/// Who told of a contact last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Teller {
    /// A REGISTER.
    Register,
    /// A publication, by the number the presentity gave it.
    Publication(u64),
}

/// A contact and what was said of it.
#[derive(Debug)]
pub(crate) struct Registration {
    /// What watchers are told.
    pub(crate) contact: RegisteredContact,
    /// Who told of it last.
    pub(crate) teller: Teller,
    /// Since when it is registered.
    pub(crate) since: Instant,
    /// When it ends unless said again; None when only its publication ends it.
    pub(crate) until: Option<Instant>,
}

/// All registrations of a presentity, each URI once, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Registrations {
    registrations: Vec<Registration>,
    /// Those that ended of late, the oldest first, and when.
    ended: VecDeque<(Instant, EndedContact)>,
    /// The `id` of the next contact.
    id_next: u64,
    /// When the last contact went; before, when a registrar first spoke; None when none ever did.
    empty_since: Option<Instant>,
}

impl Registrations {
    /// Those that are registered.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Registration> {
        self.registrations.iter()
    }

    /// Those that ended of late, for watchers that were shown them.
    pub(crate) fn ended(&self) -> impl Iterator<Item = &EndedContact> {
        self.ended.iter().map(|(_, contact)| contact)
    }

    /// Whether a registrar has ever spoken.
    pub(crate) fn are_known(&self) -> bool {
        self.empty_since.is_some()
    }

    /// Since when a registrar that has spoken has no contact; None when it has, or never spoke.
    pub(crate) fn empty_since(&self) -> Option<Instant> {
        self.empty_since.filter(|_| self.registrations.is_empty())
    }

    /// Each of `contacts` is registered from now on for that long; zero takes it away.
    pub(crate) fn register(&mut self, contacts: Vec<(Box<str>, Duration)>, now: Instant) {
        self.empty_since.get_or_insert(now);
        for (uri, expires) in contacts {
            if expires.is_zero() {
                self.end_where(now, |registration| registration.contact.uri == uri);
            } else {
                self.add(Teller::Register, uri, now.checked_add(expires), now);
            }
        }
    }

    /// Every contact is gone.
    pub(crate) fn unregister(&mut self, now: Instant) {
        self.empty_since.get_or_insert(now);
        self.end_where(now, |_| true);
    }

    /// Takes what a document of a publication says: each contact, how it ended if it did, for how
    /// many seconds it is registered. `full`: what the publication told before and does not name is gone.
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
                registration.teller == Teller::Publication(publication)
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
                self.add(Teller::Publication(publication), uri, until, now);
            }
        }
    }

    /// A publication stands for another from now on.
    pub(crate) fn hand_over(&mut self, publication: u64, heir: u64) {
        for registration in &mut self.registrations {
            if registration.teller == Teller::Publication(publication) {
                registration.teller = Teller::Publication(heir);
            }
        }
    }

    /// A publication is gone: what only it vouches for goes along.
    pub(crate) fn abandon(&mut self, publication: u64, end: ContactEnd, now: Instant) {
        self.end_by(end, now, |registration| {
            registration.teller == Teller::Publication(publication)
        });
    }

    /// Drops what ended `grace` ago and more, and forgets what ended long ago. Returns whether
    /// anything did.
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

    /// When [`Self::expire`] has something to do next.
    pub(crate) fn next_expiry(&self, grace: Duration) -> Option<Instant> {
        let ends = self.registrations.iter().filter_map(|one| one.until);
        let forgotten = self.ended.front().map(|(since, _)| *since + ENDED_LIFE);
        ends.map(|until| until + grace).chain(forgotten).min()
    }

    fn add(&mut self, teller: Teller, uri: Box<str>, until: Option<Instant>, now: Instant) {
        let known = self.registrations.iter_mut();
        if let Some(known) = known.into_iter().find(|known| known.contact.uri == uri) {
            let is_sooner = |until: &Instant| known.until.is_none_or(|before| *until < before);
            known.contact.event = match until.filter(is_sooner) {
                Some(until) => ContactEvent::Shortened {
                    expires: until.saturating_duration_since(now).as_secs(),
                },
                None => ContactEvent::Refreshed,
            };
            known.teller = teller;
            known.until = until;
        } else if self.registrations.len() < CONTACTS_MAX {
            let contact = RegisteredContact {
                uri,
                id: self.id_next,
                event: ContactEvent::Registered,
            };
            self.id_next += 1;
            self.registrations.push(Registration {
                contact,
                teller,
                since: now,
                until,
            });
        }
    }

    /// The phone took them away.
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
