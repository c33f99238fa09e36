//! The head of a NOTIFY, which follows entirely from the SUBSCRIBE, the 200 and the time.

use std::net::SocketAddr;

use crate::dialogue::Peer;
use crate::scene::local;
use crate::shorthand::Conversation;
use crate::shorthand::conversation::{Subscription, call_of, uri_of};
use crate::shorthand::message::Message;
use crate::shorthand::sentence::{Draft, Which};

impl Conversation {
    /// `NOTIFY to 9`: in the subscription about the subject of its first statement, if there is
    /// one.
    pub(crate) fn notify(
        &self,
        phone: &str,
        which: &Which<'_>,
        subject: Option<&str>,
    ) -> Result<Draft, String> {
        let phone = self.phone(phone)?;
        let about = || {
            let subject = subject.filter(|_| which.about.is_none())?;
            self.subscription(phone, Some(subject), which).ok()
        };
        let subscription = match about() {
            Some(subscription) => subscription,
            None => self.subscription(phone, None, which)?,
        };
        Ok(Draft {
            peer: phone.peer,
            shard: 0,
            message: self.head(subscription, phone.peer),
        })
    }

    /// The last NOTIFY again.
    pub(crate) fn notify_again(&self, phone: &str, which: &Which<'_>) -> Result<Draft, String> {
        let peer = self.phone(phone)?.peer;
        let mut notifies = self.notifies.iter().rev();
        let last = notifies.find(|said| {
            let is_about = |name: &str| uri_of(&said.message.value("From")) == self.uri(name);
            said.peer == peer
                && which.call.is_none_or(|call| call_of(&said.message) == call)
                && which.about.is_none_or(is_about)
        });
        Ok(Draft {
            peer,
            shard: 0,
            message: last.ok_or("there was no NOTIFY")?.message.clone(),
        })
    }

    fn head(&self, subscription: &Subscription, peer: Peer) -> Message {
        let request = &subscription.request;
        let contact = request.value("Contact");
        let mut message = Message {
            start: format!("NOTIFY {} SIP/2.0", uri_of(&contact)),
            headers: Vec::new(),
            body: Vec::new(),
        };
        let transport = peer.transport.via_token();
        let (own, branch) = (own_address(peer), self.next_name("branch"));
        let via = format!("SIP/2.0/{transport} {own};branch={branch};rport");
        message.set("Via", &via);
        message.set("Max-Forwards", "70");
        message.set("From", &subscription.to);
        message.set("To", &request.value("From"));
        message.set("Call-ID", &request.value("Call-ID"));
        message.set("CSeq", &self.next_cseq(&request.value("Call-ID")));
        message.set("Contact", &contact_of(peer));
        message.set("Event", &request.value("Event"));
        message.set("Subscription-State", &self.state(subscription));
        if subscription.is_list {
            message.set("Require", "eventlist");
        }
        message.set("Content-Length", "0");
        message
    }

    fn next_cseq(&self, call: &str) -> String {
        match self.next_cseqs.get(call) {
            Some((name, plus)) => format!("{{{name}+{plus}}} NOTIFY"),
            None => format!("{} NOTIFY", self.next_name("cseq")),
        }
    }

    /// Active for the remaining time, or terminated if none remains.
    fn state(&self, subscription: &Subscription) -> String {
        let passed = self.now.saturating_sub(subscription.granted_at);
        let left = subscription.expires.saturating_sub(passed.as_secs());
        match left {
            0 => "terminated;reason=timeout".to_owned(),
            _ => format!("active;expires={left}"),
        }
    }
}

/// The server's address for that peer.
fn own_address(peer: Peer) -> String {
    let mut address = local(peer.address);
    if let SocketAddr::V6(address) = &mut address {
        address.set_scope_id(0);
    }
    address.to_string()
}

/// The server's Contact for that peer.
pub(crate) fn contact_of(peer: Peer) -> String {
    let own = own_address(peer);
    match peer.transport.uri_parameter() {
        "udp" => format!("<sip:{own}>"),
        transport => format!("<sip:{own};transport={transport}>"),
    }
}
