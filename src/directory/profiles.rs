//! Which family a User-Agent is of (W:C): a table that is read from the top.

use std::sync::Arc;

use crate::directory::Directory;
use crate::presence::profile::Profile;

/// How a family calls itself in User-Agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentPattern {
    /// It begins so; case does not matter.
    Prefix(Box<[u8]>),
    /// It has this somewhere; case does not matter.
    Contains(Box<[u8]>),
}

impl AgentPattern {
    /// From `Yealink` or, with a star before it, `*-3PCC` for anywhere.
    #[must_use]
    pub fn new(text: &str) -> Self {
        match text.strip_prefix('*') {
            Some(part) => Self::Contains(part.as_bytes().into()),
            None => Self::Prefix(text.as_bytes().into()),
        }
    }

    fn matches(&self, agent: &[u8]) -> bool {
        match self {
            Self::Prefix(prefix) => agent
                .get(..prefix.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(prefix)),
            // No window is empty.
            Self::Contains(part) => agent
                .windows(part.len().max(1))
                .any(|window| window.eq_ignore_ascii_case(part)),
        }
    }
}

/// The table: who a profile is for, and the profile.
#[derive(Clone, Debug, Default)]
pub(crate) struct Profiles {
    table: Vec<(Vec<AgentPattern>, Arc<Profile>)>,
    /// For everybody else.
    generic: Arc<Profile>,
}

impl Directory {
    /// Replaces the table of profiles; the first that names a User-Agent is its. One called
    /// `generic` is for everybody whom no other names.
    pub fn set_profiles(&mut self, table: Vec<(Vec<AgentPattern>, Profile)>) {
        let table: Vec<_> = table
            .into_iter()
            .map(|(agents, profile)| (agents, Arc::new(profile)))
            .collect();
        let generic = table
            .iter()
            .find(|(_, profile)| &*profile.name == GENERIC)
            .map_or_else(Arc::default, |(_, profile)| Arc::clone(profile));
        self.profiles = Arc::new(Profiles { table, generic });
    }

    /// What a User-Agent needs; an empty one is generic.
    #[must_use]
    pub fn profile(&self, user_agent: &[u8]) -> &Arc<Profile> {
        let names =
            |patterns: &[AgentPattern]| patterns.iter().any(|pattern| pattern.matches(user_agent));
        self.profiles
            .table
            .iter()
            .find(|(patterns, _)| names(patterns))
            .map_or(&self.profiles.generic, |(_, profile)| profile)
    }

    /// The profile of that name.
    #[must_use]
    pub fn profile_named(&self, name: &str) -> Option<&Arc<Profile>> {
        let named = |(_, profile): &&(_, Arc<Profile>)| &*profile.name == name;
        let found = self.profiles.table.iter().find(named);
        let generic = (name == GENERIC).then_some(&self.profiles.generic);
        found.map(|(_, profile)| profile).or(generic)
    }
}

/// The name of the profile for everybody else.
pub const GENERIC: &str = "generic";
