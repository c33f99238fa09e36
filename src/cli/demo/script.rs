//! The script: scenes, each with the events reported to the server and the lamps expected
//! afterwards.

use std::time::Duration;

use crate::cli::demo::lamp::Lamp;
use crate::cli::demo::participants::PEOPLE;
use crate::cli::demo::pbx::Leg;

/// One event reported to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// The PBX publishes one leg of a call.
    Publish(Leg),
    /// A mobile operator reports over HTTP that a call began or ended.
    Mobile { person: usize, is_busy: bool },
}

impl Act {
    /// The person whose lamp changes.
    pub(super) const fn person(&self) -> usize {
        match self {
            Self::Publish(leg) => leg.person,
            Self::Mobile { person, .. } => *person,
        }
    }
}

/// One scene of a round.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    /// What happens, in words.
    pub(super) caption: String,
    /// The request that reports it.
    pub(super) by: &'static str,
    pub(super) acts: Vec<Act>,
    /// The lamp that all keys for a person must show at the end of the scene. Lamps of persons not
    /// listed stay as they are.
    pub(super) lamps: Vec<(usize, Lamp)>,
    /// How long the scene stays on the screen.
    pub(super) hold: Duration,
}

/// One round: the caller calls the callee, who answers, and they hang up; then the person with a
/// mobile, if any, has a call on it.
pub(super) fn round(call: u32, caller: usize, callee: usize, mobile: Option<usize>) -> Vec<Scene> {
    let name = |person: usize| format!("{} ({})", PEOPLE[person].name, PEOPLE[person].number);
    let ends = |caller_state, callee_state| {
        let leg = |person, other, state, direction| {
            Act::Publish(Leg {
                person,
                other,
                call,
                state,
                direction,
            })
        };
        vec![
            leg(caller, callee, caller_state, "initiator"),
            leg(callee, caller, callee_state, "recipient"),
        ]
    };
    let mut scenes = vec![
        Scene {
            caption: format!("{} calls {}, whose phone rings", name(caller), name(callee)),
            by: "PUBLISH early",
            acts: ends("early", "early"),
            lamps: vec![(caller, Lamp::Busy), (callee, Lamp::Ringing)],
            hold: Duration::from_millis(1600),
        },
        Scene {
            caption: format!("{} answers", name(callee)),
            by: "PUBLISH confirmed",
            acts: ends("confirmed", "confirmed"),
            lamps: vec![(caller, Lamp::Busy), (callee, Lamp::Busy)],
            hold: Duration::from_millis(1400),
        },
        Scene {
            caption: "They hang up".to_owned(),
            by: "PUBLISH terminated",
            acts: ends("terminated", "terminated"),
            lamps: vec![(caller, Lamp::Off), (callee, Lamp::Off)],
            hold: Duration::from_millis(900),
        },
    ];
    if let Some(person) = mobile {
        let scene = |caption: String, is_busy, lamp, hold| Scene {
            caption,
            by: "HTTP call_state.htm",
            acts: vec![Act::Mobile { person, is_busy }],
            lamps: vec![(person, lamp)],
            hold: Duration::from_millis(hold),
        };
        scenes.push(scene(
            format!("{} talks on a mobile", name(person)),
            true,
            Lamp::Busy,
            1400,
        ));
        scenes.push(scene(
            "The call on the mobile is over".to_owned(),
            false,
            Lamp::Off,
            700,
        ));
    }
    scenes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_leaves_every_lamp_off() {
        let mut lamps = [Lamp::Off; PEOPLE.len()];
        let mut seen = Vec::new();
        for scene in round(1, 0, 1, Some(2)) {
            scene
                .lamps
                .iter()
                .for_each(|&(person, lamp)| lamps[person] = lamp);
            seen.push(lamps);
            assert!(!scene.acts.is_empty() && !scene.caption.is_empty());
        }
        assert_eq!(lamps, [Lamp::Off; PEOPLE.len()]);
        for person in 0..PEOPLE.len() {
            assert!(
                seen.iter().any(|lamps| lamps[person] == Lamp::Busy),
                "{person} is never busy"
            );
        }
        assert!(seen.iter().any(|lamps| lamps[1] == Lamp::Ringing));
    }

    #[test]
    fn a_round_is_short_enough_to_wait_for() {
        let total: Duration = round(1, 0, 1, Some(2)).iter().map(|scene| scene.hold).sum();
        assert!(total < Duration::from_secs(7));
    }
}
