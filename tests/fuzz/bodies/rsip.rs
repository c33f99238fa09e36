//! Another library reads the request too. Where it reads something else in what the engine goes by,
//! either it is an explained difference or a fault of one of us.
//!
//! # Explained differences
//! Not compared is what `rsip` is known to read otherwise, or not to read:
//! - a message with a folded line or bare LF (RFC 3261 §7.3.1), or with a header whose name has other
//!   characters than letters, digits and `-`: it takes the value as it stands, or the rest for the body;
//! - a message with control characters or octets beyond ASCII in its head: it ends a token there, and we
//!   keep the value as it is;
//! - parameters with white space, without a value behind `=`, or with other characters than letters,
//!   digits, `-`, `.` and `_`, of which a token may have some (§25.1): it ends a name or a value at one;
//! - a value with a quoted string or an escape (§25.1): it looks for `;`, `,` and `<` inside of it;
//! - a Via list in one line (§7.3.1), or one with white space inside: it reads the whole line as one;
//! - an address without angle brackets (§20.10): it gives its parameters to the URI;
//! - a URI with a user of more than letters, digits, `-` and `_` (§19.1.2): it ends the user at a
//!   `.`, and reads what follows as the host; one with headers, which it takes for a part of the
//!   host; and one with an IPv6 address.

use std::convert::TryFrom;

use lamplighter::sip::header::NameAddr;
use lamplighter::sip::message::Framing;
use lamplighter::sip::uri::Scheme;
use lamplighter::sip::{HeaderName, Message, Method, StartLine, Uri};
use rsip::headers::{Header, ToTypedHeader, UntypedHeader};
use rsip::message::{HasHeaders, HeadersExt};

pub(crate) fn rsip(octets: &[u8]) {
    let Some(ours) = ours(octets) else { return };
    let Ok(theirs) = rsip::Request::try_from(ours.bytes()) else {
        return;
    };
    assert_eq!(theirs.method.to_string(), upper(ours.method()), "method");
    let Ok(call_id) = theirs.call_id_header() else {
        return;
    };
    assert_eq!(call_id.value().trim().as_bytes(), ours.call_id(), "Call-ID");
    compare_cseq(&ours, &theirs);
    compare_via(&ours, &theirs);
    compare_addresses(&ours, &theirs);
    compare_contact(&ours, &theirs);
    compare_rest(&ours, &theirs);
}

/// The request, if it has no fault and nothing that is explained for the whole of a message.
fn ours(octets: &[u8]) -> Option<Message<'_>> {
    let message = Message::parse(octets, Framing::Datagram).ok()?;
    let StartLine::Request { .. } = message.start_line() else {
        return None;
    };
    let body = message.bytes().len() - message.body().len();
    let head = std::str::from_utf8(message.bytes().get(..body)?).ok()?;
    let is_plain_line = |line: &str| {
        let name = line.split(':').next().unwrap_or_default().trim_end();
        let is_allowed = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-';
        line.ends_with("\r\n") && name.bytes().all(is_allowed)
    };
    let is_printed = |octet: u8| matches!(octet, b' '..=b'~' | b'\r' | b'\n');
    let is_plain = head.bytes().all(is_printed)
        && head.split_inclusive('\n').skip(1).all(is_plain_line)
        && !head.contains(['"', '\\']);
    let has_compact = message
        .all_headers()
        .any(|(_, spelling, _)| spelling.len() == 1);
    (message.fault().is_none() && is_plain && !has_compact).then_some(message)
}

fn compare_cseq(ours: &Message<'_>, theirs: &rsip::Request) {
    let Ok(theirs) = theirs.cseq_header().expect("we found a CSeq").typed() else {
        return;
    };
    let ours = ours.cseq().expect("no fault");
    assert_eq!(theirs.seq, ours.number, "CSeq");
    assert_eq!(theirs.method.to_string(), upper(ours.method), "CSeq");
}

fn upper(method: Method<'_>) -> String {
    String::from_utf8_lossy(method.token()).to_ascii_uppercase()
}

fn compare_via(ours: &Message<'_>, theirs: &rsip::Request) {
    let first = ours.header(HeaderName::Via).expect("no fault");
    let parameters = ours.via().expect("no fault").parameters.0;
    let blanks = first.iter().filter(|octet| **octet == b' ').count();
    let is_plain = blanks == 1 && !first.contains(&b',') && !first.contains(&b'[');
    if !is_plain || !is_simple(parameters) {
        return;
    }
    let Ok(theirs) = theirs.via_header().expect("we found a Via").typed() else {
        return;
    };
    let ours = ours.via().expect("no fault");
    assert_eq!(
        theirs.uri.host().to_string().as_bytes(),
        ours.host,
        "host in Via"
    );
    let port = theirs.uri.port().map(|port| *port.value());
    assert_eq!(port, ours.port, "port in Via");
    let branch = theirs.branch().map(|branch| branch.value().as_bytes());
    assert_eq!(branch, ours.branch, "branch");
}

/// Whether parameters are words, each with one word as a value or none.
fn is_simple(parameters: &[u8]) -> bool {
    let is_allowed = |octet: &u8| octet.is_ascii_alphanumeric() || b"-._".contains(octet);
    let is_word = |word: &[u8]| !word.is_empty() && word.iter().all(is_allowed);
    let is_simple = |parameter: &[u8]| parameter.splitn(2, |octet| *octet == b'=').all(is_word);
    let parameters = parameters.strip_prefix(b";").unwrap_or(parameters);
    parameters.is_empty() || parameters.split(|octet| *octet == b';').all(is_simple)
}

fn compare_addresses(ours: &Message<'_>, theirs: &rsip::Request) {
    if let Ok(theirs) = theirs.from_header().expect("we found a From").typed() {
        let tag = theirs.tag().map(|tag| tag.value().as_bytes());
        compare_address("From", ours.from().expect("no fault"), &theirs.uri, tag);
    }
    if let Ok(theirs) = theirs.to_header().expect("we found a To").typed() {
        let tag = theirs.tag().map(|tag| tag.value().as_bytes());
        compare_address("To", ours.to().expect("no fault"), &theirs.uri, tag);
    }
}

fn compare_contact(ours: &Message<'_>, theirs: &rsip::Request) {
    let first = ours.header(HeaderName::Contact).unwrap_or_default();
    let ours = NameAddr::parse(first).filter(|_| first.starts_with(b"<") && !first.contains(&b','));
    let theirs = theirs
        .contact_header()
        .ok()
        .and_then(|contact| contact.typed().ok());
    if let (Some(ours), Some(theirs)) = (ours, theirs) {
        compare_uri("Contact", ours.uri, &theirs.uri);
    }
}

fn compare_address(name: &str, ours: &NameAddr<'_>, theirs: &rsip::Uri, tag: Option<&[u8]>) {
    if is_simple(ours.parameters.0) {
        assert_eq!(tag, ours.tag(), "tag in {name}");
    }
    compare_uri(name, ours.uri, theirs);
}

/// User, host and port of a SIP URI.
fn compare_uri(name: &str, ours: &[u8], theirs: &rsip::Uri) {
    let text = String::from_utf8_lossy(ours);
    let Ok(uri) = Uri::parse(ours) else { return };
    let is_plain = |octet: &u8| octet.is_ascii_alphanumeric() || *octet == b'-' || *octet == b'_';
    let has_plain_user = uri.user.is_some_and(|user| user.iter().all(is_plain));
    let has_plain_host = uri
        .host
        .iter()
        .all(|octet| *octet == b'.' || is_plain(octet));
    if uri.scheme == Scheme::Other || !uri.headers.is_empty() || !has_plain_user || !has_plain_host
    {
        return;
    }
    assert_eq!(
        theirs.user().map(str::as_bytes),
        uri.user,
        "user in {name}: {text}"
    );
    let host = theirs.host().to_string();
    assert!(
        host.as_bytes().eq_ignore_ascii_case(uri.host),
        "host in {name}: {text}, {host}"
    );
    assert_eq!(
        theirs.port().map(|port| *port.value()),
        uri.port,
        "port in {name}: {text}"
    );
}

fn compare_rest(ours: &Message<'_>, theirs: &rsip::Request) {
    if let Some(expires) = theirs.expires_header() {
        let value = ours.header(HeaderName::Expires).unwrap_or_default();
        assert_eq!(expires.value().trim().as_bytes(), value, "Expires");
    }
    let event = theirs.headers().iter().find_map(|header| match header {
        Header::Event(event) => Some(event),
        _ => None,
    });
    if let Some(event) = event {
        let value = ours.header(HeaderName::Event).unwrap_or_default();
        assert_eq!(event.value().trim().as_bytes(), value, "Event");
    }
}
