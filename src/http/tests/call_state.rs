//! call_state.htm: which requests are accepted, which are refused, and that responses reveal nothing
//! (W:D1, E3.28).

use super::*;
use crate::presence::call::{CallState, Direction};

#[test]
fn a_number_makes_busy_and_its_absence_clears() {
    let server = Server::start();
    let response = server.call("&number=%2B4930123&expires=600");
    assert_eq!((response.status, response.body.as_str()), (200, "OK\n"));
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert!(
        response
            .header("content-type")
            .unwrap()
            .starts_with("text/plain")
    );
    let updates = server.call_updates();
    let call = updates[0].call.clone().unwrap();
    assert_eq!(updates[0].aor, "123@abc.com");
    assert_eq!(
        updates[0].shard,
        ShardId::owner_of(&Aor::new("123", "abc.com"), SHARDS)
    );
    assert_eq!(updates[0].expires, Duration::from_secs(600));
    assert!(call.id().starts_with("call_state-"));
    assert_eq!((call.state.as_str(), call.direction), ("confirmed", None));
    assert_eq!(call.remote().identity, "sip:+4930123@abc.com");
    assert!(call.remote_is_private && call.remote().display.is_empty());

    for clear in [
        "",
        "&number=",
        "&number=&expires=600",
        "&number=5&expires=0",
    ] {
        assert_eq!(server.call(clear).status, 200);
        let updates = server.call_updates();
        assert_eq!((updates.len(), &updates[0].call), (1, &None), "{clear}");
    }
}

#[test]
fn the_same_number_is_the_same_call() {
    let server = Server::start();
    server.call("&number=5&expires=10");
    server.call("&number=5&expires=20");
    server.call("&number=6");
    let updates = server.call_updates();
    let calls: Vec<_> = updates
        .iter()
        .map(|update| update.call.clone().unwrap())
        .collect();
    assert!(calls[0].equals_but_for_id(&calls[1]));
    assert!(!calls[1].equals_but_for_id(&calls[2]));
    assert_ne!(calls[1].id(), calls[2].id(), "watchers see another call");
}

#[test]
fn expires_is_bounded_by_the_longest_call() {
    let server = Server::start();
    for (rest, seconds) in [
        ("", 7200),
        ("&expires=7201", 7200),
        ("&expires=99999999999999999999999", 7200),
        ("&expires=1", 1),
    ] {
        server.call(&format!("&number=5{rest}"));
        assert_eq!(
            server.call_updates()[0].expires,
            Duration::from_secs(seconds),
            "{rest}"
        );
    }
    for bad in ["7200.5", "-1", "abc", "", "+5", "1e3"] {
        assert_eq!(
            server.call(&format!("&number=5&expires={bad}")).status,
            400,
            "{bad}"
        );
        assert_eq!(server.call(&format!("&expires={bad}")).status, 400, "{bad}");
    }
    assert_eq!(server.call_updates(), []);
}

#[test]
fn the_number_is_shown_only_with_reveal_number() {
    let server = Server::start();
    assert_eq!(
        server
            .get("/call_state.htm?domain=Open.Example&user=7&password=x&number=5")
            .status,
        200
    );
    assert!(
        !server.call_updates()[0]
            .call
            .as_ref()
            .unwrap()
            .remote_is_private
    );
}

#[test]
fn an_alias_means_its_domain() {
    let server = Server::start();
    assert_eq!(
        server
            .get("/call_state.htm?domain=PBX.abc.com&user=123&password=s3cret%20pass&number=5")
            .status,
        200
    );
    assert_eq!(server.call_updates()[0].aor, "123@abc.com");
}

/// RFC 7616 §5
#[test]
fn guessing_gets_429_and_a_proven_account_is_still_served() {
    let server = Server::start_with(OverloadOptions {
        wrong_max: 3,
        // And three more, because an account is proved from there.
        wrong_per_address_max: 2,
        exempt: Vec::new(),
        ..OverloadOptions::default()
    });
    let status = |user: &str, password: &str| {
        let query = format!("/call_state.htm?domain=abc.com&user={user}&password={password}");
        server.get(&query).status
    };
    assert_eq!(status("123", "s3cret+pass"), 200);
    let guesses = |user: &str, count: u32| -> Vec<u16> {
        (0..count)
            .map(|guess| status(user, &guess.to_string()))
            .collect()
    };
    // An account of its own, then one more, until the address is not listened to at all.
    assert_eq!(guesses("124", 4), [403, 403, 403, 429]);
    assert_eq!(guesses("125", 4), [403, 403, 429, 429]);
    assert_eq!(guesses("126", 1), [429]);
    // The account that this address proved is served all the same.
    assert_eq!(status("123", "s3cret+pass"), 200);
    assert_eq!(status("123", "wrong"), 403);
    let metrics = server.get("/metrics").body;
    assert!(
        metrics.contains("http_attempts_wrong_total 6\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("http_attempts_refused_total 4\n"),
        "{metrics}"
    );
}

#[test]
fn all_wrong_credentials_get_the_same_response() {
    let server = Server::start();
    let wrong = [
        "domain=nowhere.example&user=123&password=s3cret+pass",
        "domain=abc.com&user=999&password=s3cret+pass",
        "domain=abc.com&user=123&password=wrong",
        "domain=abc.com&user=123&password=",
        "domain=abc.com&user=&password=",
        "domain=invalid&user=nobody&password=",
        "domain=&user=&password=",
        "domain=abc.com&user=..%2F&password=x",
        "domain=abc.com&user=123%00&password=s3cret+pass",
        "domain=abc.com&user=%ff%fe&password=x",
        "domain=open.example&user=123&password=s3cret+pass",
    ];
    let without_date = |response: &Response| -> String {
        response
            .head
            .lines()
            .filter(|line| !line.starts_with("date:"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let expected = server.get(&format!("/call_state.htm?{}&number=5", wrong[0]));
    assert_eq!(
        (expected.status, expected.body.as_str()),
        (403, "Forbidden\n")
    );
    for query in wrong {
        let response = server.get(&format!("/call_state.htm?{query}&number=5"));
        assert_eq!(response.body, expected.body, "{query}");
        assert_eq!(without_date(&response), without_date(&expected), "{query}");
    }
    assert_eq!(server.call_updates(), []);
}

#[test]
fn a_repeated_parameter_is_refused() {
    let server = Server::start();
    for twice in [
        "&user=123",
        "&user=b",
        "&number=1&number=1",
        "&expires=1&expires=2",
        "&%64omain=abc.com",
        "&password=",
    ] {
        assert_eq!(server.call(twice).status, 400, "{twice}");
    }
    assert_eq!(server.call("&number=5&other=1&other=2").status, 200);
    assert_eq!(server.call_updates().len(), 1);
}

#[test]
fn dangerous_numbers_are_refused_and_never_echoed() {
    let server = Server::start();
    for number in [
        "%3Cscript%3E",
        "<script>",
        "%0d%0aX:1",
        "1%00",
        "%C3%BC",
        "%FF",
        "1%262",
    ] {
        let response = server.call(&format!("&number={number}"));
        assert_eq!(response.status, 400, "{number}");
        assert!(!response.body.contains("script") && !response.head.contains("x:1"));
    }
    assert_eq!(
        server.call(&format!("&number={}", "1".repeat(65))).status,
        400
    );
    assert_eq!(server.call_updates(), []);
    // A raw `+` is a space, and spaces are nothing.
    assert_eq!(server.call("&number=+49+30+1").status, 200);
    let updates = server.call_updates();
    assert_eq!(
        updates[0].call.as_ref().unwrap().remote().identity,
        "sip:49301@abc.com"
    );
}

#[test]
fn missing_parameters_are_named() {
    let server = Server::start();
    for query in ["", "?", "?domain=abc.com&user=123", "?number=5"] {
        assert_eq!(
            server.get(&format!("/call_state.htm{query}")).status,
            400,
            "{query}"
        );
    }
    assert_eq!(server.call_updates(), []);
}

#[test]
fn a_form_is_equivalent_to_a_query() {
    let server = Server::start();
    let form = "domain=abc.com&user=123&password=s3cret+pass&number=5";
    let content_type = "Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\n";
    assert_eq!(server.post("", content_type, form).status, 200);
    assert_eq!(server.post("", "", form).status, 200);
    assert_eq!(
        server
            .post(
                "?number=5",
                content_type,
                "domain=abc.com&user=123&password=s3cret+pass"
            )
            .status,
        200
    );
    assert_eq!(server.call_updates().len(), 3);
    assert_eq!(server.post("?number=5", content_type, form).status, 400);
    assert_eq!(
        server
            .post("", "Content-Type: application/json\r\n", "{}")
            .status,
        415
    );
    assert_eq!(
        server
            .post("", content_type, &"x".repeat((8 << 10) + 1))
            .status,
        413
    );
    assert_eq!(server.call_updates(), []);
}

#[test]
fn a_full_engine_is_503() {
    let server = Server::start();
    server.engine.is_full.store(true, Ordering::SeqCst);
    assert_eq!(server.call("&number=5").status, 503);
}

#[test]
fn state_gives_ringing_dnd_and_idle() {
    let server = Server::start();
    let call = |rest: &str| {
        assert_eq!(server.call(rest).status, 200, "{rest}");
        let mut updates = server.call_updates();
        assert_eq!(updates.len(), 1, "{rest}");
        updates.remove(0).call
    };
    let ringing = call("&state=ringing&number=5").unwrap();
    let updates = (ringing.state, ringing.direction, ringing.remote().identity);
    assert_eq!(
        updates,
        (
            CallState::Early,
            Some(Direction::Recipient),
            "sip:5@abc.com"
        )
    );
    assert!(ringing.remote_is_private);
    let busy = call("&state=busy").unwrap();
    assert_eq!(
        (busy.state, busy.remote().identity),
        (CallState::Confirmed, "")
    );
    assert_eq!(
        call("&state=busy&number=6").unwrap().state,
        CallState::Confirmed
    );
    for idle in [
        "&state=idle",
        "&state=idle&number=5",
        "&state=ringing&expires=0",
        "&state=",
    ] {
        assert_eq!(call(idle), None, "{idle}");
    }
    assert_eq!(server.call("&state=dnd&expires=60").status, 200);
    let (aor, update) = server.engine.updates.lock().unwrap().pop().unwrap();
    assert_eq!(aor, "123@abc.com");
    let StateUpdate::CallStateDoNotDisturb(life) = update else {
        unreachable!("{update:?}")
    };
    assert_eq!(life, Duration::from_secs(60));
    for unknown in ["&state=away", "&state=BUSY", "&state=busy&state=idle"] {
        let refused = server.call(unknown);
        assert_eq!(refused.status, 400, "{unknown}: {}", refused.body);
    }
    assert!(server.call_updates().is_empty());
}
