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
//!
//! The cache knows only hashes, so a name counts as a whole, however long it is. For the operator, who
//! lists lockouts and lifts them, the last [`LISTED_MAX`] that began are kept by name; of a long name, its
//! beginning and a hash are kept, by which it can be lifted too.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use crate::presence::fixed_hash::SipHash13;
use crate::shard::contract::lockout::{Lifted, LockoutScope};
use crate::shard::contract::overload_options::OverloadOptions;
use crate::shard::overload::expiring_cache::{ExpiringCache, Slot};
use crate::shard::overload::rate_limit::network_of;

/// The longest lockout.
pub const LOCKOUT_MAX: Duration = Duration::from_secs(900);

/// How long a failure counts, and how long after a lockout the next one is doubled.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// How long a successful authentication protects its sender.
const PROVED: Duration = Duration::from_secs(24 * 3600);

/// Lockouts that are listed by name; beyond it the one that ends first is listed no more.
pub const LISTED_MAX: usize = 256;
/// Characters of a user or a realm in the list. Of a longer one, the first are followed by a hash.
const NAME_CHARACTERS_MAX: usize = 128;
/// Characters of that hash: SipHash-1-3 with the key 0 in hexadecimal digits, after a dot.
const HASH_CHARACTERS: usize = 17;

/// A lockout by name.
#[derive(Clone, Debug)]
struct Listed {
    scope: LockoutScope,
    key: u64,
}

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
    listed: Vec<Listed>,
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
            listed: Vec::new(),
        }
    }

    /// Ends all lockouts, because passwords may have changed.
    pub fn forget(&mut self) {
        self.generation += 1;
        self.listed.clear();
    }

    /// The lockouts that are in force at `at`, with the time that each has left.
    #[must_use]
    pub fn list(&self, at: u64) -> Vec<(LockoutScope, Duration)> {
        let left = |listed: &Listed| {
            let until = self.locked_until(listed.key).filter(|until| *until > at)?;
            Some((listed.scope.clone(), Duration::from_nanos(until - at)))
        };
        self.listed.iter().filter_map(left).collect()
    }

    /// Lifts lockouts that are listed, or all, and forgets the failures that led to them. How many of
    /// those listed were in force.
    pub fn lift(&mut self, lifted: &Lifted, at: u64) -> usize {
        let is_lifted = |listed: &mut Listed| covers(lifted, &listed.scope);
        let found: Vec<Listed> = self.listed.extract_if(.., is_lifted).collect();
        let until = |listed: &Listed| self.locked_until(listed.key);
        let in_force = found.iter().filter_map(until).filter(|until| *until > at);
        let count = in_force.count();
        for listed in found {
            *self.failures.claim(listed.key) = Slot::default();
        }
        match lifted {
            Lifted::All => self.failures.clear(),
            Lifted::Address(address) => self.forget_failures((1, network_of(*address))),
            Lifted::Account(account) => {
                let (user, realm) = account.rsplit_once('@').unwrap_or((account, ""));
                self.forget_failures((2, (realm, user)));
            }
        }
        count
    }

    /// Forgets what does not lock out yet.
    fn forget_failures(&mut self, what: impl Hash) {
        *self.failures.claim(self.key(what)) = Slot::default();
    }

    fn locked_until(&self, key: u64) -> Option<u64> {
        self.failures.find(key).map(|slot| slot.value.locked_until)
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

    /// Records wrong credentials of that attempt, by its names. True if a lockout begins.
    pub fn failed(
        &mut self,
        attempt: &Attempt,
        (address, realm, user): (IpAddr, &str, &str),
        at: u64,
    ) -> bool {
        let [account_there, sender, account] = attempt.keys;
        let [per_account_there, _, per_account] = self.failures_max;
        let known = self.failures.find(account_there);
        let is_notorious = known.is_some_and(|slot| slot.until > at && slot.value.lockouts > 0);
        let address = Some(first_of_network(address));
        let name = || Some(account_name(realm, user));
        let mut begins = false;
        if self.count(account_there, per_account_there, at) {
            begins = true;
            let account = name();
            self.list_one(account_there, LockoutScope { address, account });
        }
        let per_sender = self.sender_failures_max(sender, at);
        if !is_notorious && self.count(sender, per_sender, at) {
            begins = true;
            let account = None;
            self.list_one(sender, LockoutScope { address, account });
        }
        if self.count(account, per_account, at) {
            begins = true;
            let scope = LockoutScope {
                address: None,
                account: name(),
            };
            self.list_one(account, scope);
        }
        begins
    }

    /// Lists a lockout that begins.
    fn list_one(&mut self, key: u64, scope: LockoutScope) {
        self.listed.retain(|listed| listed.key != key);
        if self.listed.len() >= LISTED_MAX {
            let places = 0..self.listed.len();
            let first = places.min_by_key(|place| self.locked_until(self.listed[*place].key));
            self.listed.swap_remove(first.unwrap_or(0));
        }
        self.listed.push(Listed { scope, key });
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

/// Whether that one is lifted.
fn covers(lifted: &Lifted, scope: &LockoutScope) -> bool {
    match lifted {
        Lifted::All => true,
        Lifted::Address(address) => scope.address == Some(first_of_network(*address)),
        Lifted::Account(account) => {
            let listed = || {
                let (user, realm) = account.rsplit_once('@')?;
                Some(account_name(realm, user))
            };
            scope.account.as_ref() == Some(account) || scope.account == listed()
        }
    }
}

/// The IPv4 address, or the first of the IPv6 /64.
fn first_of_network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

/// `user@realm`, both of a length that can be listed.
fn account_name(realm: &str, user: &str) -> Box<str> {
    format!("{}@{}", listable(user), listable(realm)).into()
}

/// A name if it is short, otherwise its beginning and a hash of the whole, so that two long names that begin
/// alike are two.
fn listable(name: &str) -> Cow<'_, str> {
    if name.chars().nth(NAME_CHARACTERS_MAX).is_none() {
        return Cow::Borrowed(name);
    }
    let cut = name.chars().take(NAME_CHARACTERS_MAX - HASH_CHARACTERS);
    let hash = SipHash13::of(name.as_bytes());
    Cow::Owned(format!("{}.{hash:016x}", cut.collect::<String>()))
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
            lockouts.failed(&attempt, (ip.parse().unwrap(), "abc.com", user), at);
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
            let names = ("192.0.2.1".parse().unwrap(), "abc.com", "100");
            lockouts.failed(&phone, names, SECOND);
        }
        assert!(!lockouts.is_locked_out(&phone, 2 * SECOND));
        let neighbour = lockouts.attempt("192.0.2.1".parse().unwrap(), "abc.com", "105");
        assert!(lockouts.is_locked_out(&neighbour, 2 * SECOND));
        // A reload may have changed passwords.
        lockouts.forget();
        let neighbour = lockouts.attempt("192.0.2.1".parse().unwrap(), "abc.com", "105");
        assert!(!lockouts.is_locked_out(&neighbour, 2 * SECOND));
    }

    #[test]
    fn lockouts_are_listed_and_lifted() {
        let mut lockouts = lockouts();
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        assert_eq!(guess(&mut lockouts, "192.0.2.1", "100", 0), 3);
        assert_eq!(guess(&mut lockouts, "192.0.2.1", "101", 0), 3);
        assert_eq!(guess(&mut lockouts, "2001:db8::7", "100", 0), 3);
        let list = |lockouts: &Lockouts, at| {
            let named = lockouts.list(at).into_iter().map(|(scope, left)| {
                let address = scope.address.map(|address| address.to_string());
                (
                    address.unwrap_or_default(),
                    scope.account.unwrap(),
                    left.as_secs(),
                )
            });
            named.collect::<Vec<_>>()
        };
        let expected = [
            ("192.0.2.1".to_owned(), "100@abc.com".into(), 20),
            ("192.0.2.1".to_owned(), "101@abc.com".into(), 20),
            ("2001:db8::".to_owned(), "100@abc.com".into(), 20),
        ];
        assert_eq!(list(&lockouts, 10 * SECOND), expected);
        assert_eq!(
            lockouts.lift(&Lifted::Account("100@abc.com".into()), SECOND),
            2
        );
        assert_eq!(list(&lockouts, 10 * SECOND), expected[1..2]);
        assert_eq!(guess(&mut lockouts, "192.0.2.1", "100", SECOND), 3);
        assert_eq!(lockouts.lift(&Lifted::Address(address), SECOND), 2);
        assert_eq!(guess(&mut lockouts, "192.0.2.1", "101", SECOND), 3);
        // Those that have ended are not listed.
        assert_eq!(list(&lockouts, 60 * SECOND), []);
        assert_eq!(lockouts.lift(&Lifted::All, 60 * SECOND), 0);
    }

    #[test]
    fn long_names_that_begin_alike_are_locked_out_and_lifted_each_by_itself() {
        let mut lockouts = lockouts();
        lockouts.failures_max = [3, 1_000, 1_000];
        let long = "\u{fc}".repeat(NAME_CHARACTERS_MAX);
        let [first, second] = ["1", "2"].map(|end| format!("{long}{end}"));
        assert_eq!(guess(&mut lockouts, "192.0.2.1", &first, 0), 3);
        assert_eq!(guess(&mut lockouts, "192.0.2.1", &first, 0), 0);
        assert_eq!(guess(&mut lockouts, "192.0.2.1", &second, 0), 3);
        let list = |lockouts: &Lockouts| -> Vec<String> {
            let accounts = lockouts.list(SECOND).into_iter();
            let accounts = accounts.filter_map(|(scope, _)| scope.account);
            accounts.map(String::from).collect()
        };
        let listed = list(&lockouts);
        let shown = format!("{}.afd377a4a24208d1@abc.com", &long[..2 * 111]);
        assert_eq!((listed.len(), &listed[0]), (2, &shown));
        assert_ne!(listed[0], listed[1]);
        // By its name, or as it is listed.
        for (user, account) in [
            (&first, format!("{first}@abc.com")),
            (&second, listed[1].clone()),
        ] {
            let lifted = Lifted::Account(account.as_str().into());
            assert_eq!(lockouts.lift(&lifted, SECOND), 1);
            assert_eq!(lockouts.lift(&lifted, SECOND), 0);
            assert_eq!(guess(&mut lockouts, "192.0.2.1", user, SECOND), 3);
        }
    }

    #[test]
    fn the_list_is_bounded() {
        let mut lockouts = lockouts();
        let long = "\u{fc}".repeat(1000);
        for user in 0..1000 {
            let ip = format!("192.0.{}.{}", user / 250, user % 250);
            guess(
                &mut lockouts,
                &ip,
                &format!("{user}{long}"),
                user * SECOND / 100,
            );
        }
        assert_eq!(lockouts.listed.len(), LISTED_MAX);
        let names = lockouts
            .list(0)
            .into_iter()
            .filter_map(|(scope, _)| scope.account);
        let is_short = |name: Box<str>| name.chars().count() <= 2 * NAME_CHARACTERS_MAX + 1;
        assert!(names.into_iter().all(is_short));
        assert_eq!(lockouts.lift(&Lifted::All, 0), LISTED_MAX);
        assert!(lockouts.listed.is_empty());
    }
}
