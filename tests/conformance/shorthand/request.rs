//! Requests of phones: SUBSCRIBE, PUBLISH, REGISTER.

use crate::shorthand::Conversation;
use crate::shorthand::conversation::{Said, Subscription, call_of, uri_of};
use crate::shorthand::message::Message;
use crate::shorthand::phone::Phone;
use crate::shorthand::sentence::{Draft, Which};

/// The headers of a phone that supports lists (RFC 4662 §4.1).
fn take_lists(message: &mut Message) {
    let own = match message.get("Event") {
        Some("presence") => "application/pidf+xml",
        _ => "application/dialog-info+xml",
    };
    let accept = format!("Accept: {own}, application/rlmi+xml, multipart/related");
    let place = message.headers.len() - 1;
    let lines = [accept, "Supported: eventlist".to_owned()];
    message.headers.splice(place..place, lines);
}

impl Conversation {
    /// `9 watches 123`
    pub(crate) fn request(
        &self,
        phone: &str,
        verb: &str,
        object: Option<&str>,
        which: &Which<'_>,
    ) -> Result<Draft, String> {
        let phone = self.phone(phone)?;
        let message = match (verb, object) {
            ("watches", Some(target)) if which.is_again => {
                let last = self.last_request(phone, "SUBSCRIBE", Some(target), which)?;
                self.again(phone, &last.message)
            }
            ("watches", Some(target)) => self.first(phone, "SUBSCRIBE", target, which),
            ("watches list", Some(target)) => {
                let mut message = self.first(phone, "SUBSCRIBE", target, which);
                take_lists(&mut message);
                message
            }
            ("refreshes", target) => {
                let subscription = self.subscription(phone, target, which)?;
                let mut message = self.again(phone, &subscription.request);
                message.set("To", &subscription.to);
                message
            }
            ("publishes", Some(target)) if which.is_again => {
                let last = self.last_request(phone, "PUBLISH", Some(target), which)?;
                self.again(phone, &last.message)
            }
            ("publishes", Some(target)) => self.first(phone, "PUBLISH", target, which),
            ("registers", target) if which.is_again => {
                let last = self.last_request(phone, "REGISTER", target, which)?;
                self.again(phone, &last.message)
            }
            ("registers", target) => {
                let target = target.unwrap_or(&phone.name);
                self.first(phone, "REGISTER", target, which)
            }
            _ => return Err("does what?".to_owned()),
        };
        Ok(Draft {
            peer: phone.peer,
            shard: which.shard.unwrap_or(phone.shard),
            message,
        })
    }

    /// The first request of a call.
    fn first(&self, phone: &Phone, method: &str, target: &str, which: &Which<'_>) -> Message {
        let names = phone.names(method);
        let calls = self
            .requests
            .iter()
            .map(|said| said.message.value("Call-ID"));
        let calls = calls.collect();
        let n = names.next_call(&calls);
        let number = n.to_string();
        let to = self.uri(target);
        let from = match method {
            "SUBSCRIBE" => phone.aor(&self.domain),
            "REGISTER" => phone.speaker(&to),
            _ => format!("<{to}>"),
        };
        let uri = match method {
            "REGISTER" => format!("sip:{}", self.domain),
            _ => to.clone(),
        };
        let mut message = Message {
            start: format!("{method} {uri} SIP/2.0"),
            headers: Vec::new(),
            body: Vec::new(),
        };
        let branch = names.next_branch(&self.branches, n, 1);
        message.set("Via", &phone.via(&branch));
        message.set("Max-Forwards", "70");
        let tag = names.tag.replace("{n}", &number);
        message.set("From", &format!("{from};tag={tag}"));
        message.set("To", &format!("<{to}>"));
        message.set("Call-ID", &names.call.replace("{n}", &number));
        message.set("CSeq", &format!("1 {method}"));
        if method != "PUBLISH" {
            message.set("Contact", &phone.contact());
        }
        if method != "REGISTER" {
            message.set("Event", which.package.unwrap_or("dialog"));
            message.set("Expires", "3600");
        }
        message.set("Content-Length", "0");
        message
    }

    /// The next request of a call: everything is unchanged except the branch, the CSeq, and the
    /// headers about the body.
    fn again(&self, phone: &Phone, last: &Message) -> Message {
        let method = last.kind().to_owned();
        let call = last.value("Call-ID");
        let in_call = self.requests.iter().rev().map(|said| &said.message);
        let newest = in_call
            .filter(|message| message.get("Call-ID") == Some(&call))
            .find_map(|message| message.get("CSeq")?.split(' ').next()?.parse::<u64>().ok());
        let cseq = 1 + newest.unwrap_or_default();
        let names = phone.names(&method);
        let n = names.number_in(&call).unwrap_or_default();
        let mut message = last.clone();
        let branch = names.next_branch(&self.branches, n, cseq);
        message.set("Via", &phone.via(&branch));
        message.set("CSeq", &format!("{cseq} {method}"));
        for name in ["Content-Type", "Content-Disposition", "Content-Encoding"] {
            message.remove(name);
        }
        message.set("Content-Length", "0");
        message.body.clear();
        message
    }

    /// The last request of a phone with that method and target.
    fn last_request(
        &self,
        phone: &Phone,
        method: &str,
        target: Option<&str>,
        which: &Which<'_>,
    ) -> Result<&Said, String> {
        let uri = target.map(|target| self.uri(target));
        let mut requests = self.requests.iter().rev();
        let found = requests.find(|said| {
            let message = &said.message;
            let is_about = |uri: &String| uri_of(&message.value("To")) == uri;
            said.peer == phone.peer
                && message.kind() == method
                && uri.as_ref().is_none_or(is_about)
                && which.call.is_none_or(|call| call_of(message) == call)
        });
        found.ok_or_else(|| format!("there was no such {method}"))
    }

    /// The subscription of a phone that a sentence refers to: of those that match, the one that was
    /// granted last.
    pub(crate) fn subscription(
        &self,
        phone: &Phone,
        target: Option<&str>,
        which: &Which<'_>,
    ) -> Result<&Subscription, String> {
        let uri = target.or(which.about).map(|target| self.uri(target));
        let mut subscriptions = self.subscriptions.iter().rev();
        let found = subscriptions.find(|known| {
            known.peer == phone.peer
                && uri.as_ref().is_none_or(|uri| known.target() == *uri)
                && which.call.is_none_or(|call| known.call() == call)
                && self.is_of(phone, known)
        });
        found.ok_or_else(|| format!("{} has no such subscription", phone.name))
    }

    /// Returns whether the subscription belongs to this phone, if two share an address.
    fn is_of(&self, phone: &Phone, subscription: &Subscription) -> bool {
        let shared = |other: &&Phone| other.peer == phone.peer;
        let from = subscription.request.value("From");
        let is_own = |phone: &Phone| uri_of(&from) == uri_of(&phone.aor(&self.domain));
        self.phones.iter().filter(shared).count() == 1
            || is_own(phone)
            || !self.phones.iter().filter(shared).any(is_own)
    }

    /// The last message of a phone with that method or status, octet by octet.
    pub(crate) fn repeated(&self, phone: &str, kind: &str) -> Result<Draft, String> {
        let phone = self.phone(phone)?;
        let said = self.requests.iter().chain(&self.phone_responses).rev();
        let found = said
            .filter(|said| said.peer == phone.peer)
            .find(|said| said.message.kind() == kind);
        let said = found.ok_or_else(|| format!("there was no {kind} of {}", phone.name))?;
        Ok(Draft {
            peer: phone.peer,
            shard: said.shard,
            message: said.message.clone(),
        })
    }
}
