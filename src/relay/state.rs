//! A state on its way to a target.
//!
//! Guarantee: a target is told at most what the watcher `relays` of the domain would be shown: a policy may
//! hide a presentity or the parties of its calls.

use serde_json::{Value, json};

use crate::changes::shown::{Shown, time};
use crate::directory::Directory;
use crate::presence::Aor;
use crate::presence::call::{ANONYMOUS, CallState};
use crate::presence::composition::{Availability, Extended};
use crate::presence::policy::Privacy;
use crate::relay::plan::RelayPlan;
use crate::relay::told::Traces;

/// What is told of a presentity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// When it became so, in milliseconds since 1970 UTC; of a state that was asked for, when it was.
    pub(super) at: i64,
    /// Whether it has just changed. Otherwise it is one of all states, told because the target may not know it.
    pub(super) is_change: bool,
    /// The presentity.
    pub(super) aor: Aor,
    /// Its display name.
    pub(super) name: Box<str>,
    /// The composed availability.
    pub(super) availability: Availability,
    /// The PIDF basic status: true for open.
    pub(super) is_open: bool,
    /// The dialog state that a lamp shows.
    pub(super) lamp: CallState,
    /// Whether there is a call. Do-not-disturb may light a lamp without one.
    pub(super) has_call: bool,
    /// The state in the vocabulary of the domain's composition style; None in the standard style.
    pub(super) extended: Option<Extended>,
    /// The other party of the call; empty if there is none, or it is not told.
    pub(super) party: Box<str>,
    /// The note; empty if there is none, or it is not told.
    pub(super) note: Box<str>,
}

/// Whether a state has just changed, and when it became so.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) is_change: bool,
    pub(super) at: i64,
}

impl State {
    /// As a relay tells it; None if it tells nothing of this presentity.
    pub(super) fn new(
        shown: Shown<'_>,
        moment: Moment,
        plan: &RelayPlan,
        directory: &Directory,
    ) -> Option<Self> {
        if !plan.is_about(shown.aor, directory) {
            return None;
        }
        let seconds = (moment.at / 1_000).max(0).unsigned_abs();
        let privacy = directory.privacy_of_relays(shown.aor, seconds)?;
        let party = match privacy {
            _ if !plan.parties || shown.party.is_empty() => "",
            Privacy::StateOnly => "",
            Privacy::AnonymousParty => ANONYMOUS,
            Privacy::Party | Privacy::Pickup => shown.party,
        };
        Some(Self {
            at: moment.at,
            is_change: moment.is_change,
            aor: shown.aor.clone(),
            name: directory.name_of(shown.aor).into(),
            availability: shown.availability,
            is_open: shown.is_open,
            lamp: shown.lamp,
            has_call: shown.has_call,
            extended: shown.extended,
            party: party.into(),
            note: if plan.notes { shown.note } else { "" }.into(),
        })
    }

    /// Of a presentity of which nothing is told any more.
    pub(super) fn at_rest(aor: &Aor, moment: Moment) -> Self {
        Self {
            at: moment.at,
            is_change: moment.is_change,
            aor: aor.clone(),
            name: Box::default(),
            availability: Availability::Offline,
            is_open: false,
            lamp: CallState::Terminated,
            has_call: false,
            extended: None,
            party: Box::default(),
            note: Box::default(),
        }
    }

    /// Whether there is nothing to tell: no call, no note, and nothing that makes the user more than offline.
    pub(super) fn is_at_rest(&self) -> bool {
        self.availability == Availability::Offline
            && self.lamp == CallState::Terminated
            && self.note.is_empty()
    }

    /// Whether a target that shows calls shows one; `shown` is what it may show before. A call that rings changes
    /// nothing until it is answered or ends, also beside one that has ended.
    pub(super) fn is_in_call(&self, shown: Traces) -> bool {
        match self.lamp {
            CallState::Confirmed => self.has_call,
            CallState::Terminated => false,
            _ => self.has_call && shown.has(Traces::CALL),
        }
    }

    /// As JSON: what events of the API say, the two parts of the address, and the time.
    pub(super) fn json(&self) -> Value {
        let shown = Shown {
            aor: &self.aor,
            availability: self.availability,
            is_open: self.is_open,
            lamp: self.lamp,
            has_call: self.has_call,
            extended: self.extended,
            party: &self.party,
            note: &self.note,
        };
        let mut value = shown.json(&self.name);
        value["user"] = self.aor.user().into();
        value["domain"] = self.aor.domain().into();
        value["time"] = self.time().into();
        value
    }

    /// The event of it, for targets that take events.
    pub(super) fn event(&self) -> Value {
        let kind = match self.is_change {
            true => "state.changed",
            false => "state.current",
        };
        json!({"type": kind, "timestamp": self.time(), "data": self.json()})
    }

    fn time(&self) -> String {
        time(self.at)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
pub(super) mod tests {
    use std::time::Duration;

    use crate::presence::policy::Handling;

    use super::*;
    use crate::directory::Domain;
    use crate::presence::policy::{Pattern, People, Policy, WatcherCondition};
    use crate::relay::plan::{RelayKind, SecretOctets, WebhookPlan};

    /// A relay of one domain, by webhook.
    pub(in crate::relay) fn plan() -> RelayPlan {
        RelayPlan {
            name: "crm".into(),
            is_enabled: true,
            kind: RelayKind::Webhook(WebhookPlan {
                url: "http://127.0.0.1:1/".parse().unwrap(),
                key: SecretOctets([7; 24].into()),
            }),
            domains: vec!["a.test".into()],
            users: Vec::new(),
            same_as: Vec::new(),
            parties: true,
            notes: true,
            queue_max: 3,
            rate_max: None,
            timeout: Duration::from_secs(5),
            give_up: Duration::from_secs(60),
            directory: std::env::temp_dir(),
        }
    }

    /// A busy user.
    pub(in crate::relay) fn shown<'a>(aor: &'a Aor, note: &'a str) -> Shown<'a> {
        Shown {
            aor,
            availability: Availability::Busy,
            is_open: true,
            lamp: CallState::Confirmed,
            has_call: true,
            extended: None,
            party: "sip:5@a.test",
            note,
        }
    }

    /// A state of a busy user of that domain.
    pub(in crate::relay) fn state(user: &str, note: &str) -> State {
        let aor = Aor::new(user, "a.test");
        let moment = Moment {
            is_change: true,
            at: 0,
        };
        let directory = directory(Privacy::Pickup);
        State::new(shown(&aor, note), moment, &plan(), &directory).unwrap()
    }

    fn directory(privacy: Privacy) -> Directory {
        let mut directory = Directory::default();
        let domain = Domain {
            privacy,
            ..Domain::new("a.test")
        };
        directory.add_domain(domain, &[]).unwrap();
        directory
    }

    fn told(aor: &str, plan: &RelayPlan, directory: &Directory) -> Option<State> {
        let (user, domain) = aor.split_once('@').unwrap();
        let aor = Aor::new(user, domain);
        let moment = Moment {
            is_change: true,
            at: 1_000,
        };
        State::new(shown(&aor, "lunch"), moment, plan, directory)
    }

    #[test]
    fn a_call_that_was_answered_is_shown_and_one_that_rings_changes_nothing() {
        let is_shown = |lamp, has_call, shown| {
            let state = State {
                lamp,
                has_call,
                ..state("1", "")
            };
            state.is_in_call(shown)
        };
        let (call, none) = (Traces::CALL, Traces::NONE);
        for (lamp, has_call, shown, expected) in [
            (CallState::Confirmed, true, none, true),
            (CallState::Confirmed, false, call, false),
            (CallState::Early, true, none, false),
            (CallState::Early, true, call, true),
            (CallState::Early, false, call, false),
            (CallState::Terminated, false, call, false),
        ] {
            assert_eq!(
                is_shown(lamp, has_call, shown),
                expected,
                "{lamp:?} {shown:?}"
            );
        }
    }

    #[test]
    fn a_target_is_told_what_the_domain_shows() {
        for (privacy, party) in [
            (Privacy::StateOnly, ""),
            (Privacy::AnonymousParty, ANONYMOUS),
            (Privacy::Party, "sip:5@a.test"),
            (Privacy::Pickup, "sip:5@a.test"),
        ] {
            let state = told("1@a.test", &plan(), &directory(privacy)).unwrap();
            assert_eq!((&*state.party, &*state.note), (party, "lunch"));
        }
        let quiet = RelayPlan {
            parties: false,
            notes: false,
            ..plan()
        };
        let state = told("1@a.test", &quiet, &directory(Privacy::Pickup)).unwrap();
        assert_eq!((&*state.party, &*state.note), ("", ""));
    }

    #[test]
    fn a_relay_is_about_its_domains_and_users_and_a_policy_may_hide_one() {
        let mut directory = directory(Privacy::Pickup);
        assert!(told("1@b.test", &plan(), &directory).is_none());
        let named = |user: &str| People::Named(Pattern::new(user, "a.test"));
        let some = RelayPlan {
            users: vec![named("1*")],
            ..plan()
        };
        assert!(told("12@a.test", &some, &directory).is_some());
        assert!(told("2@a.test", &some, &directory).is_none());
        let policy = Policy {
            watcher: WatcherCondition::People(named("relays")),
            presentity: named("9"),
            package: None,
            handling: Handling::Block,
            privacy: None,
            number: 1,
            text: "".into(),
        };
        directory.add_policy("a.test", policy);
        assert!(told("9@a.test", &plan(), &directory).is_none());
        assert!(told("8@a.test", &plan(), &directory).is_some());
    }

    #[test]
    fn the_event_of_a_state_names_user_domain_and_time() {
        let state = told("1@a.test", &plan(), &directory(Privacy::Pickup)).unwrap();
        let event = state.event();
        assert_eq!(event["type"], "state.changed");
        assert_eq!(event["timestamp"], "1970-01-01T00:00:01.000Z");
        let data = &event["data"];
        assert_eq!(
            (&data["user"], &data["domain"]),
            (&json!("1"), &json!("a.test"))
        );
        assert_eq!(
            (&data["availability"], &data["lamp"]),
            (&json!("busy"), &json!("confirmed"))
        );
        assert_eq!(data["party"], "sip:5@a.test");
    }
}
