//! Microsoft Teams as a connector: polls the presence of users, and takes what is news to the board.
//!
//! | Teams | here |
//! |---|---|
//! | InACall, InAConferenceCall | a call without a party |
//! | DoNotDisturb | do-not-disturb |
//! | Busy in a meeting, Busy otherwise | `meeting`, `busy` |
//! | Away, BeRightBack | `away` |
//! | Available | open |
//! | Offline, anything else | nothing |
//!
//! Guarantee: what our relay has told Teams does not come back: while a call of ours is shown there, and for two polls
//! after it was cleared, a call that was not there before is not taken; in the same way do-not-disturb.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::time::Duration;

use tokio::time::sleep;

use crate::background::{Backoff, Shards};
use crate::connect::board::{Board, Kind};
use crate::connect::protocol::Fault;
use crate::connect::service::Wanted;
use crate::connect::teller::{Teller, USERS_AT_ONCE};
use crate::connect::users::SelectedUsers;
use crate::presence::Aor;
use crate::presence::call::CallState;
use crate::presence::source::RichPresence;
use crate::relay;
use crate::relay::{Remedy, TeamsPresence, TeamsReader};
use crate::sip::random::Random;

/// The waits after a poll that failed.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_secs(1),
    longest: Duration::from_secs(300),
};
/// The pause after a batch that a shard did not take.
const PAUSE: Duration = Duration::from_millis(500);

/// Polls a tenant.
pub(super) struct Poller {
    wanted: Wanted,
    interval: Duration,
    reader: TeamsReader,
    users: SelectedUsers,
    teller: Teller,
    board: RefCell<Board>,
    /// What was taken at the last poll.
    taken: HashMap<Aor, Taken>,
    is_read: bool,
}

/// What Teams tells of a user by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Taken {
    is_in_call: bool,
    declared: Option<Declared>,
}

/// What a user declares, or Teams finds out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Declared {
    Available,
    Busy,
    Meeting,
    DoNotDisturb,
    Away,
}

impl Poller {
    /// A poller of a connector.
    pub(super) fn new(
        wanted: &Wanted,
        interval: Duration,
        reader: TeamsReader,
        shards: Rc<dyn Shards>,
        teller: Teller,
    ) -> Self {
        let number = shards.unix_milliseconds().unsigned_abs();
        Self {
            interval,
            reader,
            board: RefCell::new(Board::new(teller.domain(), teller.epoch(), number)),
            users: SelectedUsers::new(&wanted.connector, shards),
            teller,
            taken: HashMap::new(),
            is_read: false,
            wanted: wanted.clone(),
        }
    }

    /// Never ends.
    pub(super) async fn run(mut self, mut random: Random) {
        let (mut failures, name) = (0, self.wanted.connector.name.clone());
        loop {
            let delay = match self.poll().await {
                Ok(()) => {
                    failures = 0;
                    if self.wanted.status.works() {
                        tracing::info!(connector = &*name, "Teams is read");
                    }
                    self.interval
                }
                Err(fault) => {
                    failures += 1;
                    self.is_read = false;
                    self.teller.suspect_all().await;
                    self.failed(&fault, failures, &mut random)
                }
            };
            sleep(delay).await;
        }
    }

    /// Reads everything, and tells what changed.
    async fn poll(&mut self) -> Result<(), relay::Fault> {
        let named = self.users.named();
        let domain = self.teller.domain();
        let unique = named.iter().map(|user| Aor::new(user, domain));
        let unique: HashSet<Aor> = unique.collect();
        let users: Vec<Aor> = unique.into_iter().collect();
        let found = self.reader.poll(&users).await?;
        self.wanted.status.heard(1);
        let before = std::mem::take(&mut self.taken);
        for (aor, presence) in found {
            let before = before.get(&aor).copied().unwrap_or_default();
            self.taken.insert(aor, taken(&presence, before));
        }
        self.write_down();
        let all = (!std::mem::replace(&mut self.is_read, true)).then_some(named);
        self.teller.mark_due(&mut self.board.borrow_mut(), all);
        self.tell().await;
        Ok(())
    }

    /// Puts what was taken on the board.
    fn write_down(&self) {
        let mut board = self.board.borrow_mut();
        for kind in [Kind::Lamps, Kind::Said] {
            board.begin_reading(kind);
        }
        for (aor, taken) in &self.taken {
            let call = taken.is_in_call.then_some(CallState::Confirmed);
            board.lamp(aor.user(), call);
            let declared = taken.declared.map(Declared::presence);
            board.say(aor.user(), aor.user(), declared);
        }
        for kind in [Kind::Lamps, Kind::Said] {
            board.end_reading(kind);
        }
    }

    async fn tell(&self) {
        loop {
            let users = self.board.borrow_mut().take_changed(USERS_AT_ONCE);
            if users.is_empty() {
                return;
            }
            let status = &self.wanted.status;
            let untold = self.teller.tell(users, &self.board, status).await;
            if !untold.is_empty() {
                sleep(PAUSE).await;
                let mut board = self.board.borrow_mut();
                untold.iter().for_each(|user| board.mark(user));
            }
        }
    }

    /// How long to wait after a failure.
    fn failed(&self, fault: &relay::Fault, failures: u32, random: &mut Random) -> Duration {
        let delay = match fault.remedy {
            Remedy::Wait(Some(delay)) => delay,
            Remedy::Forbidden => BACKOFF.longest,
            _ => BACKOFF.delay(failures, random),
        };
        let connector = &*self.wanted.connector.name;
        let fault = match fault.remedy {
            Remedy::Forbidden => Fault::Forbidden(fault.why.clone()),
            _ => Fault::Unreachable(fault.why.clone()),
        };
        if self.wanted.status.fails(&fault, delay) {
            tracing::warn!(connector, %fault, "Teams cannot be read");
        }
        delay
    }
}

impl Declared {
    fn presence(self) -> RichPresence {
        let activity = match self {
            Self::Available => None,
            Self::Busy => Some("busy"),
            Self::Meeting => Some("meeting"),
            Self::DoNotDisturb => Some("dnd"),
            Self::Away => Some("away"),
        };
        RichPresence {
            open: Some(true),
            activities: activity.into_iter().map(Into::into).collect(),
            ..RichPresence::default()
        }
    }
}

/// What Teams tells of a user by itself; `before` is what it told at the last poll.
fn taken(presence: &TeamsPresence, before: Taken) -> Taken {
    let is_in_call = matches!(&*presence.activity, "InACall" | "InAConferenceCall");
    let declared = match &*presence.availability {
        _ if is_in_call => None,
        "Available" | "AvailableIdle" => Some(Declared::Available),
        "Busy" | "BusyIdle" if &*presence.activity == "InAMeeting" => Some(Declared::Meeting),
        "Busy" | "BusyIdle" => Some(Declared::Busy),
        "DoNotDisturb" => Some(Declared::DoNotDisturb),
        "Away" | "BeRightBack" => Some(Declared::Away),
        _ => None,
    };
    let is_our_call = presence.has_our_call && &*presence.activity == "InACall";
    let is_ours_otherwise =
        presence.has_our_do_not_disturb && declared == Some(Declared::DoNotDisturb);
    match is_our_call || is_ours_otherwise {
        true => before,
        false => Taken {
            is_in_call,
            declared,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presence(availability: &str, activity: &str) -> TeamsPresence {
        TeamsPresence {
            availability: availability.into(),
            activity: activity.into(),
            has_our_call: false,
            has_our_do_not_disturb: false,
        }
    }

    const CALL: Taken = Taken {
        is_in_call: true,
        declared: None,
    };

    #[test]
    fn each_word_of_teams_has_a_meaning() {
        let nothing = Taken::default();
        for (availability, activity, declared) in [
            ("Available", "Available", Some(Declared::Available)),
            ("AvailableIdle", "Available", Some(Declared::Available)),
            ("Busy", "InAMeeting", Some(Declared::Meeting)),
            ("BusyIdle", "Busy", Some(Declared::Busy)),
            ("DoNotDisturb", "Presenting", Some(Declared::DoNotDisturb)),
            ("BeRightBack", "BeRightBack", Some(Declared::Away)),
            ("Away", "Away", Some(Declared::Away)),
            ("Offline", "OffWork", None),
            ("PresenceUnknown", "PresenceUnknown", None),
            ("Newest", "Thing", None),
        ] {
            let found = taken(&presence(availability, activity), nothing);
            assert_eq!((found.is_in_call, found.declared), (false, declared));
        }
        for activity in ["InACall", "InAConferenceCall"] {
            assert_eq!(taken(&presence("Busy", activity), nothing), CALL);
        }
    }

    #[test]
    fn what_is_ours_changes_nothing() {
        let before = Taken {
            is_in_call: false,
            declared: Some(Declared::Away),
        };
        let ours = |availability: &str, activity: &str| TeamsPresence {
            has_our_call: true,
            has_our_do_not_disturb: true,
            ..presence(availability, activity)
        };
        assert_eq!(taken(&ours("Busy", "InACall"), before), before);
        assert_eq!(
            taken(&ours("Busy", "InACall"), CALL),
            CALL,
            "theirs goes on"
        );
        assert_eq!(taken(&ours("Busy", "InAConferenceCall"), before), CALL);
        let quiet = ours("DoNotDisturb", "DoNotDisturb");
        assert_eq!(taken(&quiet, before), before);
        let gone = taken(&ours("Offline", "Offline"), before);
        assert_eq!(gone, Taken::default());
    }
}
