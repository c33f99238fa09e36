//! What the HTTP API keeps of the configuration: domains, groups and policies. The operator's file has the
//! others.
//!
//! - [`Managed`]: which of a directory's domains, groups and policies these are.
//! - [`ManagedChange`]: what a caller of the API wants to be different, in the keys of the configuration.
//! - [`ChangeRefusal`]: why it is not.
//!
//! Not here: the file in which they stand (`config::managed`), and how a change comes into force
//! (`runtime::reload`).

use std::collections::HashSet;
use std::sync::Arc;

use thiserror::Error;

use crate::directory::Directory;
use crate::presence::Aor;
use crate::presence::policy::Policy;

/// The domains, groups and policies of a directory that the HTTP API keeps.
#[derive(Clone, Debug, Default)]
pub struct Managed {
    /// Domains by their own names.
    pub domains: HashSet<Box<str>>,
    /// Groups, each after the own name of its domain.
    pub groups: HashSet<(Box<str>, Box<str>)>,
    /// The number of the first policy of each domain; those of the operator's file come before it. None if there is
    /// none.
    pub first_policy: Option<u16>,
    /// The hash of the text of their file; None if there is no file.
    pub file: Option<u64>,
}

/// The value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// A text.
    Text(String),
    /// A number in decimal digits, as the caller wrote it.
    Number(String),
    /// True or false.
    Boolean(bool),
    /// Several values.
    List(Vec<Self>),
}

/// Keys with their values. No key occurs twice.
pub type Settings = Vec<(String, Setting)>;

/// A change of what the HTTP API keeps. Domains are named by any of their names. No `Debug`: settings may
/// hold a token.
#[derive(Clone, PartialEq, Eq)]
pub enum ManagedChange {
    /// Adds or replaces a domain. One that exists keeps its `parks_token` if the settings have none.
    PutDomain {
        /// Its name.
        domain: String,
        /// The keys of `[[domain]]`, without `name`.
        settings: Settings,
    },
    /// Removes a domain, with its groups and policies.
    RemoveDomain {
        /// Its name.
        domain: String,
    },
    /// Replaces the park orbits of a domain.
    PutOrbits {
        /// The domain.
        domain: String,
        /// Ranges and names.
        orbits: Vec<Setting>,
    },
    /// Adds or replaces a group.
    PutGroup {
        /// Its domain.
        domain: String,
        /// Its name.
        group: String,
        /// Its members.
        members: Vec<Setting>,
    },
    /// Removes a group.
    RemoveGroup {
        /// Its domain.
        domain: String,
        /// Its name.
        group: String,
    },
    /// Replaces the policies that the API keeps for a domain.
    PutPolicies {
        /// The domain.
        domain: String,
        /// The keys of each `[[policy]]`, without `domain`.
        policies: Vec<Settings>,
    },
}

impl ManagedChange {
    /// The domain that is changed, as the caller names it.
    #[must_use]
    pub fn domain(&self) -> &str {
        match self {
            Self::PutDomain { domain, .. }
            | Self::RemoveDomain { domain }
            | Self::PutOrbits { domain, .. }
            | Self::PutGroup { domain, .. }
            | Self::RemoveGroup { domain, .. }
            | Self::PutPolicies { domain, .. } => domain,
        }
    }
}

/// A change that is on the disk and in force.
#[derive(Clone, Debug)]
pub struct Changed {
    /// The own name of the domain.
    pub domain: String,
    /// Whether the domain or group is new.
    pub is_new: bool,
    /// The directory that is in force with the change.
    pub directory: Arc<Directory>,
}

/// Part of a change that is not valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeFault {
    /// Where it stands.
    pub place: FaultPlace,
    /// What is wrong with it, and what to do.
    pub detail: String,
}

/// The place of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultPlace {
    /// The name of the domain or group, which is not among the settings.
    Name,
    /// A JSON pointer (RFC 6901) into the body of the request, as a fragment: `#/orbits/0`.
    Pointer(String),
}

impl FaultPlace {
    /// A member of the object at this place.
    #[must_use]
    pub fn member(&self, name: &str) -> Self {
        match self {
            Self::Name => Self::Name,
            Self::Pointer(pointer) => {
                let name = name.replace('~', "~0").replace('/', "~1");
                Self::Pointer(format!("{pointer}/{name}"))
            }
        }
    }

    /// An item of the list at this place.
    #[must_use]
    pub fn item(&self, index: usize) -> Self {
        self.member(&index.to_string())
    }
}

/// Why a change is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ChangeRefusal {
    /// It is not valid; at least one fault.
    #[error("the settings are not valid")]
    Faults(Vec<ChangeFault>),
    /// There is nothing to change or remove.
    #[error("{0}")]
    Absent(String),
    /// The caller's condition does not hold.
    #[error("{0}")]
    PreconditionFailed(String),
    /// It does not go with what there is.
    #[error("{0}")]
    Conflict(String),
    /// The rest of the configuration has faults. The text may name other domains.
    #[error("{0}")]
    Configuration(String),
    /// The file cannot be written.
    #[error("{0}")]
    NotWritten(String),
    /// It is on the disk and in force, but a shard did not take it in time.
    #[error(
        "the change is in force, but a shard does not respond: it follows with the next change"
    )]
    HalfDone,
}

/// A condition on the directory in force, without which a change is refused. It gets the own name of the domain
/// that is changed.
pub type Precondition = Box<dyn FnOnce(&Directory, &str) -> Result<(), ChangeRefusal> + Send>;

impl Directory {
    /// Sets what the HTTP API keeps.
    pub fn set_managed(&mut self, managed: Managed) {
        self.managed = Arc::new(managed);
    }

    /// The hash of the text of the file from which those that the HTTP API keeps were read; None if there is none.
    #[must_use]
    pub fn managed_file(&self) -> Option<u64> {
        self.managed.file
    }

    /// Whether the HTTP API keeps a domain, by its own name.
    #[must_use]
    pub fn is_managed(&self, domain: &str) -> bool {
        self.managed.domains.contains(domain)
    }

    /// Whether the HTTP API keeps a group of a domain, by its own name.
    #[must_use]
    pub fn is_managed_group(&self, domain: &str, group: &str) -> bool {
        let key = (domain.into(), group.into());
        self.managed.groups.contains(&key)
    }

    /// Whether the HTTP API keeps a policy of this directory.
    #[must_use]
    pub fn is_managed_policy(&self, policy: &Policy) -> bool {
        let first = self.managed.first_policy;
        first.is_some_and(|first| policy.number >= first)
    }

    /// The addresses with edits that wait in this directory and did not in `before`, in order. Those of a
    /// domain that is not served are left out.
    #[must_use]
    pub fn newly_waiting(&self, before: &Self) -> Vec<Aor> {
        let waiting = self.waiting_edits.keys();
        let mut new: Vec<Aor> = waiting
            .filter(|aor| !before.waiting_edits.contains_key(*aor))
            .filter(|aor| self.domain(aor.domain()).is_some())
            .cloned()
            .collect();
        new.sort_unstable();
        new
    }
}
