//! The PBX: publishes the calls of all participants (RFC 3903), one request at a time.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::cli::demo::participants::PEOPLE;
use crate::sip::message::Framing;
use crate::sip::{HeaderName, Message, StartLine};

/// Timer E.
const T1: Duration = Duration::from_millis(500);
/// How long a PUBLISH waits for its response.
const RESPONSE_MAX: Duration = Duration::from_secs(4);
/// The largest datagram.
const DATAGRAM_OCTETS_MAX: usize = 65_535;

/// One leg of a call, as published for one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leg {
    /// The person whose leg it is: an index into [`PEOPLE`].
    pub(super) person: usize,
    /// The person at the other end: an index into [`PEOPLE`].
    pub(super) other: usize,
    /// The call's number. A call that has ended never resumes.
    pub(super) call: u32,
    /// `early`, `confirmed` or `terminated`.
    pub(super) state: &'static str,
    /// `initiator` or `recipient`.
    pub(super) direction: &'static str,
}

/// The PBX.
#[derive(Debug)]
pub(super) struct Pbx {
    socket: UdpSocket,
    address: SocketAddr,
    sequence: u32,
    /// SIP-ETag of each person's publication.
    entity_tags: [Option<String>; PEOPLE.len()],
}

impl Pbx {
    pub(super) fn connect(server: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind((server.ip(), 0))?;
        socket.connect(server)?;
        socket.set_read_timeout(Some(T1))?;
        let address = socket.local_addr()?;
        Ok(Self {
            socket,
            address,
            sequence: 0,
            entity_tags: Default::default(),
        })
    }

    /// Publishes a leg; the error is a message for the visitor.
    pub(super) fn publish(&mut self, leg: &Leg) -> Result<(), String> {
        self.sequence += 1;
        let number = PEOPLE[leg.person].number;
        let named = |what: String| format!("PUBLISH for {number}: {what}");
        let request = self.request(leg);
        let mut buffer = vec![0; DATAGRAM_OCTETS_MAX];
        let deadline = Instant::now() + RESPONSE_MAX;
        while Instant::now() < deadline {
            self.socket
                .send(&request)
                .map_err(|error| named(error.to_string()))?;
            while let Ok(length) = self.socket.recv(&mut buffer) {
                let Ok(message) = Message::parse(&buffer[..length], Framing::Datagram) else {
                    continue;
                };
                let StartLine::Response { code, .. } = message.start_line() else {
                    continue;
                };
                let is_mine = message
                    .cseq()
                    .is_some_and(|cseq| cseq.number == self.sequence);
                if !is_mine || code < 200 {
                    continue;
                }
                if code >= 300 {
                    return Err(named(format!("response {code}")));
                }
                let entity_tag = message.header(HeaderName::SipEtag);
                self.entity_tags[leg.person] =
                    entity_tag.map(|tag| String::from_utf8_lossy(tag).into_owned());
                return Ok(());
            }
        }
        Err(named("no response".to_owned()))
    }

    fn request(&self, leg: &Leg) -> Vec<u8> {
        let Self {
            address, sequence, ..
        } = self;
        let body = document(leg, *sequence);
        let uri = PEOPLE[leg.person].uri();
        let condition = self.entity_tags[leg.person].as_ref();
        let condition =
            condition.map_or_else(String::new, |tag| format!("SIP-If-Match: {tag}\r\n"));
        format!(
            "PUBLISH {uri} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {address};branch=z9hG4bKpbx-{sequence};rport\r\n\
             Max-Forwards: 70\r\n\
             From: <{uri}>;tag=pbx-{sequence}\r\n\
             To: <{uri}>\r\n\
             Call-ID: pbx-{}\r\n\
             CSeq: {sequence} PUBLISH\r\n\
             Event: dialog\r\n\
             {condition}Expires: 3600\r\n\
             Content-Type: application/dialog-info+xml\r\n\
             Content-Length: {}\r\n\r\n{body}",
            address.port(),
            body.len(),
        )
        .into_bytes()
    }
}

fn document(leg: &Leg, version: u32) -> String {
    let Leg {
        call,
        state,
        direction,
        ..
    } = leg;
    let [own, other] = [leg.person, leg.other].map(|person| PEOPLE[person]);
    let (own_uri, other_uri) = (own.uri(), other.uri());
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"{version}\" \
         state=\"full\" entity=\"{own_uri}\">\n\
         <dialog id=\"{call}\" call-id=\"call-{call}\" local-tag=\"{}-{call}\" \
         remote-tag=\"{}-{call}\" direction=\"{direction}\">\n\
         <state>{state}</state>\n\
         <local><identity display=\"{}\">{own_uri}</identity></local>\n\
         <remote><identity display=\"{}\">{other_uri}</identity></remote>\n\
         </dialog>\n</dialog-info>\n",
        own.number, other.number, own.name, other.name,
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::cli::demo::lamp::Lamp;

    #[test]
    fn requests_of_the_pbx_have_no_fault() {
        let mut pbx = Pbx::connect("127.0.0.1:9".parse().unwrap()).unwrap();
        let leg = Leg {
            person: 1,
            other: 0,
            call: 7,
            state: "early",
            direction: "recipient",
        };
        for entity_tag in [None, Some("e1".to_owned())] {
            pbx.entity_tags[1] = entity_tag.clone();
            let bytes = pbx.request(&leg);
            let message = Message::parse(&bytes, Framing::Datagram).unwrap();
            assert_eq!(message.fault(), None);
            let condition = message.header(HeaderName::SipIfMatch);
            assert_eq!(condition, entity_tag.as_deref().map(str::as_bytes));
            assert_eq!(Lamp::of_document(message.body()), Some(Lamp::Ringing));
        }
    }
}
