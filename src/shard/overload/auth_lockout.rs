//! Lockout after wrong credentials, which slows down password guessing (RFC 7616 §5; W:E3.9).
//!
//! Failures are counted by sender and account, by sender, and by account. Beyond a limit,
//! credentials are not checked for a lockout time that doubles with each further lockout, up to
//! [`LOCKOUT_MAX`].
//!
//! A sender is an IPv4 address or an IPv6 /64. A sender that authenticated as an account within the
//! last day is not locked out of that account, whatever others do: a guesser behind its NAT, a
//! guesser elsewhere, or one that forges its address does not stop a phone.
//!
//! An office behind one address is not locked out by a phone with a wrong password: what an account
//! fails counts for its sender only until the first lockout of that account there, and each account
//! that the sender authenticated within a day gives it as many failures more as one account has.
//!
//! Memory is fixed (`ExpiringCache`). Each shard has its own lockouts and HTTP has one, so the
//! limits apply to each of them. Exemptions are the caller's.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::time::Duration;

use crate::shard::contract::overload_options::OverloadOptions;
use crate::shard::overload::expiring_cache::ExpiringCache;
use crate::shard::overload::rate_limit::network_of;

/// The longest lockout.
pub const LOCKOUT_MAX: Duration = Duration::from_secs(900);

/// How long a failure counts, and how long after a lockout the next one is doubled.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// How long a successful authentication protects its sender.
const PROVED: Duration = Duration::from_secs(24 * 3600);

/// One authentication attempt.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// Keys of (sender and account), sender, account.
    keys: [u64; 3],
}

#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    count: u32,
    lockouts: u32,
    /// Nanoseconds since the epoch.
    locked_until: u64,
}

/// Failures and successes by sender and account.
#[derive(Debug)]
pub struct Lockouts {
    /// Initialised with the secret; cloned for every key.
    hasher: DefaultHasher,
    /// Incremented by a reload and part of every key, so earlier failures are not found.
    generation: u64,
    failures: ExpiringCache<Failures>,
    /// Of (sender and account): when it authenticated. Of a sender: how many accounts did.
    proved: ExpiringCache<u32>,
    /// Limits for (sender and account), sender, account.
    failures_max: [u32; 3],
    first_lockout: Duration,
}

impl Lockouts {
    /// No failures yet. `secret` keys the hashes.
    #[must_use]
    pub fn new(options: &OverloadOptions, secret: u64) -> Self {
        let mut hasher = DefaultHasher::new();
        secret.hash(&mut hasher);
        Self {
            hasher,
            generation: 0,
            failures: ExpiringCache::new(options.buckets_max),
            proved: ExpiringCache::new(options.buckets_max),
            failures_max: [
                options.wrong_max,
                options.wrong_per_address_max,
                options.wrong_per_account_max,
            ],
            first_lockout: options.cool_down,
        }
    }

    /// Ends all lockouts, because passwords may have changed.
    pub fn forget(&mut self) {
        self.generation += 1;
    }

    /// The attempt of `address` to authenticate as `user` in `realm`.
    #[must_use]
    pub fn attempt(&self, address: IpAddr, realm: &str, user: &str) -> Attempt {
        let sender = network_of(address);
        let account = (realm, user);
        Attempt {
            keys: [
                self.key((0, sender, account)),
                self.key((1, sender)),
                self.key((2, account)),
            ],
        }
    }

    /// Whether the attempt is locked out at `at`, in nanoseconds since the epoch. If so, do not
    /// check its credentials.
    #[must_use]
    pub fn is_locked_out(&self, attempt: &Attempt, at: u64) -> bool {
        let is_locked = |key: &u64| {
            let slot = self.failures.find(*key);
            slot.is_some_and(|slot| slot.value.locked_until > at)
        };
        let proof = self.proved.find(attempt.keys[0]);
        attempt.keys.iter().any(is_locked) && proof.is_none_or(|proof| proof.until <= at)
    }

    /// Records correct credentials.
    pub fn succeeded(&mut self, attempt: &Attempt, at: u64) {
        let [account_there, sender, _] = attempt.keys;
        let proof = self.proved.claim(account_there);
        let is_first = proof.until <= at;
        proof.until = at + nanos(PROVED);
        self.failures.claim(account_there).until = 0;
        if is_first {
            let accounts = self.proved.claim(sender);
            if accounts.until <= at {
                accounts.value = 0;
            }
            accounts.value = accounts.value.saturating_add(1);
            accounts.until = at + nanos(PROVED);
        }
    }

    /// How many failures lock out a sender: more, the more accounts authenticated there.
    fn sender_failures_max(&self, sender: u64, at: u64) -> u32 {
        let [per_account, per_sender, _] = self.failures_max;
        let accounts = self.proved.find(sender).filter(|slot| slot.until > at);
        let accounts = accounts.map_or(0, |slot| slot.value);
        per_sender.saturating_add(accounts.saturating_mul(per_account))
    }

    /// Records wrong credentials. True if a lockout begins.
    pub fn failed(&mut self, attempt: &Attempt, at: u64) -> bool {
        let [account_there, sender, account] = attempt.keys;
        let [per_account_there, _, per_account] = self.failures_max;
        let known = self.failures.find(account_there);
        let is_notorious = known.is_some_and(|slot| slot.until > at && slot.value.lockouts > 0);
        let mut begins = self.count(account_there, per_account_there, at);
        if !is_notorious {
            begins |= self.count(sender, self.sender_failures_max(sender, at), at);
        }
        begins | self.count(account, per_account, at)
    }

    /// Counts a failure. True if a lockout begins.
    fn count(&mut self, key: u64, failures_max: u32, at: u64) -> bool {
        let slot = self.failures.claim(key);
        if slot.until <= at {
            slot.value = Failures::default();
        }
        let failures = &mut slot.value;
        failures.count += 1;
        let begins = failures.count >= failures_max;
        if begins {
            let doubled = 1_u32.checked_shl(failures.lockouts).unwrap_or(u32::MAX);
            let lockout = self.first_lockout.saturating_mul(doubled).min(LOCKOUT_MAX);
            failures.locked_until = at + nanos(lockout);
            failures.lockouts += 1;
            failures.count = 0;
        }
        slot.until = slot.value.locked_until.max(at) + nanos(REMEMBERED);
        begins
    }

    fn key(&self, what: impl Hash) -> u64 {
        let mut hasher = self.hasher.clone();
        (self.generation, what).hash(&mut hasher);
        hasher.finish()
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX >> 1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// Three failures for one account, ten of an address, twenty for an account.
    fn lockouts() -> Lockouts {
        let options = OverloadOptions {
            wrong_max: 3,
            wrong_per_address_max: 10,
            wrong_per_account_max: 20,
            cool_down: Duration::from_secs(30),
            ..OverloadOptions::default()
        };
        Lockouts::new(&options, 7)
    }

    /// Guesses until it is locked out; how many were looked at.
    fn guess(lockouts: &mut Lockouts, ip: &str, user: &str, at: u64) -> u32 {
        let attempt = lockouts.attempt(ip.parse().unwrap(), "abc.com", user);
        let mut looked_at = 0;
        while !lockouts.is_locked_out(&attempt, at) && looked_at < 1_000 {
            lockouts.failed(&attempt, at);
            looked_at += 1;
        }
        looked_at
    }

    #[test]
    fn lockouts_of_one_account_double() {
        let mut lockouts = lockouts();
        lockouts.failures_max = [3, 1_000, 1_000];
        let mut at = 0;
        for lockout in [30, 60, 120, 240, 480, 900, 900] {
            assert_eq!(guess(&mut lockouts, "192.0.2.1", "100", at), 3, "at {at}");
            assert_eq!(
                guess(
                    &mut lockouts,
                    "192.0.2.1",
                    "100",
                    at + (lockout - 1) * SECOND
                ),
                0
            );
            at += lockout * SECOND;
        }
        // After a quiet hour, counting begins at zero.
        at += 2 * 3600 * SECOND;
        assert_eq!(guess(&mut lockouts, "192.0.2.1", "100", at), 3);
        assert_eq!(
            guess(&mut lockouts, "192.0.2.1", "100", at + 30 * SECOND),
            3
        );
    }

    #[test]
    fn an_address_that_tries_many_accounts_is_locked_out_of_all() {
        let mut lockouts = lockouts();
        let guesses = |lockouts: &mut Lockouts, host: u32| -> u32 {
            let ip = format!("2001:db8::{host}");
            (0..100)
                .map(|user| guess(lockouts, &ip, &user.to_string(), 0))
                .sum()
        };
        assert_eq!(guesses(&mut lockouts, 1), 10);
        assert_eq!(guesses(&mut lockouts, 2), 0, "a /64 is one sender");
        assert_eq!(guess(&mut lockouts, "192.0.2.9", "100", 0), 3);
    }

    #[test]
    fn an_account_guessed_from_many_addresses_is_locked() {
        let mut lockouts = lockouts();
        let guesses: u32 = (1..100)
            .map(|host| guess(&mut lockouts, &format!("192.0.2.{host}"), "100", 0))
            .sum();
        assert_eq!(guesses, 20);
    }

    /// Phones with wrong passwords behind the NAT of an office, all day: those that are switched on later
    /// still authenticate. Without a phone that is right, many accounts that are wrong lock the sender out.
    #[test]
    fn wrong_phones_of_an_office_do_not_lock_out_the_others() {
        for (right, are_locked_out) in [(200, false), (0, true)] {
            let mut lockouts = lockouts();
            let attempt = |lockouts: &Lockouts, user: &str| {
                lockouts.attempt("192.0.2.1".parse().unwrap(), "abc.com", user)
            };
            for user in 0..right {
                let phone = attempt(&lockouts, &format!("right{user}"));
                lockouts.succeeded(&phone, 0);
                lockouts.succeeded(&phone, 0);
            }
            for minute in 1..600 {
                for user in 0..6 {
                    let user = format!("wrong{user}");
                    guess(&mut lockouts, "192.0.2.1", &user, minute * 60 * SECOND);
                }
                let late = attempt(&lockouts, &format!("late{minute}"));
                if lockouts.is_locked_out(&late, minute * 60 * SECOND) {
                    assert!(are_locked_out, "minute {minute}");
                    return;
                }
            }
            assert!(!are_locked_out);
        }
    }

    /// One phone with a wrong password locks out itself alone, however long it tries.
    #[test]
    fn one_wrong_phone_does_not_lock_out_its_address() {
        let mut lockouts = lockouts();
        for minute in 0..600 {
            let at = minute * 60 * SECOND;
            guess(&mut lockouts, "192.0.2.1", "wrong", at);
            let other = lockouts.attempt("192.0.2.1".parse().unwrap(), "abc.com", "other");
            assert!(!lockouts.is_locked_out(&other, at), "minute {minute}");
        }
    }

    #[test]
    fn a_recently_authenticated_address_is_never_locked_out() {
        let mut lockouts = lockouts();
        let phone = lockouts.attempt("192.0.2.1".parse().unwrap(), "abc.com", "100");
        lockouts.succeeded(&phone, 0);
        // A neighbour behind the same NAT, guessers elsewhere, and one that forges its address.
        for user in ["101", "102", "103", "104"] {
            guess(&mut lockouts, "192.0.2.1", user, SECOND);
        }
        for host in 2..100 {
            guess(&mut lockouts, &format!("192.0.2.{host}"), "100", SECOND);
        }
        for _ in 0..100 {
            lockouts.failed(&phone, SECOND);
        }
        assert!(!lockouts.is_locked_out(&phone, 2 * SECOND));
        let neighbour = lockouts.attempt("192.0.2.1".parse().unwrap(), "abc.com", "105");
        assert!(lockouts.is_locked_out(&neighbour, 2 * SECOND));
        // A reload may have changed passwords.
        lockouts.forget();
        let neighbour = lockouts.attempt("192.0.2.1".parse().unwrap(), "abc.com", "105");
        assert!(!lockouts.is_locked_out(&neighbour, 2 * SECOND));
    }
}
