//! `/history` and `/forget`.

use super::*;
use crate::presence::history::HistoryChange;

fn page() -> HistoryPage {
    let change = HistoryChange {
        at: 1_795_953_600_000,
        address: "123@abc.com".to_owned(),
        status: "busy".to_owned(),
        basic: "open".to_owned(),
        lamp: "confirmed".to_owned(),
        decider: "http:call_state".to_owned(),
        rule: "a call is confirmed".to_owned(),
        party: Some("sip:anonymous@anonymous.invalid".to_owned()),
        note: None,
    };
    HistoryPage {
        changes: vec![change],
        next: None,
    }
}

#[test]
fn the_history_of_an_address_or_a_domain_is_asked() {
    let server = Server::start();
    *server.engine.history.lock().unwrap() = Some(page());
    let text = server
        .operator("/history?aor=sip:123@ABC.com&since=2h")
        .body;
    assert!(
        text.contains("2026-11-29T12:00:00Z  123@abc.com  busy"),
        "{text}"
    );
    let json = server.json("/history?domain=ABC.com&until=2026-11-29T12:00:00Z&limit=7&from=9");
    assert_eq!(
        json["changes"][0]["party"],
        "sip:anonymous@anonymous.invalid"
    );
    let asked = server.engine.history_queries.lock().unwrap().clone();
    let [first, second] = &asked[..] else {
        panic!("{asked:?}")
    };
    assert_eq!(first.subject(), "123@abc.com");
    assert_eq!(first.user.as_deref(), Some("123"));
    assert!(first.since > 1_500_000_000_000, "{first:?}");
    assert_eq!(
        (first.until, first.limit, first.from),
        (i64::MAX, 1000, None)
    );
    assert_eq!(second.subject(), "abc.com");
    assert_eq!((second.since, second.until), (0, 1_795_953_600_000));
    assert_eq!((second.limit, second.from), (7, Some(9)));
}

#[test]
fn a_question_that_makes_no_sense_is_refused() {
    let server = Server::start();
    *server.engine.history.lock().unwrap() = Some(page());
    for (target, status, words) in [
        ("/history", 400, "give either an address, aor, or a domain"),
        (
            "/history?aor=123@abc.com&domain=abc.com",
            400,
            "give either",
        ),
        ("/history?aor=123@abc.com&limit=0", 400, "from 1 to 10000"),
        (
            "/history?aor=123@abc.com&since=yesterday",
            400,
            "since is neither",
        ),
        ("/history?domain=nowhere.com", 404, "unknown domain"),
    ] {
        let refused = server.operator(target);
        assert_eq!(refused.status, status, "{target}");
        assert!(refused.body.contains(words), "{target}: {}", refused.body);
    }
    *server.engine.history.lock().unwrap() = None;
    let off = server.operator("/history?aor=123@abc.com");
    assert_eq!(off.status, 404);
    assert!(off.body.contains("no history is kept"), "{}", off.body);
}

#[test]
fn an_erasure_says_what_it_erased() {
    let server = Server::start();
    *server.engine.history.lock().unwrap() = Some(page());
    let told = server.command("/forget", "aor=123@abc.com").body;
    let without_history = "erased of 123@abc.com:\n  notes: 1\n  subscriptions: 3\n";
    let of_others = "not erased, because it is of others:\n  subscriptions of others: 1\n";
    assert_eq!(
        told,
        format!(
            "{without_history}  changes in the history: 1\n  \
             mentions in the history of others: 1\n{of_others}"
        )
    );
    *server.engine.history.lock().unwrap() = None;
    let told = server.command("/forget", "aor=123@abc.com").body;
    assert_eq!(told, format!("{without_history}{of_others}"));
    *server.engine.store.lock().unwrap() = Some(StoreReport::default());
    let told = server.command("/forget", "aor=123@abc.com").body;
    assert!(told.contains("/state/state.sqlite.damaged-1\n"), "{told}");
    *server.engine.store.lock().unwrap() = Some(StoreReport {
        failure: Some("the disk is full".to_owned()),
        ..StoreReport::default()
    });
    let told = server.command("/forget", "aor=123@abc.com");
    assert_eq!(told.status, 503);
    assert!(
        told.body
            .contains("the disk is full; run the command again"),
        "{}",
        told.body
    );
}
