//! Tests of the reference model.

use super::*;
use crate::documents::{Party, Shown};

fn leg(call_id: &str, state: State) -> Leg {
    Leg {
        id: call_id.into(),
        call_id: call_id.into(),
        local_tag: "l".into(),
        remote_tag: "r".into(),
        recipient: true,
        state,
        remote: "200".into(),
    }
}

struct Source {
    model: Model,
    requests: u32,
}

impl Source {
    fn new() -> Self {
        Self {
            model: Model::new(1, Style::Standard, 0, None),
            requests: 0,
        }
    }

    fn publish(
        &mut self,
        now: Micros,
        condition: Option<&str>,
        expires: u64,
        legs: Option<Vec<Leg>>,
    ) -> String {
        self.requests += 1;
        let request = (String::from("call"), self.requests);
        let intent = Intent {
            presentity: 0,
            publisher: (1, 0),
            condition: condition.map(str::to_owned),
            expires,
            document: legs.map(|legs| Document::Dialogs { full: true, legs }),
        };
        self.model.intents.insert(request.clone(), intent);
        let etag = format!("e{}", self.requests);
        self.model
            .publish_taken(now, &request, &etag, expires)
            .unwrap();
        etag
    }

    fn lamp(&self, now: Micros) -> State {
        let allowed = self.model.allowed(0, now, now);
        assert_eq!(allowed.len(), 1, "{allowed:?}");
        allowed[0].lamp.0
    }
}

#[test]
fn early_wins_over_confirmed() {
    let mut source = Source::new();
    let legs = vec![leg("a", State::Confirmed), leg("b", State::Early)];
    source.publish(1, None, 60, Some(legs));
    assert_eq!(source.lamp(2), State::Early);
}

/// The lamps that are allowed at a time.
fn lamps(source: &Source, now: Micros) -> Vec<State> {
    let allowed = source.model.allowed(0, now, now);
    let mut lamps: Vec<_> = allowed.iter().map(|expected| expected.lamp.0).collect();
    lamps.dedup();
    lamps
}

#[test]
fn all_calls_of_a_publication_end_with_it() {
    let mut source = Source::new();
    let legs = (0..40).map(|number| leg(&number.to_string(), State::Confirmed));
    source.publish(0, None, 60, Some(legs.collect()));
    assert_eq!(
        lamps(&source, 61 * SECOND),
        [State::Terminated, State::Confirmed]
    );
}

#[test]
fn a_call_may_run_out_while_its_publication_has_its_grace() {
    let mut source = Source::new();
    let legs = vec![leg("a", State::Confirmed), leg("b", State::Early)];
    source.publish(0, None, 179, Some(legs));
    let allowed = lamps(&source, 180 * SECOND);
    assert!(allowed.contains(&State::Confirmed), "{allowed:?}");
    assert!(allowed.contains(&State::Early), "{allowed:?}");
}

#[test]
fn a_publication_ends_at_its_expiry() {
    let mut source = Source::new();
    source.publish(0, None, 60, Some(vec![leg("a", State::Confirmed)]));
    assert_eq!(source.lamp(59 * SECOND), State::Confirmed);
    // The publication may count a little longer, with its leg.
    assert_eq!(source.model.allowed(0, 61 * SECOND, 61 * SECOND).len(), 2);
    assert_eq!(source.lamp(64 * SECOND), State::Terminated);
}

#[test]
fn an_early_leg_ends_after_three_minutes() {
    let mut source = Source::new();
    source.publish(0, None, 3600, Some(vec![leg("a", State::Early)]));
    assert_eq!(source.lamp(179 * SECOND), State::Early);
    assert_eq!(source.lamp(184 * SECOND), State::Terminated);
}

#[test]
fn a_terminated_leg_stays_terminated() {
    let mut source = Source::new();
    source.publish(0, None, 60, Some(vec![leg("a", State::Terminated)]));
    source.publish(1, None, 60, Some(vec![leg("a", State::Early)]));
    assert_eq!(source.lamp(2), State::Terminated);
}

#[test]
fn a_full_document_ends_the_calls_that_it_omits() {
    let mut source = Source::new();
    let etag = source.publish(0, None, 60, Some(vec![leg("a", State::Early)]));
    source.publish(1, Some(&etag), 60, Some(vec![leg("b", State::Confirmed)]));
    assert_eq!(source.lamp(2), State::Confirmed);
}

#[test]
fn a_state_that_was_current_a_moment_ago_passes() {
    let mut source = Source::new();
    let etag = source.publish(10, None, 60, Some(vec![leg("a", State::Early)]));
    source.publish(20, Some(&etag), 0, None);
    let lamps: Vec<State> = source
        .model
        .allowed(0, 5, 25)
        .iter()
        .map(|expected| expected.lamp.0)
        .collect();
    // Before the presentity was known from a call, during the call, and since.
    assert_eq!(lamps, [State::Terminated, State::Early, State::Terminated]);
    assert_eq!(source.lamp(21), State::Terminated);
}

#[test]
fn a_request_processed_twice_is_detected() {
    let mut source = Source::new();
    source.publish(0, None, 60, Some(vec![leg("a", State::Early)]));
    let request = (String::from("call"), 1);
    assert_eq!(source.model.publish_taken(1, &request, "e1", 60), Ok(()));
    assert!(source.model.publish_taken(1, &request, "e2", 60).is_err());
}

/// Statements about one presentity, and the resulting state.
fn composed(style: Style, update: &[Update]) -> Expected {
    let mut model = Model::new(1, style, 0, None);
    for update in update {
        model.update(1, 0, update.clone());
    }
    let mut allowed = model.allowed(0, 2, 2);
    assert_eq!(allowed.len(), 1, "{allowed:?}");
    allowed.remove(0)
}

fn declared(open: Option<bool>, activity: Option<&'static str>) -> Update {
    Update::Presence(Some(Word {
        open,
        activity,
        ..Word::default()
    }))
}

/// W:D2.7-D2.13, D3.14-D3.19
#[test]
fn precedence_in_every_style() {
    use Style::{Alceo, Imagicle, Standard};
    let dnd = || Update::DoNotDisturb(true);
    let forward = |target| Update::Forward {
        is_active: true,
        target,
    };
    let call = || Update::CallState(Some(60 * SECOND));
    let contact = || Update::Registered(1, 60 * SECOND);
    let away = || declared(None, Some("away"));
    let table: [(Style, Vec<Update>, &str, bool); 16] = [
        (Standard, vec![], "offline", false),
        (Standard, vec![contact()], "available", true),
        (
            Standard,
            vec![contact(), Update::Unregistered],
            "unreachable",
            false,
        ),
        (Standard, vec![call(), away()], "busy", true),
        (
            Standard,
            vec![forward("*97"), call()],
            "forwarded to voice mail",
            true,
        ),
        (
            Standard,
            vec![forward("5551234")],
            "forwarded to a number",
            true,
        ),
        (
            Standard,
            vec![forward("*97"), dnd(), call()],
            "do-not-disturb",
            false,
        ),
        (
            Standard,
            vec![contact(), declared(Some(false), None)],
            "offline",
            false,
        ),
        (Alceo, vec![], "unreachable", false),
        (Alceo, vec![forward("*97")], "unreachable", false),
        (Alceo, vec![call()], "busy", true),
        (
            Alceo,
            vec![declared(Some(false), None)],
            "do-not-disturb",
            false,
        ),
        (Alceo, vec![contact(), away()], "away", true),
        (
            Imagicle,
            vec![forward("5551234"), call()],
            "forwarded to a number",
            true,
        ),
        (Imagicle, vec![call(), away()], "busy", true),
        (Imagicle, vec![away()], "away", true),
    ];
    for (style, update, availability, open) in table {
        let expected = composed(style, &update);
        let verdict = (expected.availability.text(), expected.open);
        assert_eq!(verdict, (availability, open), "{style:?} {update:?}");
    }
}

/// W:D2.14, D3.4
#[test]
fn notes_and_activities() {
    let expected = composed(Style::Standard, &[Update::DoNotDisturb(true)]);
    assert_eq!(expected.note.as_deref(), Some("Do not disturb"));
    assert_eq!(expected.activities, ["busy"]);
    let note = Update::Note(Some("back soon".into()));
    let call = Update::Lamp(Some(60 * SECOND));
    let expected = composed(Style::Standard, &[Update::DoNotDisturb(true), note, call]);
    assert_eq!(expected.note.as_deref(), Some("back soon"));
    assert_eq!(expected.activities, ["busy"]);
    let expected = composed(Style::Standard, &[declared(None, Some("meeting"))]);
    assert_eq!(expected.activities, ["busy", "meeting"]);
}

/// W:B3.12
#[test]
fn each_privacy_level_shows_its_part_of_the_state() {
    let expected = Expected {
        lamp: composition::Lamp(State::Early),
        has_named_call: true,
        ..Expected::default()
    };
    let shown = |party, call_id: Option<&str>| Shown::Lamp {
        state: State::Early,
        call_id: call_id.map(str::to_owned),
        party,
    };
    let levels = [
        shown(Party::Absent, None),
        shown(Party::Anonymous, None),
        shown(Party::Named, None),
        shown(Party::Named, Some("c")),
    ];
    for (privacy, right) in (0..).zip(&levels) {
        for shown in &levels {
            assert_eq!(
                expected.agrees_at(privacy, shown),
                shown == right,
                "{privacy}"
            );
        }
    }
}

#[test]
fn a_recovered_record_restores_the_state_at_its_writing() {
    let mut source = Source::new();
    let etag = source.publish(0, None, 60, Some(vec![leg("a", State::Confirmed)]));
    let (revision, saved) = source.model.save(0);
    source.publish(10, Some(&etag), 60, Some(vec![leg("a", State::Terminated)]));
    assert!(source.model.save(0).0 > revision);
    source.model.forget(20);
    assert_eq!(source.lamp(21), State::Terminated);
    source.model.restore(30, 0, &saved);
    assert_eq!(source.lamp(31), State::Confirmed);
    // Its entity tag is that of the record, and the request that changed it is served again.
    let request = (String::from("call"), 2);
    assert_eq!(source.model.publish_held(40, &request), Ok(()));
    assert_eq!(source.lamp(41), State::Terminated);
}

#[test]
fn a_412_for_the_tag_in_a_recovered_record_is_detected() {
    let mut source = Source::new();
    let etag = source.publish(0, None, 60, Some(vec![leg("a", State::Confirmed)]));
    let (_, saved) = source.model.save(0);
    source.model.forget(10);
    source.model.restore(20, 0, &saved);
    let request = (String::from("call"), 7);
    let intent = Intent {
        presentity: 0,
        publisher: (1, 0),
        condition: Some(etag),
        expires: 60,
        document: None,
    };
    source.model.intents.insert(request.clone(), intent);
    let refused = source.model.publish_refused(30, &request, 412);
    assert_eq!(refused, Err("412 for an active publication"));
}

#[test]
fn an_entity_tag_is_learnt_from_a_200_that_was_held() {
    let mut source = Source::new();
    let request = (String::from("call"), 9);
    let intent = Intent {
        presentity: 0,
        publisher: (1, 0),
        condition: None,
        expires: 60,
        document: Some(Document::Dialogs {
            full: true,
            legs: vec![leg("a", State::Early)],
        }),
    };
    source.model.intents.insert(request.clone(), intent);
    source.model.publish_held(1, &request).unwrap();
    assert_eq!(source.lamp(2), State::Early);
    assert_eq!(source.model.publish_taken(3, &request, "e9", 60), Ok(()));
    let other = source.model.publish_taken(4, &request, "e10", 60);
    assert_eq!(other, Err("one PUBLISH was processed twice"));
    let shorter = source.model.publish_taken(5, &request, "e9", 50);
    assert_eq!(shorter, Err("another expiry than the model computed"));
    source.publish(6, Some("e9"), 0, None);
    assert_eq!(source.lamp(7), State::Terminated);
}

#[test]
fn a_presentity_without_valid_statements_is_blank() {
    let mut source = Source::new();
    assert!(source.model.is_blank(1, 0));
    let note = |note: Option<&str>| Update::Note(note.map(str::to_owned));
    assert!(source.model.update(1, 0, note(None)).is_none());
    assert!(source.model.update(1, 0, note(Some("back at 2"))).is_some());
    assert!(!source.model.is_blank(2, 0));
    assert!(source.model.update(2, 0, note(None)).is_some());
    assert!(source.model.is_blank(3, 0));
}
