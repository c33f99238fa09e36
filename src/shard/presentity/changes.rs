//! Changes of composed state, for the history if one is kept, and for readers of events, relays and traces if there
//! are any.
//!
//! A change names the other party of a call only as far as watchers could see it: a party that is
//! private, or that its domain does not reveal, is anonymous there too.

use std::ops::Range;

use crate::directory::peer_systems::Addressees;
use crate::presence::call::ANONYMOUS;
use crate::presence::composition::lamp;
use crate::presence::{Aor, CallDialog, Presentity};
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::PresentityId;
use crate::shard::contract::state_change::StateChange;
use crate::shard::contract::turn::Turn;
use crate::shard::presentity::OWNED;
use crate::shard::presentity::presentities::Presentities;

impl Presentities {
    /// Puts the composed state of a presentity, which has just changed, into the outbox.
    pub(super) fn report_change(
        &self,
        id: PresentityId,
        addressees: Addressees,
        turn: &mut Turn<'_>,
    ) {
        if let Some(owned) = self.owned.get(id).expected(OWNED) {
            report(&owned.aor, &owned.presentity, addressees, turn);
        }
    }
}

/// Puts a state that has just changed into the outbox, if there is a reader.
pub(super) fn report(
    aor: &Aor,
    presentity: &Presentity,
    addressees: Addressees,
    turn: &mut Turn<'_>,
) {
    let options = turn.options;
    if !(options.writes_history || options.tells_changes.any() || options.is_traced) {
        return;
    }
    let at = turn.system_clock().unix_milliseconds_of(turn.now);
    let arena = &mut turn.out.arena;
    let composed = presentity.composed();
    let party = composed.calls.first().map_or("", |call| party(call));
    let change = StateChange {
        at,
        aor: aor.clone(),
        addressees,
        availability: composed.availability,
        is_open: composed.open,
        lamp: lamp(composed),
        has_call: !composed.calls.is_empty(),
        extended: composed.extended,
        decider: presentity.decider(),
        rule: presentity.rule(),
        party: append(party, arena),
        note: append(composed.note.as_deref().unwrap_or_default(), arena),
    };
    turn.out.state_changes.push(change);
}

/// The other party of a call; empty if it is not known.
pub(super) fn party(call: &CallDialog) -> &str {
    let remote = call.remote();
    let mut names = [remote.identity, remote.target, remote.display].into_iter();
    match call.remote_is_private {
        true => ANONYMOUS,
        false => names.find(|name| !name.is_empty()).unwrap_or_default(),
    }
}

fn append(text: &str, arena: &mut Vec<u8>) -> Range<usize> {
    let start = arena.len();
    arena.extend_from_slice(text.as_bytes());
    start..arena.len()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::directory::peer_systems::PeerSystem;
    use crate::directory::{Directory, Domain};
    use crate::presence::Aor;
    use crate::presence::call::{CallParts, CallState, Party};
    use crate::presence::composition::Availability;
    use crate::presence::origin::Origin;
    use crate::presence::source::StateUpdate;
    use crate::shard::{Command, CommandId, Input, Options, Outbox, Reply, Shard, ShardId};

    fn peer_systems() -> Vec<PeerSystem> {
        vec![PeerSystem {
            connectors: vec!["there".into()],
            relays: Vec::new(),
            origins: vec![Origin::of("there")],
        }]
    }

    /// A shard that writes a history, or none, and the time of its start. The system "there" is a peer system.
    fn shard(writes_history: bool) -> (Shard, Instant) {
        let now = Instant::now();
        let mut directory = Directory::default();
        let domain = Domain {
            open: true,
            ..Domain::new("a.test")
        };
        directory.add_domain(domain, &[]).unwrap();
        directory.set_peer_systems(peer_systems());
        let options = Options {
            writes_history,
            epoch_unix: 1_000,
            ..Options::new(ShardId(0), 1, now, [1; 32])
        };
        (Shard::new(options, Arc::new(directory), [2; 32]), now)
    }

    fn aor() -> Aor {
        Aor::new("1", "a.test")
    }

    fn call(party: &str, remote_is_private: bool) -> Command {
        let call = CallParts {
            remote: Party {
                identity: party,
                ..Party::default()
            },
            remote_is_private,
            ..CallParts::new("1", CallState::Confirmed)
        };
        Command::call_state(aor(), Some(Arc::new(call.into())), Duration::from_secs(60))
    }

    fn note(text: &str) -> Command {
        Command::UpdateState {
            aor: aor(),
            update: StateUpdate::Note(Some(text.into())),
            origin: None,
        }
    }

    /// Each change as that: whether it is for the peer system, and for all others, and the lamp.
    fn told(outbox: &Outbox) -> Vec<(bool, bool, CallState)> {
        let mut directory = Directory::default();
        directory.set_peer_systems(peer_systems());
        let there = directory.peer_system_of_connector("there");
        let changes = outbox.state_changes.iter();
        let told = changes.map(|change| {
            let addressees = change.addressees;
            (addressees.has(there), addressees.has(None), change.lamp)
        });
        told.collect()
    }

    #[test]
    fn a_system_is_not_told_what_it_said_itself() {
        let (mut shard, now) = shard(true);
        let from_there = |call: Command| {
            let Command::UpdateState { aor, update, .. } = call else {
                panic!("{call:?}")
            };
            let origin = Some(Origin::of("there"));
            Command::UpdateState {
                aor,
                update,
                origin,
            }
        };
        let (busy, idle) = (CallState::Confirmed, CallState::Terminated);
        // Its report is a change for all others. To it nothing has changed.
        let outbox = order(&mut shard, from_there(call("sip:5@a.test", false)), now);
        assert_eq!(told(&outbox), [(false, true, busy)]);
        // A note of ours is told to all, apart.
        let outbox = order(&mut shard, note("lunch"), now);
        assert_eq!(told(&outbox), [(true, false, idle), (false, true, busy)]);
        // Its report ends: it knows.
        let end = Command::call_state(aor(), None, Duration::ZERO);
        let outbox = order(&mut shard, from_there(end), now);
        assert_eq!(told(&outbox), [(false, true, idle)]);
        // Our own report is for all: it is the first from which it learns that the user is known by calls.
        let outbox = order(&mut shard, call("sip:5@a.test", false), now);
        assert_eq!(told(&outbox), [(true, false, busy), (false, true, busy)]);
        let end = Command::call_state(aor(), None, Duration::ZERO);
        let outbox = order(&mut shard, end, now);
        assert_eq!(told(&outbox), [(true, true, idle)]);
        // What it reports beside a call of ours is nothing new to it, nor is its end.
        order(&mut shard, call("sip:5@a.test", false), now);
        let outbox = order(&mut shard, from_there(call("sip:6@a.test", false)), now);
        assert_eq!(told(&outbox), []);
    }

    /// Gives the shard a command at a time.
    fn order(shard: &mut Shard, command: Command, now: Instant) -> Outbox {
        let mut outbox = Outbox::default();
        shard.handle(Input::Command(CommandId(1), command), now, &mut outbox);
        outbox
    }

    #[test]
    fn a_change_is_written_with_its_reason() {
        let (mut shard, start) = shard(true);
        let now = start + Duration::from_millis(2_500);
        let outbox = order(&mut shard, call("sip:5@a.test", false), now);
        let [change] = &outbox.state_changes[..] else {
            panic!("{:?}", outbox.state_changes)
        };
        assert_eq!((change.at, &change.aor), (1_002_500, &aor()));
        assert_eq!(change.availability, Availability::Busy);
        assert_eq!(change.lamp, CallState::Confirmed);
        assert_eq!(change.decider, "http:call_state");
        assert_eq!(change.rule, "a call is confirmed");
        assert_eq!(outbox.text(&change.party), "sip:5@a.test");
        let outbox = order(&mut shard, note("lunch"), now);
        let notes = outbox
            .state_changes
            .iter()
            .map(|change| outbox.text(&change.note));
        assert_eq!(notes.collect::<Vec<_>>(), ["lunch"]);
        let outbox = order(&mut shard, note("lunch"), now);
        assert!(outbox.state_changes.is_empty(), "nothing changed");
    }

    /// It expires by itself.
    #[test]
    fn the_end_of_a_call_is_written_too() {
        let (mut shard, start) = shard(true);
        order(&mut shard, call("sip:5@a.test", false), start);
        let mut outbox = Outbox::default();
        shard.handle_timeout(start + Duration::from_secs(61), &mut outbox);
        let lamps = outbox.state_changes.iter().map(|change| change.lamp);
        assert_eq!(lamps.collect::<Vec<_>>(), [CallState::Terminated]);
    }

    #[test]
    fn a_private_party_is_anonymous() {
        let (mut shard, start) = shard(true);
        let outbox = order(&mut shard, call("sip:5@a.test", true), start);
        let parties = outbox
            .state_changes
            .iter()
            .map(|change| outbox.text(&change.party));
        assert_eq!(parties.collect::<Vec<_>>(), [ANONYMOUS]);
    }

    #[test]
    fn without_a_history_nothing_is_written() {
        let (mut shard, start) = shard(false);
        let outbox = order(&mut shard, call("sip:5@a.test", false), start);
        assert!(outbox.state_changes.is_empty());
    }

    #[test]
    fn a_forgotten_presentity_has_no_contribution() {
        let (mut shard, start) = shard(true);
        order(&mut shard, call("sip:5@a.test", false), start);
        order(&mut shard, note("lunch"), start);
        let outbox = order(&mut shard, Command::Forget(aor()), start);
        let [(_, Reply::Forgotten(Some(erased)))] = &outbox.replies[..] else {
            panic!("{:?}", outbox.replies)
        };
        let found: Vec<_> = erased.iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(found, [&("reported calls", 1), &("notes", 1)]);
        let outbox = order(&mut shard, Command::Why(aor()), start);
        let [(_, Reply::Why(why))] = &outbox.replies[..] else {
            panic!("{:?}", outbox.replies)
        };
        assert!(why.contributions.is_empty());
        assert_eq!(why.availability, Availability::Offline);
        let outbox = order(&mut shard, Command::Forget(aor()), start);
        assert!(matches!(outbox.replies[..], [(_, Reply::Forgotten(None))]));
    }
}
