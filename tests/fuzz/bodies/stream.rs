//! A stream: however its octets are split into pieces, the same messages come out, in the same order,
//! and the stream fails at the same octet or not at all.

use lamplighter::sip::framing::{Frame, Limits, next_frame};
use lamplighter::sip::message::{Framing, PlainResponse};
use lamplighter::sip::{Fault, Message};

const LIMITS: Limits = Limits {
    head_octets_max: 4096,
    message_octets_max: 8192,
};

/// What a stream brought.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    messages: Vec<Vec<u8>>,
    fault: Option<Fault>,
}

/// The first octet says how the rest, a stream, is split.
pub(crate) fn stream(octets: &[u8]) {
    let Some((&first, stream)) = octets.split_first() else {
        return;
    };
    let at_once = read(stream, stream.len());
    for message in &at_once.messages {
        look_at(message);
    }
    let in_pieces = read(stream, usize::from(first) + 1);
    assert_eq!(in_pieces.messages, at_once.messages);
    // Which fault is seen first may depend on the pieces, for a head may be too long and wrong.
    assert_eq!(in_pieces.fault.is_some(), at_once.fault.is_some());
}

/// Reads a stream that arrives in pieces of that many octets.
fn read(stream: &[u8], step: usize) -> Seen {
    let mut seen = Seen::default();
    let mut buffer: Vec<u8> = Vec::new();
    for piece in stream.chunks(step.max(1)) {
        buffer.extend_from_slice(piece);
        loop {
            let taken = match next_frame(&buffer, &LIMITS) {
                Ok(Frame::Incomplete) => break,
                Ok(Frame::Ping(octets) | Frame::Filler(octets) | Frame::Stun(octets)) => octets,
                Ok(Frame::Message(octets) | Frame::Response(octets, _)) => {
                    seen.messages.push(buffer[..octets].to_vec());
                    octets
                }
                Err(fault) => {
                    seen.fault = Some(fault);
                    return seen;
                }
            };
            assert!(taken > 0 && taken <= buffer.len());
            buffer.drain(..taken);
        }
        assert!(buffer.len() <= LIMITS.message_octets_max + step);
    }
    seen
}

/// What was cut off is one message, whose length framing and parser agree on.
fn look_at(octets: &[u8]) {
    assert!(octets.len() <= LIMITS.message_octets_max);
    let message = Message::parse(octets, Framing::Stream);
    let message = message.unwrap_or_else(|fault| panic!("cut off and not read: {fault:?}"));
    assert_eq!(message.bytes().len(), octets.len());
    if let Some(response) = PlainResponse::read(octets) {
        assert_eq!(
            message.cseq().map(|cseq| cseq.number),
            Some(response.sequence)
        );
    }
}
