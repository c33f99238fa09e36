//! The users that the certificates of peers prove (RFC 5922 §7, W:A7.9).

use crate::directory::Domain;
use crate::presence::Aor;
use crate::shard::contract::turn::Turn;
use crate::shard::request::Request;
use crate::shard::request::headers::address_of_record;

/// The user of a domain, by its account, that the certificate of a request's stream proves: the one in
/// From if it is among several.
pub(super) fn user_of(request: &Request<'_>, domain: &Domain, turn: &Turn<'_>) -> Option<String> {
    let directory = turn.directory;
    let names = turn.certificates.of(request.flow.connection)?;
    let is_account =
        |aor: &Aor| aor.domain() == domain.name && directory.account(aor.as_str()).is_some();
    let users = || {
        let aors = names.uris.iter();
        let aors = aors.filter_map(|uri| address_of_record(uri.as_bytes(), directory));
        aors.filter(is_account)
    };
    let from = request.message.from();
    let from = from.and_then(|from| address_of_record(from.uri, directory));
    let named = users().find(|aor| from.as_ref() == Some(aor));
    let user = named.or_else(|| users().next())?;
    Some(user.user().to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use crate::directory::{AuthMode, Directory, Domain};
    use crate::shard::contract::overload_options::{OverloadOptions, Rate};
    use crate::shard::{
        CertificateNames, Command, CommandId, ConnectionId, Flow, Input, Options, Outbox, Shard,
        ShardId,
    };
    use crate::sip::Transport;

    /// Two shards of one node.
    struct Node {
        shards: [Shard; 2],
        now: Instant,
    }

    impl Node {
        fn new(domain: Domain) -> Self {
            let now = Instant::now();
            let directory = directory(domain);
            let shards = [0, 1].map(|id| {
                let options = Options {
                    overload: OverloadOptions {
                        source: Rate {
                            per_second: 1,
                            burst: 20,
                        },
                        ..OverloadOptions::default()
                    },
                    ..Options::new(ShardId(id), 2, now, [1; 32])
                };
                Shard::new(options, Arc::clone(&directory), [2; 32])
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

        /// The peer of a stream has a certificate with these names.
        fn certify(&mut self, flow: Flow, uris: &[&str], domains: &[&str]) {
            let names = |names: &[&str]| names.iter().map(|name| (*name).into()).collect();
            let names = CertificateNames {
                uris: names(uris),
                domains: names(domains),
            };
            let connection = flow.connection;
            self.handle(
                connection.shard.0,
                Input::Certified(connection, names.into()),
            );
        }

        /// The status of the response to a request on a stream, and its To.
        fn request(&mut self, flow: Flow, text: &str) -> (String, String) {
            let bytes = text.as_bytes();
            let sent = self.handle(flow.connection.shard.0, Input::Message { flow, bytes });
            let response = sent.iter().find(|text| text.starts_with("SIP/2.0"));
            let response = response.unwrap();
            let to = response.lines().find_map(|line| line.strip_prefix("To: "));
            (response[8..11].to_owned(), to.unwrap().to_owned())
        }

        /// That of a SUBSCRIBE.
        fn ask(&mut self, flow: Flow, to: &str, number: u32) -> (String, String) {
            let text = request(
                "SUBSCRIBE",
                number,
                ("sip:1@abc.com", to),
                "Event: dialog\r\nExpires: 600\r\n",
            );
            self.request(flow, &text)
        }

        /// The statuses of the responses to the requests of a peer that are served only if it is trusted.
        fn ask_for_trust(&mut self, flow: Flow, number: u32) -> [String; 4] {
            let strange = ("sip:x@strange.example", "<sip:0@abc.com>");
            let own = ("sip:0@abc.com", "<sip:0@abc.com>");
            [
                // `reg` is private to the presentity, and for trusted peers.
                ("SUBSCRIBE", strange, "Event: reg\r\nExpires: 600\r\n"),
                (
                    "SUBSCRIBE",
                    strange,
                    "P-Asserted-Identity: <sip:0@abc.com>\r\nEvent: reg\r\nExpires: 600\r\n",
                ),
                ("PUBLISH", strange, PUBLICATION),
                ("REGISTER", own, "Expires: 600\r\n"),
            ]
            .map(|(method, names, more)| {
                let text = request(method, number, names, more);
                self.request(flow, &text).0
            })
        }
    }

    const PUBLICATION: &str =
        "Event: presence\r\nExpires: 600\r\nContent-Type: application/pidf+xml\r\n";

    fn directory(domain: Domain) -> Arc<Directory> {
        let mut directory = Directory::default();
        directory.add_domain(domain, &[]).unwrap();
        for user in ["0", "1"] {
            directory.add_account(user, "abc.com", "secret").unwrap();
        }
        directory.into()
    }

    fn request(method: &str, number: u32, (from, to): (&str, &str), more: &str) -> String {
        let body = match method {
            "PUBLISH" => {
                "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:0@abc.com\">\
                 <tuple id=\"a\"><status><basic>open</basic></status></tuple></presence>"
            }
            _ => "",
        };
        format!(
            "{method} sip:0@abc.com SIP/2.0\r\n\
             Via: SIP/2.0/TLS p.invalid;branch=z9hG4bK{number}{}\r\nMax-Forwards: 70\r\n\
             From: <{from}>;tag=p\r\nTo: {to}\r\nCall-ID: c\r\n\
             CSeq: {number} {method}\r\nContact: <sip:1@p.invalid;transport=tls>\r\n\
             {more}Content-Length: {}\r\n\r\n{body}",
            more.len(),
            body.len()
        )
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
        let proving = Domain {
            accepts_certificates: true,
            ..Domain::new("abc.com")
        };
        let trusting = trusting(&["sbc.example.com"]);
        for (domain, uris, domains) in [
            (proving, &["sip:1@abc.com"][..], &[][..]),
            (trusting, &[], &["sbc.example.com"]),
        ] {
            let mut node = Node::new(domain);
            let [first, again] = [stream(0), stream(1)];
            node.certify(first, uris, domains);
            let (status, to) = node.ask(first, "<sip:0@abc.com>", 2);
            assert_eq!(status, "200");
            // The phone returns on a stream of the other shard, and the dialog is on this one.
            assert_eq!(node.ask(again, &to, 3).0, "401");
            node.certify(again, uris, domains);
            assert_eq!(node.ask(again, &to, 4).0, "200");
            // What a stream has proved ends with it.
            node.handle(1, Input::Closed(again.connection));
            assert_eq!(node.ask(again, &to, 5).0, "401");
        }
    }

    fn trusting(names: &[&str]) -> Domain {
        Domain {
            trusted_certificates: names.iter().map(|name| Arc::from(*name)).collect(),
            ..Domain::new("abc.com")
        }
    }

    #[test]
    fn a_peer_is_trusted_for_a_name_in_its_certificate_as_for_its_address() {
        let names = ["a.example", "sbc.example.com"];
        let mut by_address = trusting(&[]);
        by_address.trusted = vec!["203.0.113.0/24".parse().unwrap()];
        for (domain, domains) in [
            (by_address, &[][..]),
            (trusting(&names), &["sbc.example.com"]),
        ] {
            let mut node = Node::new(domain);
            let flow = stream(0);
            node.certify(flow, &[], domains);
            assert!(node.shards[0].trusts(&flow));
            // Nor does the limit of its address hold for it.
            for number in 2..22 {
                assert_eq!(node.ask_for_trust(flow, number), ["200"; 4], "{number}");
            }
        }
    }

    #[test]
    fn another_name_is_not_trusted() {
        let flow = stream(0);
        let refused = ["401", "401", "401", "405"];
        for (uris, domains) in [
            (&[][..], &[][..]),
            (&["sip:sbc.example.com", "sip:0@abc.com"], &["b.example"]),
            (&[], &["com", "example.com", "x.sbc.example.com"]),
        ] {
            let mut node = Node::new(trusting(&["sbc.example.com"]));
            node.certify(flow, uris, domains);
            assert!(!node.shards[0].trusts(&flow));
            assert_eq!(node.ask_for_trust(flow, 2), refused, "{domains:?}");
        }
        let closed = Domain {
            auth: AuthMode::Trusted,
            ..trusting(&["sbc.example.com"])
        };
        let mut node = Node::new(closed);
        assert_eq!(node.ask(flow, "<sip:0@abc.com>", 2).0, "403");
        let flow = stream(1);
        node.certify(flow, &[], &["sbc.example.com"]);
        assert_eq!(node.ask(flow, "<sip:0@abc.com>", 3).0, "200");
    }

    #[test]
    fn a_reload_decides_which_names_are_trusted() {
        let mut node = Node::new(trusting(&["sbc.example.com"]));
        let flow = stream(0);
        node.certify(flow, &[], &["sbc.example.com", "b.example"]);
        let (status, to) = node.ask(flow, "<sip:0@abc.com>", 2);
        assert_eq!(status, "200");
        for (number, names, expected) in [(3, &[][..], "401"), (4, &["b.example"], "200")] {
            for shard in 0..2 {
                let command = Command::Reload(directory(trusting(names)));
                node.handle(shard, Input::Command(CommandId(1), command));
            }
            assert_eq!(node.ask(flow, &to, number).0, expected, "{names:?}");
        }
    }
}
