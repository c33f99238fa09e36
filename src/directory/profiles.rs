//! The table of device profiles (W:C): the first entry that matches a User-Agent selects the
//! profile.

use std::sync::Arc;

use crate::directory::Directory;
use crate::presence::profile::Profile;

/// A pattern for User-Agent values. Case is ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentPattern {
    /// The value begins with this.
    Prefix(Box<[u8]>),
    /// The value contains this.
    Contains(Box<[u8]>),
}

impl AgentPattern {
    /// Parses `Yealink` (prefix) or `*-3PCC` (substring).
    #[must_use]
    pub fn new(text: &str) -> Self {
        match text.strip_prefix('*') {
            Some(part) => Self::Contains(part.as_bytes().into()),
            None => Self::Prefix(text.as_bytes().into()),
        }
    }

    /// As it is written in the configuration.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Prefix(prefix) => String::from_utf8_lossy(prefix).into_owned(),
            Self::Contains(part) => format!("*{}", String::from_utf8_lossy(part)),
        }
    }

    fn matches(&self, agent: &[u8]) -> bool {
        match self {
            Self::Prefix(prefix) => agent
                .get(..prefix.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(prefix)),
            // `windows` needs a size of at least 1.
            Self::Contains(part) => agent
                .windows(part.len().max(1))
                .any(|window| window.eq_ignore_ascii_case(part)),
        }
    }
}

/// Profiles and their patterns, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Profiles {
    table: Vec<(Vec<AgentPattern>, Arc<Profile>)>,
    /// For a User-Agent that matches no other profile.
    generic: Arc<Profile>,
}

impl Directory {
    /// Replaces the table of profiles. An entry named `generic` is used for every User-Agent that
    /// matches no other entry.
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

    /// All profiles with their patterns, in the order in which a User-Agent is compared with them: those
    /// of the configuration, then the built-in ones.
    pub fn profiles(&self) -> impl Iterator<Item = (&[AgentPattern], &Profile)> {
        let table = self.profiles.table.iter();
        table.map(|(patterns, profile)| (&**patterns, &**profile))
    }

    /// Returns the profile of a User-Agent; an empty one gets the generic profile.
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

    /// The profile with that name.
    #[must_use]
    pub fn profile_named(&self, name: &str) -> Option<&Arc<Profile>> {
        let named = |(_, profile): &&(_, Arc<Profile>)| &*profile.name == name;
        let found = self.profiles.table.iter().find(named);
        let generic = (name == GENERIC).then_some(&self.profiles.generic);
        found.map(|(_, profile)| profile).or(generic)
    }
}

/// The name of the profile for all other User-Agents.
pub const GENERIC: &str = "generic";
