//! The identity of a publisher: by it, the initial PUBLISH of a phone that restarted replaces the
//! publication that the phone left behind (W:B1.12).
//!
//! Two PUBLISHes for one presentity come from one publisher if their user is equal (the
//! authenticated account, else the URI in From) and their device is equal. The device is the first
//! row of the table that applies:
//!
//! | the PUBLISH has                 | the device                                                |
//! |---------------------------------|-----------------------------------------------------------|
//! | the account of a feeder         | host of the bottom Via's sent-by, and the place           |
//! | a Contact with `+sip.instance`  | the instance (RFC 5626 §4.1), wherever it is              |
//! | another Contact                 | its URI with all parameters, and the place                |
//! | no Contact                      | sent-by (host and port) of the bottom Via, and the place  |
//!
//! The place is the source address without its port, and `received` of the bottom Via if the
//! request came through proxies, because many homes use the same private addresses.
//!
//! Not used are Call-ID and From tag, which are new after each restart; User-Agent, which is equal
//! on all phones of a model; and the source port, which is new on each connection. Behind an SBC
//! they are as equal for two phones as for one.
//!
//! If the devices differ, both publications stand (RFC 3903 §4). That is the lesser error: the
//! publication that a restarted phone left behind expires, but a publication of another phone that
//! was replaced would be lost.

use std::net::IpAddr;

use crate::presence::fixed_hash::SipHash13;
use crate::shard::request::sender::Principal;
use crate::sip::header::{NameAddr, Via, list_items};
use crate::sip::{HeaderName, Message};

/// What distinguishes one device or exchange from another.
enum Device<'m> {
    Host(&'m [u8], Origin<'m>),
    Instance(&'m [u8]),
    Contact(&'m [u8], Origin<'m>),
    SentBy(&'m [u8], Option<u16>, Origin<'m>),
}

/// The source address, and `received` of the bottom Via.
type Origin<'m> = (IpAddr, Option<&'m [u8]>);

/// A hash that is equal for two PUBLISHes of one publisher (see the table above).
pub(crate) fn publisher_of(
    message: &Message<'_>,
    source: IpAddr,
    principal: &Principal,
    is_feeder: bool,
) -> u64 {
    let mut hash = SipHash13::new();
    let has_feeder_account = match principal {
        Principal::User(user) => {
            hash.number(0);
            hash.field(user.as_bytes());
            is_feeder
        }
        // A trusted peer may be an SBC with many phones behind it.
        Principal::Unauthenticated => {
            hash.number(1);
            hash.field(message.from().map(|from| from.uri).unwrap_or_default());
            false
        }
    };
    device_of(message, source, has_feeder_account).hash(&mut hash);
    hash.finish()
}

impl Device<'_> {
    /// Adds the device to a hash. The numbers never change: a publication that outlives this
    /// process must match its publisher again.
    fn hash(&self, hash: &mut SipHash13) {
        match self {
            Self::Host(host, place) => {
                hash.number(0);
                hash.field(host);
                hash_place(place, hash);
            }
            Self::Instance(instance) => {
                hash.number(1);
                hash.field(instance);
            }
            Self::Contact(uri, place) => {
                hash.number(2);
                hash.field(uri);
                hash_place(place, hash);
            }
            Self::SentBy(host, port, place) => {
                hash.number(3);
                hash.field(host);
                hash.number(port.map_or(u64::MAX, u64::from));
                hash_place(place, hash);
            }
        }
    }
}

fn hash_place((source, received): &Origin<'_>, hash: &mut SipHash13) {
    match source {
        IpAddr::V4(address) => hash.field(&address.octets()),
        IpAddr::V6(address) => hash.field(&address.octets()),
    }
    hash.field(received.unwrap_or_default());
}

fn device_of<'m>(message: &Message<'m>, source: IpAddr, has_feeder_account: bool) -> Device<'m> {
    let (via, is_relayed) = bottom_via(message);
    let received = via.filter(|_| is_relayed);
    let received = received.and_then(|via| via.parameters.get("received"));
    let place = (source, received);
    if has_feeder_account {
        return Device::Host(via.map(|via| via.host).unwrap_or_default(), place);
    }
    let contact = message.headers(HeaderName::Contact).flat_map(list_items);
    let contact = contact.filter_map(NameAddr::parse).next();
    match contact {
        Some(contact) => match contact.parameters.get("+sip.instance") {
            Some(instance) => Device::Instance(instance),
            None => Device::Contact(contact.uri, place),
        },
        None => {
            let sent_by = via.map(|via| (via.host, via.port));
            let (host, port) = sent_by.unwrap_or_default();
            Device::SentBy(host, port, place)
        }
    }
}

/// The Via of the original sender, and whether proxies added more above it.
fn bottom_via<'m>(message: &Message<'m>) -> (Option<Via<'m>>, bool) {
    if let Some(via) = message.lone_via() {
        return (Some(*via), false);
    }
    let vias = message.headers(HeaderName::Via).flat_map(list_items);
    let (entries, bottom) = vias.fold((0, None), |(count, _), via| (count + 1, Some(via)));
    (bottom.and_then(Via::parse), entries > 1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::sip::message::Framing;

    const SBC: &str = "10.0.0.5";

    /// One PUBLISH, as a line of facts: `from=`, `via=` (several with a bar between), `contact=`,
    /// `source=`, `account=`, `feeder`, and what does not matter.
    fn publisher(facts: &str) -> u64 {
        let fact = |name: &str| {
            let mut facts = facts.split_whitespace();
            facts.find_map(|fact| fact.strip_prefix(name)?.strip_prefix('='))
        };
        let mut text = String::from("PUBLISH sip:1@abc.com SIP/2.0\r\n");
        for via in fact("via").unwrap_or("10.0.0.9:5060").split('|') {
            text += &format!("Via: SIP/2.0/UDP {via};branch=z9hG4bK-{}\r\n", facts.len());
        }
        text += &format!(
            "From: <{}>;tag={}\r\nTo: <sip:1@abc.com>\r\nCall-ID: {}\r\nCSeq: 1 PUBLISH\r\n",
            fact("from").unwrap_or("sip:1@abc.com"),
            fact("tag").unwrap_or("t"),
            fact("call").unwrap_or("c"),
        );
        if let Some(contact) = fact("contact") {
            text += &format!("Contact: {contact}\r\n");
        }
        text += &format!("User-Agent: {}\r\n", fact("agent").unwrap_or("Yealink"));
        text += "Event: dialog\r\nContent-Length: 0\r\n\r\n";
        let message = Message::parse(text.as_bytes(), Framing::Datagram).unwrap();
        let source = fact("source").unwrap_or(SBC).parse().unwrap();
        let principal = match fact("account") {
            Some(account) => Principal::User(account.into()),
            None => Principal::Unauthenticated,
        };
        publisher_of(&message, source, &principal, facts.contains("feeder"))
    }

    #[test]
    fn requests_that_belong_to_one_publisher() {
        const A: &str = "<sip:1@192.168.1.10:5060>";
        const B: &str = "<sip:1@192.168.1.11:5060>";
        let instance = |name: &str, host: &str| {
            format!("<sip:1@{host}>;+sip.instance=\"<urn:uuid:{name}>\";expires=60")
        };
        let (x, x_moved, y) = (
            instance("x", "h1"),
            instance("x", "h2"),
            instance("y", "h1"),
        );
        let table = [
            // Values that are new at each start, or shared by all phones of a model, identify no publisher.
            (true, "tag=1 call=1", "tag=2 call=2"),
            (true, "agent=Yealink", "agent=Snom"),
            (
                true,
                &*format!("contact={A} tag=1"),
                &*format!("contact={A} call=2"),
            ),
            // Another user.
            (false, "from=sip:1@abc.com", "from=sip:2@abc.com"),
            (false, "account=1", "account=pbx"),
            (false, "account=1", ""),
            (
                true,
                "account=pbx from=sip:1@abc.com",
                "account=pbx from=sip:2@abc.com",
            ),
            // A feeder's account is one exchange in one place, whatever else it sends.
            (
                true,
                "account=pbx feeder via=10.0.0.9:5060",
                "account=pbx feeder via=10.0.0.9:40001",
            ),
            (
                true,
                "account=pbx feeder contact=<sip:1@h:1>",
                "account=pbx feeder contact=<sip:1@h:2>",
            ),
            (
                false,
                "account=pbx feeder via=10.0.0.8",
                "account=pbx feeder via=10.0.0.9",
            ),
            (
                false,
                "account=pbx feeder",
                "account=pbx feeder source=10.0.0.6",
            ),
            (false, "account=pbx feeder", "account=pbx2 feeder"),
            // A trusted peer is no account: phones may be behind it.
            (
                false,
                "feeder via=10.0.0.9:5060",
                "feeder via=10.0.0.9:40001",
            ),
            // An instance, wherever it is.
            (
                true,
                &*format!("contact={x}"),
                &*format!("contact={x_moved}"),
            ),
            (
                true,
                &*format!("contact={x}"),
                &*format!("contact={x} source=10.0.0.6 via=h3"),
            ),
            (false, &*format!("contact={x}"), &*format!("contact={y}")),
            (false, &*format!("contact={x}"), "contact=<sip:1@h1>"),
            (
                false,
                &*format!("account=1 contact={x}"),
                &*format!("account=2 contact={x}"),
            ),
            // A Contact: two phones behind one SBC, which is all that Via shows.
            (
                false,
                &*format!("contact={A} via={SBC}"),
                &*format!("contact={B} via={SBC}"),
            ),
            (
                true,
                &*format!("contact={A} via=h1:1"),
                &*format!("contact={A} via=h1:2"),
            ),
            (
                false,
                "contact=<sip:1@sbc;token=1>",
                "contact=<sip:1@sbc;token=2>",
            ),
            (
                false,
                &*format!("contact={A}"),
                &*format!("contact={A} source=10.0.0.6"),
            ),
            (false, &*format!("contact={A}"), ""),
            // The same private address in two homes, behind one proxy.
            (
                false,
                &*format!("contact={A} via={SBC}|192.168.1.10;received=192.0.2.1"),
                &*format!("contact={A} via={SBC}|192.168.1.10;received=192.0.2.2"),
            ),
            // No Contact, as Kamailio's: who sent it first.
            (true, "via=10.0.0.9:5060", "via=10.0.0.9:5060 call=2"),
            (false, "via=10.0.0.9:5060", "via=10.0.0.8:5060"),
            (false, "via=10.0.0.9:5060", "via=10.0.0.9:5062"),
            (true, "via=10.0.0.5:1|10.0.0.9", "via=10.0.0.5:2|10.0.0.9"),
            (false, "via=10.0.0.5|10.0.0.9", "via=10.0.0.5|10.0.0.8"),
            (false, "via=10.0.0.9", "via=10.0.0.9 source=10.0.0.6"),
        ];
        for (is_same, one, other) in table {
            let are_equal = publisher(one) == publisher(other);
            assert_eq!(are_equal, is_same, "{one:?} and {other:?}");
        }
    }
}
