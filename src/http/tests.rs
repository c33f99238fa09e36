//! The pages from the outside: real sockets on loopback, a real executor, and an engine that remembers what it was asked.

use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::os::unix::net::UnixListener;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::RwLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::select;
use glommio::LocalExecutorBuilder;
use glommio::timer::sleep;

use super::*;
use crate::presence::Aor;
use crate::presence::CallDialog;
use crate::shard::Command;
use crate::shard::Reply;
use crate::shard::Shard;
use crate::shard::ShardId;
use crate::shard::directory::AuthMode;
use crate::shard::directory::Domain;
use crate::shard::mail::Contribution;
use crate::shard::mail::WatcherReport;
use crate::shard::mail::Why;

const SHARDS: u16 = 3;

/// What the engine was told by call_state.htm.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    shard: ShardId,
    aor: String,
    call: Option<Arc<CallDialog>>,
    expires: Duration,
}

#[derive(Clone, Default)]
struct FakeEngine {
    told: Arc<Mutex<Vec<Told>>>,
    is_ready: Arc<AtomicBool>,
    is_silent: Arc<AtomicBool>,
    is_full: Arc<AtomicBool>,
}

impl Engine for FakeEngine {
    fn shards(&self) -> u16 {
        SHARDS
    }

    async fn ask(&self, shard: ShardId, command: Command) -> Result<Reply, Unavailable> {
        if self.is_silent.load(Ordering::SeqCst) {
            return Err(Unavailable);
        }
        // An engine answers from another core: not at once.
        sleep(Duration::from_millis(1)).await;
        Ok(match command {
            Command::CallState { .. } if self.is_full.load(Ordering::SeqCst) => Reply::OverLimit,
            Command::CallState { aor, call, expires } => {
                let told = Told {
                    shard,
                    aor: aor.as_str().to_owned(),
                    call,
                    expires,
                };
                self.told.lock().unwrap().push(told);
                Reply::Done
            }
            Command::Why(_) => Reply::Why(why()),
            Command::Watchers(_) if shard.0 == 1 => Reply::Watchers(vec![watcher()]),
            Command::Watchers(_) => Reply::Watchers(Vec::new()),
            Command::Counters => Reply::Counters(vec![
                ("subscriptions", 2),
                ("notifies_sent", 10 + u64::from(shard.0)),
            ]),
            Command::Reload(_) | Command::Drain => unreachable!("the HTTP core never does that"),
        })
    }

    fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::SeqCst)
    }
}

fn why() -> Why {
    let contribution = Contribution {
        source: "publish:5f3c".to_owned(),
        says: "early recipient from sip:12@abc.com\u{1b}[2J".to_owned(),
        age: Duration::from_secs(3),
        remaining: Duration::from_secs(177),
        decides: true,
    };
    Why {
        availability: "ringing".to_owned(),
        basic: "open",
        lamp: "early",
        because: "ringing: a call is early".to_owned(),
        contributions: vec![contribution],
    }
}

fn watcher() -> WatcherReport {
    WatcherReport {
        shard: 1,
        watcher: "sip:9@abc.com".to_owned(),
        package: "dialog",
        flow: "udp 10.0.0.7:5060".to_owned(),
        target: "sip:9@10.0.0.7".to_owned(),
        state: "active",
        notifies: 4,
        remaining: Duration::from_secs(3599),
        call_id: "x@10.0.0.7".to_owned(),
    }
}

fn directory() -> Directory {
    let domain = |name: &str, reveal_number| Domain {
        name: name.to_owned(),
        auth: AuthMode::Digest,
        trusted: Vec::new(),
        reveal_number,
        max_call_duration: Duration::from_secs(7200),
        min_expires: Duration::from_secs(60),
        max_expires: Duration::from_secs(7200),
        open: false,
        sha256: false,
    };
    let mut directory = Directory::default();
    directory
        .add_domain(domain("abc.com", false), &["pbx.abc.com".to_owned()])
        .unwrap();
    directory
        .add_domain(domain("open.example", true), &[])
        .unwrap();
    directory
        .add_account("123", "abc.com", "s3cret pass")
        .unwrap();
    directory.add_account("7", "open.example", "x").unwrap();
    directory
}

/// A server on loopback, ended when dropped.
struct Server {
    address: SocketAddr,
    control: PathBuf,
    engine: FakeEngine,
    is_over: Arc<AtomicBool>,
    thread: Option<glommio::ExecutorJoinHandle<()>>,
}

impl Server {
    fn start() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let number = COUNT.fetch_add(1, Ordering::SeqCst);
        let control =
            std::env::temp_dir().join(format!("lamplighter-{}-{number}.sock", std::process::id()));
        let control_listener = UnixListener::bind(&control).unwrap();
        let engine = FakeEngine::default();
        let is_over = Arc::new(AtomicBool::new(false));
        let (served, ended) = (engine.clone(), Arc::clone(&is_over));
        let builder = LocalExecutorBuilder::default().io_memory(64 << 10);
        let thread = builder.spawn(move || async move {
            let directory = Arc::new(RwLock::new(Arc::new(directory())));
            let plan = HttpPlan {
                listeners: vec![listener],
                control: Some(control_listener),
                engine: served,
                directory,
            };
            let end = async {
                while !ended.load(Ordering::SeqCst) {
                    sleep(Duration::from_millis(5)).await;
                }
            };
            select(std::pin::pin!(serve(plan)), std::pin::pin!(end)).await;
        });
        Self {
            address,
            control,
            engine,
            is_over,
            thread: Some(thread.unwrap()),
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        stream
    }

    /// Sends octets on a connection of their own, closes the sending side and reads to the end.
    fn raw(&self, octets: &[u8]) -> String {
        let mut stream = self.connect();
        // The server may answer and close before it has read everything.
        let _ = stream.write_all(octets);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text);
        String::from_utf8(text).unwrap()
    }

    fn request(&self, method: &str, target: &str) -> Response {
        Response::new(
            &self.raw(
                format!("{method} {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
                    .as_bytes(),
            ),
        )
    }

    fn get(&self, target: &str) -> Response {
        self.request("GET", target)
    }

    /// A GET of call_state.htm with good credentials.
    fn call(&self, rest: &str) -> Response {
        self.get(&format!(
            "/call_state.htm?domain=abc.com&user=123&password=s3cret+pass{rest}"
        ))
    }

    fn post(&self, query: &str, content_type: &str, body: &str) -> Response {
        let head =
            format!("POST /call_state.htm{query} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n");
        let length = body.len();
        Response::new(
            &self.raw(
                format!("{head}{content_type}Content-Length: {length}\r\n\r\n{body}").as_bytes(),
            ),
        )
    }

    fn operator(&self, target: &str) -> Response {
        let mut stream = UnixStream::connect(&self.control).unwrap();
        stream
            .write_all(format!("GET {target} HTTP/1.0\r\n\r\n").as_bytes())
            .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        Response::new(&text)
    }

    fn told(&self) -> Vec<Told> {
        std::mem::take(&mut self.engine.told.lock().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = std::fs::remove_file(&self.control);
    }
}

#[derive(Debug, PartialEq)]
struct Response {
    status: u16,
    head: String,
    body: String,
}

impl Response {
    fn new(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or(0);
        Self {
            status,
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

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
    let told = server.told();
    let call = told[0].call.clone().unwrap();
    assert_eq!(told[0].aor, "123@abc.com");
    assert_eq!(
        told[0].shard,
        Shard::owner(&Aor::new("123", "abc.com"), SHARDS)
    );
    assert_eq!(told[0].expires, Duration::from_secs(600));
    assert_eq!(
        (&*call.id, call.state.as_str(), call.direction),
        ("call_state", "confirmed", None)
    );
    assert_eq!(&*call.remote.identity, "sip:+4930123@abc.com");
    assert!(call.remote_is_private && call.remote.display.is_empty());

    for clear in [
        "",
        "&number=",
        "&number=&expires=600",
        "&number=5&expires=0",
    ] {
        assert_eq!(server.call(clear).status, 200);
        let told = server.told();
        assert_eq!((told.len(), &told[0].call), (1, &None), "{clear}");
    }
}

#[test]
fn the_same_number_is_the_same_call() {
    let server = Server::start();
    server.call("&number=5&expires=10");
    server.call("&number=5&expires=20");
    server.call("&number=6");
    let told = server.told();
    assert_eq!(told[0].call, told[1].call);
    assert_ne!(told[1].call, told[2].call);
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
            server.told()[0].expires,
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
    assert_eq!(server.told(), []);
}

#[test]
fn the_number_is_told_only_where_the_domain_says_so() {
    let server = Server::start();
    assert_eq!(
        server
            .get("/call_state.htm?domain=Open.Example&user=7&password=x&number=5")
            .status,
        200
    );
    assert!(!server.told()[0].call.as_ref().unwrap().remote_is_private);
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
    assert_eq!(server.told()[0].aor, "123@abc.com");
}

#[test]
fn wrong_credentials_are_all_answered_alike() {
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
    assert_eq!(server.told(), []);
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
    assert_eq!(server.told().len(), 1);
}

#[test]
fn nasty_numbers_are_refused_and_never_repeated() {
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
    assert_eq!(server.told(), []);
    // A raw `+` is a space, and spaces are nothing.
    assert_eq!(server.call("&number=+49+30+1").status, 200);
    assert_eq!(
        &*server.told()[0].call.as_ref().unwrap().remote.identity,
        "sip:49301@abc.com"
    );
}

#[test]
fn parameters_that_are_missing_are_said_so() {
    let server = Server::start();
    for query in ["", "?", "?domain=abc.com&user=123", "?number=5"] {
        assert_eq!(
            server.get(&format!("/call_state.htm{query}")).status,
            400,
            "{query}"
        );
    }
    assert_eq!(server.told(), []);
}

#[test]
fn a_form_is_as_good_as_a_query() {
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
    assert_eq!(server.told().len(), 3);
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
    assert_eq!(server.told(), []);
}

#[test]
fn other_methods_and_paths_are_refused() {
    let server = Server::start();
    let target = "/call_state.htm?domain=abc.com&user=123&password=s3cret+pass&number=5";
    for method in ["HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "BREW"] {
        let response = server.request(method, target);
        assert_eq!(response.status, 405, "{method}");
        assert_eq!(response.header("allow"), Some("get, post"), "{method}");
    }
    for path in [
        "/",
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
    assert_eq!(server.told(), []);
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
    let head = format!(
        "GET /healthz HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n",
        "1".repeat(200 << 10)
    );
    assert_eq!(Response::new(&server.raw(head.as_bytes())).status, 431);
}

#[test]
fn old_http_is_answered_and_the_connection_closed() {
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
    assert_eq!(server.told().len(), 1);
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
        assert_eq!(server.told(), [], "{head}");
    }
}

#[test]
fn what_is_no_http_is_survived() {
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
fn health_is_always_and_readiness_when_ready() {
    let server = Server::start();
    assert_eq!(server.get("/healthz").status, 200);
    assert_eq!(server.get("/readyz").status, 503);
    server.engine.is_ready.store(true, Ordering::SeqCst);
    assert_eq!(server.get("/readyz").status, 200);
    assert_eq!(server.request("HEAD", "/readyz").status, 200);
    assert_eq!(server.request("POST", "/healthz").status, 405);
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
        "lamplighter_notifies_sent 33",
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
fn a_full_engine_is_503() {
    let server = Server::start();
    server.engine.is_full.store(true, Ordering::SeqCst);
    assert_eq!(server.call("&number=5").status, 503);
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
    assert!(watchers.contains("Shard 2 does not answer."), "{watchers}");
}

#[test]
fn the_operator_is_told_why() {
    let server = Server::start();
    for aor in [
        "123@abc.com",
        "123@PBX.abc.com",
        "sip:123@abc.com",
        "SIP:123@abc.com;transport=tcp",
        "sips:123@pbx.abc.com:5061",
    ] {
        let aor: String = form_urlencoded::byte_serialize(aor.as_bytes()).collect();
        let response = server.operator(&format!("/why?aor={aor}"));
        assert_eq!(response.status, 200, "{aor} {}", response.body);
        assert!(response.body.starts_with(
            "123@abc.com is ringing (basic open, lamp early)\nbecause ringing: a call is early\n"
        ));
        assert!(
            response.body.contains(
                "*  publish:5f3c  early recipient from sip:12@abc.com\u{fffd}[2J  3s   2m 57s"
            ),
            "{}",
            response.body
        );
    }
    assert_eq!(server.operator("/why?aor=123@nowhere").status, 404);
    assert_eq!(server.operator("/why?aor=123").status, 400);
    assert_eq!(server.operator("/why").status, 400);
    assert_eq!(
        server.operator("/why?aor=1@abc.com&aor=2@abc.com").status,
        400
    );
}

#[test]
fn the_operator_is_told_who_watches_and_what_was_counted() {
    let server = Server::start();
    let watchers = server.operator("/watchers?aor=123@abc.com").body;
    assert!(
        watchers.starts_with("1 subscription to 123@abc.com\n\nWATCHER "),
        "{watchers}"
    );
    assert!(
        watchers.contains("sip:9@abc.com  dialog   active  4         59m 59s    udp 10.0.0.7:5060"),
        "{watchers}"
    );
    let counters = server.operator("/counters").body;
    assert!(counters.contains("notifies_sent  33"), "{counters}");
}

#[test]
fn the_two_doors_lead_to_different_pages() {
    let server = Server::start();
    assert_eq!(
        server.operator("/call_state.htm?domain=abc.com").status,
        404
    );
    assert_eq!(server.get("/watchers?aor=123@abc.com").status, 404);
    assert_eq!(server.get("/counters").status, 404);
}
