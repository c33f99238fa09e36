//! The reference model alone.

use super::*;

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
            model: Model::new(1, Style::Standard, 0),
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
            publisher: 1,
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

#[test]
fn a_publication_ends_at_its_expiry() {
    let mut source = Source::new();
    source.publish(0, None, 60, Some(vec![leg("a", State::Confirmed)]));
    assert_eq!(source.lamp(59 * SECOND), State::Confirmed);
    // The publication may be believed a little longer, and so may its leg: each for itself.
    assert_eq!(source.model.allowed(0, 61 * SECOND, 61 * SECOND).len(), 3);
    assert_eq!(source.lamp(64 * SECOND), State::Terminated);
}

#[test]
fn early_outlives_no_three_minutes() {
    let mut source = Source::new();
    source.publish(0, None, 3600, Some(vec![leg("a", State::Early)]));
    assert_eq!(source.lamp(179 * SECOND), State::Early);
    assert_eq!(source.lamp(184 * SECOND), State::Terminated);
}

#[test]
fn a_dead_leg_stays_dead() {
    let mut source = Source::new();
    source.publish(0, None, 60, Some(vec![leg("a", State::Terminated)]));
    source.publish(1, None, 60, Some(vec![leg("a", State::Early)]));
    assert_eq!(source.lamp(2), State::Terminated);
}

#[test]
fn a_full_document_ends_what_it_does_not_name() {
    let mut source = Source::new();
    let etag = source.publish(0, None, 60, Some(vec![leg("a", State::Early)]));
    source.publish(1, Some(&etag), 60, Some(vec![leg("b", State::Confirmed)]));
    assert_eq!(source.lamp(2), State::Confirmed);
}

#[test]
fn what_was_a_moment_ago_is_allowed() {
    let mut source = Source::new();
    let etag = source.publish(10, None, 60, Some(vec![leg("a", State::Early)]));
    source.publish(20, Some(&etag), 0, None);
    let lamps: Vec<State> = source
        .model
        .allowed(0, 5, 25)
        .iter()
        .map(|expected| expected.lamp.0)
        .collect();
    assert_eq!(lamps, [State::Terminated, State::Early]);
    assert_eq!(source.lamp(21), State::Terminated);
}

#[test]
fn a_request_taken_twice_is_seen() {
    let mut source = Source::new();
    source.publish(0, None, 60, Some(vec![leg("a", State::Early)]));
    let request = (String::from("call"), 1);
    assert_eq!(source.model.publish_taken(1, &request, "e1", 60), Ok(()));
    assert!(source.model.publish_taken(1, &request, "e2", 60).is_err());
}
