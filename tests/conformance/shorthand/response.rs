//! Responses: those of the server to a phone, and those of a phone to a NOTIFY.

use crate::dialogue::Peer;
use crate::shorthand::Conversation;
use crate::shorthand::conversation::{Said, call_of, uri_of};
use crate::shorthand::message::Message;
use crate::shorthand::notify::contact_of;
use crate::shorthand::sentence::{Draft, Which};

/// The headers that a response copies from its request (RFC 3261 §8.2.6.2).
const COPIED: [&str; 5] = ["Via", "From", "To", "Call-ID", "CSeq"];

impl Conversation {
    /// `200 OK to 9`: to the last request that has no response yet.
    pub(crate) fn response(
        &self,
        phone: &str,
        status: &str,
        which: &Which<'_>,
    ) -> Result<Draft, String> {
        let phone = self.phone(phone)?;
        let peer = phone.peer;
        let fits = |said: &&Said| {
            let is_about = |name: &str| uri_of(&said.message.value("To")) == self.uri(name);
            said.peer == peer
                && which.call.is_none_or(|call| call_of(&said.message) == call)
                && which.about.is_none_or(is_about)
        };
        if which.is_again {
            let start = format!("SIP/2.0 {status}");
            let mut responses = self.responses.iter().rev().filter(fits);
            let last = responses.find(|said| said.message.start == start);
            return Ok(Draft {
                peer,
                shard: 0,
                message: last.ok_or("there was no such response")?.message.clone(),
            });
        }
        let mut open = self.requests.iter().rev().filter(fits);
        let request = open.find(|said| !said.is_answered);
        let request = &request.ok_or("there is no request to respond to")?.message;
        let mut message = copied(request, status);
        message.set("Via", &seen_via(&request.value("Via"), peer));
        if !request.value("To").contains(";tag=") {
            let to = format!("{};tag={}", request.value("To"), self.next_name("tag"));
            message.set("To", &to);
        }
        self.add_usual(&mut message, request, peer);
        message.set("Content-Length", "0");
        Ok(Draft {
            peer,
            shard: 0,
            message,
        })
    }

    /// The usual headers of a response with that status to that method.
    fn add_usual(&self, message: &mut Message, request: &Message, peer: Peer) {
        match (message.kind(), request.kind()) {
            ("200" | "202" | "204", "SUBSCRIBE") => {
                message.set("Contact", &contact_of(peer));
                message.set("Expires", &request.value("Expires"));
                if request.value("Supported").contains("eventlist") {
                    message.set("Require", "eventlist");
                }
            }
            ("200", "PUBLISH") => {
                message.set("SIP-ETag", &self.next_name("etag"));
                message.set("Expires", &request.value("Expires"));
            }
            ("401", _) => {
                let nonce = self.next_name("nonce");
                let challenge = format!(
                    "Digest realm=\"{}\", nonce=\"{nonce}\", qop=\"auth\", algorithm=MD5",
                    self.domain
                );
                message.set("WWW-Authenticate", &challenge);
            }
            _ => {}
        }
    }

    /// `9 answers 200 OK`: to the last NOTIFY that has no response yet.
    pub(crate) fn phone_response(
        &self,
        phone: &str,
        status: &str,
        which: &Which<'_>,
    ) -> Result<Draft, String> {
        let phone = self.phone(phone)?;
        let mut open = self.notifies.iter().rev().filter(|said| {
            let is_about = |name: &str| uri_of(&said.message.value("From")) == self.uri(name);
            said.peer == phone.peer
                && !said.is_answered
                && which.call.is_none_or(|call| call_of(&said.message) == call)
                && which.about.is_none_or(is_about)
        });
        let notify = open.next().ok_or("there is no NOTIFY to answer")?;
        let mut message = copied(&notify.message, status);
        let via = notify.message.value("Via");
        message.set("Via", via.strip_suffix(";rport").unwrap_or(&via));
        message.set("Content-Length", "0");
        Ok(Draft {
            peer: phone.peer,
            shard: which.shard.unwrap_or(phone.shard),
            message,
        })
    }
}

fn copied(request: &Message, status: &str) -> Message {
    let mut message = Message {
        start: format!("SIP/2.0 {status}"),
        headers: Vec::new(),
        body: Vec::new(),
    };
    for name in COPIED {
        message.set(name, &request.value(name));
    }
    message
}

/// The Via of a request with its source address (RFC 3261 §18.2.1, RFC 3581 §4).
fn seen_via(via: &str, peer: Peer) -> String {
    let parameters: Vec<String> = via
        .split(';')
        .map(|parameter| match parameter {
            "rport" => format!("rport={}", peer.address.port()),
            other => other.to_owned(),
        })
        .collect();
    let is_asked = parameters.iter().any(|text| text.starts_with("rport="));
    let sent_by = via.split([' ', ';']).nth(1).unwrap_or_default();
    let address = peer.address.ip().to_string();
    let is_elsewhere = !sent_by.starts_with(&address);
    let mut via = parameters.join(";");
    if is_asked || is_elsewhere {
        via = format!("{via};received={address}");
    }
    via
}
