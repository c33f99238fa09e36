//! The target of a trace, and which messages concern it.
//!
//! A person: requests and responses that name it in Request-URI, From, To or Contact, so its own
//! subscriptions, those of others to it, and PUBLISH and REGISTER for it; and single messages whose body has
//! its state or names it in a list. A compressed body is not searched.
//!
//! A phone: all messages from and to its address, and those that a proxy forwards, if Via, Contact or the
//! Request-URI has the address.

use std::net::{IpAddr, SocketAddr};

use memchr::memmem;

use crate::presence::Aor;
use crate::sip::header::{NameAddr, Via, list_items};
use crate::sip::message::StartLine;
use crate::sip::uri::{host_ip, write_escaped_user};
use crate::sip::{HeaderName, Message, Uri};

/// The port of an address that names none (RFC 3261 §19.1.2).
const PORT_DEFAULT: u16 = 5060;
/// What is written before the address of a body's entity, or of a resource in a list.
const BEFORE_ADDRESS: [&[u8]; 5] = [
    b"entity=\"sip:",
    b"entity=\"sips:",
    b"entity=\"pres:",
    b"<resource uri=\"sip:",
    b"<entry uri=\"sip:",
];

/// The target of a trace.
#[derive(Debug)]
pub enum Target {
    /// A person.
    Person(Person),
    /// A phone.
    Phone(Phone),
}

/// An address of record, by all names of its domain.
#[derive(Debug)]
pub struct Person {
    aor: Aor,
    /// The name and the aliases of its domain.
    domains: Vec<String>,
    /// How a body writes the address, up to the closing quote, by each name of the domain.
    in_bodies: Vec<memmem::Finder<'static>>,
}

/// An address of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phone {
    /// The IP address.
    pub ip: IpAddr,
    /// The port; None for all ports.
    pub port: Option<u16>,
}

/// What a message has to do with the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// Nothing.
    None,
    /// It and its responses concern the target, but not the rest of its dialog.
    Transaction,
    /// The dialog is the target's.
    Dialog,
}

impl Person {
    /// An address of record; `aliases` are further names of its domain.
    #[must_use]
    pub fn new(aor: Aor, aliases: &[String]) -> Self {
        let mut domains = vec![aor.domain().to_ascii_lowercase()];
        domains.extend(aliases.iter().map(|alias| alias.to_ascii_lowercase()));
        let mut user = String::new();
        write_escaped_user(aor.user(), &mut user);
        let needle = |domain: &String| {
            let text = format!("{user}@{domain}\"");
            memmem::Finder::new(text.as_bytes()).into_owned()
        };
        Self {
            in_bodies: domains.iter().map(needle).collect(),
            aor,
            domains,
        }
    }

    /// Whether it is this address of record.
    #[must_use]
    pub fn is(&self, aor: &Aor) -> bool {
        self.aor == *aor
    }

    fn is_named_by(&self, uri: &[u8]) -> bool {
        let Ok(uri) = Uri::parse(uri) else {
            return false;
        };
        let is_domain = |domain: &String| uri.host.eq_ignore_ascii_case(domain.as_bytes());
        self.domains.iter().any(is_domain) && uri.user.is_some_and(|user| self.is_user(user, uri))
    }

    fn is_user(&self, user: &[u8], uri: Uri<'_>) -> bool {
        if !user.contains(&b'%') {
            return user == self.aor.user().as_bytes();
        }
        let mut unescaped = String::new();
        uri.write_user(&mut unescaped) && unescaped == self.aor.user()
    }

    fn is_in(&self, body: &[u8]) -> bool {
        self.in_bodies.iter().any(|needle| {
            let mut found = needle.find_iter(body);
            found.any(|at| BEFORE_ADDRESS.iter().any(|text| body[..at].ends_with(text)))
        })
    }

    fn relation(&self, message: &Message<'_>) -> Relation {
        let ends = [
            request_uri(message),
            message.from().map(|from| from.uri),
            message.to().map(|to| to.uri),
        ];
        let mut named = ends.into_iter().flatten();
        if named.any(|uri| self.is_named_by(uri)) || contacts(message, |uri| self.is_named_by(uri))
        {
            Relation::Dialog
        } else if self.is_in(message.body()) {
            Relation::Transaction
        } else {
            Relation::None
        }
    }
}

impl Phone {
    fn is(self, ip: IpAddr, port: u16) -> bool {
        ip.to_canonical() == self.ip && self.port.is_none_or(|own| own == port)
    }

    fn is_named_by(self, uri: &[u8]) -> bool {
        let uri = Uri::parse(uri).ok();
        let address = uri.and_then(|uri| Some((uri.ip()?, uri.port.unwrap_or(PORT_DEFAULT))));
        address.is_some_and(|(ip, port)| self.is(ip, port))
    }

    fn is_via(self, via: &Via<'_>) -> bool {
        let received = via.parameters.get("received");
        let port = via.parameters.get("rport");
        let port = port.and_then(|port| std::str::from_utf8(port).ok()?.parse().ok());
        let port = port.or(via.port).unwrap_or(PORT_DEFAULT);
        let hosts = [Some(via.host), received];
        let mut addresses = hosts.into_iter().flatten().filter_map(host_ip);
        addresses.any(|ip| self.is(ip, port))
    }

    fn relation(self, message: &Message<'_>) -> Relation {
        let vias = message.headers(HeaderName::Via).flat_map(list_items);
        let is_forwarded = vias.filter_map(Via::parse).any(|via| self.is_via(&via));
        let is_named = request_uri(message).is_some_and(|uri| self.is_named_by(uri));
        if is_forwarded || is_named || contacts(message, |uri| self.is_named_by(uri)) {
            Relation::Dialog
        } else {
            Relation::None
        }
    }
}

impl Target {
    /// The person.
    #[must_use]
    pub fn aor(&self) -> Option<&Aor> {
        match self {
            Self::Person(person) => Some(&person.aor),
            Self::Phone(_) => None,
        }
    }

    /// Whether all messages from and to a peer concern the target, also those that cannot be parsed.
    pub(super) fn is_peer(&self, peer: SocketAddr) -> bool {
        match self {
            Self::Person(_) => false,
            Self::Phone(phone) => phone.is(peer.ip(), peer.port()),
        }
    }

    /// A text that is in every message that names the target without escapes; None if the target can be
    /// written in several ways.
    pub(super) fn needle(&self) -> Option<memmem::Finder<'static>> {
        let text = match self {
            Self::Person(person) => format!(":{}", person.aor.user()),
            Self::Phone(phone) if phone.ip.is_ipv4() => phone.ip.to_string(),
            Self::Phone(_) => return None,
        };
        Some(memmem::Finder::new(text.as_bytes()).into_owned())
    }

    /// What a message has to do with the target.
    pub(super) fn relation(&self, message: &Message<'_>) -> Relation {
        match self {
            Self::Person(person) => person.relation(message),
            Self::Phone(phone) => phone.relation(message),
        }
    }
}

fn request_uri<'m>(message: &Message<'m>) -> Option<&'m [u8]> {
    match message.start_line() {
        StartLine::Request { uri, .. } => Some(uri),
        StartLine::Response { .. } => None,
    }
}

/// Whether the URI of any Contact is as wanted.
fn contacts(message: &Message<'_>, is_wanted: impl Fn(&[u8]) -> bool) -> bool {
    let contacts = message.headers(HeaderName::Contact).flat_map(list_items);
    let mut contacts = contacts.filter_map(NameAddr::parse);
    contacts.any(|contact| is_wanted(contact.uri))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::sip::message::Framing;

    /// What a message has to do with the target. `lines` are its start line, From, To, Contact.
    fn relation(target: &Target, lines: [&str; 4], body: &str) -> Relation {
        let [start, from, to, contact] = lines;
        let text = format!(
            "{start}\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1, SIP/2.0/UDP h;received=10.0.0.9;rport=5070;branch=z9hG4bK2\r\n\
             From: {from};tag=1\r\nTo: {to}\r\nContact: {contact}\r\nCall-ID: 1\r\nCSeq: 1 SUBSCRIBE\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let message = Message::parse(text.as_bytes(), Framing::Datagram).unwrap();
        assert_eq!(message.fault(), None, "{text}");
        let relation = target.relation(&message);
        let is_found = |needle: memmem::Finder<'_>| needle.find(text.as_bytes()).is_some();
        let may_concern = target.needle().is_none_or(is_found) || text.contains('%');
        assert!(may_concern || relation == Relation::None, "{text}");
        relation
    }

    fn person(aor: &str) -> Target {
        let aor = Aor::from_key(aor).unwrap();
        Target::Person(Person::new(aor, &["voice.abc.com".to_owned()]))
    }

    const OTHERS: [&str; 4] = [
        "SUBSCRIBE sip:1@abc.com SIP/2.0",
        "<sip:2@abc.com>",
        "<sip:1@abc.com>",
        "<sip:2@10.0.0.8>",
    ];

    #[test]
    fn a_person_is_met_at_either_end_of_a_dialog() {
        let target = person("123@abc.com");
        assert_eq!(relation(&target, OTHERS, ""), Relation::None);
        let named = [
            (0, "SUBSCRIBE sip:123@ABC.com;user=phone SIP/2.0"),
            (0, "SUBSCRIBE sip:%3123@voice.abc.com SIP/2.0"),
            (1, "\"A\" <sips:123@abc.com:5061>"),
            (2, "sip:123@abc.com"),
            (3, "<sip:7@10.0.0.9>, <sip:123@abc.com>"),
        ];
        for (place, text) in named {
            let mut lines = OTHERS;
            lines[place] = text;
            assert_eq!(relation(&target, lines, ""), Relation::Dialog, "{text}");
        }
        for (place, text) in [
            (0, "SUBSCRIBE sip:1234@abc.com SIP/2.0"),
            (1, "\"123@abc.com\" <sip:5@abc.com>"),
            (2, "<sip:123@xyz.com>"),
            (3, "<sip:123@10.0.0.9>"),
        ] {
            let mut lines = OTHERS;
            lines[place] = text;
            assert_eq!(relation(&target, lines, ""), Relation::None, "{text}");
        }
    }

    #[test]
    fn a_member_of_a_list_is_met_in_single_messages() {
        let target = person("123@abc.com");
        for body in [
            "<dialog-info entity=\"sip:123@abc.com\">",
            "<resource uri=\"sip:123@voice.abc.com\"/>",
        ] {
            assert_eq!(relation(&target, OTHERS, body), Relation::Transaction);
        }
        for body in [
            "<target uri=\"sip:123@abc.com\"/>",
            "entity=\"sip:9123@abc.com\"",
            "entity=\"sip:123@abc.com.example\"",
        ] {
            assert_eq!(relation(&target, OTHERS, body), Relation::None, "{body}");
        }
    }

    #[test]
    fn a_phone_is_met_behind_a_proxy() {
        let phone = |ip: &str, port| {
            Target::Phone(Phone {
                ip: ip.parse().unwrap(),
                port,
            })
        };
        let met = |target: &Target| relation(target, OTHERS, "") == Relation::Dialog;
        assert!(met(&phone("10.0.0.9", None)) && met(&phone("10.0.0.9", Some(5070))));
        assert!(!met(&phone("10.0.0.9", Some(5060))), "another port");
        assert!(met(&phone("10.0.0.8", Some(5060))), "by its Contact");
        assert!(met(&phone("10.0.0.1", None)), "the proxy itself");
        assert!(!met(&phone("10.0.0.7", None)));
        let peer = "[::ffff:10.0.0.7]:5060".parse().unwrap();
        assert!(phone("10.0.0.7", None).is_peer(peer));
        assert!(!phone("10.0.0.7", Some(9)).is_peer(peer));
    }
}
