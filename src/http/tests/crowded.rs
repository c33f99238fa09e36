//! A client that holds all the connections it can.

use std::time::Instant;

use super::*;

/// Connections of one address, see `Server::start`.
const PER_ADDRESS_MAX: usize = 16;

fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 64]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

/// Opens connections that send no request.
fn idle(server: &Server, count: usize) -> Vec<TcpStream> {
    (0..count).map(|_| server.connect()).collect()
}

fn connections_open(server: &Server) -> usize {
    let metrics = server.get("/metrics").body;
    let value = metrics
        .lines()
        .find_map(|line| line.strip_prefix("lamplighter_http_connections_open "));
    value.unwrap().parse().unwrap()
}

#[test]
fn health_and_metrics_are_served_while_all_connections_are_held() {
    let server = Server::start();
    server.engine.is_ready.store(true, Ordering::SeqCst);
    let held = idle(&server, PER_ADDRESS_MAX);
    assert_eq!(connections_open(&server), PER_ADDRESS_MAX + 1);
    for page in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(server.get(page).status, 200, "{page}");
    }
    // One more request gets a response, but is not served.
    let refused = server.call("&number=5");
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(server.get("/").status, 503);
    assert_eq!(server.operator("/counters").status, 200);
    assert_eq!(server.call_updates(), []);
    drop(held);
}

#[test]
fn spare_connections_go_to_those_that_send_a_request() {
    let server = Server::start();
    let held = idle(&server, PER_ADDRESS_MAX + 3 * SPARE_CONNECTIONS);
    assert_eq!(server.get("/healthz").status, 200);
    let open = connections_open(&server);
    assert!(open <= PER_ADDRESS_MAX + SPARE_CONNECTIONS, "{open}");
    drop(held);
}

#[test]
fn idle_connections_close_in_seconds_while_connections_are_low() {
    let server = Server::start();
    let begin = Instant::now();
    let mut idle = idle(&server, PER_ADDRESS_MAX / 2);
    let mut half_sent: Vec<_> = (0..PER_ADDRESS_MAX / 2).map(|_| server.connect()).collect();
    for stream in &mut half_sent {
        stream
            .write_all(b"POST /call_state.htm HTTP/1.1\r\nHost: h\r\nContent-Le")
            .unwrap();
    }
    assert_eq!(server.call("&number=5").status, 503);
    let mut streams = idle.iter_mut().chain(&mut half_sent);
    assert!(streams.all(is_closed));
    // Otherwise they have ten seconds.
    assert!(begin.elapsed() < Duration::from_secs(9));
    assert_eq!(server.call("&number=5").status, 200);
}
