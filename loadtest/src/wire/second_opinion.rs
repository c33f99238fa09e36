//! Parses a sample of the server's messages in full, with `rsip`; all other messages are only
//! scanned by [`crate::wire::message`].

use rsip::headers::ToTypedHeader;
use rsip::message::{HasHeaders, HeadersExt};
use rsip::{Header, SipMessage};

/// The expected contents of the message, as known to this tool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected<'a> {
    pub(crate) call_id: &'a str,
    pub(crate) from_tag: &'a str,
    /// None if it is not known yet.
    pub(crate) to_tag: Option<&'a str>,
    pub(crate) sequence: u32,
    pub(crate) method: rsip::Method,
}

/// Parses a message and compares it with `expected`; the error is one line for the report.
pub(crate) fn check(bytes: &[u8], expected: &Expected<'_>) -> Result<(), String> {
    let message = SipMessage::try_from(bytes).map_err(|error| format!("unreadable: {error}"))?;
    check_headers(&message, expected).map_err(|error| format!("a header: {error}"))??;
    if let SipMessage::Request(request) = &message {
        check_notify(request)?;
    }
    let length = message.headers().iter().find_map(|header| match header {
        Header::ContentLength(length) => Some(length.length()),
        _ => None,
    });
    match length {
        None => Err("no Content-Length".to_owned()),
        Some(Ok(length)) if length as usize == message.body().len() => Ok(()),
        Some(length) => Err(format!(
            "Content-Length {length:?}, body {}",
            message.body().len()
        )),
    }
}

fn check_headers(
    message: &SipMessage,
    expected: &Expected<'_>,
) -> Result<Result<(), String>, rsip::Error> {
    let via = message.via_header()?.typed()?;
    let from = message.from_header()?.typed()?;
    let to = message.to_header()?.typed()?;
    let sequence = message.cseq_header()?.typed()?;
    let call_id = message.call_id_header()?.to_string();
    let call_id = call_id.trim_start_matches("Call-ID: ");
    let from_tag = from.tag().map(rsip::param::Tag::value);
    let to_tag = to.tag().map(rsip::param::Tag::value);
    if via.branch().is_none() {
        return Ok(Err("Via has no branch".to_owned()));
    }
    if call_id != expected.call_id {
        return Ok(Err(format!(
            "Call-ID {call_id}, expected {}",
            expected.call_id
        )));
    }
    if from_tag != Some(expected.from_tag) {
        return Ok(Err(format!(
            "From-tag {from_tag:?}, expected {}",
            expected.from_tag
        )));
    }
    if to_tag.is_none() || expected.to_tag.is_some_and(|tag| to_tag != Some(tag)) {
        return Ok(Err(format!(
            "To-tag {to_tag:?}, expected {:?}",
            expected.to_tag
        )));
    }
    if (sequence.seq, sequence.method) != (expected.sequence, expected.method) {
        return Ok(Err(format!(
            "CSeq {sequence}, expected {}",
            expected.sequence
        )));
    }
    Ok(Ok(()))
}

/// Headers that a NOTIFY must have in addition to those of any request (RFC 6665 §8.2.1).
fn check_notify(request: &rsip::Request) -> Result<(), String> {
    if request.max_forwards_header().is_err() {
        return Err("NOTIFY has no Max-Forwards".to_owned());
    }
    let contact = request.contact_header().and_then(ToTypedHeader::typed);
    contact.map_err(|error| format!("NOTIFY has no usable Contact: {error}"))?;
    let has_event = request
        .headers
        .iter()
        .any(|header| matches!(header, Header::Event(_)));
    let is_state = |header: &Header| match header {
        Header::SubscriptionState(_) => true,
        Header::Other(name, _) => name.eq_ignore_ascii_case("Subscription-State"),
        _ => false,
    };
    match (has_event, request.headers.iter().any(is_state)) {
        (true, true) => Ok(()),
        (false, _) => Err("NOTIFY has no Event".to_owned()),
        (true, false) => Err("NOTIFY has no Subscription-State".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTIFY: &str = "NOTIFY sip:line7@127.0.0.1:40001;transport=UDP SIP/2.0\r\n\
        Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKabc;rport\r\nMax-Forwards: 70\r\n\
        From: <sip:1001@abc.com>;tag=s\r\nTo: <sip:1002@abc.com>;tag=p\r\n\
        Call-ID: 7-feed@swarm\r\nCSeq: 12 NOTIFY\r\nContact: <sip:x@127.0.0.1:5060>\r\n\
        Event: dialog\r\nSubscription-State: active;expires=10\r\nContent-Length: 4\r\n\r\n<a/>";

    const EXPECTED: Expected<'_> = Expected {
        call_id: "7-feed@swarm",
        from_tag: "s",
        to_tag: Some("p"),
        sequence: 12,
        method: rsip::Method::Notify,
    };

    #[test]
    fn a_good_notify_passes() {
        assert_eq!(check(NOTIFY.as_bytes(), &EXPECTED), Ok(()));
    }

    #[test]
    fn each_fault_is_found() {
        for (from, to) in [
            ("NOTIFY sip", "NOTIFYsip"),
            ("Max-Forwards: 70\r\n", ""),
            (";branch=z9hG4bKabc", ""),
            ("tag=s", "tag=t"),
            ("tag=p", "tag=t"),
            ("7-feed", "8-feed"),
            ("CSeq: 12", "CSeq: 13"),
            ("Contact: <sip:x@127.0.0.1:5060>\r\n", ""),
            ("Event: dialog\r\n", ""),
            ("Subscription-State: active;expires=10\r\n", ""),
            ("Content-Length: 4", "Content-Length: 5"),
            ("Content-Length: 4\r\n", ""),
        ] {
            assert!(NOTIFY.contains(from));
            let broken = NOTIFY.replacen(from, to, 1);
            assert!(
                check(broken.as_bytes(), &EXPECTED).is_err(),
                "{from} -> {to}"
            );
        }
    }
}
