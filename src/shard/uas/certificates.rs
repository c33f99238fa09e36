//! The certificates of peers, by stream: which users they prove (RFC 5922 §7, W:A7.9).
//!
//! A stream is here from its handshake until it ends, and on every shard to which one of its requests was
//! forwarded, so there are at most as many as streams.

use std::collections::HashMap;
use std::sync::Arc;

use crate::directory::{Directory, Domain};
use crate::presence::Aor;
use crate::shard::contract::flow::ConnectionId;
use crate::shard::request::Request;
use crate::shard::request::headers::address_of_record;

/// The URIs in the certificate of each stream that has one.
#[derive(Debug, Default)]
pub(crate) struct Certificates(HashMap<ConnectionId, Arc<[Box<str>]>>);

impl Certificates {
    /// The handshake of a stream has verified a certificate with these URIs.
    pub(crate) fn note(&mut self, connection: ConnectionId, uris: Arc<[Box<str>]>) {
        self.0.insert(connection, uris);
    }

    /// A stream has ended.
    pub(crate) fn forget(&mut self, connection: ConnectionId) {
        self.0.remove(&connection);
    }

    /// The URIs in the certificate of a stream.
    pub(crate) fn of(&self, connection: ConnectionId) -> Option<&Arc<[Box<str>]>> {
        // Most nodes have none.
        (!self.0.is_empty())
            .then(|| self.0.get(&connection))
            .flatten()
    }

    /// The user of a domain, by its account, that the certificate of a request's stream proves: the one in
    /// From if it is among several.
    pub(super) fn user_of(
        &self,
        request: &Request<'_>,
        domain: &Domain,
        directory: &Directory,
    ) -> Option<String> {
        let uris = self.of(request.flow.connection)?;
        let is_account =
            |aor: &Aor| aor.domain() == domain.name && directory.account(aor.as_str()).is_some();
        let users = || {
            let aors = uris.iter();
            let aors = aors.filter_map(|uri| address_of_record(uri.as_bytes(), directory));
            aors.filter(is_account)
        };
        let from = request.message.from();
        let from = from.and_then(|from| address_of_record(from.uri, directory));
        let named = users().find(|aor| from.as_ref() == Some(aor));
        let user = named.or_else(|| users().next())?;
        Some(user.user().to_owned())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Instant;

    use crate::directory::{Directory, Domain};
    use crate::shard::{ConnectionId, Flow, Input, Options, Outbox, Shard, ShardId};
    use crate::sip::Transport;

    /// Two shards of one node.
    struct Node {
        shards: [Shard; 2],
        now: Instant,
    }

    impl Node {
        fn new() -> Self {
            let now = Instant::now();
            let mut directory = Directory::default();
            let domain = Domain {
                accepts_certificates: true,
                ..Domain::new("abc.com")
            };
            directory.add_domain(domain, &[]).unwrap();
            for user in ["0", "1"] {
                directory.add_account(user, "abc.com", "secret").unwrap();
            }
            let directory = std::sync::Arc::new(directory);
            let shards = [0, 1].map(|id| {
                let options = Options::new(ShardId(id), 2, now, [1; 32]);
                Shard::new(options, std::sync::Arc::clone(&directory), [2; 32])
            });
            Self { shards, now }
        }

        /// Handles an input, and the mail that it causes. The messages that are sent.
        fn handle(&mut self, shard: u16, input: Input<'_>) -> Vec<String> {
            let mut outbox = Outbox::default();
            let mut sent = Vec::new();
            self.shards[usize::from(shard)].handle(input, self.now, &mut outbox);
            loop {
                let texts = outbox.transmits.iter();
                let texts = texts.map(|transmit| outbox.pieces(transmit).concat());
                sent.extend(texts.map(|octets| String::from_utf8(octets).unwrap()));
                let mail: Vec<_> = outbox.mail.drain(..).collect();
                if mail.is_empty() {
                    return sent;
                }
                outbox = Outbox::default();
                for (to, mail) in mail {
                    let shard = &mut self.shards[usize::from(to.0)];
                    shard.handle(Input::Mail(mail), self.now, &mut outbox);
                }
            }
        }

        /// The status of the response to a request on a stream, and its To.
        fn ask(&mut self, flow: Flow, to: &str, number: u32) -> (String, String) {
            let text = format!(
                "SUBSCRIBE sip:0@abc.com SIP/2.0\r\n\
                 Via: SIP/2.0/TLS p.invalid;branch=z9hG4bK{number}\r\nMax-Forwards: 70\r\n\
                 From: <sip:1@abc.com>;tag=p\r\nTo: {to}\r\nCall-ID: c\r\n\
                 CSeq: {number} SUBSCRIBE\r\nContact: <sip:1@p.invalid;transport=tls>\r\n\
                 Event: dialog\r\nExpires: 600\r\nContent-Length: 0\r\n\r\n"
            );
            let bytes = text.as_bytes();
            let sent = self.handle(flow.connection.shard.0, Input::Message { flow, bytes });
            let response = sent
                .iter()
                .find(|text| text.starts_with("SIP/2.0"))
                .unwrap();
            let to = response.lines().find_map(|line| line.strip_prefix("To: "));
            (response[8..11].to_owned(), to.unwrap().to_owned())
        }
    }

    fn stream(shard: u16) -> Flow {
        Flow {
            transport: Transport::Tls,
            listener: 0,
            connection: ConnectionId {
                shard: ShardId(shard),
                number: 1,
            },
            local: "192.0.2.1:5061".parse().unwrap(),
            peer: format!("203.0.113.9:4000{shard}").parse().unwrap(),
        }
    }

    #[test]
    fn a_certificate_counts_on_the_shard_to_which_a_request_is_forwarded() {
        let mut node = Node::new();
        let certified = |flow: Flow| {
            let uris = ["sip:1@abc.com".into()];
            Input::Certified(flow.connection, uris.into())
        };
        let [first, again] = [stream(0), stream(1)];
        node.handle(0, certified(first));
        let (status, to) = node.ask(first, "<sip:0@abc.com>", 2);
        assert_eq!(status, "200");
        // The phone returns on a stream of the other shard, and the dialog is on this one.
        assert_eq!(node.ask(again, &to, 3).0, "401");
        node.handle(1, certified(again));
        assert_eq!(node.ask(again, &to, 4).0, "200");
        // What a stream has proved ends with it.
        node.handle(1, Input::Closed(again.connection));
        assert_eq!(node.ask(again, &to, 5).0, "401");
    }
}
