//! The content of one request, read and checked without any state of the engine.
//!
//! - `target`: the presentity or server that the Request-URI names; `uris`: the URIs that responses and NOTIFYs copy.
//! - `headers`: one function per header; `privacy`: what is to be hidden; `publication`, `contacts`: the whole of PUBLISH and
//!   REGISTER.
//! - `sender`, `publisher`: who sent it; `phone_key`: from which phone.
//! - `refusal`: why it is refused.
//!
//! `response_flow` returns the flow on which its response is sent, `covered_octets` how long that may be.
//!
//! Guarantee: changes nothing and sends nothing.

pub(crate) mod contacts;
pub(crate) mod headers;
pub(crate) mod phone_key;
pub(crate) mod privacy;
pub(crate) mod publication;
pub(crate) mod publisher;
pub(crate) mod refusal;
pub(crate) mod sender;
pub(crate) mod target;
pub(crate) mod uris;

use std::net::IpAddr;
use std::time::Instant;

use crate::shard::contract::flow::{Arrived, Flow};
use crate::sip::dialog::Contact;
use crate::sip::header::Via;
use crate::sip::transaction::server::TransactionKey;
use crate::sip::uri::host_ip;
use crate::sip::{Fault, Message};

/// A request that passed the message checks, with the flow it arrived on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) message: &'a Message<'a>,
    pub(crate) flow: Flow,
    /// When it arrived.
    pub(crate) arrived_at: Instant,
    /// The server transaction that waits for the response; None if the response is not stored.
    pub(crate) transaction: Option<TransactionKey>,
    /// Its Contact.
    pub(crate) contact: Result<Contact<'a>, Fault>,
    /// The key of the phone that sent it. None in a dialog, which knows its phone, and in a request
    /// without Contact.
    pub(crate) phone_key: Option<u64>,
    /// That phone has a subscription here.
    pub(crate) is_known: bool,
}

impl<'a> Request<'a> {
    /// A request, with its Contact read.
    pub(crate) fn new(
        message: &'a Message<'a>,
        arrived: Arrived,
        transaction: Option<TransactionKey>,
    ) -> Self {
        Self {
            message,
            flow: arrived.flow,
            arrived_at: arrived.at,
            transaction,
            contact: Contact::of(message),
            phone_key: None,
            is_known: false,
        }
    }

    /// How and when it arrived.
    pub(crate) fn arrived(&self) -> Arrived {
        Arrived {
            flow: self.flow,
            at: self.arrived_at,
        }
    }

    /// The flow of its response.
    pub(crate) fn response_flow(&self) -> Flow {
        response_flow(self.message, self.flow)
    }
}

/// The most octets of the response over UDP to a request whose source address may be forged: half as
/// many again as the request has (W:E3.8).
pub(crate) fn covered_octets(request: &Message<'_>) -> usize {
    request.bytes().len() * 3 / 2
}

/// The flow of the response to a request (RFC 3261 §18.2.2, RFC 3581 §4). On a stream: that stream. On
/// UDP: the source address, with the source port if Via has `rport`, else with the port of the Via
/// sent-by. `maddr` is ignored, because it would direct responses to a third party.
pub(crate) fn response_flow(request: &Message<'_>, mut flow: Flow) -> Flow {
    let is_symmetric = |via: &Via<'_>| via.has_rport() || is_hidden_by_nat(via, flow.peer.ip());
    if let Some(via) = request.via()
        && !flow.transport.is_reliable()
        && !is_symmetric(via)
    {
        let port = via.port.filter(|port| *port != 0);
        let default = flow.transport.default_port();
        flow.peer.set_port(port.unwrap_or(default));
    }
    flow
}

/// Whether the sender is behind a NAT: its Via sent-by is a private or shared address other than
/// the source. Its port has no meaning outside the NAT; only the source port leads back to the
/// phone.
fn is_hidden_by_nat(via: &Via<'_>, source: IpAddr) -> bool {
    let is_internal = |address: IpAddr| match address {
        IpAddr::V4(ip) => {
            let is_shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
            ip.is_private() || ip.is_link_local() || ip.is_unspecified() || is_shared
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_unspecified(),
    };
    host_ip(via.host).is_some_and(|sent_by| sent_by != source && is_internal(sent_by))
}
