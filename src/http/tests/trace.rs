//! Traces: begun, read, ended, and refused.

use super::*;

#[test]
fn a_trace_is_begun_read_and_ended() {
    let server = Server::start();
    let begun = server.command("/trace/begin", "of=123@abc.com");
    assert_eq!(begun.status, 200, "{}", begun.body);
    let (id, remark) = begun.body.split_once('\n').unwrap();
    assert_eq!(remark, "");
    let path = format!("/trace?id={id}");
    let traces = server.engine.traces.0.running();
    let aor = Aor::new("123", "abc.com");
    traces[0].note(1, &aor, || "a\u{1b} note".to_owned(), SystemTime::now);
    let text = server.operator(&path).body;
    assert!(text.ends_with(" a\u{fffd} note\n"), "{text}");
    assert_eq!(server.operator(&path).body, "", "it is told once");
    let ended = server.command("/trace/end", &format!("id={id}"));
    assert_eq!(
        (ended.status, ended.body.as_str()),
        (200, "the trace is over\n")
    );
    assert_eq!(server.operator(&path).status, 404);
    for id in ["", "x", "1"] {
        assert_ne!(server.operator(&format!("/trace?id={id}")).status, 200);
    }
}

#[test]
fn a_trace_without_a_target_and_one_too_many_are_refused() {
    let server = Server::start();
    let refused = server.command("/trace/begin", "of=abc.com");
    assert_eq!(refused.status, 400);
    assert_eq!(
        refused.body,
        "write a person like 123@example.com, or a phone like 10.0.0.9 or 10.0.0.9:5060\n"
    );
    for phone in [
        "10.0.0.1",
        "10.0.0.1:5060",
        "[::1]:5060",
        "9@elsewhere.example",
    ] {
        let begun = server.command("/trace/begin", &format!("of={phone}"));
        assert_eq!(begun.status, 200, "{}", begun.body);
    }
    let refused = server.command("/trace/begin", "of=10.0.0.2");
    assert_eq!(refused.status, 503);
    assert!(
        refused.body.starts_with("4 traces are running"),
        "{}",
        refused.body
    );
}
