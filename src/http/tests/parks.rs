//! The page of parked calls: who gets it, in which form, and what HTTP says with it (W:C11, D4.7).

use super::*;

/// A server with two parked calls.
fn server(shield: OverloadOptions) -> Server {
    let server = Server::start_with(shield);
    *server.engine.parked.lock().unwrap() = vec![
        ParkedCall {
            orbit: Aor::new("701", "pbx.example"),
            display: "A<l>ice".into(),
            identity: "sip:12@pbx.example".into(),
            age: Some(Duration::from_secs(65)),
        },
        ParkedCall {
            orbit: Aor::new("700", "pbx.example"),
            display: "".into(),
            identity: "".into(),
            age: None,
        },
    ];
    server
}

fn path(browser: &str) -> String {
    format!("/parks/{browser}pbx.example/{PARKS_TOKEN}")
}

impl Server {
    /// A GET by this version of HTTP, with these headers.
    fn page(&self, target: &str, version: &str, headers: &str) -> Response {
        let request = format!("GET {target} HTTP/{version}\r\n{headers}\r\n");
        Response::new(&self.raw(request.as_bytes()))
    }
}

#[test]
fn the_page_lists_the_parked_calls_in_order() {
    let server = server(OverloadOptions::default());
    let response = server.get(&path(""));
    assert_eq!(response.status, 200);
    assert_eq!(response.body, "700\n701 A<l>ice 12 1:05\n");
    assert_eq!(response.header("cache-control"), Some("no-store"));
    // By an alias, in any case; queries that phones add mean nothing.
    let snom = server.get(&format!("{}?mac=000413", path("snom/")));
    assert!(snom.body.contains("numberdial=701</URL>"), "{}", snom.body);
    assert!(snom.body.contains("A&lt;l&gt;ice"), "{}", snom.body);
    let upper = server.get(&format!("/parks/PBX.Example/{PARKS_TOKEN}"));
    assert_eq!(upper.body, response.body);
    server.engine.parked.lock().unwrap().clear();
    assert_eq!(server.get(&path("")).body, "No parked calls\n");
}

#[test]
fn http_is_as_simple_as_phones_need_it() {
    let server = server(OverloadOptions::default());
    for (browser, content_type) in [
        ("snom/", "text/xml; charset=utf-8"),
        ("yealink/", "text/xml; charset=utf-8"),
        ("aastra/", "text/xml; charset=utf-8"),
        ("mitel/", "text/xml; charset=utf-8"),
        ("cisco/", "text/xml; charset=utf-8"),
        ("polycom/", "text/html; charset=utf-8"),
        ("grandstream/", "text/xml; charset=utf-8"),
        ("panasonic/", "text/xml; charset=utf-8"),
        ("plain/", "text/plain; charset=utf-8"),
    ] {
        let headers = "Host: h:8080\r\nAccept-Encoding: gzip\r\nConnection: close\r\n";
        for version in ["1.0", "1.1"] {
            let response = server.page(&path(browser), version, headers);
            assert_eq!(response.status, 200, "{browser}");
            let length = response.body.len().to_string();
            assert_eq!(response.header("content-length"), Some(&*length));
            assert_eq!(response.header("content-type"), Some(content_type));
            for absent in ["transfer-encoding", "content-encoding", "location"] {
                assert_eq!(response.header(absent), None, "{browser}");
            }
            let url = format!("http://h:8080{}", path(browser));
            let refresh = format!("5; url={url}");
            let expected = match browser {
                "yealink/" | "aastra/" | "mitel/" | "cisco/" | "polycom/" => Some(&*refresh),
                _ => None,
            };
            assert_eq!(response.header("refresh"), expected, "{browser}");
            let names_itself = matches!(browser, "snom/" | "grandstream/");
            assert_eq!(response.body.contains(&url), names_itself, "{browser}");
        }
        // Without its host, the page does not know its own address.
        let response = server.page(&path(browser), "1.0", "");
        assert_eq!((response.status, response.header("refresh")), (200, None));
        assert!(!response.body.contains(PARKS_TOKEN), "{browser}");
    }
    let (get, head) = (
        server.get(&path("snom/")),
        server.request("HEAD", &path("snom/")),
    );
    assert_eq!((head.status, &*head.body), (200, ""));
    assert_eq!(head.header("content-length"), get.header("content-length"));
}

#[test]
fn the_browser_is_that_of_the_path_or_the_user_agent() {
    let server = server(OverloadOptions::default());
    let get = |browser, headers: &str| {
        let headers = format!("Host: h\r\n{headers}\r\nConnection: close\r\n");
        server.page(&path(browser), "1.1", &headers).body
    };
    let yealink = "User-Agent: Yealink SIP-T46G 28.71.0.155";
    assert!(get("", yealink).contains("<YealinkIPPhoneTextMenu"));
    assert!(get("cisco/", yealink).contains("<CiscoIPPhoneDirectory"));
    let cisco = "User-Agent: Allegro-Software-WebClient/4.34\r\nx-CiscoIPPhoneModelName: CP-7965G";
    assert!(get("", cisco).contains("<CiscoIPPhoneDirectory"));
    assert!(get("plain/", cisco).starts_with("700\n"));
    assert!(get("", "User-Agent: curl/8.5.0").starts_with("700\n"));
}

/// W:D1.8
#[test]
fn an_unknown_domain_and_a_wrong_token_get_the_same_404() {
    let server = server(OverloadOptions::default());
    let wrong = "0f8c2b7d9e4a6154";
    let whole = |target: &str| {
        let text = server.raw(format!("GET {target} HTTP/1.0\r\n\r\n").as_bytes());
        let lines = text.lines().filter(|line| !line.starts_with("date:"));
        lines.collect::<Vec<_>>().join("\n")
    };
    let expected = whole("/nothing/here");
    assert!(expected.starts_with("HTTP/1.0 404"), "{expected}");
    for target in [
        format!("/parks/pbx.example/{wrong}"),
        format!("/parks/snom/pbx.example/{wrong}"),
        "/parks/pbx.example/".to_owned(),
        // A domain without a page, and none.
        format!("/parks/abc.com/{PARKS_TOKEN}"),
        format!("/parks/xyz.example/{PARKS_TOKEN}"),
        format!("/parks/nokia/pbx.example/{PARKS_TOKEN}"),
        format!("/parks/pbx.example/{PARKS_TOKEN}/"),
        format!("/parks//pbx.example/{PARKS_TOKEN}"),
    ] {
        assert_eq!(whole(&target), expected, "{target}");
    }
    assert_eq!(server.engine.parked_asked.load(Ordering::SeqCst), 0);
}

/// RFC 7616 §5
#[test]
fn guessing_gets_429_and_is_listed() {
    let server = server(OverloadOptions {
        exempt: Vec::new(),
        ..OverloadOptions::default()
    });
    let wrong = "/parks/pbx.example/0f8c2b7d9e4a6154";
    let statuses = (0..12).map(|_| server.get(wrong).status);
    let statuses: Vec<u16> = statuses.collect();
    assert_eq!(statuses, [vec![404; 10], vec![429; 2]].concat());
    // An address without a right token before is locked out, whatever it says now.
    assert_eq!(server.get(&path("")).status, 429);
    let failures = server.json("/refusals")["failed_call_state"].clone();
    let listed = |status: u16, count: u32| {
        serde_json::json!({
            "age_seconds": 0,
            "page": "parks",
            "peer": "127.0.0.1",
            "status": status,
            "domain": "pbx.example",
            "user": "parks",
            "count": count,
        })
    };
    assert_eq!(
        failures,
        serde_json::json!([listed(404, 10), listed(429, 3)])
    );
    let refusals = server.operator("/refusals?wide=yes").body;
    assert!(!refusals.contains("0f8c2b7d9e4a61"), "{refusals}");
}

#[test]
fn a_phone_that_was_right_is_not_locked_out_by_others_behind_its_address() {
    let server = server(OverloadOptions {
        exempt: Vec::new(),
        ..OverloadOptions::default()
    });
    assert_eq!(server.get(&path("")).status, 200);
    for _ in 0..15 {
        server.get("/parks/pbx.example/0f8c2b7d9e4a6154");
        assert_eq!(server.get(&path("")).status, 200);
    }
}

#[test]
fn a_page_that_would_lack_calls_is_503() {
    let server = server(OverloadOptions::default());
    server.engine.is_silent.store(true, Ordering::SeqCst);
    let response = server.get(&path("yealink/"));
    assert_eq!(
        (response.status, response.header("retry-after")),
        (503, Some("1"))
    );
}
