//! What kind a phone is of: how long the NOTIFYs of lists are that it takes, and of how many
//! resources.

use lamplighter::directory::profiles::AgentPattern;
use lamplighter::presence::profile::Profile;

/// Octets of a NOTIFY that tells of more than one resource and not of all.
pub(crate) const PATH_OCTETS: usize = 1400;

/// A kind of phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Agent {
    /// It takes what a datagram holds.
    Generic,
    /// It takes no fragments.
    Narrow,
    /// It takes so few resources in one NOTIFY.
    Few,
}

impl Agent {
    /// The kind of the phone of a user, `w17`.
    pub(crate) fn of(user: &str) -> Self {
        let number = user.strip_prefix('w').and_then(|id| id.parse::<u32>().ok());
        match number.unwrap_or(0) % 4 {
            2 => Self::Narrow,
            3 => Self::Few,
            _ => Self::Generic,
        }
    }

    /// What it calls itself.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Generic => "Simulated",
            Self::Narrow => "Narrow",
            Self::Few => "Few",
        }
    }

    /// Whether it takes any list of a run in one NOTIFY.
    pub(crate) fn takes_all(self) -> bool {
        self == Self::Generic
    }

    /// Resources it takes in one NOTIFY.
    pub(crate) fn resources_max(self) -> usize {
        match self {
            Self::Few => 2,
            Self::Generic | Self::Narrow => usize::MAX,
        }
    }
}

/// The profiles of those that are not generic.
pub(crate) fn profiles() -> Vec<(Vec<AgentPattern>, Profile)> {
    let row = |agent: Agent, profile| (vec![AgentPattern::new(agent.name())], profile);
    let narrow = Profile {
        name: Agent::Narrow.name().into(),
        list_octets: Some(PATH_OCTETS as u32),
        ..Profile::default()
    };
    let few = Profile {
        name: Agent::Few.name().into(),
        list_resources: Some(Agent::Few.resources_max() as u16),
        ..Profile::default()
    };
    vec![row(Agent::Narrow, narrow), row(Agent::Few, few)]
}
