//! HTTP itself: methods, lengths, old clients, and requests that mean to be two.

use super::*;

#[test]
fn other_methods_and_paths_are_refused() {
    let server = Server::start();
    let target = "/call_state.htm?domain=abc.com&user=123&password=s3cret+pass&number=5";
    for method in ["HEAD", "PUT", "DELETE", "TRACE", "PATCH", "BREW"] {
        let response = server.request(method, target);
        assert_eq!(response.status, 405, "{method}");
        assert_eq!(
            response.header("allow"),
            Some("get, post, options"),
            "{method}"
        );
    }
    for path in [
        "/index.html",
        "/call_state.html",
        "/Call_State.htm",
        "/call_state.htm/",
        "//call_state.htm",
        "/x/../call_state.htm",
        "/why",
    ] {
        assert_eq!(
            server
                .get(&format!(
                    "{path}?domain=abc.com&user=123&password=s3cret+pass&number=5"
                ))
                .status,
            404,
            "{path}"
        );
    }
    assert_eq!(server.call_updates(), []);
}

#[test]
fn long_queries_are_414() {
    let server = Server::start();
    assert_eq!(server.call(&format!("&x={}", "1".repeat(8000))).status, 200);
    for octets in [10 << 10, 60 << 10, 70 << 10] {
        assert_eq!(
            server
                .call(&format!("&number=5&x={}", "1".repeat(octets)))
                .status,
            414,
            "{octets}"
        );
    }
    // The API takes a thousand addresses at once.
    let api = |octets| server.get(&format!("/api/v1/presence?x={}", "1".repeat(octets)));
    assert_eq!((api(40 << 10).status, api(61 << 10).status), (401, 414));
    let head = format!(
        "GET /healthz HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n",
        "1".repeat(200 << 10)
    );
    assert_eq!(Response::new(&server.raw(head.as_bytes())).status, 431);
}

#[test]
fn http_1_0_gets_a_response_and_the_connection_closes() {
    let server = Server::start();
    let target = "/call_state.htm?domain=abc.com&user=123&password=s3cret+pass&number=5";
    let mut stream = server.connect();
    stream
        .write_all(format!("GET {target} HTTP/1.0\r\n\r\n").as_bytes())
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let response = Response::new(&text);
    assert!(response.head.starts_with("http/1.0 200"), "{text}");
    assert_eq!(
        (response.header("content-length"), response.body.as_str()),
        (Some("3"), "OK\n")
    );
    assert_eq!(server.call_updates().len(), 1);
}

#[test]
fn a_connection_is_kept_for_more_requests() {
    let server = Server::start();
    let mut stream = server.connect();
    for round in 0..3 {
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
            .unwrap();
        let mut text = String::new();
        while !text.ends_with("\r\n\r\nOK\n") {
            let mut octets = [0; 512];
            let count = stream.read(&mut octets).unwrap();
            assert_ne!(count, 0, "round {round}: {text}");
            text.push_str(std::str::from_utf8(&octets[..count]).unwrap());
        }
    }
}

/// Nothing but the first request may be seen in octets whose end two readers could disagree about.
#[test]
fn requests_cannot_be_smuggled() {
    let server = Server::start();
    let hidden = "GET /call_state.htm?domain=abc.com&user=123&password=s3cret+pass&number=5 HTTP/1.1\r\nHost: h\r\n\r\n";
    let chunked = format!("0\r\n\r\n{hidden}");
    let length = chunked.len();
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let heads = [
        format!("{form}Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
        format!("{form}Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n"),
        format!("{form}Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"),
        format!("{form}Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"),
        format!("{form}Transfer-Encoding: chunked\r\n"),
        format!("{form}Transfer-Encoding: xchunked\r\nContent-Length: {length}\r\n"),
        format!("{form}Transfer-Encoding: chunked, identity\r\nContent-Length: {length}\r\n"),
        format!("{form}Transfer-Encoding : chunked\r\nContent-Length: {length}\r\n"),
        format!("{form}Content-Length: 0\r\nContent-Length: {length}\r\n"),
        format!("{form}Content-Length: +{length}\r\n"),
        format!("{form}Content-Length: 0, {length}\r\n"),
        format!("{form}Content-Length: -1\r\n"),
    ];
    for head in heads {
        let text = server.raw(
            format!("POST /call_state.htm HTTP/1.1\r\nHost: h\r\n{head}\r\n{chunked}").as_bytes(),
        );
        let status = Response::new(&text).status;
        assert!((400..500).contains(&status), "{head}: {text}");
        assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{head}: {text}");
        assert_eq!(server.call_updates(), [], "{head}");
    }
}

#[test]
fn malformed_http_is_survived() {
    let server = Server::start();
    for octets in [
        &b"\x16\x03\x01\x02\x00\x01\x00"[..],
        b"\r\n\r\n\r\n",
        b"OPTIONS sip:a@b SIP/2.0\r\n\r\n",
        b"GET",
        b"\0\0\0\0",
        b"",
    ] {
        assert!(!server.raw(octets).contains(" 200 "));
    }
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn exactly_one_valid_host_header_is_required() {
    let server = Server::start();
    let ask = |version: &str, hosts: &str| {
        let head = format!("GET /healthz HTTP/{version}\r\n{hosts}Connection: close\r\n\r\n");
        Response::new(&server.raw(head.as_bytes())).status
    };
    for hosts in [
        "",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nHost: b\r\n",
        "Host: a@b\r\n",
        "Host: a b\r\n",
        "Host: a/b\r\n",
        "Host: a:b\r\n",
        "Host: http://a\r\n",
        "Host: [::1\r\n",
    ] {
        assert_eq!(ask("1.1", hosts), 400, "{hosts:?}");
    }
    for hosts in ["Host: a\r\n", "Host:\r\n", "Host: [::1]:8080\r\n"] {
        assert_eq!(ask("1.1", hosts), 200, "{hosts:?}");
    }
    assert_eq!(ask("1.0", ""), 200);
    assert_eq!(ask("1.0", "Host: a\r\nHost: a\r\n"), 400);
    let target = "/call_state.htm?domain=abc.com&user=123&password=s3cret+pass&number=5";
    let head = format!("GET {target} HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert_eq!(Response::new(&server.raw(head.as_bytes())).status, 400);
    assert_eq!(server.call_updates(), []);
}
