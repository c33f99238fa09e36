//! The state composed of contributions, as a table.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::presence::call::{CallDialog, CallParts, CallState, Direction};
use crate::presence::composition::{
    Availability, Circumstances, Composed, Contributor, Declaration, Extras, Rules, Verdict,
    compose, implied_activity, lamp,
};
use crate::presence::source::{CallSource, RichPresence};

fn call(id: &str, direction: Option<Direction>, state: CallState) -> Arc<CallDialog> {
    let call = CallParts {
        call_id: id,
        local_tag: "l",
        remote_tag: "r",
        direction,
        ..CallParts::new(id, state)
    };
    Arc::new(call.into())
}

fn declaration(open: Option<bool>, activities: &[&str], note: &str, since: Instant) -> Declaration {
    let activities = activities.iter().copied().map(Box::from).collect();
    Declaration::new(
        RichPresence {
            open,
            activities,
            note: Some(note.into()),
            alternative: None,
        },
        since,
    )
}

const CALL_STATE: Contributor = Contributor::Call(CallSource::CallState);

/// Composes in the standard style, without any other input.
fn composed(calls: &[Arc<CallDialog>], declarations: &[Declaration]) -> (Composed, Verdict) {
    let mut composed = Composed::default();
    let calls = calls.iter().map(|call| (CALL_STATE, call));
    let declarations = declarations
        .iter()
        .enumerate()
        .map(|(at, said)| (Contributor::Publication(at as u64), said));
    let (rules, extras) = (Rules::default(), Arc::default());
    let previous = Composed::default();
    let circumstances = nothing_beside(&rules, &extras);
    let verdict = compose(
        calls,
        declarations,
        &circumstances,
        &previous,
        &mut composed,
    );
    (composed, verdict)
}

fn nothing_beside<'a>(rules: &'a Rules, extras: &'a Arc<Extras>) -> Circumstances<'a> {
    Circumstances {
        rules,
        extras,
        alternative_by: Contributor::NoSource,
        note: None,
        has_registrar: false,
        call_source: None,
        is_known_by_calls: false,
        has_call_state_dnd: false,
    }
}

const IN: Option<Direction> = Some(Direction::Recipient);
const OUT: Option<Direction> = Some(Direction::Initiator);

/// Only calls: both packages agree in every case.
#[test]
fn the_state_composed_of_calls() {
    use Availability::{Busy, Offline, Ringing};
    use CallState::{Confirmed, Early, Proceeding, Trying};
    type Legs<'a> = &'a [(Option<Direction>, CallState)];
    let table: [(Legs<'_>, Availability, CallState); 16] = [
        (&[], Offline, CallState::Terminated),
        (&[(IN, Trying)], Ringing, Trying),
        (&[(IN, Proceeding)], Ringing, Proceeding),
        (&[(IN, Early)], Ringing, Early),
        (&[(IN, Confirmed)], Busy, Confirmed),
        (&[(OUT, Trying)], Busy, Confirmed),
        (&[(OUT, Proceeding)], Busy, Confirmed),
        (&[(OUT, Early)], Busy, Confirmed),
        (&[(OUT, Confirmed)], Busy, Confirmed),
        (&[(None, Early)], Ringing, Early),
        (&[(None, Confirmed)], Busy, Confirmed),
        // A second call rings through (W:C0.3).
        (&[(OUT, Confirmed), (IN, Early)], Ringing, Early),
        (&[(IN, Early), (IN, Confirmed)], Ringing, Early),
        (&[(OUT, Early), (IN, Early)], Ringing, Early),
        // A call that is not ringing yet does not.
        (&[(IN, Confirmed), (IN, Proceeding)], Busy, Confirmed),
        (&[(IN, Trying), (OUT, Trying)], Busy, Confirmed),
    ];
    for (legs, availability, shown) in table {
        let calls: Vec<_> = legs
            .iter()
            .enumerate()
            .map(|(at, (direction, state))| call(&at.to_string(), *direction, *state))
            .collect();
        let (composed, verdict) = composed(&calls, &[]);
        assert_eq!(
            (composed.availability, lamp(&composed)),
            (availability, shown),
            "{legs:?}"
        );
        assert_eq!(composed.open, !legs.is_empty(), "{legs:?}");
        assert_eq!(verdict.decider == CALL_STATE, !legs.is_empty(), "{legs:?}");
    }
}

/// Only clients, and clients during a call.
#[test]
fn the_state_composed_of_clients() {
    use Availability::{Available, Away, Busy, DoNotDisturb, Offline, Ringing};
    let ringing = call("x", IN, CallState::Early);
    let now = Instant::now();
    type StateUpdate<'a> = &'a [(Option<bool>, &'a [&'a str])];
    type Outcome = (Availability, bool);
    // The declaration; availability and basic without a call; the same during a ringing call.
    let table: [(StateUpdate<'_>, Outcome, Outcome); 15] = [
        (&[], (Offline, false), (Ringing, true)),
        (&[(None, &[])], (Offline, false), (Ringing, true)),
        (&[(Some(true), &[])], (Available, true), (Ringing, true)),
        (&[(Some(false), &[])], (Offline, false), (Ringing, false)),
        (
            &[(Some(false), &[]), (Some(true), &[])],
            (Available, true),
            (Ringing, true),
        ),
        (&[(Some(true), &["away"])], (Away, true), (Ringing, true)),
        (&[(None, &["vacation"])], (Away, false), (Ringing, true)),
        (
            &[(Some(true), &["meal"]), (Some(true), &["meeting"])],
            (Busy, true),
            (Ringing, true),
        ),
        (&[(Some(true), &["busy"])], (Busy, true), (Ringing, true)),
        (
            &[(Some(true), &["performance"])],
            (Busy, true),
            (Ringing, true),
        ),
        (
            &[(Some(true), &["on-the-phone"])],
            (Busy, true),
            (Ringing, true),
        ),
        (
            &[(Some(true), &["working", "playing"])],
            (Available, true),
            (Ringing, true),
        ),
        (
            &[(Some(true), &["dnd"])],
            (DoNotDisturb, false),
            (DoNotDisturb, false),
        ),
        (
            &[(Some(true), &["busy", "do-not-disturb"])],
            (DoNotDisturb, false),
            (DoNotDisturb, false),
        ),
        (
            &[(Some(true), &[]), (None, &["donotdisturb"])],
            (DoNotDisturb, false),
            (DoNotDisturb, false),
        ),
    ];
    for (said, alone, beside_a_call) in table {
        let declarations: Vec<_> = said
            .iter()
            .map(|(open, activities)| declaration(*open, activities, "note", now))
            .collect();
        for (calls, expected) in [
            (&[][..], alone),
            (std::slice::from_ref(&ringing), beside_a_call),
        ] {
            let (composed, verdict) = composed(calls, &declarations);
            assert_eq!(
                (composed.availability, composed.open),
                expected,
                "{said:?} {calls:?}"
            );
            assert_eq!(verdict.availability, composed.availability);
            assert!(!composed.open || composed.availability != Offline);
        }
    }
}

#[test]
fn on_the_phone_lights_the_lamp_and_busy_does_not() {
    let now = Instant::now();
    let on_the_phone = [declaration(Some(true), &["on-the-phone"], "", now)];
    let (first, verdict) = composed(&[], &on_the_phone);
    assert_eq!(
        (first.availability, lamp(&first)),
        (Availability::Busy, CallState::Confirmed)
    );
    assert_eq!(verdict.to_string(), "busy: a client published on-the-phone");
    assert_eq!(verdict.decider, Contributor::Publication(0));
    assert_eq!(
        composed(&[], &on_the_phone).0,
        first,
        "the same call each time"
    );
    // A known call is shown instead.
    let (both, _) = composed(&[call("x", IN, CallState::Confirmed)], &on_the_phone);
    assert_eq!(both.calls.len(), 1);
    let (both, _) = composed(&[call("x", IN, CallState::Early)], &on_the_phone);
    assert_eq!(
        (both.calls.len(), lamp(&both), both.availability),
        (2, CallState::Early, Availability::Ringing)
    );

    let (busy, _) = composed(&[], &[declaration(Some(true), &["busy"], "", now)]);
    assert_eq!(
        (busy.availability, lamp(&busy)),
        (Availability::Busy, CallState::Terminated)
    );
}

#[test]
fn activities_that_the_availability_does_not_imply() {
    let now = Instant::now();
    let ringing = call("x", IN, CallState::Early);
    let activities = |calls: &[Arc<CallDialog>], said: &[&str]| {
        let (composed, _) = composed(calls, &[declaration(Some(true), said, "", now)]);
        let names: Vec<&'static str> = implied_activity(&composed).into_iter().collect();
        (
            names,
            composed
                .activities
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
        )
    };
    let strings = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(activities(&[], &[]), (vec![], vec![]));
    assert_eq!(activities(&[], &["away"]), (vec!["away"], vec![]));
    assert_eq!(
        activities(&[], &["lunch", "juggling"]),
        (vec!["away"], strings(&["lunch"]))
    );
    assert_eq!(
        activities(&[], &["meeting", "away"]),
        (vec!["busy"], strings(&["away", "meeting"]))
    );
    assert_eq!(
        activities(&[], &["on-the-phone"]),
        (vec!["on-the-phone"], vec![])
    );
    assert_eq!(activities(&[], &["dnd", "busy"]), (vec!["busy"], vec![]));
    assert_eq!(
        activities(&[ringing], &["meeting"]),
        (vec!["on-the-phone"], strings(&["meeting"]))
    );
}

#[test]
fn the_note_of_the_strongest_then_the_newest() {
    let now = Instant::now();
    let later = now + Duration::from_secs(1);
    let open = declaration(Some(true), &[], "in", now);
    let newer = declaration(Some(true), &[], "in as well", later);
    let away = declaration(Some(true), &["away"], "out", now);
    let silent = declaration(Some(false), &["dnd"], "", later);
    let note = |said: &[Declaration]| composed(&[], said).0.note;
    assert_eq!(note(&[]), None);
    assert_eq!(
        note(&[open.clone(), newer.clone()]).as_deref(),
        Some("in as well")
    );
    assert_eq!(note(&[newer, away, open, silent]).as_deref(), Some("out"));
}

#[test]
fn the_order_of_calls_does_not_depend_on_the_order_of_sources() {
    let mut calls = [
        call("c", IN, CallState::Confirmed),
        call("a", OUT, CallState::Confirmed),
        call("b", IN, CallState::Confirmed),
        call("d", IN, CallState::Trying),
        call("e", OUT, CallState::Early),
        call("f", None, CallState::Early),
    ];
    let ids = |calls: &[Arc<CallDialog>]| -> String {
        composed(calls, &[])
            .0
            .calls
            .iter()
            .map(|call| call.id())
            .collect()
    };
    assert_eq!(ids(&calls), "fbcaed");
    calls.reverse();
    assert_eq!(ids(&calls), "fbcaed");
    calls.swap(1, 4);
    assert_eq!(ids(&calls), "fbcaed");
}

#[test]
fn the_more_advanced_report_of_a_leg_wins_and_the_answered_branch() {
    let early = call("x", IN, CallState::Early);
    let confirmed = call("x", IN, CallState::Confirmed);
    for calls in [
        [early.clone(), confirmed.clone()],
        [confirmed.clone(), early.clone()],
    ] {
        assert_eq!(
            composed(&calls, &[]).0.calls.as_slice(),
            std::slice::from_ref(&confirmed)
        );
    }
    let branch = CallParts {
        remote_tag: "other",
        ..early.parts()
    };
    let branch = Arc::new(CallDialog::from(branch));
    assert_eq!(
        composed(&[branch.clone(), confirmed.clone()], &[])
            .0
            .calls
            .as_slice(),
        [confirmed]
    );
    assert_eq!(composed(&[branch, early], &[]).0.calls.len(), 2);
}

#[test]
fn equal_lists_are_shared_with_the_state_before() {
    let now = Instant::now();
    let said = [declaration(Some(true), &["lunch"], "soon", now)];
    let declarations = || said.iter().map(|said| (Contributor::Publication(0), said));
    let (before, _) = composed(&[], &said);
    let busy = call("x", IN, CallState::Confirmed);
    let mut after = Composed::default();
    let (rules, extras) = (Rules::default(), Arc::default());
    compose(
        [(CALL_STATE, &busy)].into_iter(),
        declarations(),
        &nothing_beside(&rules, &extras),
        &before,
        &mut after,
    );
    assert!(Arc::ptr_eq(&before.activities, &after.activities));
    assert!(Arc::ptr_eq(
        before.note.as_ref().unwrap(),
        after.note.as_ref().unwrap()
    ));
}

#[test]
fn the_precedence_has_every_availability_once() {
    for (place, availability) in Availability::PRECEDENCE.into_iter().enumerate() {
        assert_eq!(availability.rank(), place);
    }
}
