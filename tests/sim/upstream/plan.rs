//! The plan for the PBXs of a run and the connectors that subscribe to them. It is drawn from the seed
//! separately: a seed gives the same phones, publishers and network with and without them.

use crate::network::{Micros, SECOND};
use crate::random::Rng;

/// The number of the first presentity that is a user of the PBXs: the user 150.
pub(crate) const FIRST_USER: usize = 50;
/// The longest expiry that a PBX grants.
pub(crate) const GRANTED_MAX: u64 = 300;
/// Timer F, and the time for what follows from it.
const TIMER_F: Micros = 33 * SECOND;
/// The first pause of a user that a PBX refuses.
const REFUSED_PAUSE: Micros = 60 * SECOND;

/// All values drawn from the seed for upstreams.
#[derive(Clone, Debug)]
pub(crate) struct UpstreamPlan {
    /// How many presentities are users of the PBXs.
    pub(crate) users: usize,
    /// One or two.
    pub(crate) connectors: Vec<ConnectorPlan>,
    /// How long the domain keeps what a connector said that is not heard any more.
    pub(crate) stale_kept: Micros,
    /// Mean time between two orders of the operator.
    pub(crate) order_every: Micros,
    /// How long the PBXs and the network are bad.
    pub(crate) chaos: Micros,
    /// When the PBXs stop to misbehave.
    pub(crate) honest_at: Micros,
    pub(crate) fault: Option<PlantedFault>,
}

/// A fault as the node could have it, injected into the PBXs to test the judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlantedFault {
    /// Changes are not heard before the next refresh.
    MissesChanges,
    /// A call is not seen, although its NOTIFY is accepted.
    MissesCalls,
}

/// A connector, and the PBX that it subscribes to.
#[derive(Clone, Debug)]
pub(crate) struct ConnectorPlan {
    pub(crate) name: &'static str,
    pub(crate) settings: Settings,
    pub(crate) is_tcp: bool,
    pub(crate) pace: u32,
    /// Whether the PBX wants a password.
    pub(crate) has_login: bool,
    /// Whether the connector's own user is the first user.
    pub(crate) is_first_user: bool,
    pub(crate) server: ServerPlan,
}

/// What an edit of the configuration may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) is_enabled: bool,
    /// It goes before the other connector.
    pub(crate) is_preferred: bool,
    pub(crate) expires: u64,
    pub(crate) users: Users,
    /// Dialog first, then presence; or only presence.
    pub(crate) knows_dialogs: bool,
}

/// Whose state a connector subscribes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Users {
    Listed,
    /// Every account, also those that the PBX does not have.
    Accounts,
    OnDemand,
}

/// How a PBX behaves.
#[derive(Clone, Debug)]
pub(crate) struct ServerPlan {
    /// Requests of a thousand that it serves wrongly while it misbehaves.
    pub(crate) rudeness: u64,
    /// Whether it has one fault that it repeats, instead of all.
    pub(crate) has_habit: bool,
    /// Mean time between two faults that no request asks for.
    pub(crate) mischief_every: Micros,
    /// What it grants, whatever is asked for.
    pub(crate) granted: u64,
    /// Whether its documents report changes only.
    pub(crate) is_partial: bool,
    /// Whether it knows the package dialog.
    pub(crate) knows_dialogs: bool,
    /// Mean time between two changes of a user.
    pub(crate) change_every: Micros,
    /// Whether it is restarted without a word when it has been honest for a while.
    pub(crate) restarts_late: bool,
    pub(crate) ending: Ending,
}

/// How a PBX behaves once it no longer misbehaves at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Honest,
    /// It is never heard again.
    Dead,
    /// 503 to everything.
    Unavailable,
    /// 403 to everything.
    Forbidden,
    /// A new challenge to all credentials.
    WrongPassword,
    /// It has the first user no more.
    UserMissing,
    /// It declines the first user by 603.
    UserDeclined,
}

impl UpstreamPlan {
    pub(crate) fn new(seed: u64, chaos: Micros) -> Self {
        let mut rng = Rng::new(seed ^ 0x7570_7374_7265);
        let rng = &mut rng;
        let count = rng.between(1, 2) as usize;
        let preferred = rng.below(3) as usize;
        let connectors = ["pbx", "desk"].into_iter().take(count).enumerate();
        Self {
            users: rng.between(1, 5) as usize,
            connectors: connectors
                .map(|(at, name)| ConnectorPlan::new(name, at == preferred, rng))
                .collect(),
            stale_kept: rng.pick(&[0, 30 * SECOND, 3600 * SECOND]),
            order_every: rng.pick(&[20, 60, 1000]) * SECOND,
            chaos,
            honest_at: rng.between(chaos / 3, chaos),
            fault: None,
        }
    }

    /// How long the calm lasts: until all users are heard, and once more after a silent restart.
    pub(crate) fn calm(&self) -> Micros {
        self.heals_within() + GRANTED_MAX * SECOND / 2 + 30 * SECOND
    }

    /// How long after the PBXs are honest, and the network good, every user is heard. A pause that is
    /// under way then is at most twice as long as all pauses before it and the first one; the next
    /// refresh comes after half of the longest expiry. All pauses are longer or shorter by up to a quarter.
    pub(crate) fn heals_within(&self) -> Micros {
        let misbehaved = self.chaos * 4 / 3;
        (misbehaved + REFUSED_PAUSE) * 5 / 4 + GRANTED_MAX * SECOND / 2 + 2 * TIMER_F
    }
}

impl ConnectorPlan {
    fn new(name: &'static str, is_preferred: bool, rng: &mut Rng) -> Self {
        let ending = match rng.below(12) {
            0 => Ending::Dead,
            1 => Ending::Unavailable,
            2 => Ending::Forbidden,
            3 => Ending::WrongPassword,
            4 => Ending::UserMissing,
            5 => Ending::UserDeclined,
            _ => Ending::Honest,
        };
        Self {
            name,
            settings: Settings {
                is_enabled: true,
                is_preferred,
                expires: rng.pick(&[60, 120, 300]),
                users: rng.pick(&[Users::Listed, Users::Accounts, Users::OnDemand]),
                knows_dialogs: rng.chance(800),
            },
            is_tcp: rng.chance(300),
            pace: rng.pick(&[2, 10, 200]),
            has_login: ending == Ending::WrongPassword || rng.chance(400),
            is_first_user: rng.chance(300),
            server: ServerPlan {
                rudeness: rng.pick(&[0, 200, 500, 900]),
                has_habit: rng.chance(400),
                mischief_every: rng.between(2, 20) * SECOND,
                granted: rng.pick(&[30, 60, 120, GRANTED_MAX]),
                is_partial: rng.chance(500),
                knows_dialogs: rng.chance(800),
                change_every: rng.between(2, 20) * SECOND,
                restarts_late: rng.chance(300),
                ending,
            },
        }
    }
}

impl Settings {
    /// The settings after a random edit.
    pub(crate) fn edited(&self, rng: &mut Rng) -> Self {
        let mut edited = self.clone();
        match rng.below(4) {
            0 => edited.is_enabled ^= true,
            1 => edited.is_preferred ^= true,
            2 => edited.expires = rng.pick(&[60, 120, 300]),
            _ => edited.users = rng.pick(&[Users::Listed, Users::Accounts, Users::OnDemand]),
        }
        edited
    }
}
