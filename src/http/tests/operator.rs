//! Health, metrics and the operator's questions.

use super::*;

#[test]
fn healthz_is_always_200_and_readyz_once_ready() {
    let server = Server::start();
    assert_eq!(server.get("/healthz").status, 200);
    assert_eq!(server.get("/readyz").status, 503);
    server.engine.is_ready.store(true, Ordering::SeqCst);
    assert_eq!(server.get("/readyz").status, 200);
    assert_eq!(server.request("HEAD", "/readyz").status, 200);
    assert_eq!(server.request("POST", "/healthz").status, 405);
}

/// Without a disk the server goes on, or is not ready, as its configuration says.
#[test]
fn a_store_that_fails_is_reported() {
    let server = Server::start();
    server.engine.is_ready.store(true, Ordering::SeqCst);
    let set = |failure: Option<&str>, is_refusing| {
        *server.engine.store.lock().unwrap() = Some(StoreReport {
            counters: [
                ("store_commits", 4),
                ("store_rows", 9),
                ("store_failing", failure.is_some().into()),
                ("store_rows_unwritten", 0),
                ("store_rows_impossible", 0),
                ("store_files_damaged", 0),
                ("store_commits_lost", 0),
                ("store_batches_waiting", 0),
                ("store_rows_salvaged", 0),
            ],
            history: vec![("history_thinned", 3)],
            is_history_failing: false,
            failure: failure.map(str::to_owned),
            is_refusing,
        });
    };
    set(None, false);
    assert_eq!(server.get("/readyz").body, "OK\n");
    let metrics = server.get("/metrics").body;
    assert!(
        metrics.contains("\nlamplighter_store_rows_total 9\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("\nlamplighter_history_thinned_total 3\n"),
        "{metrics}"
    );
    set(Some("disk full"), false);
    let ready = server.get("/readyz");
    assert_eq!(
        (ready.status, ready.body.as_str()),
        (200, "degraded: the store cannot be written\n")
    );
    let status = server.operator("/status").body;
    assert!(
        status.contains("the store cannot be written: disk full"),
        "{status}"
    );
    set(Some("disk full"), true);
    assert_eq!(server.get("/readyz").status, 503);
    set(None, false);
    let mut store = server.engine.store.lock().unwrap();
    store.as_mut().unwrap().is_history_failing = true;
    drop(store);
    let ready = server.get("/readyz");
    assert_eq!(
        (ready.status, ready.body.as_str()),
        (200, "degraded: the history cannot be written\n")
    );
}

#[test]
fn metrics_add_up_the_shards() {
    let server = Server::start();
    let response = server.get("/metrics");
    assert!(
        response
            .header("content-type")
            .unwrap()
            .starts_with("text/plain; version=0.0.4")
    );
    for line in [
        "lamplighter_subscriptions 6",
        "lamplighter_subscriptions_by_event{event=\"presence\"} 3",
        "lamplighter_notify_outcomes_total{profile=\"yealink\",status=\"481\"} 6",
        "lamplighter_notifies_sent_total 33",
        "lamplighter_subscriptions_by_domain{domain=\"abc.com\"} 6",
        "lamplighter_subscriptions_by_domain{domain=\"other\"} 0",
        "lamplighter_messages_received_by_transport_total{transport=\"ws\"} 3",
        "lamplighter_notifies_sent_by_transport_total{transport=\"tls\"} 6",
        "lamplighter_shards 3",
        "lamplighter_shards_silent 0",
    ] {
        assert!(
            response.body.lines().any(|found| found == line),
            "{line}\n{}",
            response.body
        );
    }
}

#[test]
fn a_silent_engine_is_503() {
    let server = Server::start();
    server.engine.is_silent.store(true, Ordering::SeqCst);
    let response = server.call("&number=5");
    assert_eq!(
        (response.status, response.header("retry-after")),
        (503, Some("1"))
    );
    assert_eq!(server.operator("/why?aor=123@abc.com").status, 503);
    assert!(
        server
            .get("/metrics")
            .body
            .contains("lamplighter_shards_silent 3\n")
    );
    let watchers = server.operator("/watchers?aor=123@abc.com").body;
    assert!(watchers.contains("Shard 2 does not respond."), "{watchers}");
}

#[test]
fn why_explains_a_state() {
    let server = Server::start();
    for aor in [
        "123@abc.com",
        "123@PBX.abc.com",
        "sip:123@abc.com",
        "SIP:123@abc.com;transport=tcp",
        "sips:123@pbx.abc.com:5061",
    ] {
        let aor: String = form_urlencoded::byte_serialize(aor.as_bytes()).collect();
        let response = server.socket(&format!(
            "GET /why?aor={aor} HTTP/1.0\r\nColumns: 120\r\n\r\n"
        ));
        assert_eq!(response.status, 200, "{aor} {}", response.body);
        assert!(response.body.starts_with(
            "123@abc.com is ringing (basic open, lamp early)\nreason: a call is early\n"
        ));
        let mut lines = response.body.lines().skip(3);
        let heads: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
        assert_eq!(heads, ["SOURCE", "REPORTS", "AGE", "REMAINING"]);
        let first = lines.next().unwrap();
        assert!(
            first.starts_with("*  register:5f3c  early recipient from sip:12@abc.com\u{fffd}[2J "),
            "{first}"
        );
        assert!(first.ends_with("  3s       2m 57s"), "{first}");
        let second = lines.next().unwrap();
        assert!(second.contains("xx…  1day 1h  -"), "{second}");
        assert!(
            response
                .body
                .lines()
                .all(|line| line.chars().count() <= 120)
        );
    }
    let piped = server.operator("/why?aor=123@abc.com").body;
    assert!(piped.contains(&"x".repeat(200)), "{piped}");
    let wide = server.operator("/why?aor=123@abc.com&wide=yes").body;
    assert!(wide.contains(&"x".repeat(200)), "{wide}");
    let imagicle = server.operator("/why?aor=7@open.example").body;
    assert_eq!(
        imagicle.lines().nth(1),
        Some("imagicle: Busy (telephony: Busy, rich: -)")
    );
    assert_eq!(server.operator("/why?aor=123@nowhere").status, 404);
    assert_eq!(server.operator("/why?aor=124@abc.com").status, 404);
    assert_eq!(server.operator("/watchers?aor=124@abc.com").status, 404);
    assert_eq!(server.operator("/why?aor=123").status, 400);
    assert_eq!(server.operator("/why?address=123@abc.com").status, 400);
    assert_eq!(server.operator("/why").status, 400);
    assert_eq!(
        server.operator("/why?aor=1@abc.com&aor=2@abc.com").status,
        400
    );
}

#[test]
fn watchers_and_counters_are_shown() {
    let server = Server::start();
    let watchers = server.operator("/watchers?aor=123@abc.com").body;
    assert!(
        watchers.starts_with("1 subscription to 123@abc.com\n\nWATCHER "),
        "{watchers}"
    );
    assert!(
        watchers.ends_with(
            "WATCHER        PACKAGE  STATE   LIST  PRIVACY  RULE     PROFILE  AGE    REMAINING\n\
             sip:9@abc.com  dialog   active  -     3        default  yealink  2h 1m  59m 59s\n"
        ),
        "{watchers}"
    );
    let wide = server.operator("/watchers?aor=123@abc.com&wide=yes").body;
    assert!(
        wide.contains(
            "  59m 59s    4         udp 10.0.0.7:5060  sip:9@10.0.0.7  1      x@10.0.0.7\n"
        ),
        "{wide}"
    );
    let counters = server.operator("/counters").body;
    let mut rows = counters
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    assert!(rows.any(|row| row == ["notifies_sent", "33"]), "{counters}");
}

/// W:G5: ten looping phones are known to send fifty million SUBSCRIBEs a day.
#[test]
fn looping_phones_are_shown() {
    let server = Server::start();
    let loops = server.operator("/loops?wide=yes").body;
    assert_eq!(
        loops,
        "2 looping phones\n\n\
         ADDRESS            PHONE            METHOD     TO             RESPONSE  PER MINUTE  FOR  USER-AGENT\n\
         udp 10.0.0.7:5060  sip:500@abc.com  SUBSCRIBE  sip:9@abc.com  503       1000        30s  baresip v1.0.0\u{fffd}[2J\n\
         udp 10.0.0.7:5060  sip:5@abc.com    SUBSCRIBE  sip:9@abc.com  503       10          30s  baresip v1.0.0\u{fffd}[2J\n"
    );
    assert_eq!(server.operator("/loops?aor=1@abc.com").status, 400);
    assert_eq!(server.get("/loops").status, 404);
}

#[test]
fn relays_are_shown() {
    let server = Server::start();
    assert_eq!(
        server.operator("/relays?wide=yes").body,
        "2 relays\n\n\
         RELAY  KIND     STATUS   QUEUED  OLDEST  SENT  FAILED  DEAD LETTERS  UNKNOWN  LAST FAILURE\n\
         crm    webhook  failing  3       1m 30s  7     5       1             0        HTTP 500\n\
         there  sip      failing  6       0s      15    9       0             0        6 with Not Found\n"
    );
    assert_eq!(server.get("/relays").status, 404);
}

#[test]
fn refused_requests_are_shown() {
    let server = Server::start();
    let refusals = server.operator("/refusals?wide=yes").body;
    assert_eq!(
        refusals,
        "AGO     ADDRESS            METHOD     RESPONSE               FROM           USER     TO             COUNT\n\
         3s      tcp 10.0.0.7:5060  SUBSCRIBE  403 Too Many Attempts  sip:1@abc.com  -        sip:9@abc.com  7\n\
         1m 30s  tcp 10.0.0.7:5060  SUBSCRIBE  403 Too Many Attempts  sip:1@abc.com  200\u{fffd}[2J  sip:9@abc.com  7\n"
    );
    assert_eq!(server.operator("/refusals?aor=1@abc.com").status, 400);
    assert_eq!(server.get("/refusals").status, 404);
}

/// RFC 7616 §5
#[test]
fn failed_attempts_at_call_state_are_shown() {
    let server = Server::start_with(OverloadOptions {
        wrong_max: 2,
        exempt: Vec::new(),
        ..OverloadOptions::default()
    });
    for (user, password, status) in [
        ("123", "s3cret+pass", 200),
        ("123", "wrong", 403),
        ("9%1b%5b2J", "wrong", 403),
        ("9%1b%5b2J", "again", 403),
        ("9%1b%5b2J", "and+again", 429),
    ] {
        let query = format!("domain=PBX.abc.com&user={user}&password={password}&number=5");
        let response = server.get(&format!("/call_state.htm?{query}"));
        assert_eq!(response.status, status, "{query}");
    }
    let refusals = server.operator("/refusals?wide=yes").body;
    let mut rows: Vec<String> = refusals
        .lines()
        .filter(|line| line.contains(" http "))
        .map(|line| {
            let words = line.split_whitespace().skip(1);
            words.collect::<Vec<_>>().join(" ")
        })
        .collect();
    rows.sort_unstable();
    assert_eq!(
        rows,
        [
            "http 127.0.0.1 call_state.htm 403 Forbidden - 123 abc.com 1",
            "http 127.0.0.1 call_state.htm 403 Forbidden - 9\u{fffd}[2J abc.com 2",
            "http 127.0.0.1 call_state.htm 429 Too Many Requests - 9\u{fffd}[2J abc.com 1",
        ],
        "{refusals}"
    );
    assert!(!refusals.contains("wrong"), "{refusals}");
}

#[test]
fn status_is_shown() {
    let server = Server::start();
    let text = |state| {
        let version = env!("CARGO_PKG_VERSION");
        format!(
            "Lamplighter {version} is {state}, up 0s\n\
             SIP on udp 127.0.0.1:5060, HTTP on 127.0.0.1:8080\n\
             3 domains, 2 accounts\n\
             3 shards, 6 subscriptions, 33 NOTIFYs sent\n"
        )
    };
    assert_eq!(server.operator("/status").body, text("not ready"));
    server.engine.is_ready.store(true, Ordering::SeqCst);
    assert_eq!(server.operator("/status").body, text("ready"));
    server.engine.is_silent.store(true, Ordering::SeqCst);
    let silent = server.operator("/status").body;
    assert!(silent.contains("0 subscriptions"), "{silent}");
    assert!(silent.to_lowercase().contains("shard"), "{silent}");
    assert_eq!(server.operator("/status?aor=1@abc.com").status, 400);
    assert_eq!(server.get("/status").status, 404);
}

#[test]
fn the_public_and_the_control_endpoint_have_different_pages() {
    let server = Server::start();
    assert_eq!(
        server.operator("/call_state.htm?domain=abc.com").status,
        404
    );
    assert_eq!(server.get("/watchers?aor=123@abc.com").status, 404);
    assert_eq!(server.get("/counters").status, 404);
}

#[test]
fn lockouts_of_shards_and_of_http_are_listed_and_lifted() {
    let server = Server::start_with(OverloadOptions {
        wrong_max: 2,
        exempt: Vec::new(),
        ..OverloadOptions::default()
    });
    let wrong = "/call_state.htm?domain=abc.com&user=123&password=wrong";
    assert_eq!(server.get(wrong).status, 403);
    assert_eq!(server.get(wrong).status, 403);
    assert_eq!(server.call("").status, 429);
    let listed = server.operator("/lockouts").body;
    let lines: Vec<Vec<&str>> = listed
        .lines()
        .map(|line| {
            line.split("  ")
                .filter(|cell| !cell.is_empty())
                .map(str::trim)
                .collect()
        })
        .collect();
    assert_eq!(lines[0], ["ADDRESS", "ACCOUNT", "BY", "REMAINING"]);
    assert_eq!(
        lines[1],
        ["any", "200\u{fffd}[2J@abc.com", "shard 1", "1m 10s"]
    );
    assert_eq!(lines[2][..3], ["127.0.0.1", "123@abc.com", "http"]);
    let json = server.json("/lockouts");
    assert_eq!(json["lockouts"][1]["account"], "123@abc.com");
    assert_eq!(json["lockouts"][0]["address"], serde_json::Value::Null);

    let lift = |who: &str| server.command("/lockouts/lift", &format!("who={who}"));
    assert_eq!(lift("192.0.2.9").body, "no lockout was in force\n");
    assert_eq!(lift("200@abc.com").body, "1 lockout is lifted\n");
    assert_eq!(lift("whom").status, 400);
    assert_eq!(server.call("").status, 429);
    assert_eq!(lift("127.0.0.1").body, "1 lockout is lifted\n");
    for _ in 0..2 {
        assert_eq!(server.get(wrong).status, 403);
    }
    assert_eq!(server.call("").status, 429);
    // By an alias of the domain.
    assert_eq!(lift("123@pbx.abc.com").body, "1 lockout is lifted\n");
    assert_eq!(server.call("").status, 200);
    assert_eq!(lift("all").body, "no lockout was in force\n");
}
