//! The accounts used for authentication: the last challenge of each, and how often it was used.

use std::collections::BTreeMap;

use crate::swarm::key::UserKey;
use crate::swarm::pace::Random;
use crate::swarm::plan::Plan;
use crate::wire::digest::{Challenge, Credentials};

/// One account shared by all users, or one per user.
#[derive(Debug)]
pub(super) struct Accounts {
    shared: Option<String>,
    /// The password of the shared account, or of every user.
    password: Option<String>,
    /// By user; None is the shared account.
    logins: BTreeMap<Option<UserKey>, Login>,
}

/// The parts of a request that a digest covers.
pub(super) struct Protected<'a> {
    pub(super) user: UserKey,
    /// The user's account name.
    pub(super) account: &'a str,
    pub(super) method: &'a str,
    pub(super) uri: &'a str,
}

#[derive(Clone, Debug)]
struct Login {
    challenge: Challenge,
    /// The nonce count of the last credentials.
    count: u32,
}

impl Accounts {
    pub(super) const fn new(shared: Option<String>, password: Option<String>) -> Self {
        Self {
            shared,
            password,
            logins: BTreeMap::new(),
        }
    }

    /// Returns whether there is a password, so that challenges can be handled.
    pub(super) const fn have_password(&self) -> bool {
        self.password.is_some()
    }

    /// The name of a user's account, which is also the user part of From.
    pub(super) fn name(&self, user: UserKey, plan: &Plan) -> String {
        let shared = self.shared.clone();
        shared.unwrap_or_else(|| plan.user_name(user))
    }

    /// Stores a challenge for all later requests.
    pub(super) fn take_challenge(&mut self, user: UserKey, challenge: Challenge) {
        let login = Login {
            challenge,
            count: 0,
        };
        self.logins.insert(self.key(user), login);
    }

    /// The Authorization line; empty before the first challenge.
    pub(super) fn authorization(&mut self, request: &Protected<'_>, random: &mut Random) -> String {
        let key = self.key(request.user);
        let client_nonce = format!("{:x}", random.next());
        let Some(login) = self.logins.get_mut(&key) else {
            return String::new();
        };
        login.count += 1;
        let credentials = Credentials {
            username: request.account,
            password: self.password.as_deref().unwrap_or(""),
        };
        let (method, uri, count) = (request.method, request.uri, login.count);
        login
            .challenge
            .authorization(credentials, method, uri, &client_nonce, count)
    }

    fn key(&self, user: UserKey) -> Option<UserKey> {
        self.shared.is_none().then_some(user)
    }
}
