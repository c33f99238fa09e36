//! Failed authentication at the public pages, for `lamplighter refusals`.
//!
//! A table of fixed size: the least recently seen failure is evicted. All attempts of an address
//! that is locked out share one row.

use std::net::IpAddr;
use std::time::Instant;

use hyper::StatusCode;

/// Failures listed.
const FAILURES_MAX: usize = 256;
/// Maximum characters kept of a client-supplied string.
const TEXT_CHARACTERS_MAX: usize = 256;

/// Who tries to prove what, as the client says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim<'c> {
    /// The page that asks for it.
    pub(crate) page: &'static str,
    /// Its response to a wrong proof.
    pub(crate) refusal: StatusCode,
    pub(crate) peer: IpAddr,
    /// The domain.
    pub(crate) realm: &'c str,
    pub(crate) user: &'c str,
}

/// Failures of one address and, unless it is locked out, of one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FailedAttempt {
    /// The page in the latest.
    pub(crate) page: &'static str,
    pub(crate) peer: IpAddr,
    /// The domain in the latest.
    pub(crate) realm: String,
    /// The user in the latest.
    pub(crate) user: String,
    pub(crate) status: StatusCode,
    pub(crate) count: u64,
    pub(crate) latest: Instant,
}

/// The table.
#[derive(Debug, Default)]
pub(crate) struct FailedAttempts(Vec<FailedAttempt>);

impl FailedAttempts {
    /// Takes note of a failure: a wrong password, or a lockout.
    pub(crate) fn note(&mut self, claim: Claim<'_>, status: StatusCode, now: Instant) {
        let Claim { page, peer, .. } = claim;
        let (realm, user) = (cut(claim.realm), cut(claim.user));
        let is_any_user = status == StatusCode::TOO_MANY_REQUESTS;
        let is_known = |it: &&mut FailedAttempt| {
            let is_user = is_any_user || it.realm == realm && it.user == user;
            it.peer == peer && it.status == status && is_user
        };
        let known = self.0.iter_mut().find(is_known);
        let count = known.as_ref().map_or(0, |it| it.count) + 1;
        let latest = FailedAttempt {
            page,
            peer,
            realm: realm.to_owned(),
            user: user.to_owned(),
            status,
            count,
            latest: now,
        };
        match known {
            Some(known) => *known = latest,
            None => self.insert(latest),
        }
    }

    fn insert(&mut self, attempt: FailedAttempt) {
        if self.0.len() >= FAILURES_MAX {
            let places = self.0.iter().enumerate();
            let oldest = places.min_by_key(|(_, attempt)| attempt.latest);
            self.0.swap_remove(oldest.map_or(0, |(place, _)| place));
        }
        self.0.push(attempt);
    }

    /// All that are listed.
    pub(crate) fn list(&self) -> Vec<FailedAttempt> {
        self.0.clone()
    }
}

fn cut(text: &str) -> &str {
    let end = text.char_indices().nth(TEXT_CHARACTERS_MAX);
    &text[..end.map_or(text.len(), |(end, _)| end)]
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    /// `host` is the last octet of the address.
    fn note(failures: &mut FailedAttempts, host: u8, user: &str, status: StatusCode, at: Instant) {
        let claim = Claim {
            page: "page",
            refusal: StatusCode::FORBIDDEN,
            peer: Ipv4Addr::new(10, 0, 0, host).into(),
            realm: "abc.com",
            user,
        };
        failures.note(claim, status, at);
    }

    #[test]
    fn failures_are_counted_by_user_and_unchecked_attempts_by_address() {
        let (wrong, unseen) = (StatusCode::FORBIDDEN, StatusCode::TOO_MANY_REQUESTS);
        let now = Instant::now();
        let mut failures = FailedAttempts::default();
        for (host, user, status) in [
            (1, "123", wrong),
            (1, "123", wrong),
            (1, "124", wrong),
            (2, "123", wrong),
            (1, "123", unseen),
            (1, "125", unseen),
        ] {
            note(&mut failures, host, user, status, now);
        }
        let rows = failures.list();
        let rows: Vec<_> = rows.iter().map(|it| (&*it.user, it.count)).collect();
        assert_eq!(rows, [("123", 2), ("124", 1), ("123", 1), ("125", 2)]);
    }

    #[test]
    fn the_table_does_not_grow_and_keeps_the_latest() {
        let now = Instant::now();
        let mut failures = FailedAttempts::default();
        for number in 0..1000 {
            let at = now + Duration::from_millis(number);
            let wrong = StatusCode::FORBIDDEN;
            note(&mut failures, 1, &number.to_string(), wrong, at);
            let long = "\u{fc}".repeat(300) + &number.to_string();
            note(&mut failures, 1, &long, wrong, at);
        }
        let rows = failures.list();
        assert_eq!(rows.len(), FAILURES_MAX);
        assert!(
            rows.iter()
                .all(|it| it.user.chars().count() <= TEXT_CHARACTERS_MAX)
        );
        let long = rows
            .iter()
            .find(|it| it.user.len() == 2 * TEXT_CHARACTERS_MAX);
        assert_eq!(long.map(|it| it.count), Some(1000));
        assert!(rows.iter().any(|it| it.user.ends_with("999")));
        assert!(!rows.iter().any(|it| it.user.ends_with("744")));
    }
}
