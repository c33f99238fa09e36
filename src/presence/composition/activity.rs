//! RPID activities (RFC 4480 §3.2; W:D2.14), and what each implies for availability.
//!
//! A set of them is one u32, so that composing neither sorts strings nor allocates. Activities are
//! written in the order of the table. Names outside the table are not written, because the RPID
//! namespace has no element for them.

use serde::{Deserialize, Serialize};

use crate::presence::composition::Availability;

/// One activity: an element name of RPID, and the availability that it implies.
struct Activity {
    name: &'static str,
    means: Option<Availability>,
}

const fn activity(name: &'static str, means: Option<Availability>) -> Activity {
    Activity { name, means }
}

const AWAY: Option<Availability> = Some(Availability::Away);
const BUSY: Option<Availability> = Some(Availability::Busy);

/// `busy` and similar activities make a presentity busy without a call: a presence watcher sees
/// that, while the lamp of a dialog watcher shows only calls. Only [`ON_THE_PHONE`] claims a call,
/// so only it affects both.
const ACTIVITIES: [Activity; 27] = [
    activity("appointment", BUSY),
    activity("away", AWAY),
    activity("breakfast", AWAY),
    activity("busy", BUSY),
    activity("dinner", AWAY),
    activity("holiday", AWAY),
    activity("in-transit", AWAY),
    activity("looking-for-work", None),
    activity("lunch", AWAY),
    activity("meal", AWAY),
    activity("meeting", BUSY),
    activity(ON_THE_PHONE, BUSY),
    activity("other", None),
    activity("performance", BUSY),
    activity("permanent-absence", AWAY),
    activity("playing", None),
    activity("presentation", BUSY),
    activity("shopping", AWAY),
    activity("sleeping", AWAY),
    activity("spectator", None),
    activity("steering", BUSY),
    activity("travel", AWAY),
    activity("tv", None),
    activity("unknown", None),
    activity("vacation", AWAY),
    activity("working", None),
    activity("worship", BUSY),
];

/// The activity that claims a call.
pub(crate) const ON_THE_PHONE: &str = "on-the-phone";

/// How vendors spell do-not-disturb, for which RPID has no element (W:B2.10). `busy` with a note
/// does not mean it.
const DO_NOT_DISTURB: [&str; 3] = ["dnd", "do-not-disturb", "donotdisturb"];

/// The bit after those of the table.
const DO_NOT_DISTURB_BIT: u32 = 1 << ACTIVITIES.len();

/// The names of all activities, in the order of the table.
pub fn names() -> impl Iterator<Item = &'static str> {
    ACTIVITIES.iter().map(|activity| activity.name)
}

/// Returns whether a name outside the RPID namespace means do-not-disturb.
pub(crate) fn is_do_not_disturb(name: &str) -> bool {
    DO_NOT_DISTURB.contains(&name)
}

/// A set of known activities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Box<str>>", into = "Vec<&'static str>")]
pub(crate) struct ActivitySet(u32);

/// By name, because the bit of a name depends on the version of the program.
impl From<Vec<Box<str>>> for ActivitySet {
    fn from(names: Vec<Box<str>>) -> Self {
        Self::from_names(names.iter().map(|name| &**name))
    }
}

impl From<ActivitySet> for Vec<&'static str> {
    fn from(activities: ActivitySet) -> Self {
        let dnd = activities.declares_do_not_disturb();
        let dnd = dnd.then_some(DO_NOT_DISTURB[0]);
        activities.names().chain(dnd).collect()
    }
}

impl ActivitySet {
    /// The set of the known activities among `names`.
    pub(crate) fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().map(bit).fold(0, |set, bit| set | bit))
    }

    /// The union of both sets.
    pub(crate) const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns whether the set contains `name`.
    pub(crate) fn contains(self, name: &str) -> bool {
        self.0 & bit(name) != 0
    }

    /// The set without `name`.
    pub(crate) fn without(self, name: &str) -> Self {
        Self(self.0 & !bit(name))
    }

    /// Returns whether do-not-disturb is declared.
    pub(crate) const fn declares_do_not_disturb(self) -> bool {
        self.0 & DO_NOT_DISTURB_BIT != 0
    }

    /// Returns whether an activity of the set implies `availability`.
    pub(crate) fn means(self, availability: Availability) -> bool {
        self.known()
            .any(|activity| activity.means == Some(availability))
    }

    /// The activities for which RPID has an element, in the order of the table.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        self.known().map(|activity| activity.name)
    }

    fn known(self) -> impl Iterator<Item = &'static Activity> {
        ACTIVITIES
            .iter()
            .enumerate()
            .filter(move |(index, _)| self.0 & 1 << index != 0)
            .map(|(_, activity)| activity)
    }
}

/// The bit of a name; 0 if it is unknown.
fn bit(name: &str) -> u32 {
    if is_do_not_disturb(name) {
        return DO_NOT_DISTURB_BIT;
    }
    ACTIVITIES
        .iter()
        .position(|activity| activity.name == name)
        .map_or(0, |index| 1 << index)
}

#[cfg(test)]
mod tests {
    use super::{ACTIVITIES, ActivitySet};
    use crate::presence::composition::Availability;

    #[test]
    fn the_table_is_in_order_and_fits_the_word() {
        assert!(
            ACTIVITIES
                .windows(2)
                .all(|pair| pair[0].name < pair[1].name)
        );
        assert!(ACTIVITIES.len() < u32::BITS as usize);
    }

    #[test]
    fn a_set_keeps_what_it_knows_in_table_order() {
        let set = ActivitySet::from_names(["worship", "lunch", "juggling", "dnd", "lunch"]);
        assert_eq!(set.names().collect::<Vec<_>>(), ["lunch", "worship"]);
        assert!(set.declares_do_not_disturb());
        assert!(set.means(Availability::Busy) && set.means(Availability::Away));
        assert!(!set.without("worship").means(Availability::Busy));
        assert!(!set.contains("juggling") && !set.contains("away"));
    }
}
