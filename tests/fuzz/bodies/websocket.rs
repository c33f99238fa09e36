//! WebSocket: however the octets of a connection are split, the same messages come out and the same code
//! closes it; the request that it begins with is refused or accepted once it is whole, not before.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use lamplighter::net::Limits;
use lamplighter::net::stream::websocket::frames::WebSocketFraming;
use lamplighter::net::stream::websocket::upgrade::{self, Verdict};
use lamplighter::net::stream::{Arrival, Framing};
use tungstenite::protocol::frame::coding::CloseCode;

const MESSAGE_OCTETS_MAX: usize = 2000;
/// Octets of a frame that the server answers with.
const ANSWER_OCTETS_MAX: usize = 2 + 125;
/// Pieces of a request that are tried.
const PIECES: usize = 16;

/// What a connection brought.
#[derive(Debug, PartialEq)]
struct Seen {
    arrivals: Vec<(&'static str, Vec<u8>)>,
    is_closed: bool,
    close_code: CloseCode,
    is_incomplete: bool,
}

/// The first octet says how the rest, the frames of a client, is split.
pub(crate) fn websocket(octets: &[u8]) {
    let Some((&first, frames)) = octets.split_first() else {
        return;
    };
    let at_once = read(frames, frames.len());
    let in_pieces = read(frames, usize::from(first) + 1);
    assert_eq!(in_pieces, at_once);
    for (what, octets) in &at_once.arrivals {
        let octets_max = match *what {
            "answer" => ANSWER_OCTETS_MAX,
            _ => MESSAGE_OCTETS_MAX,
        };
        assert!(octets.len() <= octets_max, "{what}: {}", octets.len());
    }
}

fn read(frames: &[u8], step: usize) -> Seen {
    let limits = Limits {
        message_octets_max: MESSAGE_OCTETS_MAX,
        ..Limits::default()
    };
    let close_code = Rc::new(Cell::new(CloseCode::Away));
    let mut framing = WebSocketFraming::new(&limits, Rc::clone(&close_code));
    let now = Instant::now();
    let mut arrivals: Vec<(&'static str, Vec<u8>)> = Vec::new();
    let mut is_closed = false;
    for piece in frames.chunks(step.max(1)) {
        let taken = framing.take(piece, now, &mut |arrival| {
            arrivals.push(match arrival {
                Arrival::Message(octets) | Arrival::Response(octets, _) => {
                    ("message", octets.to_vec())
                }
                Arrival::Answer(octets) => ("answer", octets.to_vec()),
                Arrival::Ping => ("ping", Vec::new()),
                Arrival::Goodbye => ("goodbye", Vec::new()),
                Arrival::Stun(_) => panic!("STUN in a WebSocket"),
            });
        });
        is_closed = taken.is_err() || arrivals.last().is_some_and(|last| last.0 == "goodbye");
        if is_closed {
            break;
        }
    }
    Seen {
        arrivals,
        is_closed,
        close_code: close_code.get(),
        is_incomplete: !is_closed && framing.deadline().is_some(),
    }
}

/// The octets of a request, and perhaps what follows it.
pub(crate) fn upgrade(octets: &[u8]) {
    let origins = ["https://www.example.com".to_owned()];
    let step = octets.len().div_ceil(PIECES).max(1);
    let lengths = (0..octets.len()).step_by(step);
    let verdict = lengths
        .chain([octets.len()])
        .map(|length| upgrade::read(&octets[..length], &origins))
        .find(|verdict| *verdict != Verdict::Incomplete);
    match verdict {
        Some(Verdict::Accepted(response)) => {
            assert!(response.starts_with(b"HTTP/1.1 101 "));
            let ends = response.windows(4).filter(|octets| octets == b"\r\n\r\n");
            assert_eq!(ends.count(), 1);
        }
        Some(Verdict::Refused(response, why)) => {
            assert!(response.starts_with(b"HTTP/1.1 4"));
            assert!(response.ends_with(format!("\r\n\r\n{why}\n").as_bytes()));
        }
        Some(Verdict::Incomplete) | None => {}
    }
}
