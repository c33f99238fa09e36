//! A person that was erased does not come back.

use super::*;
use crate::presence::DataSubject;
use crate::presence::source::{CallSource, StateUpdate};
use crate::shard::contract::report::ForgottenMentions;

const SHORT: Duration = Duration::from_secs(1);

/// The reply to a command, once its record is durable.
fn ask(node: &mut Node, shard: usize, command: Command) -> Reply {
    node.replies.clear();
    node.handle(shard, Input::Command(CommandId(7), command));
    node.replies.pop().unwrap().1
}

fn say(node: &mut Node, user: &str, update: StateUpdate) {
    let aor = Aor::new(user, "abc.com");
    let owner = usize::from(ShardId::owner_of(&aor, node.options.shards).0);
    let reply = ask(
        node,
        owner,
        Command::UpdateState {
            aor,
            update,
            origin: None,
        },
    );
    assert!(matches!(reply, Reply::Done), "{reply:?}");
}

fn forget(node: &mut Node, aor: &Aor) -> ForgottenMentions {
    let all = forget_all(node, &DataSubject::Person(aor.clone()));
    let owner = usize::from(ShardId::owner_of(aor, node.options.shards).0);
    let reply = ask(node, owner, Command::Forget(aor.clone()));
    assert!(matches!(reply, Reply::Forgotten(Some(_))), "{reply:?}");
    all
}

fn forget_all(node: &mut Node, erased: &DataSubject) -> ForgottenMentions {
    let mut all = ForgottenMentions::default();
    for shard in 0..node.shards.len() {
        let mut from = Some(0);
        while let Some(place) = from {
            let erased = erased.clone();
            let command = Command::ForgetMentions {
                erased,
                from: place,
            };
            let Reply::MentionsForgotten(found, next) = ask(node, shard, command) else {
                panic!("no mentions")
            };
            all = [all, found].into_iter().sum();
            from = next;
        }
    }
    all
}

/// Whether a record names the text.
fn is_recorded(node: &Node, text: &str) -> bool {
    let mut records = node.store.values();
    records.any(|octets| octets.windows(text.len()).any(|it| it == text.as_bytes()))
}

#[test]
fn no_record_names_an_erased_person() {
    let person = Aor::new("200", "abc.com");
    let mut node = Node::new(2, Durability::Synced);
    let mut phones: Vec<Phone> = (0..4)
        .map(|number| Phone::new(udp(5062 + number), "123", "dialog"))
        .collect();
    for phone in &mut phones {
        phone.begin(&mut node, 1800);
    }
    let mut other = Phone::new(udp(5080), "200", "dialog");
    other.watcher = "300";
    other.begin(&mut node, 1800);
    let mut parts = CallParts::new("1", CallState::Confirmed);
    parts.remote.identity = "sip:200@abc.com;user=phone";
    parts.remote.display = "Ann";
    let call = StateUpdate::Call {
        source: CallSource::Operator,
        call: Some(Arc::new(parts.into())),
        expires: None,
    };
    say(&mut node, "123", call);
    say(&mut node, "200", StateUpdate::Note(Some("a note".into())));
    node.wait(SHORT);
    let sent = node.take_sent();
    for phone in &mut phones {
        phone.take_notifies(&sent);
    }
    assert!(is_recorded(&node, "200@abc.com") && is_recorded(&node, "a note"));

    let mentions = forget(&mut node, &person);
    assert_eq!((mentions.subscriptions, mentions.calls), (4, 1));
    assert_eq!(mentions.watchers, 1, "that of another goes on");
    node.wait(SHORT);
    let sent = node.take_sent();
    for phone in &mut phones {
        assert_eq!(phone.take_notifies(&sent), 1);
    }
    let ended = sent.iter().filter(|it| it.contains("reason=deactivated"));
    assert_eq!(ended.count(), 4, "{sent:?}");
    assert!(!is_recorded(&node, "a note") && !is_recorded(&node, "Ann"));
    assert_eq!(
        node.dialogs_stored(),
        1,
        "that of another watches the person"
    );
    other.refresh(&mut node, 0);
    assert!(!is_recorded(&node, "200@abc.com"), "{:?}", node.store);
}

#[test]
fn while_dialogs_are_still_to_come_nothing_is_erased() {
    let mut node = Node::new(1, Durability::Synced);
    for port in [5062, 5063] {
        Phone::new(udp(port), "123", "dialog").begin(&mut node, 1800);
    }
    node.begin_restart(1, SHORT);
    // The presentities are there, and one dialog.
    node.bring(0);
    let aor = Aor::new("200", "abc.com");
    let command = || Command::ForgetMentions {
        erased: DataSubject::Person(aor.clone()),
        from: 0,
    };
    let reply = ask(&mut node, 0, command());
    assert!(matches!(reply, Reply::OverLimit), "{reply:?}");
    node.finish_restart();
    let reply = ask(&mut node, 0, command());
    assert!(matches!(reply, Reply::MentionsForgotten(..)), "{reply:?}");
}

#[test]
fn no_record_names_the_people_of_an_erased_domain() {
    let mut node = Node::new(2, Durability::Synced);
    for user in ["123", "124", "125"] {
        say(&mut node, user, StateUpdate::Note(Some("a note".into())));
    }
    Phone::new(udp(5062), "123", "dialog").begin(&mut node, 1800);
    node.wait(SHORT);
    assert!(is_recorded(&node, "a note") && is_recorded(&node, "125@abc.com"));
    let other = forget_all(&mut node, &DataSubject::Domain("other.example".into()));
    assert_eq!(other, ForgottenMentions::default());
    assert!(is_recorded(&node, "a note"));
    let erased = forget_all(&mut node, &DataSubject::Domain("abc.com".into()));
    assert!(erased.presentities >= 3, "{erased:?}");
    assert_eq!(erased.subscriptions, 1, "its watcher is of the domain");
    node.wait(SHORT);
    assert!(!is_recorded(&node, "a note") && !is_recorded(&node, "125@abc.com"));
}
