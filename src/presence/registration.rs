//! Where a user is registered (RFC 3680; W:B7.4): contacts learned from REGISTER requests of
//! trusted peers and from `reg` documents.

use std::time::Duration;
use std::time::Instant;

/// Contacts of one presentity; one more is not heard of.
pub const CONTACTS_MAX: usize = 16;
/// Octets of a contact's URI; whoever reads one from outside refuses a longer one.
pub const URI_OCTETS_MAX: usize = 1024;

/// What last happened to a contact (RFC 3680 §5.2). One that is gone is not told of any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContactEvent {
    /// It is new.
    Registered,
    /// Its life was prolonged.
    Refreshed,
    /// Its life was cut short.
    Shortened,
}

/// One contact that is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredContact {
    /// Its URI.
    pub uri: Box<str>,
    /// The `id` its documents give it: stable for the life of the contact.
    pub id: u64,
    /// The last thing that happened to it. Its end is not told: watchers of a contact that is
    /// refreshed again and again need not hear of it again and again.
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

    /// Takes what a document of a publication says: each contact, whether it is registered, for how
    /// many seconds. `full`: what the publication told before and does not name is gone.
    pub(crate) fn publish(
        &mut self,
        publication: u64,
        contacts: Vec<(Box<str>, bool, Option<u32>)>,
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
        for (uri, is_active, expires) in contacts {
            if is_active && expires != Some(0) {
                let expires = expires.map(|seconds| Duration::from_secs(seconds.into()));
                let until = expires.and_then(|expires| now.checked_add(expires));
                self.add(Teller::Publication(publication), uri, until, now);
            } else {
                self.end_where(now, |registration| registration.contact.uri == uri);
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
    pub(crate) fn abandon(&mut self, publication: u64, now: Instant) {
        self.end_where(now, |registration| {
            registration.teller == Teller::Publication(publication)
        });
    }

    /// Drops what ended `grace` ago and more. Returns whether anything did.
    pub(crate) fn expire(&mut self, grace: Duration, now: Instant) -> bool {
        let is_due = self.next_expiry(grace).is_some_and(|next| next <= now);
        if is_due {
            self.end_where(now, |registration| {
                registration.until.is_some_and(|until| until + grace <= now)
            });
        }
        is_due
    }

    /// When [`Self::expire`] has something to do next.
    pub(crate) fn next_expiry(&self, grace: Duration) -> Option<Instant> {
        let ends = self.registrations.iter().filter_map(|one| one.until);
        ends.min().map(|until| until + grace)
    }

    fn add(&mut self, teller: Teller, uri: Box<str>, until: Option<Instant>, now: Instant) {
        let known = self.registrations.iter_mut();
        if let Some(known) = known.into_iter().find(|known| known.contact.uri == uri) {
            let is_shortened = match (known.until, until) {
                (Some(before), Some(until)) => until < before,
                (before, until) => before.is_none() && until.is_some(),
            };
            known.contact.event = if is_shortened {
                ContactEvent::Shortened
            } else {
                ContactEvent::Refreshed
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

    fn end_where(&mut self, now: Instant, is_over: impl Fn(&Registration) -> bool) {
        let before = self.registrations.len();
        self.registrations
            .retain(|registration| !is_over(registration));
        if self.registrations.is_empty() && before > 0 {
            self.empty_since = Some(now);
        }
    }
}
