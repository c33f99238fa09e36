//! Passwords and tokens tried at the public pages (RFC 7616 §5). After too many wrong ones an address is
//! locked out: it gets 429 and its passwords are not checked, as in SIP
//! (`shard::overload::auth_lockout`). Failures are counted, listed by `lamplighter refusals`, and
//! logged in a line that names address and user, so that a tool that reads logs can block the
//! address.

use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use hyper::StatusCode;

use crate::directory::Directory;
use crate::http::failed_attempts::{Claim, FailedAttempt, FailedAttempts};
use crate::shard::contract::lockout::{Lifted, LockoutReport};
use crate::shard::contract::overload_options::OverloadOptions;
use crate::shard::overload::auth_lockout::{Attempt, Lockouts};
use crate::telemetry::Throttle;

/// The least time between two lines about wrong passwords.
const LOG_INTERVAL: Duration = Duration::from_millis(100);

/// The address, or the user, is locked out after too many wrong passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LockedOut;

/// The attempts at all HTTP listeners of a node.
#[derive(Debug)]
pub(crate) struct Attempts {
    lockouts: RefCell<Lockouts>,
    /// The directory that was in force at the last attempt.
    directory: RefCell<Weak<Directory>>,
    log: RefCell<Throttle>,
    failures: RefCell<FailedAttempts>,
    options: OverloadOptions,
    started: Instant,
    wrong: Cell<u64>,
    refused: Cell<u64>,
}

impl Attempts {
    /// No attempt yet.
    pub(crate) fn new(options: OverloadOptions) -> Self {
        let secret = RandomState::new().hash_one(0);
        Self {
            lockouts: RefCell::new(Lockouts::new(&options, secret)),
            directory: RefCell::default(),
            log: RefCell::new(Throttle::new(LOG_INTERVAL)),
            failures: RefCell::default(),
            options,
            started: Instant::now(),
            wrong: Cell::new(0),
            refused: Cell::new(0),
        }
    }

    /// Starts an attempt; report its outcome to `Self::judged`. None when the address is exempt.
    ///
    /// # Errors
    /// [`LockedOut`] when the password must not be checked.
    pub(crate) fn begin(
        &self,
        claim: Claim<'_>,
        directory: &Arc<Directory>,
    ) -> Result<Option<Attempt>, LockedOut> {
        self.forget_if_changed(directory);
        let Claim {
            peer, realm, user, ..
        } = claim;
        let domain = directory.domain(realm);
        let is_trusted = domain.is_some_and(|domain| domain.trusts(peer));
        let is_exempt = is_trusted || self.options.exempts(peer);
        if is_exempt {
            return Ok(None);
        }
        let lockouts = self.lockouts.borrow();
        let attempt = lockouts.attempt(peer, realm, user);
        if lockouts.is_locked_out(&attempt, self.now()) {
            self.refused.set(self.refused.get() + 1);
            self.list(claim, StatusCode::TOO_MANY_REQUESTS);
            return Err(LockedOut);
        }
        Ok(Some(attempt))
    }

    /// Records whether the password was correct.
    pub(crate) fn judged(&self, attempt: Option<&Attempt>, claim: Claim<'_>, is_right: bool) {
        let now = self.now();
        let mut lockouts = self.lockouts.borrow_mut();
        if is_right {
            if let Some(attempt) = attempt {
                lockouts.succeeded(attempt, now);
            }
            return;
        }
        self.wrong.set(self.wrong.get() + 1);
        self.list(claim, claim.refusal);
        let Claim {
            peer, realm, user, ..
        } = claim;
        let names = (peer, realm, user);
        let begins = attempt.is_some_and(|attempt| lockouts.failed(attempt, names, now));
        if self.log.borrow_mut().is_due(Instant::now()) {
            tracing::info!(
                address = %peer,
                user,
                via = "http",
                locked_out = begins,
                "authentication failed"
            );
        }
    }

    /// Ends all lockouts if passwords may have changed since the last attempt.
    fn forget_if_changed(&self, directory: &Arc<Directory>) {
        let mut known = self.directory.borrow_mut();
        if !std::ptr::eq(known.as_ptr(), Arc::as_ptr(directory)) {
            self.lockouts.borrow_mut().forget();
            *known = Arc::downgrade(directory);
        }
    }

    fn list(&self, claim: Claim<'_>, status: StatusCode) {
        let mut failures = self.failures.borrow_mut();
        failures.note(claim, status, Instant::now());
    }

    /// The lockouts in force.
    pub(crate) fn lockouts(&self) -> Vec<LockoutReport> {
        let listed = self.lockouts.borrow().list(self.now());
        let report = |(scope, remaining)| LockoutReport {
            shard: None,
            scope,
            remaining,
        };
        listed.into_iter().map(report).collect()
    }

    /// Lifts lockouts. How many were in force.
    pub(crate) fn lift(&self, lifted: &Lifted) -> usize {
        self.lockouts.borrow_mut().lift(lifted, self.now())
    }

    /// Recent failures.
    pub(crate) fn failures(&self) -> Vec<FailedAttempt> {
        self.failures.borrow().list()
    }

    /// Names and values for `/metrics`.
    pub(crate) fn counters(&self) -> [(&'static str, u64); 2] {
        [
            ("http_attempts_wrong", self.wrong.get()),
            ("http_attempts_refused", self.refused.get()),
        ]
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX >> 1)
    }
}
