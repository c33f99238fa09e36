//! Feeds: how the JSON that a PBX sends by HTTP is read as reports of state.

use crate::directory::Directory;

/// What a report means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The user's phone rings.
    Ringing,
    /// The user is in a call.
    Busy,
    /// The user is in no call.
    Idle,
    /// The user wants no calls.
    DoNotDisturb,
    /// The user is available: neither away nor do-not-disturb.
    Available,
    /// The user is away.
    Away,
}

/// A feed. Its pointers are JSON pointers (RFC 6901); a string on the path that holds JSON is parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    /// Its name, which is in its path.
    pub name: Box<str>,
    /// The domain of its users, by its own name.
    pub domain: Box<str>,
    /// The events in a body: a list, or one. Empty for the body itself.
    pub events: Box<str>,
    /// The user in an event.
    pub user: Box<str>,
    /// The state in an event.
    pub state: Box<str>,
    /// The number or URI of the other party in an event; None if there is none.
    pub party: Option<Box<str>>,
    /// What the states mean, in lower case. Events with other states are ignored.
    pub meanings: Vec<(Box<str>, Meaning)>,
}

impl Feed {
    /// The meaning of a state, in upper or lower case; None if the feed does not list it.
    #[must_use]
    pub fn meaning(&self, state: &str) -> Option<Meaning> {
        let state = state.to_lowercase();
        let mut meanings = self.meanings.iter();
        let found = meanings.find(|(known, _)| **known == *state);
        found.map(|(_, meaning)| *meaning)
    }
}

impl Directory {
    /// Sets the feeds. Their names differ.
    pub fn set_feeds(&mut self, feeds: Vec<Feed>) {
        self.feeds = feeds.into();
    }

    /// The feed with a name.
    #[must_use]
    pub fn feed(&self, name: &str) -> Option<&Feed> {
        self.feeds.iter().find(|feed| *feed.name == *name)
    }
}
