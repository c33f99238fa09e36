//! Responses to the operator in JSON: the values that `operator` and `commands` check as text.

use serde_json::{Value, json};

use super::*;

const LOOP: fn(u64, u64) -> Value = |requests, per_minute| {
    json!({
        "transport": "udp",
        "peer": "10.0.0.7:5060",
        "phone": format!("sip:{requests}@abc.com"),
        "method": "SUBSCRIBE",
        "to": "sip:9@abc.com",
        "status": 503,
        "requests": requests,
        "per_minute": per_minute,
        "age_seconds": 30,
        "user_agent": "baresip v1.0.0\u{1b}[2J",
        "shard": 2,
    })
};

const REFUSAL: fn(u64, Option<&str>) -> Value = |age, user| {
    json!({
        "age_seconds": age,
        "transport": "tcp",
        "peer": "10.0.0.7:5060",
        "method": "SUBSCRIBE",
        "status": 403,
        "reason": "Too Many Attempts",
        "from": "sip:1@abc.com",
        "user": user,
        "to": "sip:9@abc.com",
        "count": 7,
        "shard": 2,
    })
};

#[test]
fn why_is_a_state_and_its_contributions() {
    let server = Server::start();
    let call = json!({
        "state": "early",
        "direction": "recipient",
        "party": "sip:12@abc.com\u{1b}[2J",
        "party_is_private": false,
        "on_hold": false,
    });
    assert_eq!(
        server.json("/why?aor=123@abc.com"),
        json!({
            "aor": "123@abc.com",
            "availability": "ringing",
            "basic": "open",
            "lamp": "early",
            "rule": "a call is early",
            "style": null,
            "contributions": [
                {
                    "source": "register:5f3c",
                    "asserts": {"calls": [call]},
                    "age_seconds": 3,
                    "remaining_seconds": 177,
                    "stale_seconds": null,
                    "decides": true,
                },
                {
                    "source": "operator:note",
                    "asserts": {"note": "x".repeat(200)},
                    "age_seconds": 90_061,
                    "remaining_seconds": null,
                    "stale_seconds": 75,
                    "decides": false,
                },
            ],
        })
    );
    assert_eq!(
        server.json("/why?aor=7@open.example&wide=yes")["style"],
        json!({"name": "imagicle", "status": "Busy", "telephony": "Busy", "rich": null})
    );
}

#[test]
fn watchers_are_subscriptions_with_all_their_columns() {
    let server = Server::start();
    assert_eq!(
        server.json("/watchers?aor=123@abc.com"),
        json!({
            "aor": "123@abc.com",
            "subscriptions": [{
                "presentity": "123@abc.com",
                "watcher": "sip:9@abc.com",
                "package": "dialog",
                "state": "active",
                "list": null,
                "privacy": 3,
                "rule": {"kind": "default"},
                "profile": "yealink",
                "age_seconds": 7261,
                "remaining_seconds": 3599,
                "notifies": 4,
                "cseq": 7,
                "unanswered": 0,
                "refused": 0,
                "last_answer": "accepted",
                "transport": "udp",
                "peer": "10.0.0.7:5060",
                "target": "sip:9@10.0.0.7",
                "shard": 1,
                "call_id": "x@10.0.0.7",
            }],
            "silent_shards": [],
        })
    );
}

#[test]
fn loops_and_refusals_are_lists_of_reports() {
    let server = Server::start();
    assert_eq!(
        server.json("/loops"),
        json!({"phones": [LOOP(500, 1000), LOOP(5, 10)], "silent_shards": []})
    );
    let refusals = json!([REFUSAL(3, None), REFUSAL(90, Some("200\u{1b}[2J"))]);
    assert_eq!(
        server.json("/refusals?wide=yes"),
        json!({"refusals": refusals, "failed_call_state": [], "silent_shards": []})
    );
}

#[test]
fn relays_are_listed_with_what_they_count() {
    let server = Server::start();
    assert_eq!(
        server.json("/relays"),
        json!({"relays": [{
            "name": "crm",
            "kind": "webhook",
            "status": "failing",
            "queued": 3,
            "oldest_seconds": 90,
            "sent": 7,
            "failed": 5,
            "retried": 4,
            "dead_letters": 1,
            "unknown": 0,
            "overflows": 0,
            "snapshots": 2,
            "last_failure": "HTTP 500",
        }, {
            "name": "there",
            "kind": "sip",
            "status": "failing",
            "queued": 6,
            "oldest_seconds": 0,
            "sent": 15,
            "failed": 9,
            "retried": 9,
            "dead_letters": 0,
            "unknown": 0,
            "overflows": 0,
            "snapshots": 0,
            "last_failure": "6 with Not Found",
        }], "silent_shards": []})
    );
}

#[test]
fn failed_attempts_at_call_state_are_listed_with_the_refusals() {
    let server = Server::start_with(OverloadOptions {
        exempt: Vec::new(),
        ..OverloadOptions::default()
    });
    for _ in 0..2 {
        let wrong = "/call_state.htm?domain=abc.com&user=123&password=wrong&number=5";
        assert_eq!(server.get(wrong).status, 403);
    }
    assert_eq!(
        server.json("/refusals")["failed_call_state"],
        json!([{
            "age_seconds": 0,
            "page": "call_state.htm",
            "peer": "127.0.0.1",
            "status": 403,
            "domain": "abc.com",
            "user": "123",
            "count": 2,
        }])
    );
}

#[test]
fn status_and_counters_are_numbers() {
    let server = Server::start();
    server.engine.is_ready.store(true, Ordering::SeqCst);
    assert_eq!(
        server.json("/status"),
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "ready": true,
            "draining": false,
            "uptime_seconds": 0,
            "sip": [{"transport": "udp", "address": "127.0.0.1:5060"}],
            "http": ["127.0.0.1:8080"],
            "https": [],
            "domains": 3,
            "accounts": 2,
            "shards": 3,
            "subscriptions": 6,
            "notifies_sent": 33,
            "store_failure": null,
            "silent_shards": [],
        })
    );
    let counters = server.json("/counters");
    assert_eq!(counters["counters"]["notifies_sent"], 33);
    assert_eq!(counters["silent_shards"], json!([]));
    server.engine.is_silent.store(true, Ordering::SeqCst);
    for target in ["/status", "/counters", "/loops", "/refusals"] {
        assert_eq!(server.json(target)["silent_shards"], json!([0, 1, 2]));
    }
}

#[test]
fn lists_have_members_and_members_have_states() {
    let server = Server::start();
    assert_eq!(server.json("/list"), json!({"lists": []}));
    let form = "list=team@abc.com&name=The+team&members=123+sip:7@elsewhere.example";
    assert_eq!(server.command("/list/create", form).status, 200);
    let heading = json!({
        "list": "team@abc.com",
        "name": "The team",
        "style": "rfc",
        "member_count": 2,
        "includes_all_extensions": false,
        "includes_parked_calls": false,
    });
    let mut list = heading.clone();
    list["members"] = json!([
        {"uri": "sip:123@abc.com", "name": "123", "is_list": false},
        {"uri": "sip:7@elsewhere.example", "name": "7", "is_list": false},
    ]);
    assert_eq!(server.json("/list?list=team@abc.com"), list);
    assert_eq!(
        server.json("/list")["lists"],
        json!([{
            "list": "team@abc.com",
            "name": "The team",
            "style": "rfc",
            "member_count": 2,
            "owner": null,
        }])
    );
    let member = |uri: &str, name: &str, is: Option<[&str; 4]>, unknown: Option<&str>| {
        let is = |place: usize| is.map(|words| words[place]);
        json!({
            "uri": uri,
            "name": name,
            "availability": is(0),
            "basic": is(1),
            "lamp": is(2),
            "rule": is(3),
            "unknown": unknown,
        })
    };
    let ringing = Some(["ringing", "open", "early", "a call is early"]);
    let mut why = heading;
    why["members_not_shown"] = json!(0);
    why["members"] = json!([
        member("sip:123@abc.com", "123", ringing, None),
        member(
            "sip:7@elsewhere.example",
            "7",
            None,
            Some("in another domain")
        ),
    ]);
    assert_eq!(server.json("/why?aor=team@abc.com"), why);
}

#[test]
fn rules_are_conditions_and_what_they_grant() {
    let server = Server::start();
    let form = "watcher=bob@xyz.com&aor=123@abc.com";
    assert_eq!(server.command("/rules/approve", form).status, 200);
    assert_eq!(
        server.json("/rules?aor=123@abc.com"),
        json!({
            "aor": "123@abc.com",
            "rules": [{
                "watchers": [{"one": "bob@xyz.com"}],
                "handling": "allow",
                "privacy": null,
                "valid_from": null,
                "valid_until": null,
            }],
        })
    );
}

#[test]
fn responses_to_commands_and_refusals_are_also_available_in_json() {
    let server = Server::start();
    let post = |page: &str, form: &str| {
        let length = form.len();
        let head = format!("POST {page} HTTP/1.0\r\nAccept: application/json\r\n");
        let response = server.socket(&format!("{head}Content-Length: {length}\r\n\r\n{form}"));
        let json: Value = serde_json::from_str(&response.body).unwrap();
        (response.status, json)
    };
    let (status, body) = post("/set/dnd", "aor=123@abc.com&state=on");
    assert_eq!((status, &body["availability"]), (200, &json!("ringing")));
    assert_eq!(body.get("contributions"), None);
    let (_, made) = post("/list/create", "list=team@abc.com&members=123");
    assert_eq!(made["member_count"], 1);
    let (_, gone) = post("/list/delete", "list=team@abc.com");
    assert_eq!(gone, json!({"deleted": "team@abc.com"}));
    let (_, reloaded) = post("/reload", "accept_removal=yes");
    assert_eq!(reloaded, json!({"notes": ["reloaded"]}));
    let refused = post("/set/dnd", "aor=123@abc.com&state=maybe");
    let words = "state must be one of: on, off";
    assert_eq!(refused, (400, json!({"error": words})));
    server.engine.is_silent.store(true, Ordering::SeqCst);
    let (status, silent) = post("/reload", "");
    assert_eq!(
        (status, &silent["error"]),
        (503, &json!("the engine does not respond"))
    );
}
