//! What name servers say about a SIP server: whatever their records are, few questions are asked, and the
//! locations are few, different, and encrypted if they have to be.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use lamplighter::dns::{LOCATIONS_MAX, LookupError, Records, Rule, Server, locate};
use lamplighter::sip::Transport;
use lamplighter::sip::location::{Family, Question};

/// A NAPTR record, the SRV records of 16 services and three more, and 16 servers' addresses.
const QUESTIONS_MAX: usize = 1 + 16 + 3 + 16;

/// Name servers that read their records from octets; at the end there are none.
struct Told<'a> {
    octets: Cell<&'a [u8]>,
    questions: Cell<usize>,
}

/// The first octet is the question, the rest what name servers say.
pub(crate) fn names(octets: &[u8]) {
    let Some((&first, said)) = octets.split_first() else {
        return;
    };
    let question = question_of(first);
    let records = Told {
        octets: Cell::new(said),
        questions: Cell::new(0),
    };
    let draw = |most: u32| u32::from(records.octet()) % most.saturating_add(1);
    let search = pin!(locate(&question, &records, &draw));
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(found) = search.poll(&mut context) else {
        panic!("these name servers answer at once");
    };
    assert!(records.questions.get() <= QUESTIONS_MAX);
    let Ok(locations) = found else {
        return;
    };
    assert!((1..=LOCATIONS_MAX).contains(&locations.len()));
    for (at, location) in locations.iter().enumerate() {
        assert!(!locations[..at].contains(location), "{location:?} twice");
        assert!(location.address.port() > 0);
        assert!(!question.is_secure || location.transport.is_secure());
        let family = Family::of(&location.address);
        assert!(question.family == Family::Both || question.family == family);
        if let Some(transport) = question.transport {
            let is_upgraded = question.is_secure && location.transport == Transport::Tls;
            assert!(is_upgraded || location.transport == transport);
        }
    }
}

fn question_of(octet: u8) -> Question {
    let is_secure = octet & 1 > 0;
    let transports = [None, Some(Transport::Tcp), Some(Transport::Tls), None];
    let mut transport = transports[usize::from(octet >> 1 & 3)];
    if transport.is_none() && octet & 8 > 0 && !is_secure {
        transport = Some(Transport::Udp);
    }
    Question {
        host: "pbx.example.com".into(),
        port: (octet & 16 > 0).then_some(5070),
        transport,
        is_secure,
        family: [Family::V4, Family::V6, Family::Both, Family::Both][usize::from(octet >> 5 & 3)],
    }
}

impl Told<'_> {
    fn octet(&self) -> u8 {
        let (first, rest) = self.octets.get().split_first().unwrap_or((&0, &[]));
        self.octets.set(rest);
        *first
    }

    /// How many records an answer has; 255 is none, as no name server answers.
    fn count(&self) -> Result<u8, LookupError> {
        self.questions.set(self.questions.get() + 1);
        match self.octet() {
            255 => Err(LookupError::Unanswered),
            count => Ok(count),
        }
    }

    fn number(&self) -> u16 {
        u16::from_be_bytes([self.octet(), self.octet()])
    }
}

impl Records for Told<'_> {
    async fn rules(&self, _: &str) -> Result<Vec<Rule>, LookupError> {
        let rule = |_| {
            let kind = self.octet();
            let services = ["SIP+D2U", "sip+d2t", "SIPS+D2T", "SIP+D2S"];
            Rule {
                order: self.number(),
                preference: u16::from(self.octet()),
                flags: if kind & 4 > 0 { "s" } else { "u" }.to_owned(),
                service: services[usize::from(kind & 3)].to_owned(),
                replacement: format!("{kind}.example.com"),
            }
        };
        Ok((0..self.count()?).map(rule).collect())
    }

    async fn servers(&self, _: &str) -> Result<Vec<Server>, LookupError> {
        let server = |_| {
            let host = self.octet();
            Server {
                priority: u16::from(self.octet() % 4),
                weight: self.number(),
                port: self.number(),
                host: match host {
                    0 => String::new(),
                    host => format!("{host}.example.com"),
                },
            }
        };
        Ok((0..self.count()?).map(server).collect())
    }

    async fn addresses(&self, _: &str, family: Family) -> Result<Vec<IpAddr>, LookupError> {
        let address = |_| {
            let number = self.octet();
            match family.has_v6() && (number & 1 > 0 || !family.has_v4()) {
                true => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number.into())),
                false => IpAddr::V4(Ipv4Addr::new(192, 0, 2, number)),
            }
        };
        Ok((0..self.count()?).map(address).collect())
    }
}
