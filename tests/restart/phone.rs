//! A SIP endpoint, as simple as one can be: one request at a time, NOTIFYs answered as they come.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::link::Link;

/// Time between retransmissions of a request.
const T1: Duration = Duration::from_millis(500);
/// Longest wait for a response or a NOTIFY.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// An endpoint: a phone with its dialogs, or a PBX.
pub(crate) struct Endpoint {
    /// Unique among all endpoints.
    name: String,
    pub(crate) link: Link,
    /// The server was killed: no response will come.
    is_dead: Arc<AtomicBool>,
    requests: u32,
    /// The NOTIFYs of each dialog, by Call-ID.
    pub(crate) notified: HashMap<String, Notified>,
    /// The Call-IDs of the dialogs that it knows nothing of, after a reboot.
    pub(crate) forgotten: HashSet<String>,
    /// The last final response.
    pub(crate) last_response: String,
    /// What the server must not do.
    pub(crate) faults: Vec<String>,
}

/// The NOTIFYs received in a dialog.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notified {
    /// The CSeq of the last NOTIFY.
    pub(crate) cseq: u32,
    /// The version of the last document.
    pub(crate) version: Option<u32>,
    /// The last NOTIFY.
    pub(crate) last: String,
    /// The last document of each user, by URI: of one, or of the members of a list.
    pub(crate) documents: HashMap<String, String>,
}

/// A dialog, from its first SUBSCRIBE on.
#[derive(Clone, Debug)]
pub(crate) struct Dialog {
    pub(crate) user: String,
    pub(crate) call_id: String,
    /// To a list (RFC 4662).
    is_of_list: bool,
    to_tag: Option<String>,
    /// The Request-URI of requests in the dialog.
    target: String,
    cseq: u32,
}

impl Endpoint {
    pub(crate) fn new(name: &str, link: Link, is_dead: Arc<AtomicBool>) -> Self {
        Self {
            name: name.to_owned(),
            link,
            is_dead,
            requests: 0,
            notified: HashMap::new(),
            forgotten: HashSet::new(),
            last_response: String::new(),
            faults: Vec::new(),
        }
    }

    /// A new dialog, before its first SUBSCRIBE.
    pub(crate) fn dialog(&mut self, user: &str) -> Dialog {
        self.requests += 1;
        Dialog {
            user: user.to_owned(),
            call_id: format!("call-{}-{}", self.name, self.requests),
            is_of_list: false,
            to_tag: None,
            target: format!("sip:{user}@a.example"),
            cseq: 0,
        }
    }

    /// A new dialog with a list.
    pub(crate) fn list_dialog(&mut self, list: &str) -> Dialog {
        Dialog {
            is_of_list: true,
            ..self.dialog(list)
        }
    }

    /// Sends a SUBSCRIBE: initial, or in the dialog. Returns the status of the final response, if any.
    pub(crate) fn subscribe(&mut self, dialog: &mut Dialog, expires: u32) -> Option<u16> {
        dialog.cseq += 1;
        let tag = dialog.to_tag.as_ref();
        let tag = tag.map_or_else(String::new, |tag| format!(";tag={tag}"));
        let supported = if dialog.is_of_list {
            "Supported: eventlist\r\n"
        } else {
            ""
        };
        let rest = format!(
            "From: <sip:watcher@a.example>;tag={name}\r\nTo: <sip:{user}@a.example>{tag}\r\n\
             Call-ID: {call_id}\r\nCSeq: {cseq} SUBSCRIBE\r\nContact: <sip:watcher@HERE>\r\n\
             Event: dialog\r\nAccept: application/dialog-info+xml\r\nExpires: {expires}\r\n\
             {supported}Content-Length: 0\r\n\r\n",
            name = self.name,
            user = dialog.user,
            call_id = dialog.call_id,
            cseq = dialog.cseq,
        );
        let response = self.request("SUBSCRIBE", &dialog.target, &rest)?;
        if let (200, Some(contact)) = (status(&response), header(&response, "Contact")) {
            let to = header(&response, "To").unwrap();
            dialog.to_tag = to.split_once("tag=").map(|(_, tag)| tag.to_owned());
            dialog.target = contact.trim_matches(['<', '>']).to_owned();
        }
        Some(status(&response))
    }

    /// Publishes a new call of a user in `state`; without a state, refreshes the publication with `etag`.
    /// Returns the status, and the entity tag of a 200.
    pub(crate) fn publish(
        &mut self,
        user: &str,
        etag: Option<&str>,
        state: Option<&str>,
        expires: u32,
    ) -> Option<(u16, Option<String>)> {
        self.requests += 1;
        let number = self.requests;
        let condition = etag.map_or_else(String::new, |etag| format!("SIP-If-Match: {etag}\r\n"));
        let body = state.map_or_else(String::new, |state| {
            format!(
                "<?xml version=\"1.0\"?>\n<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" \
                 version=\"0\" state=\"full\" entity=\"sip:{user}@a.example\"><dialog id=\"d{number}\">\
                 <state>{state}</state></dialog></dialog-info>\n"
            )
        });
        let kind = state.map_or("", |_| "Content-Type: application/dialog-info+xml\r\n");
        let name = &self.name;
        let rest = format!(
            "From: <sip:{user}@a.example>;tag={name}\r\nTo: <sip:{user}@a.example>\r\n\
             Call-ID: publish-{name}-{number}\r\nCSeq: 1 PUBLISH\r\nEvent: dialog\r\n{condition}\
             Expires: {expires}\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let response = self.request("PUBLISH", &format!("sip:{user}@a.example"), &rest)?;
        let etag = header(&response, "SIP-ETag").map(str::to_owned);
        Some((status(&response), etag))
    }

    /// Sends and retransmits a request until a final response comes. None if the server was killed
    /// before.
    fn request(&mut self, method: &str, target: &str, rest: &str) -> Option<String> {
        self.requests += 1;
        let branch = format!("z9hG4bK-{}-{}", self.name, self.requests);
        let start = Instant::now();
        let mut sent: Option<Instant> = None;
        while start.elapsed() < WAIT_MAX {
            // What was sent over a stream is repeated only over another one.
            let is_due = !self.link.is_connected() && sent.is_none_or(|sent| sent.elapsed() >= T1);
            if is_due || sent.is_none() {
                self.send(method, target, &branch, rest);
                sent = Some(Instant::now());
            }
            let is_dead = self.is_dead.load(Ordering::SeqCst);
            let response = self.receive(Some(&branch));
            self.last_response = response.clone().unwrap_or_default();
            if response.is_some() || is_dead {
                return response;
            }
        }
        let fault = format!("no response to {method} {target} {branch} {rest}");
        self.faults.push(fault);
        None
    }

    /// Sends a request once, over a new connection if the last one was closed.
    fn send(&mut self, method: &str, target: &str, branch: &str, rest: &str) {
        let Some(local) = self.link.local() else {
            return;
        };
        let transport = self.link.transport();
        let contact = format!("{local};transport={}", transport.to_lowercase());
        let rest = rest.replace("HERE", &contact);
        let text = format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/{transport} {local};rport;branch={branch}\r\n\
             Max-Forwards: 70\r\n{rest}"
        );
        self.link.send(&text);
    }

    /// Reads until no message comes for a moment. Returns the final response with `branch`, if any.
    fn receive(&mut self, branch: Option<&str>) -> Option<String> {
        while let Some(text) = self.link.receive() {
            if text.starts_with("NOTIFY ") {
                self.respond(text);
            } else if branch.is_some_and(|branch| text.contains(branch)) && status(&text) >= 200 {
                return Some(text);
            }
        }
        None
    }

    /// Receives and acknowledges NOTIFYs until `is_enough` holds. Returns false if it never does.
    pub(crate) fn listen(&mut self, mut is_enough: impl FnMut(&Self) -> bool) -> bool {
        let start = Instant::now();
        while !is_enough(self) {
            if start.elapsed() >= WAIT_MAX {
                return false;
            }
            self.receive(None);
        }
        true
    }

    /// Receives and acknowledges what has come.
    pub(crate) fn receive_all(&mut self) {
        self.receive(None);
    }

    fn respond(&mut self, notify: String) {
        let call_id = header(&notify, "Call-ID").unwrap().to_owned();
        let is_known = !self.forgotten.contains(&call_id);
        let status = match is_known {
            true => "200 OK",
            false => "481 Subscription Does Not Exist",
        };
        let copied = ["Via", "From", "To", "Call-ID", "CSeq"].map(|name| {
            let value = header(&notify, name).unwrap();
            format!("{name}: {value}\r\n")
        });
        let response = format!(
            "SIP/2.0 {status}\r\n{}Content-Length: 0\r\n\r\n",
            copied.concat()
        );
        self.link.send(&response);
        if !is_known {
            return;
        }
        let cseq = header(&notify, "CSeq").unwrap();
        let cseq = cseq.split(' ').next().unwrap().parse().unwrap();
        let version = version(&notify);
        let known = self.notified.entry(call_id).or_default();
        let is_older = cseq < known.cseq || (cseq > known.cseq && version <= known.version);
        if is_older && version.is_some() {
            let known = known.last.clone();
            let fault = format!("a CSeq or version that does not rise: {notify}\nafter {known}");
            self.faults.push(fault);
            return;
        }
        for document in notify.split("<dialog-info ").skip(1) {
            let user = attribute(document, "entity").unwrap().to_owned();
            known.documents.insert(user, document.to_owned());
        }
        known.cseq = cseq;
        known.version = version.or(known.version);
        known.last = notify;
    }

    /// The last document of a user in a dialog.
    pub(crate) fn document(&self, dialog: &Dialog, user: &str) -> Option<&str> {
        let documents = &self.notified.get(&dialog.call_id)?.documents;
        let document = documents.get(&format!("sip:{user}@a.example"));
        document.map(String::as_str)
    }

    /// Whether the last NOTIFY of a dialog contains a text.
    pub(crate) fn shows(&self, dialog: &Dialog, text: &str) -> bool {
        let notified = self.notified.get(&dialog.call_id);
        notified.is_some_and(|notified| notified.last.contains(text))
    }
}

fn status(response: &str) -> u16 {
    let code = response.split(' ').nth(1);
    code.and_then(|code| code.parse().ok()).unwrap_or_default()
}

fn header<'m>(message: &'m str, name: &str) -> Option<&'m str> {
    let find = |line: &'m str| {
        line.split_once(':')
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
    };
    message
        .lines()
        .find_map(find)
        .map(|(_, value)| value.trim())
}

/// The version of the list, or else of the document.
fn version(notify: &str) -> Option<u32> {
    let list = notify.split_once("<list ");
    let (_, document) = list.or_else(|| notify.split_once("<dialog-info "))?;
    attribute(document, "version").map(|version| version.parse().unwrap())
}

/// The first attribute of that name.
fn attribute<'m>(text: &'m str, name: &str) -> Option<&'m str> {
    let (_, rest) = text.split_once(&format!(" {name}=\""))?;
    rest.split_once('"').map(|(value, _)| value)
}
