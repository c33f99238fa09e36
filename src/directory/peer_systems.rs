//! Peer systems: PBXs and presence servers that report on presentities and are told of them as well. A peer system
//! is told a state without its own reports (W:D1.16); else two servers would tell each other for ever that a call
//! is up which ended long ago.

use crate::directory::Directory;
use crate::presence::origin::Origin;

/// Peer systems of one configuration.
pub const PEER_SYSTEMS_MAX: usize = 31;

/// A peer system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerSystem {
    /// Its connectors.
    pub connectors: Vec<Box<str>>,
    /// Its relays.
    pub relays: Vec<Box<str>>,
    /// Where its reports come from. It subscribes as them, too.
    pub origins: Vec<Origin>,
}

/// The place of a peer system in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerSystemId(u8);

/// The readers that a state is for: some peer systems, and all other readers or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addressees(u32);

impl Addressees {
    /// Every peer system, and all other readers.
    pub const ALL: Self = Self(u32::MAX);
    /// No reader at all.
    pub const NONE: Self = Self(0);

    /// That peer system alone.
    #[must_use]
    pub const fn only(system: PeerSystemId) -> Self {
        Self(1 << system.0)
    }

    /// These and those.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// All but that peer system.
    #[must_use]
    pub const fn without(self, system: PeerSystemId) -> Self {
        Self(self.0 & !(1 << system.0))
    }

    /// Whether a peer system is among them; None for all other readers.
    #[must_use]
    pub const fn has(self, system: Option<PeerSystemId>) -> bool {
        let bit = match system {
            Some(system) => 1 << system.0,
            None => 1 << PEER_SYSTEMS_MAX,
        };
        self.0 & bit != 0
    }
}

impl Directory {
    /// Sets the peer systems: at most [`PEER_SYSTEMS_MAX`]; no two have a name or an origin in common.
    pub fn set_peer_systems(&mut self, systems: Vec<PeerSystem>) {
        let has_room = systems.len() <= PEER_SYSTEMS_MAX;
        debug_assert!(has_room, "the configuration checks it");
        self.peer_systems = systems.into();
    }

    /// Whether there is any peer system.
    #[must_use]
    pub fn has_peer_systems(&self) -> bool {
        !self.peer_systems.is_empty()
    }

    /// All peer systems.
    pub fn peer_systems(&self) -> impl Iterator<Item = (PeerSystemId, &PeerSystem)> {
        (0..).map(PeerSystemId).zip(self.peer_systems.iter())
    }

    /// The peer system of a connector.
    #[must_use]
    pub fn peer_system_of_connector(&self, name: &str) -> Option<PeerSystemId> {
        self.peer_system_with(|system| has(&system.connectors, name))
    }

    /// The peer system of a relay.
    #[must_use]
    pub fn peer_system_of_relay(&self, name: &str) -> Option<PeerSystemId> {
        self.peer_system_with(|system| has(&system.relays, name))
    }

    /// Where the reports of a peer system come from.
    #[must_use]
    pub fn origins_of(&self, id: PeerSystemId) -> &[Origin] {
        let system = self.peer_systems.get(usize::from(id.0));
        system.map_or(&[], |system| &system.origins)
    }

    /// The peer system that reports from an origin.
    #[must_use]
    pub fn peer_system_from(&self, origin: Origin) -> Option<PeerSystemId> {
        self.peer_system_with(|system| system.origins.contains(&origin))
    }

    /// The origin of a report, if it is of a peer system. It is asked for only if there are peer systems.
    pub fn peer_origin(&self, origin: impl FnOnce() -> Origin) -> Option<Origin> {
        if !self.has_peer_systems() {
            return None;
        }
        let origin = origin();
        self.peer_system_from(origin).map(|_| origin)
    }

    fn peer_system_with(&self, is_it: impl Fn(&PeerSystem) -> bool) -> Option<PeerSystemId> {
        let mut systems = self.peer_systems();
        systems.find(|(_, system)| is_it(system)).map(|(id, _)| id)
    }
}

fn has(names: &[Box<str>], name: &str) -> bool {
    names.iter().any(|known| **known == *name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn system(connector: &str, relays: &[&str], origins: &[&str]) -> PeerSystem {
        PeerSystem {
            connectors: vec![connector.into()],
            relays: relays.iter().map(|name| (*name).into()).collect(),
            origins: origins.iter().map(|name| Origin::of(name)).collect(),
        }
    }

    #[test]
    fn addressees_are_told_apart() {
        let mut directory = Directory::default();
        assert_eq!(directory.peer_origin(|| panic!("there is none")), None);
        directory.set_peer_systems(vec![
            system("pbx", &["to-pbx"], &["pbx", "pbx@a.test"]),
            system("other", &[], &["other", "192.0.2.1"]),
        ]);
        let pbx = directory.peer_system_of_relay("to-pbx").unwrap();
        let other = directory.peer_system_of_connector("other").unwrap();
        assert_eq!(directory.peer_system_of_connector("pbx"), Some(pbx));
        assert_eq!(directory.peer_system_of_relay("pbx"), None);
        let from = |name: &str| directory.peer_system_from(Origin::of(name));
        assert_eq!(from("192.0.2.1"), Some(other));
        assert_eq!(from("192.0.2.2"), None);
        let origin = Origin::of("pbx@a.test");
        assert_eq!(directory.peer_origin(|| origin), Some(origin));
        let others = Addressees::ALL.without(pbx);
        assert!(others.has(None) && others.has(Some(other)) && !others.has(Some(pbx)));
        let both = Addressees::only(pbx).and(Addressees::only(other));
        assert!(both.has(Some(pbx)) && both.has(Some(other)) && !both.has(None));
        assert!(!Addressees::NONE.has(None));
    }
}
