//! Scenarios against a notifier that behaves correctly, unusually or wrongly: which faults are
//! found, and which are not reported.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use super::{Habit, start};
use crate::measure::latency::Measure;
use crate::measure::tally::Tally;
use crate::net::front::Front;
use crate::net::ports::Transport;
use crate::net::security::{Security, Trust};
use crate::report::summary::Summary;
use crate::run;
use crate::run::{Outcome, Setting};
use crate::scenario::{Arrival, Feed, FirstVersion, PublicationOf, Scenario};
use crate::swarm::Target;
use crate::wire::dialog_info::Lamp;

/// Twenty phones with one key each watch five users that ring and talk.
fn scenario() -> Scenario {
    Scenario {
        phones: 20,
        keys: 1,
        presentities: 5,
        sockets: 4,
        subscribe_rate: 4000.0,
        change_rate: 1000.0,
        arrival: Arrival::Even,
        // Ten changes: the last is due after nine milliseconds.
        duration: Duration::from_micros(9_500),
        settle: Duration::from_millis(60),
        patience: Duration::from_secs(1),
        sample: 10,
        ..Scenario::default()
    }
}

/// Runs a scenario against a notifier with that behaviour.
fn swarm(habit: Habit, scenario: Scenario, password: Option<&str>) -> Outcome {
    let (server, http) = start(habit);
    run_against(server, http, scenario, password)
}

fn run_against(
    server: SocketAddr,
    http: SocketAddr,
    scenario: Scenario,
    password: Option<&str>,
) -> Outcome {
    let security = Security::new(Trust::Anyone, "abc.com").unwrap();
    let target = Target {
        server,
        domain: "abc.com".to_owned(),
        user_prefix: "1".to_owned(),
        username: None,
        password: password.map(str::to_owned),
        http: Some(http),
    };
    let setting = Setting {
        name: "test".to_owned(),
        target,
        sources: vec![std::net::Ipv4Addr::LOCALHOST.into()],
        security: Some(security),
        server_pids: Vec::new(),
        cpu: None,
        quiet: true,
    };
    run::run(setting, scenario).unwrap()
}

fn tally(habit: Habit) -> Tally {
    swarm(habit, scenario(), None).swarm.tally().clone()
}

#[test]
fn a_good_notifier_gets_a_clean_report() {
    let outcome = swarm(Habit::Good, scenario(), None);
    let summary = Summary::new(&outcome);
    let tally = outcome.swarm.tally();
    assert!(summary.clean, "{:?} {tally:?}", summary.reasons);
    assert_eq!(tally.established, 20);
    // First NOTIFY, two changes, removal of the publication, last NOTIFY.
    assert_eq!(tally.notifies, 20 * 5);
    assert_eq!((tally.publishes, tally.changes), (15, 15));
    assert_eq!(summary.stages.len(), 5);
    assert!(tally.sampled >= 100);
    let count = |measure| outcome.swarm.latencies().of(measure).count();
    assert_eq!(count(Measure::Lamp), 40);
    assert_eq!(
        (count(Measure::LampFirst), count(Measure::LampLast)),
        (10, 10)
    );
    assert_eq!(
        (
            count(Measure::SubscribeResponse),
            count(Measure::SubscribeNotify)
        ),
        (20, 20)
    );
}

#[test]
fn odd_but_legal_habits_are_forgiven() {
    for habit in [
        Habit::Retransmits,
        Habit::Deaf,
        Habit::NotifyFirst,
        Habit::Overloaded,
    ] {
        let tally = tally(habit);
        assert!(tally.is_clean(), "{habit:?}\n{tally:?}");
        assert_eq!(tally.notifies, 20 * 5, "{habit:?}");
        let expected = match habit {
            Habit::Retransmits => (1, 0),
            Habit::Overloaded => (0, 2),
            _ => (0, 0),
        };
        assert_eq!((tally.repeated, tally.deferred), expected, "{habit:?}");
        assert_eq!(tally.retransmitted > 0, habit == Habit::Deaf, "{habit:?}");
    }
}

#[test]
fn a_challenge_is_answered_and_remembered() {
    // One phone per user: rsip reads no nonce count above nine.
    let alone = || Scenario {
        presentities: 20,
        ..scenario()
    };
    let outcome = swarm(Habit::Challenges, alone(), Some("secret"));
    let tally = outcome.swarm.tally();
    assert!(tally.is_clean(), "{tally:?}");
    assert_eq!(tally.responses[&("SUBSCRIBE", 401)], 20);
    assert!(!tally.responses.contains_key(&("PUBLISH", 401)));
    let outcome = swarm(Habit::Challenges, alone(), Some("wrong"));
    let tally = outcome.swarm.tally();
    assert_eq!((tally.established, tally.subscribes_failed), (0, 20));
    assert_eq!(
        outcome.swarm.records().len(),
        1,
        "no phone subscribed, so nothing else is tried"
    );
    assert!(!tally.is_clean());
}

#[test]
fn each_fault_is_found_and_named() {
    for (habit, expected) in [
        (Habit::Forgets, [1, 0, 0, 0, 0]),
        (Habit::SkipsVersion, [1, 0, 0, 0, 0]),
        (Habit::SaysTwice, [0, 1, 0, 0, 0]),
        (Habit::RepeatsVersion, [0, 1, 0, 0, 0]),
        (Habit::GoesBack, [0, 0, 1, 0, 0]),
        (Habit::SkipsSequence, [0, 0, 0, 1, 0]),
        (Habit::WrongLamp, [0, 0, 0, 0, 1]),
    ] {
        let tally = tally(habit);
        let found = [
            tally.lost,
            tally.duplicate,
            tally.stale,
            tally.out_of_order,
            tally.wrong,
        ];
        assert_eq!(found, expected, "{habit:?}\n{tally:?}");
        assert!(!tally.is_clean() && !tally.examples.is_empty());
    }
}

#[test]
fn faults_with_consequences_are_found() {
    for habit in [Habit::Terminates, Habit::WrongEntity, Habit::WrongTag] {
        let tally = tally(habit);
        assert!(tally.wrong > 0 && !tally.is_clean(), "{habit:?}\n{tally:?}");
    }
    let bare = tally(Habit::NoMaxForwards);
    assert!(bare.foreign >= 20, "{bare:?}");
    let refused = tally(Habit::RefusesPublish);
    assert_eq!(
        (refused.changes_failed, refused.lost),
        (10, 0),
        "{refused:?}"
    );
}

#[test]
fn a_server_like_kamailio_is_judged_by_its_features() {
    // Three changes per user, and one more for some: calls begin and end.
    let busy = || Scenario {
        duration: Duration::from_micros(19_500),
        ..scenario()
    };
    let strict = swarm(Habit::LikeKamailio, busy(), None)
        .swarm
        .tally()
        .clone();
    assert!(
        strict.wrong >= 20 && strict.changes_failed > 0,
        "{strict:?}"
    );
    let fair = Scenario {
        publication_of: PublicationOf::Call,
        first_version: FirstVersion::Any,
        leave: false,
        ..busy()
    };
    let outcome = swarm(Habit::LikeKamailio, fair.clone(), None);
    let tally = outcome.swarm.tally();
    assert!(tally.is_clean(), "{tally:?}");
    // Ringing, talking, ended, ringing; and all users are free in the end.
    assert_eq!(
        (tally.publishes, tally.notifies),
        (20 + 5, 20 * (1 + 4 + 1))
    );
    assert_eq!(outcome.swarm.records().len(), 4, "no phone unsubscribes");
    let never_free = Scenario {
        change_states: vec![Lamp::Ringing, Lamp::Busy],
        ..fair
    };
    let tally = swarm(Habit::LikeKamailio, never_free, None)
        .swarm
        .tally()
        .clone();
    assert!(tally.is_clean(), "{tally:?}");
}

#[test]
fn no_server_is_no_success() {
    let unused = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let tally = run_against(unused, unused, scenario(), None)
        .swarm
        .tally()
        .clone();
    assert_eq!((tally.established, tally.subscribes_failed), (0, 20));
    assert!(!tally.is_clean());
}

#[test]
fn streams_and_call_states_work() {
    let streams = Scenario {
        transport: Transport::Tcp,
        ..scenario()
    };
    let tally = swarm(Habit::Good, streams, None).swarm.tally().clone();
    assert!(tally.is_clean(), "{tally:?}");
    let http = Scenario {
        feed: Feed::Http,
        ..scenario()
    };
    let tally = swarm(Habit::Good, http, Some("x")).swarm.tally().clone();
    assert!(tally.is_clean(), "{tally:?}");
    // Busy and free again, so that no publication remains to be removed.
    assert_eq!(
        (tally.notifies, tally.responses[&("GET", 200)]),
        (20 * 4, 10)
    );
}

#[test]
fn encrypted_streams_and_websockets_work() {
    for transport in [Transport::Tls, Transport::Ws, Transport::Wss] {
        let (server, http) = start(Habit::Good);
        let front = Front::start(transport, server);
        let scenario = Scenario {
            transport,
            ..scenario()
        };
        let outcome = run_against(front.address, http, scenario, None);
        let tally = outcome.swarm.tally();
        assert!(tally.is_clean(), "{transport:?}: {tally:?}");
        assert_eq!((tally.established, tally.notifies), (20, 20 * 5));
        assert_eq!(tally.retransmitted, 0);
    }
}

#[test]
fn loss_on_arrival_is_found() {
    // The notifier never retransmits a NOTIFY, so dropped NOTIFYs are lost: the report must say so.
    let lossy = Scenario {
        loss: 20.0,
        ..scenario()
    };
    let tally = swarm(Habit::Good, lossy, None).swarm.tally().clone();
    assert!(
        tally.dropped > 0 && tally.lost > 0 && !tally.is_clean(),
        "{tally:?}"
    );
}

#[test]
fn phones_that_forget_and_refresh_are_no_fault() {
    let churn = Scenario {
        duration: Duration::from_millis(100),
        change_rate: 200.0,
        refresh_rate: 200.0,
        reboot_rate: 50.0,
        forget_rate: 100.0,
        ..scenario()
    };
    let outcome = swarm(Habit::Good, churn, None);
    let tally = outcome.swarm.tally();
    assert!(tally.is_clean(), "{tally:?}");
    assert_eq!((tally.reboots, tally.forgotten), (6, 11));
    assert!(tally.orphans > 0 && tally.refreshes > 0, "{tally:?}");
    assert!(outcome.swarm.latencies().of(Measure::RefreshNotify).count() > 0);
}

#[test]
fn calls_have_all_their_steps_and_overload_its_search() {
    let calls = Scenario {
        change_rate: 0.0,
        call_rate: 100.0,
        ring_time: Duration::from_millis(10),
        talk_time: Duration::from_millis(10),
        duration: Duration::from_millis(200),
        ..scenario()
    };
    let tally = swarm(Habit::Good, calls, None).swarm.tally().clone();
    assert!(tally.is_clean(), "{tally:?}");
    assert!(tally.changes >= 30, "{tally:?}");
    let overload = Scenario {
        overload: 200.0,
        search_step: Duration::from_millis(100),
        duration: Duration::from_millis(200),
        goodput_min: 0.0,
        ..scenario()
    };
    let outcome = swarm(Habit::Good, overload, None);
    let summary = Summary::new(&outcome);
    let found = summary.overload.unwrap();
    assert!(found.best_changes_per_second >= 1000.0, "{found:?}");
    assert!(summary.clean, "{:?}", summary.reasons);
}
