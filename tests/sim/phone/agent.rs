//! Phone models: the longest NOTIFY of a list that each accepts, and the maximum number of
//! resources in it.

use lamplighter::directory::profiles::AgentPattern;
use lamplighter::presence::profile::Profile;

/// Maximum octets of a NOTIFY with more than one, but not all resources.
pub(crate) const PATH_OCTETS: usize = 1400;

/// A phone model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Agent {
    /// It accepts the largest datagram.
    Generic,
    /// It drops fragmented datagrams.
    Narrow,
    /// It accepts this number of resources in one NOTIFY.
    Few,
}

impl Agent {
    /// The model of the phone of a user, `w17`.
    pub(crate) fn of(user: &str) -> Self {
        let number = user.strip_prefix('w').and_then(|id| id.parse::<u32>().ok());
        match number.unwrap_or(0) % 4 {
            2 => Self::Narrow,
            3 => Self::Few,
            _ => Self::Generic,
        }
    }

    /// Its User-Agent.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Generic => "Simulated",
            Self::Narrow => "Narrow",
            Self::Few => "Few",
        }
    }

    /// Returns whether it accepts any list of a run in one NOTIFY.
    pub(crate) fn takes_all(self) -> bool {
        self == Self::Generic
    }

    /// The maximum number of resources in one NOTIFY.
    pub(crate) fn resources_max(self) -> usize {
        match self {
            Self::Few => 2,
            Self::Generic | Self::Narrow => usize::MAX,
        }
    }
}

/// The profiles of the models that are not generic.
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
