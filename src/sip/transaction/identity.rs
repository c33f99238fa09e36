//! The identity of a server transaction, as octets that can be hashed, stored and compared (RFC
//! 3261 §17.2.3, §8.2.2.2).
//!
//! Each field is preceded by its length, so no two different requests write equal octets. Fields
//! that are compared ignoring case are written in lower case.

use crate::sip::header::{Via, list_items};
use crate::sip::{HeaderName, Message, Method, StartLine, Transport};

/// The magic cookie of a branch as required by RFC 3261 §8.1.1.7.
const BRANCH_COOKIE: &[u8] = b"z9hG4bK";

/// The matching rule with which the octets were written, so that octets of different rules never
/// match.
#[derive(Clone, Copy)]
enum Rule {
    Branch = 1,
    Rfc2543 = 2,
    Merge = 3,
}

/// Appends the identity of the request's transaction as if its method were `method` (its own, or
/// that of the request that a CANCEL cancels). Returns false, and appends nothing, if the message
/// has no Via or CSeq.
pub(super) fn write_transaction(
    out: &mut Vec<u8>,
    request: &Message<'_>,
    method: Method<'_>,
) -> bool {
    let Some(via) = request.via() else {
        return false;
    };
    match via.branch.filter(|branch| has_cookie(branch)) {
        Some(branch) => write_branch_match(out, via, branch, method),
        None => return write_rfc2543_match(out, request, method),
    }
    true
}

/// Appends the fields that are equal in all copies of a request that took different paths. Returns
/// false, and appends nothing, if the request cannot be merged: it is within a dialog, or has no From
/// or CSeq. An INVITE is never merged here, so that its ACK, which is within a dialog, finds it.
pub(super) fn write_merge(out: &mut Vec<u8>, request: &Message<'_>, method: Method<'_>) -> bool {
    let (Some(from), Some(to), Some(cseq)) = (request.from(), request.to(), request.cseq()) else {
        return false;
    };
    if to.tag().is_some() || acknowledged(method) == Method::Invite {
        return false;
    }
    out.push(Rule::Merge as u8);
    write_field(out, method.token());
    write_field(out, from.tag().unwrap_or_default());
    write_field(out, request.call_id());
    out.extend_from_slice(&cseq.number.to_be_bytes());
    true
}

/// A cookie with nothing after it is not a unique branch (RFC 4475 §3.2.1).
fn has_cookie(branch: &[u8]) -> bool {
    match branch.split_at_checked(BRANCH_COOKIE.len()) {
        Some((cookie, rest)) => cookie.eq_ignore_ascii_case(BRANCH_COOKIE) && !rest.is_empty(),
        None => false,
    }
}

fn write_branch_match(out: &mut Vec<u8>, via: &Via<'_>, branch: &[u8], method: Method<'_>) {
    out.push(Rule::Branch as u8);
    write_field(out, acknowledged(method).token());
    write_field_without_case(out, branch);
    write_field_without_case(out, via.host);
    out.extend_from_slice(
        &via.port
            .unwrap_or_else(|| default_port(via.transport))
            .to_be_bytes(),
    );
}

/// The To-tag of an ACK is that of our response and not that of its INVITE, so it is ignored for
/// these two methods.
fn write_rfc2543_match(out: &mut Vec<u8>, request: &Message<'_>, method: Method<'_>) -> bool {
    let (Some(from), Some(to), Some(cseq)) = (request.from(), request.to(), request.cseq()) else {
        return false;
    };
    let (StartLine::Request { uri, .. }, Some(vias)) =
        (request.start_line(), request.header(HeaderName::Via))
    else {
        return false;
    };
    let method = acknowledged(method);
    let to_tag = if method == Method::Invite {
        None
    } else {
        to.tag()
    };
    out.push(Rule::Rfc2543 as u8);
    write_field(out, method.token());
    write_field(out, uri);
    write_field(out, to_tag.unwrap_or_default());
    write_field(out, from.tag().unwrap_or_default());
    write_field(out, request.call_id());
    out.extend_from_slice(&cseq.number.to_be_bytes());
    write_field(out, list_items(vias).next().unwrap_or_default());
    true
}

/// An ACK belongs to the transaction of its INVITE.
fn acknowledged(method: Method<'_>) -> Method<'_> {
    if method == Method::Ack {
        Method::Invite
    } else {
        method
    }
}

/// The default port for a sent-by without one. An unknown transport counts as UDP.
fn default_port(via_transport: &[u8]) -> u16 {
    Transport::from_via_token(via_transport)
        .unwrap_or(Transport::Udp)
        .default_port()
}

fn write_field(out: &mut Vec<u8>, field: &[u8]) {
    out.extend_from_slice(&(field.len() as u32).to_be_bytes());
    out.extend_from_slice(field);
}

fn write_field_without_case(out: &mut Vec<u8>, field: &[u8]) {
    out.extend_from_slice(&(field.len() as u32).to_be_bytes());
    out.extend(field.iter().map(u8::to_ascii_lowercase));
}
