//! The API from the outside: who may call it, what it answers, what it refuses.

mod connectors;
mod domains;

use std::collections::HashSet;

use serde_json::{Value, json};

use super::*;
use crate::changes::outbox_of;

/// A response of the API.
#[derive(Debug)]
struct Answer {
    response: Response,
    json: Value,
}

impl Answer {
    fn status(&self) -> u16 {
        self.response.status
    }

    /// The kind of problem that it is.
    fn problem(&self) -> &str {
        let media_type = self.response.header("content-type");
        assert_eq!(media_type, Some("application/problem+json"), "{self:?}");
        assert_eq!(self.json["status"], self.status());
        let kind = self.json["type"].as_str().unwrap();
        kind.strip_prefix("urn:problem-type:lamplighter:").unwrap()
    }
}

impl Server {
    /// Calls an operation as the bearer of a token.
    fn api(&self, token: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let authorization = format!("Authorization: Bearer lamp_{token}_secret\r\n");
        self.api_with(&authorization, method, path, body)
    }

    fn api_with(&self, headers: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let body = body.map(Value::to_string).unwrap_or_default();
        let content = match body.len() {
            0 => String::new(),
            length => {
                format!("Content-Type: application/json\r\nContent-Length: {length}\r\n")
            }
        };
        let head = format!("{method} /api/v1/{path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n");
        let response =
            Response::new(&self.raw(format!("{head}{headers}{content}\r\n{body}").as_bytes()));
        let json = serde_json::from_str(&response.body).unwrap_or_default();
        Answer { response, json }
    }

    fn read(&self, path: &str) -> Value {
        let answer = self.api("reader", "GET", path, None);
        assert_eq!(answer.status(), 200, "{answer:?}");
        answer.json
    }
}

#[test]
fn a_token_is_required_and_its_role_counts() {
    let server = Server::start();
    let without = server.api_with("", "GET", "domains", None);
    assert_eq!(without.problem(), "unauthenticated");
    assert!(
        without
            .response
            .header("www-authenticate")
            .unwrap()
            .starts_with("bearer")
    );
    for wrong in ["reader_x", "nobody_secret", "", "reader_secret_"] {
        let header = format!("Authorization: Bearer lamp_{wrong}\r\n");
        assert_eq!(
            server.api_with(&header, "GET", "domains", None).status(),
            401,
            "{wrong}"
        );
    }
    assert_eq!(server.read("session")["role"], "reader");
    let note = json!({"text": "lunch"});
    let put = |token| server.api(token, "PUT", "presence/123@abc.com/note", Some(&note));
    assert_eq!(put("reader").problem(), "forbidden");
    for token in ["feeder", "editor", "admin"] {
        assert_eq!(put(token).status(), 200, "{token}");
    }
    assert_eq!(
        server.api("editor", "GET", "node", None).problem(),
        "forbidden"
    );
    assert_eq!(server.api("admin", "GET", "node", None).status(), 200);
}

#[test]
fn a_bearer_sees_its_own_domains_only() {
    let server = Server::start();
    let get = |path: &str| server.api("feeder", "GET", path, None);
    assert_eq!(get("session").json["domains"], json!(["abc.com"]));
    let names = |json: &Value| -> Vec<String> {
        let items = json["items"].as_array().unwrap().iter();
        items
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&get("domains").json), ["abc.com"]);
    assert_eq!(names(&server.read("domains")).len(), 3);
    for path in [
        "domains/open.example",
        "domains/nowhere",
        "presence/7@open.example",
        "presence/7@nowhere",
        "presence?domain=open.example",
        "presence?aor=7@open.example",
        "history?domain=open.example",
        "events?domain=open.example",
        "lists/x@open.example",
    ] {
        assert_eq!(get(path).problem(), "forbidden", "{path}");
    }
    let accounts = |json: &Value| json["items"].as_array().unwrap().len();
    assert_eq!(accounts(&get("accounts").json), 1);
    assert_eq!(accounts(&server.read("accounts")), 2);
    assert_eq!(
        server
            .api("reader", "GET", "domains/nowhere", None)
            .problem(),
        "not-found"
    );
}

#[test]
fn wrong_tokens_are_locked_out() {
    let server = Server::start_with(OverloadOptions {
        wrong_max: 3,
        exempt: Vec::new(),
        ..OverloadOptions::default()
    });
    let wrong = "Authorization: Bearer lamp_reader_wrong\r\n";
    let statuses: HashSet<u16> = (0..8)
        .map(|_| server.api_with(wrong, "GET", "domains", None).status())
        .collect();
    assert_eq!(statuses, HashSet::from([401, 429]));
    let answer = server.api_with(wrong, "GET", "domains", None);
    assert_eq!(answer.problem(), "too-many-requests");
    assert!(answer.response.header("retry-after").is_some());
}

#[test]
fn the_dashboard_keeps_its_token_in_a_cookie() {
    let server = Server::start();
    let login = json!({"token": "lamp_editor_secret"});
    let begun = server.api_with("", "POST", "session", Some(&login));
    assert_eq!(
        (begun.status(), &begun.json["role"]),
        (200, &json!("domain-admin"))
    );
    let cookie = begun.response.header("set-cookie").unwrap();
    for part in [
        "lamplighter=lamp_editor_secret;",
        "httponly",
        "samesite=strict",
        "path=/api/",
    ] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let header = "Cookie: other=1; lamplighter=lamp_editor_secret\r\n";
    assert_eq!(
        server.api_with(header, "GET", "session", None).status(),
        200
    );
    let note = json!({"text": "lunch"});
    let put =
        |header: &str| server.api_with(header, "PUT", "presence/123@abc.com/note", Some(&note));
    assert_eq!(
        put(header).problem(),
        "forbidden",
        "another site's page could send that"
    );
    assert_eq!(
        put(&format!("{header}Lamplighter-Dashboard: 1\r\n")).status(),
        200
    );
    let ended = server.api_with(header, "DELETE", "session", None);
    assert_eq!(ended.status(), 204);
    assert!(
        ended
            .response
            .header("set-cookie")
            .unwrap()
            .contains("max-age=0")
    );
    let wrong = json!({"token": "lamp_editor_x"});
    assert_eq!(
        server
            .api_with("", "POST", "session", Some(&wrong))
            .status(),
        401
    );
}

#[test]
fn all_faults_of_a_request_are_reported_with_their_places() {
    let server = Server::start();
    let unknown = server.api("reader", "GET", "accounts?limit=0&page=2", None);
    assert_eq!(unknown.problem(), "invalid-request");
    assert_eq!(unknown.json["errors"][0]["parameter"], "page");
    let limit = server.api("reader", "GET", "accounts?limit=0", None);
    assert_eq!(limit.json["errors"][0]["parameter"], "limit");
    let call = json!({"state": "ringing", "party": "a b", "expires_seconds": 0, "x": 1});
    let refused = server.api("feeder", "PUT", "presence/123@abc.com/call", Some(&call));
    assert_eq!((refused.status(), refused.problem()), (422, "invalid-body"));
    let errors = refused.json["errors"].as_array().unwrap().iter();
    let places: Vec<&str> = errors
        .map(|error| error["pointer"].as_str().unwrap())
        .collect();
    assert_eq!(places, ["#/state", "#/party", "#/expires_seconds", "#/x"]);
    assert_eq!(server.engine.updates.lock().unwrap().len(), 0);
    let missing = server.api(
        "feeder",
        "PUT",
        "presence/124@abc.com/note",
        Some(&json!({"text": "x"})),
    );
    assert_eq!(missing.problem(), "not-found");
    let list = server.api(
        "feeder",
        "PUT",
        "presence/any-dn@abc.com/note",
        Some(&json!({"text": "x"})),
    );
    assert_eq!(list.problem(), "conflict");
    let text = server.api_with(
        "Authorization: Bearer lamp_feeder_secret\r\nContent-Type: text/plain\r\n",
        "PUT",
        "presence/123@abc.com/note",
        None,
    );
    assert_eq!(text.problem(), "unsupported-media-type");
    let elsewhere = server.api("reader", "GET", "nothing", None);
    assert_eq!(elsewhere.problem(), "not-found");
    let method = server.api("reader", "POST", "domains", None);
    assert_eq!(method.problem(), "method-not-allowed");
    assert_eq!(method.response.header("allow"), Some("get, head, options"));
}

#[test]
fn states_are_listed_in_pages() {
    let server = Server::start();
    let page = server.read("presence?domain=pbx.example&limit=1");
    assert_eq!(page["items"][0]["aor"], "700@pbx.example");
    assert_eq!(page["items"][0]["kind"], "orbit");
    assert_eq!(page["next"], "700@pbx.example");
    let page = server.read("presence?domain=pbx.example&limit=1&cursor=700%40pbx.example");
    assert_eq!(
        (&page["items"][0]["aor"], &page["next"]),
        (&json!("701@pbx.example"), &Value::Null)
    );
    let page = server.read("presence?aor=123@pbx.abc.com&aor=7@open.example");
    let states: Vec<&Value> = page["items"].as_array().unwrap().iter().collect();
    assert_eq!(states[0]["aor"], "123@abc.com");
    assert_eq!(
        (&states[0]["lamp"], &states[0]["availability"]),
        (&json!("confirmed"), &json!("busy"))
    );
    assert_eq!(states[0]["call_seconds"], 61);
    assert_eq!(states[1]["kind"], "account");
    assert_eq!(
        server.read("presence?domain=abc.com&search=12")["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        server.read("presence?domain=abc.com&search=zz")["items"]
            .as_array()
            .unwrap()
            .len(),
        0
    );
    let both = server.api(
        "reader",
        "GET",
        "presence?domain=abc.com&aor=123@abc.com",
        None,
    );
    assert_eq!(both.problem(), "invalid-request");
    let why = server.read("presence/123@abc.com");
    assert_eq!(why["contributions"].as_array().unwrap().len(), 2);
    assert_eq!(why["state"]["lamp"], "confirmed");
}

#[test]
fn subscriptions_are_listed_with_what_came_of_their_notifies() {
    let server = Server::start();
    let page = server.read("subscriptions");
    assert_eq!(page["next"], Value::Null);
    let item = &page["items"][0];
    assert_eq!(
        (&item["presentity"], &item["cseq"]),
        (&json!("123@abc.com"), &json!(7))
    );
    assert_eq!(item["last_answer"], "accepted");
    for (query, count) in [
        ("search=YEALINK", 1),
        ("search=10.0.0.7", 1),
        ("search=snom", 0),
        ("state=probation", 0),
        ("domain=open.example", 0),
    ] {
        let page = server.read(&format!("subscriptions?{query}"));
        assert_eq!(page["items"].as_array().unwrap().len(), count, "{query}");
    }
    let strange = server.api("reader", "GET", "subscriptions?cursor=9-9", None);
    assert_eq!(strange.problem(), "invalid-request");
    let reset = server.api("editor", "POST", "presence/123@abc.com/reset", None);
    assert_eq!(reset.json["watchers"], 3);
}

#[test]
fn many_calls_are_reported_at_once_or_not_at_all() {
    let server = Server::start();
    let updates = json!({"updates": [
        {"aor": "123@abc.com", "state": "early", "party": "sip:12@abc.com"},
        {"aor": "sip:123@pbx.abc.com", "state": "confirmed", "expires_seconds": 60},
        {"aor": "123@abc.com", "state": "terminated"},
    ]});
    let answer = server.api("feeder", "POST", "updates", Some(&updates));
    assert_eq!(
        answer.json,
        json!({"accepted": 3, "refused": []}),
        "{answer:?}"
    );
    let taken = server.engine.updates.lock().unwrap().split_off(0);
    let calls = taken.iter().map(|(aor, update)| match update {
        StateUpdate::Call { call, .. } => (aor.as_str(), call.as_ref().map(|call| call.state)),
        other => panic!("{other:?}"),
    });
    assert_eq!(
        calls.collect::<Vec<_>>(),
        [
            ("123@abc.com", Some(CallState::Early)),
            ("123@abc.com", Some(CallState::Confirmed)),
            ("123@abc.com", None)
        ]
    );
    let faulty = json!({"updates": [
        {"aor": "123@abc.com", "state": "early"},
        {"aor": "7@open.example", "state": "early"},
        {"aor": "123@abc.com"},
    ]});
    let refused = server.api("feeder", "POST", "updates", Some(&faulty));
    let errors = refused.json["errors"].as_array().unwrap().iter();
    let places: Vec<&str> = errors
        .map(|error| error["pointer"].as_str().unwrap())
        .collect();
    assert_eq!(places, ["#/updates/1/aor", "#/updates/2/state"]);
    assert_eq!(server.engine.updates.lock().unwrap().len(), 0);
    server.engine.is_full.store(true, Ordering::SeqCst);
    let full = server.api("feeder", "POST", "updates", Some(&updates));
    assert_eq!(full.json["accepted"], 0);
    assert_eq!(full.json["refused"][2]["problem"]["status"], 503);
}

#[test]
fn a_list_is_put_with_conditions() {
    let server = Server::start();
    let put = |headers: &str, list: &Value| {
        let headers = format!("Authorization: Bearer lamp_editor_secret\r\n{headers}");
        server.api_with(&headers, "PUT", "lists/team@abc.com", Some(list))
    };
    let list = json!({"name": "The team", "members": ["123", "sip:bob@xyz.com"]});
    let made = put("If-None-Match: *\r\n", &list);
    assert_eq!(made.status(), 200, "{made:?}");
    assert_eq!(made.json["members"].as_array().unwrap().len(), 2);
    assert_eq!(
        put("If-None-Match: *\r\n", &list).problem(),
        "precondition-failed"
    );
    let tag = made.response.header("etag").unwrap().to_owned();
    let again = put("", &list);
    assert_eq!(
        again.response.header("etag"),
        Some(&*tag),
        "nothing changed"
    );
    let other = json!({"members": ["123"]});
    assert_eq!(put(&format!("If-Match: {tag}\r\n"), &other).status(), 200);
    assert_eq!(
        put(&format!("If-Match: {tag}\r\n"), &list).problem(),
        "precondition-failed"
    );
    let known = format!(
        "Authorization: Bearer lamp_reader_secret\r\nIf-None-Match: {}\r\n",
        put("", &other).response.header("etag").unwrap()
    );
    assert_eq!(
        server
            .api_with(&known, "GET", "lists/team@abc.com", None)
            .status(),
        304
    );
    let faulty = put("", &json!({"members": ["123", 5, "tel:1"]}));
    assert_eq!(faulty.json["errors"][0]["pointer"], "#/members/1");
    assert_eq!(faulty.json["errors"][1]["pointer"], "#/members/2");
    // Of a member in another domain, neither the name nor the existence is shown.
    let foreign = put(
        "",
        &json!({"members": ["7@open.example", "nobody@open.example"]}),
    );
    let member = |place: usize| foreign.json["members"][place].clone();
    assert_eq!(
        member(0),
        json!({"uri": "sip:7@open.example", "name": "7", "is_list": false})
    );
    assert_eq!(member(1)["name"], "nobody");
    assert_eq!(put("", &other).status(), 200);
    let own = put("", &json!({"members": ["team"]}));
    assert_eq!(own.problem(), "conflict");
    assert_eq!(server.read("lists")["items"][0]["members"], 1);
    let delete = |token| server.api(token, "DELETE", "lists/team@abc.com", None);
    assert_eq!(delete("feeder").problem(), "forbidden");
    assert_eq!(delete("editor").status(), 204);
    assert_eq!(delete("editor").problem(), "not-found");
}

#[test]
fn an_account_is_put_shown_and_removed() {
    let server = Server::start();
    let put = |user: &str, account: &Value| {
        server.api(
            "editor",
            "PUT",
            &format!("accounts/{user}@abc.com"),
            Some(account),
        )
    };
    let account = json!({"password": "pass one", "display": "Berta", "voicemail": ["8200"]});
    let made = put("200", &account);
    assert_eq!(
        (made.status(), &made.json["display"]),
        (200, &json!("Berta")),
        "{made:?}"
    );
    assert!(!made.response.body.contains("pass"), "no password is shown");
    let log_in = |password: &str| {
        let page = "/call_state.htm?domain=abc.com&user=200&password=";
        server.get(&format!("{page}{password}")).status
    };
    assert_eq!((log_in("pass+one"), log_in("x")), (200, 403));
    // Without a password it keeps the one that it has.
    let renamed = put("200", &json!({"display": "Bea", "feeder": true}));
    assert_eq!(
        (&renamed.json["display"], &renamed.json["feeder"]),
        (&json!("Bea"), &json!(true))
    );
    assert_eq!(log_in("pass+one"), 200);
    // Only another password makes another mark, and with it another entity tag.
    let mark = |made: &Answer| made.json["secret_mark"].as_str().unwrap().to_owned();
    assert_eq!(mark(&renamed), mark(&made));
    let other_password = put(
        "200",
        &json!({"password": "pass two", "display": "Bea", "feeder": true}),
    );
    assert_ne!(mark(&other_password), mark(&made));
    assert_eq!(
        mark(&put("200", &json!({"password": "pass one"}))),
        mark(&made)
    );
    // Its hashes are of its name.
    let other_name = put("200", &json!({"auth_id": "device7"}));
    assert_eq!(other_name.json["errors"][0]["pointer"], "#/password");
    for (account, status) in [
        (json!({"password": "a", "password_hash": "b"}), 422),
        (json!({"password_hash": "b"}), 422),
        (json!({"ha1": ["12"]}), 422),
        (json!({"password": "a", "auth_id": "123"}), 409),
        (json!({"password": "a", "x": 1}), 422),
    ] {
        assert_eq!(put("201", &account).status(), status, "{account}");
    }
    assert_eq!(
        put("201", &json!({})).json["errors"][0]["pointer"],
        "#/password"
    );
    let orbit = json!({"password": "a"});
    let orbit = server.api("admin", "PUT", "accounts/700@pbx.example", Some(&orbit));
    assert_eq!(orbit.problem(), "conflict");
    let elsewhere = server.api("editor", "PUT", "accounts/1@open.example", Some(&account));
    assert_eq!(elsewhere.problem(), "forbidden");
    let delete = || {
        server
            .api("editor", "DELETE", "accounts/200@abc.com", None)
            .status()
    };
    assert_eq!((delete(), delete(), log_in("pass+one")), (204, 404, 403));
}

#[test]
fn accounts_are_imported_all_or_none() {
    let server = Server::start();
    let import = |query: &str, csv: &str| {
        let head = format!(
            "POST /api/v1/accounts{query} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\
             Authorization: Bearer lamp_editor_secret\r\nContent-Type: text/csv\r\nContent-Length: {}\r\n\r\n{csv}",
            csv.len()
        );
        let response = Response::new(&server.raw(head.as_bytes()));
        let json = serde_json::from_str(&response.body).unwrap_or_default();
        Answer { response, json }
    };
    let places = |answer: &Answer| -> Vec<String> {
        let errors = answer.json["errors"].as_array().unwrap().iter();
        errors
            .map(|error| error["pointer"].as_str().unwrap().to_owned())
            .collect()
    };
    let good = "user,domain,password,display\r\n300,abc.com,one,\"Clara, sales\"\r\n123,pbx.abc.com,,Anna\r\n";
    let dry = import("?dry_run=true", good);
    assert_eq!(
        dry.json,
        json!({"added": 1, "replaced": 1, "dry_run": true}),
        "{dry:?}"
    );
    assert_eq!(
        server.read("accounts?domain=abc.com")["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        import("", good).json,
        json!({"added": 1, "replaced": 1, "dry_run": false})
    );
    let accounts = server.read("accounts?domain=abc.com");
    assert_eq!(accounts["items"][0]["display"], "Anna");
    assert_eq!(accounts["items"][1]["display"], "Clara, sales");
    assert_eq!(server.call("").status, 200, "123 kept its password");
    let faulty = "user,domain,password\n400,abc.com,x\n401,abc.com,\n402,open.example,x\n400,abc.com,y\n403,abc.com\n";
    let refused = import("", faulty);
    assert_eq!(places(&refused), ["#/2/password", "#/3/user", "#/4", "#/5"]);
    for header in [
        "user,password\n",
        "user,domain,colour\n",
        "user,user,domain\n",
    ] {
        assert_eq!(places(&import("", header)), ["#/0"], "{header}");
    }
    let conflict = import("", "user,domain,password,auth_id\n500,abc.com,x,123\n");
    assert_eq!(conflict.problem(), "conflict");
    assert_eq!(
        server.read("accounts?domain=abc.com")["items"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let exported = server.api("editor", "GET", "accounts.csv?domain=abc.com", None);
    assert_eq!(
        exported.response.body,
        "user,domain,auth_id,feeder,display,alternative,voicemail\n\
         123,abc.com,,false,Anna,,\n300,abc.com,,false,\"Clara, sales\",,\n"
    );
    assert_eq!(
        import("", &exported.response.body).json["replaced"],
        2,
        "it can be read again"
    );
}

/// As a Yeastar PBX reports: the message is JSON in a string.
#[test]
fn events_of_a_pbx_are_read_as_the_configuration_says() {
    let server = Server::start();
    let event = |extension: Value, status: &str| {
        let message = json!({"extension": extension, "status": status, "caller": "0301234"});
        json!({"type": 30009, "sn": "3631", "msg": message.to_string()})
    };
    let ringing = event("123".into(), "RINGING");
    let answer = server.api("feeder", "POST", "feeds/pbx", Some(&ringing));
    assert_eq!(
        answer.json,
        json!({"accepted": 1, "ignored": 0}),
        "{answer:?}"
    );
    let calls = server.engine.calls.lock().unwrap().split_off(0);
    let call = calls[0].call.clone().unwrap();
    assert_eq!(
        (&*calls[0].aor, call.state),
        ("123@abc.com", CallState::Early)
    );
    assert_eq!(call.remote().identity, "sip:0301234@abc.com");
    let many = json!([
        event(123.into(), "Hangup"),
        event("123".into(), "lunch"),
        event("123".into(), "transferring"),
        event("999".into(), "ringing"),
        {"type": 30005},
    ]);
    let with_token = "feeds/pbx?token=lamp_feeder_secret";
    let answer = server.api_with("", "POST", with_token, Some(&many));
    assert_eq!(
        answer.json,
        json!({"accepted": 2, "ignored": 3}),
        "{answer:?}"
    );
    let updates = server.engine.updates.lock().unwrap().split_off(0);
    assert!(matches!(updates[0].1, StateUpdate::DoNotDisturb(false)));
    assert!(
        matches!(&updates[1].1, StateUpdate::Presence(Some(said)) if *said.activities[0] == *"away")
    );
    assert_eq!(
        server
            .api_with("", "POST", "feeds/pbx?token=lamp_feeder_x", Some(&many))
            .status(),
        401
    );
    assert_eq!(
        server
            .api_with("", "GET", "domains?token=lamp_feeder_secret", None)
            .status(),
        401
    );
    assert_eq!(
        server
            .api("reader", "POST", "feeds/pbx", Some(&ringing))
            .problem(),
        "forbidden"
    );
    assert_eq!(
        server
            .api("admin", "POST", "feeds/x", Some(&ringing))
            .problem(),
        "not-found"
    );
}

#[test]
fn a_watcher_is_allowed_or_blocked() {
    let server = Server::start();
    assert_eq!(server.read("rules/123@abc.com")["rules"], json!([]));
    let put = |handling: &str| {
        let decision = json!({"handling": handling});
        server.api(
            "editor",
            "PUT",
            "rules/123@abc.com/watchers/bob@abc.com",
            Some(&decision),
        )
    };
    let blocked = put("block");
    assert_eq!(blocked.json["rules"][0]["handling"], "block", "{blocked:?}");
    assert_eq!(put("allow").json["rules"][0]["handling"], "allow");
    assert_eq!(put("perhaps").problem(), "invalid-body");
    assert_eq!(
        server
            .api("editor", "DELETE", "rules/123@abc.com", None)
            .status(),
        204
    );
}

/// The operator's socket needs no token.
#[test]
fn the_operator_is_an_admin() {
    let server = Server::start();
    let response = server.socket("GET /api/v1/session HTTP/1.0\r\n\r\n");
    let json: Value = serde_json::from_str(&response.body).unwrap();
    assert_eq!(
        (&json["name"], &json["role"]),
        (&json!("operator"), &json!("admin"))
    );
}

/// Every reference of the document leads somewhere, and every schema is used.
#[test]
fn the_document_is_whole() {
    let server = Server::start();
    let document = server.api_with("", "GET", "openapi.json", None).json;
    assert_eq!(document["openapi"], "3.1.0");
    let text = document.to_string();
    let references: HashSet<&str> = text
        .split("\"$ref\":\"#")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    for reference in &references {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
    for kind in ["schemas", "parameters"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            let pointer = format!("/components/{kind}/{name}");
            assert!(references.contains(&*pointer), "{pointer} is not used");
        }
    }
    let paths = document["paths"].as_object().unwrap();
    let methods = paths
        .values()
        .map(|methods| methods.as_object().unwrap().len());
    assert!(methods.sum::<usize>() >= 35);
    let ids = text.matches("\"operationId\"").count();
    let distinct: HashSet<&str> = text
        .split("\"operationId\":\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert_eq!(distinct.len(), ids);
}

/// A reader of events on a connection of its own.
struct Reader(std::io::BufReader<TcpStream>);

impl Server {
    fn follow(&self, path: &str, headers: &str) -> Reader {
        let mut stream = self.connect();
        let head = format!(
            "GET /api/v1/{path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer lamp_reader_secret\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        Reader(std::io::BufReader::new(stream))
    }
}

impl Reader {
    /// The next event: its name, its id, and its data.
    fn next(&mut self) -> (String, String, Value) {
        use std::io::BufRead;
        let (mut name, mut id) = (String::new(), String::new());
        loop {
            let mut line = String::new();
            assert!(
                self.0.read_line(&mut line).unwrap() > 0,
                "the stream has ended"
            );
            let line = line.trim_end();
            if let Some(text) = line.strip_prefix("event: ") {
                name = text.to_owned();
            } else if let Some(text) = line.strip_prefix("id: ") {
                id = text.to_owned();
            } else if let Some(text) = line.strip_prefix("data: ") {
                return (name, id, serde_json::from_str(text).unwrap());
            }
        }
    }

    fn until(&mut self, name: &str) -> (String, Value) {
        loop {
            let (found, id, data) = self.next();
            if found == name {
                return (id, data);
            }
        }
    }
}

#[test]
fn a_reader_of_events_begins_with_all_states() {
    let server = Server::start();
    assert!(!server.engine.tells.load(Ordering::SeqCst));
    let mut reader = server.follow("events?domain=abc.com", "");
    assert_eq!(reader.next().0, "reset");
    for shard in 0..SHARDS {
        let (name, _, data) = reader.next();
        assert_eq!(
            (name.as_str(), &data["aor"]),
            ("state", &json!(format!("known{shard}@abc.com")))
        );
    }
    let (_, data) = reader.until("ready");
    assert_eq!(data["states"], 3);
    assert!(server.engine.tells.load(Ordering::SeqCst));
    server.feed.send(&outbox_of(&[("1", ""), ("1", "lunch")]));
    let (name, id, data) = reader.next();
    assert_eq!(
        (name.as_str(), &data["aor"]),
        ("state", &json!("1@abc.com"))
    );
    let (name, _, data) = reader.next();
    assert_eq!((name.as_str(), &data["note"]), ("note", &json!("lunch")));
    // A reader that reconnects gets only what it missed.
    let mut again = server.follow("events?domain=abc.com", &format!("Last-Event-ID: {id}\r\n"));
    assert_eq!(again.next().0, "note");
    let mut notes = server.follow(
        "events?kind=note&aor=2@abc.com",
        &format!("Last-Event-ID: {id}\r\n"),
    );
    server
        .feed
        .send(&outbox_of(&[("2", ""), ("1", "x"), ("2", "y")]));
    let (name, _, data) = notes.next();
    assert_eq!((name.as_str(), &data["aor"]), ("note", &json!("2@abc.com")));
    let mut strange = server.follow("events", "Last-Event-ID: 77-1\r\n");
    assert_eq!(strange.next().0, "reset");
    assert_eq!(
        server.api("reader", "GET", "events?kind=x", None).problem(),
        "invalid-request"
    );
}
