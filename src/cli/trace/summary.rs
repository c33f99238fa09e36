//! What a line of a trace says of a message.

use crate::sip::header::{Event, Parameters};
use crate::sip::message::{Framing, StartLine};
use crate::sip::{HeaderName, Message, Uri};

/// The parts of a message by which an operator knows it. Texts are as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    /// The method; of a response that of its CSeq.
    pub(super) method: Option<String>,
    /// The status code of a response.
    pub(super) status: Option<u16>,
    /// The reason phrase of a response.
    pub(super) reason: String,
    /// The number in CSeq.
    pub(super) cseq: Option<u32>,
    /// Event.
    pub(super) event: Option<String>,
    /// Subscription-State.
    pub(super) subscription_state: Option<String>,
    /// Expires, in seconds.
    pub(super) expires: Option<String>,
    /// Call-ID.
    pub(super) call_id: Option<String>,
    /// `user@host` whose state it is about.
    pub(super) about: Option<String>,
}

impl Summary {
    /// The summary of a message; empty for octets that are not SIP.
    pub(super) fn of(octets: &[u8]) -> Self {
        let Ok(message) = Message::parse(octets, Framing::Datagram) else {
            return Self::default();
        };
        let header = |name| message.header(name).map(text);
        let mut summary = Self {
            method: Some(text(message.method().token())),
            cseq: message.cseq().map(|cseq| cseq.number),
            event: header(HeaderName::Event),
            subscription_state: header(HeaderName::SubscriptionState),
            expires: header(HeaderName::Expires),
            call_id: header(HeaderName::CallId),
            ..Self::default()
        };
        match message.start_line() {
            StartLine::Response { code, reason } => {
                summary.status = Some(code);
                summary.reason = text(reason);
            }
            StartLine::Request { uri, .. } => summary.about = about(&message, uri),
        }
        summary
    }

    /// What stands on the arrow: `SUBSCRIBE`, `401 Unauthorized`.
    pub(super) fn label(&self) -> String {
        match (self.status, &self.method) {
            (Some(status), _) => format!("{status} {}", self.reason),
            (None, Some(method)) => method.clone(),
            (None, None) => "not SIP".to_owned(),
        }
    }

    /// What stands beside it: `2 dialog active 3599s 123@abc.com`.
    pub(super) fn details(&self) -> String {
        let mut words: Vec<String> = self.cseq.iter().map(u32::to_string).collect();
        if self.status.is_some() {
            words.extend(self.method.clone());
            return words.join(" ");
        }
        let package =
            |event: &String| Event::parse(event.as_bytes()).map(|event| text(event.package));
        words.extend(self.event.as_ref().and_then(package));
        match (&self.subscription_state, &self.expires) {
            (Some(state), _) => words.push(short(state)),
            (None, Some(expires)) => words.push(format!("{expires}s")),
            (None, None) => {}
        }
        words.extend(self.about.clone());
        words.join(" ")
    }
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// `active;expires=3599` as `active 3599s`, `terminated;reason=timeout` as `terminated timeout`.
fn short(state: &str) -> String {
    let (value, parameters) = state.split_once(';').unwrap_or((state, ""));
    let parameters = Parameters(parameters.as_bytes());
    let mut words = vec![value.trim().to_owned()];
    words.extend(parameters.get("reason").map(text));
    let expires = parameters.get("expires");
    words.extend(expires.map(|expires| format!("{}s", text(expires))));
    words.join(" ")
}

/// The address that a request is about: the sender of a NOTIFY, the target of any other request.
fn about(message: &Message<'_>, request_uri: &[u8]) -> Option<String> {
    let uri = match message.method().token() {
        b"NOTIFY" => message.from()?.uri,
        b"SUBSCRIBE" => message.to()?.uri,
        _ => request_uri,
    };
    let uri = Uri::parse(uri).ok()?;
    let (mut user, mut host) = (String::new(), String::new());
    uri.write_host(&mut host);
    match uri.write_user(&mut user) && !user.is_empty() {
        true => Some(format!("{user}@{host}")),
        false => Some(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(start: &str, lines: &str) -> Summary {
        let text = format!(
            "{start}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:123@abc.com>;tag=1\r\n\
             To: <sip:9@abc.com>;tag=2\r\nCall-ID: c\r\n{lines}\r\nContent-Length: 0\r\n\r\n"
        );
        Summary::of(text.as_bytes())
    }

    #[test]
    fn a_line_says_what_the_message_is_about() {
        let notify = summary(
            "NOTIFY sip:9@10.0.0.9 SIP/2.0",
            "CSeq: 7 NOTIFY\r\nEvent: dialog;id=1\r\nSubscription-State: active;expires=59",
        );
        assert_eq!(notify.label(), "NOTIFY");
        assert_eq!(notify.details(), "7 dialog active 59s 123@abc.com");
        let end =
            "CSeq: 8 NOTIFY\r\nEvent: dialog\r\nSubscription-State: terminated;reason=timeout";
        let end = summary("NOTIFY sip:9@10.0.0.9 SIP/2.0", end);
        assert_eq!(end.details(), "8 dialog terminated timeout 123@abc.com");
        let subscribe = "CSeq: 1 SUBSCRIBE\r\nEvent: presence\r\nExpires: 60";
        let subscribe = summary("SUBSCRIBE sip:9@abc.com SIP/2.0", subscribe);
        assert_eq!(subscribe.details(), "1 presence 60s 9@abc.com");
        let refusal = summary("SIP/2.0 403 Forbidden", "CSeq: 1 SUBSCRIBE");
        assert_eq!(refusal.label(), "403 Forbidden");
        assert_eq!(refusal.details(), "1 SUBSCRIBE");
        assert_eq!(Summary::of(b"\x00").label(), "not SIP");
    }
}
