//! The address of record: the key of a presentity, `user@domain` (RFC 3261 §19.1.4). And whose data an erasure is about.

use std::fmt;
use std::sync::Arc;

use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// A presentity's canonical name: the user with escapes resolved (case kept), `@`, the domain in
/// lower case with aliases resolved. URIs that mean the same presentity give the same `Aor`. A clone
/// shares the text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Aor(Arc<str>);

impl Aor {
    /// Makes it from an unescaped user and a canonical domain.
    #[must_use]
    pub fn new(user: &str, domain: &str) -> Self {
        let mut key = String::with_capacity(user.len() + 1 + domain.len());
        key.push_str(user);
        Self::at(key, domain)
    }

    /// Makes it from an unescaped user, whose memory is used, and a canonical domain.
    #[must_use]
    pub fn at(mut user: String, domain: &str) -> Self {
        user.push('@');
        user.push_str(domain);
        Self(user.into())
    }

    /// Parses `user@domain`; None if there is no `@` or one side is empty.
    #[must_use]
    pub fn from_key(key: &str) -> Option<Self> {
        let (user, domain) = parts_of(key)?;
        (!user.is_empty() && !domain.is_empty()).then(|| Self(key.into()))
    }

    /// `user@domain`
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the last `@`.
    #[must_use]
    pub fn user(&self) -> &str {
        parts_of(&self.0).map_or(&*self.0, |(user, _)| user)
    }

    /// The part after the last `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        parts_of(&self.0).map_or("", |(_, domain)| domain)
    }
}

/// What is before and after the last `@`; None without one. As [`str::rsplit_once`], but for short texts
/// in a fraction of its time.
#[inline]
fn parts_of(key: &str) -> Option<(&str, &str)> {
    let at = key.bytes().rposition(|octet| octet == b'@')?;
    Some((key.get(..at)?, key.get(at + 1..)?))
}

/// The address in a URI, without its scheme, its parameters and its headers.
pub(crate) fn address_of(uri: &str) -> &str {
    let address = uri.split_once(':').map_or(uri, |(_, address)| address);
    address.split([';', '?', '>']).next().unwrap_or_default()
}

impl Aor {
    /// Whether a party of a call, `sip:123@abc.com;user=phone` or `123@abc.com`, is this address.
    #[must_use]
    pub fn is_party(&self, party: &str) -> bool {
        address_of(party)
            .rsplit_once('@')
            .is_some_and(|(user, domain)| {
                user == self.user() && domain.eq_ignore_ascii_case(self.domain())
            })
    }
}

/// Whose data an erasure is about: one person, or all people of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataSubject {
    /// The person with that address.
    Person(Aor),
    /// Everyone in the domain of that name, its own one.
    Domain(Box<str>),
}

impl DataSubject {
    /// Whether the data of an address is erased.
    #[must_use]
    pub fn has(&self, aor: &Aor) -> bool {
        match self {
            Self::Person(person) => person == aor,
            Self::Domain(domain) => aor.domain() == &**domain,
        }
    }

    /// Whether a party of a call, `sip:123@abc.com;user=phone` or `123@abc.com`, is erased.
    #[must_use]
    pub fn is_party(&self, party: &str) -> bool {
        match self {
            Self::Person(person) => person.is_party(party),
            Self::Domain(domain) => address_of(party)
                .rsplit_once('@')
                .is_some_and(|(_, of)| of.eq_ignore_ascii_case(domain)),
        }
    }
}

impl<'de> Deserialize<'de> for Aor {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(KeyVisitor)
    }
}

/// Reads the key of an [`Aor`] where it is, without a copy.
struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = Aor;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an address of record, user@domain")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<Aor, E> {
        Aor::from_key(key).ok_or_else(|| E::invalid_value(Unexpected::Str(key), &self))
    }
}

impl fmt::Display for Aor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_has_its_people_and_no_others() {
        let domain = DataSubject::Domain("abc.com".into());
        let person = DataSubject::Person(Aor::new("1", "abc.com"));
        let has = |aor: &Aor| [&domain, &person].map(|subject| subject.has(aor));
        assert_eq!(has(&Aor::new("1", "abc.com")), [true, true]);
        assert_eq!(has(&Aor::new("2", "abc.com")), [true, false]);
        assert_eq!(has(&Aor::new("1", "xabc.com")), [false, false]);
        let is_party = |uri| [&domain, &person].map(|subject| subject.is_party(uri));
        assert_eq!(is_party("sip:1@ABC.com;user=phone"), [true, true]);
        assert_eq!(is_party("2@abc.com"), [true, false]);
        assert_eq!(is_party("sip:abc.com@other.example"), [false, false]);
        assert_eq!(is_party("tel:1"), [false, false]);
    }
}
