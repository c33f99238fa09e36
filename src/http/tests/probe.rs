//! Probes of other servers: what is ordered of the engine, and what is refused.

use super::*;
use crate::shard::contract::probe::ProbeTask;

#[test]
fn a_probe_is_started_and_read() {
    let server = Server::start();
    let fields = "target=123@pbx.example.com&server=127.0.0.1:5070&user=7&password=x&for=1m";
    let response = server.command("/probe/subscribe", fields);
    // 5070 modulo three shards, and the number that the engine gave.
    assert_eq!((response.status, response.body.as_str()), (200, "0-3c\n"));
    let order = server.engine.probes.lock().unwrap().pop().unwrap();
    assert_eq!(&*order.target, "sip:123@pbx.example.com");
    assert_eq!(&*order.from, "sip:7@pbx.example.com");
    assert_eq!(order.flow.peer.to_string(), "127.0.0.1:5070");
    assert_eq!(order.flow.local.to_string(), "127.0.0.1:5060");
    assert_eq!(order.task, ProbeTask::Subscribe(Package::Dialog));
    assert!(order.login.is_some());
    let text = server.operator("/probe?id=0-3c").body;
    let over = "  1.000 s  the probe is over\n";
    assert_eq!(
        text,
        format!("  1.000 s  server status: UpAndRunning\n{over}")
    );
    assert_eq!(server.operator("/probe?id=0-3c&seen=1").body, over);
    assert_eq!(server.operator("/probe?id=0-1").status, 404);
    let fields = "target=sip:9@127.0.0.1&state=ringing";
    assert_eq!(server.command("/probe/publish", fields).status, 200);
    let order = server.engine.probes.lock().unwrap().pop().unwrap();
    assert_eq!(&*order.from, "sip:9@127.0.0.1");
    assert_eq!(order.flow.peer.to_string(), "127.0.0.1:5060");
    assert_eq!(order.task, ProbeTask::Publish(CallState::Early));
}

#[test]
fn the_server_of_a_probe_is_found_by_name() {
    let server = Server::start();
    let response = server.command("/probe/subscribe", "target=1@pbx.example.com");
    assert_eq!(response.status, 200, "{}", response.body);
    let order = server.engine.probes.lock().unwrap().pop().unwrap();
    assert_eq!(order.flow.peer.to_string(), "127.0.0.1:5070");
    let others = order.alternatives.iter();
    let others: Vec<String> = others.map(|flow| flow.peer.to_string()).collect();
    assert_eq!(others, ["127.0.0.1:5080"]);
    for fields in ["target=1@h", "target=1@pbx.example.com&server=h:5070"] {
        let response = server.command("/probe/subscribe", fields);
        let expected = "the server h is not found: no name server knows an address for it\n";
        assert_eq!((response.status, response.body.as_str()), (404, expected));
    }
}

#[test]
fn invalid_probes_are_refused() {
    let server = Server::start();
    let here = "server=127.0.0.1:5070";
    let table = [
        (
            "subscribe",
            format!("target=1@h;transport=tcp&{here}"),
            "UDP only",
        ),
        (
            "subscribe",
            format!("target=1@h&{here};transport=tls"),
            "UDP only",
        ),
        ("subscribe", here.to_owned(), "target is missing"),
        (
            "subscribe",
            format!("target=h&{here}"),
            "target is not a URI",
        ),
        (
            "subscribe",
            format!("target=1@h&{here}&package=reg"),
            "package must be one of",
        ),
        (
            "subscribe",
            format!("target=1@h&{here}&password=x"),
            "user is missing",
        ),
        (
            "subscribe",
            format!("target=1@h&{here}&for=2h"),
            "between 1s and 1h",
        ),
        ("publish", format!("target=1@h&{here}"), "state is missing"),
        (
            "publish",
            format!("target=1@h&{here}&state=away"),
            "state must be one of",
        ),
        (
            "subscribe",
            "target=1@h&server=[::1]:5070".to_owned(),
            "none of our UDP listeners",
        ),
        (
            "subscribe",
            "target=1@h&server=127.0.0.1:5060".to_owned(),
            "this server itself",
        ),
    ];
    for (page, fields, words) in table {
        let response = server.command(&format!("/probe/{page}"), &fields);
        assert_eq!(response.status, 400, "{fields}: {}", response.body);
        assert!(response.body.contains(words), "{fields}: {}", response.body);
    }
    assert!(server.engine.probes.lock().unwrap().is_empty());
}
