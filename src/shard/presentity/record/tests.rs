//! Presentities outlive the process, and nothing is acknowledged before it is durable.

mod bench;

use std::time::Duration;

use crate::presence::Aor;
use crate::presence::call::{
    Appearance, AppearanceState, CallDialog, CallParts, CallState, Direction, Party,
};
use crate::presence::source::{
    CallSource, Forward, ForwardKind, MessageClass, MessageCounts, Messages, RichPresence,
    StateUpdate,
};
use crate::shard::contract::commit::UP_TO_DATE_WITHIN;
use crate::shard::presentity::record::Recorded;
use crate::shard::presentity::record::tests::bench::{Bench, Store, dialogs, user_of};
use crate::shard::{Durability, RecordKey, Reply, ShardId};

const HOUR: Duration = Duration::from_secs(3600);

fn call(state: CallState) -> CallDialog {
    CallDialog::from(CallParts {
        id: "leg-1",
        call_id: "a84b@pbx",
        local_tag: "lt",
        remote_tag: "rt",
        direction: Some(Direction::Recipient),
        state,
        local: Party::default(),
        remote: Party {
            identity: "sip:200@abc.com",
            ..Party::default()
        },
        remote_is_private: false,
    })
}

fn appearance(state: AppearanceState) -> StateUpdate {
    StateUpdate::Appearance(Appearance {
        index: 2,
        state,
        party: None,
    })
}

/// A state update of every kind.
fn updates() -> Vec<StateUpdate> {
    let rich = RichPresence {
        open: Some(true),
        activities: vec!["away".into()],
        note: Some("back at three".into()),
        alternative: Some("tel:+4930123".into()),
    };
    let counts = MessageCounts {
        new: 3,
        ..MessageCounts::default()
    };
    vec![
        StateUpdate::Call {
            source: CallSource::CallState,
            call: Some(call(CallState::Confirmed).into()),
            expires: Some(HOUR),
        },
        StateUpdate::Call {
            source: CallSource::Operator,
            call: Some(call(CallState::Early).into()),
            expires: None,
        },
        StateUpdate::CallStateDoNotDisturb(HOUR),
        StateUpdate::DoNotDisturb(true),
        StateUpdate::Forward(Forward {
            kind: ForwardKind::NoAnswer,
            is_active: true,
            target: "300".into(),
            ring_count: Some(4),
        }),
        StateUpdate::Note(Some("in the workshop".into())),
        StateUpdate::Presence(Some(rich)),
        StateUpdate::Messages(Some(Messages {
            are_waiting: true,
            account: Some("sip:123@abc.com".into()),
            counts: vec![(MessageClass::Voice, counts)],
        })),
        StateUpdate::Registered(vec![("sip:123@192.0.2.7".into(), HOUR)]),
        appearance(AppearanceState::Held),
    ]
}

/// PUBLISHes of the packages other than dialog: event, content type and body.
const DOCUMENTS: [(&str, (&str, &str)); 3] = [
    (
        "presence",
        (
            "application/pidf+xml",
            "<?xml version=\"1.0\"?><presence xmlns=\"urn:ietf:params:xml:ns:pidf\" \
             entity=\"sip:404@abc.com\"><tuple id=\"a\"><status><basic>open</basic></status>\
             <note>at lunch</note></tuple></presence>",
        ),
    ),
    (
        "message-summary",
        (
            "application/simple-message-summary",
            "Messages-Waiting: yes\r\nVoice-Message: 2/0\r\n",
        ),
    ),
    (
        "reg",
        (
            "application/reginfo+xml",
            "<?xml version=\"1.0\"?><reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" version=\"0\" \
             state=\"full\"><registration aor=\"sip:406@abc.com\" id=\"r\" state=\"active\">\
             <contact id=\"c\" state=\"active\" event=\"registered\" expires=\"900\">\
             <uri>sip:406@10.0.0.9</uri></contact></registration></reginfo>",
        ),
    ),
];

/// The rows of presentities.
fn numbers(store: &Store) -> Vec<u64> {
    let keys = store.keys().map(|key| match key {
        RecordKey::Presentity(number) => Some(*number),
        RecordKey::Waiting(_) | RecordKey::Dialog(_) => None,
    });
    keys.flatten().collect()
}

#[test]
fn a_publication_survives_with_its_entity_tag() {
    for (before, after) in [(1, 1), (2, 3), (4, 1)] {
        let mut bench = Bench::new(before, Durability::Synced);
        let sent = bench.publish(0, "123", None, Some(&dialogs("123", "confirmed")));
        assert_eq!(sent, [""; 0], "not before it is durable");
        let tag = bench.sync().tag();

        let mut bench = bench.restart(after, Duration::from_secs(30));
        bench.recover();
        let notify = bench.subscribe(0, "123", "dialog");
        assert!(notify.contains("<state>confirmed</state>"), "{notify}");
        assert_eq!(bench.publish(0, "123", Some(&tag), None), [""; 0]);
        let renewed = bench.sync().tag();
        assert_ne!(renewed, tag);
        let refused = bench.publish(0, "123", Some(&tag), None);
        assert!(refused[0].starts_with("SIP/2.0 412 "), "{refused:?}");
        assert_eq!(numbers(&bench.store).len(), 1);
    }
}

#[test]
fn what_runs_out_during_the_stop_is_cleared() {
    let mut bench = Bench::new(2, Durability::Synced);
    bench.publish(0, "123", None, Some(&dialogs("123", "confirmed")));
    bench.publish(0, "124", None, Some(&dialogs("124", "confirmed")));
    let update = StateUpdate::Note(Some("away".into()));
    bench.update("124", update);
    bench.sync();
    assert_eq!(numbers(&bench.store).len(), 2);
    let octets = |store: &Store| {
        let rows = numbers(store).into_iter().map(RecordKey::Presentity);
        rows.map(|row| store[&row].len()).sum::<usize>()
    };
    let before = octets(&bench.store);

    let mut bench = bench.restart(2, 2 * HOUR);
    bench.recover();
    for user in ["123", "124"] {
        let notify = bench.subscribe(1, user, "dialog");
        assert!(!notify.contains("confirmed"), "{notify}");
    }
    assert!(bench.why("124").contains("away"), "the note has no end");
    // Both are known by their calls, so both keep a record: without the publication.
    bench.sync();
    assert_eq!(numbers(&bench.store).len(), 2);
    assert!(octets(&bench.store) < before);
}

#[test]
fn what_runs_out_after_the_stop_ends_in_time() {
    let mut bench = Bench::new(1, Durability::Synced);
    bench.publish(0, "123", None, Some(&dialogs("123", "confirmed")));
    bench.sync();
    let mut bench = bench.restart(1, HOUR - Duration::from_secs(100));
    bench.recover();
    let notify = bench.subscribe(0, "123", "dialog");
    assert!(notify.contains("<state>confirmed</state>"), "{notify}");
    bench.wait(Duration::from_secs(90));
    assert!(bench.take_sent().is_empty());
    bench.wait(Duration::from_secs(13));
    let notify = bench.take_sent().concat();
    assert!(
        notify.starts_with("NOTIFY ") && !notify.contains("confirmed"),
        "{notify}"
    );
}

#[test]
fn every_kind_of_contribution_survives() {
    let watched = [
        "dialog",
        "presence",
        "message-summary",
        "as-feature-event",
        "reg",
        "call-info",
    ];
    let mut bench = Bench::new(2, Durability::Synced);
    let users: Vec<String> = (0..updates().len())
        .map(|user| (300 + user).to_string())
        .collect();
    for (user, update) in users.iter().zip(updates()) {
        assert!(bench.update(user, update).is_empty());
        bench.wait(Duration::from_secs(1));
    }
    bench.register(0, "401@reg.com", 1, "<sip:401@10.0.0.7>;expires=3600");
    bench.register(1, "402@abc.com", 1, "<sip:402@10.0.0.8>;expires=3600");
    bench.publish(1, "403", None, Some(&dialogs("403", "early")));
    for (user, (event, document)) in ["404", "405", "406"].iter().zip(DOCUMENTS) {
        assert!(bench.publish_document(user, event, document).is_empty());
    }
    let accepted = bench.sync().0;
    assert_eq!(accepted.len(), 6);
    assert!(accepted.iter().all(|sent| sent.starts_with("SIP/2.0 200 ")));
    let mut users: Vec<String> = users.iter().map(|user| format!("{user}@abc.com")).collect();
    users.extend(["401@reg.com", "402@abc.com"].map(String::from));
    users.extend(["403", "404", "405", "406"].map(|user| format!("{user}@abc.com")));
    let why = |bench: &mut Bench| {
        let why = users.iter().map(|user| bench.why(user));
        why.collect::<Vec<String>>()
    };
    let notify = |bench: &mut Bench| {
        let pairs = users
            .iter()
            .flat_map(|user| watched.map(|event| (user, event)));
        let notify = pairs.map(|(user, event)| {
            let notify = bench.subscribe(0, user, event);
            notify.split_once("\r\n\r\n").unwrap().1.to_owned()
        });
        notify.collect::<Vec<String>>()
    };
    let (why_before, notify_before) = (why(&mut bench), notify(&mut bench));
    let mut bench = bench.restart(3, Duration::ZERO);
    bench.recover();
    assert_eq!(why(&mut bench), why_before);
    assert_eq!(notify(&mut bench), notify_before);
    assert!(
        why_before.iter().all(|why| why.contains("Contribution {")),
        "{why_before:?}"
    );
}

#[test]
fn acknowledgements_leave_when_durable_and_in_order() {
    let mut bench = Bench::new(1, Durability::Synced);
    bench.subscribe(0, "123", "dialog");
    let document = dialogs("123", "confirmed");
    let sent = bench.publish(0, "123", None, Some(&document));
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert!(sent[0].starts_with("NOTIFY "), "a change does not wait");
    assert_eq!(bench.repeat(), [""; 0], "a retransmission is absorbed");
    assert!(
        bench
            .register(0, "401@reg.com", 1, "<sip:401@10.0.0.7>;expires=3600")
            .is_empty()
    );
    assert!(
        bench
            .register(0, "402@abc.com", 1, "<sip:402@10.0.0.8>;expires=3600")
            .is_empty()
    );
    assert!(
        bench
            .update("124", StateUpdate::DoNotDisturb(true))
            .is_empty()
    );
    assert!(
        bench
            .publish(0, "125", None, Some(&dialogs("125", "early")))
            .is_empty()
    );
    let refused = bench.publish(0, "125", Some("lamp-1"), None);
    assert!(
        refused[0].starts_with("SIP/2.0 412 "),
        "a refusal does not wait: {refused:?}"
    );
    let methods: Vec<String> = (0..5)
        .flat_map(|_| {
            let done = bench.sync_one(0);
            let sent = done.0.iter().map(|sent| bench::header(sent, "CSeq"));
            let replies = done.1.iter().map(|reply| format!("{reply:?}"));
            sent.chain(replies).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(
        methods,
        ["1 PUBLISH", "1 REGISTER", "1 REGISTER", "Done", "1 PUBLISH"]
    );
    assert!(bench.repeat()[0].starts_with("SIP/2.0 412 "));
}

#[test]
fn a_request_at_another_shard_waits_for_its_owner() {
    let mut bench = Bench::new(2, Durability::Synced);
    let (here, there) = (0, 1);
    let user = user_of(there, 2, "abc.com");
    let contact = format!("{}@reg.com", user_of(there, 2, "reg.com"));
    let aor = format!("{user}@abc.com");
    assert!(
        bench
            .publish(here, &user, None, Some(&dialogs(&user, "early")))
            .is_empty()
    );
    assert_eq!(bench.repeat(), [""; 0], "a retransmission is absorbed");
    assert!(
        bench
            .register(here, &contact, 1, "<sip:1@10.0.0.7>;expires=3600")
            .is_empty()
    );
    assert!(
        bench
            .register(here, &aor, 1, "<sip:2@10.0.0.7>;expires=3600")
            .is_empty()
    );
    assert!(bench.sync_one(here).0.is_empty(), "it is not the owner");
    for method in ["1 PUBLISH", "1 REGISTER", "1 REGISTER"] {
        let sent = bench.sync_one(there).0;
        assert_eq!(sent.len(), 1, "{sent:?}");
        assert!(sent[0].starts_with("SIP/2.0 200 "));
        assert_eq!(bench::header(&sent[0], "CSeq"), method);
    }
    let mut bench = bench.restart(1, Duration::ZERO);
    bench.recover();
    for (user, event, word) in [
        (&aor, "dialog", "early"),
        (&aor, "reg", "sip:2@10.0.0.7"),
        (&contact, "reg", "sip:1@10.0.0.7"),
    ] {
        let sent = bench.subscribe(0, user, event);
        assert!(sent.contains(word), "{sent}");
    }
}

#[test]
fn a_feature_is_confirmed_when_it_is_durable() {
    let mut bench = Bench::new(2, Durability::Synced);
    let user = user_of(1, 2, "abc.com");
    let call_id = bench.switch_on(0, &user);
    let is_notify =
        |sent: &String| sent.starts_with("NOTIFY ") && bench::header(sent, "Call-ID") == call_id;
    assert!(!bench.take_sent().iter().any(is_notify));
    let notify = bench.sync().0.into_iter().find(is_notify).unwrap();
    assert!(
        notify.contains("<doNotDisturbOn>true</doNotDisturbOn>"),
        "{notify}"
    );
}

#[test]
fn too_many_acknowledgements_are_refused() {
    for (shard, limit) in [(0, 1), (1, 1)] {
        let mut bench = Bench::with_limit(2, Durability::Synced, limit);
        let user = user_of(0, 2, "abc.com");
        let contact = format!("{}@reg.com", user_of(0, 2, "reg.com"));
        assert!(
            bench
                .update(&user, StateUpdate::DoNotDisturb(true))
                .is_empty()
        );
        let refused = [
            bench.publish(shard, &user, None, Some(&dialogs(&user, "early"))),
            bench.register(shard, &contact, 1, "<sip:1@10.0.0.7>;expires=3600"),
            bench.register(
                shard,
                &format!("{user}@abc.com"),
                1,
                "<sip:1@10.0.0.7>;expires=3600",
            ),
        ];
        for sent in refused.map(|sent| sent.concat()) {
            assert!(sent.starts_with("SIP/2.0 503 "), "{sent}");
            assert!(sent.contains("\r\nRetry-After: "), "{sent}");
        }
        let reply = bench.update(&user, StateUpdate::DoNotDisturb(false));
        assert!(matches!(reply[..], [Reply::OverLimit]), "{reply:?}");
        assert_eq!(bench.counter("requests_shed_by_store"), 4);
        bench.sync();
        assert!(
            bench
                .publish(shard, &user, None, Some(&dialogs(&user, "early")))
                .is_empty()
        );
        assert!(bench.sync().0.concat().starts_with("SIP/2.0 200 "));
    }
}

#[test]
fn relaxed_records_hold_nothing_back() {
    let mut bench = Bench::new(1, Durability::Relaxed);
    let sent = bench.publish(0, "123", None, Some(&dialogs("123", "early")));
    assert!(sent[0].starts_with("SIP/2.0 200 "), "{sent:?}");
    assert!(matches!(
        bench.update("124", StateUpdate::DoNotDisturb(true))[..],
        [Reply::Done]
    ));
    bench.sync();
    let mut bench = bench.restart(2, Duration::ZERO);
    bench.recover();
    assert!(bench.subscribe(0, "123", "dialog").contains("early"));
}

/// A million presentities without a record pay 16 MB.
#[test]
fn a_record_costs_a_presentity_16_octets() {
    assert_eq!(size_of::<Recorded>(), 16);
}

#[test]
fn without_durability_nothing_is_recorded() {
    let mut bench = Bench::new(1, Durability::None);
    let sent = bench.publish(0, "123", None, Some(&dialogs("123", "early")));
    assert!(sent[0].starts_with("SIP/2.0 200 "), "{sent:?}");
    bench.update("124", StateUpdate::DoNotDisturb(true));
    bench.sync();
    assert!(bench.store.is_empty());
}

#[test]
fn a_record_goes_with_the_last_contribution() {
    let mut bench = Bench::new(2, Durability::Synced);
    bench.subscribe(0, "123", "dialog");
    bench.sync();
    let dialogs_only = numbers(&bench.store);
    assert_eq!(dialogs_only, [0; 0], "to watch writes nothing");
    bench.update("123", StateUpdate::DoNotDisturb(true));
    bench.update("124", StateUpdate::DoNotDisturb(true));
    bench.sync();
    let first = numbers(&bench.store);
    assert_eq!(first.len(), 2);
    for number in &first {
        assert!(*number > 0, "0 is no number");
    }
    bench.update("123", StateUpdate::DoNotDisturb(false));
    bench.update("124", StateUpdate::DoNotDisturb(false));
    bench.sync();
    assert_eq!(numbers(&bench.store), first, "watchers may not know yet");
    bench.wait(UP_TO_DATE_WITHIN);
    bench.sync();
    assert_eq!(numbers(&bench.store), [0; 0]);
    bench.update("123", StateUpdate::DoNotDisturb(true));
    bench.update("124", StateUpdate::DoNotDisturb(true));
    bench.sync();
    let second = numbers(&bench.store);
    assert!(
        second.iter().all(|number| !first.contains(number)),
        "{first:?} {second:?}"
    );
    for number in second {
        let shards = [
            ShardId::owner_of(&Aor::new("123", "abc.com"), 2),
            ShardId::owner_of(&Aor::new("124", "abc.com"), 2),
        ];
        assert!(shards.iter().any(|shard| number % 2 == u64::from(shard.0)));
    }
}

#[test]
fn a_presentity_evicted_for_room_takes_its_record_along() {
    let mut bench = Bench::with_options(1, Durability::Synced, |options| {
        options.presentities_max = 1
    });
    let gone = dialogs("123", "terminated");
    bench.publish(0, "123", None, Some(&gone));
    bench.wait(2 * HOUR);
    bench.sync();
    let first = numbers(&bench.store);
    assert_eq!(first.len(), 1, "it is known by its calls");
    bench.update("124", StateUpdate::DoNotDisturb(true));
    bench.sync();
    let second = numbers(&bench.store);
    assert_eq!(second.len(), 1);
    assert_ne!(first, second);
}

/// More come back than there is room for: none of what was acknowledged is lost, and nothing new is taken
/// before there is room.
#[test]
fn more_presentities_come_back_than_there_is_room_for() {
    let mut bench = Bench::new(1, Durability::Synced);
    for user in ["123", "124", "125"] {
        bench.update(user, StateUpdate::DoNotDisturb(true));
    }
    bench.sync();
    let mut next = bench.restart_with(1, Duration::from_secs(1), true, |options| {
        options.presentities_max = 2;
    });
    next.recover();
    assert_eq!(next.counter("presentities_over_limit"), 1);
    assert_eq!(numbers(&next.store).len(), 3);
    let reply = next.update("126", StateUpdate::DoNotDisturb(true));
    assert!(matches!(reply[..], [Reply::OverLimit]), "{reply:?}");
    assert_eq!(numbers(&next.store).len(), 3);
    for user in ["124", "125"] {
        next.update(user, StateUpdate::DoNotDisturb(false));
    }
    next.sync();
    next.wait(UP_TO_DATE_WITHIN);
    next.update("126", StateUpdate::DoNotDisturb(true));
    let done = next.sync();
    assert!(matches!(done.1[..], [Reply::Done]), "{done:?}");
    assert_eq!(next.counter("presentities_over_limit"), 1);
}

#[test]
fn records_that_cannot_be_read_are_counted_and_removed() {
    let mut bench = Bench::new(1, Durability::Synced);
    for user in [
        "123@abc.com",
        "124@abc.com",
        "125@closed.com",
        "126@abc.com",
    ] {
        // In this order of their numbers.
        bench.update(user, StateUpdate::DoNotDisturb(true));
    }
    bench.sync();
    let mut store = bench.store.clone();
    let [torn, foreign, ..] = numbers(&store)[..] else {
        panic!("{store:?}")
    };
    store.get_mut(&RecordKey::Presentity(torn)).unwrap().pop();
    let octets = store.get_mut(&RecordKey::Presentity(foreign)).unwrap();
    octets.clear();
    octets.extend_from_slice(b"SQLite format 3\0");
    bench.store = store;
    let mut bench = bench.restart_with(1, Duration::ZERO, false, |_| {});
    bench.recover();
    assert_eq!(bench.counter("records_unreadable"), 2);
    assert_eq!(bench.counter("records_obsolete"), 1, "125@closed.com");
    bench.sync();
    assert_eq!(numbers(&bench.store).len(), 1);
    assert!(bench.why("126").contains("DoNotDisturb"));
    assert_eq!(bench.counter("presentities"), 1);
}

#[test]
fn of_two_records_the_newer_counts() {
    let mut bench = Bench::new(1, Durability::Synced);
    bench.update("123", StateUpdate::Note(Some("old".into())));
    bench.sync();
    let (key, old) = bench
        .store
        .iter()
        .next()
        .map(|(key, old)| (*key, old.clone()))
        .unwrap();
    bench.update("123", StateUpdate::Note(Some("new".into())));
    bench.sync();
    let new = bench.store.insert(key, old).unwrap();
    bench.store.insert(RecordKey::Presentity(77), new);
    for turned in [false, true] {
        let mut bench = bench.restart(2, Duration::ZERO);
        bench.recover_in(turned);
        assert!(bench.why("123").contains("new"));
        assert_eq!(bench.counter("records_obsolete"), u64::from(turned));
        bench.sync();
        assert_eq!(numbers(&bench.store), [77]);
        bench.update("124", StateUpdate::DoNotDisturb(true));
        bench.sync();
        assert!(numbers(&bench.store)[1] > 77);
    }
}

#[test]
fn what_comes_early_waits_for_all_presentities() {
    let mut bench = Bench::new(2, Durability::Synced);
    let user = user_of(1, 2, "abc.com");
    bench.publish(0, &user, None, Some(&dialogs(&user, "confirmed")));
    let tag = bench.sync().tag();
    let mut bench = bench.restart(2, Duration::ZERO);
    bench.begin_recovery();
    assert_eq!(bench.publish(0, &user, Some(&tag), None), [""; 0]);
    assert_eq!(bench.repeat(), [""; 0]);
    assert!(
        bench
            .update(&user, StateUpdate::Note(Some("early".into())))
            .is_empty()
    );
    assert!(
        bench
            .register(0, "401@reg.com", 1, "<sip:1@10.0.0.7>;expires=3600")
            .is_empty()
    );
    let notify = bench.subscribe(0, &user, "dialog");
    assert!(!notify.contains("confirmed"), "{notify}");
    bench.recover_presentities(false);
    bench.wait(Duration::from_millis(10));
    let notify = bench.take_sent().concat();
    assert!(
        notify.contains("confirmed"),
        "the watcher is notified: {notify}"
    );
    bench.sync();
    assert!(bench.take_sent().is_empty(), "recovery has not ended");
    bench.end_recovery();
    bench.wait(Duration::from_millis(10));
    let done = bench.sync();
    let sent: Vec<String> = done
        .0
        .iter()
        .filter(|sent| sent.starts_with("SIP/2.0"))
        .map(|sent| sent[..11].to_owned())
        .collect();
    assert_eq!(sent, ["SIP/2.0 200"; 2], "{done:?}");
    assert!(matches!(done.1[..], [Reply::Done]), "{done:?}");
    assert_ne!(done.tag(), tag);
    assert!(bench.why(&user).contains("early"));
}

#[test]
fn what_comes_early_has_a_limit() {
    let mut bench = Bench::with_limit(1, Durability::Synced, 1);
    bench.begin_recovery();
    assert!(
        bench
            .update("123", StateUpdate::DoNotDisturb(true))
            .is_empty()
    );
    let reply = bench.update("123", StateUpdate::DoNotDisturb(true));
    assert!(matches!(reply[..], [Reply::OverLimit]), "{reply:?}");
    let sent = bench
        .publish(0, "123", None, Some(&dialogs("123", "early")))
        .concat();
    assert!(
        sent.starts_with("SIP/2.0 503 ") && sent.contains("Retry-After: "),
        "{sent}"
    );
    assert_eq!(bench.counter("requests_shed_by_store"), 2);
}

#[test]
fn a_seized_appearance_is_not_taken_back() {
    let mut bench = Bench::new(1, Durability::Synced);
    bench.update("123", appearance(AppearanceState::Seized));
    bench.update("124", appearance(AppearanceState::Held));
    bench.sync();
    let mut bench = bench.restart(1, Duration::ZERO);
    bench.recover();
    bench.wait(UP_TO_DATE_WITHIN);
    bench.sync();
    assert!(!bench.why("123").contains("Seized"));
    assert!(bench.why("124").contains("Held"));
    assert_eq!(numbers(&bench.store).len(), 1);
}

#[test]
fn contacts_count_after_recovery() {
    let mut bench = Bench::new(1, Durability::Synced);
    bench.register(0, "401@reg.com", 1, "<sip:1@10.0.0.7>;expires=3600");
    bench.sync();
    let later = Duration::from_secs(100);
    let mut bench = bench.restart_with(1, later, true, |options| options.contacts_max = 1);
    bench.recover();
    bench.sync();
    let refused = bench
        .register(0, "402@reg.com", 1, "<sip:2@10.0.0.7>;expires=3600")
        .concat();
    assert!(refused.starts_with("SIP/2.0 503 "), "{refused}");
    let late = bench
        .register(0, "401@reg.com", 1, "<sip:1@10.0.0.7>;expires=3600")
        .concat();
    assert!(late.contains("CSeq Out Of Order"), "{late}");
    let listed = bench.register(0, "401@reg.com", 2, "");
    assert!(
        listed.concat().contains("<sip:1@10.0.0.7>;expires=3500"),
        "{listed:?}"
    );
}
